package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway/plan"
)

// Store keeps snapshots and their history. Every write is one atomic step: it happens whole or not
// at all, and a repetition after a lost reply (same Token or same snapshot version) is a no-op that
// reports success.
type Store interface {
	// Create stores a new rollout with its lock and first events, due at once. The lock of a Rollback
	// replaces a person's; nothing replaces a rollout's. If a rollout with the
	// same Token exists, that one is returned and nothing is written. A held lock is a *LockedError,
	// an ID that another Token has is ErrIDTaken. The result has the lock's fence.
	Create(ctx context.Context, r Rollout, events []Event) (Rollout, error)
	// Load returns a snapshot; ErrNotFound if there is none.
	Load(ctx context.Context, id string) (Rollout, error)
	// Commit replaces the snapshot whose Version is c.Rollout.Version-1. ErrConflict: someone else
	// committed first, load and apply again. ErrFenced: the lease is no longer ours.
	Commit(ctx context.Context, c Commit) error
	// Active returns the snapshots of all rollouts that have not ended, oldest first.
	Active(ctx context.Context) ([]Rollout, error)
}

// Commit is one atomic change of a rollout. It also marks the card as stale, so that whatever posts
// to Slack catches up, and wakes the holder if a person made it.
type Commit struct {
	Rollout Rollout
	Events  []Event
	Fence   int64     // the holder's lease; 0 for a person's event, which needs no lease
	Then    Then      // what becomes of the lease
	Lock    *Lock     // with Over: the person's lock that the target is left with; nil: it is free
	Due     time.Time // with Park: when the rollout is due again; zero: only a person's event wakes it. With Over: when its verdicts are looked at again; zero: never
}

// Then says what becomes of the lease after a commit.
type Then string

const (
	Hold Then = "hold" // keep it (a person's event leaves it to whoever has it, and makes the rollout due)
	Park Then = "park" // give it up until Due
	Over Then = "over" // the rollout has ended: the lease and the environment's lock are released
)

// Leases hand rollouts that are due to replicas.
type Leases interface {
	// Claim takes one rollout that is due: expired leases before new work. ok is false if none is.
	Claim(ctx context.Context, owner string) (Lease, bool, error)
	// Renew extends a lease by its TTL; ErrFenced if it was lost.
	Renew(ctx context.Context, l Lease) (Lease, error)
	// Release gives a lease up; the rollout is due again at the time given (now: another replica takes
	// it at once; zero: only a person's event wakes it). No error if the lease was lost already.
	Release(ctx context.Context, l Lease, due time.Time) error
	// Wakes delivers the IDs of rollouts that changed by a person's event or became due, until ctx
	// ends. It may lose some: users poll as well.
	Wakes(ctx context.Context) <-chan string
}

// Lease is the right to work on one rollout. It only avoids collisions; effects are protected by
// their idempotency keys and Cloud Run's etag.
type Lease struct {
	Rollout string
	Owner   string
	Fence   int64
	Until   time.Time // by the local clock, measured from before the call
}

// Locks tell who holds a target.
type Locks interface {
	// Holder returns the lock that keeps a rollout of target from starting, if there is one.
	Holder(ctx context.Context, target plan.Target) (Lock, bool, error)
}

// Past tells what became of earlier rollouts.
type Past interface {
	// History returns the ended rollouts of an environment, the newest first, at most n.
	History(ctx context.Context, environment string, n int) ([]Rollout, error)
}

// Inspector looks at a service before a rollout, without changing anything.
type Inspector interface {
	// InspectRevision reads the serving revision (Stable, with its baseline) and finds the one called
	// name ("00041" is enough if only one matches) as the Candidate, which has to be able to serve. It
	// needs no registry. A *Failure says what people can do about an error.
	InspectRevision(ctx context.Context, s plan.Service, name string, now time.Time) (Service, error)
	// Inspect resolves what (a tag, a digest, or "" for the service's tag) to a digest and reads the
	// serving revision and its baseline. A *Failure says what people can do about an error.
	Inspect(ctx context.Context, s plan.Service, what string, now time.Time) (Service, error)
}

// Observer is told of each commit of this replica, so that the card need not wait for a poll. It must not block.
type Observer interface {
	Changed(r Rollout)
}

// Task is all that an Action may know of the attempt it is asked to make.
type Task struct {
	Key      Key
	Target   plan.Target
	Step     plan.Step     // with ${…} still in it; Action implementations expand by Vars
	Fence    string        // the precondition stored in the commit that started the attempt
	Created  time.Time     // when the rollout began
	Started  time.Time     // when the attempt began
	Extra    time.Duration // by which people have extended a gate's budget
	Probing  bool          // people had test requests sent to a gate
	Passed   []Step        // of the same service and kind, those that passed by counting requests
	Services map[string]Service
	Hosts    []string // that may be called besides the services' own; see plan.MatchHost
	// Held asks whether this replica may still act; nil: it may. An Action that reads its precondition
	// itself asks between reading it and using it: whoever took over since then has changed it.
	Held func(ctx context.Context) error
}

// StillHeld is ErrFenced if another replica has taken over.
func (t Task) StillHeld(ctx context.Context) error {
	if t.Held == nil {
		return nil
	}
	return t.Held(ctx)
}

