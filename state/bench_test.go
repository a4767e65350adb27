package state

import (
	"context"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"slipway/plan"
	"slipway/rollout"
)

// bench is a store on a fresh server, for one test. The same tests run on every server, so that the
// embedded one cannot drift from the real one.
type bench struct {
	*Store
	client redis.UniversalClient
	dial   Dial
	unit   time.Duration         // long enough that a few calls take much less
	pass   func(d time.Duration) // lets time go by on the server
	fault  func(fault)           // breaks the server until the test ends
}

type fault string

const (
	readOnly fault = "read-only"
	full     fault = "full"
	down     fault = "down"
)

// server starts a bench and runs a test on it.
type server struct {
	name string
	run  func(t *testing.T, test func(t *testing.T, b *bench))
}

// conform runs a test on every server of this build.
func conform(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) { s.run(t, test) })
	}
}

// embedded is miniredis in process, on fake time.
func embedded() server {
	return server{"embedded", func(t *testing.T, test func(*testing.T, *bench)) {
		synctest.Test(t, func(t *testing.T) {
			m := miniredis.NewMiniRedis()
			m.ClockTTL(true)
			t.Cleanup(m.Close)
			var gone atomic.Bool
			dial := func(context.Context, string, string) (net.Conn, error) {
				if gone.Load() {
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
				}
				c, err := m.Dial()
				return &goneConn{c, &gone}, err
			}
			b := newBench(t, dial, time.Second)
			b.pass = time.Sleep
			b.fault = func(f fault) {
				gone.Store(f == down)
				m.SetError(map[fault]string{
					readOnly: "READONLY You can't write against a read only replica.",
					full:     "OOM command not allowed when used memory > 'maxmemory'.",
				}[f])
			}
			test(t, b)
		})
	}}
}

// goneConn breaks once its server is gone.
type goneConn struct {
	net.Conn
	gone *atomic.Bool
}

func (c *goneConn) Write(p []byte) (int, error) {
	if c.gone.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

func newBench(t *testing.T, dial Dial, unit time.Duration) *bench {
	t.Helper()
	client := connect(t, dial)
	s := New(client, Options{LeaseTTL: 3 * unit, Timeout: 5 * time.Second})
	return &bench{Store: s, client: client, dial: dial, unit: unit}
}

func connect(t *testing.T, dial Dial) redis.UniversalClient {
	t.Helper()
	client, err := Open(t.Context(), "redis://embedded:6379", dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// counted makes the client count its commands.
func (b *bench) counted() *atomic.Int64 {
	n := new(atomic.Int64)
	b.client.AddHook(counter{n})
	return n
}

type counter struct{ n *atomic.Int64 }

func (c counter) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}
func (c counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

var (
	staging = plan.Target{Environment: "staging"}
	backend = plan.Target{Environment: "staging", Service: "backend"}
	auth    = plan.Target{Environment: "staging", Service: "auth"}

	deployer = rollout.Actor{ID: "U0DEPLOYER", Name: "deployer"}
	oncall   = rollout.Actor{ID: "U0ONCALL", Name: "oncall"}
)

// sample is a rollout as it is when it starts. It has what a store that reads it could spoil: an
// empty list, a large number, a fraction.
func sample(id string, target plan.Target) rollout.Rollout {
	now := time.Now().UTC().Round(0)
	return rollout.Rollout{
		Schema: rollout.Schema, ID: id, Version: 1, Token: "token of " + id, Target: target,
		Lock:    rollout.Lock{Target: target, Rollout: id, By: deployer, Since: now},
		By:      deployer,
		Created: now, Status: rollout.Running, Events: 1,
		Services: map[string]rollout.Service{"backend": {
			Name: "backend", Baseline: &rollout.Baseline{Requests: 9007199254740991, Errors: 1795300000000000},
		}},
		Phases: []rollout.Phase{{Name: "empty", Steps: []rollout.Step{}}, {Name: "gate", Steps: []rollout.Step{
			{ID: "2.1", Gate: &rollout.Gate{AtMost: 0.0321, PerSec: 1e-7}},
		}}},
	}
}

// start creates a rollout and fails the test if that is refused.
func (b *bench) start(t *testing.T, id string, target plan.Target) rollout.Rollout {
	t.Helper()
	r, err := b.Create(t.Context(), sample(id, target), []rollout.Event{{Seq: 1, Kind: rollout.Created}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// next is the following snapshot of a rollout and the event that led to it.
func next(r rollout.Rollout) (rollout.Rollout, []rollout.Event) {
	r.Version++
	r.Events++
	return r, []rollout.Event{{Seq: r.Events, Kind: rollout.StepStarted, Step: "2.1"}}
}

// commit commits the following snapshot and returns it.
func (b *bench) commit(t *testing.T, r rollout.Rollout, fence int64, then rollout.Then, due time.Time) rollout.Rollout {
	t.Helper()
	r, events := next(r)
	if err := b.Commit(t.Context(), rollout.Commit{Rollout: r, Events: events, Fence: fence, Then: then, Due: due}); err != nil {
		t.Fatal(err)
	}
	return r
}

// claim claims, and fails the test if it does not get the rollout that is wanted ("" for none).
func (b *bench) claim(t *testing.T, owner, want string) rollout.Lease {
	t.Helper()
	l, ok, err := b.Claim(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	if ok != (want != "") || l.Rollout != want {
		t.Fatalf("%s claimed %q, want %q", owner, l.Rollout, want)
	}
	return l
}

func ids(list []rollout.Rollout) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.ID)
	}
	return out
}

func wantIDs(t *testing.T, list []rollout.Rollout, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(list); !slices.Equal(got, want) {
		t.Errorf("got rollouts %q, want %q", got, want)
	}
}
