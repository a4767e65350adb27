package verdict

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// forecastError is how far the forecast may be from the mean it forecasts.
const forecastError = 0.021

func TestExpected(t *testing.T) {
	g := standard(t)
	for rho, want := range map[float64]float64{0.2: 130, 0.5: 463, 0.8: 4427} {
		if got := g.Expected(rho * 0.05); math.Abs(got/want-1) > forecastError {
			t.Errorf("at %v of the limit: %.1f requests, want %v within 2.1%%", rho, got, want)
		}
	}
	if got := g.Expected(0); got != 70 {
		t.Errorf("without errors: %v requests, want 70", got)
	}
	for _, rate := range []float64{-0.01, 0.05, 0.07, 1, math.NaN()} {
		if got := g.Expected(rate); !math.IsInf(got, 1) {
			t.Errorf("Expected(%v) = %v, want +Inf", rate, got)
		}
	}
}

// TestExpectedAgainstExactMean lets the gate never FAIL and computes the mean of
// the requests to a PASS.
func TestExpectedAgainstExactMean(t *testing.T) {
	for _, rho := range []float64{0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8} {
		g := newGate(t, 0.05, 0.05, 1e-300)
		exact := run(gateRule(g), 40_000, always(rho*0.05))
		if exact.pass < 0.999 {
			t.Fatalf("at %v of the limit only %.4f pass: the mean is not exact", rho, exact.pass)
		}
		forecast := g.Expected(rho * 0.05)
		if off := math.Abs(forecast/exact.meanPass - 1); off > forecastError {
			t.Errorf("at %v of the limit: forecast %.0f, exact mean %.1f, off by %.1f%%", rho, forecast, exact.meanPass, 100*off)
		}
		if times := float64(exact.ninety) / exact.meanPass; rho >= 0.4 && (times < 1.9 || times > 2.3) {
			t.Errorf("at %v of the limit: nine in ten have passed after %.2f times the mean, want about 2.1", rho, times)
		}
	}
}

func TestExpectedRisesWithTheRate(t *testing.T) {
	for _, limit := range []float64{0.001, 0.05, 0.5} {
		g, last := newGate(t, limit, 0.05, 0.05), 0.0
		for rho := 0.0; rho < 1; rho += 0.001 {
			got := g.Expected(rho * limit)
			if got < last {
				t.Fatalf("limit %v: the forecast falls from %v to %v at %v of it", limit, last, got, rho)
			}
			last = got
		}
	}
}

func TestAbsenceNeeded(t *testing.T) {
	tests := []struct {
		minRate, alpha float64
		want           int64
	}{
		{0.05, 0.05, 59},
		{0.01, 0.05, 299},
		{0.5, 0.25, 2},
		{1, 0.05, 1},
		{0.999, 0.5, 1},
		{0.05, 1, 1},
		{0, 0.05, math.MaxInt64},
		{0.05, 0, math.MaxInt64},
		{math.NaN(), 0.05, math.MaxInt64},
		{0.05, math.NaN(), math.MaxInt64},
		{1e-300, 0.05, math.MaxInt64},
	}
	for _, tt := range tests {
		if got := AbsenceNeeded(tt.minRate, tt.alpha); got != tt.want {
			t.Errorf("AbsenceNeeded(%v, %v) = %d, want %d", tt.minRate, tt.alpha, got, tt.want)
		}
	}
}

