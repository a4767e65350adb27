// Package verdict decides from counts of requests and errors whether a release
// is good. It is pure: no clock, no I/O, no goroutine, nothing but the standard
// library; equal counts give equal verdicts, so a restart only needs the counts.
//
// A [Gate] answers "is the error rate below the limit?". Its answer may be read
// after each request, for as long as anybody likes, and is still wrong with at
// most the probability that was asked for. A point estimate over a window, or a
// significance test that is looked at again and again, has no such bound.
// A [Baseline] answers "is the new revision better or worse than the old one?".
//
// A [Rule] puts these together: it judges closed [Bucket]s of requests, one by one
// or, where requests fail in bursts, bucket by bucket. Whoever needs a verdict asks
// a Rule, so that there is one judgement, and a [Receipt] of it can be recomputed
// by anybody. A [Detector] asks another question, whether the rate has risen, at
// whatever time; a [Resolver] whether it has come back; a [BurnRate] how fast the
// error budget goes.
//
// What the counts must be for the guarantee to hold, and what this package
// cannot see: each request counted once; closed windows only, so that slow
// requests, which are often the failing ones, are in; the new revision's
// requests since its own traffic shift, a retry of the gate going on with the
// same counts; never users' requests and probes in one number.
package verdict

// Verdict is what the evidence says. Its value is what is stored; [Verdict.String]
// is what people read.
type Verdict string

const (
	// Pass: the error rate is below the limit.
	Pass Verdict = "pass"
	// Fail: the error rate is above the limit.
	Fail Verdict = "fail"
	// Inconclusive: the counts alone have not decided yet.
	Inconclusive Verdict = "inconclusive"
)

// String returns the word for a sentence such as "Limit 5%: passed".
// Anything that is neither a pass nor a fail, the zero value too, is inconclusive.
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "passed"
	case Fail:
		return "failed"
	default:
		return "inconclusive"
	}
}

// DroppedUnknown as Counts.Dropped says that log entries were lost and nobody
// knows how many. No verdict follows from such counts.
const DroppedUnknown = -1

// Counts are one revision's requests in closed windows.
type Counts struct {
	Requests int64 // requests seen, each once
	Errors   int64 // those of Requests that were errors
	Dropped  int64 // requests known to be lost on the way, not in Requests; or DroppedUnknown
}

// usable reports whether the counts can be evidence at all.
func (c Counts) usable() bool {
	return c.Errors >= 0 && c.Requests >= c.Errors && c.Dropped >= 0
}

// worst counts each dropped entry as an error, best as a success: a PASS must
// hold in the worst case and a FAIL in the best one, whatever was lost.
func (c Counts) worst() (errors, successes float64) {
	return float64(c.Errors) + float64(c.Dropped), float64(c.Requests - c.Errors)
}

func (c Counts) best() (errors, successes float64) {
	return float64(c.Errors), float64(c.Requests-c.Errors) + float64(c.Dropped)
}

// Evidence is what a gate finds in some counts. EPass and EFail are natural
// logarithms of e-values, always finite: 0 is no evidence, ln(1/α) decides.
type Evidence struct {
	EPass   float64
	EFail   float64
	Verdict Verdict
}
