package verdict

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Simulations where the exact computation of guarantee_test.go cannot go. Each has
// its seeds, so that it is the same at every run.

// seeded is the n-th source of randomness of a test.
func seeded(test, n uint64) *rand.Rand { return rand.New(rand.NewPCG(test, n)) }

// binomialCeiling is what a count of rare outcomes in so many runs stays below,
// but for once in 20,000 choices of seeds, while each has at most this probability.
func binomialCeiling(runs int, probability float64) int {
	n := float64(runs)
	return int(math.Ceil(n*probability + 3.9*math.Sqrt(n*probability*(1-probability))))
}

// adversary draws the rate of the next request from the past. It is never below
// the limit when a PASS is to be wrong, and never above when a FAIL is.
type adversary func(limit float64, c Counts, r *rand.Rand) float64

func atTheLimit(limit float64, _ Counts, _ *rand.Rand) float64 { return limit }

// nearly lets the rate leap whenever the counts look good or bad, on the wrong side.
func nearly(side float64) adversary {
	return func(limit float64, c Counts, r *rand.Rand) float64 {
		if observed := float64(c.Errors) / float64(c.Requests+1); (observed-limit)*side > 0 {
			return limit
		}
		return limit * (1 + side*r.Float64()*0.3)
	}
}

// TestAnyPollingPattern: at the null, a gate that is looked at whenever somebody
// likes is wrong no more often than it says: often, seldom, more often while it
// looks promising.
func TestAnyPollingPattern(t *testing.T) {
	const runs, alpha, limit, requests = 800, 0.05, 0.05, 1200
	g := newGate(t, limit, alpha, alpha)
	tests := []struct {
		name  string
		rate  adversary
		wrong Verdict
	}{
		{"PASS at the limit", atTheLimit, Pass},
		{"FAIL at the limit", atTheLimit, Fail},
		{"PASS at moving rates from the limit upwards", nearly(1), Pass},
		{"FAIL at moving rates from the limit downwards", nearly(-1), Fail},
	}
	for i, tt := range tests {
		wrong := 0
		for n := range runs {
			r := seeded(uint64(i), uint64(n))
			if pollUntilDecided(g, r, tt.rate, requests) == tt.wrong {
				wrong++
			}
		}
		if most := binomialCeiling(runs, alpha); wrong > most {
			t.Errorf("%s: %d of %d runs, want at most %d", tt.name, wrong, runs, most)
		}
		if wrong == 0 {
			t.Errorf("%s: never, so this tests nothing", tt.name)
		}
	}
}

// pollUntilDecided looks at moments of its own choice and returns the first verdict.
func pollUntilDecided(g *Gate, r *rand.Rand, rate adversary, requests int64) Verdict {
	patience := 1 + r.Float64()*r.Float64()*60 // requests between looks, on average
	var c Counts
	for next := 1.0; c.Requests < requests; {
		failed := r.Float64() < rate(g.Limit, c, r)
		c.Requests++
		if failed {
			c.Errors++
		}
		if float64(c.Requests) < next {
			continue
		}
		e := g.Judge(c)
		if e.Verdict != Inconclusive {
			return e.Verdict
		}
		gap := patience * r.ExpFloat64()
		if max(e.EPass, e.EFail) > 1 { // it looks promising: look at each one
			gap = 0
		}
		next = float64(c.Requests) + gap
	}
	return Inconclusive
}

// burstyBuckets are buckets of 10 s of a service with about a request a second,
// which fails as a whole for 5 s at a time, so often that the rate is this on
// average. The time to the next burst is exponential.
func burstyBuckets(r *rand.Rand, rate float64, count int) []Bucket {
	const burst = 5.0
	pause := burst * (1 - rate) / rate
	buckets := make([]Bucket, count)
	start := r.ExpFloat64() * pause
	for now := r.ExpFloat64(); now < 10*float64(count); now += r.ExpFloat64() {
		for now >= start+burst {
			start += burst + r.ExpFloat64()*pause
		}
		b := &buckets[int(now/10)]
		b.Requests++
		if now >= start {
			b.Errors++
		}
	}
	return buckets
}

