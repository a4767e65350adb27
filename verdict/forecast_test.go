package verdict

import (
	"math"
	"testing"
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
