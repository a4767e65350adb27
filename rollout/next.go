package rollout

import (
	"slices"
	"time"

	"slipway/plan"
)

// Decision is what is to be done about a rollout now.
type Decision struct {
	Events []Event        // due now without any effect outside; when there are some, the rest is empty
	Start  []string       // steps whose next attempt begins
	Follow []string       // steps that are under way
	Cancel []Cancellation // attempts to be stopped
	Wake   time.Time      // the next deadline; zero: none
	Park   bool           // nothing is under way: a lease is not needed until Wake or a person's event
	Look   bool           // at whether the verdicts of an ended rollout still hold
}

// Cancellation is an attempt that has to stop, and how the step ends by it.
type Cancellation struct {
	Step    string
	Outcome Outcome
}

// Next says what follows from a rollout's state at the time now. It is pure: all that the engine
// does, it does because Next says so.
func Next(r Rollout, now time.Time) Decision {
	var d Decision
	if r.Status == Ended {
		return Decision{Park: !r.Watched(), Look: r.Watched()}
	}
	if d.Events = r.due(now); len(d.Events) > 0 {
		return d
	}
	d.Start = r.startable()
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Status != StepRunning {
				continue
			}
			deadline := s.deadline()
			switch {
			case s.Spec.Kind == plan.KindWait && !s.Cancel:
				d.Wake = earlier(d.Wake, s.Started.Add(s.Spec.Wait.D()))
			case s.Cancel:
				d.Cancel = append(d.Cancel, Cancellation{s.ID, Outcome{State: Cancelled, Note: "Cancelled."}})
			case !now.Before(deadline):
				d.Cancel = append(d.Cancel, Cancellation{s.ID, s.timedOut()})
			default:
				d.Follow = append(d.Follow, s.ID)
				d.Wake = earlier(d.Wake, deadline)
			}
		}
	}
	for _, a := range r.Asks {
		if a.Answer == nil {
			d.Wake = earlier(d.Wake, a.Deadline)
		}
	}
	d.Park = len(d.Start)+len(d.Follow)+len(d.Cancel) == 0
	return d
}

// due lists the events that time or the state alone brings about.
func (r *Rollout) due(now time.Time) []Event {
	for _, a := range r.Asks {
		if a.Answer == nil && !now.Before(a.Deadline) {
			return []Event{{At: now, Kind: AskExpired, Ask: a.ID, Step: a.Step}}
		}
	}
	for _, id := range r.startable() {
		s, _ := r.Step(id)
		switch s.Spec.Kind {
		case plan.KindApproval, plan.KindManual, plan.KindWait:
			return []Event{{At: now, Kind: StepStarted, Step: id, Attempt: s.Attempt + 1}}
		case plan.KindDone:
			return []Event{{At: now, Kind: StepEnded, Step: id, Attempt: s.Attempt + 1, Outcome: &Outcome{State: Passed, Note: s.Spec.Done}}}
		}
	}
	if s := r.waited(now); s != nil {
		return []Event{{At: now, Kind: StepEnded, Step: s.ID, Attempt: s.Attempt, Outcome: &Outcome{State: Passed, Note: "Waited " + s.Spec.Wait.String() + "."}}}
	}
	if r.over() {
		return []Event{{At: now, Kind: Finished}}
	}
	return nil
}

// over reports whether nothing is left to do: every step is over and no question is open.
func (r *Rollout) over() bool {
	return r.openAsk() == nil && !slices.ContainsFunc(r.Phases, func(p Phase) bool { return !p.over() })
}

// startable lists the steps that may begin, in order: the first pending one of the first phase that
// is not over, or all of them if the phase is parallel. A step that ended badly and was not waived
// stops everything behind it; its ask decides. Once the plan is left only the way back may start.
func (r *Rollout) startable() []string {
	if r.Stop == nil && r.held() {
		return nil
	}
	for i := range r.Phases {
		p := &r.Phases[i]
		if slices.ContainsFunc(p.Steps, r.blocks) {
			return nil
		}
		if r.Stop == nil && !p.over() {
			return p.pending()
		}
	}
	if r.Stop != nil && r.Stop.Return {
		return r.Phases[len(r.Phases)-1].pending()
	}
	return nil
}

// held reports whether a person has to decide before anything else starts.
func (r *Rollout) held() bool {
	return slices.ContainsFunc(r.Asks, func(a Ask) bool {
		return a.Answer == nil && (a.Kind == AskDecision || a.Kind == AskPause)
	})
}

// waited returns a wait step whose time is over.
func (r *Rollout) waited(now time.Time) *Step {
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			s := &r.Phases[pi].Steps[si]
			if s.Spec.Kind == plan.KindWait && s.Status == StepRunning && !s.Cancel && !now.Before(s.Started.Add(s.Spec.Wait.D())) {
				return s
			}
		}
	}
	return nil
}

// blocks reports whether nothing may start behind or beside the step. A shift that is being
// cancelled may still be on its way to Cloud Run: traffic goes back only after it has stopped.
func (r *Rollout) blocks(s Step) bool {
	if r.Stop != nil {
		return s.Status == StepRunning && s.Cancel && s.Spec.Traffic != nil
	}
	bad := s.Status == StepFailed || s.Status == StepInconclusive || s.Status == StepCancelled
	return s.Cancel || bad && !s.Spec.ReportOnly && !s.Waived
}

func (p *Phase) over() bool {
	return !slices.ContainsFunc(p.Steps, func(s Step) bool { return !s.Status.Over() })
}

func (p *Phase) pending() []string {
	var ids []string
	for _, s := range p.Steps {
		if s.Status == StepPending {
			ids = append(ids, s.ID)
		}
		if !p.Parallel && !s.Status.Over() {
			break // one at a time
		}
	}
	return ids
}

// deadline is when the current attempt has taken too long. A gate has its own budget and ends by it;
// its deadline only catches a log that never answers.
func (s *Step) deadline() time.Time {
	limit := s.Spec.Timeout.D() + s.Extra.D()
	switch {
	case s.Spec.ErrorRate != nil:
		limit = max(limit, s.Spec.ErrorRate.Budget.D()+s.Extra.D()+2*time.Minute)
	case s.Spec.NoLogs != nil:
		limit = max(limit, s.Spec.NoLogs.Budget.D()+s.Extra.D()+2*time.Minute)
	}
	return s.Started.Add(limit)
}

func (s *Step) timedOut() Outcome {
	note := "Took longer than " + s.Spec.Timeout.String() + "."
	if s.Note != "" {
		note += " Last: " + s.Note
	}
	if s.Spec.ErrorRate != nil || s.Spec.NoLogs != nil {
		return Outcome{State: Inconclusive, Note: note, Detail: s.Detail, Label: "timeout"}
	}
	return Outcome{State: FailedState, Note: note, Detail: s.Detail, Label: "timeout"}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
