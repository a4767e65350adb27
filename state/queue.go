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
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// queueMemory is how long a request to join or leave is remembered. Its repetition after a crash comes
// within minutes.
const queueMemory = 24 * time.Hour

// Join puts a person in line for wish.Target; wish is the lock they get when it is their turn, for
// lasts. Who is in line keeps the place, and the wish is replaced. A token that came before changes
// nothing, and the answer is how things are now.
//
// A target that gets free, by whatever ends a lock, is granted to the first in line in the same step; a
// lock's end by time when anything asks for a lock there, or by the next ClaimTurn.
func (s *Store) Join(ctx context.Context, token string, wish rollout.Lock, lasts time.Duration) (rollout.Joined, error) {
	if token == "" || !wish.InLine() || wish.By.ID == "" || wish.Rollout != "" || wish.Target.Environment == "" {
		return rollout.Joined{}, errors.New("a place in line needs a token, a target, a person and what they want")
	}
	document, err := json.Marshal(wish)
	if err != nil {
		return rollout.Joined{}, fmt.Errorf("encode the wish for %s: %w", wish.Target, err)
	}
	got, err := s.run(ctx, "join", s.scripts.join, queueKeys("join/"+token, wish.Target.Environment),
		place(wish.Target), turnOf(wish.By), lasts.Microseconds(), document, seconds(queueMemory))
	if err != nil {
		return rollout.Joined{}, err
	}
	switch got.status() {
	case "ok":
		position, err := strconv.Atoi(got.value(0))
		return rollout.Joined{Position: position}, err
	case "turn":
		l, err := parseLock(got.value(0))
		return rollout.Joined{Turn: &l}, err
	case "free":
		return rollout.Joined{Free: true}, nil
	case "gone":
		return rollout.Joined{}, nil
	}
	return rollout.Joined{}, got.unknown("join")
}

// Leave takes a person out of the line for target, or ends their turn there, which is the next one's
// then. A token that came before changes nothing and gets the same answer.
func (s *Store) Leave(ctx context.Context, token string, target plan.Target, who rollout.Actor) (rollout.Left, error) {
	got, err := s.run(ctx, "leave", s.scripts.leave, queueKeys("leave/"+token, target.Environment),
		place(target), turnOf(who), seconds(queueMemory))
	if err != nil {
		return "", err
	}
	switch left := rollout.Left(got.status()); left {
	case rollout.LeftLine, rollout.LeftTurn, rollout.LeftNone:
		return left, nil
	}
	return "", got.unknown("leave")
}

// Lines returns the wishes of all who are in line, in all environments, the first in front.
func (s *Store) Lines(ctx context.Context) ([]rollout.Lock, error) {
	got, err := s.run(ctx, "lines", s.scripts.lines, []string{slipway.lines()})
	if err != nil {
		return nil, err
	}
	var list []rollout.Lock
	for ; len(got) >= 2; got = got[2:] {
		var l rollout.Lock
		if err := json.Unmarshal([]byte(got[1]), &l); err != nil {
			return nil, fmt.Errorf("a place in line cannot be read: %w", err)
		}
		if l.Fence, err = strconv.ParseInt(got[0], 10, 64); err != nil {
			return nil, fmt.Errorf("a ticket cannot be read: %w", err)
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b rollout.Lock) int { return cmp.Compare(a.Fence, b.Fence) })
	return list, nil
}

// queueKeys are the keys of a request that is done once.
func queueKeys(token, environment string) []string {
	return inLine(environment, slipway.token(token), slipway.locks(environment), slipway.fence(), slipway.locked())
}

// inLine appends the keys of an environment's line to those of a script that may end a lock there.
func inLine(environment string, keys ...string) []string {
	return append(keys, slipway.line(environment), slipway.lines(), slipway.turns(), slipway.turn())
}

// turnOf is the holder of a person's turn, as holder is of other locks.
func turnOf(who rollout.Actor) string { return "turn:" + url.PathEscape(who.ID) }

// timed gives a turn the times at which it was granted and ends. Its document is older than both.
func timed(l rollout.Lock, expires string) (rollout.Lock, error) {
	if !l.InLine() {
		return l, nil
	}
	ends, err := strconv.ParseInt(expires, 10, 64)
	if err != nil {
		return rollout.Lock{}, fmt.Errorf("a lock's end cannot be read: %w", err)
	}
	l.Since, l.Expires = time.UnixMicro(l.Fence).UTC(), time.UnixMicro(ends).UTC()
	return l, nil
}
