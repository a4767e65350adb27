package state

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slipway/plan"
	"slipway/rollout"
)

var approver = rollout.Actor{ID: "U0APPROVER", Name: "approver"}

// wish is what somebody who wants to deploy target to it is in line for.
func wish(target plan.Target, by rollout.Actor) rollout.Lock {
	l := personal(target, by)
	l.Reason, l.Turn = "their turn in the queue", rollout.Turn{Target: target, What: "v1", Channel: "deploys-staging"}
	return l
}

// turnUnits is how many units a turn lasts in these tests.
const turnUnits = 4

func (b *bench) join(t *testing.T, token string, target plan.Target, by rollout.Actor) rollout.Joined {
	t.Helper()
	got, err := b.Join(t.Context(), token, wish(target, by), turnUnits*b.unit)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// joined joins and checks the place in line.
func (b *bench) joined(t *testing.T, position int, target plan.Target, by rollout.Actor) {
	t.Helper()
	if got := b.join(t, "join by "+by.ID+" of "+target.String(), target, by); got != (rollout.Joined{Position: position}) {
		t.Fatalf("%s joined as %+v, want position %d", by.Name, got, position)
	}
}

// wantLine checks who is in line: their names, the first in front.
func (b *bench) wantLine(t *testing.T, want ...string) []rollout.Lock {
	t.Helper()
	line, err := b.Lines(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range line {
		got = append(got, l.By.Name)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("in line are %q, want %q", got, want)
	}
	return line
}

// wantTurn checks that a target is kept for somebody, for the whole length of a turn.
func (b *bench) wantTurn(t *testing.T, target plan.Target, who rollout.Actor) rollout.Lock {
	t.Helper()
	l, held, err := b.Holder(t.Context(), target)
	if !held || err != nil || !l.TurnOf(who) || l.Target != target {
		t.Fatalf("%s is held by %+v, %v; want the turn of %s", target, l, err, who.Name)
	}
	if lasts := l.Expires.Sub(l.Since); (lasts - turnUnits*b.unit).Abs() > time.Millisecond {
		t.Errorf("the turn lasts %s", lasts)
	}
	return l
}

// starts checks that who can start a rollout of target.
func (b *bench) starts(t *testing.T, id string, target plan.Target, who rollout.Actor) rollout.Rollout {
	t.Helper()
	r := sample(id, target)
	r.By, r.Lock.By = who, who
	got, err := b.Create(t.Context(), r, []rollout.Event{{Seq: 1, Kind: rollout.Created}})
	if err != nil {
		t.Fatalf("%s cannot start: %v", who.Name, err)
	}
	return got
}

// told claims a turn of which something has to be told, and says that it was.
func (b *bench) told(t *testing.T, who rollout.Actor, over TurnEnd) {
	t.Helper()
	turn, ok, err := b.ClaimTurn(t.Context(), "one", b.unit)
	if !ok || err != nil || turn.Lock.By != who || turn.Over != over {
		t.Fatalf("claimed %+v, %v, %v; want the turn of %s, %q", turn, ok, err, who.Name, over)
	}
	turn.Notice.Told = over
	if err := b.ReleaseTurn(t.Context(), "one", turn, true, 0); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) nothingToTell(t *testing.T) {
	t.Helper()
	if turn, ok, err := b.ClaimTurn(t.Context(), "one", b.unit); ok || err != nil {
		t.Fatalf("claimed %+v, %v", turn, err)
	}
}

func TestLine(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		if got := b.join(t, "early", staging, oncall); got != (rollout.Joined{Free: true}) {
			t.Errorf("joined the line of what is free: %+v", got)
		}
		r := b.start(t, "aaaaaa", staging)
		b.joined(t, 1, staging, oncall)
		b.joined(t, 2, staging, approver)
		other := wish(staging, oncall)
		other.Turn.What = "v2"
		if got, err := b.Join(t.Context(), "again", other, turnUnits*b.unit); got.Position != 1 || err != nil {
			t.Errorf("joined again as %+v, %v", got, err)
		}
		if line := b.wantLine(t, "oncall", "approver"); line[0].Turn.What != "v2" {
			t.Errorf("the first wants %q", line[0].Turn.What)
		}
		b.nothingToTell(t)

		b.commit(t, r, 0, rollout.Over, time.Time{})
		first := b.wantTurn(t, staging, oncall)
		b.wantLine(t, "approver")
		_, err := b.Create(t.Context(), sample("bbbbbb", backend), nil)
		if e, ok := errors.AsType[*rollout.LockedError](err); !ok || e.Lock != first {
			t.Errorf("another started a rollout in the turn: %v", err)
		}
		b.told(t, oncall, TurnOpen)
		b.nothingToTell(t)

		r = b.starts(t, "cccccc", staging, oncall)
		b.told(t, oncall, TurnStarted)
		b.commit(t, r, 0, rollout.Over, time.Time{})
		b.wantTurn(t, staging, approver)
		b.wantLine(t)
	})
}

