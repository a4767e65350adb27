package verdict

import "math"

// Intervals for one rate that is looked at once. They describe; they do not
// decide: under repeated looks only a Gate keeps its promise.

// Wilson is the score interval for an error rate (Wilson 1927), for showing the
// old revision's rate; z is the normal quantile, 1.96 for 95%. All are fractions.
// Counts that cannot be, and no requests, give (0, 1).
func Wilson(errors, requests int64, z float64) (lo, hi float64) {
	if !isSample(errors, requests) || !(z >= 0) {
		return 0, 1
	}
	k, n := float64(errors), float64(requests)
	centre := (k + z*z/2) / (n + z*z)
	half := z / (n + z*z) * math.Sqrt(k*(n-k)/n+z*z/4)
	lo, hi = max(0, centre-half), min(1, centre+half)
	if errors == 0 {
		lo = 0
	}
	if errors == requests {
		hi = 1
	}
	return lo, hi
}

// exactRequests bounds the work of ClopperPearson, whose cost grows with √n.
const exactRequests = 1 << 30

// ClopperPearson is the exact interval for an error rate (Clopper and Pearson
// 1934): the truth is below lo with probability at most alpha/2, and above hi
// likewise. lo solves P(X ≥ errors) = alpha/2 and hi P(X ≤ errors) = alpha/2.
// Counts or an alpha that cannot be, and no requests, give (0, 1). Of more than
// 2³⁰ requests it uses only as many at the same rate, which makes it wider.
func ClopperPearson(errors, requests int64, alpha float64) (lo, hi float64) {
	if !isSample(errors, requests) || !isFraction(alpha) {
		return 0, 1
	}
	shrink := min(1, exactRequests/float64(requests))
	k, rest := float64(errors)*shrink, float64(requests-errors)*shrink
	return clopperPearsonLower(k, rest, alpha/2), 1 - clopperPearsonLower(rest, k, alpha/2)
}

func isSample(errors, requests int64) bool {
	return requests > 0 && errors >= 0 && errors <= requests
}

// clopperPearsonLower solves P(X ≥ hits) = tail for the rate. The tail of the
// binomial is the regularised incomplete beta function I_rate(hits, misses+1).
func clopperPearsonLower(hits, misses, tail float64) float64 {
	if hits == 0 {
		return 0
	}
	return bisect(0, hits/(hits+misses), func(rate float64) bool {
		return betaRegularised(hits, misses+1, rate) >= tail
	})
}

// betaRegularised is I_x(a, b), by the continued fraction on the side of the
// mean where it converges (DLMF 8.17.22 and 8.17.4).
func betaRegularised(a, b, x float64) float64 {
	if x <= 0 || x >= 1 {
		return max(0, min(1, x))
	}
	if x > (a+1)/(a+b+2) {
		return 1 - betaFraction(b, a, 1-x)
	}
	return betaFraction(a, b, x)
}

// betaFraction evaluates x^a(1−x)^b / (a·B(a,b)) · 1/(1+ d1/(1+ d2/(1+ …))) by
// the modified Lentz method.
func betaFraction(a, b, x float64) float64 {
	const (
		tiny      = 1e-300
		precision = 1e-15
		maxTerms  = 1_000_000
	)
	awayFromZero := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	value, c, d := 1.0, 1.0, 0.0
	for term := 1; term <= maxTerms; term++ {
		coefficient := betaCoefficient(term, a, b, x)
		d = 1 / awayFromZero(1+coefficient*d)
		c = awayFromZero(1 + coefficient/c)
		value *= c * d
		if math.Abs(c*d-1) < precision {
			break
		}
	}
	return math.Exp(a*math.Log(x)+b*math.Log1p(-x)-logBeta(a, b)) / (a * value)
}

// betaCoefficient is d_term of DLMF 8.17.23, whose even and odd ones differ.
func betaCoefficient(term int, a, b, x float64) float64 {
	m := float64(term / 2)
	if term%2 == 0 {
		return m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
	}
	return -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return la + lb - lab
}

// bisect narrows [lo, hi] to neighbouring floats, or 200 halvings, and returns
// the upper end: the least x found at which holds is true. holds must be
// monotone, false then true; it is taken as true at hi.
func bisect(lo, hi float64, holds func(x float64) bool) float64 {
	for range 200 {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if holds(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}
