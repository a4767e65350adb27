package state

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"slipway/rollout"
)

// Card is what is posted of a rollout. Every commit makes it stale; whoever claims it brings Slack
// up to the stored snapshot and events, saving what was posted as it goes.
type Card struct {
	Rollout string            `json:"rollout"`
	Channel string            `json:"channel,omitempty"` // where it is; "" until the first post
	TS      string            `json:"ts,omitempty"`      // Slack's ID of the message
	Posting bool              `json:"posting,omitempty"` // the first post was begun and not confirmed
	Posted  map[string]string `json:"posted,omitempty"`  // ts of the replies in its thread, by the poster's keys
	Cursor  int64             `json:"cursor,omitempty"`  // Seq of the last event that was posted
	Version int64             `json:"version,omitempty"` // of the snapshot that was rendered last
	Extra   map[string]string `json:"extra,omitempty"`   // whatever else the poster has to remember
}

// ClaimCard gives owner the stale card that has waited longest, of those whose time has come, for
// the length of lease. ok is false if there is none. An owner claims a card again after its lease
// has passed as anybody else may, so owners are goroutines that post, not replicas. A card of which
// somebody had doubts comes with Version 0.
func (s *Store) ClaimCard(ctx context.Context, owner string, lease time.Duration) (Card, bool, error) {
	got, err := s.poll(ctx, "claim card", s.scripts.claimCard,
		[]string{slipway.outbox()}, []string{slipway.rollouts(), slipway.cardPrefix()},
		owner, lease.Microseconds(), rollout.Schema)
	if err != nil {
		return Card{}, false, err
	}
	switch got.status() {
	case "none":
		return Card{}, false, nil
	case "ok":
		card, err := parseCard(got.value(0), got.value(1))
		if got.value(2) == "1" {
			card.Version = 0
		}
		return card, err == nil, err
	}
	return Card{}, false, got.unknown("claim card")
}

func parseCard(id, document string) (Card, error) {
	card := Card{Rollout: id}
	if document == "" {
		return card, nil
	}
	if err := json.Unmarshal([]byte(document), &card); err != nil {
		return Card{}, fmt.Errorf("the card of rollout %s cannot be read: %w", id, err)
	}
	return card, nil
}

// SaveCard stores a card that owner has claimed, and keeps the claim as long as it was given.
// rollout.ErrFenced says that somebody else has claimed the card since.
func (s *Store) SaveCard(ctx context.Context, owner string, c Card) error {
	return s.saveCard(ctx, "save card", owner, c, "", 0)
}

// ReleaseCard stores a card and ends the claim. If the rollout has a newer version than c.Version or
// an event after c.Cursor, the card stays stale and may be claimed again after the pause; else it
// leaves the outbox until the next commit. rollout.ErrFenced as with SaveCard.
func (s *Store) ReleaseCard(ctx context.Context, owner string, c Card, again time.Duration) error {
	return s.saveCard(ctx, "release card", owner, c, strconv.FormatInt(c.Version, 10), again)
}

// HoldCard makes the claim of owner last for lease from now, at least. rollout.ErrFenced as with SaveCard.
func (s *Store) HoldCard(ctx context.Context, owner, id string, lease time.Duration) error {
	return s.hold(ctx, []string{slipway.outbox(), slipway.card(id)}, id, "owner", owner, lease)
}

// DoubtCard says that a card may show something old: whoever lost its claim may have changed the message
// after its successor did. The card is stale again, and its next claim shows it anew.
func (s *Store) DoubtCard(ctx context.Context, id string) error {
	got, err := s.run(ctx, "doubt card", s.scripts.doubt, []string{slipway.card(id), slipway.outbox(), slipway.rollout(id)}, id)
	if err == nil && got.status() != "ok" {
		err = got.unknown("doubt card")
	}
	return err
}

func (s *Store) saveCard(ctx context.Context, op, owner string, c Card, version string, again time.Duration) error {
	document, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode the card of rollout %s: %w", c.Rollout, err)
	}
	got, err := s.run(ctx, op, s.scripts.saveCard,
		[]string{slipway.card(c.Rollout), slipway.outbox(), slipway.rollout(c.Rollout), slipway.events(c.Rollout)},
		c.Rollout, owner, document, seconds(s.o.Retention), version, c.Cursor, max(again, 0).Microseconds())
	if err != nil {
		return err
	}
	switch got.status() {
	case "ok":
		return nil
	case "fenced":
		return rollout.ErrFenced
	}
	return got.unknown(op)
}
