package commands

import (
	"context"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// Engine starts rollouts and passes on what people say to them; *rollout.Engine is one. Its errors
// of type *rollout.Refusal, *rollout.Failure and *rollout.LockedError are shown to people, the
// others only to the log.
type Engine interface {
	// Start begins a rollout. A repeated Token returns the rollout that the first request began.
	Start(ctx context.Context, req rollout.Request) (rollout.Rollout, error)
	// Rollback begins a rollback, as Start does a rollout.
	Rollback(ctx context.Context, req rollout.RollbackRequest) (rollout.Rollout, error)
	// Tell applies what a person said, and returns the rollout as it is then.
	Tell(ctx context.Context, id string, e rollout.Event) (rollout.Rollout, error)
	// Load returns a snapshot; rollout.ErrNotFound if there is none.
	Load(ctx context.Context, id string) (rollout.Rollout, error)
	// Active returns the rollouts that have not ended, oldest first.
	Active(ctx context.Context) ([]rollout.Rollout, error)
}

// Directory knows who belongs to what.
type Directory interface {
	// Member reports whether a user is one of handles or in one of them: "@group", "@user" or IDs.
	// With no handles it is false.
	Member(ctx context.Context, userID string, handles []string) (bool, error)
	// Missing says, a sentence each, whether the channel cannot be posted to and which of the handles
	// mean nobody.
	Missing(ctx context.Context, channel string, handles []string) ([]string, error)
}

// Locker keeps the locks of people, and knows those of rollouts.
type Locker interface {
	// Lock gives a person a target; a *rollout.LockedError says who is in the way. Whoever has it
	// already gets the new reason and the new end.
	Lock(ctx context.Context, l rollout.Lock) (rollout.Lock, error)
	// Unlock removes the person's lock with that fence. It is no error if the target is free; a
	// *rollout.LockedError says which other lock is there by now.
	Unlock(ctx context.Context, target plan.Target, fence int64) error
	// Holder returns the lock that keeps a rollout of target from starting, if there is one.
	Holder(ctx context.Context, target plan.Target) (rollout.Lock, bool, error)
	// Locks returns all locks, of people and of rollouts.
	Locks(ctx context.Context) ([]rollout.Lock, error)
}

// Line keeps the lines of those who wait for a target.
type Line interface {
	// Join puts a person in line for wish.Target; wish is the lock they get for lasts when it is their
	// turn. Who is in line keeps the place and gets the new wish. A repeated token changes nothing.
	Join(ctx context.Context, token string, wish rollout.Lock, lasts time.Duration) (rollout.Joined, error)
	// Leave takes a person out of the line, or ends their turn. A repeated token changes nothing.
	Leave(ctx context.Context, token string, target plan.Target, who rollout.Actor) (rollout.Left, error)
	// Lines returns the wishes of all who are in line, the first in front.
	Lines(ctx context.Context) ([]rollout.Lock, error)
}

// Past knows the rollouts that have ended.
type Past interface {
	// History returns those of an environment, the newest first, at most n.
	History(ctx context.Context, environment string, n int) ([]rollout.Rollout, error)
}

// Traffic looks at services without changing them. A *rollout.Failure says what people can do about
// an error.
type Traffic interface {
	// Inspect resolves what (a tag, a digest, or "" for the service's tag), and reads the serving
	// revision and its baseline.
	Inspect(ctx context.Context, s plan.Service, what string, now time.Time) (rollout.Service, error)
	// InspectRevision reads the serving revision, and with a name finds that one as the Candidate. It
	// needs no registry.
	InspectRevision(ctx context.Context, s plan.Service, name string, now time.Time) (rollout.Service, error)
	// Requests counts the requests of a revision.
	Requests(ctx context.Context, q rollout.Query) (rollout.Requests, error)
}

// How long the calls of one request may take. Looking at services asks the registry and reads the
// log; whoever typed the command waits for it.
const (
	startTime = 45 * time.Second
	graphTime = 15 * time.Second // a log that takes longer to read has too many requests for a graph
	callTime  = 10 * time.Second
)

func (h *Handler) load(ctx context.Context, id string) (rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Engine.Load(ctx, id)
}

func (h *Handler) active(ctx context.Context) ([]rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Engine.Active(ctx)
}

func (h *Handler) tell(ctx context.Context, id string, e rollout.Event) (rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Engine.Tell(ctx, id, e)
}

func (h *Handler) holder(ctx context.Context, target plan.Target) (rollout.Lock, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Locker.Holder(ctx, target)
}

func (h *Handler) ended(ctx context.Context, environment string, n int) ([]rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Past.History(ctx, environment, n)
}
