package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/plan"
	"slipway/rollout"
)

// maxShown is how many rollouts a status describes.
const maxShown = 10

// status describes the rollouts under way and the locks of people, everywhere or about one target.
func (h *Handler) status(ctx context.Context, req Request, cmd Command) Reply {
	file, where := h.File(), "Nothing is rolling out."
	concerns := func(plan.Target) bool { return true }
	if cmd.Target != "" {
		target, ok := findTarget(file, cmd.Target)
		if !ok {
			return Reply{Text: unknown(file, "target", cmd.Target, nil)}
		}
		where = fmt.Sprintf("Nothing is rolling out to %s.", target)
		concerns = func(t plan.Target) bool { return overlap(t, target) }
	}
	active, err := h.active(ctx)
	if err != nil {
		return h.unread(ctx, req, theRollouts, err)
	}
	var paragraphs []string
	for _, r := range active {
		if concerns(r.Target) {
			paragraphs = append(paragraphs, describe(&r))
		}
	}
	switch more := len(paragraphs) - maxShown; {
	case len(paragraphs) == 0:
		paragraphs = []string{where}
	case more > 0:
		paragraphs = append(paragraphs[:maxShown], fmt.Sprintf("And %d more: `/deploy status TARGET` shows those of one target.", more))
	}
	paragraphs = append(paragraphs, h.openIn(ctx, req, concerns)...)
	paragraphs = append(append(paragraphs, h.peoplesLocks(ctx, req, concerns)...), h.linesOf(ctx, req, concerns)...)
	paragraphs = append(paragraphs, h.watchedIn(ctx, req, concerns)...)
	return Reply{Text: strings.Join(paragraphs, "\n\n"), Done: true}
}

// peoplesLocks describes the locks of people; those of rollouts are described with them.
func (h *Handler) peoplesLocks(ctx context.Context, req Request, concerns func(plan.Target) bool) []string {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	locks, err := h.Locker.Locks(ctx)
	if err != nil {
		return []string{h.unread(ctx, req, theLocks, err).Text}
	}
	var lines []string
	for _, lock := range locks {
		if lock.Rollout == "" && concerns(lock.Target) {
			lines = append(lines, lockedSince(lock, req)+lockTerms(lock, req.At))
		}
	}
	switch more := len(lines) - maxShown; {
	case len(lines) == 0:
		return nil
	case more > 0:
		lines = append(lines[:maxShown], fmt.Sprintf("And %d more locks.", more))
	}
	return []string{strings.Join(lines, "\n")}
}

// overlap reports whether two targets have a service in common.
func overlap(a, b plan.Target) bool {
	return a.Environment == b.Environment && (a.Service == "" || b.Service == "" || a.Service == b.Service)
}

// describe is one paragraph on how a rollout stands.
func describe(r *rollout.Rollout) string {
	parts := []string{headline(r)}
	if asks := waiting(r); asks != "" {
		parts = append(parts, dotted(upper(asks)))
	} else if note := progress(r); note != "" {
		parts = append(parts, note)
	}
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		parts = append(parts, traffic(r, service)+".")
	}
	parts = append(parts, fmt.Sprintf("Started by %s at %s.", actor(r.By), clock(r.Created)))
	return strings.Join(parts, " ")
}

// headline says which rollout it is and how it stands.
func headline(r *rollout.Rollout) string {
	what := name(r)
	if r.Kind == rollout.Rollback {
		what = "Rollback of " + what
	}
	return fmt.Sprintf("%s (%s): %s", what, r.ID, standing(r))
}

// title names r in a sentence: the rollout of backend on staging.
func title(r *rollout.Rollout) string {
	if r.Kind == rollout.Rollback {
		return "the rollback of " + name(r)
	}
	return "the rollout of " + name(r)
}

// name says what is rolled out where: backend on staging.
func name(r *rollout.Rollout) string {
	if len(r.Services) == 0 {
		return r.Target.String()
	}
	return enumerate(slices.Sorted(maps.Keys(r.Services)), " and ") + " on " + r.Target.Environment
}

// standing says in a few words how a rollout stands.
func standing(r *rollout.Rollout) string {
	at := position(r)
	if at != "" {
		at = ", " + at
	}
	switch {
	case r.Status == rollout.Ended:
		return "ended: " + r.End.Result.Sentence() + "."
	case r.Status == rollout.Returning:
		return "going back to the old revision. " + sentence(r.Stop.Reason)
	case r.Stop != nil:
		return "stopping. " + sentence(r.Stop.Reason)
	case isPaused(r):
		return "paused" + at + "."
	case r.Status != rollout.Waiting:
		return "running" + at + "."
	}
	return waitsFor(r) + at + "."
}

