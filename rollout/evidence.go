package rollout

import (
	"fmt"
	"math"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// What gates say of themselves, for someone on call at night: Step.Note on the card, in the thread
// and in the log.

// Rate is the share of failed requests, 0–1; 0 without requests.
func (b *Baseline) Rate() float64 { return Share(b.Errors, b.Requests) }

// PerSecond is the rate at which requests came in the baseline's window; 0 if that is not known.
func (b *Baseline) PerSecond() float64 {
	if b == nil {
		return 0
	}
	return window{b.Since, b.Until}.perSecond(b.Requests)
}

func (w window) perSecond(requests int64) float64 {
	seconds := w.until.Sub(w.since).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(requests) / seconds
}

// words are what a counting gate calls what it counts.
type words struct {
	bad   string // before a rate: "Errors", "Slower than 800ms:"
	one   string // one bad request
	clean string // those that are needed: "clean"
}

func wordsFor(s plan.Step) words {
	if s.Latency != nil {
		return words{bad: "Slower than " + s.Latency.Below.String() + ":", one: "slow one", clean: "fast"}
	}
	return words{bad: "Errors", one: "error", clean: "clean"}
}

// rate is "Errors 0.9% (3 of 334)".
func (w words) rate(n verdict.Counts) string { return w.bad + " " + ratio(n.Errors, n.Requests) }

// of is "3 errors in 334 requests".
func (w words) of(n verdict.Counts) string {
	if n.Requests == 0 {
		return "no requests"
	}
	return Counted(n.Errors, w.one) + " in " + Counted(n.Requests, "request")
}

// rateNote says how a counting gate stands or what it decided.
func (g *Gate) rateNote(o *Outcome, c Case, j *judged) string {
	w, spec, missing := wordsFor(c.Spec), c.Spec.CountingGate(), ""
	switch {
	case c.Requests.Dropped != 0:
		missing = " " + c.Service.lacking(c.Requests.Dropped)
	case o.State != StillRunning && g.Counts.Dropped > 0:
		missing = fmt.Sprintf(" Whether %s more were slow is not known.", Count(g.Counts.Dropped))
	}
	switch {
	case o.Label == LabelProbes:
		return fmt.Sprintf("Test requests: %s. Limit %s: failed.", lower(w.rate(j.probes.Counts())), g.Limit)
	case o.Label == LabelWorse:
		return fmt.Sprintf("%s: worse than the old revision.", g.change(c))
	case o.Label == LabelUnchecked:
		return g.undecided(w, g.Counts.Requests) + missing + " Let through without evidence, as on_inconclusive: pass says."
	case o.State == Inconclusive || o.Label == LabelLittle:
		return g.undecided(w, g.Counts.Requests) + missing + g.onlyTests(w, c, j)
	case o.State == FailedState:
		return fmt.Sprintf("%s. Limit %s: failed.", g.change(c), g.Limit)
	case g.OnProbes:
		return fmt.Sprintf("Test requests: %s, at most %s. Limit %s: passed on test requests. Of users: %s.",
			lower(w.rate(j.probes.Counts())), PercentUp(j.probes.AtMost, float64(g.Limit)), g.Limit, w.of(g.Counts))
	case o.State == Passed:
		return fmt.Sprintf("%s, at most %s. Limit %s: passed.", g.change(c), PercentUp(g.AtMost, float64(g.Limit)), g.Limit)
	}
	if missing != "" { // as will be many of those to come
		return g.seen(w) + missing + g.testing(w)
	}
	return g.counting(w, spec.MinTime) + g.testing(w)
}

// onlyTests says of a gate that only users' requests can pass what its test requests would have said.
func (g *Gate) onlyTests(w words, c Case, j *judged) string {
	if g.Probes == nil || j.probes.Requests == 0 {
		return ""
	}
	text := " Test requests: " + w.of(j.probes.Counts()) + "."
	if j.probes.Verdict == verdict.Pass && c.Spec.CountingGate().UsersOnly {
		text += " They alone are no pass in production."
	}
	return text
}

// testing is how the test requests stand that run beside.
func (g *Gate) testing(w words) string {
	switch {
	case g.Probes == nil:
		return ""
	case g.Probes.Requests == 0:
		return " Test requests are being sent."
	case g.ProbesNeeded > 0 && g.ProbesNeeded < math.MaxInt64:
		return fmt.Sprintf(" Test requests: %s, %s more to pass on them alone.", w.of(*g.Probes), Count(g.ProbesNeeded))
	}
	return " Test requests: " + w.of(*g.Probes) + "."
}

// seen is what a gate has counted so far.
func (g *Gate) seen(w words) string {
	switch {
	case g.Counts.Requests == 0 && g.Source == FromMetrics:
		return "No counts yet: Cloud Monitoring has them four to five minutes after the first requests."
	case g.Counts.Requests == 0:
		return "No requests yet."
	}
	return fmt.Sprintf("%s, %s.", Counted(g.Counts.Requests, "request"), Counted(g.Counts.Errors, w.one))
}

// counting is a gate on its way: "118 requests, 1 error. 6 more clean ones to pass (about 15 s)."
func (g *Gate) counting(w words, minTime plan.Duration) string {
	seen := g.seen(w)
	switch {
	case g.Needed == math.MaxInt64:
		return seen + " Too many " + w.one + "s to pass soon."
	case g.Needed > 0:
		return seen + fmt.Sprintf(" %s more %s %s to pass%s.", Count(g.Needed), w.clean, ones(g.Needed), g.forecast())
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

// change is the rate, of errors with that of the old revision before: "Errors 72% (1,204 of 1,672) → 0.9% (3 of 334)".
func (g *Gate) change(c Case) string {
	now, before := ratio(g.Counts.Errors, g.Counts.Requests), c.Service.Baseline
	bad := wordsFor(c.Spec).bad
	if before == nil || before.Requests == 0 || c.Spec.Latency != nil {
		return bad + " " + now
	}
	return bad + " " + ratio(before.Errors, before.Requests) + " → " + now
}

func ratio(errors, requests int64) string {
	return fmt.Sprintf("%s (%s of %s)", Percent(Share(errors, requests)), Count(errors), Count(requests))
}

// lacking says that the log of a service does not have so many requests that Cloud Monitoring has counted.
func (s Service) lacking(requests int64) string {
	some := "some requests"
	if requests > 0 {
		some = Counted(requests, "request")
	}
	return fmt.Sprintf("The request log of %s lacks %s that Cloud Monitoring has; with source: metrics in deploy.yaml they count.", s.Name, some)
}

// undecided is a gate whose budget is spent.
func (g *Gate) undecided(w words, seen int64) string {
	c := g.Counts
	switch {
	case c.Dropped != 0:
		return fmt.Sprintf("Too little is known: %s, %s.", Counted(c.Requests, "request"), Counted(c.Errors, w.one))
	case c.Errors == 0:
		return fmt.Sprintf("Not enough traffic: %s of at least %s.", Count(seen), Counted(seen+g.Needed, "request"))
	case g.Needed == math.MaxInt64 || float64(c.Errors) > float64(g.Limit)*float64(c.Requests)/2:
		return fmt.Sprintf("Too close to call: %s, limit %s.", lower(w.rate(c)), g.Limit)
	}
	return fmt.Sprintf("Not enough traffic: %s, %s; at least %s more %s %s needed.",
		Counted(c.Requests, "request"), Counted(c.Errors, w.one), Count(g.Needed), w.clean, ones(g.Needed))
}

// absenceNote says how a no_logs gate stands or what it decided.
func (g *Gate) absenceNote(state OutcomeState, label, match string) string {
	w := wordsFor(plan.Step{})
	switch {
	case g.Hits > 0:
		return fmt.Sprintf("%s: %s. The first: %s", match, Counted(g.Hits, "log line"), g.Sample)
	case label == LabelUnchecked:
		return g.undecided(w, g.Counts.Requests) + " Let through without evidence, as on_inconclusive: pass says."
	case label == LabelLittle:
		return g.undecided(w, g.Counts.Requests)
	case state == Passed:
		return fmt.Sprintf("No %s in %s.", match, Counted(g.Counts.Requests, "request"))
	}
	return fmt.Sprintf("No %s in %s so far. %s more to be sure%s.", match, Counted(g.Counts.Requests, "request"), Count(g.Needed), g.forecast())
}

// lower begins a text with a small letter.
func lower(s string) string {
	if s == "" {
		return s
	}
	return string(s[0]|0x20) + s[1:]
}
