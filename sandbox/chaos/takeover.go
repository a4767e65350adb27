package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// loss is a way to lose the replica that works on a rollout, and how long its next event may then take
// in the median.
type loss struct {
	name   string
	signal syscall.Signal
	most   time.Duration
}

func losses() []loss {
	return []loss{{"SIGKILL", syscall.SIGKILL, 4 * time.Second}, {"SIGTERM", syscall.SIGTERM, time.Second}}
}

// takeover measures, with the settings that everybody has, how long a rollout stands still when it loses
// its replica: from the signal to the first event that another one commits. The rollout stands at a gate,
// where whoever takes over has something to tell as soon as it has read the log.
func (o options) takeover(ctx context.Context, out io.Writer) (clean bool, err error) {
	w, err := newWorld(ctx, settings{seed: o.Seed, services: []string{"cart"}, bots: o.Bots, gate: time.Hour, strict: true})
	if err != nil {
		return false, err
	}
	defer w.close()
	fmt.Fprintf(out, "seed %d: takeover by one of %d bots, %d times each\n", o.Seed, o.Bots, o.Times)
	seen := newWatch(w)
	watching, blind := context.WithCancel(ctx)
	var eyes sync.WaitGroup
	eyes.Go(func() { seen.run(watching) })
	defer eyes.Wait()
	defer blind()
	id, err := atGate(ctx, &team{world: w, watch: seen, judge: newJudge(), service: w.services[0]})
	if err != nil {
		return false, errors.Join(err, fmt.Errorf("the logs are in %s", w.dir))
	}
	m := &meter{world: w, rollout: id, random: rand.New(rand.NewPCG(o.Seed, 2))}
	clean = true
	fmt.Fprintf(out, "%-8s %6s %8s %8s %8s\n", "", "times", "median", "worst", "limit")
	for _, l := range losses() {
		took, err := m.measure(ctx, l, o.Times)
		if err != nil {
			return false, errors.Join(err, fmt.Errorf("the logs are in %s", w.dir))
		}
		clean = clean && median(took) <= l.most
		fmt.Fprintf(out, "%-8s %6d %7.2fs %7.2fs %7.2fs\n", l.name, len(took), median(took).Seconds(), slices.Max(took).Seconds(), l.most.Seconds())
	}
	blind()
	eyes.Wait()
	w.close() // before what it writes to is removed
	if clean && !o.Keep {
		w.remove()
	}
	return clean, nil
}

// atGate starts a rollout and returns its ID once it stands at its gate.
func atGate(ctx context.Context, t *team) (string, error) {
	if _, err := t.push(0); err != nil {
		return "", err
	}
	id, err := t.start(ctx, tagOf(0))
	if err != nil {
		return "", err
	}
	tending, stop := context.WithCancel(ctx)
	var tender sync.WaitGroup
	tender.Go(func() { _ = t.tend(tending, id) })
	defer tender.Wait()
	defer stop()
	const longest = 2 * time.Minute
	if !t.until(ctx, longest, func() bool { r := t.watch.get(id); return gated(&r) }) {
		r := t.watch.get(id)
		return "", fmt.Errorf("the rollout %s did not come to its gate: %s", id, standing(&r))
	}
	return id, nil
}

func gated(r *rollout.Rollout) bool {
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Spec.Kind == plan.KindErrorRate && s.Status == rollout.StepRunning && s.Gate != nil {
				return true
			}
		}
	}
	return false
}

// meter measures takeovers of one rollout.
type meter struct {
	world   *world
	rollout string
	random  *rand.Rand
}

const (
	meterLook    = 2 * time.Millisecond
	longestStill = time.Minute
)

func (m *meter) measure(ctx context.Context, l loss, times int) ([]time.Duration, error) {
	var took []time.Duration
	for range times {
		if err := m.world.awaitBots(ctx); err != nil {
			return nil, err
		}
		pause(ctx, time.Second+time.Duration(m.random.Int64N(int64(time.Second)))) // anywhere between two renewals
		d, err := m.once(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("takeover after %s: %w", l.name, err)
		}
		took = append(took, d)
	}
	return took, nil
}

// once takes the rollout's replica away and waits for another one's first event.
func (m *meter) once(ctx context.Context, l loss) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longestStill, errors.New("nobody took over"))
	defer cancel()
	first, holder, err := m.held(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	holder.signal(l.signal)
	for last := first; ; {
		now, err := m.read(ctx)
		if err != nil {
			return 0, err
		}
		switch {
		case now.owner == "" || now.owner == first.owner:
			last = now // what the old one still commits does not count
		case now.version > last.version:
			return time.Since(began), nil
		}
		if !pause(ctx, meterLook) {
			return 0, context.Cause(ctx)
		}
	}
}

// held waits until one of the bots holds the rollout.
func (m *meter) held(ctx context.Context) (lease, *replica, error) {
	for {
		now, err := m.read(ctx)
		if err != nil {
			return lease{}, nil, err
		}
		for _, r := range m.world.replicas {
			if now.owner != "" && r.is(now.owner) {
				return now, r, nil
			}
		}
		if !pause(ctx, meterLook) {
			return lease{}, nil, context.Cause(ctx)
		}
	}
}

// lease is who holds a rollout, and how far it is.
type lease struct {
	owner   string
	version int64
}

func (m *meter) read(ctx context.Context) (lease, error) {
	fields, err := m.world.client.HMGet(ctx, rolloutKey+m.rollout, "owner", "version").Result()
	if err != nil {
		return lease{}, err
	}
	owner, _ := fields[0].(string) // there is none while nobody holds it
	text, _ := fields[1].(string)
	version, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return lease{owner, version}, err
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}
