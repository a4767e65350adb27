package verdict

import (
	"fmt"
	"math"
)

// A FAIL on fewer than this is withheld. Withholding cannot raise the
// probability of a wrong verdict.
const (
	failMinRequests = 10
	failMinErrors   = 3
)

// cleanSearchLimit bounds CleanNeeded: more clean requests than this are no plan.
const cleanSearchLimit = 1_000_000

// Gate decides whether an error rate is below Limit. It holds two one-sided
// e-processes for s errors in n requests and the limit L:
//
//	E_pass = mean over q of (q/L)^s · ((1−q)/(1−L))^(n−s)    evidence against "rate ≥ L"
//	E_fail = mean over r of r^s / (1+(r−1)·L)^n              evidence against "rate ≤ L"
//
// q are the midpoints of 32 equal steps of log q over [L/50, 0.85·L], r those of
// log r over [1.2, 361], r being an odds ratio.
//
// PASS is E_pass ≥ 1/α_pass, FAIL is E_fail ≥ 1/α_fail. Each ratio is a
// supermartingale with mean at most 1 while its null is true, also when the
// rate moves, as long as the average of the rates so far is at or beyond L; so
// by Ville's inequality the probability that it ever reaches 1/α is at most α,
// however often it is looked at.
//
// Sources: Ville 1939 (the inequality); Wald 1945 (the likelihood ratio as a
// test); Robbins 1970 (mixtures); Howard et al. arXiv 1810.08240; Waudby-Smith
// and Ramdas arXiv 2010.09686 (betting on bounded means); Ramdas et al. arXiv
// 2210.01948 (e-processes and stopping).
//
// Make one with NewGate. A gate made otherwise decides nothing. It is read-only
// after NewGate and safe for concurrent use.
type Gate struct {
	Limit     float64 // error rate as a fraction, 0–1
	AlphaPass float64 // greatest probability of a PASS at or above Limit
	AlphaFail float64 // greatest probability of a FAIL at or below Limit

	pass, fail         mixture
	passNeeds, failing float64 // ln(1/AlphaPass), ln(1/AlphaFail); 0 = not made by NewGate
}

// NewGate returns a gate for an error rate below limit. All three are fractions
// strictly between 0 and 1; anything else is an error. When a rollout has k
// gates, give each α_fail/k: one false FAIL among them is then still as unlikely
// as α_fail. α_pass need not be split where all gates have to pass.
func NewGate(limit, alphaPass, alphaFail float64) (Gate, error) {
	if !isFraction(limit) {
		return Gate{}, fmt.Errorf("error rate limit %v: must be above 0 and below 1, for example 0.05 for 5%%", limit)
	}
	if !isFraction(alphaPass) || !isFraction(alphaFail) {
		return Gate{}, fmt.Errorf("error probabilities %v (pass) and %v (fail): both must be above 0 and below 1, for example 0.05", alphaPass, alphaFail)
	}
	return Gate{
		Limit:     limit,
		AlphaPass: alphaPass,
		AlphaFail: alphaFail,
		pass:      passMixture(limit / (1 - limit)),
		fail:      failMixture(limit),
		passNeeds: -math.Log(alphaPass),
		failing:   -math.Log(alphaFail),
	}, nil
}

// isFraction is false for NaN too.
func isFraction(x float64) bool { return x > 0 && x < 1 }

// Judge weighs the counts. Dropped entries count against either verdict: as
// errors for PASS, as successes for FAIL. Counts that cannot be (negative, more
// errors than requests, an unknown number dropped) are no evidence.
//
// Judge knows no time: a minimum time before PASS and a budget after which an
// undecided gate ends are the caller's, and both are safe to add.
func (g *Gate) Judge(c Counts) Evidence {
	if !g.ready() || !c.usable() {
		return Evidence{Verdict: Inconclusive}
	}
	e := Evidence{
		EPass:   g.pass.log(c.worst()),
		EFail:   g.fail.log(c.best()),
		Verdict: Inconclusive,
	}
	switch {
	case e.EPass >= g.passNeeds:
		e.Verdict = Pass
	case e.EFail >= g.failing && enoughToFail(c):
		e.Verdict = Fail
	}
	return e
}

// enoughToFail is the guard of a FAIL.
func enoughToFail(c Counts) bool { return c.Requests >= failMinRequests && c.Errors >= failMinErrors }

func (g *Gate) ready() bool { return g.passNeeds > 0 && g.failing > 0 }

func (g *Gate) passes(c Counts) bool { return g.pass.log(c.worst()) >= g.passNeeds }

