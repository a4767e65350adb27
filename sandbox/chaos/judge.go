package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/rollout"
)

// judge collects what happened and what must not have happened.
type judge struct {
	mu         sync.Mutex
	counts     map[string]int
	longest    map[string]time.Duration
	violations []violation
}

type violation struct{ kind, what string }

func newJudge() *judge { return &judge{counts: map[string]int{}, longest: map[string]time.Duration{}} }

func (j *judge) count(what string) { j.add(what, 1) }

func (j *judge) add(what string, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts[what] += n
}

// took notes how long something took, of which the longest is reported.
func (j *judge) took(what string, d time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.longest[what] = max(j.longest[what], d)
}

func (j *judge) violation(kind, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if v := (violation{kind, fmt.Sprintf(format, args...)}); !slices.Contains(j.violations, v) {
		j.violations = append(j.violations, v)
	}
}

func (j *judge) clean() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.violations) == 0
}

// report prints what happened, and what must not have.
func (j *judge) report(out io.Writer) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, what := range slices.Sorted(maps.Keys(j.counts)) {
		fmt.Fprintf(out, "%6d  %s\n", j.counts[what], what)
	}
	for _, what := range slices.Sorted(maps.Keys(j.longest)) {
		fmt.Fprintf(out, "%5.1fs  %s\n", j.longest[what].Seconds(), what)
	}
	for _, v := range j.violations {
		fmt.Fprintf(out, "VIOLATED  %s: %s\n", v.kind, v.what)
	}
}

// The kinds of violation that the report always names.
const (
	doubledEffect = "effect doubled"
	lostRollout   = "rollout lost"
	doubledCard   = "card doubled"
)

// examine looks at the world once it has come to rest.
func (j *judge) examine(ctx context.Context, w *world, seen *watch) error {
	j.effects(w.ledger)
	if err := j.rollouts(ctx, w, seen); err != nil {
		return err
	}
	j.cards(w, seen.all())
	for _, r := range w.replicas {
		if r.panics > 0 {
			j.violation("panic", "bot %d panicked %d times; see its log in %s", r.number, r.panics, w.dir)
		}
	}
	return j.leftovers(ctx, w)
}

func (j *judge) effects(l *ledger) {
	keys, stopped := l.doubled()
	for _, key := range keys {
		j.violation(doubledEffect, "%s", key)
	}
	j.add("effects in the cloud", l.count())
	j.add("second runs of a job found and stopped", stopped)
}

// rollouts have all ended, each as its image had it coming: nothing but the image was wrong.
func (j *judge) rollouts(ctx context.Context, w *world, seen *watch) error {
	if err := seen.look(ctx); err != nil {
		return err
	}
	for _, last := range seen.all() {
		r, err := w.store.Load(ctx, last.ID)
		switch {
		case errors.Is(err, rollout.ErrNotFound):
			j.violation(lostRollout, "%s of %s is not on record any more", last.ID, last.Target)
			continue
		case err != nil:
			return err
		case r.Status != rollout.Ended:
			j.violation(lostRollout, "%s of %s has not ended: %s", r.ID, r.Target, standing(&r))
			continue
		}
		j.count("rollouts " + string(r.End.Result))
		want := rollout.Succeeded
		if strings.HasPrefix(r.Services[r.Target.Service].Image.Tag, "bad") {
			want = rollout.RolledBack
		}
		if r.End.Result != want {
			j.violation("wrong end", "%s of %s ended as %s (%s), not as %s: %s", r.ID, r.Target, r.End.Result, r.End.Reason, want, standing(&r))
		}
	}
	return nil
}

// standing is where a rollout stands, for whoever has to find out why.
func standing(r *rollout.Rollout) string {
	var out []string
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Status != rollout.StepPassed && s.Status != rollout.StepPending {
				out = append(out, fmt.Sprintf("%s is %s (%s)", s.Spec.Name, s.Status, s.Note))
			}
		}
	}
	return strings.Join(out, "; ")
}

// cards are one for each rollout.
func (j *judge) cards(w *world, all []rollout.Rollout) {
	cards, replies := map[string]int{}, map[string]int{}
	for _, service := range w.services {
		for _, m := range w.servers.Slack.Messages("deploys-" + service) {
			id, key := metadata(m)
			switch {
			case id == "" || m.Deleted:
			case m.ThreadTS == "":
				cards[id]++
				if !hasEnded(m.Text) {
					j.violation("stale card", "the card of %s says %q", id, m.Text)
				}
			default:
				replies[id+" "+key]++
			}
		}
	}
	for _, r := range all {
		if n := cards[r.ID]; n != 1 {
			j.violation(doubledCard, "%s has %d cards", r.ID, n)
		}
		delete(cards, r.ID)
	}
	for id := range cards {
		j.violation(lostRollout, "there is a card of %s, and no such rollout was ever seen", id)
	}
	for reply, n := range replies {
		if n > 1 {
			j.violation("reply doubled", "%s is %d times in its thread", reply, n)
		}
	}
	j.add("replies in threads", len(replies))
}

func hasEnded(card string) bool {
	for _, end := range []string{"Deployed", "Rolled back", "Failed", "Rejected", "Expired", "Stopped"} {
		if strings.HasPrefix(card, "*"+end+": ") {
			return true
		}
	}
	return false
}

// leftovers are what must not be in Redis once all rollouts have ended.
func (j *judge) leftovers(ctx context.Context, w *world) error {
	locks, err := w.store.Locks(ctx)
	if err != nil {
		return err
	}
	for _, l := range locks {
		j.violation("lock left behind", "%s is locked by %s", l.Target, l.Rollout)
	}
	for _, set := range []string{"active", "due", "leases", "outbox", "inbox:waiting", "inbox:taken"} {
		left, err := w.client.ZRange(ctx, "{slipway}:"+set, 0, -1).Result()
		if err != nil {
			return err
		}
		for _, what := range left {
			j.violation("left in "+set, "%s", what)
		}
	}
	return nil
}
