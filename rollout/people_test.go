package rollout

import (
	"testing"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// withBaseline gives the old revision of a test rollout a rate: so many errors of 1672 requests.
func withBaseline(r Rollout, errors int64) Rollout {
	s := r.Services["backend"]
	s.Baseline = &Baseline{Requests: 1672, Errors: errors}
	r.Services["backend"] = s
	return r
}

// failGate makes the gate of the test plan fail with 40 errors of 133 requests.
func (w *world) failGate(r Rollout) Rollout {
	w.t.Helper()
	o := Outcome{State: FailedState, Note: "Errors are too many.", Gate: &Gate{Counts: verdict.Counts{Requests: 133, Errors: 40}}}
	s, _ := r.Step("3.3")
	if s.Status != StepRunning {
		w.t.Fatalf("the gate is %s: %s", s.Status, statuses(r))
	}
	return w.drive(w.apply(r, Event{At: w.now, Kind: StepEnded, Step: s.ID, Attempt: s.Attempt, Outcome: &o}))
}

// toGate drives a rollout until its gate runs.
func (w *world) toGate(r Rollout) Rollout {
	w.t.Helper()
	r = w.drive(r)
	r = w.say(r, VerbApprove, approver)
	for range 50 {
		d := Next(r, w.now)
		if s, _ := r.Step("3.3"); s.Status == StepRunning {
			return r
		}
		switch {
		case len(d.Events) > 0:
			r = w.apply(r, d.Events[0])
		case len(d.Start) > 0:
			s, _ := r.Step(d.Start[0])
			r = w.apply(r, Event{At: w.now, Kind: StepStarted, Step: s.ID, Attempt: s.Attempt + 1})
		case len(d.Follow) > 0:
			r = w.end(r, d.Follow)
		}
	}
	w.t.Fatal("the gate is never reached")
	return r
}

// When the old revision is proven to be the worse one, nothing goes back to it by itself: not on a
// FAIL, and not when nobody answers.
func TestOldRevisionIsTheWorseOne(t *testing.T) {
	start := func(t *testing.T) (*world, Rollout) {
		w := &world{t: t, now: t0}
		r := w.failGate(w.toGate(withBaseline(newTest(plan.OnFailureRollback), 1204)))
		ask := r.openAsk()
		if ask == nil || ask.Kind != AskDecision || ask.Default != VerbHold || r.Services["backend"].Percent != 10 {
			t.Fatalf("it should hold and ask: %+v at %d%%", r.Asks, r.Services["backend"].Percent)
		}
		return w, r
	}
	t.Run("nobody answers", func(t *testing.T) {
		w, r := start(t)
		w.now = w.now.Add(decisionTime)
		if r = w.drive(r); r.End == nil || r.End.Result == RolledBack || r.Services["backend"].Percent != 10 {
			t.Errorf("%+v at %d%%", r.End, r.Services["backend"].Percent)
		}
	})
	t.Run("the plan insists", func(t *testing.T) {
		w := &world{t: t, now: t0}
		r := w.drive(w.failGate(w.toGate(withBaseline(newTest(plan.OnFailureInsist), 1204))))
		if r.End == nil || r.End.Result != RolledBack || len(r.Asks) != 1 || r.Services["backend"].Percent != 0 {
			t.Errorf("it should go back unasked: %+v, %+v at %d%%", r.End, r.Asks, r.Services["backend"].Percent)
		}
	})
	t.Run("a person chooses the old one", func(t *testing.T) {
		w, r := start(t)
		if r = w.drive(w.say(r, VerbRollback, deployer)); r.End == nil || r.End.Result != RolledBack || r.Services["backend"].Percent != 0 {
			t.Errorf("%+v at %d%%", r.End, r.Services["backend"].Percent)
		}
	})
	t.Run("a stop asks first", func(t *testing.T) {
		w := &world{t: t, now: t0}
		r := w.toGate(withBaseline(newTest(plan.OnFailureRollback), 1204))
		s, _ := r.Step("3.3")
		r = w.apply(r, Event{At: w.now, Kind: StepProgress, Step: s.ID, Attempt: s.Attempt, Outcome: &Outcome{State: StillRunning, Gate: &Gate{Counts: verdict.Counts{Requests: 50}}}})
		r = w.drive(w.say(r, VerbAbort, deployer))
		if ask := r.openAsk(); ask == nil || ask.Default != VerbHold || r.Stop != nil {
			t.Fatalf("it should ask: %+v", r.Asks)
		}
		if r = w.drive(w.say(r, VerbRollback, deployer)); r.End == nil || r.End.Result != RolledBack {
			t.Errorf("%+v", r.End)
		}
	})
	t.Run("control: a healthy old revision gets the traffic back", func(t *testing.T) {
		w := &world{t: t, now: t0}
		r := w.failGate(w.toGate(withBaseline(newTest(plan.OnFailureRollback), 8)))
		if r.End == nil || r.End.Result != RolledBack {
			t.Errorf("%+v", r.End)
		}
	})
}

// After a step that cannot be undone, a FAIL asks instead of going back.
func TestRollbackSafeFalse(t *testing.T) {
	for name, unsafe := range map[string]bool{"a migration ran": true, "control": false} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, now: t0}
			r := newTest(plan.OnFailureRollback)
			safe := !unsafe
			r.Phases[0].Steps[1].Spec.RollbackSafe = &safe
			r = w.failGate(w.toGate(withBaseline(r, 8)))
			asked := r.openAsk() != nil
			if asked != unsafe || unsafe && r.Unsafe() != "tests" {
				t.Errorf("asked %v, unsafe %q: %s", asked, r.Unsafe(), statuses(r))
			}
		})
	}
}

