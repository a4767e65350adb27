package rollout

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

var t0 = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func seconds(d time.Duration) plan.Duration { return plan.Duration(d) }

func gateSpec() *plan.ErrorRate {
	return &plan.ErrorRate{Below: 0.05, Gate: plan.Gate{
		Service: "backend", AlphaPass: 0.05, AlphaFail: 0.05, Bucket: seconds(10 * time.Second),
		WarmUp: seconds(5 * time.Second), MinTime: seconds(20 * time.Second),
		MaxLatency: seconds(5 * time.Second), Budget: seconds(5 * time.Minute),
	}}
}

// steady is perSecond requests in each second since t0, of which the first `errors` fail.
func steady(from, to int, perSecond, errors int64) Requests {
	var r Requests
	for i := from; i < to; i++ {
		e := min(errors, perSecond)
		errors -= e
		r.Slots = append(r.Slots, Slot{At: t0.Add(time.Duration(i) * time.Second), Requests: perSecond, Errors: e})
	}
	r.Watermark = t0.Add(time.Duration(to) * time.Second)
	return r
}

func TestJudgeRate(t *testing.T) {
	old := Service{Name: "backend", Candidate: Revision{Name: "backend-s1-1"}, Baseline: &Baseline{Requests: 1672, Errors: 1204}}
	tests := []struct {
		name     string
		requests Requests
		now      time.Duration
		extra    time.Duration
		state    OutcomeState
		note     string
	}{
		{"nothing closed yet", steady(0, 8, 4, 0), 8 * time.Second, 0, StillRunning, "No requests yet. 70 more clean ones to pass."},
		{"warm-up is not counted", steady(0, 5, 100, 500), 20 * time.Second, 0, StillRunning, "No requests yet. 70 more clean ones to pass."},
		{"on the way", steady(0, 22, 4, 0), 22 * time.Second, 0, StillRunning, "48 requests, no errors. 22 more clean ones to pass (about 5 s)."},
		{"70 clean ones pass", steady(5, 30, 4, 0), 30 * time.Second, 0, Passed, "Errors 72% (1,204 of 1,672) → 0% (0 of 80), at most 4.4%. Limit 5%: passed."},
		{"not before min_time", steady(0, 15, 40, 0), 15 * time.Second, 0, StillRunning, "200 requests, no errors. Enough to pass, but not before 20s are over."},
		{"a window that has not closed is not counted", steady(5, 30, 4, 0), 26 * time.Second, 0, StillRunning, "64 requests, no errors. 6 more clean ones to pass (about 5 s)."},
		{"a log that stands still closes no window", steady(5, 10, 100, 0), 4 * time.Minute, 0, StillRunning, "No requests yet. 70 more clean ones to pass."},
		{"bad ones fail", steady(5, 15, 4, 12), 15 * time.Second, 0, FailedState, "Errors 72% (1,204 of 1,672) → 60% (12 of 20). Limit 5%: failed."},
		{"too little for the budget", steady(5, 305, 0, 0), 5 * time.Minute, 0, Inconclusive, "Not enough traffic: 0 of at least 70 requests."},
		{"more budget was given", steady(5, 305, 0, 0), 5 * time.Minute, ExtraTime, StillRunning, "No requests yet. 70 more clean ones to pass."},
		{"at the limit nobody can tell", steady(5, 305, 1, 15), 5 * time.Minute, 0, Inconclusive, "Too close to call: errors 5.2% (15 of 290), limit 5%."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec := plan.Step{Name: "Errors", Kind: plan.KindErrorRate, ErrorRate: gateSpec()}
			o, err := JudgeRate(Case{Spec: spec, Service: old, Since: t0, Requests: tt.requests, Extra: tt.extra}, t0.Add(tt.now))
			if err != nil {
				t.Fatal(err)
			}
			if o.State != tt.state || o.Note != tt.note {
				t.Errorf("got %s %q\nwant %s %q", o.State, o.Note, tt.state, tt.note)
			}
			if (o.State == Passed) != (o.Gate.Verdict == verdict.Pass) {
				t.Errorf("state %s with the verdict %s", o.State, o.Gate.Verdict)
			}
			if len(o.Gate.Points) > maxPoints {
				t.Errorf("%d points; Slack draws at most %d", len(o.Gate.Points), maxPoints)
			}
		})
	}
}

