package rollout

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slipway/plan"
)

var (
	deployer = Actor{ID: "U1", Name: "deployer"}
	approver = Actor{ID: "U2", Name: "approver"}
)

// testPlan has every shape that matters to Apply and Next: done, approval, an ordered phase that
// moves traffic, and a parallel one.
func testPlan(onFailure plan.OnFailure) *plan.Plan {
	step := func(name string, s plan.Step) *plan.Step {
		s.Name, s.Timeout = name, plan.Duration(time.Minute)
		return &s
	}
	job := func(name string) *plan.Step {
		return step(name, plan.Step{Kind: plan.KindJob, Job: &plan.Job{Name: name, Service: "backend"}})
	}
	return &plan.Plan{Name: "staging", OnFailure: onFailure, Phases: []*plan.Phase{
		{Name: "Before", Steps: []*plan.Step{step("ready", plan.Step{Kind: plan.KindDone, Done: "b167be870"}), job("tests")}},
		{Name: "Approval", Steps: []*plan.Step{step("approve", plan.Step{Kind: plan.KindApproval, Approval: &plan.Approval{Required: 1, Approvers: []string{"@release-managers"}, Expires: plan.Duration(30 * time.Minute)}})}},
		{Name: "Deployment", Steps: []*plan.Step{
			step("deploy", plan.Step{Kind: plan.KindDeploy, Deploy: &plan.ServiceStep{Service: "backend"}}),
			step("10%", plan.Step{Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: "backend", Percent: 10}}),
			step("gate", plan.Step{Kind: plan.KindErrorRate, ErrorRate: gateSpec()}),
			step("100%", plan.Step{Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: "backend", Percent: 100}}),
		}},
		{Name: "After", Parallel: true, Steps: []*plan.Step{job("integration"), job("e2e"), job("golden path")}},
	}}
}

func newTest(onFailure plan.OnFailure) Rollout {
	env := &plan.Environment{Name: "staging", Deployers: []string{"@backend"}, TrafficAfter: plan.TrafficLatest, Services: []*plan.Service{{Name: "backend"}}}
	r, _ := New(Request{
		Token: "t", Target: plan.Target{Environment: "staging"}, Environment: env, Plan: testPlan(onFailure), By: deployer, At: t0,
	}, "abc234", map[string]Service{"backend": {Name: "backend", Stable: Revision{Name: "backend-00041"}}})
	return r
}

// world answers what the engine would hear: how each step's attempt ends, by name. Steps that are
// not listed pass.
type world struct {
	t       *testing.T
	outcome map[string]OutcomeState
	now     time.Time
	seen    func(Rollout) // is shown each state; nil: nobody looks
}

// drive does what the engine does, until the rollout ends or waits for a person.
func (w *world) drive(r Rollout) Rollout {
	w.t.Helper()
	if w.now.IsZero() {
		w.now = t0
	}
	for range 200 {
		d := Next(r, w.now)
		switch {
		case len(d.Events) > 0:
			r = w.apply(r, d.Events[0])
		case len(d.Cancel) > 0:
			c := d.Cancel[0]
			s, _ := r.Step(c.Step)
			r = w.apply(r, Event{At: w.now, Kind: StepEnded, Step: c.Step, Attempt: s.Attempt, Outcome: &c.Outcome})
		case len(d.Start) > 0:
			for _, id := range d.Start {
				s, _ := r.Step(id)
				r = w.apply(r, Event{At: w.now, Kind: StepStarted, Step: id, Attempt: s.Attempt + 1})
			}
		case len(d.Follow) > 0:
			r = w.end(r, d.Follow)
		default:
			return r
		}
	}
	w.t.Fatal("the rollout neither ends nor waits")
	return r
}

