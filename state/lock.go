package state

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// Lock gives a person a target and returns the lock with its fence. A lock on an environment
// excludes those on its services, and the other way round; *rollout.LockedError says who is in the
// way. Whoever has the lock already keeps its fence; the reason and the end are replaced.
func (s *Store) Lock(ctx context.Context, l rollout.Lock) (rollout.Lock, error) {
	if l.Rollout != "" || l.By.ID == "" || l.Target.Environment == "" {
		return rollout.Lock{}, errors.New("a person's lock needs a target and the person, and no rollout")
	}
	lasts := delay(l.Expires, time.Now())
	if lasts == 0 {
		return rollout.Lock{}, errors.New("the end of the lock has passed")
	}
	document, err := json.Marshal(l)
	if err != nil {
		return rollout.Lock{}, fmt.Errorf("encode the lock on %s: %w", l.Target, err)
	}
	got, err := s.run(ctx, "lock", s.scripts.lock,
		inLine(l.Target.Environment, slipway.locks(l.Target.Environment), slipway.fence(), slipway.locked()),
		place(l.Target), holder(l), document, lasts, turnOf(l.By))
	if err != nil {
		return rollout.Lock{}, err
	}
	switch got.status() {
	case "ok":
		l.Fence, err = strconv.ParseInt(got.value(0), 10, 64)
		return l, err
	case "locked":
		return rollout.Lock{}, locked(got.value(0))
	}
	return rollout.Lock{}, got.unknown("lock")
}

// Unlock removes a person's lock with that fence, and gives the target to the first in line; it is no
// error if the target is free. If another
// lock is there by now, the error is both ErrStaleLock and a *rollout.LockedError; so it is for the
// lock of a rollout, which ends with the rollout only.
func (s *Store) Unlock(ctx context.Context, target plan.Target, fence int64) error {
	got, err := s.run(ctx, "unlock", s.scripts.unlock,
		inLine(target.Environment, slipway.locks(target.Environment), slipway.fence(), slipway.locked()), place(target), fence)
	if err != nil {
		return err
	}
	switch got.status() {
	case "ok":
		return nil
	case "locked":
		return fmt.Errorf("%w: %w", ErrStaleLock, locked(got.value(0)))
	}
	return got.unknown("unlock")
}

// Holder returns the lock that keeps a rollout of target from starting, if there is one: its own,
// the environment's, or for an environment the oldest in it.
func (s *Store) Holder(ctx context.Context, target plan.Target) (rollout.Lock, bool, error) {
	got, err := s.run(ctx, "holder", s.scripts.holder,
		[]string{slipway.locks(target.Environment)}, place(target))
	if err != nil {
		return rollout.Lock{}, false, err
	}
	switch got.status() {
	case "none":
		return rollout.Lock{}, false, nil
	case "locked":
		l, err := parseLock(got.value(0))
		return l, err == nil, err
	}
	return rollout.Lock{}, false, got.unknown("holder")
}

// Locks returns every lock that is held now, in all environments, the oldest grant first.
func (s *Store) Locks(ctx context.Context) ([]rollout.Lock, error) {
	got, err := s.run(ctx, "locks", s.scripts.locks, []string{slipway.locked()})
	if err != nil {
		return nil, err
	}
	list := make([]rollout.Lock, len(got))
	for i, text := range got {
		if list[i], err = parseLock(text); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b rollout.Lock) int { return cmp.Compare(a.Fence, b.Fence) })
	return list, nil
}

// left are the arguments of a commit for the lock that an ended rollout leaves behind, empty ones if
// it leaves none: place, holder, document, and how long it lasts.
func left(c rollout.Commit) ([]any, error) {
	l := c.Lock
	if l == nil {
		return []any{"", "", "", -1}, nil
	}
	if c.Then != rollout.Over || l.Rollout != "" || l.By.ID == "" || l.Target != c.Rollout.Lock.Target {
		return nil, fmt.Errorf("rollout %s can leave its target locked only when it is over, and only for a person", c.Rollout.ID)
	}
	document, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode the lock that rollout %s leaves: %w", c.Rollout.ID, err)
	}
	return []any{place(l.Target), holder(*l), document, delay(l.Expires, time.Now())}, nil
}

// place is a lock's field within its environment.
func place(t plan.Target) string {
	if t.Service == "" {
		return "*"
	}
	return t.Service
}

// holder names who holds a lock, in one word that the scripts can compare.
func holder(l rollout.Lock) string {
	if l.Rollout != "" {
		return "rollout:" + url.PathEscape(l.Rollout)
	}
	if l.InLine() {
		return turnOf(l.By)
	}
	return "person:" + url.PathEscape(l.By.ID)
}

// parseLock reads a record as the scripts keep it: "FENCE EXPIRES HOLDER DOCUMENT".
func parseLock(text string) (rollout.Lock, error) {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) != 4 {
		return rollout.Lock{}, errors.New("a lock's record cannot be read")
	}
	var l rollout.Lock
	if err := json.Unmarshal([]byte(parts[3]), &l); err != nil {
		return rollout.Lock{}, fmt.Errorf("a lock's record cannot be read: %w", err)
	}
	fence, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return rollout.Lock{}, fmt.Errorf("a lock's fence cannot be read: %w", err)
	}
	l.Fence = fence
	return timed(l, parts[1])
}

// locked is the error for a lock that is in the way.
func locked(text string) error {
	l, err := parseLock(text)
	if err != nil {
		return err
	}
	return &rollout.LockedError{Lock: l}
}
