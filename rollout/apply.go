package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// Refusal is why an event does not apply, as a safe sentence for whoever caused it.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error {
	return &Refusal{Reason: fmt.Sprintf(format, args...)}
}

// decisionTime is how long a question about a failed or inconclusive step stands.
const decisionTime = 30 * time.Minute

// ExtraTime is what VerbExtend adds to a gate's budget.
const ExtraTime = 15 * time.Minute

// Apply returns the rollout as it is after e; r stays as it was. A *Refusal says why e does not
// apply any more. Apply decides nothing by itself: what follows from the new state is Next's to say.
func Apply(r Rollout, e Event) (Rollout, error) {
	if r.Status == Ended && e.Kind != WatchOver && e.Kind != StepDoubled {
		return r, refuse("this rollout ended at %s: %s", r.End.At.UTC().Format("15:04 MST"), r.End.Result.Sentence())
	}
	next := r.clone()
	var err error
	switch e.Kind {
	case StepStarted, StepHandled, StepProgress, StepEnded:
		err = next.applyStep(e)
	case StepDoubled:
		err = next.applyDoubled(e)
	case Said:
		err = next.applySaid(e)
	case AskExpired:
		err = next.applyExpired(e)
	case Finished:
		next.End = &End{Result: next.result(), Reason: next.endReason(), At: e.At}
		next.beginWatch(e.At)
	case WatchOver:
		err = next.applyWatchOver(e)
	default:
		err = fmt.Errorf("unknown event kind %q", e.Kind)
	}
	if err != nil {
		return r, err
	}
	if e.Kind != StepProgress {
		next.Events++
	}
	next.Status = next.status()
	return next, nil
}

// clone copies whatever Apply may change; frozen definitions are shared.
func (r Rollout) clone() Rollout {
	r.Services = maps.Clone(r.Services)
	r.Phases = slices.Clone(r.Phases)
	for i := range r.Phases {
		r.Phases[i].Steps = slices.Clone(r.Phases[i].Steps)
	}
	r.Asks = slices.Clone(r.Asks)
	for i := range r.Asks {
		r.Asks[i].Votes = slices.Clone(r.Asks[i].Votes)
	}
	return r
}

// Step returns the step with the ID and its phase, or nil.
func (r *Rollout) Step(id string) (*Step, *Phase) {
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			if s := &r.Phases[pi].Steps[si]; s.ID == id {
				return s, &r.Phases[pi]
			}
		}
	}
	return nil, nil
}

func (r *Rollout) applyStep(e Event) error {
	s, _ := r.Step(e.Step)
	if s == nil {
		return fmt.Errorf("rollout %s has no step %q", r.ID, e.Step)
	}
	starting := s.Status == StepPending && e.Attempt == s.Attempt+1 && r.mayStart(s)
	current := s.Status == StepRunning && e.Attempt == s.Attempt
	switch {
	case e.Kind == StepStarted && starting:
		r.start(s, e)
		s.Applied = true
	case e.Kind == StepHandled && current && !s.Cancel:
		s.Handle = e.Handle
	case e.Kind == StepProgress && current && !s.Cancel:
		s.learn(r, e.Outcome)
	case e.Kind == StepEnded && starting: // it failed before there was anything to start
		r.start(s, e)
		r.end(s, e)
	case e.Kind == StepEnded && current:
		r.end(s, e)
	default:
		return refuse("step %s (%s) is %s at attempt %d", s.ID, s.Spec.Name, s.Status, s.Attempt)
	}
	return nil
}

// mayStart reports whether the step may begin now, by the state alone.
func (r *Rollout) mayStart(s *Step) bool {
	return slices.Contains(r.startable(), s.ID)
}

func (r *Rollout) start(s *Step, e Event) {
	s.Status, s.Attempt, s.Fence, s.Handle, s.Started = StepRunning, e.Attempt, e.Fence, "", e.At
	s.Ended, s.Note, s.Detail, s.Label, s.Cancel = time.Time{}, "", "", "", false
	switch s.Spec.Kind {
	case plan.KindApproval:
		s.Status = StepWaiting
		r.askApproval(s, e.At)
	case plan.KindManual:
		s.Status = StepWaiting
		r.askManual(s, e.At)
	}
}

