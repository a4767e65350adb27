package state

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"slipway/rollout"
)

// Claim takes one rollout that is due: expired leases before new work. ok is false if none is. A
// rollout that a newer version of Slipway wrote is left to replicas that know it.
func (s *Store) Claim(ctx context.Context, owner string) (rollout.Lease, bool, error) {
	began := time.Now()
	got, err := s.run(ctx, "claim", s.scripts.claim,
		[]string{slipway.due(), slipway.leases(), slipway.fence(), slipway.rollouts()},
		owner, s.o.LeaseTTL.Microseconds(), rollout.Schema)
	if err != nil {
		return rollout.Lease{}, false, err
	}
	switch got.status() {
	case "none":
		return rollout.Lease{}, false, nil
	case "ok":
		fence, err := strconv.ParseInt(got.value(1), 10, 64)
		if err != nil {
			return rollout.Lease{}, false, fmt.Errorf("claim: fence: %w", err)
		}
		return rollout.Lease{Rollout: got.value(0), Owner: owner, Fence: fence, Until: began.Add(s.o.LeaseTTL)}, true, nil
	}
	return rollout.Lease{}, false, got.unknown("claim")
}

// Renew extends a lease by its TTL; rollout.ErrFenced if someone else has it, or it was given up. A
// lease that ran out and that nobody took is ours again.
func (s *Store) Renew(ctx context.Context, l rollout.Lease) (rollout.Lease, error) {
	began := time.Now()
	got, err := s.run(ctx, "renew", s.scripts.renew,
		[]string{slipway.rollout(l.Rollout), slipway.leases()},
		l.Rollout, l.Fence, s.o.LeaseTTL.Microseconds())
	if err != nil {
		return l, err
	}
	switch got.status() {
	case "ok":
		l.Until = began.Add(s.o.LeaseTTL)
		return l, nil
	case "fenced":
		return l, rollout.ErrFenced
	}
	return l, got.unknown("renew")
}

// Release gives a lease up; the rollout is due again at due, never by the clock if that is zero, and
// at once if a person committed an event that the holder neither committed upon nor claimed after.
// It is no error if the lease is lost.
func (s *Store) Release(ctx context.Context, l rollout.Lease, due time.Time) error {
	_, err := s.run(ctx, "release", s.scripts.release,
		[]string{slipway.rollout(l.Rollout), slipway.leases(), slipway.due()},
		l.Rollout, l.Fence, delay(due, time.Now()), slipway.wakes())
	return err
}

// Wakes delivers the IDs of rollouts that changed by a person's event or became due by a commit,
// until ctx ends; then the channel is closed. It loses those that come while Redis is away or while
// nobody reads, and those that become due by the clock are not published: users poll as well.
func (s *Store) Wakes(ctx context.Context) <-chan string {
	subscription := s.c.Subscribe(ctx, slipway.wakes())
	confirm, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	if _, err := subscription.Receive(confirm); err != nil {
		s.o.Log.WarnContext(ctx, "not listening for wakes yet", "err", err)
	}
	incoming := subscription.Channel()
	wakes := make(chan string, 64)
	go func() {
		defer close(wakes)
		for open := true; open && ctx.Err() == nil; {
			open = forward(ctx, incoming, wakes)
		}
		<-ctx.Done()
		if err := subscription.Close(); err != nil {
			s.o.Log.WarnContext(ctx, "closing the subscription to wakes", "err", err)
		}
		for range incoming { // until its sender is gone
		}
	}()
	return wakes
}

// forward hands one message on, and reports whether there may be more. What nobody has room for is
// dropped: the reader polls, and the rollout is still due.
func forward(ctx context.Context, incoming <-chan *redis.Message, wakes chan<- string) bool {
	select {
	case <-ctx.Done():
		return false
	case m, ok := <-incoming:
		if !ok {
			return false
		}
		select {
		case wakes <- m.Payload:
		default:
		}
		return true
	}
}
