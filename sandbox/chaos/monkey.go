package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"

	"slipway/plan"
	"slipway/rollout"
	"slipway/sandbox/fakeslack"
)

// monkey does at random what happens to processes and connections. What it draws depends on the seed
// alone; when it strikes depends on the machine as well, so a seed gives the same kind of run and not
// the same one.
type monkey struct {
	world   *world
	judge   *judge
	random  *rand.Rand
	freezes bool // nothing else, and always at the worst moment
	blows   sync.WaitGroup
}

const (
	pauseLeast, pauseMost   = 1200 * time.Millisecond, 3 * time.Second // between two blows
	freezeLeast, freezeMost = 3500 * time.Millisecond, 6 * time.Second // longer than a lease, which is 3 s
	downLeast, downMost     = 300 * time.Millisecond, 3 * time.Second  // of Redis
	aimTime                 = 1500 * time.Millisecond
)

// blow is one thing to do, and how often it is drawn.
type blow struct {
	name   string
	weight int
	strike func(ctx context.Context, aimed bool)
}

func (m *monkey) run(ctx context.Context) {
	defer m.blows.Wait()
	blows := []blow{
		{"SIGKILL", 30, m.kill}, {"SIGSTOP", 30, m.freeze}, {"SIGTERM", 12, m.terminate},
		{"Redis killed", 10, m.killRedis}, {"Slack disconnects", 8, m.disconnect}, {"Slack's socket cut", 10, m.cut},
	}
	if m.freezes {
		blows = []blow{{"SIGSTOP", 1, m.freeze}}
	}
	for pause(ctx, m.between(pauseLeast, pauseMost)) {
		b, aimed := m.draw(blows), m.freezes || m.random.IntN(3) > 0
		m.judge.count(b.name)
		b.strike(ctx, aimed)
	}
}

func (m *monkey) draw(blows []blow) blow {
	sum := 0
	for _, b := range blows {
		sum += b.weight
	}
	at := m.random.IntN(sum)
	for _, b := range blows {
		if at -= b.weight; at < 0 {
			return b
		}
	}
	return blows[0]
}

func (m *monkey) between(least, most time.Duration) time.Duration {
	return least + time.Duration(m.random.Int64N(int64(most-least)))
}

func (m *monkey) kill(ctx context.Context, aimed bool) {
	if r := m.victim(ctx, aimed); r != nil {
		r.signal(syscall.SIGKILL)
	}
}

func (m *monkey) terminate(ctx context.Context, aimed bool) {
	if r := m.victim(ctx, aimed); r != nil {
		r.signal(syscall.SIGTERM)
	}
}

// freeze stops a replica for longer than its leases last, while the others go on with its work.
func (m *monkey) freeze(ctx context.Context, aimed bool) {
	r := m.victim(ctx, aimed)
	if r == nil || !r.signal(syscall.SIGSTOP) {
		return
	}
	lasts := m.between(freezeLeast, freezeMost)
	m.blows.Go(func() {
		pause(ctx, lasts)
		r.signal(syscall.SIGCONT)
	})
}

func (m *monkey) killRedis(ctx context.Context, _ bool) {
	lasts := m.between(downLeast, downMost)
	m.world.redis.kill()
	m.blows.Go(func() {
		pause(ctx, lasts)
		if err := m.world.redis.start(context.WithoutCancel(ctx)); err != nil {
			m.judge.violation("setup", "redis did not come back: %v", err)
		}
	})
}

func (m *monkey) disconnect(context.Context, bool) {
	m.world.servers.Slack.Fault(fakeslack.Fault{Kind: fakeslack.FaultDisconnect, Count: 1 + m.random.IntN(3)})
}

func (m *monkey) cut(context.Context, bool) {
	m.world.servers.Slack.Fault(fakeslack.Fault{Kind: fakeslack.FaultDrop, Count: 1 + m.random.IntN(3)})
}

// victim is a working replica: one of them, or, if the blow is aimed, the one that is about to change
// something in the cloud: it has written down that it will and not yet that it has.
func (m *monkey) victim(ctx context.Context, aimed bool) *replica {
	order := m.random.Perm(len(m.world.replicas))
	if aimed {
		if r := m.aim(ctx); r != nil {
			return r
		}
	}
	for _, i := range order {
		if r := m.world.replicas[i]; r.working() {
			return r
		}
	}
	return nil
}

func (m *monkey) aim(ctx context.Context) *replica {
	ctx, cancel := context.WithTimeout(ctx, aimTime)
	defer cancel()
	for ctx.Err() == nil {
		active, _ := m.world.store.Active(ctx) // without Redis there is nobody to aim at
		for _, r := range active {
			if !aboutToChange(r) {
				continue
			}
			if owner := m.world.owner(ctx, r.ID); owner != nil && owner.working() {
				return owner
			}
		}
		pause(ctx, 5*time.Millisecond)
	}
	return nil
}

func aboutToChange(r rollout.Rollout) bool {
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			changes := s.Spec.Kind == plan.KindDeploy || s.Spec.Kind == plan.KindTraffic || s.Spec.Kind == plan.KindJob
			if changes && s.Status == rollout.StepRunning && s.Handle == "" {
				return true
			}
		}
	}
	return false
}

// rolloutKey is the hash of a rollout in Redis; its field "owner" is who holds the lease.
const rolloutKey = "{slipway}:rollout:"

// owner is the replica that holds a rollout; nil if there is none.
func (w *world) owner(ctx context.Context, id string) *replica {
	name, err := w.client.HGet(ctx, rolloutKey+id, "owner").Result()
	if err != nil || !strings.Contains(name, "-") {
		return nil
	}
	for _, r := range w.replicas {
		if r.is(name) {
			return r
		}
	}
	return nil
}