// learn takes over what an outcome says, whatever its state.
func (s *Step) learn(r *Rollout, o *Outcome) {
	s.Note, s.Detail, s.Label = o.Note, o.Detail, o.Label
	if o.Gate != nil {
		s.Gate = o.Gate
	}
	c := o.Change
	if c == nil {
		return
	}
	service := r.Services[c.Service]
	if c.Candidate != nil {
		service.Candidate = *c.Candidate
	}
	if c.Percent != nil {
		service.Percent = *c.Percent
	}
	if c.ShiftedAt != nil {
		service.ShiftedAt = *c.ShiftedAt
	}
	r.Services[c.Service] = service
}

func (r *Rollout) end(s *Step, e Event) {
	o := e.Outcome
	s.learn(r, o)
	cancelling := s.Cancel
	s.Ended, s.Cancel = e.At, false
	switch {
	case o.State == Passed:
		s.Status = StepPassed
	case o.State == Cancelled || cancelling:
		s.Status = StepCancelled
	case o.State == Inconclusive:
		s.Status = StepInconclusive
		r.unproven(s, e.At)
	case s.Attempt <= s.Spec.Retries && r.mayRepeat(s):
		s.Status = StepPending
	default:
		s.Status = StepFailed
		r.failed(s, e.At)
	}
}

// mayRepeat reports whether a failed step gets the further attempts that it has left: the way back
// always does, the plan only until it is left.
func (r *Rollout) mayRepeat(s *Step) bool {
	_, phase := r.Step(s.ID)
	return r.Stop == nil || phase.Name == PhaseReturn
}

// failed decides what follows a step's failure: nothing for a report_only step or one of a phase that
// the rollout added, else what on_failure says.
func (r *Rollout) failed(s *Step, at time.Time) {
	if s.Spec.ReportOnly || r.Stop != nil {
		return
	}
	r.cancelSiblings(s)
	if (r.OnFailure == plan.OnFailureRollback || r.OnFailure == plan.OnFailureInsist) && r.shouldReturn() && s.Label != LabelUnknownEnd {
		r.leave(Stop{Cause: StopFailed, Step: s.ID, Reason: s.Note, At: at, Return: true})
		return
	}
	options := []Verb{VerbRetry, VerbRollback, VerbHold}
	if s.Label == LabelUnknownEnd { // who has looked may say that it happened
		options = slices.Insert(options, 0, VerbConfirm)
	}
	r.askDecision(s, at, options)
}

// shouldReturn reports whether the old revision is where traffic belongs when the plan fails. It is
// not when a step that is not rollback_safe has begun, such as a migration, when the old revision is
// known to be the worse one (unless on_failure insists), or when someone else has moved the traffic since, whose revision the way
// back would take out of service: then people decide, and without them nothing moves.
func (r *Rollout) shouldReturn() bool {
	worse := r.OldIsWorse() && r.OnFailure != plan.OnFailureInsist
	return r.Unsafe() == "" && !worse && !r.changedMeanwhile()
}

// changedMeanwhile reports whether traffic that the rollout had moved was changed by someone else.
func (r *Rollout) changedMeanwhile() bool {
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Status == StepFailed && s.Label == LabelChanged && slices.Contains(r.Moved(), s.Spec.Service()) {
				return true
			}
		}
	}
	return false
}

// Unsafe names the first step that makes going back unsafe, once it has begun; "" if none has.
func (r *Rollout) Unsafe() string {
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Attempt > 0 && s.Spec.RollbackSafe != nil && !*s.Spec.RollbackSafe {
				return s.Spec.Name
			}
		}
	}
	return ""
}

// OldIsWorse reports whether the counts of the newest gate prove, for a service whose traffic moved,
// that the old revision fails more often than the new one (verdict.Baseline, at α = 5%).
func (r *Rollout) OldIsWorse() bool {
	for _, name := range r.Moved() {
		g, old := r.newestGate(name), r.Services[name].Baseline
		if g == nil || old == nil || old.Requests == 0 {
			continue
		}
		b, err := verdict.NewBaseline(old.Errors, old.Requests, 0.05)
		if err == nil && b.Better(g.Counts) {
			return true
		}
	}
	return false
}

// newestGate is the evidence of the service's error_rate gate that was started last.
func (r *Rollout) newestGate(service string) *Gate {
	var gate *Gate
	var started time.Time
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Gate != nil && s.Spec.ErrorRate != nil && s.Spec.Service() == service && !s.Started.Before(started) {
				gate, started = s.Gate, s.Started
			}
		}
	}
	return gate
}