// TestBursts: where requests fail together, a gate by requests passes a true 7%
// about as often as there is no burst in the first 70 s, 37%; the buckets stay
// within their α, and still pass what is good and fail what is bad.
func TestBursts(t *testing.T) {
	const runs, alpha, half = 600, 0.05, 180 // half an hour
	rule := Rule{Limit: 0.05, AlphaPass: alpha, AlphaFail: alpha, Expect: 10}
	tests := []struct {
		rate             float64
		passing, failing [2]float64 // the least and the greatest share of runs
	}{
		{0.05, [2]float64{0, 0.05}, [2]float64{0, 0.05}},
		{0.07, [2]float64{0, 0.05}, [2]float64{0, 1}},
		{0.30, [2]float64{0, 0.001}, [2]float64{0.9, 1}},
		{0.001, [2]float64{0.75, 1}, [2]float64{0, 0.05}},
	}
	for i, tt := range tests {
		passed, failed, plain := 0, 0, 0
		for n := range runs {
			buckets := burstyBuckets(seeded(100+uint64(i), uint64(n)), tt.rate, half)
			switch simulated(rule, buckets) {
			case Pass:
				passed++
			case Fail:
				failed++
			}
			if simulatedByRequests(t, buckets) == Pass {
				plain++
			}
		}
		check := func(what string, count int, between [2]float64) {
			least, most := int(float64(runs)*between[0]), binomialCeiling(runs, between[1])
			if count < least || count > most {
				t.Errorf("rate %v: %s in %d of %d runs, want %d to %d", tt.rate, what, count, runs, least, most)
			}
		}
		check("PASS", passed, tt.passing)
		check("FAIL", failed, tt.failing)
		t.Logf("rate %v: by buckets %d PASS, %d FAIL; by requests %d PASS", tt.rate, passed, failed, plain)
		if share := float64(plain) / runs; tt.rate == 0.07 && (share < 0.33 || share > 0.41) {
			t.Errorf("by requests %.3f pass, want about 0.37: the bursts are none", share)
		}
	}
}

// simulated is what a gate by buckets comes to when each bucket is looked at. It
// works as Rule.Judge does on more and more of them, which TestBucketByBucket holds
// it to.
func simulated(rule Rule, buckets []Bucket) Verdict {
	j, err := rule.judge()
	if err != nil {
		panic(err)
	}
	g := newBurstGate(&j.gate, j.expect)
	passing, failing, at := process{bets: passBets()}, process{bets: failBets(g.limit)}, expecting(g.expect)
	var sum Counts
	for _, b := range buckets {
		errors, successes := b.counts().worst()
		weight := at.weigh(gateWeight, errors+successes)
		if b.Requests > 0 {
			passing.add(passGain(g.odds, errors, successes, weight))
			failing.add(failGain(g.limit, errors, successes, weight))
		}
		at.learn(b.Requests)
		sum.Requests, sum.Errors = sum.Requests+b.Requests, sum.Errors+b.Errors
		switch {
		case passing.log() >= g.passNeeds:
			return Pass
		case failing.log() >= g.failing && enoughToFail(sum):
			return Fail
		}
	}
	return Inconclusive
}

func simulatedByRequests(tb testing.TB, buckets []Bucket) Verdict {
	tb.Helper()
	g := standard(tb)
	var sum Counts
	for _, b := range buckets {
		sum.Requests, sum.Errors = sum.Requests+b.Requests, sum.Errors+b.Errors
		if v := g.Judge(sum).Verdict; v != Inconclusive {
			return v
		}
	}
	return Inconclusive
}

// TestStorms: a service that fails 10% of a storm of requests every minute, and 3%
// of the few in between, fails 9.7% of them. Buckets that weigh as their requests
// do see that; the mean of the buckets' own rates, 4.2%, passes it.
func TestStorms(t *testing.T) {
	const runs = 100
	rule := Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.05}
	passed, byMean := 0, 0
	for n := range runs {
		r := seeded(200, uint64(n))
		buckets := make([]Bucket, 2000)
		for i := range buckets {
			requests, rate := int64(10), 0.03
			if i%6 == 5 {
				requests, rate = 1000, 0.10
			}
			buckets[i] = Bucket{Requests: requests, Errors: binomialDraw(r, requests, rate)}
		}
		if simulated(rule, buckets) == Pass {
			passed++
		}
		means := make([]Bucket, len(buckets)) // as many requests in each
		for i, b := range buckets {
			means[i] = Bucket{Requests: 1000, Errors: b.Errors * 1000 / b.Requests}
		}
		if simulated(rule, means) == Pass {
			byMean++
		}
	}
	if passed > runs/20 || byMean < runs/2 {
		t.Errorf("PASS in %d of %d storms, by the mean of rates in %d: want hardly any, and most", passed, runs, byMean)
	}
}

// binomialDraw is how many of so many requests fail: exact where there are few, and
// by the normal distribution where there are many.
func binomialDraw(r *rand.Rand, requests int64, rate float64) int64 {
	if requests > 100 {
		n := float64(requests)
		drawn := math.Round(n*rate + math.Sqrt(n*rate*(1-rate))*r.NormFloat64())
		return int64(max(0, min(n, drawn)))
	}
	var errors int64
	for range requests {
		if r.Float64() < rate {
			errors++
		}
	}
	return errors
}
