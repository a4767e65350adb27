package verdict

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func drawGate(t *rapid.T) *Gate {
	limit := rapid.Float64Range(1e-4, 0.99).Draw(t, "limit")
	alphaPass := rapid.Float64Range(1e-4, 0.5).Draw(t, "alphaPass")
	alphaFail := rapid.Float64Range(1e-4, 0.5).Draw(t, "alphaFail")
	g, err := NewGate(limit, alphaPass, alphaFail)
	if err != nil {
		t.Fatal(err)
	}
	return &g
}

func drawCounts(t *rapid.T) Counts {
	n := rapid.Int64Range(0, 20_000).Draw(t, "requests")
	return Counts{
		Requests: n,
		Errors:   rapid.Int64Range(0, n).Draw(t, "errors"),
		Dropped:  rapid.Int64Range(0, 50).Draw(t, "dropped"),
	}
}

// rounding is what the sums of 32 terms may be off by.
func rounding(e float64) float64 { return 1e-12 * (1 + math.Abs(e)) }

func TestMoreErrorsAreMoreEvidenceAgainst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, c := drawGate(t), drawCounts(t)
		if c.Errors == c.Requests {
			return
		}
		worse := c
		worse.Errors++
		was, is := g.Judge(c), g.Judge(worse)
		if is.EPass > was.EPass+rounding(was.EPass) || is.EFail < was.EFail-rounding(was.EFail) {
			t.Fatalf("%+v %+v, with one more error %+v", c, was, is)
		}
		if g.AtMost(worse) < g.AtMost(c)-1e-12 {
			t.Fatalf("%+v: an error lowers the bound from %v to %v", c, g.AtMost(c), g.AtMost(worse))
		}
	})
}

func TestDroppedEntriesOnlyWithhold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, c := drawGate(t), drawCounts(t)
		all := c
		all.Dropped = 0
		if was, is := g.Judge(all), g.Judge(c); is.Verdict != was.Verdict && is.Verdict != Inconclusive {
			t.Fatalf("%+v: %s turns into %s because entries are lost", c, was.Verdict, is.Verdict)
		}
	})
}

func TestBoundAgreesWithVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, c := drawGate(t), drawCounts(t)
		// Mostly near the boundary, where a contradiction could be.
		if more := g.CleanNeeded(c); more < 1e5 && rapid.Bool().Draw(t, "at the boundary") {
			c.Requests += more - rapid.Int64Range(0, min(1, more)).Draw(t, "short by")
		}
		checkAgreement(t, g, c)
	})
}

// TestBoundAgreesWithVerdictAtTheRoot sets the limit to the bound itself and to
// the floats beside it, where rounding alone decides.
func TestBoundAgreesWithVerdictAtTheRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, c := drawGate(t), drawCounts(t)
		limit := g.AtMost(c)
		for _, at := range []float64{math.Nextafter(limit, 0), limit, math.Nextafter(limit, 1)} {
			if gate, err := NewGate(at, g.AlphaPass, g.AlphaFail); err == nil {
				checkAgreement(t, &gate, c)
			}
		}
	})
}

type fataler interface {
	Fatalf(format string, args ...any)
}

// checkAgreement holds verdict, bound and clean requests against each other.
func checkAgreement(t fataler, g *Gate, c Counts) {
	e, bound, more := g.Judge(c), g.AtMost(c), g.CleanNeeded(c)
	passed := e.Verdict == Pass
	if passed != (bound <= g.Limit) || passed != (more == 0) {
		t.Fatalf("limit %v, %+v: %s, but at most %v, and %d more clean requests", g.Limit, c, e.Verdict, bound, more)
	}
	if !(bound > 0 && bound <= 1) || c.Errors > 0 && bound < 1 && bound <= float64(c.Errors)/float64(c.Requests) {
		t.Fatalf("%+v: at most %v", c, bound)
	}
	if more > 0 && more < math.MaxInt64 {
		enough, short := c, c
		enough.Requests += more
		short.Requests += more - 1
		if g.Judge(enough).Verdict != Pass || g.Judge(short).Verdict == Pass {
			t.Fatalf("limit %v, %+v: %d is not the number of clean requests to PASS", g.Limit, c, more)
		}
	}
}

func TestIntervalsHoldTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 100_000).Draw(t, "requests")
		k := rapid.Int64Range(0, n).Draw(t, "errors")
		alpha := rapid.Float64Range(1e-6, 0.99).Draw(t, "alpha")
		rate := float64(k) / float64(n)
		for _, interval := range [][2]float64{pair(Wilson(k, n, 1.96)), pair(ClopperPearson(k, n, alpha))} {
			if lo, hi := interval[0], interval[1]; !(0 <= lo && lo <= rate && rate <= hi && hi <= 1) {
				t.Fatalf("%d of %d, alpha %v: [%v, %v]", k, n, alpha, lo, hi)
			}
		}
	})
}

func pair(lo, hi float64) [2]float64 { return [2]float64{lo, hi} }

func FuzzJudge(f *testing.F) {
	f.Add(0.05, 0.05, 0.05, int64(70), int64(0), int64(0))
	f.Add(0.05, 0.05, 0.05, int64(100), int64(20), int64(100))
	f.Add(0.72, 0.01, 0.5, int64(10), int64(11), int64(-1))
	f.Add(5e-324, 1e-300, 0.9999999999999999, int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64))
	f.Add(0.9999999999999999, 0.05, 0.05, int64(math.MaxInt64), int64(1), int64(0))
	f.Fuzz(func(t *testing.T, limit, alphaPass, alphaFail float64, requests, errors, dropped int64) {
		g, err := NewGate(limit, alphaPass, alphaFail)
		if err != nil {
			return
		}
		c := Counts{Requests: requests, Errors: errors, Dropped: dropped}
		e := g.Judge(c)
		for _, x := range []float64{e.EPass, e.EFail} {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				t.Fatalf("%+v: evidence %v", c, x)
			}
		}
		if e.Verdict == Fail && (requests < 10 || errors < 3 || e.EFail < -math.Log(alphaFail)) {
			t.Fatalf("%+v: FAIL with evidence %v", c, e.EFail)
		}
		if !c.usable() {
			if e != (Evidence{Verdict: Inconclusive}) || g.AtMost(c) != 1 {
				t.Fatalf("%+v: %+v, at most %v", c, e, g.AtMost(c))
			}
			return
		}
		if requests < 1<<40 && dropped < 1<<40 { // beyond, one request is lost in rounding
			checkAgreement(t, &g, c)
		}
	})
}
