package verdict

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// byBuckets is the rule of the published numbers over buckets of n requests.
func byBuckets(n float64) Rule {
	return Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.05, Evidence: ByBuckets, BucketSeconds: 10, Expect: n}
}

func judged(tb testing.TB, r Rule, buckets []Bucket) Finding {
	tb.Helper()
	f, err := r.Judge(buckets)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func same(b Bucket, count int) []Bucket {
	buckets := make([]Bucket, count)
	for i := range buckets {
		buckets[i] = b
	}
	return buckets
}

func TestCleanBuckets(t *testing.T) {
	rule := byBuckets(10)
	if f := judged(t, rule, nil); f.NeededBuckets != 138 || f.Needed != 1380 || f.AtMost != 1 || f.Verdict != Inconclusive {
		t.Errorf("before the first bucket: %+v, want 138 buckets and 1,380 requests", f)
	}
	if f := judged(t, rule, same(Bucket{Requests: 10}, 137)); f.Verdict != Inconclusive || f.NeededBuckets != 1 || f.Needed != 10 {
		t.Errorf("137 clean buckets: %+v, want one more", f)
	}
	if f := judged(t, rule, same(Bucket{Requests: 10}, 138)); f.Verdict != Pass || f.NeededBuckets != 0 || f.Needed != 0 {
		t.Errorf("138 clean buckets: %+v, want PASS", f)
	}
	// What is not expected beforehand is learnt: the first bucket weighs twice.
	rule.Expect = 0
	if f := judged(t, rule, same(Bucket{Requests: 1000}, 137)); f.Verdict != Pass {
		t.Errorf("137 clean buckets, none expected: %+v, want PASS", f)
	}
	if f := judged(t, rule, nil); f.NeededBuckets != 138 || f.Needed != 138 {
		t.Errorf("nothing known: %+v, want 138 buckets with at least a request in each", f)
	}
}

// TestWeightsAreFixedBeforehand: what a bucket holds changes its own weight only
// where it has more than twice the requests that were expected.
func TestWeightsAreFixedBeforehand(t *testing.T) {
	at := expecting(10)
	for _, tt := range []struct{ requests, weight float64 }{{0, 20}, {20, 20}, {21, 21}, {1000, 1000}} {
		if got := at.weigh(2, tt.requests); got != tt.weight {
			t.Errorf("D for %v requests where 10 are expected = %v, want %v", tt.requests, got, tt.weight)
		}
	}
	at.learn(30)
	if got := at.weigh(2, 1); got != 40 {
		t.Errorf("D after 10 were expected and 30 came = %v, want 40", got)
	}
	at.learn(0)
	if got := at.weigh(2, 1); got != 40 {
		t.Errorf("D after an empty bucket = %v, want 40 still", got)
	}
	for range 200 {
		at.learn(1000)
	}
	if got := at.weigh(2, 1); math.Abs(got-2000) > 5 {
		t.Errorf("D after 200 buckets of 1,000 = %v, want about 2,000", got)
	}
}

// TestBucketsAgainstExactArithmetic computes the formula as it is written.
func TestBucketsAgainstExactArithmetic(t *testing.T) {
	for i := range uint64(30) {
		r := seeded(400, i)
		limit := math.Exp(-r.Float64() * 5)
		buckets := make([]Bucket, 1+r.IntN(150))
		for j := range buckets {
			n := r.Int64N(int64(math.Exp(r.Float64() * 12)))
			buckets[j] = Bucket{Requests: n, Errors: int64(float64(n) * min(1, limit*r.ExpFloat64()))}
		}
		gate := newGate(t, limit, 0.05, 0.05)
		g := newBurstGate(gate, 5)
		passing, failing := g.passing(g.odds, buckets), g.failingAt(g.limit, buckets)
		if d := logGap(passing.log(), naiveBuckets(limit, 5, buckets, passRate)); d > 1e-9 {
			t.Errorf("limit %v, %d buckets: ln E_pass is off by %g", limit, len(buckets), d)
		}
		if d := logGap(failing.log(), naiveBuckets(limit, 5, buckets, failRate)); d > 1e-9 {
			t.Errorf("limit %v, %d buckets: ln E_fail is off by %g", limit, len(buckets), d)
		}
	}
}

func passRate(limit float64, i int) float64 {
	return limit / 50 * math.Pow(0.85*50, (float64(i)+0.5)/32)
}

func failRate(limit float64, i int) float64 {
	r := 1.2 * math.Pow(361/1.2, (float64(i)+0.5)/32)
	return r * limit / (1 + (r-1)*limit)
}

func naiveBuckets(limit, expect float64, buckets []Bucket, rate func(limit float64, i int) float64) *big.Float {
	sum, one, l := number(0), number(1), number(limit)
	for i := range 32 {
		lambda := number(0).Sub(number(rate(limit, i)), l)
		lambda.Quo(lambda, number(0).Mul(l, number(0).Sub(one, l)))
		product := number(1)
		mean, seen := expect, 1.0
		for _, b := range buckets {
			if b.Requests == 0 {
				continue
			}
			n := float64(b.Requests)
			x := number(0).Sub(number(float64(b.Errors)), number(0).Mul(l, number(n)))
			x.Quo(x.Mul(x, lambda), number(max(2*mean, n)))
			product.Mul(product, x.Add(x, one))
			seen = min(seen+1, 30)
			mean += (n - mean) / seen
		}
		add(sum, product)
	}
	return sum.Quo(sum, number(32))
}

func drawBuckets(t *rapid.T) []Bucket {
	buckets := make([]Bucket, rapid.IntRange(0, 60).Draw(t, "buckets"))
	scale := rapid.SampledFrom([]int64{3, 50, 100_000}).Draw(t, "scale")
	for i := range buckets {
		n := rapid.Int64Range(0, scale).Draw(t, "requests")
		s := rapid.Int64Range(0, n).Draw(t, "errors")
		if rapid.Bool().Draw(t, "few errors") {
			s /= 50
		}
		buckets[i] = Bucket{Requests: n, Errors: s}
	}
	return buckets
}

func drawBucketRule(t *rapid.T) Rule {
	return Rule{
		Limit:     rapid.Float64Range(1e-4, 0.99).Draw(t, "limit"),
		AlphaPass: rapid.Float64Range(1e-4, 0.5).Draw(t, "alphaPass"),
		AlphaFail: rapid.Float64Range(1e-4, 0.5).Draw(t, "alphaFail"),
		Evidence:  ByBuckets,
		Expect:    float64(rapid.Int64Range(0, 200).Draw(t, "expect")),
	}
}

// judgedIn is judged inside a property.
func judgedIn(t *rapid.T, r Rule, buckets []Bucket) Finding {
	f, err := r.Judge(buckets)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestBoundOfBucketsAgreesWithVerdict: the bound is at or below the limit exactly
// when the gate passes, also at the bound itself, and so are the clean buckets.
func TestBoundOfBucketsAgreesWithVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, buckets := drawBucketRule(t), drawBuckets(t)
		f := judgedIn(t, rule, buckets)
		for _, limit := range []float64{rule.Limit, math.Nextafter(f.AtMost, 0), f.AtMost} {
			if !isFraction(limit) {
				continue
			}
			at := rule
			at.Limit = limit
			g := judgedIn(t, at, buckets)
			passed := g.Verdict == Pass
			if passed != (g.AtMost <= limit) || passed != (g.NeededBuckets == 0) {
				t.Fatalf("limit %v: %+v", limit, g)
			}
			if math.Abs(g.AtMost-f.AtMost) > 1e-9 {
				t.Fatalf("the bound is %v at the limit %v, and %v at %v", g.AtMost, limit, f.AtMost, rule.Limit)
			}
		}
	})
}

