package verdict

import "fmt"

// Baseline compares a new revision with the old one. The old one's window, k
// errors in m requests before the deploy, is frozen, and its exact bounds ℓ and
// u (see ClopperPearson) take the place of a gate's limit:
//
//	the new one is better  when E_pass(new; limit ℓ) ≥ 2/α
//	the new one is worse   when E_fail(new; limit u) ≥ 2/α
//
// A wrong answer takes either a wrong bound or a wrong gate, each with a
// probability of at most α/2; so each of the two answers is wrong with at most
// α, at whatever moment it is read. (An interval for the difference of two rates,
// such as Newcombe's, is wrong more often when it is looked at repeatedly.)
//
// It is read-only after NewBaseline and safe for concurrent use.
type Baseline struct {
	Lower, Upper float64 // ℓ and u, as fractions

	lower, upper Gate // zero, and so never deciding, where ℓ = 0 or u = 1
}

// NewBaseline freezes the old revision's window. The error says which number
// cannot be. A window without requests is allowed: nothing is better or worse
// than the unknown. The window must hold each request once and have been chosen
// without regard to the new revision's counts.
func NewBaseline(errors, requests int64, alpha float64) (*Baseline, error) {
	if errors < 0 || errors > requests {
		return nil, fmt.Errorf("old window of %d errors in %d requests: errors must be from 0 to the number of requests", errors, requests)
	}
	if !isFraction(alpha) {
		return nil, fmt.Errorf("error probability %v: must be above 0 and below 1, for example 0.05", alpha)
	}
	b := &Baseline{}
	b.Lower, b.Upper = ClopperPearson(errors, requests, alpha)
	var err error
	if b.lower, err = boundGate(b.Lower, alpha/2); err != nil {
		return nil, err
	}
	if b.upper, err = boundGate(b.Upper, alpha/2); err != nil {
		return nil, err
	}
	return b, nil
}

// boundGate is the gate at a bound, or the zero gate where no rate is beyond it.
func boundGate(bound, alpha float64) (Gate, error) {
	if !isFraction(bound) {
		return Gate{}, nil
	}
	return NewGate(bound, alpha, alpha)
}

// Better reports whether the new revision's error rate is below the old one's.
func (b *Baseline) Better(c Counts) bool { return b.lower.Judge(c).Verdict == Pass }

// Worse reports whether the new revision's error rate is above the old one's.
// Like a FAIL it takes at least 10 requests and 3 errors.
func (b *Baseline) Worse(c Counts) bool { return b.upper.Judge(c).Verdict == Fail }

// BetterBy is by how much, at least, the error rate fell, as a fraction: 0.647
// is "at least 64.7 points better". It is 0 unless Better.
func (b *Baseline) BetterBy(c Counts) float64 {
	if !b.Better(c) {
		return 0
	}
	return b.Lower - b.lower.AtMost(c)
}
