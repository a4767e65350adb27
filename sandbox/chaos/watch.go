package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"slipway/rollout"
)

// watch knows every rollout that there was, as it was seen last, whatever becomes of its record.
type watch struct {
	world *world

	mu    sync.Mutex
	known map[string]rollout.Rollout
}

const watchEvery = 50 * time.Millisecond

func newWatch(w *world) *watch { return &watch{world: w, known: map[string]rollout.Rollout{}} }

// run looks until ctx ends. While Redis is away there is nothing to see.
func (w *watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		_ = w.look(ctx)
		pause(ctx, watchEvery)
	}
}

// look reads what is active, and how those ended that are not any more.
func (w *watch) look(ctx context.Context) error {
	active, err := w.world.store.Active(ctx)
	if err != nil {
		return err
	}
	for _, r := range active {
		w.note(r)
	}
	for _, r := range w.all() {
		if r.Status == rollout.Ended || slices.ContainsFunc(active, func(a rollout.Rollout) bool { return a.ID == r.ID }) {
			continue
		}
		ended, err := w.world.store.Load(ctx, r.ID)
		if errors.Is(err, rollout.ErrNotFound) {
			continue // the judge will say so
		}
		if err != nil {
			return err
		}
		w.note(ended)
	}
	return nil
}

func (w *watch) note(r rollout.Rollout) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, ok := w.known[r.ID]; !ok || known.Version <= r.Version {
		w.known[r.ID] = r
	}
}

// all returns the rollouts, oldest first.
func (w *watch) all() []rollout.Rollout {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []rollout.Rollout
	for _, r := range w.known {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b rollout.Rollout) int { return a.Created.Compare(b.Created) })
	return list
}

func (w *watch) get(id string) rollout.Rollout {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[id]
}

// of returns the IDs of a service's rollouts.
func (w *watch) of(service string) []string {
	var ids []string
	for _, r := range w.all() {
		if r.Target.Service == service {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
