package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// attempt is one try of one step while this replica makes it or follows it.
type attempt struct {
	stop context.CancelFunc
	done chan struct{}
	made *worker
}

// Pauses between repeated calls of an Action, and how often one that runs is asked.
const (
	defaultAgain        = time.Second
	firstPause          = time.Second
	longestPause        = 15 * time.Second
	callTimeout         = 30 * time.Second // for one call of an Action
	preconditionTimeout = time.Minute      // for all tries to read a precondition
	complainAfter       = 3                // failed polls before the card says so
	cancelTimeout       = 10 * time.Second // for one call of Cancel
	cancelTries         = 3
	heldTime            = time.Second
)

// begin starts or follows an attempt, unless this replica does so already.
func (h *holder) begin(ctx context.Context, id string) {
	if h.attempts[id] != nil {
		return
	}
	s, _ := h.rollout.Step(id)
	running, stop := context.WithCancel(ctx)
	w := &worker{
		step: *s, task: h.rollout.task(*s), action: h.engine.Actions[s.Spec.Kind],
		log: h.log.With("step", id), reports: h.reports,
	}
	w.task.Held = h.held
	a := &attempt{stop: stop, done: make(chan struct{}), made: w}
	h.attempts[id] = a
	go func() {
		defer close(a.done)
		defer stop()
		w.run(running)
	}()
}

// held asks the store whether the lease is still ours. Without an answer it is taken to be: nobody can
// take over without the store either, and a way back does not wait for it.
func (h *holder) held(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, heldTime)
	defer cancel()
	if _, err := h.engine.Leases.Renew(ctx, h.lease); errors.Is(err, ErrFenced) {
		return ErrFenced
	}
	return nil
}

// task is what the action of a step may know.
func (r *Rollout) task(s Step) Task {
	return Task{
		Key: Key{Rollout: r.ID, Step: s.ID, Attempt: s.Attempt}, Target: r.Target,
		Step: s.Spec, Fence: s.Fence, Created: r.Created, Started: s.Started, Extra: s.Extra.D(), Probing: s.Probing,
		Passed: r.passedBefore(s), Services: r.Services, Hosts: r.Environment.Hosts,
	}
}

// passedBefore lists the steps that asked the same of the same service as s, and passed.
func (r *Rollout) passedBefore(s Step) []Step {
	if s.Spec.CountingGate() == nil {
		return nil
	}
	var steps []Step
	for _, p := range r.Phases {
		for _, other := range p.Steps {
			if other.ID != s.ID && other.Spec.Kind == s.Spec.Kind && other.Spec.Service() == s.Spec.Service() && other.passedByCounting() {
				steps = append(steps, other)
			}
		}
	}
	return steps
}

func (h *holder) idleBut(step string) bool {
	_, itself := h.attempts[step]
	return len(h.attempts) == 0 || itself && len(h.attempts) == 1
}

// forget lets go of an attempt that has reported its end.
func (h *holder) forget(id string) {
	if a := h.attempts[id]; a != nil {
		a.stop()
		<-a.done
		delete(h.attempts, id)
	}
}

// stopLeft stops attempts of steps that others moved on.
func (h *holder) stopLeft(d Decision) {
	wanted := map[string]bool{}
	for _, id := range d.Start {
		wanted[id] = true
	}
	for _, id := range d.Follow {
		wanted[id] = true
	}
	for id := range h.attempts {
		if !wanted[id] {
			h.stopOne(id)
		}
	}
}

// stopOne ends an attempt's goroutine and waits for it. Its reports are refused meanwhile, so it
// cannot wait for us.
func (h *holder) stopOne(id string) {
	a := h.attempts[id]
	if a == nil {
		return
	}
	a.stop()
	for {
		select {
		case <-a.done:
			delete(h.attempts, id)
			if a.made.unsure {
				h.unsure = append(h.unsure, a.made)
			}
			return
		case r := <-h.reports:
			r.answer <- errStopped
		}
	}
}

func (h *holder) stopAll() {
	for id := range h.attempts {
		h.stopOne(id)
	}
}

var errStopped = errors.New("the attempt was stopped")

// cancel stops an attempt here and, as far as possible, in the cloud, and commits how it ended.
func (h *holder) cancel(ctx context.Context, c Cancellation) (done bool, err error) {
	h.stopOne(c.Step)
	s, _ := h.rollout.Step(c.Step)
	task, action := h.rollout.task(*s), h.engine.Actions[s.Spec.Kind]
	pause := firstPause
	for range cancelTries {
		if action == nil { // nothing outside, such as a wait
			break
		}
		call, stop := context.WithTimeout(ctx, cancelTimeout)
		err = cancelOnce(call, action, task, s.Handle)
		stop()
		if err == nil || !sleep(ctx, pause) {
			break
		}
		pause *= 2
	}
	if err != nil {
		h.log.Warn("could not cancel", "step", c.Step, "err", err)
		c.Outcome.Note += " It could not be cancelled and may still be running."
	}
	return h.commit(ctx, Event{At: time.Now().UTC(), Kind: StepEnded, Step: s.ID, Attempt: s.Attempt, Outcome: &c.Outcome})
}

// cancelOnce looks the effect up first if the crash of a replica left its handle unknown.
func cancelOnce(ctx context.Context, action Action, t Task, handle string) error {
	if handle == "" {
		found, ok, err := action.Find(ctx, t)
		if err != nil || !ok {
			return err
		}
		handle = found
	}
	return action.Cancel(ctx, t, handle)
}