// unproven asks what to do about a gate that could not decide.
func (r *Rollout) unproven(s *Step, at time.Time) {
	if s.Spec.ReportOnly || r.Stop != nil {
		return
	}
	r.cancelSiblings(s)
	options := []Verb{VerbExtend, VerbContinue, VerbRollback, VerbHold}
	if r.mayProbe(s) {
		options = slices.Insert(options, 1, VerbProbe)
	}
	r.askDecision(s, at, options)
}

// mayProbe reports whether test requests could still decide a gate: not in production, not where metrics would
// count them as users', and not where they were sent already.
func (r *Rollout) mayProbe(s *Step) bool {
	gate := s.Spec.CountingGate()
	return gate != nil && gate.Probes == nil && !s.Probing && !gate.UsersOnly && s.Gate != nil && s.Gate.Source != FromMetrics &&
		r.Services[s.Spec.Service()].Candidate.URL != ""
}

// cancelSiblings marks what runs beside a step that ended badly.
func (r *Rollout) cancelSiblings(s *Step) {
	_, phase := r.Step(s.ID)
	for i := range phase.Steps {
		if phase.Steps[i].Status == StepRunning {
			phase.Steps[i].Cancel = true
		}
	}
}

// leave abandons the plan. What runs is cancelled, what waits or has not begun is skipped, and a
// phase is added that brings the traffic back, if any had moved and stop asks for it.
func (r *Rollout) leave(stop Stop) {
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			switch s := &r.Phases[pi].Steps[si]; s.Status {
			case StepPending, StepWaiting:
				s.Status = StepSkipped
			case StepRunning:
				s.Cancel = true
			}
		}
	}
	back := Phase{Name: PhaseReturn, Added: true, Parallel: true}
	for _, name := range r.Moved() {
		if !stop.Return {
			break
		}
		back.Steps = append(back.Steps, Step{Status: StepPending, Spec: plan.Step{
			Name: name + " back to the old revision", Kind: plan.KindTraffic, Timeout: returnTimeout, Retries: 5,
			Traffic: &plan.Traffic{Service: name, Percent: 100, To: plan.ToStable},
		}})
	}
	stop.Return = len(back.Steps) > 0
	r.Stop = &stop
	if stop.Return {
		r.addPhase(back)
	}
}

// Moved lists the services whose traffic may have been shifted: once a shift was begun, it counts.
func (r *Rollout) Moved() []string {
	var names []string
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			t := s.Spec.Traffic
			if t != nil && t.To == plan.ToCandidate && s.Applied && !slices.Contains(names, t.Service) {
				names = append(names, t.Service)
			}
		}
	}
	return names
}

func (r *Rollout) status() Status {
	switch {
	case r.End != nil:
		return Ended
	case r.Stop != nil && r.Stop.Return:
		return Returning
	case r.openAsk() != nil && !r.anyRunning():
		return Waiting
	}
	return Running
}

func (r *Rollout) anyRunning() bool {
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Status == StepRunning {
				return true
			}
		}
	}
	return false
}

// result says how a rollout that has nothing left to do came out.
func (r *Rollout) result() Result {
	if r.Stop == nil {
		return Succeeded
	}
	if r.Stop.Return {
		if r.returned() {
			return RolledBack
		}
		return Failed
	}
	s, _ := r.Step(r.Stop.Step)
	if r.Stop.Cause == StopFailed || s != nil && (s.Status == StepFailed || s.Status == StepInconclusive) {
		return Failed
	}
	return Aborted
}

// returned reports whether every step of the way back passed.
func (r *Rollout) returned() bool {
	back := r.Phases[len(r.Phases)-1]
	for _, s := range back.Steps {
		if s.Status != StepPassed {
			return false
		}
	}
	return back.Name == PhaseReturn
}

func (r *Rollout) endReason() string {
	if r.Stop == nil {
		return ""
	}
	if r.Stop.Return && !r.returned() {
		return r.Stop.Reason + " Traffic could not be returned; it needs you now."
	}
	return r.Stop.Reason
}

// Sentence says a result in words.
func (r Result) Sentence() string {
	switch r {
	case Succeeded:
		return "it succeeded"
	case RolledBack:
		return "it was rolled back"
	case Aborted:
		return "it was stopped"
	}
	return "it failed"
}
