package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/plan"
)

// OpenAsk returns the question with the ID if it still waits for an answer, else nil.
func (r *Rollout) OpenAsk(id string) *Ask {
	if a := r.Ask(id); a != nil && a.Answer == nil {
		return a
	}
	return nil
}

// Ask returns the question with the ID, answered or not, or nil.
func (r *Rollout) Ask(id string) *Ask {
	for i := range r.Asks {
		if r.Asks[i].ID == id {
			return &r.Asks[i]
		}
	}
	return nil
}

func (r *Rollout) openAsk() *Ask {
	for i := range r.Asks {
		if r.Asks[i].Answer == nil {
			return &r.Asks[i]
		}
	}
	return nil
}

func (r *Rollout) ask(a Ask) {
	a.ID = cmp.Or(a.Step, string(a.Kind))
	for n := 2; r.Ask(a.ID) != nil; n++ {
		a.ID = fmt.Sprintf("%s.%d", cmp.Or(a.Step, string(a.Kind)), n)
	}
	r.Asks = append(r.Asks, a)
}

func (r *Rollout) askApproval(s *Step, at time.Time) {
	a := s.Spec.Approval
	r.ask(Ask{
		Kind: AskApproval, Step: s.ID, Question: s.Spec.Name, Who: a.Approvers, Self: a.Self, Required: a.Required,
		Options: []Verb{VerbApprove, VerbReject}, Opened: at, Deadline: at.Add(a.Expires.D()), Default: VerbReject,
	})
}

func (r *Rollout) askManual(s *Step, at time.Time) {
	r.ask(Ask{
		Kind: AskManual, Step: s.ID, Question: cmp.Or(s.Spec.Manual, s.Spec.Name), Who: r.Environment.DeployersOf(r.Target),
		Options: []Verb{VerbConfirm, VerbReject}, Opened: at, Deadline: at.Add(s.Spec.Timeout.D()), Default: VerbReject,
	})
}

// askDecision asks what is to become of a rollout whose step s ended badly.
func (r *Rollout) askDecision(s *Step, at time.Time, options []Verb) {
	r.ask(Ask{
		Kind: AskDecision, Step: s.ID, Question: s.Note, Who: r.Environment.DeployersOf(r.Target),
		Options: options, Opened: at, Deadline: at.Add(decisionTime), Default: r.fallback(),
	})
}

// fallback is what happens to a rollout about which nobody decides. Nothing passes for lack of an
// answer: traffic goes back to stable, unless stable is the worse revision or going back is unsafe;
// then it stays where it is.
func (r *Rollout) fallback() Verb {
	if r.shouldReturn() {
		return VerbRollback
	}
	return VerbHold
}

func (r *Rollout) applySaid(e Event) error {
	if e.By == nil {
		return fmt.Errorf("event %q without a person", e.Kind)
	}
	if e.Ask == "" {
		return r.applyUnasked(e)
	}
	a := r.Ask(e.Ask)
	switch {
	case a == nil:
		return refuse("this rollout asks no such question")
	case a.Answer != nil:
		return refuse("%s", a.Answer.sentence())
	case !slices.Contains(a.Options, e.Verb):
		return refuse("%s is not an answer to this question", e.Verb)
	case e.Verb == VerbApprove:
		return r.applyVote(a, e)
	}
	r.settle(a, Answer{Verb: e.Verb, By: e.By, At: e.At}, e.Reason)
	return nil
}

func (a *Answer) sentence() string {
	if a.By == nil {
		return fmt.Sprintf("the time to answer passed at %s (%s)", a.At.UTC().Format("15:04 MST"), a.Verb)
	}
	return fmt.Sprintf("already answered: %s by {@%s} at {t:%d}", a.Verb, a.By.ID, a.At.Unix())
}

func (r *Rollout) applyVote(a *Ask, e Event) error {
	if !a.Self && e.By.ID == r.By.ID {
		return refuse("you started this rollout, so someone else has to approve it")
	}
	if slices.ContainsFunc(a.Votes, func(v Vote) bool { return v.By.ID == e.By.ID }) {
		return refuse("you have approved it already; it needs %d more", a.Required-len(a.Votes))
	}
	a.Votes = append(a.Votes, Vote{By: *e.By, At: e.At})
	if len(a.Votes) >= a.Required {
		r.settle(a, Answer{Verb: VerbApprove, By: e.By, At: e.At}, e.Reason)
	}
	return nil
}

// applyUnasked is what people do to a rollout of their own accord.
func (r *Rollout) applyUnasked(e Event) error {
	if r.Stop != nil {
		return refuse("this rollout is being stopped already: %s", r.Stop.Reason)
	}
	if a := r.openAsk(); a != nil && a.Kind == AskDecision && a.Step == "" {
		return refuse("this rollout asks already: %s", a.Question)
	}
	switch e.Verb {
	case VerbAbort, VerbHold:
		r.applyStop(e)
		return nil
	case VerbPause:
		return r.applyPause(e)
	}
	return refuse("%s needs a question that it answers", e.Verb)
}

