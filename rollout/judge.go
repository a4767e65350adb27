package rollout

import (
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// Case is all that the verdict of a gate depends on, besides the time.
type Case struct {
	Rollout, Step string // IDs, for the receipt
	Target        plan.Target
	Spec          plan.Step
	Service       Service
	Since         time.Time // the traffic shift
	Requests      Requests
	Extra         time.Duration // by which people have lengthened the budget
	Probing       bool          // test requests are sent
}

// Labels of gates that did not pass.
const (
	LabelTurned    = "turned"             // an earlier gate is a FAIL by now
	LabelWorse     = "worse_than_old"     // proven worse than the old revision
	LabelLittle    = "not_enough_traffic" // no verdict within the budget
	LabelUnchecked = "without_evidence"   // no verdict, and deploy.yaml lets that pass
	LabelProbes    = "test_requests"      // Slipway's own requests failed
)

// JudgeRate decides a gate that counts requests at the time now: those that started in windows that have closed,
// after the warm-up, of users only. Test requests have a verdict of their own, which can take the place of a
// PASS that users' requests are too few for, and never is added to theirs.
func JudgeRate(c Case, now time.Time) (Outcome, error) {
	j, err := c.weigh(now)
	if err != nil {
		return Outcome{}, &Failure{Label: "gate", Reason: "This gate cannot decide anything: " + err.Error() + ".", Err: err}
	}
	spec := c.Spec.CountingGate()
	old := !now.Before(c.Since.Add(spec.MinTime.D()))
	o := Outcome{State: StillRunning, Gate: j.gate, Again: lookEvery}
	switch {
	case j.users.Verdict == verdict.Fail:
		o.State, o.Label = FailedState, string(c.Spec.Kind)
		if j.users.Worse {
			o.Label = LabelWorse
		}
	case spec.Probes != nil && j.probes.Verdict == verdict.Fail:
		o.State, o.Label = FailedState, LabelProbes
	case j.users.Verdict == verdict.Pass && old:
		o.State = Passed
	case j.passOnProbes(spec) && old:
		o.State, j.gate.OnProbes = Passed, true
	case !now.Before(c.Since.Add(c.budget())):
		o.State, o.Label = undecided(spec.OnInconclusive)
	}
	j.conclude(&o, c, now)
	return o, nil
}

// undecided is what becomes of a gate whose budget is spent.
func undecided(then plan.OnInconclusive) (OutcomeState, string) {
	switch then {
	case plan.InconclusiveFails:
		return FailedState, LabelLittle
	case plan.InconclusivePasses:
		return Passed, LabelUnchecked
	}
	return Inconclusive, LabelLittle
}

// budget is how long after the shift the gate gives up.
func (c Case) budget() time.Duration {
	spec := c.Spec.CountingGate()
	budget := spec.Budget.D() + c.Extra
	if spec.OnInconclusive == plan.InconclusiveExtends {
		budget += ExtraTime
	}
	return budget
}

// judged is what users' and test requests say.
type judged struct {
	gate          *Gate
	users, probes verdict.Finding
	rule          verdict.Rule
	buckets       []verdict.Bucket
	tests         []verdict.Bucket
}

func (c Case) weigh(now time.Time) (judged, error) {
	spec := c.Spec.CountingGate()
	w, slots := c.window(now), c.bad(c.Requests.Slots)
	j := judged{rule: c.rule(), buckets: w.buckets(slots, c.length())}
	j.buckets = lose(j.buckets, j.rule, c.Requests.Dropped)
	var err error
	if j.users, err = j.rule.Judge(j.buckets); err != nil {
		return j, err
	}
	if c.Probing {
		j.tests = w.buckets(c.bad(c.Requests.Probes), c.length())
		if j.probes, err = j.testRule().Judge(j.tests); err != nil {
			return j, err
		}
	}
	j.gate = &Gate{
		Revision: c.Service.Candidate.Name, Limit: c.Spec.Limit(), Since: w.since, Until: w.until,
		Counts: j.users.Counts(), Verdict: j.users.Verdict, AtMost: j.users.AtMost, Needed: j.users.Needed,
		Points: PointsOf(w.since, w.until, slots), PerSec: w.perSecond(j.users.Requests),
		Source: c.Requests.Source,
	}
	if c.Probing {
		tests := j.probes.Counts()
		j.gate.Probes = &tests
		j.gate.ProbesNeeded = j.probes.Needed
	}
	if spec.UsersOnly {
		j.gate.ProbesNeeded = 0
	}
	return j, nil
}

// window is what is counted of a gate that looks now: whole buckets only, where those are the evidence.
func (c Case) window(now time.Time) window {
	spec := c.Spec.CountingGate()
	w := window{since: c.Since.Add(spec.WarmUp.D()), until: c.Requests.closed(spec.MaxLatency.D(), now)}
	if c.Requests.Source == FromMetrics { // which has a request in the minute in which it ended, however long it took
		w.since = w.since.Add(spec.MaxLatency.D())
	}
	if w.until.Before(w.since) {
		w.until = w.since
	}
	if spec.Evidence == plan.EvidenceBuckets {
		w.until = w.since.Add(w.until.Sub(w.since).Truncate(c.length()))
	}
	return w
}

// length of a bucket: as the plan says, but no slot is divided.
func (c Case) length() time.Duration {
	length := c.Spec.CountingGate().Bucket.D()
	every := max(c.Requests.Every, time.Second)
	return max(every, (length + every - 1).Truncate(every))
}

// bad turns the slots of a latency gate into those of an error rate, with slow requests for errors. Those of which it is not
// known whether they were slow are left to Unclear.
func (c Case) bad(slots []Slot) []Slot {
	if c.Spec.Latency == nil {
		return slots
	}
	slow := make([]Slot, len(slots))
	for i, s := range slots {
		slow[i] = Slot{At: s.At, Requests: s.Requests - s.Unclear, Errors: s.Slow, Unclear: s.Unclear}
	}
	return slow
}

// rule is what the gate's counts are judged by. D_b, by which a bucket is weighed, is fixed beforehand by what the
// old revision got and the share of the new one.
func (c Case) rule() verdict.Rule {
	spec := c.Spec.CountingGate()
	rule := verdict.Rule{
		Limit: float64(c.Spec.Limit()), AlphaPass: spec.AlphaPass, AlphaFail: spec.AlphaFail,
		Evidence: verdict.ByRequests, BucketSeconds: int64(c.length() / time.Second),
	}
	if spec.Probes != nil { // they can fail the gate too
		rule.AlphaFail /= 2
	}
	b := c.Service.Baseline
	if spec.Evidence == plan.EvidenceBuckets {
		rule.Evidence = verdict.ByBuckets
		rule.Expect = b.PerSecond() * float64(c.Service.Percent) / 100 * c.length().Seconds()
	}
	if spec.Compare == plan.CompareOld && c.Spec.ErrorRate != nil && b != nil && b.Requests > 0 {
		rule.Old = &verdict.Window{Requests: b.Requests, Errors: b.Errors}
	}
	return rule
}

// lose notes entries that are known to be lost; nobody knows of which bucket.
func lose(buckets []verdict.Bucket, rule verdict.Rule, dropped int64) []verdict.Bucket {
	if dropped == 0 {
		return buckets
	}
	if len(buckets) == 0 {
		buckets = []verdict.Bucket{{}}
	}
	if dropped < 0 || rule.Evidence == verdict.ByBuckets {
		buckets[0].Dropped = verdict.DroppedUnknown
		return buckets
	}
	buckets[0].Dropped += dropped
	return buckets
}

// passOnProbes reports whether the new revision answers test requests well enough, and users do not say otherwise.
func (j *judged) passOnProbes(spec *plan.Gate) bool {
	n := j.users.Counts()
	contradicted := n.Errors >= 3 && float64(n.Errors) > j.rule.Limit*float64(n.Requests)
	return j.probes.Verdict == verdict.Pass && !spec.UsersOnly && !contradicted
}

// conclude words the outcome and, at an end, leaves the receipt.
func (j *judged) conclude(o *Outcome, c Case, now time.Time) {
	g := j.gate
	o.Note = g.rateNote(o, c, j)
	switch {
	case o.State == StillRunning || o.Label == LabelLittle || o.Label == LabelUnchecked:
		g.Verdict = verdict.Inconclusive // however good it looks, it is no verdict before min_time
	case o.State == Passed:
		g.Verdict = verdict.Pass
	case o.State == FailedState:
		g.Verdict = verdict.Fail
	}
	if o.State != StillRunning {
		g.Receipt = j.receipt(c, g.OnProbes || o.Label == LabelProbes, now)
	}
}

// receipt is what the verdict can be recomputed from, by anybody.
func (j *judged) receipt(c Case, byTests bool, now time.Time) *verdict.Receipt {
	spec, g := c.Spec.CountingGate(), j.gate
	r := verdict.Receipt{
		Target: c.Target.String(), Rollout: c.Rollout, Step: c.Step, Name: c.Spec.Name, Service: c.Service.Name, Revision: g.Revision,
		Source: c.Requests.Source, Query: c.Requests.Query, Since: g.Since, Until: g.Until, Decided: now,
		WarmUpSeconds: spec.WarmUp.D().Seconds(), MinTimeSeconds: spec.MinTime.D().Seconds(),
		MaxLatencySeconds: spec.MaxLatency.D().Seconds(), BudgetSeconds: c.budget().Seconds(),
		Rule: j.rule, Buckets: j.buckets, Late: lateOnes(c.Requests.Slots, g), Result: g.Verdict,
	}
	if byTests {
		r.Probes, r.Buckets, r.Rule, r.Late = true, j.tests, j.testRule(), lateOnes(c.Requests.Probes, g)
	}
	sealed, err := r.Seal()
	if err != nil {
		return nil // of counts that were judged just now: there is nothing that Seal could refuse
	}
	return &sealed
}

// lateOnes is how many requests of a gate's window were logged only after their time had closed.
func lateOnes(slots []Slot, g *Gate) int64 {
	var n int64
	for _, s := range slots {
		if !s.At.Before(g.Since) && s.At.Before(g.Until) {
			n += s.Late
		}
	}
	return n
}

// testRule is what test requests are judged by: each is one of its own, and the old revision got none.
func (j *judged) testRule() verdict.Rule {
	rule := j.rule
	rule.Evidence, rule.Old = verdict.ByRequests, nil
	return rule
}

// JudgeNoLogs decides a no_logs gate at the time now: any line that matches fails it at once. That
// there is none is evidence only once so many requests were served that a fault in min_rate of them
// would have shown with probability 1-alpha.
func JudgeNoLogs(spec *plan.NoLogs, service Service, since time.Time, lines Lines, requests Requests, now time.Time, extra time.Duration) Outcome {
	w := window{since: since, until: requests.closed(spec.MaxLatency.D(), now)}
	if w.until.Before(w.since) {
		w.until = w.since
	}
	g := &Gate{Revision: service.Candidate.Name, Limit: spec.MinRate, Since: w.since, Until: w.until, Hits: lines.Hits, Sample: cut(lines.Sample, 200)}
	for _, b := range w.buckets(requests.Slots, w.until.Sub(w.since)+time.Second) {
		g.Counts.Requests += b.Requests
		g.Counts.Errors += b.Errors
	}
	g.PerSec = w.perSecond(g.Counts.Requests)
	g.Needed = max(0, verdict.AbsenceNeeded(float64(spec.MinRate), spec.Alpha)-g.Counts.Requests)
	g.Verdict = verdict.Inconclusive
	budget := spec.Budget.D() + extra
	if spec.OnInconclusive == plan.InconclusiveExtends {
		budget += ExtraTime
	}
	o := Outcome{State: StillRunning, Gate: g, Again: lookEvery}
	switch {
	case lines.Hits > 0:
		o.State, o.Label, g.Verdict = FailedState, "log_matches", verdict.Fail
		o.Detail = g.Sample
	case g.Needed == 0:
		o.State, g.Verdict = Passed, verdict.Pass
	case !now.Before(since.Add(budget)):
		o.State, o.Label = undecided(spec.OnInconclusive)
	}
	o.Note = g.absenceNote(o.State, o.Label, spec.Match)
	return o
}

func cut(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
