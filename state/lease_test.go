package state

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"slipway/rollout"
)

func TestClaim(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.claim(t, "one", "")
		b.start(t, "aaaaaa", backend)
		began := time.Now()
		l := b.claim(t, "one", "aaaaaa")
		if l.Owner != "one" || l.Until.Before(began.Add(3*b.unit)) || l.Until.After(time.Now().Add(3*b.unit)) {
			t.Errorf("claimed %+v", l)
		}
		b.claim(t, "two", "")
		b.pass(4 * b.unit)
		b.start(t, "bbbbbb", auth)
		if taken := b.claim(t, "two", "aaaaaa"); taken.Fence <= l.Fence { // before the new work
			t.Errorf("the fence went from %d to %d", l.Fence, taken.Fence)
		}
		b.claim(t, "two", "bbbbbb")
		b.claim(t, "two", "")
	})
}

func TestLostLease(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		old := b.claim(t, "one", "aaaaaa")
		b.pass(4 * b.unit)
		l := b.claim(t, "two", "aaaaaa")

		if _, err := b.Renew(t.Context(), old); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("renew: %v", err)
		}
		changed, events := next(r)
		err := b.Commit(t.Context(), rollout.Commit{Rollout: changed, Events: events, Fence: old.Fence, Then: rollout.Over})
		if !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("commit: %v", err)
		}
		if err := b.Release(t.Context(), old, time.Now()); err != nil {
			t.Errorf("release: %v", err)
		}
		b.claim(t, "one", "") // the release did not touch the new lease
		b.commit(t, r, l.Fence, rollout.Hold, time.Time{})
	})
}

func TestRenew(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.start(t, "aaaaaa", staging)
		l := b.claim(t, "one", "aaaaaa")
		for range 3 {
			b.pass(2 * b.unit)
			renewed, err := b.Renew(t.Context(), l)
			if err != nil || !renewed.Until.After(l.Until) || renewed.Fence != l.Fence {
				t.Fatalf("renewed to %+v, %v", renewed, err)
			}
			b.claim(t, "two", "")
			l = renewed
		}
		b.pass(4 * b.unit) // ran out, yet nobody came: it is still ours
		if _, err := b.Renew(t.Context(), l); err != nil {
			t.Error(err)
		}
		b.claim(t, "two", "")
	})
}

func TestPark(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		l := b.claim(t, "one", "aaaaaa")
		r = b.commit(t, r, l.Fence, rollout.Park, time.Now().Add(2*b.unit))
		b.claim(t, "one", "")
		b.pass(3 * b.unit)
		l = b.claim(t, "one", "aaaaaa")
		r = b.commit(t, r, l.Fence, rollout.Park, time.Time{})
		b.pass(4 * b.unit)
		b.claim(t, "one", "")
		if _, err := b.Renew(t.Context(), l); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("renewed a lease that was given up: %v", err)
		}
		r = b.commit(t, r, 0, rollout.Hold, time.Time{}) // a person
		l = b.claim(t, "one", "aaaaaa")
		b.commit(t, r, l.Fence, rollout.Park, time.Now().Add(-b.unit))
		b.claim(t, "one", "aaaaaa")
	})
}

func TestRelease(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.start(t, "aaaaaa", staging)
		release := func(l rollout.Lease, due time.Time) {
			t.Helper()
			for range 2 { // the second one has nothing to do
				if err := b.Release(t.Context(), l, due); err != nil {
					t.Fatal(err)
				}
			}
		}
		release(b.claim(t, "one", "aaaaaa"), time.Now())
		release(b.claim(t, "one", "aaaaaa"), time.Now().Add(2*b.unit))
		b.claim(t, "one", "")
		b.pass(3 * b.unit)
		release(b.claim(t, "one", "aaaaaa"), time.Time{})
		b.pass(4 * b.unit)
		b.claim(t, "one", "")
	})
}

// A person's event that comes between the holder's last look and its release must not wait for the
// next deadline: its wake went to a holder that is gone.
func TestReleaseAfterAPersonsEvent(t *testing.T) {
	for name, c := range map[string]struct {
		seen bool // the holder committed upon it
		want string
	}{"not seen": {false, "aaaaaa"}, "seen": {true, ""}} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				r := b.start(t, "aaaaaa", staging)
				l := b.claim(t, "one", "aaaaaa")
				r = b.commit(t, r, 0, rollout.Hold, time.Time{})
				b.claim(t, "two", "") // the holder keeps it
				if c.seen {
					b.commit(t, r, l.Fence, rollout.Hold, time.Time{})
				}
				if err := b.Release(t.Context(), l, time.Time{}); err != nil {
					t.Fatal(err)
				}
				l = b.claim(t, "two", c.want)
				if err := b.Release(t.Context(), l, time.Time{}); err != nil {
					t.Fatal(err)
				}
				b.claim(t, "two", "") // looked at once is enough
			})
		})
	}
}

