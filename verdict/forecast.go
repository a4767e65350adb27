package verdict

import (
	"math"
	"time"
)

// How many times the mean number of requests the slowest one in ten takes: at rates
// from 0.4 of the limit, and by buckets of 10 requests up to 0.8 of it, where what
// is left of chance is less.
const (
	slowByRequests = 2.1
	slowByBuckets  = 1.5
)

// Forecast is how many requests a rule takes to PASS; +Inf where it is not to be
// expected.
type Forecast struct {
	Clean float64 // without any error
	Usual float64 // on average, at the error rate that was assumed
	Slow  float64 // at that rate, nine in ten have passed by then
}

// Forecast tells what a PASS takes at an error rate (a fraction); see
// Gate.Expected. With ByBuckets it is as if each bucket had exactly that rate and
// Expect requests, at least one: for 10 in a bucket the mean is within 3% of that up
// to 0.6 of the limit, and 10% above it at 0.8.
func (r Rule) Forecast(rate float64) (Forecast, error) {
	j, err := r.judge()
	if err != nil {
		return Forecast{}, err
	}
	f, slow := Forecast{Usual: math.Inf(1)}, slowByRequests
	if r.Evidence == ByBuckets {
		g, p := newBurstGate(&j.gate, j.expect), process{bets: passBets()}
		f.Clean, slow = forecastNumber(requestsIn(g.needed(&p, 0), j.expect)), slowByBuckets
		if rate >= 0 && rate < r.Limit {
			f.Usual = forecastNumber(requestsIn(g.needed(&p, rate), j.expect))
		}
	} else {
		f.Clean, f.Usual = forecastNumber(j.gate.CleanNeeded(Counts{})), j.gate.Expected(rate)
	}
	f.Slow = f.Usual
	if rate > 0 {
		f.Slow *= slow
	}
	return f, nil
}

func forecastNumber(requests int64) float64 {
	if requests == math.MaxInt64 {
		return math.Inf(1)
	}
	return float64(requests)
}

// Traffic is what reaches a revision, and when it counts.
type Traffic struct {
	PerSecond  float64       // requests a second of the whole service
	Share      float64       // the revision's share of them, 0–1
	WarmUp     time.Duration // at the start; its requests are not counted
	MaxLatency time.Duration // a window closes so long after its end
	MinTime    time.Duration // no PASS sooner, warm-up included
}

// longestForecast is where a forecast ends to be one.
const longestForecast = 30 * 24 * time.Hour

// Takes is how long it takes until so many requests can be judged. It is false
// where they never come, or only after more than 30 days.
func (t Traffic) Takes(requests float64) (time.Duration, bool) {
	seconds := requests / (t.PerSecond * t.Share)
	if !(seconds >= 0 && seconds <= longestForecast.Seconds()) {
		return 0, false
	}
	takes := t.WarmUp + time.Duration(math.Round(seconds*float64(time.Second))) + t.MaxLatency
	return max(takes, t.MinTime), true
}