// TestBoundOfBucketsHasOneRoot walks the limits: E_pass never falls as they rise.
func TestBoundOfBucketsHasOneRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		buckets := drawBuckets(t)
		g, last := burstGate{expect: 10}, math.Inf(-1)
		for logit := -12.0; logit < 12; logit += 0.25 {
			p := g.passing(math.Exp(logit), buckets)
			e := p.log()
			if e < last-rounding(last) {
				t.Fatalf("E_pass falls from e^%v to e^%v at the odds e^%v", last, e, logit)
			}
			last = e
		}
	})
}

func TestDroppedEntriesOfBucketsOnlyWithhold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, buckets := drawBucketRule(t), drawBuckets(t)
		was := judgedIn(t, rule, buckets)
		for i := range buckets {
			if rapid.Bool().Draw(t, "lost") {
				buckets[i].Dropped = rapid.Int64Range(0, 50).Draw(t, "dropped")
			}
		}
		is := judgedIn(t, rule, buckets)
		if is.Verdict != was.Verdict && is.Verdict != Inconclusive {
			t.Fatalf("%s turns into %s because entries are lost", was.Verdict, is.Verdict)
		}
		if is.AtMost < was.AtMost-1e-12 {
			t.Fatalf("lost entries lower the bound from %v to %v", was.AtMost, is.AtMost)
		}
	})
}

// TestBucketByBucket holds the simulations' way of looking at each bucket to the
// rule; and empty buckets change nothing.
func TestBucketByBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, buckets := drawBucketRule(t), drawBuckets(t)
		buckets = buckets[:min(len(buckets), 10)]
		want := Inconclusive
		var full []Bucket
		for i, b := range buckets {
			if b.Requests > 0 {
				full = append(full, b)
			}
			f := judgedIn(t, rule, buckets[:i+1])
			if g := judgedIn(t, rule, full); f != g {
				t.Fatalf("%+v, and without empty buckets %+v", f, g)
			}
			if want == Inconclusive {
				want = f.Verdict
			}
		}
		if got := simulated(rule, buckets); got != want {
			t.Fatalf("looking at each bucket: %s, the rule says %s", got, want)
		}
	})
}

func TestBucketsAllocateNothing(t *testing.T) {
	rule, buckets := byBuckets(10), same(Bucket{Requests: 10}, 20)
	if n := testing.AllocsPerRun(20, func() { _, _ = rule.Judge(buckets) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkJudge180Buckets(b *testing.B) {
	rule, buckets := byBuckets(10), same(Bucket{Requests: 10}, 180)
	for i := range buckets {
		buckets[i].Errors = int64(i % 20 / 19)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rule.Judge(buckets); err != nil {
			b.Fatal(err)
		}
	}
}
