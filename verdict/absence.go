package verdict

import "math"

// AbsenceNeeded is how many requests without a single hit show that a log line
// comes up in fewer than minRate of them (a fraction), wrong with probability
// alpha: ⌈ln α / ln(1−minRate)⌉, as a line with that rate stays away from n
// requests with probability (1−minRate)^n. The requests must have taken the path
// that would log the line. Arguments that no number of requests can satisfy give
// math.MaxInt64; the least answer is 1, as no request shows nothing.
func AbsenceNeeded(minRate, alpha float64) int64 {
	if !(minRate > 0 && alpha > 0) {
		return math.MaxInt64
	}
	if minRate >= 1 || alpha >= 1 {
		return 1
	}
	n := math.Ceil(math.Log(alpha) / math.Log1p(-minRate))
	if n >= math.MaxInt64 {
		return math.MaxInt64
	}
	return max(1, int64(n))
}
