package ports

import (
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// taken is what listening on an address gives that somebody else has.
func taken(address string) error {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return err
	}
	return &net.OpError{Op: "listen", Net: "tcp", Addr: addr, Err: syscall.EADDRINUSE}
}

func pair(listen, gcp string) []Port {
	return []Port{{"-listen", listen, 8190}, {"-gcp", gcp, 8191}}
}

func TestPortsGoOnUntilAllAreFree(t *testing.T) {
	for _, tt := range []struct {
		wanted []Port
		taken  []string
		want   string
		wrong  string
	}{
		{pair("", ""), nil, "127.0.0.1:8190 127.0.0.1:8191", ""},
		{pair("", ""), []string{"127.0.0.1:8190"}, "127.0.0.1:8192 127.0.0.1:8193", ""},
		{pair("", ""), []string{"127.0.0.1:8191", "127.0.0.1:8192"}, "127.0.0.1:8194 127.0.0.1:8195", ""},
		{pair("", "")[:1], []string{"127.0.0.1:8190", "127.0.0.1:8191"}, "127.0.0.1:8192", ""},
		{pair("127.0.0.1:9000", ""), []string{"127.0.0.1:8191"}, "127.0.0.1:9000 127.0.0.1:8193", ""},
		{pair("127.0.0.1:8190", ""), []string{"127.0.0.1:8190"}, "", "127.0.0.1:8190 is taken: end what listens there, give another port with -listen"},
		{pair("", "127.0.0.1:8191"), []string{"127.0.0.1:8191"}, "", "127.0.0.1:8191 is taken: end what listens there, give another port with -gcp"},
	} {
		got, err := Open(tt.wanted, func(addresses []string) (string, error) {
			for _, address := range addresses {
				if slices.Contains(tt.taken, address) {
					return "", taken(address)
				}
			}
			return strings.Join(addresses, " "), nil
		})
		if got != tt.want || (err != nil) != (tt.wrong != "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%v, taken %v: %s, %v", tt.wanted, tt.taken, got, err)
		}
	}
}

func TestPortsEndSomewhere(t *testing.T) {
	_, err := Open(pair("", ""), func(addresses []string) (string, error) { return "", taken(addresses[0]) })
	if err == nil || !strings.Contains(err.Error(), "give one with -listen and -gcp") {
		t.Error(err)
	}
}
