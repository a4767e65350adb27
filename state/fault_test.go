package state

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slipway/incident"
	"slipway/rollout"
)

// lossy dials connections on which the next reply can be lost: the command was executed, and whoever
// sent it sees the connection break.
type lossy struct {
	dial  Dial
	armed atomic.Bool
}

func (l *lossy) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := l.dial(ctx, network, addr)
	return &lossyConn{Conn: c, of: l}, err
}

type lossyConn struct {
	net.Conn
	of     *lossy
	broken atomic.Bool
}

func (c *lossyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.of.armed.CompareAndSwap(true, false) {
		c.broken.Store(true)
		_ = c.Close()
	}
	if c.broken.Load() {
		return 0, io.EOF // as from a peer that went away, which a client may be tempted to retry
	}
	return n, err
}

// losing is a store on the same server whose next reply is lost after a call of the function. Its
// scripts are loaded, for the reply that is lost must not be the one that says they are unknown.
func (b *bench) losing(t *testing.T) (*Store, func()) {
	t.Helper()
	l := &lossy{dial: b.dial}
	s := New(connect(t, l.Dial), b.o)
	for _, script := range []*redis.Script{s.scripts.create, s.scripts.commit, s.scripts.accept, s.scripts.lock, s.scripts.done, s.scripts.holdWatch, s.scripts.saveBook} {
		if err := script.Load(t.Context(), b.client).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return s, func() { l.armed.Store(true) }
}

// lost checks that a call whose reply was lost says so.
func lost(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != unreachable || e.Unwritten {
		t.Fatalf("the lost reply gave %+v", err)
	}
}

func TestLostReplyOfCreate(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		s, lose := b.losing(t)
		lose()
		_, err := s.Create(t.Context(), sample("aaaaaa", staging), []rollout.Event{{Seq: 1}})
		lost(t, err)
		stored, err := b.Load(t.Context(), "aaaaaa")
		if err != nil {
			t.Fatalf("it was not executed: %v", err)
		}
		again, err := s.Create(t.Context(), sample("aaaaaa", staging), []rollout.Event{{Seq: 1}})
		if err != nil || again.ID != "aaaaaa" || again.Lock.Fence != stored.Lock.Fence {
			t.Errorf("the repetition gave %s, fence %d, %v", again.ID, again.Lock.Fence, err)
		}
		b.claim(t, "one", "aaaaaa")
		b.claim(t, "one", "")
	})
}

func TestLostReplyOfCommit(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		s, lose := b.losing(t)
		r := b.start(t, "aaaaaa", staging)
		l := b.claim(t, "one", "aaaaaa")
		r, events := next(r)
		c := rollout.Commit{Rollout: r, Events: events, Fence: l.Fence, Then: rollout.Over}
		lose()
		lost(t, s.Commit(t.Context(), c))
		if stored, err := b.Load(t.Context(), "aaaaaa"); err != nil || stored.Version != 2 {
			t.Fatalf("it was not executed: version %d, %v", stored.Version, err)
		}
		b.start(t, "bbbbbb", staging) // somebody else is quick to lock it
		if err := s.Commit(t.Context(), c); err != nil {
			t.Errorf("the repetition: %v", err)
		}
		if h, held, err := b.Holder(t.Context(), staging); !held || h.Rollout != "bbbbbb" || err != nil {
			t.Errorf("the repetition released the lock of another rollout: %+v, %v", h, err)
		}
		got, err := b.Events(t.Context(), "aaaaaa", 0)
		if len(got) != 2 || err != nil {
			t.Errorf("there are %d events, %v", len(got), err)
		}
	})
}

func TestLostReplyOfAccept(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		s, lose := b.losing(t)
		lose()
		_, err := s.Accept(t.Context(), "a", []byte("body of a"))
		lost(t, err)
		b.accept(t, "a", false) // Slack sends it again: it is known, so it is stored
		b.take(t, "one", "a")
		b.take(t, "one", "")
	})
}

