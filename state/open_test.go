package state

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
)

func TestOpenRefuses(t *testing.T) {
	for _, address := range []string{
		"", "localhost:6379", "http://u:hunter2@localhost", "redis://u:hunter2@localhost:port",
		"redis://u:hunter2@local host", "redis://u:hunter2@localhost/zero", "redis://u:hunter2@%zz", "redis://u:hunter2@h?hunter2=1",
	} {
		c, err := Open(t.Context(), address, nil)
		if err == nil {
			t.Errorf("%q was opened: %v", address, c.Close())
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "redis://[user:password@]host") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestOpenUnreachable(t *testing.T) {
	refuse := errors.New("connection refused")
	for _, scheme := range []string{"redis", "rediss"} {
		_, err := Open(t.Context(), scheme+"://u:hunter2@db:6379/2", func(context.Context, string, string) (net.Conn, error) {
			return nil, refuse
		})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Reason != unreachable || !errors.Is(err, refuse) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

func TestOpenWithWrongPassword(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		_, err := Open(t.Context(), "redis://somebody:hunter2@db:6379", b.dial)
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(e.Reason, "the user or the password") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
	})
}
