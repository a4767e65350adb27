package rollout_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// once is what a replica's own memory is to the steps that leave no trace outside: what another replica
// began cannot be found.
type once struct {
	*cloud
	mu    sync.Mutex
	known map[string]bool
}

func (o *once) begun(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known[key]
}

func (o *once) Find(_ context.Context, t rollout.Task) (string, bool, error) {
	if o.begun(t.Key.String()) {
		return t.Key.String(), true, nil
	}
	return "", false, &rollout.Failure{Label: rollout.LabelUnknownEnd, Reason: "It is not known whether it ran to the end."}
}

func (o *once) Start(ctx context.Context, t rollout.Task) (string, error) {
	o.mu.Lock()
	o.known[t.Key.String()] = true
	o.mu.Unlock()
	return o.cloud.Start(ctx, t)
}

func (o *once) Poll(ctx context.Context, t rollout.Task, handle string) (rollout.Outcome, error) {
	if !o.begun(t.Key.String()) {
		_, _, err := o.Find(ctx, t)
		return rollout.Outcome{}, err
	}
	return o.cloud.Poll(ctx, t, handle)
}

// replicaOnce is a replica that remembers by itself what it began.
func (f *fleet) replicaOnce(owner string) (*rollout.Engine, *severed, context.CancelFunc) {
	f.t.Helper()
	store := &severed{Store: f.connect()}
	action := &once{cloud: f.cloud, known: map[string]bool{}}
	actions := map[plan.Kind]rollout.Action{plan.KindHTTP: action, plan.KindWebSocket: action, plan.KindCommand: action}
	e := rollout.NewEngine(rollout.Config{
		Store: store, Leases: store, Locks: store, Past: store, Inspector: inspector{}, Actions: actions, Observer: nobody{},
		Owner: owner, Log: slog.New(slog.NewTextHandler(f.t.Output(), nil)).With("replica", owner),
	})
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	f.t.Cleanup(func() { cancel(); <-done })
	return e, store, cancel
}

// A step that must not be repeated, and whose replica died in the middle, is never begun again unless a
// person says so: it asks, and who has looked answers that it happened, that it did not, or stops.
func TestCutOffAndNotRepeatable(t *testing.T) {
	for _, kind := range []plan.Kind{plan.KindCommand, plan.KindHTTP, plan.KindWebSocket} {
		for verb, want := range map[rollout.Verb]struct {
			runs   int
			result rollout.Result
		}{
			rollout.VerbConfirm: {1, rollout.Succeeded},
			rollout.VerbRetry:   {2, rollout.Succeeded},
			rollout.VerbHold:    {1, rollout.Failed},
		} {
			t.Run(string(kind)+" "+string(verb), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFleet(t)
					f.cloud.takes = 10 * time.Second
					a, store, stop := f.replicaOnce("a")
					no := false
					r := f.start(a, request(&plan.Step{Name: "migrate", Kind: kind, Timeout: plan.Duration(time.Minute), Repeatable: &no}))
					f.until(r.ID, 5*time.Second, func(r rollout.Rollout) bool { return r.Phases[0].Steps[0].Handle != "" })
					store.sever(true)
					stop()
					b, _, _ := f.replicaOnce("b")
					r = f.until(r.ID, 10*time.Second, func(r rollout.Rollout) bool { return len(r.Asks) > 0 })
					time.Sleep(time.Minute)
					if n := len(f.cloud.applied); n != 1 {
						t.Fatalf("it ran %d times before anybody answered", n)
					}
					by := rollout.Actor{ID: "U0ONCALL", Name: "oncall"}
					if _, err := b.Tell(t.Context(), r.ID, rollout.Event{At: time.Now().UTC(), Kind: rollout.Said, Ask: r.Asks[0].ID, Verb: verb, By: &by}); err != nil {
						t.Fatal(err)
					}
					r = f.until(r.ID, time.Minute, over)
					if n := len(f.cloud.applied); n != want.runs || r.End.Result != want.result || len(f.cloud.doubled()) > 0 {
						t.Errorf("%d runs, %s; want %d, %s", n, r.End.Result, want.runs, want.result)
					}
				})
			})
		}
	}
}
