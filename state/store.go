// Package state keeps what Slipway's replicas share in Redis: rollouts and their history, the leases
// and locks on them, the inbox of what came from Slack, the outbox of cards that have to be
// posted, and the incidents of the services that are watched. Every transition is one Lua script, so it happens whole or not at all, and Redis' clock is
// the only one that counts.
package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"slipway/incident"
	"slipway/rollout"
)

// Store implements rollout.Store, rollout.Leases, rollout.Locks, rollout.Past and incident.Rollouts, and
// the inbox and outbox of the bot; Incidents is its incident.Store. It may be used by several goroutines. Each call has a deadline of its own; a failure of
// Redis is an *Error.
//
// A lock's fence is given when the lock is granted, after the snapshot was encoded. It is kept
// beside the snapshot, and Load, Active and History put it into Rollout.Lock.Fence.
type Store struct {
	c       redis.UniversalClient
	o       Options
	scripts scripts
}

var (
	_ rollout.Store  = (*Store)(nil)
	_ rollout.Leases = (*Store)(nil)
	_ rollout.Locks  = (*Store)(nil)
	_ rollout.Past   = (*Store)(nil)

	_ incident.Rollouts = (*Store)(nil)
)

// Options are the store's settings; a zero value means the default.
type Options struct {
	LeaseTTL  time.Duration // of a claimed rollout; 3 s
	Retention time.Duration // of a rollout that has ended, with its history; 90 days
	Timeout   time.Duration // of each call to Redis; 1 s
	Log       *slog.Logger
}

const defaultTimeout = time.Second

// New returns a store on c, which stays the caller's to close.
func New(c redis.UniversalClient, o Options) *Store {
	if o.LeaseTTL == 0 {
		o.LeaseTTL = 3 * time.Second
	}
	if o.Retention == 0 {
		o.Retention = 90 * 24 * time.Hour
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Store{c: c, o: o, scripts: newScripts()}
}

// Create stores a new rollout with its lock and first events, due at once, and returns it with the
// lock's fence. A rollout with the same Token is returned as it is now, and nothing is written. A
// held lock is a *rollout.LockedError, an ID that another rollout has is rollout.ErrIDTaken.
//
// Whoever starts a rollout in their turn ends it. A rollback takes the place of every person's lock that overlaps its own, so that a lock keeps
// nobody from going back; another rollout's lock refuses it as any other.
func (s *Store) Create(ctx context.Context, r rollout.Rollout, events []rollout.Event) (rollout.Rollout, error) {
	if err := complete(r); err != nil {
		return rollout.Rollout{}, err
	}
	snapshot, err := json.Marshal(r)
	if err != nil {
		return rollout.Rollout{}, fmt.Errorf("encode rollout %s: %w", r.ID, err)
	}
	document, err := json.Marshal(r.Lock)
	if err != nil {
		return rollout.Rollout{}, fmt.Errorf("encode the lock of rollout %s: %w", r.ID, err)
	}
	args, err := withEvents([]any{
		r.ID, r.Schema, r.Version, snapshot,
		place(r.Lock.Target), holder(r.Lock), document, r.Kind == rollout.Rollback,
		seconds(s.o.Retention), slipway.wakes(), turnOf(r.By),
	}, events)
	if err != nil {
		return rollout.Rollout{}, err
	}
	got, err := s.run(ctx, "create", s.scripts.create, inLine(r.Target.Environment,
		slipway.rollout(r.ID), slipway.events(r.ID), slipway.token(r.Token), slipway.locks(r.Target.Environment),
		slipway.active(), slipway.due(), slipway.outbox(), slipway.fence(), slipway.locked(),
	), args...)
	if err != nil {
		return rollout.Rollout{}, err
	}
	return s.created(ctx, r, got)
}

func (s *Store) created(ctx context.Context, r rollout.Rollout, got reply) (rollout.Rollout, error) {
	switch got.status() {
	case "ok":
		fence, err := strconv.ParseInt(got.value(0), 10, 64)
		r.Lock.Fence = fence
		return r, err
	case "exists":
		return s.Load(ctx, got.value(0))
	case "taken":
		return rollout.Rollout{}, rollout.ErrIDTaken
	case "locked":
		return rollout.Rollout{}, locked(got.value(0))
	}
	return rollout.Rollout{}, got.unknown("create")
}

// complete reports what the store needs and a rollout lacks.
func complete(r rollout.Rollout) error {
	switch {
	case r.ID == "" || r.Token == "":
		return errors.New("a rollout needs an ID and a token")
	case r.Target.Environment == "" || r.Lock.Target.Environment != r.Target.Environment:
		return errors.New("a rollout needs a target, and a lock in the same environment")
	case r.Lock.Rollout != r.ID:
		return errors.New("the lock of a rollout has to name it")
	}
	return nil
}

// Load returns a snapshot; rollout.ErrNotFound if there is none, a *SchemaError if a newer version
// of Slipway wrote it.
func (s *Store) Load(ctx context.Context, id string) (rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	fields, err := s.c.HMGet(ctx, slipway.rollout(id), "schema", "lock", "snapshot").Result()
	if err != nil {
		return rollout.Rollout{}, failed("load", err)
	}
	text := make([]string, len(fields))
	for i, f := range fields {
		value, ok := f.(string)
		if !ok {
			return rollout.Rollout{}, rollout.ErrNotFound
		}
		text[i] = value
	}
	return decode(id, text[0], text[1], text[2])
}

// decode reads a snapshot, unless its schema is newer than ours.
func decode(id, schema, fence, snapshot string) (rollout.Rollout, error) {
	number, err := strconv.Atoi(schema)
	if err != nil {
		return rollout.Rollout{}, fmt.Errorf("rollout %s has schema %q: %w", id, schema, err)
	}
	if number > rollout.Schema {
		return rollout.Rollout{}, &SchemaError{Record: "rollout " + id, Found: number, Known: rollout.Schema}
	}
	var r rollout.Rollout
	if err := json.Unmarshal([]byte(snapshot), &r); err != nil {
		return rollout.Rollout{}, fmt.Errorf("rollout %s cannot be read: %w", id, err)
	}
	r.Lock.Fence, err = strconv.ParseInt(fence, 10, 64)
	if err != nil {
		return rollout.Rollout{}, fmt.Errorf("rollout %s has lock fence %q: %w", id, fence, err)
	}
	return r, nil
}

// Commit replaces the snapshot whose Version is c.Rollout.Version-1: rollout.ErrConflict if that is not the
// stored one, rollout.ErrFenced if c.Fence is not 0 and the lease is not ours, rollout.ErrNotFound
// if there is no such rollout. If this very snapshot is stored already, it reports success.
//
// A commit without a fence is a person's: it leaves the lease alone, makes a rollout that nobody
// works on due at once and publishes its ID; Then matters only if it is Over, Due not at all.
//
// With Over and a Due the rollout is claimed again by then, for its verdicts to be looked at; it is not active.
//
// With Over the rollout's lock is released and c.Lock, if there is one, granted in its place with a
// fence of its own, in the same step; a lock whose end has passed already leaves the target free. What is
// free goes to the first in line.
func (s *Store) Commit(ctx context.Context, c rollout.Commit) error {
	r := c.Rollout
	snapshot, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode rollout %s: %w", r.ID, err)
	}
	lock, err := left(c)
	if err != nil {
		return err
	}
	args, err := withEvents(append([]any{
		r.ID, r.Schema, r.Version, snapshot,
		c.Fence, string(c.Then), delay(c.Due, time.Now()),
		holder(rollout.Lock{Rollout: r.ID}), seconds(s.o.Retention), slipway.wakes(),
	}, lock...), c.Events)
	if err != nil {
		return err
	}
	got, err := s.run(ctx, "commit", s.scripts.commit, inLine(r.Target.Environment,
		slipway.rollout(r.ID), slipway.events(r.ID), slipway.card(r.ID),
		slipway.active(), slipway.due(), slipway.leases(), slipway.outbox(),
		slipway.locks(r.Target.Environment), slipway.history(r.Target.Environment), slipway.fence(), slipway.locked(),
	), args...)
	if err != nil {
		return err
	}
	switch got.status() {
	case "ok":
		return nil
	case "missing":
		return rollout.ErrNotFound
	case "conflict":
		return rollout.ErrConflict
	case "fenced":
		return rollout.ErrFenced
	}
	return got.unknown("commit")
}

