package rollout

import (
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

var t0 = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func seconds(d time.Duration) plan.Duration { return plan.Duration(d) }

func gateSpec() *plan.ErrorRate {
	return &plan.ErrorRate{
		Service: "backend", Below: 0.05, AlphaPass: 0.05, AlphaFail: 0.05,
		WarmUp: seconds(5 * time.Second), MinTime: seconds(20 * time.Second),
		MaxLatency: seconds(5 * time.Second), Budget: seconds(5 * time.Minute),
	}
}

// steady is perSecond requests in each second since t0, of which the first `errors` fail.
func steady(from, to int, perSecond, errors int64) Requests {
	var r Requests
	for i := from; i < to; i++ {
		e := min(errors, perSecond)
		errors -= e
		r.Seconds = append(r.Seconds, Second{At: t0.Add(time.Duration(i) * time.Second), Requests: perSecond, Errors: e})
	}
	r.Watermark = t0.Add(time.Duration(to) * time.Second)
	return r
}

func TestJudgeErrorRate(t *testing.T) {
	old := Service{Name: "backend", Candidate: Revision{Name: "backend-s1-1"}, Baseline: &Baseline{Requests: 1672, Errors: 1204}}
	tests := []struct {
		name     string
		requests Requests
		now      time.Duration
		extra    time.Duration
		state    OutcomeState
		note     string
	}{
		{"nothing closed yet", steady(0, 8, 4, 0), 8 * time.Second, 0, StillRunning, "0 requests, 0 errors. 70 more clean ones to pass."},
		{"warm-up is not counted", steady(0, 5, 100, 500), 20 * time.Second, 0, StillRunning, "0 requests, 0 errors. 70 more clean ones to pass."},
		{"on the way", steady(0, 22, 4, 0), 22 * time.Second, 0, StillRunning, "48 requests, 0 errors. 22 more clean ones to pass (about 6 s)."},
		{"70 clean ones pass", steady(5, 30, 4, 0), 30 * time.Second, 0, Passed, "Errors 72% → 0% (0 of 80), at most 4.3%. Limit 5%: passed."},
		{"not before min_time", steady(0, 15, 40, 0), 15 * time.Second, 0, StillRunning, "200 requests, 0 errors. Looks good; waiting until 20s have passed."},
		{"a window that has not closed is not counted", steady(5, 30, 4, 0), 26 * time.Second, 0, StillRunning, "64 requests, 0 errors. 6 more clean ones to pass (about 2 s)."},
		{"a log that stands still closes no window", steady(5, 10, 100, 0), 4 * time.Minute, 0, StillRunning, "0 requests, 0 errors. 70 more clean ones to pass."},
		{"bad ones fail", steady(5, 15, 4, 12), 15 * time.Second, 0, FailedState, "Errors 72% → 60% (12 of 20). Limit 5%: failed."},
		{"too little for the budget", steady(5, 305, 0, 0), 5 * time.Minute, 0, Inconclusive, "Not enough traffic: 0 of at least 70 requests."},
		{"more budget was given", steady(5, 305, 0, 0), 5 * time.Minute, ExtraTime, StillRunning, "0 requests, 0 errors. 70 more clean ones to pass."},
		{"at the limit nobody can tell", steady(5, 305, 1, 15), 5 * time.Minute, 0, Inconclusive, "Too close to call: 290 requests, 15 errors, limit 5%."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := JudgeErrorRate(gateSpec(), old, t0, tt.requests, t0.Add(tt.now), tt.extra)
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
		{"one hit fails at once", Lines{Hits: 1, Sample: "ModuleNotFoundError: No module named 'auth_service'"}, Requests{}, time.Second, FailedState, `1 log line with "ModuleNotFoundError".`},
		{"silence is no evidence", Lines{}, steady(0, 10, 4, 0), 10 * time.Second, StillRunning, `No "ModuleNotFoundError" in 20 requests so far; 39 more to be sure.`},
		{"59 requests are", Lines{}, steady(0, 20, 4, 0), 20 * time.Second, Passed, `No "ModuleNotFoundError" in 60 requests.`},
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

func TestRate(t *testing.T) {
	for f, want := range map[float64]string{0: "0%", 0.72: "72%", 0.7201: "72%", 0.009: "0.9%", 0.0318: "3.2%", 0.05: "5%", 0.0001: "under 0.1%", 1: "100%"} {
		if got := Rate(f); got != want {
			t.Errorf("Rate(%v) = %q, want %q", f, got, want)
		}
	}
}

// The bound must not read like the limit that it is below of: 0 errors in 70 requests are "at most 4.95%".
func TestAtMostText(t *testing.T) {
	for _, tt := range []struct {
		atMost float64
		want   string
	}{{0.04954, "4.95%"}, {0.03186, "3.2%"}, {0.04999, "4.999%"}, {0.0502, "5.0%"}, {0.30, "30.0%"}} {
		g := Gate{AtMost: tt.atMost, Limit: 0.05}
		if got := g.AtMostText(); got != tt.want || strings.HasPrefix(got, "5.0") && tt.atMost < 0.05 {
			t.Errorf("AtMostText(%v) = %q, want %q", tt.atMost, got, tt.want)
		}
	}
}
