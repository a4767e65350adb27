package verdict

import "math"

// gridPoints is the number of alternatives a mixture bets on.
const gridPoints = 32

// mixture is the mean of gridPoints likelihood ratios, each linear in the counts
// when in logarithms.
type mixture struct {
	perError, perSuccess [gridPoints]float64
}

// passMixture bets on rates q below the limit, given as the limit's odds L/(1−L),
// which stay exact where L is close to 1. With g = q/L an error multiplies by g
// and a success by (1−gL)/(1−L) = 1 + (1−g)·L/(1−L).
func passMixture(odds float64) mixture {
	var m mixture
	for i := range gridPoints {
		logShare := logShareAt(i)
		m.perError[i] = logShare
		m.perSuccess[i] = math.Log1p(-math.Expm1(logShare) * odds)
	}
	return m
}

// failMixture bets on rates above the limit, by their odds ratios r to it: a
// success multiplies by 1/(1+(r−1)L) and an error by r/(1+(r−1)L).
func failMixture(limit float64) mixture {
	var m mixture
	for i := range gridPoints {
		logRatio := logRatioAt(i)
		m.perSuccess[i] = -math.Log1p(math.Expm1(logRatio) * limit)
		m.perError[i] = logRatio + m.perSuccess[i]
	}
	return m
}

// logShareAt is the logarithm of the i-th share q/L that PASS bets on, logRatioAt
// that of the i-th odds ratio r that FAIL bets on.
func logShareAt(i int) float64 { return gridPoint(i, math.Log(1.0/50), math.Log(0.85)) }
func logRatioAt(i int) float64 { return gridPoint(i, math.Log(1.2), math.Log(361)) }

// gridPoint is the midpoint of the i-th of gridPoints equal steps of [from, to].
func gridPoint(i int, from, to float64) float64 {
	return from + (float64(i)+0.5)/gridPoints*(to-from)
}

// log is the natural logarithm of the mixture.
func (m *mixture) log(errors, successes float64) float64 {
	var terms [gridPoints]float64
	for i := range terms {
		terms[i] = errors*m.perError[i] + successes*m.perSuccess[i]
	}
	return logMean(&terms)
}

// negligible is how far below the largest a term is lost in its rounding: 32·e^−45
// is less than 2^−59.
const negligible = 45

// logMean is the natural logarithm of the mean of what terms are the logarithms
// of, by log-sum-exp: they span hundreds of orders of magnitude. Terms of minus
// infinity only are minus infinity.
func logMean(terms *[gridPoints]float64) float64 {
	top := math.Inf(-1)
	for _, t := range terms {
		if t > top { // max would look for NaN
			top = t
		}
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.0
	for _, t := range terms {
		if below := t - top; below > -negligible {
			sum += math.Exp(below)
		}
	}
	return top + math.Log(sum/gridPoints)
}
