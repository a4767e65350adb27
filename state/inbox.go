package state

import (
	"context"
	"time"

	"slipway/rollout"
)

// inboxMemory is how long an envelope's ID is remembered after it came. Slack repeats what was not
// acknowledged within minutes (https://docs.slack.dev/apis/events-api#retries).
const inboxMemory = time.Hour

// Accept stores an envelope under its dedupe key. fresh is false if it came before. After an error
// it may be stored or not, and asking again tells.
func (s *Store) Accept(ctx context.Context, id string, body []byte) (fresh bool, err error) {
	got, err := s.run(ctx, "accept", s.scripts.accept,
		[]string{slipway.inboxSeen(id), slipway.inboxWaiting(), slipway.inboxBodies()},
		id, body, seconds(inboxMemory))
	if err != nil {
		return false, err
	}
	switch got.status() {
	case "fresh":
		return true, nil
	case "seen":
		return false, nil
	}
	return false, got.unknown("accept")
}

// Take gives owner the oldest envelope that nobody works on, or whose lease has passed. ok is false
// if there is none.
func (s *Store) Take(ctx context.Context, owner string, lease time.Duration) (id string, body []byte, ok bool, err error) {
	got, err := s.poll(ctx, "take", s.scripts.take,
		[]string{slipway.inboxWaiting(), slipway.inboxTaken()}, []string{slipway.inboxBodies(), slipway.inboxOwners()},
		owner, lease.Microseconds())
	if err != nil {
		return "", nil, false, err
	}
	switch got.status() {
	case "none":
		return "", nil, false, nil
	case "ok":
		return got.value(0), []byte(got.value(1)), true, nil
	}
	return "", nil, false, got.unknown("take")
}

// Done forgets an envelope that owner has worked on, but for its ID. rollout.ErrFenced says that its
// lease passed and somebody else works on it; it is no error if it is done already.
func (s *Store) Done(ctx context.Context, id, owner string) error {
	got, err := s.run(ctx, "done", s.scripts.done,
		[]string{slipway.inboxTaken(), slipway.inboxBodies(), slipway.inboxOwners()}, id, owner)
	if err != nil {
		return err
	}
	switch got.status() {
	case "ok":
		return nil
	case "fenced":
		return rollout.ErrFenced
	}
	return got.unknown("done")
}

// Hold makes an envelope stay with owner for lease from now, at least. rollout.ErrFenced says that its
// lease passed and somebody else works on it, or that it is done.
func (s *Store) Hold(ctx context.Context, id, owner string, lease time.Duration) error {
	return s.hold(ctx, []string{slipway.inboxTaken(), slipway.inboxOwners()}, id, id, owner, lease)
}

// hold extends the claim on id whose owner is in a field.
func (s *Store) hold(ctx context.Context, keys []string, id, field, owner string, lease time.Duration) error {
	got, err := s.run(ctx, "hold", s.scripts.hold, keys, id, field, owner, lease.Microseconds())
	if err != nil {
		return err
	}
	switch got.status() {
	case "ok":
		return nil
	case "fenced":
		return rollout.ErrFenced
	}
	return got.unknown("hold")
}
