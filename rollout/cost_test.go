package rollout_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"slipway/plan"
	"slipway/rollout"
	"slipway/state"
)

// roundTrips counts what a client sends to Redis.
type roundTrips struct{ atomic.Int64 }

func (n *roundTrips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (n *roundTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		n.Add(1)
		return next(ctx, cmd)
	}
}

func (n *roundTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		n.Add(1)
		return next(ctx, cmds)
	}
}

// counting is a store whose round trips are counted once its scripts are in Redis.
func (f *fleet) counting() (*state.Store, *roundTrips) {
	f.t.Helper()
	client, err := state.Open(f.t.Context(), "redis://memory:6379/0", func(context.Context, string, string) (net.Conn, error) { return f.redis.Dial() })
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = client.Close() })
	var n roundTrips
	client.AddHook(&n)
	return state.New(client, state.Options{}), &n
}

// roundTripsOf runs a rollout of these steps alone and returns the round trips from its start to its end.
func (f *fleet) roundTripsOf(steps ...*plan.Step) int64 {
	f.t.Helper()
	f.cloud.takes = 0
	store, n := f.counting()
	actions := map[plan.Kind]rollout.Action{plan.KindJob: f.cloud}
	e := rollout.NewEngine(rollout.Config{
		Store: store, Leases: store, Locks: store, Past: store, Inspector: inspector{}, Actions: actions, Observer: nobody{},
		Owner: "a", Log: slog.New(slog.DiscardHandler),
	})
	run := func(token string, steps ...*plan.Step) int64 {
		ctx, stop := context.WithCancel(f.t.Context())
		before := n.Load()
		req := request(steps...)
		req.Token = token
		r := f.start(e, req)
		done := make(chan struct{})
		go func() { defer close(done); e.Run(ctx) }()
		r = f.until(r.ID, time.Minute, over)
		after := n.Load()
		stop()
		<-done
		if r.End.Result != rollout.Succeeded {
			f.t.Fatalf("%+v", r.End)
		}
		return after - before
	}
	run("first", jobs(1)...) // loads the scripts
	return run("second", steps...)
}

const manySteps = 50

func doneSteps(n int) []*plan.Step {
	var steps []*plan.Step
	for i := range n {
		steps = append(steps, &plan.Step{Name: fmt.Sprintf("done %d", i+1), Kind: plan.KindDone, Done: "by hand"})
	}
	return steps
}

func TestRoundTripsAStep(t *testing.T) {
	for name, steps := range map[string][]*plan.Step{"effects": jobs(manySteps), "done by hand": doneSteps(manySteps)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newFleet(t).roundTripsOf(steps...)
				if a := float64(n) / manySteps; a > 1.2 {
					t.Errorf("%d round trips for %d steps: %.2f each, want at most 1.2", n, manySteps, a)
				} else {
					t.Logf("%.2f round trips a step", a)
				}
			})
		})
	}
}

func BenchmarkRoundTripsAStep(b *testing.B) {
	var n int64
	for range b.N {
		n += newFleet(b).roundTripsOf(jobs(manySteps)...)
	}
	b.ReportMetric(float64(n)/float64(b.N*manySteps), "round-trips/step")
}