func TestLostReplyOfLock(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		s, lose := b.losing(t)
		wish := personal(staging, oncall)
		lose()
		_, err := s.Lock(t.Context(), wish)
		lost(t, err)
		held, _, _ := b.Holder(t.Context(), staging)
		if l, err := s.Lock(t.Context(), wish); err != nil || l != held {
			t.Errorf("the repetition gave %+v, %v; want %+v", l, err, held)
		}
	})
}

func TestBrokenServer(t *testing.T) {
	for f, want := range map[fault]string{readOnly: "is read-only", full: "is full; raise its maxmemory", down: "cannot be reached; see that it runs"} {
		t.Run(string(f), func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				r := b.start(t, "aaaaaa", backend)
				l := b.claim(t, "one", "aaaaaa")
				changed, events := next(r)
				b.holds(t, "one", true)
				b.fault(f)
				for op, try := range map[string]func() error{
					"create": func() error { _, err := b.Create(t.Context(), sample("bbbbbb", auth), nil); return err },
					"commit": func() error {
						return b.Commit(t.Context(), rollout.Commit{Rollout: changed, Events: events, Fence: l.Fence, Then: rollout.Over})
					},
					"accept": func() error { _, err := b.Accept(t.Context(), "a", []byte("a")); return err },
					"lock":   func() error { _, err := b.Lock(t.Context(), personal(auth, oncall)); return err },
					"renew":  func() error { _, err := b.Renew(t.Context(), l); return err },

					"hold watch":   func() error { _, err := b.Incidents().Hold(t.Context(), acme, "one", b.unit); return err },
					"save book":    func() error { _, err := b.Incidents().SaveBook(t.Context(), acme, "", incident.Book{}, 0); return err },
					"save watches": func() error { return b.Incidents().SaveWatches(t.Context(), acme, "one", nil) },
				} {
					err := try()
					e, ok := errors.AsType[*Error](err)
					if !ok || e.Op != op || !strings.Contains(e.Reason, want) {
						t.Errorf("%s: %v, want that Redis %s", op, err, want)
					}
				}
			})
		})
	}
}

func TestWakesComeBackAfterABreak(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		s, lose := b.losing(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		wakes := s.Wakes(ctx)
		r := b.start(t, "aaaaaa", staging)
		if id := <-wakes; id != "aaaaaa" {
			t.Fatalf("%q woke", id)
		}
		lose() // the connection breaks on the next wake, which is lost
		r = b.commit(t, r, 0, rollout.Hold, time.Time{})
		for woken := false; !woken; {
			r = b.commit(t, r, 0, rollout.Hold, time.Time{})
			b.pass(b.unit / 10)
			select {
			case <-wakes:
				woken = true
			case <-ctx.Done():
				t.Fatal("no wake came any more")
			default:
			}
		}
		cancel()
		for range wakes {
		}
	})
}

func TestSilentServer(t *testing.T) {
	embedded().run(t, func(t *testing.T, b *bench) {
		var silent atomic.Bool
		client := connect(t, func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := b.dial(ctx, network, addr)
			return &silentConn{c, &silent}, err
		})
		s := New(client, Options{})
		silent.Store(true)
		began := time.Now()
		_, err := s.Accept(t.Context(), "a", nil)
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("it gave up after %s, want 1s", took)
		}
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != silence || e.Unwritten {
			t.Errorf("got %+v", err)
		}
	})
}

