package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"slipway/plan"
	"slipway/rollout"
	"slipway/state"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the embedded Redis builds an interpreter for each script and throws it away
	goleak.VerifyTestMain(m)
}

// cloud is an Action for every kind: it remembers what was applied, as Cloud Run would.
type cloud struct {
	mu       sync.Mutex
	applied  map[string]int // how often, by key
	cancels  []string       // keys
	takes    time.Duration  // from Start until Poll says passed
	begun    map[string]time.Time
	trouble  func(key string, try int) (apply bool, err error) // nil: none
	tries    map[string]int
	lasting  map[string]bool // step IDs that never end
	blocking chan struct{}   // when set, Start waits for it or for its context
	started  func(rollout.Task)
}

func newCloud() *cloud {
	return &cloud{applied: map[string]int{}, begun: map[string]time.Time{}, tries: map[string]int{}, lasting: map[string]bool{}, takes: 2 * time.Second}
}

func (c *cloud) Find(_ context.Context, t rollout.Task) (string, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := t.Key.String()
	return key, c.applied[key] > 0, nil
}

func (c *cloud) Start(ctx context.Context, t rollout.Task) (string, error) {
	if c.blocking != nil {
		select {
		case <-c.blocking:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if c.started != nil {
		c.started(t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := t.Key.String()
	c.tries[key]++
	if c.trouble != nil {
		apply, err := c.trouble(key, c.tries[key])
		if apply {
			c.apply(key)
		}
		if err != nil {
			return "", err
		}
		return key, nil
	}
	c.apply(key)
	return key, nil
}

func (c *cloud) apply(key string) {
	c.applied[key]++
	c.begun[key] = time.Now()
}

func (c *cloud) Poll(_ context.Context, t rollout.Task, handle string) (rollout.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lasting[t.Key.Step] || time.Since(c.begun[handle]) < c.takes {
		return rollout.Outcome{State: rollout.StillRunning, Note: "Working."}, nil
	}
	return rollout.Outcome{State: rollout.Passed, Note: "Done."}, nil
}

func (c *cloud) Cancel(_ context.Context, _ rollout.Task, handle string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancels = append(c.cancels, handle)
	return nil
}

// doubled lists the keys that were applied more than once.
func (c *cloud) doubled() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []string
	for k, n := range c.applied {
		if n > 1 {
			keys = append(keys, k)
		}
	}
	return keys
}

// severed is a store and its leases, until it is cut: then every call fails, as for a replica that
// was killed or lost its network.
type severed struct {
	*state.Store
	mu  sync.Mutex
	cut bool
}

var errCut = errors.New("connection cut")

func (s *severed) down() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return errCut
	}
	return nil
}

func (s *severed) sever(cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
}

func (s *severed) Load(ctx context.Context, id string) (rollout.Rollout, error) {
	if err := s.down(); err != nil {
		return rollout.Rollout{}, err
	}
	return s.Store.Load(ctx, id)
}

func (s *severed) Commit(ctx context.Context, c rollout.Commit) error {
	if err := s.down(); err != nil {
		return err
	}
	return s.Store.Commit(ctx, c)
}

func (s *severed) Claim(ctx context.Context, owner string) (rollout.Lease, bool, error) {
	if err := s.down(); err != nil {
		return rollout.Lease{}, false, err
	}
	return s.Store.Claim(ctx, owner)
}

func (s *severed) Renew(ctx context.Context, l rollout.Lease) (rollout.Lease, error) {
	if err := s.down(); err != nil {
		return rollout.Lease{}, err
	}
	return s.Store.Renew(ctx, l)
}

func (s *severed) Release(ctx context.Context, l rollout.Lease, due time.Time) error {
	if err := s.down(); err != nil {
		return err
	}
	return s.Store.Release(ctx, l, due)
}

type inspector struct{}

func (inspector) Inspect(_ context.Context, s plan.Service, _ string, _ time.Time) (rollout.Service, error) {
	return rollout.Service{Name: s.Name, CloudRun: s.Name, Stable: rollout.Revision{Name: s.Name + "-00041-abc"}}, nil
}

func (inspector) InspectRevision(_ context.Context, s plan.Service, name string, _ time.Time) (rollout.Service, error) {
	return rollout.Service{Name: s.Name, CloudRun: s.Name, Stable: rollout.Revision{Name: s.Name + "-00042-xyz"}, Candidate: rollout.Revision{Name: name}}, nil
}

type nobody struct{}

func (nobody) Changed(rollout.Rollout) {}

// fleet is some replicas on one Redis and one cloud, in a bubble.
type fleet struct {
	t     testing.TB
	redis *miniredis.Miniredis
	cloud *cloud
	store *state.Store
}

func newFleet(tb testing.TB) *fleet {
	tb.Helper()
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	f := &fleet{t: tb, redis: m, cloud: newCloud()}
	f.store = f.connect()
	tb.Cleanup(m.Close)
	return f
}

func (f *fleet) connect() *state.Store {
	f.t.Helper()
	client, err := state.Open(f.t.Context(), "redis://memory:6379/0", func(context.Context, string, string) (net.Conn, error) { return f.redis.Dial() })
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = client.Close() })
	return state.New(client, state.Options{})
}