// Whoever takes a rollout over loads what the person committed.
func TestReleaseAfterATakeover(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		b.claim(t, "one", "aaaaaa")
		b.commit(t, r, 0, rollout.Hold, time.Time{})
		b.pass(4 * b.unit)
		l := b.claim(t, "two", "aaaaaa")
		if err := b.Release(t.Context(), l, time.Time{}); err != nil {
			t.Fatal(err)
		}
		b.claim(t, "two", "")
	})
}

func TestHolderEnds(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		l := b.claim(t, "one", "aaaaaa")
		b.commit(t, r, l.Fence, rollout.Over, time.Time{})
		b.pass(4 * b.unit)
		b.claim(t, "two", "")
		if _, err := b.Renew(t.Context(), l); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("renew: %v", err)
		}
		b.start(t, "bbbbbb", staging) // the environment is free
	})
}

// A failover may lose the last writes, the fence among them.
func TestFenceGrowsWhenItsKeyIsLost(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.start(t, "aaaaaa", staging)
		l := b.claim(t, "one", "aaaaaa")
		if err := b.client.Del(t.Context(), slipway.fence()).Err(); err != nil {
			t.Fatal(err)
		}
		b.pass(4 * b.unit)
		if taken := b.claim(t, "two", "aaaaaa"); taken.Fence <= l.Fence {
			t.Errorf("the fence went from %d to %d", l.Fence, taken.Fence)
		}
	})
}

func TestWakes(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		wakes := b.Wakes(ctx)
		expect := func(what, want string) {
			t.Helper()
			if got := <-wakes; got != want {
				t.Errorf("%s woke %q, want %q", what, got, want)
			}
		}
		first := b.start(t, "aaaaaa", backend)
		expect("create", "aaaaaa")
		second := b.start(t, "bbbbbb", auth)
		expect("create", "bbbbbb")

		l := b.claim(t, "one", "aaaaaa")
		first = b.commit(t, first, l.Fence, rollout.Hold, time.Time{})              // wakes nobody
		first = b.commit(t, first, l.Fence, rollout.Park, time.Now().Add(b.unit*9)) // nor does this
		b.commit(t, second, 0, rollout.Hold, time.Time{})
		expect("a person's event", "bbbbbb")
		b.pass(b.unit / 10)
		b.commit(t, first, 0, rollout.Hold, time.Time{})
		expect("a person's event", "aaaaaa")
		l = b.claim(t, "one", "bbbbbb")
		if err := b.Release(ctx, l, time.Now()); err != nil {
			t.Fatal(err)
		}
		expect("a release", "bbbbbb")

		cancel()
		var late []string
		for id := range wakes {
			late = append(late, id)
		}
		if len(late) > 0 {
			t.Errorf("more woke than should: %s", strings.Join(late, ", "))
		}
	})
}

// A rollout that is over and has verdicts to be looked at again is due, though its target is free and it is in the
// history once; who looks gives it up as any other, and when there is nothing more to look at, for good.
func TestOverIsDueAgain(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		r = b.commit(t, r, b.claim(t, "one", "aaaaaa").Fence, rollout.Over, time.Now().Add(2*b.unit))
		other := b.start(t, "bbbbbb", staging)
		b.commit(t, other, b.claim(t, "one", "bbbbbb").Fence, rollout.Park, time.Time{})
		b.claim(t, "one", "")
		b.pass(3 * b.unit)
		if err := b.Release(t.Context(), b.claim(t, "two", "aaaaaa"), time.Now().Add(b.unit)); err != nil {
			t.Fatal(err)
		}
		b.claim(t, "two", "")
		b.pass(2 * b.unit)
		b.commit(t, r, b.claim(t, "three", "aaaaaa").Fence, rollout.Park, time.Time{})
		b.pass(4 * b.unit)
		b.claim(t, "four", "")
		past, err := b.History(t.Context(), "staging", 10)
		if err != nil || len(past) != 1 || past[0].ID != "aaaaaa" {
			t.Errorf("history %+v, %v", past, err)
		}
	})
}
