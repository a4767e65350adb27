package verdict

import (
	"math"
	"strings"
	"testing"
)

func newBaseline(t *testing.T, errors, requests int64) *Baseline {
	t.Helper()
	b, err := NewBaseline(errors, requests, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBaselineBetter(t *testing.T) {
	b := newBaseline(t, 1204, 1672)
	if !near(b.Lower, 0.69790, 1e-5) {
		t.Errorf("lower bound of 1204 in 1672 = %.6f, want 0.69790", b.Lower)
	}
	tests := []struct {
		c    Counts
		e    float64
		unit float64
		want bool
	}{
		{Counts{Requests: 10, Errors: 2}, 86.8, 0.1, true},
		{Counts{Requests: 10, Errors: 3}, 9.36, 0.01, false},
	}
	for _, tt := range tests {
		if got := math.Exp(b.lower.Judge(tt.c).EPass); !near(got, tt.e, tt.unit) {
			t.Errorf("%+v: E = %.4f, want %v", tt.c, got, tt.e)
		}
		if got := b.Better(tt.c); got != tt.want {
			t.Errorf("Better(%+v) = %v, want %v", tt.c, got, tt.want)
		}
		if got := b.BetterBy(tt.c); (got > 0) != tt.want {
			t.Errorf("BetterBy(%+v) = %v, want it to agree with Better", tt.c, got)
		}
	}
	if got := 100 * b.BetterBy(Counts{Requests: 334, Errors: 6}); !near(got, 64.7, 0.1) {
		t.Errorf("6 of 334 after 1204 of 1672: at least %.3f points better, want 64.7", got)
	}
}

func TestBaselineWorse(t *testing.T) {
	b := newBaseline(t, 10, 1000)
	if bad := (Counts{Requests: 100, Errors: 30}); !b.Worse(bad) || b.Better(bad) {
		t.Errorf("30%% after 1%%: worse %v, better %v", b.Worse(bad), b.Better(bad))
	}
	if same := (Counts{Requests: 1000, Errors: 10}); b.Worse(same) || b.Better(same) {
		t.Errorf("1%% after 1%%: worse %v, better %v", b.Worse(same), b.Better(same))
	}
	if few := (Counts{Requests: 9, Errors: 9}); b.Worse(few) {
		t.Error("worse on 9 requests")
	}
	if lost := (Counts{Requests: 100, Errors: 30, Dropped: 100_000}); b.Worse(lost) {
		t.Error("worse, although the dropped entries may all have been successes")
	}
}

// TestBaselineAtItsEnds: nothing is below 0% or above 100%, and nothing can be
// said against no window.
func TestBaselineAtItsEnds(t *testing.T) {
	clean, broken := Counts{Requests: 100_000}, Counts{Requests: 100_000, Errors: 100_000}
	if b := newBaseline(t, 0, 1000); b.Better(clean) || !b.Worse(broken) {
		t.Errorf("old one without errors: better %v, worse %v", b.Better(clean), b.Worse(broken))
	}
	if b := newBaseline(t, 1000, 1000); b.Worse(broken) || !b.Better(clean) {
		t.Errorf("old one with errors only: worse %v, better %v", b.Worse(broken), b.Better(clean))
	}
	if b := newBaseline(t, 0, 0); b.Worse(broken) || b.Better(clean) || b.BetterBy(clean) != 0 {
		t.Errorf("no old window: worse %v, better %v", b.Worse(broken), b.Better(clean))
	}
}

func TestNewBaselineRefuses(t *testing.T) {
	for _, window := range [][2]int64{{-1, 10}, {11, 10}, {0, -1}} {
		if _, err := NewBaseline(window[0], window[1], 0.05); err == nil || !strings.Contains(err.Error(), "old window") {
			t.Errorf("window %v: error %v, want one about the window", window, err)
		}
	}
	for _, alpha := range []float64{0, 1, math.NaN()} {
		if _, err := NewBaseline(1, 10, alpha); err == nil || !strings.Contains(err.Error(), "probability") {
			t.Errorf("alpha %v: error %v, want one about the probability", alpha, err)
		}
	}
}

// TestBaselineIsSeldomWrong: both revisions have the same rate; each old window
// that can come up is weighed with its probability, and the new revision is
// looked at after each of 1,000 requests. The control takes the old window's
// rate itself for the limit, which is what the bounds are there to prevent.
func TestBaselineIsSeldomWrong(t *testing.T) {
	const old, alpha = 60, 0.05
	for _, rate := range []float64{0.05, 0.3} {
		var better, worse, control float64
		for k := range int64(old + 1) {
			weight := binomial(old, k, rate)
			if weight < 1e-6 {
				continue
			}
			b := newBaseline(t, k, old)
			better += weight * run(gateRule(&b.lower), 1000, always(rate)).pass
			worse += weight * run(gateRule(&b.upper), 1000, always(rate)).fail
			if 0 < k && k < old {
				naive := newGate(t, float64(k)/old, alpha, alpha)
				control += weight * run(gateRule(naive), 1000, always(rate)).pass
			}
		}
		if better > alpha || worse > alpha || better+worse == 0 {
			t.Errorf("both at %v: called better %.5f, worse %.5f, want above 0 and at most %v", rate, better, worse, alpha)
		}
		if control <= alpha {
			t.Errorf("both at %v: without bounds called better %.5f; the computation is blind", rate, control)
		}
	}
}

func binomial(n, k int64, p float64) float64 {
	choose, _ := math.Lgamma(float64(n + 1))
	a, _ := math.Lgamma(float64(k + 1))
	b, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(choose - a - b + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}
