package crash_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"slipway/sandbox/crash"
)

// scene is a rollout and how it ends.
type scene struct{ scenario, end string }

// brisk makes the cloud fast enough that no poll is needed twice.
const brisk = 20

var scenes = []scene{{"ssot", "Deployed"}, {"bad-deploy", "Rolled back"}}

// A replica is killed between any two of its calls while it works alone on a rollout; another one is started then.
// What the rollout did in the end is what it does when nobody is killed.
func TestCrashAtEveryPoint(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.scenario, func(t *testing.T) { atEveryPoint(t, s.play, "redis commit") })
	}
}

// run is how a scene went: what it did, and the calls of its first replica, whose line broke or did not.
type run struct {
	account string
	calls   []crash.Call
	broke   bool
	story   string // for people
}

// atEveryPoint plays a scene with a crash at each of its points, and compares what it did then with what it does
// without. One of the calls is known: if it is not among those that are seen, the scripts are not recognised.
func atEveryPoint(t *testing.T, play func(t *testing.T, p crash.Plan) run, known string) {
	t.Helper()
	calm := play(t, crash.Plan{})
	if !slices.ContainsFunc(calm.calls, func(c crash.Call) bool { return c.Name == known }) {
		t.Fatalf("no %s was seen: the scripts are not recognised", known)
	}
	tryEach(t, crash.Points(calm.calls), func(t *testing.T, p crash.Plan) (broke bool) {
		r := play(t, p)
		if r.account != calm.account {
			t.Errorf("after the crash:\n%s\n%s", different(calm.account, r.account), r.story)
		}
		return r.broke
	})
}

// tryEach tries a sample of points, and makes sure that they were reached.
func tryEach(t *testing.T, all []crash.Plan, try func(t *testing.T, p crash.Plan) (broke bool)) {
	t.Helper()
	points, note := sample(all)
	var met atomic.Int64
	t.Run("at", func(t *testing.T) {
		for _, p := range points {
			t.Run(fmt.Sprintf("%s %s %d", p.How, p.Call, p.Nth), func(t *testing.T) {
				t.Parallel()
				if try(t, p) {
					met.Add(1)
				} else { // the last calls of a run may not be made in another
					t.Log("never reached")
				}
			})
		}
	})
	t.Logf("%d points%s, %d reached", len(points), note, met.Load())
	if missed := len(points) - int(met.Load()); missed > max(1, len(points)/20) { // a poll more or less moves the last ones
		t.Errorf("%d of %d points were never reached", missed, len(points))
	}
}

// relay runs a replica while something happens. Once its line breaks as planned, then is done.
func (w *world) relay(p crash.Plan, then func(first *replica), happens func()) (calls []crash.Call, broke bool) {
	w.t.Helper()
	first := w.start("a", p)
	over := make(chan struct{})
	var next sync.WaitGroup
	next.Go(func() {
		select {
		case <-first.Broken():
			broke = true
			then(first)
		case <-over:
		}
	})
	happens()
	close(over)
	next.Wait()
	return first.Calls(), broke
}

// succeed starts another replica in the place of one that is dead.
func (w *world) succeed(first *replica) {
	first.stop()
	w.start("b", crash.Plan{})
}

// play plays a rollout whose first replica's line breaks as planned.
func (s scene) play(t *testing.T, p crash.Plan) (r run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s.scenario, brisk)
		r.calls, r.broke = w.relay(p, w.succeed, func() { w.rollOut(s.end) })
		r.account, r.story = w.account(), w.story()
	})
	return r
}

// undisturbed plays a scene without a crash and returns its account and the calls of its replica.
func (s scene) undisturbed(t *testing.T) (account string, calls []crash.Call) {
	t.Helper()
	r := s.play(t, crash.Plan{})
	return r.account, r.calls
}

// The control: a replica that cannot find the run of a job starts it again, and the account shows it.
func TestCrashIsSeenWithoutFinding(t *testing.T) {
	s := scenes[0]
	want, _ := s.undisturbed(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s.scenario, brisk)
		w.blind = true
		w.relay(crash.Plan{Call: "cloud RunJob", Nth: 1, How: crash.After}, w.succeed, func() { w.rollOut(s.end) })
		if different(want, w.account()) == "" {
			t.Error("a job that ran twice is not seen in the account")
		}
	})
}

// sample takes every point, or one in so many as CRASH_EVERY says, drawn by CRASH_SEED.
func sample(all []crash.Plan) (points []crash.Plan, note string) {
	every := sampleEvery
	if n, err := strconv.Atoi(os.Getenv("CRASH_EVERY")); err == nil {
		every = n
	}
	if every <= 1 {
		return all, ""
	}
	seed, err := strconv.ParseUint(os.Getenv("CRASH_SEED"), 10, 64)
	if err != nil {
		seed = cmp.Or(uint64(time.Now().UnixNano()), 1)
	}
	first := rand.New(rand.NewPCG(seed, 0)).IntN(every)
	for i := first; i < len(all); i += every {
		points = append(points, all[i])
	}
	return points, fmt.Sprintf(" of %d (every %dth from %d, CRASH_SEED=%d)", len(all), every, first, seed)
}
