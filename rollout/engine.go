package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/plan"
)

// Config is what an Engine works with. All ports are required.
type Config struct {
	Store     Store
	Leases    Leases
	Locks     Locks
	Past      Past
	Inspector Inspector
	Actions   map[plan.Kind]Action
	Requests  RequestLog // for what is looked at after a rollout's end
	Observer  Observer
	Owner     string // names this replica
	Log       *slog.Logger
}

// Engine starts rollouts, applies what people say to them, and works on those that are due. All its
// state is in the store: any number of engines share the work, and any of them goes on where
// another one stopped.
type Engine struct {
	Config

	mu    sync.Mutex
	holds map[string]*holder // the rollouts this replica works on
}

// pollEvery is how often a replica looks for work and for changes made elsewhere, for the case that
// the message about them was lost.
const pollEvery = time.Second

// NewEngine returns an engine that does nothing until Run.
func NewEngine(c Config) *Engine {
	return &Engine{Config: c, holds: map[string]*holder{}}
}

// Run claims due rollouts and works on them until ctx ends; then it stops before the next effect and
// hands its leases over. It returns when all its goroutines have ended.
func (e *Engine) Run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	wakes := e.Leases.Wakes(ctx)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		for e.claim(ctx, &work) {
		}
		select {
		case <-ctx.Done():
		case id, open := <-wakes:
			if !open {
				wakes = nil
			}
			e.wake(id)
		case <-tick.C:
		}
	}
}

// claim takes one due rollout and starts to work on it; false if there is none.
func (e *Engine) claim(ctx context.Context, work *sync.WaitGroup) bool {
	if ctx.Err() != nil {
		return false
	}
	lease, ok, err := e.Leases.Claim(ctx, e.Owner)
	if err != nil {
		e.Log.Warn("cannot look for work", "err", err)
		return false
	}
	if !ok {
		return false
	}
	h := newHolder(e, lease)
	e.mu.Lock()
	e.holds[lease.Rollout] = h
	e.mu.Unlock()
	work.Go(func() {
		h.run(ctx)
		e.mu.Lock()
		if e.holds[lease.Rollout] == h {
			delete(e.holds, lease.Rollout)
		}
		e.mu.Unlock()
	})
	return true
}

// wake makes the holder of a rollout look again, if it is here.
func (e *Engine) wake(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.holds[id]; h != nil {
		h.poke()
	}
}

// Start begins a rollout. Errors: *LockedError, *Failure (the services or images could not be read, or
// a rollout that is not on record has traffic there), or the store's. A repeated request (same Token) returns the rollout that the first one began.
func (e *Engine) Start(ctx context.Context, req Request) (Rollout, error) {
	lock, held, err := e.Locks.Holder(ctx, req.Environment.LockTarget(req.Target))
	if err != nil {
		return Rollout{}, fmt.Errorf("read lock: %w", err)
	}
	if held && lock.Rollout != NewID(req.Token, 0) && !lock.TurnOf(req.By) {
		return Rollout{}, &LockedError{Lock: lock}
	}
	services, err := LookAtAll(ctx, req.Environment, req.Target, func(ctx context.Context, s plan.Service) (Service, error) {
		if err := e.refuseLost(ctx, req.Target, s); err != nil {
			return Service{}, err
		}
		return e.Inspector.Inspect(ctx, s, req.What, req.At)
	})
	if err != nil {
		return Rollout{}, err
	}
	past, err := e.Past.History(ctx, req.Environment.Name, remembered)
	if err != nil {
		return Rollout{}, fmt.Errorf("read history: %w", err)
	}
	req.FailedBefore = failedBefore(past, services)
	return e.create(ctx, req.Token, func(id string) (Rollout, Event) { return New(req, id, services) })
}

// Rollback begins a rollback. Errors as those of Start; a person's lock does not keep it back.
func (e *Engine) Rollback(ctx context.Context, req RollbackRequest) (Rollout, error) {
	past, err := e.Past.History(ctx, req.Environment.Name, remembered)
	if err != nil && req.Revision == "" {
		return Rollout{}, fmt.Errorf("read history: %w", err)
	}
	services, err := LookAtAll(ctx, req.Environment, req.Target, func(ctx context.Context, s plan.Service) (Service, error) {
		name := req.Revision
		if name == "" {
			serving, err := e.Inspector.InspectRevision(ctx, s, "", req.At)
			if err != nil {
				return Service{}, err
			}
			if name = lastGood(past, s.Name, serving.Stable.Name); name == "" {
				return Service{}, &Failure{Label: "no_revision", Reason: "There is no earlier revision of " + s.Name + " that passed. Name the one to return to."}
			}
		}
		return e.Inspector.InspectRevision(ctx, s, name, req.At)
	})
	if err != nil {
		return Rollout{}, err
	}
	return e.create(ctx, req.Token, func(id string) (Rollout, Event) { return NewRollback(req, id, services) })
}

// create stores a new rollout under the first ID that is free.
func (e *Engine) create(ctx context.Context, token string, build func(id string) (Rollout, Event)) (Rollout, error) {
	var err error
	const tries = 5
	for salt := range tries {
		r, created := build(NewID(token, salt))
		r, err = e.Store.Create(ctx, r, []Event{created})
		if err == nil {
			e.Observer.Changed(r)
			return r, nil
		}
		if !errors.Is(err, ErrIDTaken) {
			break
		}
	}
	return Rollout{}, err
}

// LookAtAll looks at all services of a target at once and returns what it found by their names.
func LookAtAll(ctx context.Context, env *plan.Environment, target plan.Target, look func(context.Context, plan.Service) (Service, error)) (map[string]Service, error) {
	var mu sync.Mutex
	services := map[string]Service{}
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range env.Services {
		if target.Service != "" && s.Name != target.Service {
			continue
		}
		g.Go(func() error {
			found, err := look(ctx, *s)
			if err != nil {
				return fmt.Errorf("look at %s: %w", s.Name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			services[s.Name] = found
			return nil
		})
	}
	return services, g.Wait()
}

// Tell applies what a person said. It is committed at once, by whichever replica hears it, on the
// snapshot's version: an approval does not wait for the replica that works on the rollout, and an
// abort that is committed keeps that replica from starting another step. A *Refusal says why not.
func (e *Engine) Tell(ctx context.Context, id string, ev Event) (Rollout, error) {
	for {
		r, err := e.Store.Load(ctx, id)
		if err != nil {
			return Rollout{}, err
		}
		next, err := Apply(r, ev)
		if err != nil {
			return r, err
		}
		ev.Seq = next.Events
		next.Version++
		err = e.Store.Commit(ctx, Commit{Rollout: next, Events: []Event{ev}, Then: Hold})
		if errors.Is(err, ErrConflict) {
			continue // someone else's change came first: see whether ours still applies
		}
		if err != nil {
			return r, err
		}
		e.Observer.Changed(next)
		e.wake(id)
		return next, nil
	}
}

// Load returns a snapshot; ErrNotFound if there is none.
func (e *Engine) Load(ctx context.Context, id string) (Rollout, error) { return e.Store.Load(ctx, id) }

// Active returns the rollouts that have not ended, oldest first.
func (e *Engine) Active(ctx context.Context) ([]Rollout, error) { return e.Store.Active(ctx) }
