package commands

import (
	"context"
	"errors"
	"fmt"

	"slipway/plan"
	"slipway/rollout"
)

// abort stops the rollout of exactly the target that was typed. One of a part, or of the whole, is
// named and left alone.
func (h *Handler) abort(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return Reply{Text: unknown(file, "target", cmd.Target, nil)}
	}
	active, err := h.active(ctx)
	if err != nil {
		return h.unread(ctx, req, err)
	}
	for _, r := range active {
		if r.Target == target {
			return h.answer(ctx, req, r, said{verb: rollout.VerbAbort, reason: unmarked(cmd.Reason)})
		}
	}
	return Reply{Text: notRolling(active, target)}
}

// notRolling says that there is nothing to stop, and which rollouts may have been meant.
func notRolling(active []rollout.Rollout, target plan.Target) string {
	var others []string
	for _, r := range active {
		if overlap(r.Target, target) {
			others = append(others, fmt.Sprintf("`/deploy abort %s`", r.Target))
		}
	}
	if len(others) == 0 {
		return fmt.Sprintf("Nothing is rolling out to %s, so there is nothing to stop.", target)
	}
	return fmt.Sprintf("No rollout is about %s alone or as a whole. Nothing was stopped. Did you mean %s?", target, or(others))
}

// said is what a person says to a rollout.
type said struct {
	verb   rollout.Verb
	ask    string // "": about the rollout as a whole
	reason string
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
	return Reply{Text: done(&next, s)}
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