func TestPause(t *testing.T) {
	w := &world{t: t, now: t0}
	r := w.toGate(newTest(plan.OnFailureRollback))
	r = w.apply(r, Event{At: w.now, Kind: Said, Verb: VerbPause, By: &deployer, Reason: "lunch"})
	r = w.drive(r) // the gate ends; nothing follows
	if s, _ := r.Step("3.3"); s.Status != StepPassed || r.Status != Waiting || r.Services["backend"].Percent != 10 {
		t.Fatalf("%s at %d%%: %s", r.Status, r.Services["backend"].Percent, statuses(r))
	}
	if d := Next(r, w.now); !d.Park || !d.Wake.Equal(t0.Add(pauseTime)) || r.openAsk().Question != "deployer paused it: lunch." {
		t.Errorf("park %v until %s, %q", d.Park, d.Wake, r.openAsk().Question)
	}
	if _, err := Apply(r, Event{At: w.now, Kind: Said, Verb: VerbPause, By: &deployer}); err == nil {
		t.Error("it was paused twice")
	}
	resumed := w.drive(w.say(r, VerbResume, deployer))
	if resumed.End == nil || resumed.End.Result != Succeeded {
		t.Errorf("resumed: %+v", resumed.End)
	}
	w.now = t0.Add(pauseTime)
	if expired := w.drive(r); expired.End == nil || expired.End.Result != RolledBack {
		t.Errorf("nobody resumed it: %+v", expired.End)
	}
}

func TestStopHereLeavesTheTraffic(t *testing.T) {
	w := &world{t: t, now: t0}
	r := w.toGate(newTest(plan.OnFailureRollback))
	r = w.drive(w.apply(r, Event{At: w.now, Kind: Said, Verb: VerbHold, By: &deployer}))
	if r.End == nil || r.End.Result != Aborted || r.Services["backend"].Percent != 10 {
		t.Errorf("%+v at %d%%", r.End, r.Services["backend"].Percent)
	}
}

func TestManualAndWait(t *testing.T) {
	p := &plan.Plan{Name: "p", Phases: []*plan.Phase{{Name: "All", Steps: []*plan.Step{
		{Name: "warm up", Kind: plan.KindWait, Wait: plan.Duration(5 * time.Minute), Timeout: plan.Duration(6 * time.Minute)},
		{Name: "tell support", Kind: plan.KindManual, Manual: "Tell support.", Timeout: plan.Duration(time.Hour)},
	}}}}
	env := &plan.Environment{Name: "staging"}
	start := func() Rollout {
		r, _ := New(Request{Token: "t", Environment: env, Plan: p, By: deployer, At: t0}, "abc234", map[string]Service{})
		return r
	}
	w := &world{t: t, now: t0}
	r := w.drive(start())
	if d := Next(r, t0); !d.Park || !d.Wake.Equal(t0.Add(5*time.Minute)) {
		t.Fatalf("a wait needs no lease: park %v until %s", d.Park, d.Wake)
	}
	w.now = t0.Add(5 * time.Minute)
	r = w.drive(r)
	if s, _ := r.Step("1.2"); s.Status != StepWaiting || r.openAsk().Question != "Tell support." {
		t.Fatalf("%s, %+v", s.Status, r.Asks)
	}
	done := w.drive(w.say(r, VerbConfirm, approver))
	if s, _ := done.Step("1.2"); done.End == nil || done.End.Result != Succeeded || s.Note != "Confirmed by approver." {
		t.Errorf("%+v, %q", done.End, s.Note)
	}
	w.now = w.now.Add(time.Hour)
	if late := w.drive(r); late.End == nil || late.End.Result != Aborted {
		t.Errorf("nobody did it: %+v", late.End)
	}
}

