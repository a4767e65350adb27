package probe

import (
	"context"
	"errors"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// action is a probe as a step kind.
type action struct {
	probes *Probes
	work   func(ctx context.Context, t rollout.Task) rollout.Outcome
}

var _ rollout.Action = action{}

// Find finds what this process began. Of what another one began nothing can be found; if the step
// must not be made twice, that is final.
func (a action) Find(_ context.Context, t rollout.Task) (string, bool, error) {
	if a.probes.known(t.Key) != nil {
		return t.Key.String(), true, nil
	}
	return "", false, lost(t.Step)
}

// Start launches the work and returns at once.
func (a action) Start(ctx context.Context, t rollout.Task) (string, error) {
	_, err := a.probes.begin(ctx, t, a.work)
	return t.Key.String(), err
}

// Poll waits for the end, pollTime at most. What another replica began is begun again if it bears that.
func (a action) Poll(ctx context.Context, t rollout.Task, _ string) (rollout.Outcome, error) {
	r := a.probes.known(t.Key)
	if r == nil {
		if err := lost(t.Step); err != nil {
			return rollout.Outcome{}, err
		}
		var err error
		if r, err = a.probes.begin(ctx, t, a.work); err != nil {
			return rollout.Outcome{}, err
		}
	}
	return r.wait(ctx)
}

// Cancel breaks the work off and waits for its end. A program that another replica began cannot be
// reached from here; requests of another replica end by themselves, soon.
func (a action) Cancel(ctx context.Context, t rollout.Task, _ string) error {
	r := a.probes.known(t.Key)
	switch {
	case r != nil:
		r.stop()
		return r.ended(ctx)
	case t.Step.Kind == plan.KindCommand:
		return errors.New("another replica began the command; it runs there until its timeout, if that replica still does")
	}
	return nil
}

// lost is the end of an attempt about which nothing is known here, or nil if it may be made again.
func lost(s plan.Step) error {
	if s.Repeatable == nil || *s.Repeatable {
		return nil
	}
	return &rollout.Failure{
		Label:  rollout.LabelUnknownEnd,
		Reason: "It is not known whether it ran to the end: the replica of Slipway that began it cannot be asked any more, and the step must not be repeated. See whether it took effect before you decide.",
	}
}

// run is the work of one attempt. outcome and finished are set before done is closed.
type run struct {
	stop     context.CancelFunc
	done     chan struct{}
	outcome  rollout.Outcome
	broken   bool // stopped before there was an outcome
	finished time.Time
}

// begin launches the work of an attempt unless that was done already.
func (p *Probes) begin(ctx context.Context, t rollout.Task, work func(context.Context, rollout.Task) rollout.Outcome) (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(time.Now().Add(-rememberFor))
	if r := p.runs[t.Key]; r != nil {
		return r, nil
	}
	if p.closed {
		return nil, errClosed
	}
	// The work outlasts the call that launches it: it ends by itself, by Cancel or by Close.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &run{stop: stop, done: make(chan struct{})}
	p.runs[t.Key] = r
	p.work.Go(func() {
		defer close(r.done)
		defer stop()
		r.outcome = work(working, t)
		r.broken, r.finished = working.Err() != nil, time.Now()
	})
	return r, nil
}

func (p *Probes) known(key rollout.Key) *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs[key]
}

// forget drops what ended before a time. The caller holds the lock.
func (p *Probes) forget(before time.Time) {
	for key, r := range p.runs {
		select {
		case <-r.done:
			if r.finished.Before(before) {
				delete(p.runs, key)
			}
		default:
		}
	}
}

// wait returns the outcome, or StillRunning after pollTime. Work that was broken off has no outcome.
func (r *run) wait(ctx context.Context) (rollout.Outcome, error) {
	limited, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	err := r.ended(limited)
	switch {
	case ctx.Err() != nil:
		return rollout.Outcome{}, err
	case err != nil:
		return rollout.Outcome{State: rollout.StillRunning}, nil
	case r.broken:
		return rollout.Outcome{}, errors.New("the step was broken off")
	}
	return r.outcome, nil
}

// ended waits for the end of the work or of ctx.
func (r *run) ended(ctx context.Context) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
