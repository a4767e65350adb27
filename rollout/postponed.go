package rollout

import (
	"context"
	"errors"
)

// Most of what an attempt reports need not be stored before anything else happens: where an effect is can
// be found again, and that a step has ended is said together with the start of the next one. So a step that
// is quick costs one commit and not three. Nothing begins on such a word: the commit that starts an attempt
// has all that came before it.

// postponed is what the holder has applied to its snapshot, and not stored yet: until the next commit, or
// the next poll.
type postponed struct {
	events []Event
	loose  []*worker // of attempts whose effect is not on record
}

// mayPostpone: a handle, which Find would find, and the end of a step after which something else begins at
// once. What may not be repeated is written down as soon as it is known.
func (h *holder) mayPostpone(e Event) bool {
	s, _ := h.rollout.Step(e.Step)
	if s == nil || s.Spec.Repeatable != nil && !*s.Spec.Repeatable {
		return false
	}
	if e.Kind == StepHandled {
		return true
	}
	if e.Kind != StepEnded || e.Outcome.State != Passed {
		return false
	}
	next, err := Apply(h.rollout, e)
	if err != nil {
		return false
	}
	d := Next(next, e.At)
	return len(d.Events)+len(d.Start) > 0
}

func (h *holder) postpone(e Event) error {
	next, err := Apply(h.rollout, e)
	if err != nil {
		return err
	}
	e.Seq = next.Events
	h.rollout = next
	h.events = append(h.events, e)
	if a := h.attempts[e.Step]; e.Kind == StepHandled && a != nil {
		h.loose = append(h.loose, a.made)
	}
	return nil
}

// again applies what was postponed to a snapshot that somebody else has changed. What does not fit it any
// more is dropped, as it would have been refused.
func (h *holder) again() {
	events, loose := h.events, h.loose
	h.postponed = postponed{loose: loose}
	for _, e := range events {
		next, err := Apply(h.rollout, e)
		if err != nil {
			h.log.Info("an event does not apply any more", "event", e.Kind, "step", e.Step, "err", err)
			continue
		}
		e.Seq = next.Events
		h.rollout = next
		h.events = append(h.events, e)
	}
}

// flush stores what was postponed. done: the lease went with it.
func (h *holder) flush(ctx context.Context) (done bool, err error) {
	for len(h.events) > 0 {
		done, err := h.store(ctx, h.rollout, h.events)
		if !errors.Is(err, ErrConflict) {
			return done, err
		}
		if err := h.reload(ctx); err != nil {
			return false, err
		}
	}
	return false, nil
}
