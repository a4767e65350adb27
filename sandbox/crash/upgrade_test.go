package crash_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"slipway/sandbox/crash"
)

// A replica is told to end while it is in each kind of call, as in a rolling upgrade, and another one
// runs already: the rollout goes on there within a second, and does what it does when nobody ends.
func TestUpgradeInEveryKindOfCall(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.scenario, func(t *testing.T) {
			want, calls := s.undisturbed(t)
			points, note := sample(kinds(calls))
			t.Logf("%s: told to end in %d calls%s", s.scenario, len(points), note)
			for _, p := range points {
				t.Run(fmt.Sprintf("%s %d", p.Call, p.Nth), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { s.upgraded(t, p, want) })
				})
			}
		})
	}
}

// kinds are the first and the last call of each name.
func kinds(calls []crash.Call) []crash.Plan {
	counts := map[string]int{}
	for _, c := range calls {
		counts[c.Name]++
	}
	var list []crash.Plan
	for _, c := range calls {
		if n := counts[c.Name]; !c.Poll && (c.Nth == 1 || c.Nth == n) {
			list = append(list, crash.Plan{Call: c.Name, Nth: c.Nth, How: crash.Noted})
		}
	}
	return list
}

func (s scene) upgraded(t *testing.T, p crash.Plan, want string) {
	w := newWorld(t, s.scenario, lifelike)
	first := w.start("a", p)
	told := make(chan time.Time, 1)
	next := make(chan *replica, 1)
	over := make(chan struct{})
	go func() {
		select {
		case <-first.Broken():
		case <-over:
			return
		}
		next <- w.start("b", crash.Plan{})
		told <- time.Now()
		first.stop()
	}()
	w.rollOut(s.end)
	close(over)
	if got := w.account(); got != want {
		t.Errorf("after the upgrade:\n%s\n%s\n%s", different(want, got), w.out.String(), w.log.String())
	}
	select {
	case at := <-told:
		switch p.Call {
		case "cloud UpdateJob", "cloud RunJob", "cloud GetExecution", "cloud UpdateService", "cloud GetOperation": // a step was under way
			wantTaken(t, <-next, at)
		}
	default:
	}
}

// wantTaken makes sure that the second replica took the rollout over within a second.
func wantTaken(t *testing.T, r *replica, told time.Time) {
	t.Helper()
	for _, c := range r.Calls() {
		if c.Name == "redis claim" {
			if took := c.At.Sub(told); took > time.Second {
				t.Errorf("took over %s after the other one was told to end", took)
			}
			return
		}
	}
}