func isPaused(r *rollout.Rollout) bool {
	return slices.ContainsFunc(r.Asks, func(a rollout.Ask) bool { return a.Answer == nil && a.Kind == rollout.AskPause })
}

// waitsFor says what keeps a rollout from going on.
func waitsFor(r *rollout.Rollout) string {
	for _, a := range r.Asks {
		switch {
		case a.Answer != nil:
		case a.Kind == rollout.AskApproval:
			return "waiting for approval"
		case a.Kind == rollout.AskManual:
			return "waiting for something that a person has to do"
		}
	}
	return "waiting for a decision"
}

// position is the phase that a rollout is in: "phase 2 of 4, Approval". Phases that the rollout added
// to its plan have a name only. It is "" when all is done.
func position(r *rollout.Rollout) string {
	var current *rollout.Phase
	at, planned := 0, 0
	for i, p := range r.Phases {
		if !p.Added {
			planned++
		}
		if current == nil && unfinished(r, p) {
			current, at = &r.Phases[i], planned
		}
	}
	switch {
	case current == nil:
		return ""
	case current.Added:
		return plain(current.Name)
	}
	return fmt.Sprintf("phase %d of %d, %s", at, planned, plain(current.Name))
}

// unfinished reports whether a phase has steps left, or one whose end is being asked about.
func unfinished(r *rollout.Rollout, p rollout.Phase) bool {
	return slices.ContainsFunc(p.Steps, func(s rollout.Step) bool {
		return !s.Status.Over() || slices.ContainsFunc(r.Asks, func(a rollout.Ask) bool {
			return a.Answer == nil && a.Step == s.ID
		})
	})
}

// progress says what is under way and how far it is.
func progress(r *rollout.Rollout) string {
	var running []string
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Status != rollout.StepRunning {
				continue
			}
			text := plain(s.Spec.Name)
			if note := sentence(s.Note); note != "" {
				text += ": " + note
			}
			running = append(running, strings.TrimSuffix(text, ".")+".")
		}
	}
	return strings.Join(running, " ")
}

// waiting says what a rollout waits for, of whom, and until when; "" if it waits for nobody.
func waiting(r *rollout.Rollout) string {
	var open []string
	for _, a := range r.Asks {
		if a.Answer != nil {
			continue
		}
		text := "waiting for " + askedOf(r, &a)
		if len(a.Votes) > 0 {
			text += fmt.Sprintf(", %d of %d approvals given,", len(a.Votes), a.Required)
		}
		text += " until " + clock(a.Deadline)
		if a.Kind != rollout.AskApproval {
			text += ": " + strings.TrimRight(sentence(a.Question), ".")
		}
		open = append(open, text)
	}
	return strings.Join(open, "; ")
}

// askedOf names those who may answer.
func askedOf(r *rollout.Rollout, a *rollout.Ask) string {
	who := orElse(a.Who, r.Environment.DeployersOf(r.Target))
	switch {
	case len(who) > 0:
		return mentions(who)
	case a.Kind == rollout.AskApproval && !a.Self:
		return "someone else than " + actor(r.By)
	}
	return "someone"
}

// traffic says how much of a service's traffic is on the new revision, and the error rates, old → new.
func traffic(r *rollout.Rollout, service string) string {
	s := r.Services[service]
	text := fmt.Sprintf("%d%% on new; %s", s.Percent, rates(r, service))
	if r.Kind == rollout.Rollback {
		text = fmt.Sprintf("Going back to %s from %s: %d%% there", s.Candidate.Name, s.Stable.Name, s.Percent)
	}
	if len(r.Services) > 1 {
		return service + ": " + text
	}
	return text
}

// rates are a service's error rates, old → new as far as they are known.
func rates(r *rollout.Rollout, service string) string {
	text := "errors of the old revision unknown"
	if b := r.Services[service].Baseline; b != nil && b.Requests > 0 {
		text = "errors " + rate(b.Errors, b.Requests)
	}
	if g := lastGate(r, service); g != nil && g.Counts.Requests > 0 {
		text += " → " + rate(g.Counts.Errors, g.Counts.Requests)
	}
	return text
}

func rate(errors, requests int64) string {
	return fmt.Sprintf("%s (%s of %s)", rollout.Percent(rollout.Share(errors, requests)), rollout.Count(errors), rollout.Count(requests))
}

// lastGate is the newest error rate of a service's new revision.
func lastGate(r *rollout.Rollout, service string) *rollout.Gate {
	var last *rollout.Gate
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Spec.ErrorRate != nil && s.Spec.ErrorRate.Service == service && s.Gate != nil {
				last = s.Gate
			}
		}
	}
	return last
}
