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
		"redis+sentinel://u:hunter2@a,b", "redis+sentinel://u:hunter2@/main", "redis+sentinel://u:hunter2@a,,b/main",
		"redis+sentinel://u:hunter2@a/main/x", "redis+sentinel://u:hunter2@a/main?password=hunter2", "redis+sentinel://u:hunter2@a:b/main",
		"redis+cluster://u:hunter2@a/3", "redis+cluster://u:hunter2@a?x=hunter2", "redis+cluster://", "redis+other://u:hunter2@a",
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

func TestParse(t *testing.T) {
	type want struct {
		addrs, master, user, password string
		db                            int
		tls, cluster                  bool
	}
	for address, w := range map[string]want{
		"redis://localhost":                         {addrs: "localhost:6379"},
		"rediss://u:p@db:7000/2":                    {addrs: "db:7000", user: "u", password: "p", db: 2, tls: true},
		"redis+sentinel://a,b:27000/main":           {addrs: "a:26379 b:27000", master: "main"},
		"redis+sentinel://:p%40ss@a,[::1]:1/main/3": {addrs: "a:26379 [::1]:1", master: "main", password: "p@ss", db: 3},
		"rediss+cluster://u:p@a:1,b:2":              {addrs: "a:1 b:2", user: "u", password: "p", tls: true, cluster: true},
		"redis+cluster://a/":                        {addrs: "a:6379", cluster: true},
	} {
		o, err := parse(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		got := want{strings.Join(o.Addrs, " "), o.MasterName, o.Username, o.Password, o.DB, o.TLSConfig != nil, o.IsClusterMode}
		if got != w {
			t.Errorf("%s: got %+v, want %+v", address, got, w)
		}
		if o.MaxRetries != -1 || !o.ContextTimeoutEnabled {
			t.Errorf("%s: the client repeats commands by itself, or takes no deadline", address)
		}
	}
	o, err := parse("redis+sentinel://u:p@a/main?sentinel_user=watch&sentinel_password=w")
	if err != nil || o.SentinelUsername != "watch" || o.SentinelPassword != "w" || o.Password != "p" {
		t.Errorf("the Sentinels' own password: %+v, %v", o, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"redis://u:p@h:1/0", "redis+sentinel://u:p@a,b/main/1?sentinel_user=x", "rediss+cluster://u:p@a:1,[::1]", "redis+sentinel://@/?#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		o, err := parse(address)
		if err == nil && len(o.Addrs) == 0 {
			t.Errorf("%q has no host and was taken", address)
		}
		if err != nil && err != errAddress { //nolint:errorlint // the very error, which says nothing of the address
			t.Errorf("%q: %v", address, err)
		}
	})
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
