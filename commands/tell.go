package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"slipway/plan"
	"slipway/rollout"
)

// speak passes abort, pause, resume and retry on to the rollout of exactly the target that was typed.
// One of a part, or of the whole, is named and left alone.
func (h *Handler) speak(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return Reply{Text: unknown(file, "target", cmd.Target, nil)}
	}
	active, err := h.active(ctx)
	if err != nil {
		return h.unread(ctx, req, theRollouts, err)
	}
	r := about(active, target)
	if r == nil {
		return Reply{Text: notRolling(active, target, cmd.Verb)}
	}
	s, no := meant(r, cmd)
	if no != "" {
		return Reply{Text: no}
	}
	return h.answer(ctx, req, *r, s)
}

// about returns the rollout of exactly this target, or nil.
func about(active []rollout.Rollout, target plan.Target) *rollout.Rollout {
	for i := range active {
		if active[i].Target == target {
			return &active[i]
		}
	}
	return nil
}

// notRolling says that there is nothing to be told, and which rollouts may have been meant.
func notRolling(active []rollout.Rollout, target plan.Target, verb Verb) string {
	var others []string
	for _, r := range active {
		if overlap(r.Target, target) {
			others = append(others, fmt.Sprintf("`/deploy %s %s`", verb, r.Target))
		}
	}
	if len(others) == 0 {
		return fmt.Sprintf("Nothing is rolling out to %s, so there is nothing to %s.", target, verb.plainly())
	}
	return fmt.Sprintf("No rollout is about %s alone or as a whole. Nothing was done. Did you mean %s?", target, or(others))
}

// plainly is the verb as a sentence has it.
func (v Verb) plainly() string {
	if v == Abort {
		return "stop"
	}
	return string(v)
}

// said is what a person says to a rollout.
type said struct {
	verb   rollout.Verb
	ask    string // "": about the rollout as a whole
	reason string
}

// meant finds the question that a command answers, if it answers one. no says why there is none.
func meant(r *rollout.Rollout, cmd Command) (s said, no string) {
	s = said{verb: rollout.Verb(cmd.Verb), reason: unmarked(cmd.Reason)}
	if s.verb != rollout.VerbResume && s.verb != rollout.VerbRetry {
		return s, ""
	}
	for _, a := range r.Asks {
		if a.Answer == nil && slices.Contains(a.Options, s.verb) {
			s.ask = a.ID
			return s, ""
		}
	}
	if s.verb == rollout.VerbResume {
		return s, fmt.Sprintf("%s is not paused. Nothing was done. %s", upper(title(r)), next(r))
	}
	return s, fmt.Sprintf("No step of %s asks whether to try again. Nothing was done. %s", title(r), next(r))
}

// answer authorises what a person says to r and tells it to the engine.
func (h *Handler) answer(ctx context.Context, req Request, r rollout.Rollout, s said) Reply {
	if text := stale(&r, s, req.Actor.ID); text != "" {
		return Reply{Text: text}
	}
	if err := Authorize(ctx, h.Directory, req.Actor, s.verb, subjectOf(&r, r.Ask(s.ask))); err != nil {
		return h.refused(ctx, req, err)
	}
	by := req.Actor
	next, err := h.tell(ctx, r.ID, rollout.Event{
		At: req.At, Kind: rollout.Said, Ask: s.ask, Verb: s.verb, By: &by, Reason: s.reason,
	})
	if err != nil {
		return h.notTold(ctx, req, r.ID, s, err)
	}
	h.Log.InfoContext(ctx, "answer applied", "rollout", r.ID, "env", r.Target.Environment, "verb", s.verb, "ask", s.ask, "actor", by.ID, "request", req.ID)
	return Reply{Text: done(&next, s), Done: true, Rollout: r.ID}
}

// notTold answers when the engine did not apply what was said. If that is because someone else was
// faster, it says who.
func (h *Handler) notTold(ctx context.Context, req Request, id string, s said, err error) Reply {
	if errors.Is(err, rollout.ErrNotFound) {
		return Reply{Text: gone(id)}
	}
	reason, ok := safe(err)
	if !ok {
		return h.uncertain(ctx, req, id, "passing this on to rollout "+id, err)
	}
	h.Log.InfoContext(ctx, "answer refused", "rollout", id, "verb", s.verb, "ask", s.ask, "actor", req.Actor.ID, "request", req.ID, "err", err)
	if now, err := h.load(ctx, id); err == nil {
		if text := stale(&now, s, req.Actor.ID); text != "" {
			return Reply{Text: text}
		}
	}
	return Reply{Text: reason + " Nothing was done."}
}
