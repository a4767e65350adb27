package commands

import (
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// called gives the services requests in each minute of a day before start.
func called(m *memory) {
	for i := range 24 * 60 {
		m.cloud.slots = append(m.cloud.slots, rollout.Slot{At: start().Add(-time.Duration(i+1) * time.Minute), Requests: 4, Errors: 1})
	}
}

// A picture has finer points than the chart, and they are the same requests.
func TestFine(t *testing.T) {
	for _, length := range []string{"20m", "1h", "24h"} {
		h, m := newHandler(t)
		called(m)
		c := h.Handle(t.Context(), command("UOUTSIDER", "graph staging "+length)).Chart
		if c == nil || c.Fine == nil || c.Fine.Slices != 60 {
			t.Fatalf("%s: %+v", length, c)
		}
		span, _ := time.ParseDuration(length)
		if got := time.Duration(c.Fine.Slices) * c.Fine.Slice; got != span || !c.Fine.Since.Equal(start().Add(-span)) {
			t.Errorf("%s: %d slices of %v since %v", length, c.Fine.Slices, c.Fine.Slice, c.Fine.Since)
		}
		var requests, failed int64
		for i, p := range c.Series[0].Points {
			requests, failed = requests+p.Requests, failed+p.Errors
			if p.Requests == 0 || i > 0 && p.At.Sub(c.Series[0].Points[i-1].At) < c.Fine.Slice {
				t.Errorf("%s: point %d is %+v", length, i, p)
			}
		}
		if want := 4 * int64(span/time.Minute); len(c.Series[0].Points) > 60 || requests != want || failed*4 != want {
			t.Errorf("%s: %d points with %d requests, %d failed; want %d requests", length, len(c.Series[0].Points), requests, failed, want)
		}
		if want := "backend on staging: 25% errors in " + rollout.Period(span); c.Fine.Finding != want {
			t.Errorf("finding %q, want %q", c.Fine.Finding, want)
		}
	}
}

func TestFindingOfTwoServices(t *testing.T) {
	h, m := newHandler(t)
	called(m)
	c := h.Handle(t.Context(), command("UOUTSIDER", "graph preview 1h")).Chart
	if c == nil || c.Fine.Finding != "preview: auth 25%, web 25% errors in 1 h" {
		t.Errorf("%+v", c)
	}
}

// The limit is the alarm's, or else the strictest gate's; different ones are none.
func TestLimit(t *testing.T) {
	gate := func(service string, below plan.Percent) *plan.Step {
		return &plan.Step{Kind: plan.KindErrorRate, ErrorRate: &plan.ErrorRate{Below: below, Gate: plan.Gate{Service: service}}}
	}
	for _, tt := range []struct {
		name   string
		alerts *plan.Alerts
		steps  []*plan.Step
		shown  []string
		want   float64
	}{
		{"alarm", &plan.Alerts{ErrorRate: 0.02, For: []string{"backend"}}, []*plan.Step{gate("backend", 0.05)}, []string{"backend"}, 0.02},
		{"another's alarm", &plan.Alerts{ErrorRate: 0.02, For: []string{"auth"}}, []*plan.Step{gate("backend", 0.05)}, []string{"backend"}, 0.05},
		{"an alarm about something else", &plan.Alerts{CrashOnStart: true, For: []string{"backend"}}, []*plan.Step{gate("backend", 0.05)}, []string{"backend"}, 0.05},
		{"the strictest gate", nil, []*plan.Step{gate("backend", 0.05), gate("backend", 0.03), gate("auth", 0.01)}, []string{"backend"}, 0.03},
		{"none", nil, nil, []string{"backend"}, 0},
		{"the same twice", nil, []*plan.Step{gate("backend", 0.05), gate("auth", 0.05)}, []string{"auth", "backend"}, 0.05},
		{"different ones", nil, []*plan.Step{gate("backend", 0.05), gate("auth", 0.01)}, []string{"auth", "backend"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := &plan.File{
				Environments: []*plan.Environment{{Name: "staging", Plan: "staging", Alerts: tt.alerts, Services: []*plan.Service{
					{Name: "auth", Plan: "staging"}, {Name: "backend", Plan: "staging"},
				}}},
				Plans: []*plan.Plan{{Name: "staging", Phases: []*plan.Phase{{Name: "all", Steps: tt.steps}}}},
			}
			var lines []line
			for _, name := range tt.shown {
				lines = append(lines, line{service: rollout.Service{Name: name}})
			}
			if got := limit(file, plan.Target{Environment: "staging"}, lines); got != tt.want {
				t.Errorf("limit %v, want %v", got, tt.want)
			}
		})
	}
}

// shifting is a rollout of a service whose steps to so many places passed at their times.
func shifting(environment, service string, moves map[plan.TrafficTo]time.Time) rollout.Rollout {
	r := rollout.Rollout{Target: plan.Target{Environment: environment}, End: &rollout.End{}}
	for _, to := range []plan.TrafficTo{plan.ToCandidate, plan.ToStable, plan.ToLatest, plan.ToRevision} {
		if at, ok := moves[to]; ok {
			r.Phases = append(r.Phases, rollout.Phase{Steps: []rollout.Step{{Status: rollout.StepPassed, Ended: at,
				Spec: plan.Step{Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: service, To: to}}}}})
		}
	}
	return r
}

// Rollouts that moved a service's traffic in the window are marked, in their order.
func TestDeploysAreMarked(t *testing.T) {
	ago := func(d time.Duration) time.Time { return start().Add(-d) }
	h, m := newHandler(t)
	called(m)
	m.past = []rollout.Rollout{
		shifting("staging", "backend", map[plan.TrafficTo]time.Time{plan.ToRevision: ago(5 * time.Minute)}),
		shifting("staging", "backend", map[plan.TrafficTo]time.Time{plan.ToCandidate: ago(30 * time.Minute), plan.ToStable: ago(20 * time.Minute), plan.ToLatest: ago(10 * time.Minute)}),
		shifting("staging", "frontend", map[plan.TrafficTo]time.Time{plan.ToCandidate: ago(15 * time.Minute)}),
		shifting("staging", "backend", map[plan.TrafficTo]time.Time{plan.ToCandidate: ago(2 * time.Hour)}),
	}
	for i := range m.past {
		m.past[i].Status, m.past[i].End.Result = rollout.Ended, rollout.Succeeded
	}
	m.rollouts = []rollout.Rollout{
		shifting("staging", "backend", map[plan.TrafficTo]time.Time{plan.ToCandidate: ago(2 * time.Minute)}),
		shifting("preview", "backend", map[plan.TrafficTo]time.Time{plan.ToCandidate: ago(25 * time.Minute)}),
	}
	for i := range m.rollouts {
		m.rollouts[i].End, m.rollouts[i].Status = nil, rollout.Running
	}
	var got []string
	for _, d := range h.Handle(t.Context(), command("UOUTSIDER", "graph staging 1h")).Chart.Fine.Deploys {
		got = append(got, d.What+" "+start().Sub(d.At).String())
	}
	if want := "deploy 30m0s, back on old 20m0s, rollback 5m0s, deploy 2m0s"; strings.Join(got, ", ") != want {
		t.Errorf("marks %q, want %q", got, want)
	}
}

// Without the store there are no marks, and the graph all the same.
func TestGraphWithoutTheStore(t *testing.T) {
	h, m := newHandler(t)
	called(m)
	m.down = true
	c := h.Handle(t.Context(), command("UOUTSIDER", "graph staging 1h")).Chart
	if c == nil || c.Fine == nil || len(c.Fine.Deploys) != 0 {
		t.Errorf("%+v", c)
	}
}
