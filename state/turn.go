package state

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"slipway/rollout"
)

// Turn is somebody's turn in a line, and what was posted of it.
type Turn struct {
	Lock   rollout.Lock
	Over   TurnEnd
	Notice Notice
}

// TurnEnd is how a turn stands.
type TurnEnd string

// The ways in which a turn ends.
const (
	TurnOpen     TurnEnd = "" // it has not ended
	TurnStarted  TurnEnd = "started"
	TurnPassed   TurnEnd = "passed"
	TurnLapsed   TurnEnd = "lapsed"
	TurnUnlocked TurnEnd = "unlocked"
	TurnLocked   TurnEnd = "locked"   // they keep the target with a lock of their own
	TurnRollback TurnEnd = "rollback" // a rollback went first; they are in line again
)

// Notice is the message that calls somebody.
type Notice struct {
	Channel string  `json:"channel,omitempty"`
	TS      string  `json:"ts,omitempty"`
	Posting bool    `json:"posting,omitempty"` // the post was begun and not confirmed
	Told    TurnEnd `json:"told,omitempty"`
}

// ClaimTurn does in every line what time has brought about, then gives owner a turn of which people have
// to be told something, for the length of lease. ok is false if there is none.
func (s *Store) ClaimTurn(ctx context.Context, owner string, lease time.Duration) (Turn, bool, error) {
	got, err := s.poll(ctx, "claim turn", s.scripts.claimTurn,
		[]string{slipway.lines(), slipway.turns()}, []string{slipway.turn(), slipway.fence(), slipway.locked()},
		owner, lease.Microseconds())
	if err != nil {
		return Turn{}, false, err
	}
	switch got.status() {
	case "none":
		return Turn{}, false, nil
	case "ok":
		t, err := parseTurn(got)
		return t, err == nil, err
	}
	return Turn{}, false, got.unknown("claim turn")
}

func parseTurn(got reply) (t Turn, err error) {
	if t.Lock, err = parseLock(got.value(1)); err != nil {
		return t, err
	}
	t.Over = TurnEnd(got.value(2))
	if message := got.value(3); message != "" {
		if err := json.Unmarshal([]byte(message), &t.Notice); err != nil {
			return t, fmt.Errorf("what was posted of a turn cannot be read: %w", err)
		}
	}
	return t, nil
}

// SaveTurn stores the notice of a turn that owner has claimed. rollout.ErrFenced says that somebody else
// has claimed it since.
func (s *Store) SaveTurn(ctx context.Context, owner string, t Turn) error {
	return s.saveTurn(ctx, owner, t, TurnOpen, false, 0)
}

// ReleaseTurn stores the notice and ends the claim. told is what people know by now. If the turn stands
// otherwise, or told is false, it may be claimed again after the pause. rollout.ErrFenced as with SaveTurn.
func (s *Store) ReleaseTurn(ctx context.Context, owner string, t Turn, told bool, again time.Duration) error {
	end := TurnEnd("nothing")
	if told {
		end = t.Notice.Told
	}
	return s.saveTurn(ctx, owner, t, end, true, again)
}

// HoldTurn makes the claim of owner last for lease from now, at least. rollout.ErrFenced as with SaveTurn.
func (s *Store) HoldTurn(ctx context.Context, owner string, t Turn, lease time.Duration) error {
	fence := strconv.FormatInt(t.Lock.Fence, 10)
	return s.hold(ctx, []string{slipway.turns(), slipway.turn() + fence}, fence, "owner", owner, lease)
}

func (s *Store) saveTurn(ctx context.Context, owner string, t Turn, told TurnEnd, release bool, again time.Duration) error {
	message, err := json.Marshal(t.Notice)
	if err != nil {
		return fmt.Errorf("encode the notice of a turn: %w", err)
	}
	if told == TurnOpen {
		told = "open"
	}
	fence := strconv.FormatInt(t.Lock.Fence, 10)
	got, err := s.run(ctx, "save turn", s.scripts.saveTurn, []string{slipway.turn() + fence, slipway.turns()},
		fence, owner, message, string(told), release, max(again, 0).Microseconds())
	if err != nil {
		return err
	}
	switch got.status() {
	case "ok":
		return nil
	case "fenced":
		return rollout.ErrFenced
	}
	return got.unknown("save turn")
}