// An image that failed the last time asks before it goes out again.
func TestFailedBefore(t *testing.T) {
	w := &world{t: t, now: t0}
	failed := w.failGate(w.toGate(withBaseline(newTest(plan.OnFailureRollback), 8)))
	good := w.drive(w.say(w.drive(newTest(plan.OnFailureRollback)), VerbApprove, approver))
	rejected := w.drive(w.say(w.drive(newTest(plan.OnFailureRollback)), VerbReject, approver))
	services := map[string]Service{"backend": {Name: "backend", Image: Image{Repository: "r", Tag: "develop", Digest: "sha256:3f9a1c2d"}}}
	for _, r := range []Rollout{failed, good, rejected} {
		s := r.Services["backend"]
		s.Image = services["backend"].Image
		r.Services["backend"] = s
	}
	back := Rollout{Kind: Rollback, By: deployer, Lock: Lock{Reason: "users complain"}, End: &End{Result: Succeeded, At: t0},
		Services: map[string]Service{"backend": {OldImage: "r@sha256:3f9a1c2d"}}}
	other := back
	other.Services = map[string]Service{"backend": {OldImage: "r@sha256:other"}}
	for _, tt := range []struct {
		name string
		past []Rollout
		asks string
	}{
		{"it was rolled back", []Rollout{failed}, "develop@3f9a1c2 of backend was rolled back at Nov 22 10:00 UTC: Errors are too many. Deploy it again?"},
		{"it was rolled back, but passed since", []Rollout{good, failed}, ""},
		{"it passed, and a person rolled it back", []Rollout{back, good}, "develop@3f9a1c2 of backend was rolled back by deployer at Nov 22 10:00 UTC: users complain. Deploy it again?"},
		{"a person rolled another image back", []Rollout{other, good}, ""},
		{"a person rejected it: that says nothing of the image", []Rollout{rejected}, ""},
		{"never seen", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sentences := failedBefore(tt.past, services)
			r, _ := New(Request{Token: "t2", Environment: &failed.Environment, Plan: testPlan(plan.OnFailureRollback), By: deployer, At: t0, FailedBefore: sentences}, "abc235", services)
			r = w.drive(r)
			question := ""
			if ask := r.openAsk(); ask.Kind == AskManual {
				question = ask.Question
			}
			if question != tt.asks {
				t.Errorf("asked %q, want %q", question, tt.asks)
			}
		})
	}
}

func TestRollbackOfItsOwn(t *testing.T) {
	env := &plan.Environment{Name: "staging", Lock: plan.LockEnvironment}
	services := map[string]Service{"backend": {Name: "backend", Stable: Revision{Name: "backend-00042-xyz"}, Candidate: Revision{Name: "backend-00041-abc"}}}
	start := func() Rollout {
		r, _ := NewRollback(RollbackRequest{Token: "t", Target: plan.Target{Environment: "staging"}, Environment: env, By: deployer, Reason: "errors", At: t0}, "abc234", services)
		return r
	}
	w := &world{t: t, now: t0}
	r := w.drive(start())
	if r.End == nil || r.End.Result != Succeeded {
		t.Fatalf("%+v: %s", r.End, statuses(r))
	}
	lock := r.LockAfter()
	if lock == nil || lock.Target.String() != "staging" || lock.Reason != "backend rolled back from backend-00042-xyz to backend-00041-abc: errors." {
		t.Errorf("the target is left with %+v", lock)
	}
	w.outcome = map[string]OutcomeState{"backend to backend-00041-abc": FailedState}
	stuck := w.drive(start())
	if ask := stuck.openAsk(); ask == nil || stuck.LockAfter() != nil {
		t.Errorf("a rollback that cannot be done has to ask: %+v", stuck.End)
	}
	if s, _ := stuck.Step("1.1"); s.Attempt != 6 {
		t.Errorf("%d attempts, want 6", s.Attempt)
	}
}

