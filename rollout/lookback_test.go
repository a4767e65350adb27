package rollout_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// twice is a cloud whose effects can come about twice, and be told apart.
type twice struct{ *cloud }

const ranTwice = "It ran a second time; that run was stopped."

func (d twice) Undouble(_ context.Context, t rollout.Task, _ string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.applied[t.Key.String()] > 1 {
		return ranTwice, nil
	}
	return "", nil
}

// replicaTwice is a replica that works in such a cloud.
func (f *fleet) replicaTwice(owner string) (*rollout.Engine, *severed) {
	f.t.Helper()
	store := &severed{Store: f.connect()}
	e := rollout.NewEngine(rollout.Config{
		Store: store, Leases: store, Locks: store, Past: store, Inspector: inspector{}, Observer: nobody{},
		Actions: map[plan.Kind]rollout.Action{plan.KindJob: twice{f.cloud}},
		Owner:   owner, Log: slog.New(slog.NewTextHandler(f.t.Output(), nil)).With("replica", owner),
	})
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	f.t.Cleanup(func() { cancel(); <-done })
	return e, store
}

// An effect that a replica had asked for comes about only after its successor has had it, and perhaps all
// the rest, done. Whoever asked finds it, and says so: once, on the step and in the history, also when the
// rollout has ended; while the step still runs, it waits for what its end says.
func TestADoubledEffectIsSaid(t *testing.T) {
	const late = 20 * time.Second
	for name, tt := range map[string]struct {
		steps int
		takes time.Duration // of each
	}{
		"after the end of the rollout": {1, 2 * time.Second},
		"while another step runs":      {2, 12 * time.Second},
		"while the step still runs":    {1, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.cloud.takes = tt.takes
				var starts atomic.Int32
				f.cloud.started = func(rollout.Task) {
					if starts.Add(1) == 1 {
						time.Sleep(late) // the call is on its way, whatever its context says
					}
				}
				a, store := f.replicaTwice("a")
				r := f.start(a, request(jobs(tt.steps)...))
				f.until(r.ID, 5*time.Second, func(r rollout.Rollout) bool { return r.Phases[0].Steps[0].Attempt == 1 })
				store.sever(true)
				f.replicaTwice("b")
				f.until(r.ID, 10*time.Second, func(r rollout.Rollout) bool { return r.Phases[0].Steps[0].Handle != "" })
				store.sever(false)
				f.until(r.ID, 2*time.Minute, over)
				time.Sleep(2 * late)

				r = f.until(r.ID, 0, over)
				if note := r.Phases[0].Steps[0].Note; note != "Done. "+ranTwice || r.End.Result != rollout.Succeeded {
					t.Errorf("%s, with the note %q", r.End.Result, note)
				}
				events, err := f.store.Events(t.Context(), r.ID, 0)
				if err != nil {
					t.Fatal(err)
				}
				said := 0
				for _, e := range events {
					if e.Kind == rollout.StepDoubled && e.Step == "1.1" && e.Reason == ranTwice {
						said++
					}
				}
				if said != 1 || int64(len(events)) != r.Events {
					t.Errorf("said %d times; %d events, and the rollout counts %d", said, len(events), r.Events)
				}
				active, err := f.store.Active(t.Context())
				if err != nil || len(active) > 0 {
					t.Errorf("still at work on %v, %v", active, err)
				}
			})
		})
	}
}