func TestJudgeNoLogs(t *testing.T) {
	spec := &plan.NoLogs{Service: "backend", Match: "ModuleNotFoundError", MinRate: 0.05, Alpha: 0.05, MaxLatency: seconds(5 * time.Second), Budget: seconds(time.Minute)}
	service := Service{Name: "backend", Candidate: Revision{Name: "backend-s1-1"}}
	tests := []struct {
		name     string
		lines    Lines
		requests Requests
		now      time.Duration
		state    OutcomeState
		note     string
	}{
		{"one hit fails at once", Lines{Hits: 1, Sample: "ModuleNotFoundError: No module named 'auth_service'"}, Requests{}, time.Second, FailedState, "ModuleNotFoundError: 1 log line. The first: ModuleNotFoundError: No module named 'auth_service'"},
		{"silence is no evidence", Lines{}, steady(0, 10, 4, 0), 10 * time.Second, StillRunning, "No ModuleNotFoundError in 20 requests so far. 39 more to be sure (about 10 s)."},
		{"59 requests are", Lines{}, steady(0, 20, 4, 0), 20 * time.Second, Passed, "No ModuleNotFoundError in 60 requests."},
		{"never enough", Lines{}, steady(0, 60, 0, 0), time.Minute, Inconclusive, "Not enough traffic: 0 of at least 59 requests."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := JudgeNoLogs(spec, service, t0, tt.lines, tt.requests, t0.Add(tt.now), 0)
			if o.State != tt.state || o.Note != tt.note {
				t.Errorf("got %s %q\nwant %s %q", o.State, o.Note, tt.state, tt.note)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Percent(0.7201), "72%"}, {Percent(0.00898), "0.9%"}, {Percent(0.05), "5%"}, {Percent(0), "0%"}, {Percent(1), "100%"},
		{Percent(0.0004), "0.04%"}, {Percent(0.123), "12%"},
		{PercentUp(0.032, 0.05), "3.2%"}, {PercentUp(0.0321, 0.05), "3.3%"}, {PercentUp(0.0496, 0.05), "4.96%"},
		{PercentUp(0.04999, 0.05), "4.999%"}, {PercentUp(0.31, 0.05), "31%"}, {PercentUp(0.05, 0.05), "5%"},
		{Count(7), "7"}, {Count(1204), "1,204"}, {Count(1234567), "1,234,567"}, {Count(-1204), "-1,204"}, {Count(100), "100"},
		{Counted(0, "error"), "no errors"}, {Counted(1, "error"), "1 error"}, {Counted(1204, "error"), "1,204 errors"},
		{Period(15 * time.Second), "15 s"}, {Period(130 * time.Second), "2 min 10 s"}, {Period(65 * time.Minute), "1 h 5 min"},
		{Period(15 * time.Minute), "15 min"}, {Period(2 * time.Hour), "2 h"}, {Period(0), "0 s"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// The sentences of the card, as someone on call reads them.
func TestEvidence(t *testing.T) {
	gate := func(requests, errors, needed int64, atMost float64) *Gate {
		return &Gate{Limit: 0.05, Counts: verdict.Counts{Requests: requests, Errors: errors}, AtMost: atMost, Needed: needed, PerSec: 0.4}
	}
	old := &Baseline{Requests: 1672, Errors: 1204}
	note := func(g *Gate, state OutcomeState, before *Baseline) string {
		spec := gateSpec()
		spec.MinTime = plan.Duration(time.Minute)
		c := Case{Spec: plan.Step{Kind: plan.KindErrorRate, ErrorRate: spec}, Service: Service{Baseline: before}}
		return g.rateNote(&Outcome{State: state}, c, &judged{gate: g})
	}
	for _, tt := range []struct{ got, want string }{
		{note(gate(118, 1, 6, 0.06), StillRunning, old), "118 requests, 1 error. 6 more clean ones to pass (about 15 s)."},
		{note(gate(334, 3, 0, 0.032), Passed, old), "Errors 72% (1,204 of 1,672) → 0.9% (3 of 334), at most 3.2%. Limit 5%: passed."},
		{note(gate(133, 40, 9, 1), FailedState, nil), "Errors 30% (40 of 133). Limit 5%: failed."},
		{note(gate(12, 0, 58, 1), Inconclusive, old), "Not enough traffic: 12 of at least 70 requests."},
		{note(gate(90, 2, 100, 1), Inconclusive, old), "Not enough traffic: 90 requests, 2 errors; at least 100 more clean ones needed."},
		{note(gate(90, 9, math.MaxInt64, 1), Inconclusive, old), "Too close to call: errors 10% (9 of 90), limit 5%."},
		{note(gate(0, 0, 70, 1), StillRunning, nil), "No requests yet. 70 more clean ones to pass (about 2 min 55 s)."},
		{note(gate(90, 0, 0, 0.04), StillRunning, nil), "90 requests, no errors. Enough to pass, but not before 1m are over."},
		{note(gate(90, 40, math.MaxInt64, 1), StillRunning, nil), "90 requests, 40 errors. Too many errors to pass soon."},
	} {
		if tt.got != tt.want {
			t.Errorf("got  %q\nwant %q", tt.got, tt.want)
		}
	}
}

// refusing is a log that may not be read, or does not answer.
type refusing struct{ err error }

func (l refusing) Requests(context.Context, Query) (Requests, error) {
	return Requests{}, l.err
}

func (l refusing) Lines(context.Context, Service, string, string, time.Time) (Lines, error) {
	return Lines{}, l.err
}

// Without data there is no verdict: a log that may not be read leaves a gate undecided, it does not fail
// the release. One that does not answer just now is asked again.
func TestGateWithoutALog(t *testing.T) {
	denied := &Failure{Label: "permission_denied", Reason: "Slipway may not read the logs of netra-staging.", Detail: "gcloud projects add-iam-policy-binding …"}
	task := Task{Services: map[string]Service{"backend": {Name: "backend", Candidate: Revision{Name: "backend-s1-1"}, ShiftedAt: t0}}}
	for kind, spec := range map[plan.Kind]plan.Step{
		plan.KindErrorRate: {Kind: plan.KindErrorRate, ErrorRate: gateSpec()},
		plan.KindNoLogs:    {Kind: plan.KindNoLogs, NoLogs: &plan.NoLogs{Service: "backend", Match: "Error", MinRate: 0.05, Alpha: 0.05}},
	} {
		task.Step = spec
		handle, err := GateActions(refusing{}, nil)[kind].Start(t.Context(), task)
		if err != nil {
			t.Fatal(err)
		}
		o, err := GateActions(refusing{denied}, nil)[kind].Poll(t.Context(), task, handle)
		if err != nil || o.State != Inconclusive || o.Note != denied.Reason || o.Detail != denied.Detail {
			t.Errorf("%s, refused: %+v, %v", kind, o, err)
		}
		if _, err := GateActions(refusing{errors.New("unavailable")}, nil)[kind].Poll(t.Context(), task, handle); err == nil {
			t.Errorf("%s, no answer: no error, so it is not asked again", kind)
		}
	}
}