// delay is how long to wait until due, in microseconds, and -1 for never. Redis adds it to its own
// time, so that a replica's clock that is ahead does not make it claim what it then finds not due.
func delay(due, now time.Time) int64 {
	if due.IsZero() {
		return -1
	}
	wait := due.Sub(now)
	if wait <= 0 {
		return 0
	}
	return int64(math.Ceil(float64(wait) / float64(time.Microsecond)))
}

// withEvents appends the events to a script's arguments, as pairs of Seq and document. Progress is
// not history and left out.
func withEvents(args []any, events []rollout.Event) ([]any, error) {
	for _, e := range events {
		if e.Kind == rollout.StepProgress {
			continue
		}
		document, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("encode event %d: %w", e.Seq, err)
		}
		args = append(args, e.Seq, document)
	}
	return args, nil
}

// Active returns the snapshots of all rollouts that have not ended, oldest first. One that a newer
// version of Slipway wrote is left out, and logged.
func (s *Store) Active(ctx context.Context) ([]rollout.Rollout, error) {
	return s.snapshots(ctx, "active", slipway.active(), "oldest", 0)
}

// History returns the last n rollouts of an environment that ended, newest first, without those
// that a newer version of Slipway wrote.
func (s *Store) History(ctx context.Context, environment string, n int) ([]rollout.Rollout, error) {
	if n <= 0 {
		return nil, nil
	}
	return s.snapshots(ctx, "history", slipway.history(environment), "newest", n)
}

func (s *Store) snapshots(ctx context.Context, op, set, order string, limit int) ([]rollout.Rollout, error) {
	got, err := s.run(ctx, op, s.scripts.snapshots, []string{set, slipway.rollouts()}, order, limit)
	if err != nil {
		return nil, err
	}
	var list []rollout.Rollout
	for ; len(got) >= 4; got = got[4:] {
		r, err := decode(got[0], got[1], got[2], got[3])
		if newer, ok := errors.AsType[*SchemaError](err); ok {
			s.o.Log.WarnContext(ctx, "rollout left out", "rollout", got[0], "err", newer)
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Events returns the history of a rollout after the event with Seq after, in order. It is empty if
// there is no such rollout.
func (s *Store) Events(ctx context.Context, id string, after int64) ([]rollout.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	from := "(" + strconv.FormatInt(after, 10)
	documents, err := s.c.ZRangeByScore(ctx, slipway.events(id), &redis.ZRangeBy{Min: from, Max: "+inf"}).Result()
	if err != nil {
		return nil, failed("events", err)
	}
	events := make([]rollout.Event, len(documents))
	for i, d := range documents {
		if err := json.Unmarshal([]byte(d), &events[i]); err != nil {
			return nil, fmt.Errorf("an event of rollout %s cannot be read: %w", id, err)
		}
	}
	return events, nil
}

// seconds rounds up, because Redis takes 0 for "never".
func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }
