package crash_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/sandbox/crash"
)

const (
	// nap is longer than any claim lasts, and longer than any call waits for its answer.
	nap = 40 * time.Second
	// correction is how long a card may show something old after its replica has woken up.
	correction = 5 * time.Second
	// lifelike lets runs of jobs last so long that a second one can be stopped.
	lifelike = 1
)

// A replica falls asleep in a call and sleeps past its lease; another one goes on with the rollout. Then
// it wakes up, and whatever it was about to do arrives: no effect comes about twice that is not undone,
// and 5 s later everything is as if it had not slept.
func TestZombie(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.scenario, func(t *testing.T) {
			want, calls := s.undisturbed(t)
			tryEach(t, sleeps(calls), func(t *testing.T, p crash.Plan) (broke bool) {
				synctest.Test(t, func(t *testing.T) { broke = s.slept(t, p, want) })
				return broke
			})
		})
	}
}

func (s scene) slept(t *testing.T, p crash.Plan, want string) (broke bool) {
	w := newWorld(t, s.scenario, lifelike)
	broke = w.nap(p, func() { w.rollOut(s.end) })
	if got := w.account(); got != want {
		t.Errorf("after the sleep:\n%s\n%s", different(want, got), w.story())
	}
	w.wantDoubledSaid()
	w.settle()
	if left := w.left(); left != "" {
		t.Errorf("left in Redis: %s", left)
	}
	return broke
}

// nap runs a replica while something happens. It falls asleep as planned; another one is started then, and after the
// nap the first wakes up.
func (w *world) nap(p crash.Plan, happens func()) (broke bool) {
	w.t.Helper()
	_, broke = w.relay(p, func(first *replica) {
		w.start("b", crash.Plan{})
		time.Sleep(nap)
		first.Wake()
	}, happens)
	time.Sleep(correction)
	return broke
}

// sleeps are the calls to fall asleep in: each that changes the cloud or the channel, and one in five of
// those that change Redis.
func sleeps(calls []crash.Call) []crash.Plan {
	var list []crash.Plan
	for _, c := range calls {
		redis := strings.HasPrefix(c.Name, "redis ")
		if c.Effect && !c.Poll && (!redis || c.Nth%5 == 1) && !strings.HasPrefix(c.Name, "slack apps.") {
			list = append(list, crash.Plan{Call: c.Name, Nth: c.Nth, How: crash.Asleep})
		}
	}
	return list
}

// The control: a cloud that takes any etag lets the sleeper's update through, and the account shows it.
func TestZombieIsSeenWithoutPreconditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "ssot", lifelike)
		w.Cloud.IgnorePreconditions()
		w.nap(crash.Plan{Call: "cloud UpdateService", Nth: 2, How: crash.Asleep}, func() { w.rollOut("Deployed") })
		w.settle()
		const once = 4 // a new revision, two shifts, and following LATEST again
		if n := len(w.updates()); n <= once {
			t.Errorf("%d updates of the service: this test cannot tell a sleeper's", n)
		}
	})
}