// end finishes one of the steps that are under way, those with a scripted outcome first.
func (w *world) end(r Rollout, follow []string) Rollout {
	slices.SortStableFunc(follow, func(a, b string) int {
		sa, _ := r.Step(a)
		sb, _ := r.Step(b)
		return strings.Compare(string(w.outcome[sb.Spec.Name]), string(w.outcome[sa.Spec.Name]))
	})
	s, _ := r.Step(follow[0])
	state := w.outcome[s.Spec.Name]
	if state == "" {
		state = Passed
	}
	o := Outcome{State: state, Note: "note of " + s.Spec.Name + "."}
	if t := s.Spec.Traffic; t != nil && state == Passed {
		percent := t.Percent
		if t.To == plan.ToStable {
			percent = 0
		}
		o.Change = &ServiceChange{Service: "backend", Percent: &percent}
	}
	return w.apply(r, Event{At: w.now, Kind: StepEnded, Step: s.ID, Attempt: s.Attempt, Outcome: &o})
}

func (w *world) apply(r Rollout, e Event) Rollout {
	w.t.Helper()
	next, err := Apply(r, e)
	if err != nil {
		w.t.Fatalf("%s %s: %v", e.Kind, e.Step, err)
	}
	if w.seen != nil {
		w.seen(next)
	}
	return next
}

func (w *world) say(r Rollout, verb Verb, by Actor) Rollout {
	w.t.Helper()
	ask := ""
	if a := r.openAsk(); a != nil && verb != VerbAbort {
		ask = a.ID
	}
	return w.apply(r, Event{At: w.now, Kind: Said, Verb: verb, Ask: ask, By: &by})
}

func statuses(r Rollout) string {
	var list []string
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			list = append(list, s.Spec.Name+"="+string(s.Status))
		}
	}
	return strings.Join(list, " ")
}

func TestRolloutThatGoesWell(t *testing.T) {
	w := &world{t: t}
	r := w.drive(newTest(plan.OnFailureRollback))
	if r.Status != Waiting {
		t.Fatalf("status %s before the approval, want waiting: %s", r.Status, statuses(r))
	}
	if d := Next(r, t0); !d.Park || !d.Wake.Equal(t0.Add(30*time.Minute)) {
		t.Errorf("while it waits: park=%v wake=%s; a waiting rollout needs no lease until the ask's deadline", d.Park, d.Wake)
	}
	r = w.drive(w.say(r, VerbApprove, approver))
	if r.End == nil || r.End.Result != Succeeded || r.Services["backend"].Percent != 100 {
		t.Fatalf("end %+v at %d%%: %s", r.End, r.Services["backend"].Percent, statuses(r))
	}
	if r.Phases[len(r.Phases)-1].Name != PhaseHandOver {
		t.Error("traffic was not handed over to LATEST")
	}
}

