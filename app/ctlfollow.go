package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"slipway/rollout"
)

// history is where a rollout is read; *state.Store is one.
type history interface {
	Load(ctx context.Context, id string) (rollout.Rollout, error)
	// Events returns the events with a Seq above after, oldest first.
	Events(ctx context.Context, id string, after int64) ([]rollout.Event, error)
}

// follower prints what happens to a rollout, a line each.
type follower struct {
	from     history
	id       string
	terminal terminal
	out      io.Writer

	seen  int64 // Seq of the last event told
	asked map[string]bool
	mute  bool // the store does not answer, and that was said
}

const lookEvery = time.Second

// follow looks on until the rollout ends, ctx does, or the time is over (0: never), and returns the last
// snapshot. The rollout goes on whatever becomes of who looks on.
func (f *follower) follow(ctx context.Context, most time.Duration) (rollout.Rollout, error) {
	if most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	f.asked = map[string]bool{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		r, err := f.look(ctx)
		switch {
		case errors.Is(err, rollout.ErrNotFound):
			return r, fmt.Errorf("rollout %s is not on record any more", f.id)
		case err == nil && r.Status == rollout.Ended:
			return r, nil
		case err != nil && !f.mute && ctx.Err() == nil:
			f.say(time.Now(), whatIsWrong(err)+" Looking again; the bots do not need this command.")
			f.mute = true
		}
		select {
		case <-ctx.Done():
			return r, fmt.Errorf("stopped looking on; rollout %s goes on: slipway ctl status shows it", f.id)
		case <-tick.C:
		}
	}
}

// look tells what has happened since the last look.
func (f *follower) look(ctx context.Context) (rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	r, err := f.from.Load(ctx, f.id)
	if err != nil {
		return r, err
	}
	events, err := f.from.Events(ctx, f.id, f.seen)
	if err != nil {
		return rollout.Rollout{}, err
	}
	f.mute = false
	f.terminal.learn(r)
	for _, e := range events {
		if e.Seq > r.Events {
			break // newer than the snapshot, which explains it
		}
		f.seen = e.Seq
		f.say(e.At, f.told(&r, e))
	}
	for _, a := range r.Asks {
		if a.Answer == nil && !f.asked[a.ID] && r.Status != rollout.Ended {
			f.asked[a.ID] = true
			f.say(a.Opened, f.open(&r, a))
		}
	}
	return r, nil
}

func (f *follower) say(at time.Time, text string) {
	if text != "" {
		fmt.Fprintf(f.out, "%s  %s\n", at.Local().Format("15:04:05"), visibleText(strings.Join(strings.Fields(text), " ")))
	}
}

// told is an event as a line; "" for those that tell nothing.
func (f *follower) told(r *rollout.Rollout, e rollout.Event) string {
	switch e.Kind {
	case rollout.StepStarted:
		if e.Attempt > 1 {
			return fmt.Sprintf("%s: started, attempt %d", stepName(r, e.Step), e.Attempt)
		}
		return stepName(r, e.Step) + ": started"
	case rollout.StepEnded:
		if e.Outcome == nil {
			return ""
		}
		return fmt.Sprintf("%s: %s. %s", stepName(r, e.Step), e.Outcome.State, e.Outcome.Note)
	case rollout.StepDoubled:
		return stepName(r, e.Step) + ": " + e.Reason
	case rollout.Said:
		if e.By == nil {
			return ""
		}
		return strings.TrimSpace(fmt.Sprintf("%s: %s. %s", nameIn(*e.By), e.Verb, e.Reason))
	case rollout.AskExpired:
		return "Nobody answered in time."
	case rollout.Finished:
		return ending(r)
	}
	return ""
}

// ending says how a rollout ended, and why.
func ending(r *rollout.Rollout) string {
	text := fmt.Sprintf("Rollout %s of %s: %s.", r.ID, r.Target, r.End.Result.Sentence())
	if r.Kind == rollout.Rollback {
		text = strings.Replace(text, "Rollout", "Rollback", 1)
	}
	return text + " " + r.End.Reason
}

func stepName(r *rollout.Rollout, id string) string {
	if s, _ := r.Step(id); s != nil {
		return s.Spec.Name
	}
	return "Step " + id
}

func nameIn(by rollout.Actor) string {
	if by.Name != "" {
		return by.Name
	}
	return by.ID
}

// open says what is waited for, of whom, until when, and how it is answered from here.
func (f *follower) open(r *rollout.Rollout, a rollout.Ask) string {
	who := "someone"
	if list := f.terminal.askedOf(r, a); len(list) > 0 {
		who = strings.Join(list, " or ")
	}
	text := fmt.Sprintf("Waiting for %s until %s: %s", who, a.Deadline.Local().Format("15:04"), a.Question)
	if len(a.Options) > 0 {
		text += fmt.Sprintf(" (slipway ctl %s %s)", a.Options[0], r.Target)
	}
	return text
}

// well reports whether a rollout ended as whoever gave the order wants it.
func well(r *rollout.Rollout, verb string) bool {
	if r.End == nil {
		return false
	}
	if verb == "rollback" && r.Kind == rollout.Deployment { // it was stopped in place of a rollback
		moved := false
		for _, s := range r.Services {
			moved = moved || s.Percent > 0
		}
		return r.End.Result == rollout.RolledBack || r.End.Result == rollout.Aborted && !moved
	}
	return r.End.Result == rollout.Succeeded
}
