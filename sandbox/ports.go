package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"slipway/sandbox/workspace"
)

// The ports of those who say nothing. If one is taken, both go on to the next pair.
const (
	firstListen = 8190
	firstGCP    = 8191
	portStep    = 2
	portTries   = 20
)

// onFreePorts opens a world on the addresses given; an empty one is the first default that is free.
func onFreePorts(listen, gcp string, open func(listen, gcp string) (*workspace.Workspace, error)) (*workspace.Workspace, error) {
	for try := 0; ; try++ {
		w, err := open(orPort(listen, firstListen+try*portStep), orPort(gcp, firstGCP+try*portStep))
		taken, ok := takenAddress(err)
		switch {
		case !ok:
			return w, err
		case taken == listen:
			return nil, fmt.Errorf("%s is taken: end what listens there, give another port with -listen, or leave -listen out for a free one", taken)
		case taken == gcp:
			return nil, fmt.Errorf("%s is taken: end what listens there, give another port with -gcp, or leave -gcp out for a free one", taken)
		case try == portTries:
			return nil, fmt.Errorf("no port from %d on is free: give some with -listen and -gcp: %w", firstListen, err)
		}
	}
}

func orPort(address string, port int) string {
	if address != "" {
		return address
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// takenAddress is the address that somebody else listens at.
func takenAddress(err error) (string, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Addr == nil || !errors.Is(err, syscall.EADDRINUSE) {
		return "", false
	}
	return op.Addr.String(), true
}
