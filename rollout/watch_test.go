package rollout_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// traffic is a request log of two requests a second, some of which fail.
type traffic struct {
	mu     sync.Mutex
	errors func(at, now time.Time) int64 // of the two that started at a second, as the log has them now; nil: none
	err    error
	asked  int
}

func (l *traffic) Requests(_ context.Context, q rollout.Query) (rollout.Requests, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	now := time.Now().UTC()
	r := rollout.Requests{Every: time.Second, Watermark: now, Source: rollout.FromLogs}
	for at := q.Since.Truncate(time.Second).Add(time.Second); at.Before(now); at = at.Add(time.Second) {
		slot := rollout.Slot{At: at, Requests: 2}
		if l.errors != nil {
			slot.Errors = l.errors(at, now)
		}
		r.Slots = append(r.Slots, slot)
	}
	return r, l.err
}

func (l *traffic) Lines(context.Context, rollout.Service, string, string, time.Time) (rollout.Lines, error) {
	return rollout.Lines{}, nil
}

func (l *traffic) fail(errors func(at, now time.Time) int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors, l.err = errors, err
}

// fromNowOn is one error in two requests that start after now.
func fromNowOn() func(at, now time.Time) int64 {
	begins := time.Now().UTC()
	return func(at, _ time.Time) int64 {
		if at.Before(begins) {
			return 0
		}
		return 1
	}
}

// watching is a request for a plan with one gate, whose verdict is watched for ten minutes.
func watching() rollout.Request {
	gate := &plan.ErrorRate{Below: 0.05, Gate: plan.Gate{
		Service: "backend", AlphaPass: 0.05, AlphaFail: 0.05, Bucket: plan.Duration(10 * time.Second), WarmUp: plan.Duration(5 * time.Second),
		MinTime: plan.Duration(20 * time.Second), MaxLatency: plan.Duration(5 * time.Second), Budget: plan.Duration(5 * time.Minute),
	}}
	req := request(
		&plan.Step{Name: "deploy", Kind: plan.KindDeploy, Timeout: plan.Duration(time.Minute), Deploy: &plan.ServiceStep{Service: "backend"}},
		&plan.Step{Name: "all", Kind: plan.KindTraffic, Timeout: plan.Duration(time.Minute), Traffic: &plan.Traffic{Service: "backend", Percent: 100}},
		&plan.Step{Name: "errors", Kind: plan.KindErrorRate, Timeout: plan.Duration(10 * time.Minute), ErrorRate: gate},
	)
	req.Plan.Watch = plan.Duration(10 * time.Minute)
	return req
}

// shifting is a cloud in which a deploy makes a candidate and a shift moves the traffic.
type shifting struct{ *cloud }

func (s shifting) Poll(ctx context.Context, t rollout.Task, handle string) (rollout.Outcome, error) {
	o, err := s.cloud.Poll(ctx, t, handle)
	if o.State != rollout.Passed {
		return o, err
	}
	o.Change = &rollout.ServiceChange{Service: "backend"}
	if t.Step.Kind == plan.KindDeploy {
		o.Change.Candidate = &rollout.Revision{Name: "backend-s1-1"}
	} else {
		percent, at := 100, time.Now().UTC()
		o.Change.Percent, o.Change.ShiftedAt = &percent, &at
	}
	return o, nil
}

// watcher is a replica that counts requests in a log.
func (f *fleet) watcher(owner string, log rollout.RequestLog) (*rollout.Engine, *severed, context.CancelFunc) {
	f.t.Helper()
	store := &severed{Store: f.connect()}
	actions := rollout.GateActions(log, nil)
	actions[plan.KindDeploy], actions[plan.KindTraffic] = shifting{f.cloud}, shifting{f.cloud}
	e := rollout.NewEngine(rollout.Config{
		Store: store, Leases: store, Locks: store, Past: store, Inspector: inspector{}, Actions: actions, Requests: log, Observer: nobody{},
		Owner: owner, Log: slog.New(slog.NewTextHandler(f.t.Output(), nil)).With("replica", owner),
	})
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	f.t.Cleanup(func() { cancel(); <-done })
	return e, store, cancel
}

func judged(r rollout.Rollout) bool { return r.Watch != nil && r.Watch.Outcome != nil }

