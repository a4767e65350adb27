package crash_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
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

// A replica is killed between any two of its calls while it works alone on a rollout; another one is started then. What the rollout did in the end is what it does
// when nobody is killed.
func TestCrashAtEveryPoint(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.scenario, func(t *testing.T) {
			want, calls := s.undisturbed(t)
			points, note := sample(crash.Points(calls))
			var met atomic.Int64
			t.Run("at", func(t *testing.T) {
				for _, p := range points {
					name := fmt.Sprintf("%s %s %d", p.How, p.Call, p.Nth)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						if s.crashed(t, p, want) {
							met.Add(1)
						} else {
							t.Log("never reached")
						}
					})
				}
			})
			t.Logf("%s: %d calls, %d points%s, %d crashes", s.scenario, len(calls), len(points), note, met.Load())
			if missed := len(points) - int(met.Load()); missed > max(1, len(points)/20) { // a poll more or less moves the last ones
				t.Errorf("%d of %d points were never reached", missed, len(points))
			}
		})
	}
}

// undisturbed plays a scene without a crash and returns its account and the calls of its replica.
func (s scene) undisturbed(t *testing.T) (account string, calls []crash.Call) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s.scenario, brisk)
		r := w.start("a", crash.Plan{})
		w.rollOut(s.end)
		account, calls = w.account(), r.Calls()
		if !slices.ContainsFunc(calls, func(c crash.Call) bool { return c.Name == "redis commit" }) {
			t.Error("no commit was seen: the scripts are not recognised")
		}
	})
	return account, calls
}

// crashed plays a scene with a crash, and reports whether it came about: the last calls of a run may
// not be made in another.
func (s scene) crashed(t *testing.T, p crash.Plan, want string) (met bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s.scenario, brisk)
		first := w.start("a", p)
		over := make(chan struct{})
		next := make(chan *replica, 1)
		go func() {
			select {
			case <-first.Broken():
				first.stop()
				next <- w.start("b", crash.Plan{})
			case <-over:
			}
			close(next)
		}()
		w.rollOut(s.end)
		close(over)
		<-next
		select {
		case <-first.Broken():
			met = true
		default:
		}
		if got := w.account(); got != want {
			t.Errorf("after the crash:\n%s\n%s\n%s", different(want, got), w.out.String(), w.log.String())
		}
	})
	return met
}

// The control: a replica that cannot find the run of a job starts it again, and the account shows it.
func TestCrashIsSeenWithoutFinding(t *testing.T) {
	s := scenes[0]
	want, _ := s.undisturbed(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s.scenario, brisk)
		w.blind = true
		first := w.start("a", crash.Plan{Call: "cloud RunJob", Nth: 1, How: crash.After})
		started := make(chan struct{})
		go func() {
			defer close(started)
			<-first.Broken()
			first.stop()
			w.start("b", crash.Plan{})
		}()
		w.rollOut(s.end)
		<-started
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
