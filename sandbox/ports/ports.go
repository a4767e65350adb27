// Package ports opens the ports of a program's servers: those that were asked for, or else the first
// defaults that are free.
package ports

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// Port is one that a program listens at.
type Port struct {
	Flag    string // that gives it, with its dash
	Given   string // HOST:PORT; "": the default on loopback, or a free one after it
	Default int    // the port's number if none is given
}

// tries is how often the defaults are moved on by as many as there are.
const tries = 20

// Open calls open with the addresses of the ports, and again with the next defaults as long as one of
// those is taken. A taken port that was given is an error.
func Open[T any](wanted []Port, open func(addresses []string) (T, error)) (T, error) {
	for try := 0; ; try++ {
		out, err := open(addresses(wanted, try))
		taken, ok := takenAddress(err)
		if !ok {
			return out, err
		}
		var none T
		for _, p := range wanted {
			if p.Given == taken {
				return none, fmt.Errorf("%s is taken: end what listens there, give another port with %s, or leave %s out for a free one", taken, p.Flag, p.Flag)
			}
		}
		if try == tries {
			return none, fmt.Errorf("no port from %d on is free: give one with %s: %w", wanted[0].Default, flags(wanted), err)
		}
	}
}

func addresses(wanted []Port, try int) []string {
	out := make([]string, len(wanted))
	for i, p := range wanted {
		if out[i] = p.Given; p.Given == "" {
			out[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Default+try*len(wanted)))
		}
	}
	return out
}

func flags(wanted []Port) string {
	names := make([]string, len(wanted))
	for i, p := range wanted {
		names[i] = p.Flag
	}
	return strings.Join(names, " and ")
}

// takenAddress is the address that somebody else listens at.
func takenAddress(err error) (string, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Addr == nil || !errors.Is(err, syscall.EADDRINUSE) {
		return "", false
	}
	return op.Addr.String(), true
}