func TestWatch(t *testing.T) {
	denied := &rollout.Failure{Label: "permission_denied", Reason: "Slipway may not read the logs of netra-staging."}
	for _, tt := range []struct {
		name          string
		after         func(l *traffic) // 3 minutes after the end
		state         rollout.WatchState
		note          string
		within, least time.Duration // from the end
	}{
		{"nothing comes up", func(*traffic) {}, rollout.WatchHeld, "It held for 10 min: no errors in ", 11 * time.Minute, 10 * time.Minute},
		{"errors begin", func(l *traffic) { l.fail(fromNowOn(), nil) }, rollout.WatchFailed, "Limit 5%: its pass does not hold any more.", 5 * time.Minute, 3 * time.Minute},
		{"entries that were late turn the verdict", func(l *traffic) { l.fail(func(_, _ time.Time) int64 { return 1 }, nil) }, rollout.WatchFailed, "with those that were logged late", 4 * time.Minute, 3 * time.Minute},
		{"the log may not be read", func(l *traffic) { l.fail(nil, denied) }, rollout.WatchUnknown, "is not known: Slipway may not read", 11 * time.Minute, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, log := newFleet(t), &traffic{}
				e, _, _ := f.watcher("a", log)
				r := f.start(e, watching())
				r = f.until(r.ID, 3*time.Minute, over)
				if r.End.Result != rollout.Succeeded || !r.Watched() {
					t.Fatalf("%s, watched: %v", r.End.Result, r.Watched())
				}
				if _, held, err := f.store.Holder(t.Context(), plan.Target{Environment: "staging"}); held || err != nil {
					t.Errorf("the environment is locked while it is watched (%v)", err)
				}
				if active, err := f.store.Active(t.Context()); len(active) > 0 || err != nil {
					t.Errorf("%d rollouts are under way (%v)", len(active), err)
				}
				time.Sleep(3 * time.Minute)
				tt.after(log)
				r = f.until(r.ID, 10*time.Minute, judged)
				took := r.Watch.Outcome.At.Sub(r.End.At)
				if o := r.Watch.Outcome; o.State != tt.state || !strings.Contains(o.Note, tt.note) || took < tt.least || took > tt.within {
					t.Errorf("after %s: %s: %s", took, o.State, o.Note)
				}
				if past, err := f.store.History(t.Context(), "staging", 10); len(past) != 1 || err != nil {
					t.Errorf("%d rollouts in the history (%v)", len(past), err)
				}
				asked := log.asked
				time.Sleep(5 * time.Minute)
				if log.asked != asked {
					t.Errorf("the log was read %d more times after that", log.asked-asked)
				}
			})
		})
	}
}

// The replica that watches is killed in the middle; another one goes on, and it is told once.
func TestWatchSurvivesItsReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFleet(t), &traffic{}
		e, store, stop := f.watcher("a", log)
		r := f.start(e, watching())
		r = f.until(r.ID, 3*time.Minute, over)
		store.sever(true)
		stop()
		f.watcher("b", log)
		log.fail(fromNowOn(), nil)
		r = f.until(r.ID, 5*time.Minute, judged)
		if !r.FailedLate() {
			t.Errorf("%+v", r.Watch.Outcome)
		}
		events, err := f.store.Events(t.Context(), r.ID, 0)
		told := 0
		for _, e := range events {
			if e.Kind == rollout.WatchOver {
				told++
			}
		}
		if told != 1 || err != nil {
			t.Errorf("told %d times (%v)", told, err)
		}
	})
}

// Another rollout of the service ends the watch of the one before, whose revision does not serve any more.
func TestWatchEndsWithTheNextRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFleet(t), &traffic{}
		e, _, _ := f.watcher("a", log)
		first := f.until(f.start(e, watching()).ID, 3*time.Minute, over)
		next := watching()
		next.Token = "envelope-2"
		second := f.start(e, next)
		first = f.until(first.ID, time.Minute, judged)
		if o := first.Watch.Outcome; o.State != rollout.WatchLeft || !strings.Contains(o.Note, second.ID) {
			t.Errorf("%+v", o)
		}
		f.until(second.ID, 3*time.Minute, func(r rollout.Rollout) bool { return over(r) && r.Watched() })
	})
}

// A rollout without verdicts has nothing to watch, and neither has one that says so.
func TestNothingToWatch(t *testing.T) {
	for name, req := range map[string]func() rollout.Request{
		"no gate": func() rollout.Request {
			r := request(jobs(1)...)
			r.Plan.Watch = plan.Duration(30 * time.Minute)
			return r
		},
		"watch: 0s": func() rollout.Request {
			r := watching()
			r.Plan.Watch = 0
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, log := newFleet(t), &traffic{}
				e, _, _ := f.watcher("a", log)
				f.cloud.takes = time.Second
				r := f.start(e, req())
				if r = f.until(r.ID, 30*time.Minute, over); r.Watch != nil {
					t.Errorf("it is watched until %s", r.Watch.Until)
				}
			})
		})
	}
}
