package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// lookEvery is how often a gate reads the log: entries.list allows 60 calls a minute and project
// (Cloud Logging quotas).
const lookEvery = 10 * time.Second

// GateActions are the step kinds that end in a verdict.
func GateActions(log RequestLog) map[plan.Kind]Action {
	return map[plan.Kind]Action{
		plan.KindErrorRate: gateAction{look: func(ctx context.Context, t Task, since time.Time) (Outcome, error) {
			return lookErrorRate(ctx, log, t, since)
		}},
		plan.KindNoLogs: gateAction{look: func(ctx context.Context, t Task, since time.Time) (Outcome, error) {
			return lookNoLogs(ctx, log, t, since)
		}},
	}
}

// gateAction is a step without any effect: it only looks. Its handle is where its window begins, so
// that whoever goes on with it counts the same requests.
type gateAction struct {
	look func(ctx context.Context, t Task, since time.Time) (Outcome, error)
}

type gateHandle struct {
	Since time.Time `json:"since"`
}

func (g gateAction) Find(context.Context, Task) (string, bool, error) { return "", false, nil }

func (g gateAction) Start(_ context.Context, t Task) (string, error) {
	service := t.Services[t.Step.Service()]
	if service.Candidate.Name == "" {
		return "", &Failure{Label: "no_candidate", Reason: "There is no new revision of " + service.Name + " to look at yet."}
	}
	if service.ShiftedAt.IsZero() {
		return "", &Failure{Label: "no_traffic", Reason: "The new revision of " + service.Name + " gets no traffic yet, so there is nothing to count."}
	}
	h, err := json.Marshal(gateHandle{Since: service.ShiftedAt})
	return string(h), err
}

func (g gateAction) Poll(ctx context.Context, t Task, handle string) (Outcome, error) {
	var h gateHandle
	if err := json.Unmarshal([]byte(handle), &h); err != nil {
		return Outcome{}, &Failure{Label: "internal", Reason: "This gate's record cannot be read.", Err: err}
	}
	o, err := g.look(ctx, t, h.Since)
	var failure *Failure
	if errors.As(err, &failure) { // without data there is no verdict, and a FAIL least of all
		return Outcome{State: Inconclusive, Note: failure.Reason, Detail: failure.Detail, Label: failure.Label}, nil
	}
	return o, err
}

func (g gateAction) Cancel(context.Context, Task, string) error { return nil }

func lookErrorRate(ctx context.Context, log RequestLog, t Task, since time.Time) (Outcome, error) {
	service := t.Services[t.Step.ErrorRate.Service]
	requests, err := log.Requests(ctx, Query{Service: service, Revision: service.Candidate.Name, Since: since})
	if err != nil {
		return Outcome{}, err
	}
	return JudgeErrorRate(t.Step.ErrorRate, service, since, requests, time.Now().UTC(), t.Extra)
}

// JudgeErrorRate decides an error_rate gate at the time now from the requests since the traffic
// shift at since. Only windows that have closed are counted: a request is logged when it ends, and
// slow ones are often the failing ones, so a second of starts is complete only max_latency after it,
// and only once something received later shows that the log is not behind. extra lengthens the budget.
func JudgeErrorRate(spec *plan.ErrorRate, service Service, since time.Time, requests Requests, now time.Time, extra time.Duration) (Outcome, error) {
	gate, err := verdict.NewGate(float64(spec.Below), spec.AlphaPass, spec.AlphaFail)
	if err != nil {
		return Outcome{}, &Failure{Label: "gate", Reason: "This gate cannot decide anything: " + err.Error() + ".", Err: err}
	}
	g := &Gate{Revision: service.Candidate.Name, Limit: spec.Below, Since: since.Add(spec.WarmUp.D())}
	g.count(requests, spec.MaxLatency.D(), now)
	g.AtMost = gate.AtMost(g.Counts)
	g.Needed = gate.CleanNeeded(g.Counts)
	g.Verdict = gate.Judge(g.Counts).Verdict
	o := Outcome{State: StillRunning, Gate: g, Again: lookEvery}
	switch {
	case g.Verdict == verdict.Fail:
		o.State, o.Label = FailedState, "error_rate"
	case g.Verdict == verdict.Pass && !now.Before(since.Add(spec.MinTime.D())):
		o.State = Passed
	case !now.Before(since.Add(spec.Budget.D() + extra)):
		o.State, o.Label = Inconclusive, "not_enough_traffic"
	}
	o.Note = g.errorRateNote(o.State, service.Baseline, spec.MinTime)
	if o.State == StillRunning {
		g.Verdict = verdict.Inconclusive // however good it looks, it is no verdict before min_time
	}
	return o, nil
}

// count fills in what the closed part of the window holds.
func (g *Gate) count(requests Requests, maxLatency time.Duration, now time.Time) {
	seen := now
	if requests.Watermark.Before(now) {
		seen = requests.Watermark
	}
	g.Until = seen.Add(-maxLatency).Truncate(time.Second)
	if g.Until.Before(g.Since) {
		g.Until = g.Since
		return
	}
	var counted []Slot
	for _, s := range requests.Slots {
		if s.At.Before(g.Since) || !s.At.Before(g.Until) {
			continue
		}
		g.Counts.Requests += s.Requests
		g.Counts.Errors += s.Errors
		counted = append(counted, s)
	}
	g.Points = PointsOf(g.Since, g.Until, counted)
	if seconds := g.Until.Sub(g.Since).Seconds(); seconds > 0 {
		g.PerSec = float64(g.Counts.Requests) / seconds
	}
}

func lookNoLogs(ctx context.Context, log RequestLog, t Task, since time.Time) (Outcome, error) {
	spec := t.Step.NoLogs
	service := t.Services[spec.Service]
	lines, err := log.Lines(ctx, service, service.Candidate.Name, spec.Match, t.Created)
	if err != nil {
		return Outcome{}, err
	}
	requests, err := log.Requests(ctx, Query{Service: service, Revision: service.Candidate.Name, Since: since})
	if err != nil {
		return Outcome{}, err
	}
	return JudgeNoLogs(spec, service, since, lines, requests, time.Now().UTC(), t.Extra), nil
}

// JudgeNoLogs decides a no_logs gate at the time now: any line that matches fails it at once. That
// there is none is evidence only once so many requests were served that a fault in min_rate of them
// would have shown with probability 1-alpha.
func JudgeNoLogs(spec *plan.NoLogs, service Service, since time.Time, lines Lines, requests Requests, now time.Time, extra time.Duration) Outcome {
	g := &Gate{Revision: service.Candidate.Name, Limit: spec.MinRate, Since: since, Hits: lines.Hits, Sample: cut(lines.Sample, 200)}
	g.count(requests, spec.MaxLatency.D(), now)
	g.Points = nil
	g.Needed = max(0, verdict.AbsenceNeeded(float64(spec.MinRate), spec.Alpha)-g.Counts.Requests)
	g.Verdict = verdict.Inconclusive
	o := Outcome{State: StillRunning, Gate: g, Again: lookEvery}
	switch {
	case lines.Hits > 0:
		o.State, o.Label, g.Verdict = FailedState, "log_matches", verdict.Fail
		o.Detail = g.Sample
	case g.Needed == 0:
		o.State, g.Verdict = Passed, verdict.Pass
	case !now.Before(since.Add(spec.Budget.D() + extra)):
		o.State, o.Label = Inconclusive, "not_enough_traffic"
	}
	o.Note = g.absenceNote(o.State, spec.Match)
	return o
}

func cut(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
