package main

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"slipway/sandbox/workspace"
)

// taken is what listening on an address gives that somebody else has.
func taken(address string) error {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return err
	}
	return &net.OpError{Op: "listen", Net: "tcp", Addr: addr, Err: syscall.EADDRINUSE}
}

func TestPortsGoOnUntilAPairIsFree(t *testing.T) {
	for _, tt := range []struct {
		listen, gcp string
		taken       []string
		want        string
		wrong       string
	}{
		{"", "", nil, "127.0.0.1:8190 127.0.0.1:8191", ""},
		{"", "", []string{"127.0.0.1:8190"}, "127.0.0.1:8192 127.0.0.1:8193", ""},
		{"", "", []string{"127.0.0.1:8191", "127.0.0.1:8192"}, "127.0.0.1:8194 127.0.0.1:8195", ""},
		{"127.0.0.1:9000", "", []string{"127.0.0.1:8191"}, "127.0.0.1:9000 127.0.0.1:8193", ""},
		{"127.0.0.1:8190", "", []string{"127.0.0.1:8190"}, "", "127.0.0.1:8190 is taken: end what listens there, give another port with -listen"},
		{"", "127.0.0.1:8191", []string{"127.0.0.1:8191"}, "", "127.0.0.1:8191 is taken: end what listens there, give another port with -gcp"},
	} {
		var got string
		_, err := onFreePorts(tt.listen, tt.gcp, func(listen, gcp string) (*workspace.Workspace, error) {
			for _, address := range []string{listen, gcp} {
				if slices.Contains(tt.taken, address) {
					return nil, taken(address)
				}
			}
			got = listen + " " + gcp
			return nil, nil
		})
		if got != tt.want || (err != nil) != (tt.wrong != "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%q %q, taken %v: %s, %v", tt.listen, tt.gcp, tt.taken, got, err)
		}
	}
}

func TestPortsEndSomewhere(t *testing.T) {
	_, err := onFreePorts("", "", func(listen, _ string) (*workspace.Workspace, error) { return nil, taken(listen) })
	if err == nil || !strings.Contains(err.Error(), "give some with -listen and -gcp") {
		t.Error(err)
	}
}

// A port that is given and taken is an error that says so.
func TestGivenPortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out bytes.Buffer
	err = run(t.Context(), singleDash([]string{"-listen", l.Addr().String(), "-gcp", "127.0.0.1:0", "-file", "../deploy.yaml"}), &out, &out)
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()+" is taken") {
		t.Error(err)
	}
}