// What Redis refused, or what never reached it, is known not to be written.
func TestUnwritten(t *testing.T) {
	embedded().run(t, func(t *testing.T, b *bench) {
		says := b.says(t, "MISCONF Redis is configured to save RDB snapshots")
		b.fault(down)
		_, _ = b.Accept(t.Context(), "a", nil) // over the connection that was open
		_, err := b.Accept(t.Context(), "a", nil)
		if e, ok := errors.AsType[*Error](err); !ok || !e.Unwritten {
			t.Errorf("nobody answered: %+v", err)
		}
		for text, certain := range map[error]bool{
			says:                     true,
			io.EOF:                   false,
			context.DeadlineExceeded: false,
			redis.ErrPoolTimeout:     true,
			&net.OpError{Op: "read", Err: syscall.ECONNRESET}: false,
		} {
			if got := b.unwritten(text); got != certain {
				t.Errorf("%v: %t, want %t", text, got, certain)
			}
		}
		cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"redis.test:6379"}})
		defer cluster.Close()
		if New(cluster, Options{}).unwritten(err) {
			t.Error("a cluster's client has tried before")
		}
	})
}

// silentConn sends nothing once it is told to be silent, and says that it did.
type silentConn struct {
	net.Conn
	silent *atomic.Bool
}

func (c *silentConn) Write(p []byte) (int, error) {
	if c.silent.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Each sentence says what is wrong and what to do about it.
func TestReasons(t *testing.T) {
	for text, want := range map[string]string{
		"READONLY You can't write against a read only replica.":       "Redis is read-only; wait if a failover is under way, else point REDIS_URL at the primary and not at a replica",
		"OOM command not allowed when used memory > 'maxmemory'.":     "Redis is full; raise its maxmemory, and keep maxmemory-policy at noeviction",
		"LOADING Redis is loading the dataset in memory":              "Redis is starting and still loads its data; wait until it has",
		"NOREPLICAS Not enough good replicas to write.":               "Redis refuses writes because its replicas are away; bring them back, or lower its min-replicas-to-write",
		"MISCONF Redis is configured to save RDB snapshots":           "Redis cannot save to its disk and refuses writes; make room on the disk, and see its log",
		"WRONGPASS invalid username-password pair":                    "Redis refused the user or the password; check REDIS_URL",
		"NOAUTH Authentication required.":                             "Redis refused the user or the password; check REDIS_URL",
		"NOPERM this user has no permissions":                         "Redis forbids a command to this user; Slipway needs read, write, scripting and pubsub on {slipway}:*",
		"CLUSTERDOWN The cluster is down":                             "Redis has no primary at the moment; wait for the failover, or bring the primary back",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale": "Redis has no primary at the moment; wait for the failover, or bring the primary back",
		"ERR max number of clients reached":                           "Redis has no connection left; raise its maxclients",
		"ERR unknown command":                                         "Redis refused a command; Slipway needs Redis 7.0 or newer",
	} {
		embedded().run(t, func(t *testing.T, b *bench) {
			e, ok := errors.AsType[*Error](failed("op", b.says(t, text)))
			if !ok || e.Reason != want {
				t.Errorf("%q gives %+v, want %q", text, e, want)
			}
		})
	}
}

const (
	unreachable = "Redis cannot be reached; see that it runs, and that REDIS_URL names it"
	silence     = "Redis did not answer in time; see whether its host or the network is overloaded"
)

// What the way to Redis says, in the error chains of the client and the net package.
func TestReasonsOfTheWay(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"refused":          {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, unreachable},
		"unknown name":     {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, unreachable},
		"hung up":          {io.EOF, unreachable},
		"closed by us":     {redis.ErrClosed, unreachable},
		"deadline":         {context.DeadlineExceeded, silence},
		"socket's timeout": {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, silence},
		"no connection":    {redis.ErrPoolTimeout, silence},
	} {
		e, ok := errors.AsType[*Error](failed("op", c.err))
		if !ok || e.Reason != c.want || !errors.Is(e, c.err) {
			t.Errorf("%s gives %+v, want %q", name, e, c.want)
		}
	}
}

// says is the client's error when the server answers with text.
func (b *bench) says(t *testing.T, text string) error {
	t.Helper()
	script := "return redis.error_reply(ARGV[1])"
	return b.client.Eval(t.Context(), script, nil, text).Err()
}
