package verdict

import (
	"math"
	"testing"
)

// Exact probabilities, by dynamic programming over (n, s): the mass of each
// number of errors that has met no verdict yet is carried from request to request.

// rule says how a test decides after n requests, as the range of errors that is
// still undecided: PASS up to passUpTo (−1: none), FAIL from failFrom (n+1: none).
type rule func(n int) (passUpTo, failFrom int)

// ruleOf finds the boundaries of a test that judges counts, each from where it
// was: they move up with n, but for that of FAIL when a guard ends.
func ruleOf(judge func(Counts) Verdict) rule {
	passUpTo, failFrom := -1, 0
	at := func(n, s int) Verdict { return judge(Counts{Requests: int64(n), Errors: int64(s)}) }
	return func(n int) (int, int) {
		for passUpTo+1 <= n && at(n, passUpTo+1) == Pass {
			passUpTo++
		}
		for failFrom <= n && at(n, failFrom) != Fail {
			failFrom++
		}
		for failFrom > 0 && at(n, failFrom-1) == Fail {
			failFrom--
		}
		return passUpTo, failFrom
	}
}

func gateRule(g *Gate) rule {
	return ruleOf(func(c Counts) Verdict { return g.Judge(c).Verdict })
}

// outcome is what a test does within a number of requests.
type outcome struct {
	pass, fail float64
	meanPass   float64 // the mean number of requests to a PASS, over the passes
	ninety     int     // the requests after which nine in ten have passed, 0 if they never have
}

func run(decide rule, requests int, rate func(n int) float64) outcome {
	var o outcome
	alive := make([]float64, requests+2)
	alive[0] = 1
	low, high := 0, 0 // the errors that have mass
	for n := 1; n <= requests && low <= high; n++ {
		p := rate(n)
		for s := high + 1; s > low; s-- {
			alive[s] = alive[s]*(1-p) + alive[s-1]*p
		}
		alive[low] *= 1 - p
		high++
		passUpTo, failFrom := decide(n)
		for ; low <= passUpTo && low <= high; low++ {
			o.pass += alive[low]
			o.meanPass += alive[low] * float64(n)
			alive[low] = 0
		}
		if o.ninety == 0 && o.pass >= 0.9 {
			o.ninety = n
		}
		for ; high >= failFrom && high >= low; high-- {
			o.fail += alive[high]
			alive[high] = 0
		}
	}
	o.meanPass /= o.pass
	return o
}

func always(p float64) func(int) float64 { return func(int) float64 { return p } }

// TestBoundariesAreTheVerdicts asks for each (n, s) what ruleOf leaves out.
func TestBoundariesAreTheVerdicts(t *testing.T) {
	g := standard(t)
	decide := gateRule(g)
	for n := 1; n <= 400; n++ {
		passUpTo, failFrom := decide(n)
		for s := range n + 1 {
			want := Inconclusive
			if s <= passUpTo {
				want = Pass
			}
			if s >= failFrom {
				want = Fail
			}
			if got := g.Judge(Counts{Requests: int64(n), Errors: int64(s)}).Verdict; got != want {
				t.Fatalf("%d errors in %d requests: %s, the boundaries say %s", s, n, got, want)
			}
		}
	}
}

// TestExactProbabilities: within 10,000 requests, for the two e-processes alone
// and for the gate, which withholds a FAIL on few requests: most of the wrong
// ones at a low rate come from those.
func TestExactProbabilities(t *testing.T) {
	g := standard(t)
	alone := func(c Counts) Verdict {
		switch e := g.Judge(c); {
		case e.EPass >= math.Log(20):
			return Pass
		case e.EFail >= math.Log(20):
			return Fail
		default:
			return Inconclusive
		}
	}
	tests := []struct{ rate, pass, fail, gatePass, gateFail float64 }{
		{0.03, 0.9963, 0.0037, 0.99924, 0.00076},
		{0.045, 0.2366, 0.0123, 0.23760, 0.00582},
		{0.05, 0.0486, 0.0217, 0.04860, 0.01397},
		{0.055, 0.0268, 0.1306, 0.02680, 0.12275},
		{0.07, 0.0071, 0.9929, 0.0071, 0.9929},
		{0.72, 0, 1, 0, 1},
	}
	for _, tt := range tests {
		got := run(ruleOf(alone), 10_000, always(tt.rate))
		if !near(got.pass, tt.pass, 1e-4) || !near(got.fail, tt.fail, 1e-4) {
			t.Errorf("rate %v, e-processes: P(PASS) = %.5f, P(FAIL) = %.5f, want %.4f and %.4f", tt.rate, got.pass, got.fail, tt.pass, tt.fail)
		}
		got = run(gateRule(g), 10_000, always(tt.rate))
		if !near(got.pass, tt.gatePass, 1e-4) || !near(got.fail, tt.gateFail, 1e-4) {
			t.Errorf("rate %v, gate: P(PASS) = %.5f, P(FAIL) = %.5f, want %.5f and %.5f", tt.rate, got.pass, got.fail, tt.gatePass, tt.gateFail)
		}
		if tt.rate == 0.72 && got.pass >= 1e-6 {
			t.Errorf("rate 0.72: P(PASS) = %g, want below 1e-6", got.pass)
		}
	}
}

