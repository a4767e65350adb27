package rollout

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// holder works on one rollout while its lease lasts: it asks Next, starts and stops attempts, and
// commits what they report. Only its own goroutine touches the snapshot.
type holder struct {
	engine   *Engine
	log      *slog.Logger
	lease    Lease
	rollout  Rollout
	wakes    chan struct{}
	reports  chan report
	attempts map[string]*attempt // by step ID
	unsure   []*worker           // of attempts that were stopped
	postponed
}

// report is an event that an attempt wants committed. The attempt waits for the answer before it
// goes on, so that no effect happens that was not written down first.
type report struct {
	event  Event
	answer chan<- error
}

// leaseMargin is the part of a lease's TTL in which it is no longer trusted: a commit or an effect
// that begins sooner ends inside the lease.
const leaseMargin = 500 * time.Millisecond

func newHolder(e *Engine, lease Lease) *holder {
	return &holder{
		engine: e, lease: lease,
		log:      e.Log.With("rollout", lease.Rollout),
		wakes:    make(chan struct{}, 1),
		reports:  make(chan report),
		attempts: map[string]*attempt{},
	}
}

func (h *holder) poke() {
	select {
	case h.wakes <- struct{}{}:
	default:
	}
}

// run works until the rollout ends, parks, the lease is lost, or ctx ends.
func (h *holder) run(ctx context.Context) {
	working, stop := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		h.renew(working, stop)
	}()
	done, err := h.work(working)
	stop(err)
	h.stopAll()
	<-renewed
	if err != nil && ctx.Err() == nil {
		h.log.Warn("stopped working on the rollout", "err", err)
	}
	if !done {
		h.handOver(ctx)
	}
	if err != nil { // the lease may be lost, and a call of ours still be on its way
		var looking sync.WaitGroup
		for _, w := range slices.Concat(h.unsure, h.loose) {
			looking.Go(func() { h.engine.lookBack(ctx, w) })
		}
		looking.Wait()
	}
}

// renew extends the lease every third of its TTL. It ends the work when the lease was lost, or could
// not be renewed while it can still be trusted.
func (h *holder) renew(ctx context.Context, stop context.CancelCauseFunc) {
	for lease := h.lease; ; {
		left := time.Until(lease.Until)
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(left/3, 50*time.Millisecond)):
		}
		call, cancel := context.WithDeadline(ctx, lease.Until.Add(-leaseMargin))
		next, err := h.engine.Leases.Renew(call, lease)
		cancel()
		switch {
		case errors.Is(err, ErrFenced):
			stop(ErrFenced)
			return
		case err == nil:
			lease = next
		case time.Until(lease.Until) < leaseMargin:
			stop(errors.Join(ErrFenced, err))
			return
		}
	}
}