func TestTurnLapses(t *testing.T) {
	for name, look := range map[string]func(*testing.T, *bench){
		"by the poll": func(t *testing.T, b *bench) { b.told(t, oncall, TurnOpen) },
		"by one who would be faster": func(t *testing.T, b *bench) {
			if _, err := b.Create(t.Context(), sample("bbbbbb", staging), nil); err == nil {
				t.Error("a newcomer got the target before those in line")
			}
			b.told(t, oncall, TurnOpen)
		},
		"by a lock": func(t *testing.T, b *bench) {
			if _, err := b.Lock(t.Context(), personal(staging, deployer)); err == nil {
				t.Error("a newcomer locked the target before those in line")
			}
			b.told(t, oncall, TurnOpen)
		},
		"by a stale unlock": func(t *testing.T, b *bench) {
			if err := b.Unlock(t.Context(), staging, 1); err != nil {
				t.Error(err)
			}
			b.told(t, oncall, TurnOpen)
		},
	} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				short := personal(staging, deployer)
				short.Expires = time.Now().UTC().Round(0).Add(2 * b.unit)
				if _, err := b.Lock(t.Context(), short); err != nil {
					t.Fatal(err)
				}
				b.joined(t, 1, staging, oncall)
				b.joined(t, 2, staging, approver)
				b.pass(3 * b.unit)
				look(t, b)
				b.wantTurn(t, staging, oncall)

				b.pass((turnUnits + 1) * b.unit)
				b.told(t, oncall, TurnLapsed)
				b.told(t, approver, TurnOpen)
				b.wantTurn(t, staging, approver)
				b.pass((turnUnits + 1) * b.unit)
				b.told(t, approver, TurnLapsed)
				b.nothingToTell(t)
				b.wantLocks(t)
				if n := b.client.Exists(t.Context(), slipway.lines(), slipway.line("staging")).Val(); n != 0 {
					t.Errorf("%d keys of an empty line are left", n)
				}
			})
		})
	}
}

func TestLeave(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		leave := func(token string, who rollout.Actor, want rollout.Left) {
			t.Helper()
			if got, err := b.Leave(t.Context(), token, staging, who); got != want || err != nil {
				t.Errorf("%s left %q, %v; want %q", who.Name, got, err, want)
			}
		}
		l, err := b.Lock(t.Context(), personal(staging, deployer))
		if err != nil {
			t.Fatal(err)
		}
		b.joined(t, 1, staging, oncall)
		b.joined(t, 2, staging, approver)
		leave("1", deployer, rollout.LeftNone)
		leave("2", oncall, rollout.LeftLine)
		b.wantLine(t, "approver")
		b.join(t, "once more", staging, oncall)
		leave("2", oncall, rollout.LeftLine) // the repetition of the first request
		b.wantLine(t, "approver", "oncall")
		if got := b.join(t, "join by "+oncall.ID+" of staging", staging, oncall); got.Position != 2 {
			t.Errorf("a repetition moved somebody to %+v", got)
		}

		if err := b.Unlock(t.Context(), staging, l.Fence); err != nil {
			t.Fatal(err)
		}
		turn := b.wantTurn(t, staging, approver)
		if got := b.join(t, "late", staging, approver); got.Turn == nil || *got.Turn != turn {
			t.Errorf("joined in one's own turn: %+v", got)
		}
		leave("3", approver, rollout.LeftTurn)
		b.wantTurn(t, staging, oncall)
		leave("3", approver, rollout.LeftTurn)
		if got := b.join(t, "join by "+approver.ID+" of staging", staging, approver); got != (rollout.Joined{}) {
			t.Errorf("a request of before the turn brought its owner back: %+v", got)
		}
		b.wantLine(t)
		b.told(t, approver, TurnPassed)
		b.told(t, oncall, TurnOpen)
	})
}

// The line is fair to who wants all of an environment: parts do not overtake it, other parts need not wait.
func TestLineOfParts(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		one, other := b.start(t, "aaaaaa", backend), b.start(t, "bbbbbb", auth)
		b.joined(t, 1, backend, oncall)
		b.joined(t, 2, staging, approver)
		b.joined(t, 2, auth, deployer)
		b.commit(t, other, 0, rollout.Over, time.Time{})
		b.wantLine(t, "oncall", "approver", "deployer")
		b.commit(t, one, 0, rollout.Over, time.Time{})
		b.wantTurn(t, backend, oncall)
		b.wantLine(t, "approver", "deployer")
		if _, err := b.Leave(t.Context(), "leave", staging, approver); err != nil {
			t.Fatal(err)
		}
		b.wantTurn(t, auth, deployer)
		b.wantLine(t)
	})
}