// TestSeldomWrongAtEveryRate: at no true rate is a wrong verdict likelier than its
// α, within 10,000 requests and looking after each. At the limit itself both are wrong.
func TestSeldomWrongAtEveryRate(t *testing.T) {
	const alphaPass, alphaFail = 0.05, 0.025
	g := newGate(t, 0.05, alphaPass, alphaFail)
	for _, rate := range []float64{0, 0.001, 0.01, 0.03, 0.045, 0.05, 0.055, 0.07, 0.10, 0.20, 0.72} {
		got := run(gateRule(g), 10_000, always(rate))
		if rate >= g.Limit && got.pass > alphaPass {
			t.Errorf("rate %v: P(PASS) = %.4f", rate, got.pass)
		}
		if rate <= g.Limit && got.fail > alphaFail {
			t.Errorf("rate %v: P(FAIL) = %.4f", rate, got.fail)
		}
		if far := rate <= 0.01 || rate >= 0.1; far && got.pass+got.fail < 1-1e-9 {
			t.Errorf("rate %v: undecided after 10,000 requests with %.4g", rate, 1-got.pass-got.fail)
		}
	}
}

// TestGuaranteeHoldsForOtherGates looks at each request, at a rate of exactly
// the limit, where both wrong verdicts are likeliest.
func TestGuaranteeHoldsForOtherGates(t *testing.T) {
	for _, limit := range []float64{0.01, 0.2, 0.7} {
		for _, alpha := range []float64{0.01, 0.1} {
			g := newGate(t, limit, alpha, alpha)
			got := run(gateRule(g), 5000, always(limit))
			if got.pass > alpha || got.fail > alpha {
				t.Errorf("limit %v, alpha %v: wrong PASS %.4f, wrong FAIL %.4f", limit, alpha, got.pass, got.fail)
			}
			if got.pass == 0 || got.fail == 0 {
				t.Errorf("limit %v, alpha %v: no verdict is ever wrong, so this tests nothing", limit, alpha)
			}
		}
	}
}

// TestGuaranteeHoldsForMovingRates: a rate that starts high and then falls, its
// average staying at or above the limit, passes no more often. The other order
// passes nearly always, and rightly: at that time the average is below.
func TestGuaranteeHoldsForMovingRates(t *testing.T) {
	change := func(first, then float64) func(int) float64 {
		return func(n int) float64 {
			if n <= 200 {
				return first
			}
			return then
		}
	}
	if got := run(gateRule(newGate(t, 0.05, 0.05, 1e-9)), 400, change(0.10, 0)); got.pass > 0.05 {
		t.Errorf("10%% and then 0%%: P(PASS) = %.4f", got.pass)
	}
	if got := run(gateRule(standard(t)), 400, change(0, 0.10)); got.pass < 0.99 {
		t.Errorf("0%% and then 10%%: P(PASS) = %.4f, want nearly 1", got.pass)
	}
}

// TestControls: the same computation finds what breaks the guarantee. Were it
// blind to these, the tests above would prove nothing.
func TestControls(t *testing.T) {
	g := standard(t)
	double := run(ruleOf(func(c Counts) Verdict {
		return g.Judge(Counts{Requests: 2 * c.Requests, Errors: 2 * c.Errors}).Verdict
	}), 10_000, always(0.05))
	if double.pass < 0.25 || double.pass > 0.28 {
		t.Errorf("each request counted twice: P(PASS) at the limit = %.4f, want about 0.26", double.pass)
	}
	// A one-sided 95% z-test, read after each request from the 30th on.
	peeking := func(n int) (int, int) {
		if n < 30 {
			return -1, n + 1
		}
		mean, spread := 0.05*float64(n), 1.645*math.Sqrt(0.05*0.95*float64(n))
		return int(math.Floor(mean - spread)), int(math.Ceil(mean + spread))
	}
	if got := run(peeking, 10_000, always(0.05)); got.pass < 0.2 || got.fail < 0.2 {
		t.Errorf("peeking at a z-test: wrong PASS %.4f, wrong FAIL %.4f, want both far above 0.05", got.pass, got.fail)
	}
}
