package rollout

import (
	"maps"
	"slices"
	"testing"
	"time"

	"slipway/plan"
)

// underway is a rollout of two services in the middle of it: of backend 10% of the traffic is on the new revision,
// and its gates are the current and the last step; auth has not begun.
func underway() Rollout {
	gate := func(service string, status StepStatus) Step {
		return Step{Status: status, Spec: plan.Step{Kind: plan.KindErrorRate, ErrorRate: &plan.ErrorRate{Gate: plan.Gate{Service: service}}}}
	}
	shift := func(service string, percent int, status StepStatus, ended time.Time) Step {
		traffic := &plan.Traffic{Service: service, Percent: percent}
		return Step{Status: status, Ended: ended, Applied: !ended.IsZero(), Spec: plan.Step{Kind: plan.KindTraffic, Traffic: traffic}}
	}
	logs := Step{Status: StepPending, Spec: plan.Step{Kind: plan.KindNoLogs, NoLogs: &plan.NoLogs{Service: "backend"}}}
	r := Rollout{
		Status: Running,
		Services: map[string]Service{
			"backend": {Name: "backend", Candidate: Revision{Name: "backend-sabc-1"}, Percent: 10, ShiftedAt: t0.Add(5 * time.Minute)},
			"auth":    {Name: "auth", Candidate: Revision{Name: "auth-sabc-1"}},
		},
	}
	r.addPhase(Phase{Name: "Backend", Steps: []Step{
		shift("backend", 1, StepPassed, t0), gate("backend", StepPassed),
		shift("backend", 10, StepPassed, t0.Add(5*time.Minute)), gate("backend", StepRunning), logs,
	}})
	r.addPhase(Phase{Name: "Auth", Steps: []Step{shift("auth", 100, StepPending, time.Time{}), gate("auth", StepPending)}})
	return r
}

func TestVerifying(t *testing.T) {
	step := func(id string, status StepStatus) func(*Rollout) {
		return func(r *Rollout) { s, _ := r.Step(id); s.Status = status }
	}
	ask := func(kind AskKind, answer *Answer) func(*Rollout) {
		return func(r *Rollout) { r.ask(Ask{Kind: kind, Step: "1.4", Answer: answer}) }
	}
	auth := func(r *Rollout) {
		s := r.Services["auth"]
		s.Percent = 100
		r.Services["auth"] = s
		shift, _ := r.Step("2.1")
		shift.Status, shift.Ended = StepPassed, t0.Add(time.Hour)
	}
	for name, tt := range map[string]struct {
		change func(*Rollout)
		want   map[string]time.Time
	}{
		"while a gate runs, from the first traffic on": {func(*Rollout) {}, map[string]time.Time{"backend": t0}},
		"before its first traffic": {func(r *Rollout) {
			s := r.Services["backend"]
			s.Percent = 0
			r.Services["backend"] = s
		}, nil},
		"two at once":                    {auth, map[string]time.Time{"backend": t0, "auth": t0.Add(time.Hour)}},
		"a gate failed, and they decide": {func(r *Rollout) { step("1.4", StepFailed)(r); ask(AskDecision, nil)(r) }, nil},
		"a gate failed that only reports, but not of the other": {func(r *Rollout) { auth(r); step("1.4", StepFailed)(r) }, map[string]time.Time{"auth": t0.Add(time.Hour)}},
		"a gate failed and is tried again":                      {step("1.4", StepPending), map[string]time.Time{"backend": t0}},
		"undecided, and they decide":                            {func(r *Rollout) { step("1.4", StepInconclusive)(r); ask(AskDecision, nil)(r) }, nil},
		"undecided, and they went on": {func(r *Rollout) {
			step("1.4", StepInconclusive)(r)
			ask(AskDecision, &Answer{Verb: VerbContinue})(r)
		}, map[string]time.Time{"backend": t0}},
		"the last gate is over":        {func(r *Rollout) { step("1.4", StepPassed)(r); step("1.5", StepPassed)(r) }, nil},
		"the last gate is to come":     {step("1.4", StepPassed), map[string]time.Time{"backend": t0}},
		"paused":                       {ask(AskPause, nil), nil},
		"paused, and resumed":          {ask(AskPause, &Answer{Verb: VerbResume}), map[string]time.Time{"backend": t0}},
		"it asks for an approval":      {ask(AskApproval, nil), map[string]time.Time{"backend": t0}},
		"it asks for something manual": {ask(AskManual, nil), map[string]time.Time{"backend": t0}},
		"stopped with the traffic":     {func(r *Rollout) { r.Stop = &Stop{Cause: StopAborted} }, nil},
		"on its way back":              {func(r *Rollout) { r.Stop = &Stop{Cause: StopFailed, Return: true} }, nil},
		"ended":                        {func(r *Rollout) { r.End = &End{Result: Succeeded} }, nil},
		"a rollback":                   {func(r *Rollout) { r.Kind = Rollback }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := underway()
			tt.change(&r)
			if got := r.Verifying(); !maps.EqualFunc(got, tt.want, time.Time.Equal) {
				t.Errorf("it verifies %v, want %v", got, tt.want)
			}
		})
	}
}

// Of a rollout that goes as the engine makes it go, the time with traffic and without a verdict is covered.
func TestVerifyingWhileARolloutGoesItsWay(t *testing.T) {
	for _, gate := range []OutcomeState{Passed, FailedState, Inconclusive} {
		t.Run(string(gate), func(t *testing.T) {
			w := &world{t: t, outcome: map[string]OutcomeState{"gate": gate}, now: t0}
			var covered []string
			w.seen = func(r Rollout) {
				if _, ok := r.Verifying()["backend"]; !ok {
					return
				}
				running := ""
				for _, p := range r.Phases {
					for _, s := range p.Steps {
						if s.Status == StepRunning {
							running = s.Spec.Name
						}
					}
				}
				covered = append(covered, running)
			}
			r := w.say(w.drive(newTest(plan.OnFailureAsk)), VerbApprove, approver)
			w.drive(r)
			if want := []string{"", "gate"}; !slices.Equal(covered, want) { // from the end of the shift to that of the gate
				t.Errorf("covered while %q were under way, want %q", covered, want)
			}
		})
	}
}

func TestBrought(t *testing.T) {
	shift := func(to plan.TrafficTo, applied bool) Rollout {
		r := Rollout{Services: map[string]Service{
			"backend": {Candidate: Revision{Name: "backend-00042"}, Stable: Revision{Name: "backend-00041"}}, "auth": {},
		}}
		r.addPhase(Phase{Steps: []Step{{Applied: applied, Spec: plan.Step{Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: "backend", To: to}}}}})
		return r
	}
	for name, tt := range map[string]struct {
		r                 Rollout
		service, revision string
		want              bool
	}{
		"a deployment":             {shift(plan.ToCandidate, true), "backend", "backend-00042", true},
		"a rollback":               {shift(plan.ToRevision, true), "backend", "backend-00042", true},
		"no traffic yet":           {shift(plan.ToCandidate, false), "backend", "backend-00042", false},
		"handed over without it":   {shift(plan.ToLatest, true), "backend", "backend-00042", false},
		"what served before":       {shift(plan.ToCandidate, true), "backend", "backend-00041", false},
		"another service":          {shift(plan.ToCandidate, true), "auth", "backend-00042", false},
		"a service that is not in": {shift(plan.ToCandidate, true), "worker", "", false},
		"a candidate yet to come":  {shift(plan.ToCandidate, true), "auth", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.r.Brought(tt.service, tt.revision); got != tt.want {
				t.Errorf("it brought %s: %v", tt.revision, got)
			}
		})
	}
}
