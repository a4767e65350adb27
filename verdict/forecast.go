package verdict

import (
	"math"
	"time"
)

// slowFactor is how many times the mean number of requests the slowest one in ten
// takes, at rates from 0.4 of the limit.
const slowFactor = 2.1

// Forecast is how many requests a rule takes to PASS; +Inf where it is not to be
// expected.
type Forecast struct {
	Clean float64 // without any error
	Usual float64 // on average, at the error rate that was assumed
	Slow  float64 // at that rate, nine in ten have passed by then
}

// Forecast tells what a PASS takes at an error rate (a fraction); see
// Gate.Expected. With ByBuckets it is that of single requests, longer by as much as
// buckets take longer without errors: Expect requests come in each, or at least one.
func (r Rule) Forecast(rate float64) (Forecast, error) {
	j, err := r.judge()
	if err != nil {
		return Forecast{}, err
	}
	empty := Counts{}
	clean := forecastNumber(j.gate.CleanNeeded(empty))
	f := Forecast{Clean: clean, Usual: j.gate.Expected(rate)}
	if r.Evidence == ByBuckets {
		g := newBurstGate(&j.gate, j.expect)
		p := process{bets: passBets()}
		f.Clean = forecastNumber(requestsIn(g.cleanNeeded(&p), j.expect))
		f.Usual = max(f.Clean, f.Usual*f.Clean/clean)
	}
	f.Slow = f.Usual
	if rate > 0 {
		f.Slow *= slowFactor
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
	takes := t.WarmUp + time.Duration(seconds*float64(time.Second)) + t.MaxLatency
	return max(takes, t.MinTime), true
}