// TestTakes: how long a gate takes at 10% of 0.4 requests a second.
func TestTakes(t *testing.T) {
	slow := Traffic{PerSecond: 0.4, Share: 0.1, WarmUp: 30 * time.Second, MaxLatency: 10 * time.Second, MinTime: time.Minute}
	all, busy, none := slow, slow, slow
	all.Share, busy.PerSecond, none.Share = 1, 1000, 0
	tests := []struct {
		traffic  Traffic
		requests float64
		want     time.Duration
		ok       bool
	}{
		{slow, 70, 1750*time.Second + 40*time.Second, true}, // 29 min and the two ends
		{all, 70, 175*time.Second + 40*time.Second, true},
		{busy, 70, time.Minute, true},
		{slow, 0, time.Minute, true},
		{none, 70, 0, false},
		{slow, math.Inf(1), 0, false},
		{slow, 1e6, 0, false},
		{Traffic{PerSecond: math.NaN(), Share: 1}, 70, 0, false},
		{Traffic{PerSecond: -1, Share: 1}, 70, 0, false},
	}
	for _, tt := range tests {
		if got, ok := tt.traffic.Takes(tt.requests); got != tt.want || ok != tt.ok {
			t.Errorf("%+v: %v requests take %v (%v), want %v (%v)", tt.traffic, tt.requests, got, ok, tt.want, tt.ok)
		}
	}
}

func TestForecastOfARule(t *testing.T) {
	forecast := func(r Rule, rate float64) Forecast {
		f, err := r.Forecast(rate)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	requests := Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.05}
	if got := forecast(requests, 0); got != (Forecast{70, 70, 70}) {
		t.Errorf("without errors: %+v, want 70 in any case", got)
	}
	if got := forecast(requests, 0.025); got.Clean != 70 || math.Abs(got.Usual/463-1) > forecastError || got.Slow != 2.1*got.Usual {
		t.Errorf("at half the limit: %+v, want 70, about 463, and 2.1 times that", got)
	}
	if got := forecast(requests, 0.05); got.Clean != 70 || !math.IsInf(got.Usual, 1) || !math.IsInf(got.Slow, 1) {
		t.Errorf("at the limit: %+v, want no forecast", got)
	}
	if got := forecast(byBuckets(10), 0); got != (Forecast{1380, 1380, 1380}) {
		t.Errorf("by buckets: %+v, want 138 buckets of 10", got)
	}
	if got := forecast(byBuckets(0), 0); got.Clean != 138 {
		t.Errorf("by buckets nobody knows the size of: %+v, want one request in each", got)
	}
	if _, err := (Rule{Limit: 5}).Forecast(0); err == nil {
		t.Error("a rule that cannot be has a forecast")
	}
}

// TestForecastOfBuckets simulates what it forecasts.
func TestForecastOfBuckets(t *testing.T) {
	const runs = 100
	rule := byBuckets(10)
	for _, tt := range []struct{ rate, error float64 }{{0, 0.03}, {0.01, 0.03}, {0.03, 0.05}, {0.04, 0.15}} {
		f, err := rule.Forecast(tt.rate)
		if err != nil {
			t.Fatal(err)
		}
		total, slower := 0.0, 0
		for n := range runs {
			requests := requestsToPass(seeded(800, uint64(n)), rule, tt.rate)
			total += requests
			if requests > f.Slow {
				slower++
			}
		}
		if mean := total / runs; math.Abs(f.Usual/mean-1) > tt.error {
			t.Errorf("at %v: forecast %.0f requests, simulated %.0f", tt.rate, f.Usual, mean)
		}
		if tt.rate > 0 && slower > runs/10 {
			t.Errorf("at %v: %d of %d are slower than the slowest one in ten", tt.rate, slower, runs)
		}
	}
	if f, err := rule.Forecast(0.05); err != nil || !math.IsInf(f.Usual, 1) || !math.IsInf(f.Slow, 1) {
		t.Errorf("at the limit: %+v (%v), want no forecast", f, err)
	}
}

func requestsToPass(r *rand.Rand, rule Rule, rate float64) float64 {
	g := burstGate{odds: rule.Limit / (1 - rule.Limit)}
	p, at, requests := process{bets: passBets()}, expecting(rule.Expect), 0.0
	for p.log() < -math.Log(rule.AlphaPass) {
		b := traffic(r, rule.Expect/10, rate)
		errors, successes := b.counts().worst()
		p.add(passGain(g.odds, errors, successes, at.weigh(gateWeight, errors+successes)))
		at.learn(b.Requests)
		requests += float64(b.Requests)
	}
	return requests
}
