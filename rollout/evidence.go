package rollout

import (
	"fmt"
	"math"
	"time"

	"slipway/plan"
)

// What gates say of themselves, for someone on call at night: Step.Note on the card, in the thread
// and in the log.

// Rate is the share of failed requests, 0–1; 0 without requests.
func (b *Baseline) Rate() float64 { return Share(b.Errors, b.Requests) }

// errorRateNote says how an error_rate gate stands or what it decided, with the old revision's rate
// before an arrow when that is known.
func (g *Gate) errorRateNote(state OutcomeState, before *Baseline, minTime plan.Duration) string {
	switch state {
	case Passed:
		return fmt.Sprintf("%s, at most %s. Limit %s: passed.", g.change(before), PercentUp(g.AtMost, float64(g.Limit)), g.Limit)
	case FailedState:
		return fmt.Sprintf("%s. Limit %s: failed.", g.change(before), g.Limit)
	case Inconclusive:
		return g.undecided()
	}
	return g.counting(minTime)
}

// counting is a gate on its way: "118 requests, 1 error. 6 more clean ones to pass (about 15 s)."
func (g *Gate) counting(minTime plan.Duration) string {
	seen := fmt.Sprintf("%s, %s.", Counted(g.Counts.Requests, "request"), Counted(g.Counts.Errors, "error"))
	if g.Counts.Requests == 0 {
		seen = "No requests yet."
	}
	switch {
	case g.Needed == math.MaxInt64:
		return seen + " Too many errors to pass soon."
	case g.Needed > 0:
		return seen + fmt.Sprintf(" %s more clean %s to pass%s.", Count(g.Needed), ones(g.Needed), g.forecast())
	}
	return seen + fmt.Sprintf(" Enough to pass, but not before %s are over.", minTime)
}

func ones(n int64) string {
	if n == 1 {
		return "one"
	}
	return "ones"
}

// forecast is how long the requests that a gate still needs take at the present rate, in steps of 5 s.
func (g *Gate) forecast() string {
	seconds := float64(g.Needed) / g.PerSec
	if g.PerSec <= 0 || seconds > (100*time.Hour).Seconds() {
		return ""
	}
	const step = 5 * time.Second
	rough := max(step, time.Duration(seconds*float64(time.Second)).Round(step))
	return " (about " + Period(rough) + ")"
}

// change is the rate before and after: "Errors 72% (1,204 of 1,672) → 0.9% (3 of 334)".
func (g *Gate) change(before *Baseline) string {
	now := ratio(g.Counts.Errors, g.Counts.Requests)
	if before == nil || before.Requests == 0 {
		return "Errors " + now
	}
	return "Errors " + ratio(before.Errors, before.Requests) + " → " + now
}

func ratio(errors, requests int64) string {
	return fmt.Sprintf("%s (%s of %s)", Percent(Share(errors, requests)), Count(errors), Count(requests))
}

// undecided is a gate whose budget is spent.
func (g *Gate) undecided() string {
	c := g.Counts
	switch {
	case c.Errors == 0:
		return fmt.Sprintf("Not enough traffic: %s of at least %s.", Count(c.Requests), Counted(c.Requests+g.Needed, "request"))
	case g.Needed == math.MaxInt64 || float64(c.Errors) > float64(g.Limit)*float64(c.Requests)/2:
		return fmt.Sprintf("Too close to call: errors %s, limit %s.", ratio(c.Errors, c.Requests), g.Limit)
	}
	return fmt.Sprintf("Not enough traffic: %s, %s; at least %s more clean %s needed.",
		Counted(c.Requests, "request"), Counted(c.Errors, "error"), Count(g.Needed), ones(g.Needed))
}

// absenceNote says how a no_logs gate stands or what it decided.
func (g *Gate) absenceNote(state OutcomeState, match string) string {
	switch state {
	case FailedState:
		return fmt.Sprintf("%s: %s. The first: %s", match, Counted(g.Hits, "log line"), g.Sample)
	case Inconclusive:
		return g.undecided()
	case Passed:
		return fmt.Sprintf("No %s in %s.", match, Counted(g.Counts.Requests, "request"))
	}
	return fmt.Sprintf("No %s in %s so far. %s more to be sure%s.", match, Counted(g.Counts.Requests, "request"), Count(g.Needed), g.forecast())
}