func TestHowRolloutsEnd(t *testing.T) {
	failing := func(step string) map[string]OutcomeState { return map[string]OutcomeState{step: FailedState} }
	tests := []struct {
		name      string
		onFailure plan.OnFailure
		outcome   map[string]OutcomeState
		say       []Verb // after each wait
		result    Result
		percent   int
		contains  string
	}{
		{"a check fails before anything moved", plan.OnFailureRollback, failing("tests"), nil, Failed, 0, "approve=skipped"},
		{"rejected", plan.OnFailureRollback, nil, []Verb{VerbReject}, Aborted, 0, "deploy=skipped"},
		{"nobody answers", plan.OnFailureRollback, nil, []Verb{""}, Aborted, 0, "deploy=skipped"},
		{"aborted while it waits", plan.OnFailureRollback, nil, []Verb{VerbAbort}, Aborted, 0, "deploy=skipped"},
		{"the candidate does not start", plan.OnFailureRollback, failing("deploy"), []Verb{VerbApprove}, Failed, 0, "10%=skipped"},
		{"the gate fails at 10%", plan.OnFailureRollback, failing("gate"), []Verb{VerbApprove}, RolledBack, 0, "100%=skipped integration=skipped"},
		{"a parallel step fails: its siblings are cancelled", plan.OnFailureRollback, failing("e2e"), []Verb{VerbApprove}, RolledBack, 0, "integration=cancelled e2e=failed golden path=cancelled"},
		{"the shift itself fails", plan.OnFailureRollback, failing("10%"), []Verb{VerbApprove}, RolledBack, 0, "10%=failed"},
		{"inconclusive, then nobody decides", plan.OnFailureRollback, map[string]OutcomeState{"gate": Inconclusive}, []Verb{VerbApprove, ""}, RolledBack, 0, "gate=inconclusive"},
		{"inconclusive, shipped without evidence", plan.OnFailureRollback, map[string]OutcomeState{"gate": Inconclusive}, []Verb{VerbApprove, VerbContinue}, Succeeded, 100, "gate=inconclusive 100%=passed"},
		{"fails and asks: stop here", plan.OnFailureAsk, failing("gate"), []Verb{VerbApprove, VerbHold}, Failed, 10, "gate=failed"},
		{"fails and asks: roll back", plan.OnFailureAsk, failing("gate"), []Verb{VerbApprove, VerbRollback}, RolledBack, 0, "gate=failed"},
		{"fails and pauses; nobody decides", plan.OnFailurePause, failing("gate"), []Verb{VerbApprove, ""}, RolledBack, 0, "gate=failed"},
		{"traffic cannot be brought back", plan.OnFailureRollback, map[string]OutcomeState{"gate": FailedState, "backend back to the old revision": FailedState}, []Verb{VerbApprove}, Failed, 10, "backend back to the old revision=failed"},
		{"handing over fails: reported, nothing is undone", plan.OnFailureRollback, failing("backend follows LATEST again"), []Verb{VerbApprove}, Succeeded, 100, "LATEST again=failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{t: t, outcome: tt.outcome}
			r := w.drive(newTest(tt.onFailure))
			for _, verb := range tt.say {
				if verb == "" {
					w.now = w.now.Add(31 * time.Minute)
				} else {
					r = w.say(r, verb, approver)
				}
				r = w.drive(r)
			}
			if r.End == nil || r.End.Result != tt.result {
				t.Fatalf("end %+v, want %s: %s", r.End, tt.result, statuses(r))
			}
			if got := r.Services["backend"].Percent; got != tt.percent {
				t.Errorf("%d%% on the new revision, want %d%%", got, tt.percent)
			}
			if !strings.Contains(statuses(r), tt.contains) {
				t.Errorf("%q is not in %s", tt.contains, statuses(r))
			}
		})
	}
}

