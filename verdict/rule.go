package verdict

import (
	"fmt"
	"math"
)

// Kind is what counts as one piece of evidence.
type Kind string

const (
	ByRequests Kind = "requests" // a request; wrong where requests fail in bursts. The zero Kind is this one
	ByBuckets  Kind = "buckets"  // a bucket of requests
)

// Window is the requests and errors of a revision in a window that is over.
type Window struct {
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"`
}

// Rule is what a gate asks of a revision. Equal rules and buckets give equal
// findings, so a verdict can be recomputed from what it was made of.
type Rule struct {
	Limit         float64 `json:"limit"`                    // see Gate
	AlphaPass     float64 `json:"alpha_pass"`               // see Gate
	AlphaFail     float64 `json:"alpha_fail"`               // see Gate; with Old it is divided, half to each reason to fail
	Evidence      Kind    `json:"evidence,omitempty"`       // "" is ByRequests
	BucketSeconds int64   `json:"bucket_seconds,omitempty"` // how long a bucket is; 0: not known
	Expect        float64 `json:"expect,omitempty"`         // ByBuckets: requests a bucket expected beforehand; 0: learnt from those seen
	Old           *Window `json:"old,omitempty"`            // the old revision before the deploy; nil: not compared
}

// Finding is what a rule finds in some buckets.
type Finding struct {
	Verdict       Verdict `json:"verdict"`
	Requests      int64   `json:"requests"` // the counts of all buckets
	Errors        int64   `json:"errors"`
	Dropped       int64   `json:"dropped,omitempty"`        // as Counts.Dropped
	AtMost        float64 `json:"at_most"`                  // the error rate is at most this, as a fraction; see Gate.AtMost
	Needed        int64   `json:"needed"`                   // further clean requests until PASS, see Gate.CleanNeeded; ByBuckets: about so many
	NeededBuckets int64   `json:"needed_buckets,omitempty"` // ByBuckets: in so many buckets
	Worse         bool    `json:"worse,omitempty"`          // proven worse than the old revision: FAIL, whatever the limit says
}

// Counts are the counts of all buckets.
func (f Finding) Counts() Counts { return Counts{f.Requests, f.Errors, f.Dropped} }

func finding(v Verdict, sum Counts) Finding {
	return Finding{Verdict: v, Requests: sum.Requests, Errors: sum.Errors, Dropped: sum.Dropped, AtMost: 1, Needed: math.MaxInt64}
}

// Judge applies the rule. The error says what in the rule or in the buckets cannot
// be. An unknown number of dropped entries is no error: it is INCONCLUSIVE.
//
// PASS means that the error rate is below Limit, and is wrong with at most
// AlphaPass. FAIL means that it is above Limit or, with Old, above that of the old
// revision (Worse); each reason is wrong with at most half of AlphaFail, so that a
// revision that is neither fails with at most AlphaFail. That holds at all looks
// together, and with ByBuckets also where requests of a bucket fail together; the
// old revision's window is taken request by request all the same.
func (r Rule) Judge(buckets []Bucket) (Finding, error) {
	j, err := r.judge()
	if err != nil {
		return Finding{}, err
	}
	sum, err := total(buckets)
	if err != nil {
		return Finding{}, err
	}
	switch {
	case !sum.usable():
		return finding(Inconclusive, sum), nil
	case r.Evidence == ByBuckets:
		return j.byBuckets(buckets, sum), nil
	default:
		return j.byRequests(sum), nil
	}
}

// judge is a rule that was checked.
type judge struct {
	gate   Gate
	old    *Baseline // nil: not compared
	expect float64
}

func (r Rule) judge() (judge, error) {
	switch {
	case r.Evidence != "" && r.Evidence != ByRequests && r.Evidence != ByBuckets:
		return judge{}, fmt.Errorf("evidence %q: must be %s or %s", r.Evidence, ByRequests, ByBuckets)
	case r.BucketSeconds < 0:
		return judge{}, fmt.Errorf("buckets of %d s: must be 1 s or longer", r.BucketSeconds)
	case !(r.Expect >= 0) || math.IsInf(r.Expect, 1):
		return judge{}, fmt.Errorf("%v requests expected in a bucket: must be 0 (not known) or more", r.Expect)
	}
	alphaFail := r.AlphaFail
	if r.Old != nil {
		alphaFail /= 2
	}
	j := judge{expect: r.Expect}
	var err error
	if j.gate, err = NewGate(r.Limit, r.AlphaPass, alphaFail); err != nil {
		return judge{}, err
	}
	if r.Old != nil {
		j.old, err = NewBaseline(r.Old.Errors, r.Old.Requests, alphaFail)
	}
	return j, err
}

func (j *judge) byRequests(sum Counts) Finding {
	f := finding(j.gate.Judge(sum).Verdict, sum)
	f.AtMost, f.Needed = j.gate.AtMost(sum), j.gate.CleanNeeded(sum)
	if j.old != nil && j.old.Worse(sum) {
		f.Verdict, f.Worse = Fail, true
	}
	return f
}

func (j *judge) byBuckets(buckets []Bucket, sum Counts) Finding {
	g := newBurstGate(&j.gate, j.expect)
	passing, failing := g.passing(g.odds, buckets), g.failingAt(g.limit, buckets)
	passed := passing.log() >= g.passNeeds
	f := finding(Inconclusive, sum)
	f.AtMost = g.atMost(buckets, passed)
	switch {
	case passed:
		f.Verdict = Pass
	case failing.log() >= g.failing && enoughToFail(sum):
		f.Verdict = Fail
	}
	if j.old != nil && j.old.upper.ready() {
		worse := g.failingAt(j.old.Upper, buckets)
		if worse.log() >= j.old.upper.failing && enoughToFail(sum) {
			f.Verdict, f.Worse = Fail, true
		}
	}
	f.NeededBuckets = g.needed(&passing, 0)
	f.Needed = requestsIn(f.NeededBuckets, paceOf(buckets, j.expect).Mean)
	return f
}

// requestsIn is how many requests come with buckets, at least one with each.
func requestsIn(buckets int64, mean float64) int64 {
	requests := math.Ceil(float64(buckets) * max(1, mean))
	if requests >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(requests)
}

func paceOf(buckets []Bucket, expect float64) pace {
	at := expecting(expect)
	for _, b := range buckets {
		at.learn(b.Requests)
	}
	return at
}