// A rollback waits for no line, and whoever's turn it was is the first again.
func TestRollbackGoesBeforeTheLine(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		b.joined(t, 1, staging, oncall)
		b.joined(t, 2, staging, approver)
		b.commit(t, r, 0, rollout.Over, time.Time{})
		b.wantTurn(t, staging, oncall)
		r, err := b.Create(t.Context(), back("bbbbbb", staging), nil)
		if err != nil {
			t.Fatalf("the rollback waits: %v", err)
		}
		b.wantLine(t, "oncall", "approver")
		b.told(t, oncall, TurnRollback)
		why := personal(staging, deployer)
		next, events := next(r)
		if err := b.Commit(t.Context(), rollout.Commit{Rollout: next, Events: events, Then: rollout.Over, Lock: &why}); err != nil {
			t.Fatal(err)
		}
		b.wantLine(t, "oncall", "approver") // behind the lock that the rollback left
		l := b.wantLocks(t, staging)[0]
		if err := b.Unlock(t.Context(), staging, l.Fence); err != nil {
			t.Fatal(err)
		}
		b.wantTurn(t, staging, oncall)
	})
}

// Whoever's turn it is may keep the target with a lock; others end the turn with an unlock.
func TestTurnAndLock(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		b.joined(t, 1, staging, oncall)
		b.joined(t, 2, staging, approver)
		b.commit(t, r, 0, rollout.Over, time.Time{})
		turn := b.wantTurn(t, staging, oncall)
		own, err := b.Lock(t.Context(), personal(staging, oncall))
		if err != nil || own.Fence <= turn.Fence {
			t.Fatalf("locked in one's own turn: %+v, %v", own, err)
		}
		b.told(t, oncall, TurnLocked)
		refused(t, b.Unlock(t.Context(), staging, turn.Fence), own)
		if err := b.Unlock(t.Context(), staging, own.Fence); err != nil {
			t.Fatal(err)
		}
		turn = b.wantTurn(t, staging, approver)
		for range 2 {
			if err := b.Unlock(t.Context(), staging, turn.Fence); err != nil {
				t.Fatal(err)
			}
		}
		b.told(t, approver, TurnUnlocked)
		b.wantLocks(t)
	})
}

// Of a turn is told once, by whoever claimed it last, and again when it has ended meanwhile.
func TestTurnIsClaimed(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		b.joined(t, 1, staging, oncall)
		b.commit(t, r, 0, rollout.Over, time.Time{})
		first, ok, err := b.ClaimTurn(t.Context(), "one", b.unit)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, ok, err := b.ClaimTurn(t.Context(), "two", b.unit); ok || err != nil {
			t.Fatalf("claimed twice, %v", err)
		}
		first.Notice = Notice{Channel: "C1", Posting: true}
		if err := errors.Join(b.SaveTurn(t.Context(), "one", first), b.HoldTurn(t.Context(), "one", first, b.unit)); err != nil {
			t.Fatal(err)
		}
		b.pass(2 * b.unit)
		second, ok, err := b.ClaimTurn(t.Context(), "two", b.unit)
		if !ok || err != nil || second.Notice != first.Notice {
			t.Fatalf("the second claim gave %+v, %v, %v", second, ok, err)
		}
		for name, err := range map[string]error{
			"save": b.SaveTurn(t.Context(), "one", first), "hold": b.HoldTurn(t.Context(), "one", first, b.unit),
			"release": b.ReleaseTurn(t.Context(), "one", first, true, 0),
		} {
			if !errors.Is(err, rollout.ErrFenced) {
				t.Errorf("a late %s: %v", name, err)
			}
		}
		b.starts(t, "bbbbbb", staging, oncall)
		second.Notice = Notice{Channel: "C1", TS: "1.2"}
		if err := b.ReleaseTurn(t.Context(), "two", second, true, 0); err != nil {
			t.Fatal(err)
		}
		b.told(t, oncall, TurnStarted)
		b.nothingToTell(t)
	})
}