func TestLastGood(t *testing.T) {
	past := func(result Result, stable, candidate string) Rollout {
		return Rollout{End: &End{Result: result}, Services: map[string]Service{"backend": {Stable: Revision{Name: stable}, Candidate: Revision{Name: candidate}}}}
	}
	back := func(from, to string) Rollout {
		r := past(Succeeded, from, to)
		r.Kind = Rollback
		return r
	}
	for _, tt := range []struct {
		name    string
		past    []Rollout
		serving string
		want    string
	}{
		{"nothing known", nil, "c", ""},
		{"the one before the serving one passed", []Rollout{past(Succeeded, "b", "c"), past(Succeeded, "a", "b")}, "c", "b"},
		{"the one before was never rolled out by us", []Rollout{past(Succeeded, "a", "b")}, "b", "a"},
		{"a failed one is no way back", []Rollout{past(Succeeded, "b", "d"), past(RolledBack, "b", "c"), past(Succeeded, "a", "b")}, "d", "b"},
		{"not the one that was rolled back", []Rollout{back("c", "b"), past(Succeeded, "b", "c"), past(Succeeded, "a", "b")}, "b", "a"},
		{"someone else's revision serves", []Rollout{past(Succeeded, "a", "b")}, "z", "b"},
	} {
		if got := lastGood(tt.past, "backend", tt.serving); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Whether a step that may not be repeated has happened is for people to find out.
func TestUnknownEndAsks(t *testing.T) {
	for label, asks := range map[string]bool{LabelUnknownEnd: true, "exit": false} {
		w := &world{t: t, now: t0}
		r := newTest(plan.OnFailureRollback)
		r = w.apply(r, Next(r, t0).Events[0])
		r = w.apply(r, Event{At: t0, Kind: StepStarted, Step: "1.2", Attempt: 1})
		r = w.apply(r, Event{At: t0, Kind: StepEnded, Step: "1.2", Attempt: 1, Outcome: &Outcome{State: FailedState, Label: label, Note: "Did it happen?"}})
		if asked := r.openAsk() != nil; asked != asks {
			t.Errorf("%s: asked %v", label, asked)
		}
	}
}

// Someone else's change between two shifts: the way back would take their revision out of service, so
// people decide. A shift that its precondition refused has moved nothing.
func TestSomeoneElseMovedTheTraffic(t *testing.T) {
	refuse := func(w *world, r Rollout, id string) Rollout {
		s, _ := r.Step(id)
		o := Outcome{State: FailedState, Label: LabelChanged, Note: "backend was changed by someone else."}
		return w.drive(w.apply(r, Event{At: w.now, Kind: StepEnded, Step: id, Attempt: s.Attempt + 1, Outcome: &o}))
	}
	t.Run("before the first shift", func(t *testing.T) {
		w := &world{t: t, now: t0}
		r := w.say(w.drive(newTest(plan.OnFailureRollback)), VerbApprove, approver)
		r = w.apply(r, Event{At: w.now, Kind: StepStarted, Step: "3.1", Attempt: 1})
		r = w.end(r, []string{"3.1"})
		if r = refuse(w, r, "3.2"); r.End == nil || r.End.Result != Failed || len(r.Moved()) > 0 {
			t.Errorf("%+v, moved %v", r.End, r.Moved())
		}
	})
	t.Run("between two shifts", func(t *testing.T) {
		w := &world{t: t, now: t0}
		r := w.toGate(newTest(plan.OnFailureRollback))
		r = refuse(w, w.end(r, []string{"3.3"}), "3.4")
		if ask := r.openAsk(); ask == nil || ask.Default != VerbHold {
			t.Fatalf("it should ask and stay: %+v", r.Asks)
		}
		w.now = w.now.Add(decisionTime)
		if r = w.drive(r); r.End == nil || r.End.Result == RolledBack || r.Services["backend"].Percent != 10 {
			t.Errorf("%+v at %d%%", r.End, r.Services["backend"].Percent)
		}
	})
}

// A gate that is given more time has all of it, however long the question stood.
func TestExtendCountsFromTheAnswer(t *testing.T) {
	w := &world{t: t, now: t0}
	r := w.toGate(newTest(plan.OnFailureRollback))
	s, _ := r.Step("3.3")
	w.now = s.Started.Add(gateSpec().Budget.D())
	r = w.drive(w.apply(r, Event{At: w.now, Kind: StepEnded, Step: s.ID, Attempt: s.Attempt, Outcome: &Outcome{State: Inconclusive, Note: "Not enough traffic."}}))
	w.now = w.now.Add(decisionTime - time.Minute)
	r = w.say(r, VerbExtend, deployer)
	s, _ = r.Step("3.3")
	end := s.Started.Add(gateSpec().Budget.D() + s.Extra.D())
	if left := end.Sub(w.now); s.Status != StepRunning || left != ExtraTime {
		t.Errorf("%s with %s left, want %s", s.Status, left, ExtraTime)
	}
}
