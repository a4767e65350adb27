package verdict

import (
	"math"
	"math/big"
	"strings"
	"testing"
)

func newGate(tb testing.TB, limit, alphaPass, alphaFail float64) *Gate {
	tb.Helper()
	g, err := NewGate(limit, alphaPass, alphaFail)
	if err != nil {
		tb.Fatal(err)
	}
	return &g
}

// standard is the gate of the published numbers: 5% at 5% and 5%.
func standard(tb testing.TB) *Gate {
	tb.Helper()
	return newGate(tb, 0.05, 0.05, 0.05)
}

// near reports whether got rounds to want, given to within half a unit of its
// last digit.
func near(got, want, unit float64) bool { return math.Abs(got-want) <= unit/2 }

func TestFirstPass(t *testing.T) {
	g := standard(t)
	for errors, first := range []int64{70, 124, 170, 212, 250, 286} {
		s := int64(errors)
		for n := s; n < first; n++ {
			if v := g.Judge(Counts{Requests: n, Errors: s}).Verdict; v == Pass {
				t.Fatalf("%d errors: PASS at %d requests already, want %d", s, n, first)
			}
		}
		if v := g.Judge(Counts{Requests: first, Errors: s}).Verdict; v != Pass {
			t.Errorf("%d errors in %d requests: %s, want PASS", s, first, v)
		}
	}
}

func TestJudge(t *testing.T) {
	g := standard(t)
	tests := []struct {
		name string
		c    Counts
		want Verdict
	}{
		{"nothing", Counts{}, Inconclusive},
		{"one short of a clean pass", Counts{Requests: 69}, Inconclusive},
		{"clean pass", Counts{Requests: 70}, Pass},
		{"3 of 334", Counts{Requests: 334, Errors: 3}, Pass},
		{"6 of 334", Counts{Requests: 334, Errors: 6}, Pass},
		{"6 of 334 and one dropped", Counts{Requests: 334, Errors: 6, Dropped: 1}, Inconclusive},
		{"dropped without known number", Counts{Requests: 5000, Dropped: DroppedUnknown}, Inconclusive},
		{"a fifth fails", Counts{Requests: 100, Errors: 20}, Fail},
		{"a fifth fails and as many dropped", Counts{Requests: 100, Errors: 20, Dropped: 100}, Inconclusive},
		{"all fail, one short of 10", Counts{Requests: 9, Errors: 9}, Inconclusive},
		{"all fail", Counts{Requests: 10, Errors: 10}, Fail},
		{"at the limit", Counts{Requests: 1000, Errors: 50}, Inconclusive},
		{"negative requests", Counts{Requests: -100}, Inconclusive},
		{"negative errors", Counts{Requests: 100, Errors: -1}, Inconclusive},
		{"more errors than requests", Counts{Requests: 10, Errors: 11}, Inconclusive},
		{"as many as there can be", Counts{Requests: math.MaxInt64, Dropped: 0}, Pass},
		{"as many dropped as there can be", Counts{Requests: math.MaxInt64, Dropped: math.MaxInt64}, Inconclusive},
	}
	for _, tt := range tests {
		if got := g.Judge(tt.c); got.Verdict != tt.want {
			t.Errorf("%s: Judge(%+v) = %+v, want %s", tt.name, tt.c, got, tt.want)
		}
	}
}

func TestFailNeedsThreeErrors(t *testing.T) {
	g := newGate(t, 0.001, 0.05, 0.05)
	e := g.Judge(Counts{Requests: 10, Errors: 2})
	if e.EFail < math.Log(20) {
		t.Fatalf("E_fail = %g: the evidence must suffice, or this tests nothing", math.Exp(e.EFail))
	}
	if e.Verdict != Inconclusive {
		t.Errorf("2 errors: %s, want it withheld", e.Verdict)
	}
	if e := g.Judge(Counts{Requests: 10, Errors: 3}); e.Verdict != Fail {
		t.Errorf("3 errors: %s, want FAIL", e.Verdict)
	}
}

func TestEvidenceWithDroppedEntries(t *testing.T) {
	g := standard(t)
	pass := func(c Counts) float64 { return math.Exp(g.Judge(c).EPass) }
	fail := func(c Counts) float64 { return math.Exp(g.Judge(c).EFail) }
	if got := pass(Counts{Requests: 334, Errors: 6}); !near(got, 31.148, 1e-3) {
		t.Errorf("E_pass(334, 6) = %.4f, want 31.148", got)
	}
	if got := pass(Counts{Requests: 334, Errors: 6, Dropped: 1}); !near(got, 11.084, 1e-3) {
		t.Errorf("E_pass(334, 6) with one dropped = %.4f, want 11.084", got)
	}
	if got := fail(Counts{Requests: 100, Errors: 20}); !near(got, 1.3e5, 0.1e5) {
		t.Errorf("E_fail(100, 20) = %g, want 1.3e5", got)
	}
	if got := fail(Counts{Requests: 100, Errors: 20, Dropped: 100}); !near(got, 6.38, 0.01) {
		t.Errorf("E_fail(100, 20) with 100 dropped = %.4f, want 6.38", got)
	}
}