// handOver gives the lease up so that another replica can take over: at once when this one ends, and a moment later
// when it could not go on, which another one may not be able to either.
func (h *holder) handOver(ctx context.Context) {
	due := time.Now()
	if ctx.Err() == nil {
		due = due.Add(pollEvery)
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := h.flush(call); err != nil {
		h.log.Warn("what came last is not written down; another replica finds it out", "err", err)
	}
	if err := h.engine.Leases.Release(call, h.lease, due); err != nil {
		h.log.Warn("could not hand the rollout over; another replica takes it when the lease ends", "err", err)
	}
}

// work is the loop. done says that the lease is given up already, by a commit.
func (h *holder) work(ctx context.Context) (done bool, err error) {
	if err := h.reload(ctx); err != nil {
		return false, err
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		done, wake, err := h.step(ctx)
		if done || err != nil {
			return done, err
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case r := <-h.reports:
			done, err := h.take(ctx, r)
			if done || err != nil {
				return done, err
			}
		case <-after(wake):
		case <-h.wakes:
			err = h.reload(ctx)
		case <-poll.C:
			if done, err := h.flush(ctx); done || err != nil {
				return done, err
			}
			err = h.reload(ctx)
		}
		if err != nil {
			return false, err
		}
	}
}

// after is like time.After for a moment; a zero moment never comes.
func after(t time.Time) <-chan time.Time {
	if t.IsZero() {
		return nil
	}
	return time.After(time.Until(t))
}

// reload takes over what others committed.
func (h *holder) reload(ctx context.Context) error {
	r, err := h.engine.Store.Load(ctx, h.lease.Rollout)
	if err == nil && r.Version > h.rollout.Version {
		h.rollout = r
		h.again()
	}
	return err
}

// step does what Next says until there is nothing left but to wait.
func (h *holder) step(ctx context.Context) (done bool, wake time.Time, err error) {
	for {
		d := Next(h.rollout, time.Now().UTC())
		switch {
		case len(d.Events) > 0:
			if done, err := h.commit(ctx, d.Events[0]); done || err != nil {
				return done, wake, ignoreRefusal(err)
			}
			continue
		case d.Look:
			return true, wake, h.look(ctx)
		case d.Park && len(h.attempts) == 0:
			if done, err := h.flush(ctx); done || err != nil {
				return done, wake, err
			}
			return true, wake, h.engine.Leases.Release(ctx, h.lease, d.Wake)
		}
		h.stopLeft(d)
		for _, id := range d.Start {
			h.begin(ctx, id)
		}
		for _, id := range d.Follow {
			h.begin(ctx, id)
		}
		if len(d.Cancel) == 0 {
			return false, d.Wake, nil
		}
		for _, c := range d.Cancel {
			if done, err := h.cancel(ctx, c); done || err != nil {
				return done, wake, ignoreRefusal(err)
			}
		}
	}
}

// take commits what an attempt reports and tells it whether to go on.
func (h *holder) take(ctx context.Context, r report) (done bool, err error) {
	if h.mayPostpone(r.event) {
		err = h.postpone(r.event)
	} else {
		done, err = h.commit(ctx, r.event)
	}
	r.answer <- err
	if r.event.Kind == StepEnded || err != nil {
		h.forget(r.event.Step)
	}
	return done, ignoreRefusal(err)
}

// ignoreRefusal: an event that does not apply any more is no error of the loop; Next sees why.
func ignoreRefusal(err error) error {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return nil
	}
	return err
}

// commit applies an event to the newest snapshot and stores it, with all that was postponed. done: the
// lease went with it.
func (h *holder) commit(ctx context.Context, e Event) (done bool, err error) {
	for {
		next, err := Apply(h.rollout, e)
		if err != nil {
			return false, err
		}
		e.Seq = next.Events
		done, err := h.store(ctx, next, append(h.events[:len(h.events):len(h.events)], e))
		if !errors.Is(err, ErrConflict) {
			return done, err
		}
		if err := h.reload(ctx); err != nil {
			return false, err
		}
	}
}

// store commits a snapshot that the events led to.
func (h *holder) store(ctx context.Context, next Rollout, events []Event) (done bool, err error) {
	next.Version++
	last := events[len(events)-1]
	c := Commit{Rollout: next, Events: events, Fence: h.lease.Fence, Then: Hold}
	switch d := Next(next, last.At); {
	case next.Status == Ended && last.Kind == Finished:
		c.Then, c.Lock = Over, next.LockAfter()
		if next.Watched() {
			c.Due = last.At.Add(watchEvery)
		}
	case next.Status == Ended:
		c.Then = Park
	case d.Park && len(d.Events) == 0 && h.idleBut(last.Step):
		c.Then, c.Due = Park, d.Wake
	}
	if err := h.engine.Store.Commit(ctx, c); err != nil {
		return false, err
	}
	h.rollout, h.postponed = next, postponed{}
	for _, e := range events {
		h.logEvent(e)
	}
	h.engine.Observer.Changed(next)
	return c.Then != Hold, nil
}

func (h *holder) logEvent(e Event) {
	if e.Kind == StepProgress {
		return
	}
	attrs := []any{"event", e.Kind, "step", e.Step, "attempt", e.Attempt}
	if e.Outcome != nil {
		attrs = append(attrs, "state", e.Outcome.State, "note", e.Outcome.Note)
	}
	h.log.Info("rollout moved", attrs...)
}