// replica starts an engine; its context and its severed store end it gently or suddenly.
func (f *fleet) replica(owner string) (*rollout.Engine, *severed, context.CancelFunc) {
	f.t.Helper()
	store := &severed{Store: f.connect()}
	actions := map[plan.Kind]rollout.Action{}
	for _, k := range []plan.Kind{plan.KindJob, plan.KindDeploy, plan.KindTraffic, plan.KindErrorRate} {
		actions[k] = f.cloud
	}
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

func request(steps ...*plan.Step) rollout.Request {
	env := &plan.Environment{Name: "staging", TrafficAfter: plan.TrafficLatest, Services: []*plan.Service{{Name: "backend"}}}
	return rollout.Request{
		Token: "envelope-1", Target: plan.Target{Environment: "staging"}, Environment: env,
		Plan: &plan.Plan{Name: "p", OnFailure: plan.OnFailureRollback, Phases: []*plan.Phase{{Name: "All", Steps: steps}}},
		By:   rollout.Actor{ID: "U1", Name: "deployer"}, At: time.Now().UTC(),
	}
}

func jobs(n int) []*plan.Step {
	var steps []*plan.Step
	for i := range n {
		steps = append(steps, &plan.Step{Name: fmt.Sprintf("job %d", i+1), Kind: plan.KindJob, Timeout: plan.Duration(time.Minute), Job: &plan.Job{Name: "j", Service: "backend"}})
	}
	return steps
}

// until waits, in the bubble's time, for the rollout to be so.
func (f *fleet) until(id string, limit time.Duration, holds func(rollout.Rollout) bool) rollout.Rollout {
	f.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(max(50*time.Millisecond, limit/1000)) {
		r, err := f.store.Load(f.t.Context(), id)
		if err != nil {
			f.t.Fatal(err)
		}
		if holds(r) {
			return r
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("after %s it is %s: %+v", limit, r.Status, r.Phases)
		}
	}
}

func over(r rollout.Rollout) bool { return r.Status == rollout.Ended }

func (f *fleet) start(e *rollout.Engine, req rollout.Request) rollout.Rollout {
	f.t.Helper()
	r, err := e.Start(f.t.Context(), req)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func TestEngineRunsARollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		e, _, _ := f.replica("a")
		r := f.start(e, request(jobs(3)...))
		r = f.until(r.ID, time.Minute, over)
		if r.End.Result != rollout.Succeeded || len(f.cloud.applied) != 3 || len(f.cloud.doubled()) > 0 {
			t.Errorf("%s after %v", r.End.Result, f.cloud.applied)
		}
		if _, held, err := f.store.Holder(t.Context(), plan.Target{Environment: "staging"}); held || err != nil {
			t.Errorf("the environment is still locked (%v)", err)
		}
	})
}

func TestARepeatedRequestFindsTheSameRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		e, _, _ := f.replica("a")
		first := f.start(e, request(jobs(1)...))
		if again := f.start(e, request(jobs(1)...)); again.ID != first.ID {
			t.Errorf("a second rollout %s beside %s", again.ID, first.ID)
		}
		other := request(jobs(1)...)
		other.Token = "envelope-2"
		_, err := e.Start(t.Context(), other)
		var locked *rollout.LockedError
		if !errors.As(err, &locked) || locked.Lock.Rollout != first.ID {
			t.Errorf("another request: %v, want a lock held by %s", err, first.ID)
		}
	})
}

// A replica that is cut off in the middle of a step is replaced within the lease's time, and the step
// is not applied again.
func TestTakeover(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leave func(*severed, context.CancelFunc)
		limit time.Duration // until the other one has it
	}{
		{"killed", func(s *severed, stop context.CancelFunc) { s.sever(true); stop() }, 5 * time.Second},
		{"asked to stop", func(_ *severed, stop context.CancelFunc) { stop() }, 1500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.cloud.takes = 4 * time.Second
				e, store, stop := f.replica("a")
				r := f.start(e, request(jobs(2)...))
				f.until(r.ID, 2*time.Second, func(r rollout.Rollout) bool { return r.Phases[0].Steps[0].Handle != "" })
				f.replica("b")
				left := time.Now()
				tt.leave(store, stop)
				f.until(r.ID, tt.limit+4*time.Second, func(r rollout.Rollout) bool { return r.Phases[0].Steps[0].Status == rollout.StepPassed })
				if took := time.Since(left); took > tt.limit+f.cloud.takes {
					t.Errorf("the step ended %s after the replica left", took)
				}
				r = f.until(r.ID, time.Minute, over)
				if r.End.Result != rollout.Succeeded || len(f.cloud.doubled()) > 0 {
					t.Errorf("%s, applied %v", r.End.Result, f.cloud.applied)
				}
			})
		})
	}
}

// An action that asks whether its replica may still act is told of a takeover, and not kept from a way
// back by a store that is away.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		asked := make(chan func(context.Context) error, 1)
		f.cloud.started = func(task rollout.Task) { asked <- task.StillHeld }
		f.cloud.takes = time.Hour
		e, store, _ := f.replica("a")
		r := f.start(e, request(jobs(1)...))
		held := <-asked
		if err := held(t.Context()); err != nil {
			t.Errorf("while it is held: %v", err)
		}
		store.sever(true)
		if err := held(t.Context()); err != nil {
			t.Errorf("while the store is away: %v", err)
		}
		store.sever(false)
		f.redis.HSet("{slipway}:rollout:"+r.ID, "fence", "9999999999999999")
		if err := held(t.Context()); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("after a takeover: %v", err)
		}
	})
}

// The failure may have come after the effect: it is looked for before it is repeated.
func TestAppliedYetAnError(t *testing.T) {
	trouble := func(apply bool) func(string, int) (bool, error) {
		return func(_ string, try int) (bool, error) {
			if try == 1 {
				return apply, errors.New("connection reset")
			}
			return true, nil
		}
	}
	for name, apply := range map[string]bool{"applied": true, "not applied": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.cloud.trouble = trouble(apply)
				e, _, _ := f.replica("a")
				r := f.start(e, request(jobs(1)...))
				r = f.until(r.ID, time.Minute, over)
				if r.End.Result != rollout.Succeeded || len(f.cloud.doubled()) > 0 || len(f.cloud.applied) != 1 {
					t.Errorf("%s, applied %v", r.End.Result, f.cloud.applied)
				}
			})
		})
	}
}

// The control of the test above: an action that cannot find its effect does apply it twice, so the
// test would notice an engine that does not look.
func TestAppliedYetAnErrorControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		task := rollout.Task{Key: rollout.Key{Rollout: "r", Step: "1.1", Attempt: 1}}
		for range 2 {
			if _, err := c.Start(t.Context(), task); err != nil {
				t.Fatal(err)
			}
		}
		if len(c.doubled()) != 1 {
			t.Error("a doubled effect goes unnoticed")
		}
	})
}

func TestAbortWhileAStepRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.cloud.lasting["1.1"] = true
		e, _, _ := f.replica("a")
		r := f.start(e, request(jobs(2)...))
		f.until(r.ID, 5*time.Second, func(r rollout.Rollout) bool { return r.Phases[0].Steps[0].Handle != "" })
		by := rollout.Actor{ID: "U2", Name: "oncall"}
		if _, err := e.Tell(t.Context(), r.ID, rollout.Event{At: time.Now().UTC(), Kind: rollout.Said, Verb: rollout.VerbAbort, By: &by, Reason: "wrong image"}); err != nil {
			t.Fatal(err)
		}
		r = f.until(r.ID, 5*time.Second, over)
		if r.End.Result != rollout.Aborted || r.End.Reason != "oncall stopped it: wrong image." {
			t.Errorf("%+v", r.End)
		}
		if want := []string{r.ID + "/1.1/1"}; !slices.Equal(f.cloud.cancels, want) {
			t.Errorf("cancelled %v, want %v", f.cloud.cancels, want)
		}
		if f.cloud.applied[r.ID+"/1.2/1"] > 0 {
			t.Error("the next step was started after the abort")
		}
	})
}

func TestTimeoutCancelsAndFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.cloud.lasting["1.1"] = true
		e, _, _ := f.replica("a")
		r := f.start(e, request(jobs(1)...))
		r = f.until(r.ID, 2*time.Minute, over)
		s := r.Phases[0].Steps[0]
		if r.End.Result != rollout.Failed || s.Note != "Took longer than 1m. Last: Working." || len(f.cloud.cancels) != 1 {
			t.Errorf("%s: %q, cancelled %v", r.End.Result, s.Note, f.cloud.cancels)
		}
	})
}

// While Redis is away nothing new is started; when it is back the rollout goes on.
func TestRedisAwayStopsBeforeTheNextEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		e, store, _ := f.replica("a")
		r := f.start(e, request(jobs(3)...))
		f.until(r.ID, 5*time.Second, func(r rollout.Rollout) bool { return r.Phases[0].Steps[0].Handle != "" })
		store.sever(true)
		time.Sleep(30 * time.Second)
		if n := len(f.cloud.applied); n != 1 {
			t.Errorf("%d effects while Redis was away, want the one that was under way", n)
		}
		store.sever(false)
		r = f.until(r.ID, time.Minute, over)
		if r.End.Result != rollout.Succeeded || len(f.cloud.doubled()) > 0 {
			t.Errorf("%s, applied %v", r.End.Result, f.cloud.applied)
		}
	})
}

// Redis' clock counts for leases and deadlines in the store; a replica whose own clock is hours off
// still waits as long as the plan says, and no longer.
func TestClockSkew(t *testing.T) {
	for _, skew := range []time.Duration{-2 * time.Hour, 0, 2 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				ctx, cancel := context.WithCancel(t.Context())
				ticking := make(chan struct{})
				f.redis.SetTime(time.Now().Add(skew))
				go func() {
					defer close(ticking)
					for ctx.Err() == nil {
						time.Sleep(250 * time.Millisecond)
						f.redis.SetTime(time.Now().Add(skew))
					}
				}()
				t.Cleanup(func() { cancel(); <-ticking })
				e, _, _ := f.replica("a")
				f.replica("b")
				steps := append(jobs(1), &plan.Step{Name: "wait", Kind: plan.KindWait, Wait: plan.Duration(5 * time.Minute), Timeout: plan.Duration(6 * time.Minute)})
				began := time.Now()
				r := f.start(e, request(append(steps, jobs(1)...)...))
				r = f.until(r.ID, 10*time.Minute, over)
				took := time.Since(began)
				if r.End.Result != rollout.Succeeded || len(f.cloud.doubled()) > 0 || took < 5*time.Minute || took > 5*time.Minute+15*time.Second {
					t.Errorf("%s after %s, applied %v", r.End.Result, took, f.cloud.applied)
				}
			})
		})
	}
}
