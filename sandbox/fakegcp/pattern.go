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
	p, b := &r.pattern, r.behavior
	since := at.Sub(p.began)
	if p.began.IsZero() {
		since = 0
	}
	switch {
	case r.crashed:
		return true
	case since < b.ErrorsAfter, b.ErrorsUntil > 0 && since >= b.ErrorsUntil:
		return false
	case b.ErrorBursts <= 0:
		return p.errors.next(r.errorRate())
	}
	for n := int64(since / b.ErrorBursts); p.burst < n; p.burst++ {
		p.bursting = p.bursts.next(r.errorRate())
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

// errorRate is the share of requests that fail now.
func (r *revision) errorRate() float64 {
	if r.crashed {
		return 1
	}
	if r.rate >= 0 {
		return r.rate
	}
	return r.behavior.ErrorRate
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