// Key identifies one attempt of one step: what makes an effect happen once.
type Key struct {
	Rollout string
	Step    string
	Attempt int
}

// String is the key as it is put into job environments, message metadata and annotations.
func (k Key) String() string { return fmt.Sprintf("%s/%s/%d", k.Rollout, k.Step, k.Attempt) }

// Action is one kind of step. The engine calls Find before every Start that may be a repetition;
// Start must then be safe to call. A crash can come between any two calls.
//
// Errors: a *Failure is final and its Reason is shown to people; any other error is taken as
// passing and the call is repeated, with growing pauses, until the step's timeout.
type Action interface {
	// Find looks for the effect of an attempt that may have been started before.
	Find(ctx context.Context, t Task) (handle string, found bool, err error)
	// Start applies the effect and returns what Poll needs to follow it; it does not wait for the end.
	Start(ctx context.Context, t Task) (handle string, err error)
	// Poll says how the attempt stands.
	Poll(ctx context.Context, t Task, handle string) (Outcome, error)
	// Cancel stops the attempt as far as that is possible; it is not an error if it is over.
	Cancel(ctx context.Context, t Task, handle string) error
}

// Fencer is an Action whose effect has a precondition. Precondition reads it once; the engine stores
// it in the commit that starts the attempt. It also refuses (with a *Failure) to go on when the
// service is not as the rollout left it.
type Fencer interface {
	Precondition(ctx context.Context, t Task) (fence string, err error)
}

// Doubler is an Action whose effect has no precondition, so that it can come about twice.
type Doubler interface {
	// Undouble makes an end of the effects of an attempt besides the one at handle ("": the oldest), and
	// says in a sentence that they were there, however often it is asked; "" if they were not.
	Undouble(ctx context.Context, t Task, handle string) (said string, err error)
}

// RequestLog counts what a revision did. Implementations read from a log that arrives late and out
// of order, and count each entry once.
type RequestLog interface {
	// Requests counts the requests that q asks for.
	Requests(ctx context.Context, q Query) (Requests, error)
	// Lines returns how many log lines of the revision since then contain match.
	Lines(ctx context.Context, s Service, revision, match string, since time.Time) (Lines, error)
}

// Prober makes test requests.
type Prober interface {
	// Probe requests a path of the service's new revision, marked by GateAgent. How it was answered is the log's to
	// say; an error means that there was no answer.
	Probe(ctx context.Context, s Service, path string) error
}

// Query says which requests to count: those of one revision that started at or after Since.
type Query struct {
	Service  Service // its Source says where the numbers come from
	Revision string
	Since    time.Time
	Slow     time.Duration // requests that take longer are counted as Slow; 0: none are
	Late     time.Duration // those logged longer after their start are counted as Late; 0: none are
	// Ignore is paths that are no users' requests, such as health checks: "/health", or all that begin
	// alike with "/internal/*".
	Ignore []string
}

// Where the numbers of a service come from.
const (
	FromLogs    = "logs"    // the request log; also what "" as Service.Source means
	FromMetrics = "metrics" // Cloud Monitoring
)

// Requests is a revision's requests by the time at which they started; from metrics, at which they ended.
type Requests struct {
	Slots     []Slot        // of users; ascending, slots without requests are left out
	Probes    []Slot        // test requests, marked by GateAgent; likewise. Never pooled with users'
	Every     time.Duration // how long a slot is: a second from logs, a minute from metrics
	Watermark time.Time     // when the newest entry seen was received; zero: none seen
	Dropped   int64         // requests known to be lost on the way; verdict.DroppedUnknown: some are, nobody knows how many
	Source    string        // FromLogs or FromMetrics
	Query     string        // the filter, as one could ask for the same in the console
}

// Slot is the requests of [At, At+Every).
type Slot struct {
	At       time.Time
	Requests int64
	Errors   int64 // 5xx
	Slow     int64 // took longer than Query.Slow
	Late     int64 // were logged later than Query.Late after their start; metrics do not know
	Unclear  int64 // may have: metrics know a latency only as a class, and this one's holds Query.Slow
}

// Lines is the log lines that matched.
type Lines struct {
	Hits   int64
	Sample string // the first of them
}

// LabelUnknownEnd is the Label of a Failure that leaves open whether the effect of a step that may not
// be repeated has happened: people decide, whatever on_failure says.
const LabelUnknownEnd = "unknown_end"

// LabelChanged is the Label of a Failure that someone else's change of a service is the reason for.
const LabelChanged = "changed_meanwhile"

// Failure is an error with a safe sentence for people, and the chain for the log.
type Failure struct {
	Reason string // what happened and what to do, fit for the channel
	Detail string // more, still safe
	Label  string // for metrics: "image_missing"
	Err    error
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Reason + ": " + f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }

// SafeReason is Reason, for whoever tells people and does not know of failures.
func (f *Failure) SafeReason() string { return f.Reason }

// LockedError says who holds the target.
type LockedError struct{ Lock Lock }

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is locked by %s", e.Lock.Target, e.Lock.By.Name)
}

var (
	ErrNotFound = errors.New("no such rollout")
	ErrConflict = errors.New("the rollout was changed by someone else")
	ErrFenced   = errors.New("the lease was lost")
	ErrIDTaken  = errors.New("the rollout ID belongs to another request")
)