func TestAtMost(t *testing.T) {
	g := standard(t)
	tests := []struct {
		errors, requests int64
		percent          float64
	}{
		{6, 334, 4.802}, {0, 70, 4.954}, {1, 124, 4.965}, {3, 334, 3.186}, {0, 118, 2.972},
	}
	for _, tt := range tests {
		got := 100 * g.AtMost(Counts{Requests: tt.requests, Errors: tt.errors})
		if !near(got, tt.percent, 1e-3) {
			t.Errorf("%d of %d: at most %.4f%%, want %.3f%%", tt.errors, tt.requests, got, tt.percent)
		}
	}
	for _, c := range []Counts{{}, {Requests: 5, Errors: 5}, {Requests: -1}, {Requests: 500, Dropped: DroppedUnknown}} {
		if got := g.AtMost(c); got != 1 {
			t.Errorf("AtMost(%+v) = %v, want 1: nothing is ruled out", c, got)
		}
	}
	if with, without := g.AtMost(Counts{Requests: 334, Errors: 6, Dropped: 1}), g.AtMost(Counts{Requests: 334, Errors: 6}); with <= without {
		t.Errorf("a dropped entry lowered the bound from %v to %v", without, with)
	}
}

// TestAtMostHasOneRoot walks all limits: E_pass never falls as the limit rises,
// so the bisection cannot have met another root.
func TestAtMostHasOneRoot(t *testing.T) {
	for _, c := range []Counts{{Requests: 70}, {Requests: 334, Errors: 6}, {Requests: 50, Errors: 49}, {Requests: 10_000, Errors: 300}} {
		last := math.Inf(-1)
		for limit := 0.001; limit < 0.9995; limit += 0.001 {
			e := newGate(t, limit, 0.05, 0.05).Judge(c).EPass
			if e < last {
				t.Fatalf("%+v: E_pass falls to e^%v at the limit %v", c, e, limit)
			}
			last = e
		}
	}
}

func TestCleanNeeded(t *testing.T) {
	tests := []struct {
		limit float64
		c     Counts
		want  int64
	}{
		{0.05, Counts{}, 70},
		{0.05, Counts{Requests: 118, Errors: 1}, 6},
		{0.05, Counts{Requests: 12}, 58},
		{0.05, Counts{Requests: 70}, 0},
		{0.05, Counts{Requests: 9, Errors: 1, Dropped: 1}, 170 - 10},
		{0.005, Counts{}, 712},
		{0.001, Counts{}, 3564},
		{1e-6, Counts{}, math.MaxInt64},
		{0.05, Counts{Requests: 1, Errors: 2}, math.MaxInt64},
	}
	for _, tt := range tests {
		if got := newGate(t, tt.limit, 0.05, 0.05).CleanNeeded(tt.c); got != tt.want {
			t.Errorf("limit %v, %+v: %d more clean requests, want %d", tt.limit, tt.c, got, tt.want)
		}
	}
}

// TestNoValidTestPassesEarlier: with no error, (1−L)^n ≤ α takes 59 requests at
// 5% and 5%; a gate that passed before would be wrong too often.
func TestNoValidTestPassesEarlier(t *testing.T) {
	for _, limit := range []float64{0.001, 0.005, 0.05, 0.5, 0.9} {
		for _, alpha := range []float64{0.001, 0.05, 0.2} {
			g := newGate(t, limit, alpha, 0.05)
			if got, least := g.CleanNeeded(Counts{}), AbsenceNeeded(limit, alpha); got < least {
				t.Errorf("limit %v, alpha %v: passes after %d clean requests, fewer than %d", limit, alpha, got, least)
			}
		}
	}
}

func TestNewGateRefuses(t *testing.T) {
	good := 0.05
	for _, bad := range []float64{0, 1, -0.1, 5, math.NaN(), math.Inf(1)} {
		if _, err := NewGate(bad, good, good); err == nil || !strings.Contains(err.Error(), "limit") {
			t.Errorf("limit %v: error %v, want one about the limit", bad, err)
		}
		for _, alphas := range [][2]float64{{bad, good}, {good, bad}} {
			if _, err := NewGate(good, alphas[0], alphas[1]); err == nil || !strings.Contains(err.Error(), "probabilities") {
				t.Errorf("alphas %v: error %v, want one about the probabilities", alphas, err)
			}
		}
	}
}

func TestGateNotMadeByNewGateDecidesNothing(t *testing.T) {
	for _, g := range []*Gate{{}, {Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.05}} {
		c := Counts{Requests: 1000}
		if v := g.Judge(c).Verdict; v != Inconclusive {
			t.Errorf("%+v: %s", c, v)
		}
		if g.AtMost(c) != 1 || g.CleanNeeded(c) != math.MaxInt64 || !math.IsInf(g.Expected(0), 1) {
			t.Errorf("bounds %v, %v, %v: want none", g.AtMost(c), g.CleanNeeded(c), g.Expected(0))
		}
	}
}