func TestRetryAfterAskStartsCancelledSiblingsAnew(t *testing.T) {
	w := &world{t: t, outcome: map[string]OutcomeState{"e2e": FailedState}}
	r := w.drive(w.say(w.drive(newTest(plan.OnFailureAsk)), VerbApprove, approver))
	w.outcome = nil
	r = w.drive(w.say(r, VerbRetry, deployer))
	if r.End == nil || r.End.Result != Succeeded {
		t.Fatalf("end %+v: %s", r.End, statuses(r))
	}
	for _, name := range []string{"e2e", "golden path"} {
		for _, p := range r.Phases {
			for _, s := range p.Steps {
				if s.Spec.Name == name && s.Attempt != 2 {
					t.Errorf("%s took %d attempts, want 2", name, s.Attempt)
				}
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	w := &world{t: t}
	waiting := w.drive(newTest(plan.OnFailureRollback))
	approved := w.say(waiting, VerbApprove, approver)
	ended := w.drive(approved)
	said := func(verb Verb, ask string, by Actor) Event {
		return Event{At: t0, Kind: Said, Verb: verb, Ask: ask, By: &by}
	}
	tests := []struct {
		name string
		r    Rollout
		e    Event
		want string
	}{
		{"one's own rollout", waiting, said(VerbApprove, "2.1", deployer), "someone else has to approve it"},
		{"a second approval", approved, said(VerbApprove, "2.1", approver), "already answered: approve by {@U2}"},
		{"reject after approve", approved, said(VerbReject, "2.1", approver), "already answered"},
		{"an unknown question", waiting, said(VerbApprove, "9.9", approver), "no such question"},
		{"not one of the answers", waiting, said(VerbExtend, "2.1", approver), "not an answer"},
		{"a finished rollout", ended, said(VerbAbort, "", deployer), "it succeeded"},
		{"a step that has not begun", waiting, Event{At: t0, Kind: StepHandled, Step: "3.1", Attempt: 1}, "pending at attempt 0"},
		{"a step out of order", waiting, Event{At: t0, Kind: StepStarted, Step: "3.1", Attempt: 1}, "pending at attempt 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			after, err := Apply(tt.r, tt.e)
			var refusal *Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, tt.want) {
				t.Errorf("got %v, want a refusal with %q", err, tt.want)
			}
			if after.Events != tt.r.Events {
				t.Error("a refused event changed the rollout")
			}
		})
	}
}

// Whatever people and the world do in whatever order: no step starts once the plan is left but the
// way back, traffic that moved is brought back unless someone chose to hold it, every rollout ends
// once time passes, and nothing is called a success that stopped on the way.
func TestApplyAndNextAlwaysEndWell(t *testing.T) {
	states := []OutcomeState{Passed, Passed, Passed, FailedState, Inconclusive}
	verbs := []Verb{VerbApprove, VerbReject, VerbAbort, VerbRollback, VerbRetry, VerbExtend, VerbContinue, VerbHold, VerbPause, VerbResume}
	rapid.Check(t, func(t *rapid.T) {
		r := newTest(rapid.SampledFrom([]plan.OnFailure{plan.OnFailureRollback, plan.OnFailureAsk, plan.OnFailurePause}).Draw(t, "on_failure"))
		now, held := t0, false
		for range 400 {
			if r.Status == Ended {
				break
			}
			d := Next(r, now)
			var e Event
			switch {
			case len(d.Events) > 0:
				e = d.Events[0]
			case len(d.Cancel) > 0:
				s, _ := r.Step(d.Cancel[0].Step)
				e = Event{At: now, Kind: StepEnded, Step: s.ID, Attempt: s.Attempt, Outcome: &d.Cancel[0].Outcome}
			case rapid.IntRange(0, 9).Draw(t, "person") == 0:
				verb := rapid.SampledFrom(verbs).Draw(t, "verb")
				e = Event{At: now, Kind: Said, Verb: verb, By: &approver}
				if a := r.openAsk(); a != nil && verb != VerbAbort && verb != VerbPause && rapid.Bool().Draw(t, "answer") {
					e.Ask = a.ID
				}
			case len(d.Start) > 0:
				id := rapid.SampledFrom(d.Start).Draw(t, "start")
				s, phase := r.Step(id)
				if r.Stop != nil && phase.Name != PhaseReturn {
					t.Fatalf("%s starts after the plan was left", s.Spec.Name)
				}
				e = Event{At: now, Kind: StepStarted, Step: id, Attempt: s.Attempt + 1}
			case len(d.Follow) > 0:
				s, phase := r.Step(rapid.SampledFrom(d.Follow).Draw(t, "end"))
				state := rapid.SampledFrom(states).Draw(t, "outcome")
				if phase.Name == PhaseReturn {
					state = Passed
				}
				o := &Outcome{State: state, Note: "note."}
				if tr := s.Spec.Traffic; tr != nil && state == Passed {
					percent := tr.Percent
					if tr.To == plan.ToStable {
						percent = 0
					}
					o.Change = &ServiceChange{Service: "backend", Percent: &percent}
				}
				e = Event{At: now, Kind: StepEnded, Step: s.ID, Attempt: s.Attempt, Outcome: o}
			default:
				if d.Wake.IsZero() {
					t.Fatalf("it waits for nothing: %s", statuses(r))
				}
				now = d.Wake
				continue
			}
			next, err := Apply(r, e)
			var refusal *Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Fatal(err)
			}
			if err == nil && e.Verb == VerbHold {
				held = true
			}
			if err != nil && e.Kind != Said {
				t.Fatalf("%s, which Next asked for, is refused: %v", e.Kind, err)
			}
			r = next
		}
		if r.Status != Ended {
			t.Fatalf("no end after 400 events: %s", statuses(r))
		}
		percent := r.Services["backend"].Percent
		if r.End.Result != Succeeded && percent > 0 && !held {
			t.Fatalf("%s with %d%% left on the new revision: %s", r.End.Result, percent, statuses(r))
		}
		if r.End.Result == Succeeded && percent != 100 {
			t.Fatalf("succeeded with %d%%: %s", percent, statuses(r))
		}
	})
}