func TestJoinNeeds(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		for name, spoil := range map[string]func(*rollout.Lock){
			"a person":           func(l *rollout.Lock) { l.By.ID = "" },
			"a target":           func(l *rollout.Lock) { l.Target.Environment = "" },
			"something to do":    func(l *rollout.Lock) { l.Turn = rollout.Turn{} },
			"nobody's rollout's": func(l *rollout.Lock) { l.Rollout = "aaaaaa" },
		} {
			l := wish(staging, oncall)
			spoil(&l)
			if _, err := b.Join(t.Context(), "token", l, b.unit); err == nil || !strings.Contains(err.Error(), "needs") {
				t.Errorf("without %s: %v", name, err)
			}
		}
	})
}

// A request to leave whose reply was lost is repeated after the turn has gone to the next. With the
// token it gets its answer; the control, a request of its own, finds nothing to give up.
func TestLostReplyOfLeave(t *testing.T) {
	for token, want := range map[string]rollout.Left{"the request": rollout.LeftTurn, "another request": rollout.LeftNone} {
		conform(t, func(t *testing.T, b *bench) {
			s, lose := b.losing(t)
			b.load(t, s.scripts.leave)
			r := b.start(t, "aaaaaa", staging)
			b.joined(t, 1, staging, oncall)
			b.joined(t, 2, staging, approver)
			b.commit(t, r, 0, rollout.Over, time.Time{})
			lose()
			_, err := s.Leave(t.Context(), "the request", staging, oncall)
			lost(t, err)
			b.wantTurn(t, staging, approver)
			if got, err := s.Leave(t.Context(), token, staging, oncall); got != want || err != nil {
				t.Errorf("%s gave %q, %v; want %q", token, got, err, want)
			}
			b.wantTurn(t, staging, approver)
		})
	}
}

// load puts a script on the server, so that the reply that is lost is not the one that says it is unknown.
func (b *bench) load(t *testing.T, script *redis.Script) {
	t.Helper()
	if err := script.Load(t.Context(), b.client).Err(); err != nil {
		t.Fatal(err)
	}
}

// The last commit of a rollout, and a request to get in line, are repeated after their replies were lost.
// Neither hands the target on twice nor moves anybody.
func TestLostRepliesLeaveTheLineAlone(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		s, lose := b.losing(t)
		b.load(t, s.scripts.join)
		r := b.start(t, "aaaaaa", staging)
		lose()
		_, err := s.Join(t.Context(), "lost", wish(staging, oncall), turnUnits*b.unit)
		lost(t, err)
		b.joined(t, 2, staging, approver)
		if got, err := s.Join(t.Context(), "lost", wish(staging, oncall), turnUnits*b.unit); got.Position != 1 || err != nil {
			t.Errorf("the repetition stands at %+v, %v", got, err)
		}
		next, events := next(r)
		c := rollout.Commit{Rollout: next, Events: events, Then: rollout.Over}
		lose()
		lost(t, s.Commit(t.Context(), c))
		turn := b.wantTurn(t, staging, oncall)
		if err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if again := b.wantTurn(t, staging, oncall); again != turn {
			t.Errorf("the repetition made the turn %+v, was %+v", again, turn)
		}
		b.wantLine(t, "approver")
		b.told(t, oncall, TurnOpen)
		b.nothingToTell(t)
	})
}

// Whoever starts less than was kept for them leaves the rest to the next, and so does a turn whose time is
// over when another lock ends.
func TestWhatIsLeftOfATurn(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		b.joined(t, 1, staging, oncall)
		b.joined(t, 2, auth, approver)
		b.commit(t, r, 0, rollout.Over, time.Time{})
		r = b.starts(t, "bbbbbb", backend, oncall)
		b.wantTurn(t, auth, approver)
		b.told(t, oncall, TurnStarted)
		b.joined(t, 1, staging, deployer)
		b.told(t, approver, TurnOpen)
		b.pass((turnUnits + 1) * b.unit)
		b.commit(t, r, 0, rollout.Over, time.Time{})
		b.wantTurn(t, staging, deployer)
		b.told(t, approver, TurnLapsed)
		b.told(t, deployer, TurnOpen)
	})
}

// An older request that is repeated does not undo a newer one.
func TestAnOlderWishComesLate(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.start(t, "aaaaaa", staging)
		b.join(t, "old", staging, oncall)
		newer := wish(staging, oncall)
		newer.Turn.What = "v2"
		if _, err := b.Join(t.Context(), "new", newer, turnUnits*b.unit); err != nil {
			t.Fatal(err)
		}
		if got := b.join(t, "old", staging, oncall); got.Position != 1 {
			t.Errorf("stands at %+v", got)
		}
		if line := b.wantLine(t, "oncall"); line[0].Turn.What != "v2" {
			t.Errorf("wants %q", line[0].Turn.What)
		}
	})
}