// worker makes an attempt: precondition, commit, effect, commit, and polls until the outcome.
type worker struct {
	step    Step
	task    Task
	action  Action
	log     *slog.Logger
	reports chan<- report
	unsure  bool // the effect was asked for, and that is not committed; read when it is done
}

func (w *worker) run(ctx context.Context) {
	if w.action == nil {
		w.step.Attempt++
		w.end(ctx, Outcome{State: FailedState, Label: "unsupported", Note: fmt.Sprintf("This version of Slipway cannot run %q steps.", w.step.Spec.Kind)})
		return
	}
	repeated := w.step.Status == StepRunning // someone else began it
	if !repeated && !w.announce(ctx) {
		return
	}
	if w.step.Handle == "" && !w.effect(ctx, repeated) {
		return
	}
	w.follow(ctx)
}

// announce reads the precondition and commits that the attempt starts.
func (w *worker) announce(ctx context.Context) bool {
	w.step.Attempt++
	w.step.Handle = "" // of the attempt before
	w.task.Key.Attempt = w.step.Attempt
	if f, ok := w.action.(Fencer); ok {
		limited, cancel := context.WithTimeout(ctx, preconditionTimeout)
		defer cancel()
		err := w.repeat(limited, "read the precondition", func(call context.Context) (err error) {
			w.task.Fence, err = f.Precondition(call, w.task)
			return err
		})
		if err != nil {
			w.fail(ctx, err)
			return false
		}
	}
	now := time.Now().UTC()
	w.task.Started = now
	return w.report(ctx, Event{At: now, Kind: StepStarted, Fence: w.task.Fence}) == nil
}

// effect applies the effect, or finds it applied, and commits its handle. After any failed call the
// effect is looked for before it is tried again: the failure may have come after the effect.
func (w *worker) effect(ctx context.Context, repeated bool) bool {
	err := w.repeat(ctx, "start the step", func(call context.Context) error {
		if repeated {
			handle, found, err := w.action.Find(call, w.task)
			if err != nil || found {
				w.step.Handle = handle
				return err
			}
		}
		repeated, w.unsure = true, true
		handle, err := w.action.Start(call, w.task)
		w.step.Handle = handle
		return err
	})
	if err != nil {
		w.fail(ctx, err)
		return false
	}
	w.unsure = w.report(ctx, Event{At: time.Now().UTC(), Kind: StepHandled, Handle: w.step.Handle}) != nil
	return !w.unsure
}

// follow polls until the attempt is over and reports what changes on the way.
func (w *worker) follow(ctx context.Context) {
	var last Outcome
	var silent silence
	for {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		o, err := w.action.Poll(call, w.task, w.step.Handle)
		cancel()
		var failure *Failure
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &failure):
			w.fail(ctx, err)
			return
		case err != nil:
			w.log.Warn("poll failed", "err", err)
			o = silent.outcome(last, time.Now())
		default:
			silent = silence{}
		}
		if o.State != StillRunning {
			w.end(ctx, o)
			return
		}
		if changed(last, o) && w.report(ctx, Event{At: time.Now().UTC(), Kind: StepProgress, Outcome: &o}) != nil {
			return
		}
		last = o
		if !sleep(ctx, cmp.Or(o.Again, defaultAgain)) {
			return
		}
	}
}

// silence counts polls that got no answer.
type silence struct {
	since time.Time
	polls int
	pause time.Duration
}

// outcome is the last one known, with a note once the silence lasts.
func (s *silence) outcome(last Outcome, now time.Time) Outcome {
	if s.polls++; s.polls == 1 {
		s.since = now
	}
	s.pause = min(max(2*s.pause, firstPause), longestPause)
	last.State, last.Again, last.Change = StillRunning, s.pause, nil
	if s.polls >= complainAfter {
		last.Note = fmt.Sprintf("No answer for %s; trying again.", now.Sub(s.since).Round(time.Second))
	}
	return last
}

func changed(a, b Outcome) bool {
	return a.Note != b.Note || a.Detail != b.Detail || b.Change != nil || (b.Gate != nil && (a.Gate == nil || a.Gate.Counts != b.Gate.Counts))
}

// repeat calls until it succeeds, fails for good (*Failure), or ctx ends.
func (w *worker) repeat(ctx context.Context, what string, call func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		limited, cancel := context.WithTimeout(ctx, callTimeout)
		err := call(limited)
		cancel()
		var failure *Failure
		if err == nil || errors.As(err, &failure) || ctx.Err() != nil {
			return err
		}
		w.log.Warn("call failed, trying again", "what", what, "err", err, "in", pause)
		if !sleep(ctx, pause) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// fail ends the attempt with an error's safe sentence. An attempt that was stopped has nothing to say.
func (w *worker) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	w.log.Warn("step failed", "err", err)
	o := Outcome{State: FailedState, Label: "no_answer", Note: "There was no answer in time."}
	var failure *Failure
	if errors.As(err, &failure) {
		o.Note, o.Detail, o.Label = failure.Reason, failure.Detail, failure.Label
	}
	w.end(ctx, o)
}

func (w *worker) end(ctx context.Context, o Outcome) {
	if err := w.report(ctx, Event{At: time.Now().UTC(), Kind: StepEnded, Outcome: &o}); err != nil && ctx.Err() == nil {
		w.log.Warn("could not report the step's end", "err", err)
	}
}

// report has the holder commit an event and waits for its word.
func (w *worker) report(ctx context.Context, e Event) error {
	e.Step, e.Attempt = w.step.ID, w.step.Attempt
	answer := make(chan error, 1)
	select {
	case w.reports <- report{e, answer}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