// applyStop leaves the plan: with the traffic back on stable (VerbAbort) or as it is (VerbHold). If
// the way back leads to a revision that is known to be worse, it asks first.
func (r *Rollout) applyStop(e Event) {
	r.closeAsks(Answer{Verb: e.Verb, By: e.By, At: e.At})
	r.leaveOrAsk(Stop{Cause: StopAborted, By: e.By, Reason: because(e.By.Name+" stopped it", e.Reason), At: e.At, Return: e.Verb == VerbAbort})
}

// leaveOrAsk leaves the plan for stop, unless that leads back to a revision that is known to be worse:
// then it asks.
func (r *Rollout) leaveOrAsk(stop Stop) {
	if !stop.Return || !r.OldIsWorse() {
		r.leave(stop)
		return
	}
	r.cancelRunning()
	r.ask(Ask{
		Kind: AskDecision, Question: stop.Reason + " The old revision is the worse one.",
		Who: r.Environment.DeployersOf(r.Target), Options: []Verb{VerbRollback, VerbHold},
		Opened: stop.At, Deadline: stop.At.Add(decisionTime), Default: VerbHold,
	})
}

// pauseTime is how long a rollout may stay paused.
const pauseTime = time.Hour

// applyPause keeps further steps from starting. What runs goes on: a gate loses nothing by it.
func (r *Rollout) applyPause(e Event) error {
	if a := r.openAsk(); a != nil && a.Kind != AskApproval && a.Kind != AskManual {
		return refuse("this rollout waits already: %s", a.Question)
	}
	r.ask(Ask{
		Kind: AskPause, Question: because(e.By.Name+" paused it", e.Reason), Who: r.Environment.DeployersOf(r.Target),
		Options: []Verb{VerbResume, VerbRollback, VerbHold}, Opened: e.At, Deadline: e.At.Add(pauseTime), Default: r.fallback(),
	})
	return nil
}

// because is what someone did, with the reason they gave.
func because(deed, reason string) string {
	if reason == "" {
		return deed + "."
	}
	return deed + ": " + strings.TrimSuffix(reason, ".") + "."
}

func (r *Rollout) cancelRunning() {
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			if s := &r.Phases[pi].Steps[si]; s.Status == StepRunning {
				s.Cancel = true
			}
		}
	}
}

func (r *Rollout) applyExpired(e Event) error {
	a := r.OpenAsk(e.Ask)
	if a == nil {
		return refuse("this question was answered already")
	}
	r.settle(a, Answer{Verb: a.Default, At: e.At}, "")
	return nil
}

func (r *Rollout) closeAsks(answer Answer) {
	for i := range r.Asks {
		if r.Asks[i].Answer == nil {
			r.Asks[i].Answer = &answer
		}
	}
}

// settle closes an ask and does what the answer says.
func (r *Rollout) settle(a *Ask, answer Answer, reason string) {
	a.Answer = &answer
	s, phase := r.Step(a.Step)
	switch answer.Verb {
	case VerbResume:
	case VerbApprove:
		s.Status, s.Ended, s.Note = StepPassed, answer.At, "Approved by "+names(a.Votes)+"."
	case VerbConfirm:
		s.Status, s.Ended, s.Note = StepPassed, answer.At, "Confirmed by "+answer.By.Name+"."
		r.again(phase)
	case VerbExtend, VerbProbe:
		s.Probing = s.Probing || answer.Verb == VerbProbe
		asked := answer.At.Sub(s.Ended) // the time that the question stood is not taken from the gate
		s.Status, s.Ended, s.Extra = StepRunning, time.Time{}, s.Extra+plan.Duration(ExtraTime+asked)
		r.again(phase)
	case VerbRetry:
		s.Status = StepPending
		r.again(phase)
	case VerbContinue:
		s.Waived, s.WaivedBy = true, answer.By
		r.again(phase)
	case VerbReject:
		stop := r.stopFor(a, answer, reason)
		if answer.By == nil {
			stop.Return = r.shouldReturn()
		}
		r.leaveOrAsk(stop)
	default:
		r.leave(r.stopFor(a, answer, reason))
	}
}

// again lets the siblings that were cancelled for the sake of a question start anew.
func (r *Rollout) again(phase *Phase) {
	for i := range phase.Steps {
		switch s := &phase.Steps[i]; s.Status {
		case StepCancelled:
			s.Status = StepPending
		case StepRunning:
			s.Cancel = false
		}
	}
}

// stopFor says why and how the plan is left by an answer that leaves it.
func (r *Rollout) stopFor(a *Ask, answer Answer, reason string) Stop {
	stop := Stop{Cause: StopFailed, Step: a.Step, By: answer.By, At: answer.At, Return: answer.Verb != VerbHold, Reason: a.Question}
	question := a.Kind == AskApproval || a.Kind == AskManual
	switch {
	case question && answer.By == nil:
		stop.Cause, stop.Reason = StopExpired, "Nobody answered in time: "+strings.TrimSuffix(a.Question, ".")+"."
	case question:
		stop.Cause, stop.Reason = StopRejected, because(answer.By.Name+" rejected it", reason)
	case answer.By == nil:
		stop.Cause, stop.Reason = StopExpired, a.Question+" Nobody decided in time."
	case a.Step == "":
		stop.Cause = StopAborted
	}
	return stop
}

func names(votes []Vote) string {
	list := ""
	for i, v := range votes {
		if i > 0 {
			list += ", "
		}
		list += v.By.Name
	}
	return list
}
