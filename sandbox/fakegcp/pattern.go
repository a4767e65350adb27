package fakegcp

// Which requests fail and how long they take, by the image's Behavior. Nothing here is drawn at random: at a
// given share every n requests hold as many, give or take one, and the seed sets the phase alone.

import (
	"math/rand/v2"
	"net/http"
	"time"
)

const usualLatency = 80 * time.Millisecond

// pattern is where a revision is in the order of its errors and slow requests.
type pattern struct {
	began  time.Time // when users' traffic first came; zero: it has not
	errors share
	bursts share
	slow   share

	burst    int64 // the burst's worth of time that a request came in last, counted from began
	bursting bool
}

// newPattern begins at a phase within 0 and 1.
func newPattern(phase float64) pattern {
	return pattern{errors: share{phase}, bursts: share{phase}, slow: share{phase}, burst: -1}
}

func (p *pattern) begin(at time.Time) {
	if p.began.IsZero() || at.Before(p.began) {
		p.began = at
	}
}

// since is how long users' traffic has come by a time.
func (p *pattern) since(at time.Time) time.Duration {
	if p.began.IsZero() {
		return 0
	}
	return at.Sub(p.began)
}

// share carries the fraction of a hit from one try to the next.
type share struct{ credit float64 }

// next says whether the next try is a hit, at a rate within 0 and 1.
func (s *share) next(rate float64) bool {
	const rounding = 1e-9
	s.credit += rate
	if s.credit < 1-rounding {
		return false
	}
	s.credit--
	return true
}

// countRequest counts a request that starts at the time given and says whether it fails.
func (r *revision) countRequest(at time.Time) (fails bool) {
	r.requests++
	fails = r.fails(at)
	if fails {
		r.errors++
	}
	return fails
}

func (r *revision) fails(at time.Time) bool {
	p, b, rate := &r.pattern, r.behavior, r.errorRate(at)
	switch {
	case r.crashed:
		return true
	case rate <= 0:
		return false
	case b.ErrorBursts <= 0:
		return p.errors.next(rate)
	}
	for n := int64(p.since(at) / b.ErrorBursts); p.burst < n; p.burst++ {
		p.bursting = p.bursts.next(rate)
	}
	return p.bursting
}

// errorStatus is how a failing request is answered.
func (r *revision) errorStatus() int32 {
	if r.crashed {
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// errorRate is the share of requests that fail at a time: what was set by hand counts at once, and the
// image's own when the image's time for it has come.
func (r *revision) errorRate(at time.Time) float64 {
	since, b := r.pattern.since(at), r.behavior
	switch {
	case r.crashed:
		return 1
	case r.rate >= 0:
		return r.rate
	case since < b.ErrorsAfter, b.ErrorsUntil > 0 && since >= b.ErrorsUntil:
		return 0
	}
	return b.ErrorRate
}

// requestLatency spreads around the image's median, from half of it to twice.
func (r *revision) requestLatency(rnd *rand.Rand) time.Duration {
	median := r.behavior.Latency
	if median <= 0 {
		median = usualLatency
	}
	u := rnd.Float64()
	if u < 0.5 {
		return time.Duration(float64(median) * (0.5 + u))
	}
	return time.Duration(float64(median) * 2 * u)
}

// unusualLatency is how long a request takes that fails or is one of the slow ones; 0 for the others.
func (r *revision) unusualLatency(fails bool) time.Duration {
	if fails && r.behavior.ErrorLatency > 0 {
		return r.behavior.ErrorLatency
	}
	if r.pattern.slow.next(r.behavior.SlowShare) {
		return r.behavior.SlowLatency
	}
	return 0
}
