package verdict

import (
	"math"
	"testing"
)

// The four proportions of Newcombe 1998 (Statistics in Medicine 17:857–872,
// table I), 95% intervals.
func TestPublishedIntervals(t *testing.T) {
	tests := []struct {
		errors, requests int64
		wilson, exact    [2]float64
	}{
		{81, 263, [2]float64{0.2553, 0.3662}, [2]float64{0.2527, 0.3676}},
		{15, 148, [2]float64{0.0624, 0.1605}, [2]float64{0.0578, 0.1617}},
		{0, 20, [2]float64{0, 0.1611}, [2]float64{0, 0.1684}},
		{1, 29, [2]float64{0.0061, 0.1718}, [2]float64{0.0009, 0.1776}},
	}
	const z95 = 1.959963984540054
	for _, tt := range tests {
		lo, hi := Wilson(tt.errors, tt.requests, z95)
		if !near(lo, tt.wilson[0], 1e-4) || !near(hi, tt.wilson[1], 1e-4) {
			t.Errorf("Wilson(%d, %d) = %.5f, %.5f, want %v", tt.errors, tt.requests, lo, hi, tt.wilson)
		}
		lo, hi = ClopperPearson(tt.errors, tt.requests, 0.05)
		if !near(lo, tt.exact[0], 1e-4) || !near(hi, tt.exact[1], 1e-4) {
			t.Errorf("ClopperPearson(%d, %d) = %.5f, %.5f, want %v", tt.errors, tt.requests, lo, hi, tt.exact)
		}
	}
}

// TestClopperPearsonSolvesItsEquation sums the binomial tails at the bounds. A
// bound next to 1 is a float64 with few digits left for its distance from 1.
func TestClopperPearsonSolvesItsEquation(t *testing.T) {
	for _, n := range []int64{1, 2, 29, 300, 1672} {
		for _, k := range []int64{0, 1, n / 3, n - 1, n} {
			for _, alpha := range []float64{1e-6, 0.05, 0.5} {
				lo, hi := ClopperPearson(k, n, alpha)
				if above := tail(n, k, n, lo); k > 0 && math.Abs(above/(alpha/2)-1) > 1e-7 {
					t.Errorf("%d of %d, alpha %v: P(X ≥ k) at %v is %v", k, n, alpha, lo, above)
				}
				if below := tail(n, 0, k, hi); k < n && math.Abs(below/(alpha/2)-1) > 1e-7 {
					t.Errorf("%d of %d, alpha %v: P(X ≤ k) at %v is %v", k, n, alpha, hi, below)
				}
			}
		}
	}
}

func tail(n, from, to int64, p float64) float64 {
	sum := 0.0
	for k := from; k <= to; k++ {
		sum += binomial(n, k, p)
	}
	return sum
}

func TestIntervalEnds(t *testing.T) {
	if lo, hi := ClopperPearson(20, 20, 0.05); !near(lo, 1-0.16843, 1e-5) || hi != 1 {
		t.Errorf("20 of 20: %v, %v, want the mirror of 0 of 20", lo, hi)
	}
	if lo, hi := Wilson(20, 20, 1.96); hi != 1 || lo <= 0.8 {
		t.Errorf("Wilson(20, 20) = %v, %v", lo, hi)
	}
	for _, bad := range [][2]int64{{0, 0}, {-1, 5}, {6, 5}, {0, -5}} {
		if lo, hi := ClopperPearson(bad[0], bad[1], 0.05); lo != 0 || hi != 1 {
			t.Errorf("ClopperPearson%v = %v, %v, want (0, 1)", bad, lo, hi)
		}
		if lo, hi := Wilson(bad[0], bad[1], 1.96); lo != 0 || hi != 1 {
			t.Errorf("Wilson%v = %v, %v, want (0, 1)", bad, lo, hi)
		}
	}
	for _, bad := range []float64{0, 1, -1, math.NaN()} {
		if lo, hi := ClopperPearson(1, 5, bad); lo != 0 || hi != 1 {
			t.Errorf("alpha %v: %v, %v, want (0, 1)", bad, lo, hi)
		}
	}
}

// TestIntervalsOfHugeCounts: they stay around the rate, and the exact one of
// more requests than it looks at is no narrower than that of as many.
func TestIntervalsOfHugeCounts(t *testing.T) {
	lo, hi := ClopperPearson(1<<61, 1<<62, 0.05)
	wantLo, wantHi := Wilson(exactRequests/2, exactRequests, 1.959963984540054)
	if math.Abs(lo-wantLo) > 1e-8 || math.Abs(hi-wantHi) > 1e-8 {
		t.Errorf("ClopperPearson of half of 2^62 = %v, %v, want about %v, %v", lo, hi, wantLo, wantHi)
	}
	if lo, hi := Wilson(math.MaxInt64/2, math.MaxInt64, 1.96); lo > 0.5 || hi < 0.5 {
		t.Errorf("Wilson of half of 2^63 = %v, %v", lo, hi)
	}
}