func TestVerdictForPeople(t *testing.T) {
	for v, want := range map[Verdict]string{Pass: "passed", Fail: "failed", Inconclusive: "inconclusive", "": "inconclusive"} {
		if got := v.String(); got != want {
			t.Errorf("%q.String() = %q, want %q", string(v), got, want)
		}
	}
}

// TestAgainstExactArithmetic computes both formulas as they are written, with
// 400-bit numbers and repeated multiplication in place of logarithms.
func TestAgainstExactArithmetic(t *testing.T) {
	for _, limit := range []float64{0.001, 0.05, 0.72} {
		g := newGate(t, limit, 0.05, 0.05)
		for _, n := range []int64{0, 1, 70, 334, 2000, 10_000} {
			for _, s := range []int64{0, 1, n / 50, n / 10, n / 2, n} {
				if s > n {
					continue
				}
				e := g.Judge(Counts{Requests: n, Errors: s})
				if d := logGap(e.EPass, naivePass(limit, n, s)); d > 1e-9 {
					t.Errorf("limit %v: ln E_pass(%d, %d) is off by %g", limit, n, s, d)
				}
				if d := logGap(e.EFail, naiveFail(limit, n, s)); d > 1e-9 {
					t.Errorf("limit %v: ln E_fail(%d, %d) is off by %g", limit, n, s, d)
				}
			}
		}
	}
}

// TestAgainstExactArithmeticOfAnyCounts does so for random ones, up to ten million.
func TestAgainstExactArithmeticOfAnyCounts(t *testing.T) {
	for i := range uint64(150) {
		r := seeded(300, i)
		limit := math.Exp(-r.Float64() * 7)
		g := newGate(t, limit, 0.05, 0.05)
		n := int64(math.Exp(r.Float64() * math.Log(1e7)))
		s := int64(float64(n) * min(1, limit*r.ExpFloat64()))
		e := g.Judge(Counts{Requests: n, Errors: s})
		if d := logGap(e.EPass, naivePass(limit, n, s)); d > 1e-9 {
			t.Errorf("limit %v: ln E_pass(%d, %d) is off by %g", limit, n, s, d)
		}
		if d := logGap(e.EFail, naiveFail(limit, n, s)); d > 1e-9 {
			t.Errorf("limit %v: ln E_fail(%d, %d) is off by %g", limit, n, s, d)
		}
	}
}

// logGap is |got − ln want|, relative where the logarithm is large.
func logGap(got float64, want *big.Float) float64 {
	var mantissa big.Float
	exponent := want.MantExp(&mantissa)
	m, _ := mantissa.Float64()
	ln := math.Log(m) + float64(exponent)*math.Ln2
	return math.Abs(got-ln) / max(1, math.Abs(ln))
}

func number(x float64) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(x) }

// add adds a term to a sum, unless one is lost in the other anyway: adding aligns
// their bits, of which there can be a billion in between.
func add(sum, term *big.Float) {
	const lost = 1000
	switch apart := term.MantExp(nil) - sum.MantExp(nil); {
	case sum.Sign() != 0 && apart < -lost:
	case sum.Sign() == 0 || apart > lost:
		sum.Set(term)
	default:
		sum.Add(sum, term)
	}
}

func power(x *big.Float, n int64) *big.Float {
	result := number(1)
	for square := new(big.Float).Copy(x); n > 0; n >>= 1 {
		if n&1 == 1 {
			result.Mul(result, square)
		}
		square.Mul(square, square)
	}
	return result
}

func naivePass(limit float64, n, s int64) *big.Float {
	sum, one := number(0), number(1)
	for i := range 32 {
		q := number(limit / 50 * math.Pow(0.85*50, (float64(i)+0.5)/32))
		ofError := number(0).Quo(q, number(limit))
		ofSuccess := number(0).Quo(number(0).Sub(one, q), number(0).Sub(one, number(limit)))
		add(sum, number(0).Mul(power(ofError, s), power(ofSuccess, n-s)))
	}
	return sum.Quo(sum, number(32))
}

func naiveFail(limit float64, n, s int64) *big.Float {
	sum, one := number(0), number(1)
	for i := range 32 {
		r := number(1.2 * math.Pow(361/1.2, (float64(i)+0.5)/32))
		all := number(0).Sub(r, one)
		all.Add(one, all.Mul(all, number(limit)))
		add(sum, number(0).Quo(power(r, s), power(all, n)))
	}
	return sum.Quo(sum, number(32))
}

func TestJudgeAllocatesNothing(t *testing.T) {
	g := standard(t)
	c := Counts{Requests: 334, Errors: 6, Dropped: 1}
	if n := testing.AllocsPerRun(100, func() { g.Judge(c); g.AtMost(c); g.CleanNeeded(c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkJudge(b *testing.B) {
	g := standard(b)
	b.ReportAllocs()
	for b.Loop() {
		g.Judge(Counts{Requests: 334, Errors: 6})
	}
}

func BenchmarkAtMost(b *testing.B) {
	g := standard(b)
	b.ReportAllocs()
	for b.Loop() {
		g.AtMost(Counts{Requests: 334, Errors: 6})
	}
}
