package state

import (
	"errors"
	"slices"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

func personal(target plan.Target, by rollout.Actor) rollout.Lock {
	return rollout.Lock{Target: target, By: by, Reason: "load test", Since: time.Now().UTC().Round(0)}
}

func TestLocksExclude(t *testing.T) {
	prod := plan.Target{Environment: "prod"}
	for name, c := range map[string]struct {
		held, wanted plan.Target
		free         bool
	}{
		"environment, environment":  {staging, staging, false},
		"environment, service":      {staging, backend, false},
		"service, environment":      {backend, staging, false},
		"service, the same":         {backend, backend, false},
		"service, another":          {backend, auth, true},
		"environment, another":      {staging, prod, true},
		"service, same name beyond": {backend, plan.Target{Environment: "prod", Service: "backend"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				b.start(t, "aaaaaa", c.held)
				_, byRollout := b.Create(t.Context(), sample("bbbbbb", c.wanted), nil)
				if c.free {
					if byRollout != nil {
						t.Fatal(byRollout)
					}
					return
				}
				l, held, err := b.Holder(t.Context(), c.wanted)
				if !held || l.Rollout != "aaaaaa" || l.By != deployer || err != nil {
					t.Errorf("the holder is %+v, %v, %v", l, held, err)
				}
				_, byPerson := b.Lock(t.Context(), personal(c.wanted, oncall))
				for who, err := range map[string]error{"a rollout": byRollout, "a person": byPerson} {
					if e, ok := errors.AsType[*rollout.LockedError](err); !ok || e.Lock != l {
						t.Errorf("%s got %v, want to be told of %+v", who, err, l)
					}
				}
			})
		})
	}
}

func TestPersonalLock(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		l, err := b.Lock(t.Context(), personal(backend, oncall))
		if err != nil {
			t.Fatal(err)
		}
		got, held, err := b.Holder(t.Context(), staging)
		if !held || got != l || err != nil {
			t.Errorf("the holder is %+v, %v; want %+v", got, err, l)
		}
		wish := personal(backend, oncall)
		wish.Reason = "still testing"
		again, err := b.Lock(t.Context(), wish)
		if err != nil || again.Fence != l.Fence {
			t.Errorf("locking it again gave fence %d, %v; want %d", again.Fence, err, l.Fence)
		}
		if got, _, _ := b.Holder(t.Context(), backend); got.Reason != "still testing" {
			t.Errorf("the reason stays %q", got.Reason)
		}
		for range 2 {
			if err := b.Unlock(t.Context(), backend, l.Fence); err != nil {
				t.Errorf("unlock: %v", err)
			}
		}
		b.start(t, "aaaaaa", staging)
	})
}

// A lock is renewed by whoever has it, on that very target, and by nobody else.
func TestRenewedLock(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		wish := personal(backend, oncall)
		wish.Expires = time.Now().UTC().Round(0).Add(2 * b.unit)
		l, err := b.Lock(t.Context(), wish)
		if err != nil {
			t.Fatal(err)
		}
		for name, other := range map[string]rollout.Lock{
			"by another":                personal(backend, deployer),
			"on the environment":        personal(staging, oncall),
			"by another, on everything": personal(staging, deployer),
		} {
			_, err := b.Lock(t.Context(), other)
			if e, ok := errors.AsType[*rollout.LockedError](err); !ok || e.Lock != l {
				t.Errorf("a lock %s gave %v, want to be told of %+v", name, err, l)
			}
		}
		wish.Expires = wish.Expires.Add(4 * b.unit)
		renewed, err := b.Lock(t.Context(), wish)
		if err != nil || renewed.Fence != l.Fence {
			t.Fatalf("renewed with fence %d, %v; want %d", renewed.Fence, err, l.Fence)
		}
		b.pass(3 * b.unit)
		if got := b.wantLocks(t, backend)[0]; got != renewed {
			t.Errorf("held is %+v, want %+v", got, renewed)
		}
		wish.Expires = time.Time{}
		if _, err := b.Lock(t.Context(), wish); err != nil {
			t.Fatal(err)
		}
		b.pass(4 * b.unit)
		b.wantLocks(t, backend) // it has no end any more
	})
}

func TestLocks(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.wantLocks(t)
		prod := plan.Target{Environment: "prod"}
		r := b.start(t, "aaaaaa", auth)
		forever, err := b.Lock(t.Context(), personal(prod, deployer))
		if err != nil {
			t.Fatal(err)
		}
		wish := personal(backend, oncall)
		wish.Expires = time.Now().UTC().Round(0).Add(2 * b.unit)
		short, err := b.Lock(t.Context(), wish)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := b.wantLocks(t, auth, prod, backend), []rollout.Lock{r.Lock, forever, short}; !slices.Equal(got, want) {
			t.Errorf("the locks are %+v, want %+v", got, want)
		}
		b.pass(3 * b.unit)
		b.wantLocks(t, auth, prod)
		b.commit(t, r, 0, rollout.Over, time.Time{})
		b.wantLocks(t, prod)
		if err := b.Unlock(t.Context(), prod, forever.Fence); err != nil {
			t.Fatal(err)
		}
		b.wantLocks(t)
	})
}

func TestLockExpires(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		wish := personal(staging, oncall)
		wish.Expires = time.Now().UTC().Round(0).Add(2 * b.unit)
		l, err := b.Lock(t.Context(), wish)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Create(t.Context(), sample("aaaaaa", backend), nil); err == nil {
			t.Error("a rollout started under a lock")
		}
		b.pass(3 * b.unit)
		if l, held, err := b.Holder(t.Context(), staging); held || err != nil {
			t.Errorf("held by %+v, %v", l, err)
		}
		b.start(t, "aaaaaa", backend)
		if n := b.client.HLen(t.Context(), slipway.locks("staging")).Val(); n != 1 {
			t.Errorf("%d locks are left, want the rollout's alone", n)
		}
		if err := b.Unlock(t.Context(), staging, l.Fence); err != nil {
			t.Errorf("unlock of what expired: %v", err)
		}
	})
}

func TestLockThatIsOver(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		wish := personal(staging, oncall)
		wish.Expires = time.Now().Add(-time.Second)
		if _, err := b.Lock(t.Context(), wish); err == nil {
			t.Error("a lock was given whose end has passed")
		}
	})
}

func TestStaleUnlock(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		wish := personal(staging, oncall)
		wish.Expires = time.Now().Add(b.unit)
		old, err := b.Lock(t.Context(), wish)
		if err != nil {
			t.Fatal(err)
		}
		b.pass(2 * b.unit)
		l, err := b.Lock(t.Context(), personal(staging, deployer))
		if err != nil || l.Fence <= old.Fence {
			t.Fatalf("fence %d after %d, %v", l.Fence, old.Fence, err)
		}
		refused(t, b.Unlock(t.Context(), staging, old.Fence), l)
		if err := b.Unlock(t.Context(), staging, l.Fence); err != nil {
			t.Fatal(err)
		}
		r := b.start(t, "aaaaaa", staging)
		refused(t, b.Unlock(t.Context(), staging, r.Lock.Fence), r.Lock)
	})
}

// refused checks that an unlock was stale and names the lock that is there.
func refused(t *testing.T, err error, there rollout.Lock) {
	t.Helper()
	e, ok := errors.AsType[*rollout.LockedError](err)
	if !errors.Is(err, ErrStaleLock) || !ok || e.Lock != there {
		t.Errorf("the unlock gave %v, want to be told of %+v", err, there)
	}
}