// AtMost is the error rate, as a fraction, that the counts rule out from above:
// the limit at which this gate would just pass. It is the inverse of E_pass, so
// that a card never contradicts its verdict: AtMost(c) ≤ Limit exactly when
// Judge(c) is PASS. It holds with probability 1−AlphaPass at all looks together.
// It is 1 when the counts rule out nothing.
//
// With g = q/L a term of E_pass is g^s·((1−gL)/(1−L))^(n−s), and as g < 1 and
// the g do not depend on L, every term grows with L: there is one root.
func (g *Gate) AtMost(c Counts) float64 {
	errors, successes := c.worst()
	if !g.ready() || !c.usable() || successes == 0 {
		return 1
	}
	return invert(g.Limit, g.passes(c), lowestLogit(errors, successes), func(odds float64) bool {
		at := passMixture(odds)
		return at.log(errors, successes) >= g.passNeeds
	})
}

// invert is the limit at which a test would just pass, given whether it passes
// at limit: on that side of limit lies the answer, whatever rounding does. lowest
// is a logit below the root, and passes tells whether the test passes at a limit
// with these odds; it must be monotone, false then true.
func invert(limit float64, passed bool, lowest float64, passes func(odds float64) bool) float64 {
	lo, hi := lowest, float64(logitEnd)
	if logit := math.Log(limit) - math.Log1p(-limit); passed {
		hi = logit
	} else {
		lo = max(lo, logit)
	}
	root := bisect(lo, hi, func(logit float64) bool { return passes(math.Exp(logit)) })
	bound := 1 / (1 + math.Exp(-root))
	if passed {
		return min(bound, limit)
	}
	return max(bound, math.Nextafter(limit, 1))
}

// logitEnd is above the root of AtMost: e^40 to 1 is a rate that a float64
// cannot tell from 1.
const logitEnd = 40

// lowestLogit is below the root of AtMost: E_pass is below 1 at the observed
// rate. Without an error it is far below what 2^63 requests could show.
func lowestLogit(errors, successes float64) float64 {
	if errors == 0 {
		return -2 * logitEnd
	}
	return math.Log(errors / successes)
}

// CleanNeeded is how many further requests, all without an error, would make
// the gate pass; 0 when it passes already, math.MaxInt64 when they are more than
// a million or the counts are unusable.
func (g *Gate) CleanNeeded(c Counts) int64 {
	if !g.ready() || !c.usable() {
		return math.MaxInt64
	}
	errors, successes := c.worst()
	return leastEnough(func(more int64) bool {
		return g.pass.log(errors, successes+float64(more)) >= g.passNeeds
	})
}

// leastEnough is the least number, from 0 to cleanSearchLimit, that is enough;
// math.MaxInt64 if none is. More than enough has to be enough.
func leastEnough(enough func(more int64) bool) int64 {
	if !enough(cleanSearchLimit) {
		return math.MaxInt64
	}
	lo, hi := int64(-1), int64(cleanSearchLimit) // enough(hi), and not enough(lo)
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; enough(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// Expected forecasts E[n to PASS], the mean number of requests until this gate
// passes a service whose error rate is really rate (a fraction):
//
//	(ln(1/α) + 0.25 + 3.4ρ³) / KL(ρL‖L),   ρ = rate/L
//
// the first-order theory of sequential tests (Wald 1945) with a fitted excess.
// For ρ from 0.05 to 0.8 it is within 2.1% of the exact mean at L = 5% and
// α = 5%, within 2.5% for limits from 0.1% to 30%, and up to 7% too low at
// α = 1%; beyond ρ = 0.8 it is too low. It is never below the number for a
// service without errors. One release in ten needs more than about 2.1 times as
// many. At or above the limit, where the gate is not meant to pass, and for a
// rate that cannot be, it is +Inf.
func (g *Gate) Expected(rate float64) float64 {
	if !g.ready() || !(rate >= 0 && rate < g.Limit) {
		return math.Inf(1)
	}
	clean := float64(g.CleanNeeded(Counts{}))
	rho := rate / g.Limit
	estimate := (g.passNeeds + 0.25 + 3.4*rho*rho*rho) / divergence(rate, g.Limit)
	return max(clean, estimate)
}

// divergence is the Kullback–Leibler divergence KL(p‖q) of two error rates, in
// nats a request.
func divergence(p, q float64) float64 {
	d := (1 - p) * (math.Log1p(-p) - math.Log1p(-q))
	if p > 0 {
		d += p * math.Log(p/q)
	}
	return d
}
