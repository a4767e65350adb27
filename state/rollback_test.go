package state

import (
	"errors"
	"slices"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// back is a rollback as it is when it starts.
func back(id string, target plan.Target) rollout.Rollout {
	r := sample(id, target)
	r.Kind = rollout.Rollback
	return r
}

func TestRollbackReplacesPeoplesLocks(t *testing.T) {
	for name, c := range map[string]struct {
		locked []plan.Target
		target plan.Target
		left   []plan.Target
	}{
		"the same service":             {[]plan.Target{backend}, backend, []plan.Target{backend}},
		"the environment over it":      {[]plan.Target{staging}, backend, []plan.Target{backend}},
		"the services in it":           {[]plan.Target{backend, auth}, staging, []plan.Target{staging}},
		"the service and not another":  {[]plan.Target{backend, auth}, backend, []plan.Target{auth, backend}},
		"no lock at all":               {nil, staging, []plan.Target{staging}},
		"and none of another like it":  {[]plan.Target{{Environment: "prod"}}, staging, []plan.Target{{Environment: "prod"}, staging}},
		"nor one of a service like it": {[]plan.Target{{Environment: "prod", Service: "backend"}}, backend, []plan.Target{{Environment: "prod", Service: "backend"}, backend}},
	} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				var before int64
				for _, target := range c.locked {
					l, err := b.Lock(t.Context(), personal(target, oncall))
					if err != nil {
						t.Fatal(err)
					}
					before = l.Fence
				}
				r, err := b.Create(t.Context(), back("aaaaaa", c.target), nil)
				if err != nil || r.Lock.Fence <= before {
					t.Fatalf("the rollback got fence %d after %d, %v", r.Lock.Fence, before, err)
				}
				list := b.wantLocks(t, c.left...)
				if last := list[len(list)-1]; last != r.Lock {
					t.Errorf("the newest lock is %+v, want %+v", last, r.Lock)
				}
			})
		})
	}
}

// wantLocks checks what is locked, in the order in which it was, and returns the locks.
func (b *bench) wantLocks(t *testing.T, want ...plan.Target) []rollout.Lock {
	t.Helper()
	list, err := b.Locks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []plan.Target
	for _, l := range list {
		got = append(got, l.Target)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("locked are %v, want %v", got, want)
	}
	return list
}

func TestRolloutKeepsRollbackBack(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		if _, err := b.Lock(t.Context(), personal(auth, oncall)); err != nil {
			t.Fatal(err)
		}
		running := b.start(t, "aaaaaa", backend)
		for _, target := range []plan.Target{backend, staging} {
			_, err := b.Create(t.Context(), back("bbbbbb", target), nil)
			e, ok := errors.AsType[*rollout.LockedError](err)
			if !ok || e.Lock != running.Lock {
				t.Errorf("a rollback of %s got %v, want to be told of %+v", target, err, running.Lock)
			}
		}
		b.wantLocks(t, auth, backend) // the refusal took nothing away
	})
}

func TestDeploymentRespectsPeoplesLocks(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		l, err := b.Lock(t.Context(), personal(backend, oncall))
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Create(t.Context(), sample("aaaaaa", backend), nil)
		if e, ok := errors.AsType[*rollout.LockedError](err); !ok || e.Lock != l {
			t.Errorf("a deployment got %v, want to be told of %+v", err, l)
		}
	})
}

// ending is the last commit of a rollout that leaves its target to a person.
func ending(r rollout.Rollout, l rollout.Lock) rollout.Commit {
	r, events := next(r)
	return rollout.Commit{Rollout: r, Events: events, Then: rollout.Over, Lock: &l}
}

func TestEndLeavesALock(t *testing.T) {
	for _, target := range []plan.Target{backend, staging} {
		t.Run(target.String(), func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				r, err := b.Create(t.Context(), back("aaaaaa", target), nil)
				if err != nil {
					t.Fatal(err)
				}
				wish := personal(target, deployer)
				if err := b.Commit(t.Context(), ending(r, wish)); err != nil {
					t.Fatal(err)
				}
				l := b.wantLocks(t, target)[0]
				if l.Fence <= r.Lock.Fence {
					t.Errorf("the person's fence is %d after %d", l.Fence, r.Lock.Fence)
				}
				if wish.Fence = l.Fence; l != wish {
					t.Errorf("locked by %+v, want %+v", l, wish)
				}
				_, err = b.Create(t.Context(), sample("bbbbbb", target), nil)
				if e, ok := errors.AsType[*rollout.LockedError](err); !ok || e.Lock != l {
					t.Errorf("the next deployment got %v, want to be told of %+v", err, l)
				}
				if err := b.Unlock(t.Context(), target, l.Fence); err != nil {
					t.Fatal(err)
				}
				b.start(t, "bbbbbb", target)
			})
		})
	}
}

func TestLeftLockExpires(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		for id, lasts := range map[string]time.Duration{"aaaaaa": 2 * b.unit, "bbbbbb": -b.unit} {
			wish := personal(backend, deployer)
			wish.Expires = time.Now().UTC().Round(0).Add(lasts)
			if err := b.Commit(t.Context(), ending(b.start(t, id, backend), wish)); err != nil {
				t.Fatal(err)
			}
			if lasts > 0 {
				b.wantLocks(t, backend)
				b.pass(3 * b.unit)
			}
			b.wantLocks(t)
		}
	})
}

func TestLostReplyOfTheEnd(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		s, lose := b.losing(t)
		c := ending(b.start(t, "aaaaaa", backend), personal(backend, deployer))
		lose()
		lost(t, s.Commit(t.Context(), c))
		l := b.wantLocks(t, backend)[0]
		if err := s.Commit(t.Context(), c); err != nil {
			t.Errorf("the repetition: %v", err)
		}
		if again := b.wantLocks(t, backend)[0]; again != l {
			t.Errorf("the repetition made %+v of %+v", again, l)
		}
		if err := b.Unlock(t.Context(), backend, l.Fence); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), c); err != nil {
			t.Errorf("another repetition: %v", err)
		}
		b.wantLocks(t) // it does not come back once it was taken away
	})
}

// After a failover that lost the rollout's lock somebody else may have the target.
func TestEndLeavesOthersTheirLock(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", backend)
		b.client.HDel(t.Context(), slipway.locks("staging"), "backend")
		other := b.start(t, "bbbbbb", staging)
		if err := b.Commit(t.Context(), ending(r, personal(backend, deployer))); err != nil {
			t.Fatal(err)
		}
		if l := b.wantLocks(t, staging)[0]; l != other.Lock {
			t.Errorf("the lock is %+v, want %+v", l, other.Lock)
		}
	})
}

func TestWhichLocksAnEndMayLeave(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", backend)
		for name, spoil := range map[string]func(*rollout.Commit){
			"before the end":      func(c *rollout.Commit) { c.Then = rollout.Hold },
			"of another target":   func(c *rollout.Commit) { c.Lock.Target = staging },
			"of a rollout":        func(c *rollout.Commit) { c.Lock.Rollout = "aaaaaa" },
			"of nobody in person": func(c *rollout.Commit) { c.Lock.By = rollout.Actor{} },
		} {
			c := ending(r, personal(backend, deployer))
			spoil(&c)
			if err := b.Commit(t.Context(), c); err == nil {
				t.Fatalf("a lock %s was left", name)
			}
		}
		if l := b.wantLocks(t, backend)[0]; l != r.Lock {
			t.Errorf("the lock is %+v, want %+v", l, r.Lock)
		}
	})
}
