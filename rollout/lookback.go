package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// lookBackTime is how long is looked for an effect that was asked for as the lease was lost.
const lookBackTime = 5 * time.Minute

// lookBack is for a replica that lost its lease while it asked for an effect, which may come about later
// than its successor has looked for it. What is there twice is ended and said. It is looked for twice,
// because the call that asked for the effect may still be on its way.
func (e *Engine) lookBack(ctx context.Context, w *worker) {
	ctx, cancel := context.WithTimeout(ctx, lookBackTime)
	defer cancel()
	said := ""
	for looks := 2; looks > 0; {
		call, done := context.WithTimeout(ctx, callTimeout)
		found, err := e.look(call, w, said)
		done()
		var failure *Failure
		if err == nil || errors.As(err, &failure) {
			said = found
			looks--
		}
		if !sleep(ctx, firstPause) {
			w.log.Warn("an effect may have come about twice", "err", err)
			return
		}
	}
}

// look ends what is there twice, and says so unless it is what was said before. An error is one that may pass.
func (e *Engine) look(ctx context.Context, w *worker, before string) (said string, err error) {
	key := w.task.Key
	double, can := w.action.(Doubler)
	r, err := e.Store.Load(ctx, key.Rollout)
	if !can || errors.Is(err, ErrNotFound) {
		_, _, err := w.action.Find(ctx, w.task) // which keeps one of several
		return "", err
	}
	if err != nil {
		return "", err
	}
	s, _ := r.Step(key.Step)
	handle := ""
	if s.Attempt == key.Attempt {
		handle = s.Handle
	}
	if s.during(key.Attempt) && handle == "" {
		return "", errStillRuns // which effect is followed is written down soon
	}
	said, err = double.Undouble(ctx, w.task, handle)
	if err != nil || said == "" || said == before {
		return said, err
	}
	_, err = e.Tell(ctx, key.Rollout, Event{At: time.Now().UTC(), Kind: StepDoubled, Step: key.Step, Attempt: key.Attempt, Reason: said})
	switch {
	case errors.Is(err, errKnown):
		return said, nil
	case err == nil:
		w.log.Warn("an effect came about twice", "said", said)
	}
	return said, err
}

// Why a StepDoubled does not apply.
var (
	errStillRuns = errors.New("the attempt is followed still, and its end says what was there twice")
	errKnown     = errors.New("the step says so already")
)

// during reports whether the step is in that attempt.
func (s *Step) during(attempt int) bool {
	return s.Attempt == attempt && s.Status == StepRunning
}

// applyDoubled notes on a step that its effect was there twice. While the attempt is followed, that is for its
// end to say, which may also be after the end of the rollout.
func (r *Rollout) applyDoubled(e Event) error {
	s, _ := r.Step(e.Step)
	switch {
	case s == nil:
		return fmt.Errorf("rollout %s has no step %q", r.ID, e.Step)
	case s.during(e.Attempt):
		return errStillRuns
	case s.Attempt == e.Attempt && strings.Contains(s.Note, e.Reason):
		return errKnown
	case s.Attempt == e.Attempt:
		s.Note = strings.TrimSpace(s.Note + " " + e.Reason)
	}
	return nil
}
