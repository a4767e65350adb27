package rollout

import (
	"strings"
	"testing"
	"time"

	"slipway/plan"
)

// traffic is a service that got so many requests a second before the rollout, some of which failed.
func traffic(perSecond float64, share float64) Service {
	requests := int64(perSecond * 600)
	return Service{Name: "backend", Baseline: &Baseline{
		Since: t0.Add(-10 * time.Minute), Until: t0, Requests: requests, Errors: int64(share * float64(requests)),
	}}
}

func TestForecast(t *testing.T) {
	gate := func(change func(*plan.Gate)) plan.Step {
		spec := &plan.ErrorRate{Below: 0.05, Gate: plan.Gate{
			Service: "backend", AlphaPass: 0.05, AlphaFail: 0.05, Bucket: seconds(10 * time.Second),
			WarmUp: seconds(30 * time.Second), MinTime: seconds(time.Minute), MaxLatency: seconds(10 * time.Second), Budget: seconds(30 * time.Minute),
		}}
		change(&spec.Gate)
		return plan.Step{Name: "Errors", Kind: plan.KindErrorRate, ErrorRate: spec}
	}
	plain := gate(func(*plan.Gate) {})
	tests := []struct {
		name    string
		step    plan.Step
		service Service
		share   int
		want    string
	}{
		{"at 10%", plain, traffic(2.8, 0.005), 10, "Errors (limit 5%): 70 requests without an error. At 10% of 2.8 requests/s that takes at least 4 min 50 s (usually 6 min 10 s). With test requests: 1 min 15 s."},
		{"an old one that is bad is no example", plain, traffic(2.8, 0.72), 100, "Errors (limit 5%): 70 requests without an error. At 2.8 requests/s that takes at least 1 min 5 s (usually 1 min 25 s)."},
		{"little traffic", plain, traffic(0.4, 0.01), 10, "Errors (limit 5%): 70 requests without an error. At 10% of 0.4 requests/s that takes at least 30 min (usually 50 min). With test requests: 1 min 15 s."},
		{"less", plain, traffic(0.3, 0.01), 10, "longer than its budget of 30 min, so it would end undecided. With test requests: 1 min 15 s."},
		{"hardly any", plain, traffic(0.002, 0), 1, "that takes days: longer than its budget of 30 min, so it would end undecided. With test requests: 1 min 15 s."},
		{"none", plain, Service{}, 10, "how long that takes is unknown, as no requests were seen. With test requests"},
		{"no share", plain, traffic(1, 0), 0, "no step before it gives the new revision traffic, so it would fail."},
		{"by buckets", gate(func(g *plan.Gate) { g.Evidence, g.UsersOnly = plan.EvidenceBuckets, true }), traffic(10, 0.005), 100, "138 times 10 s without an error. At 10 requests/s that takes at least 24 min (usually 26 min)."},
		{"by metrics", plain, Service{Source: FromMetrics, Baseline: traffic(700, 0).Baseline}, 100, "At 700 requests/s that takes at least 4 min 30 s."},
		{"fast enough", plan.Step{Name: "Fast", Kind: plan.KindLatency, Latency: &plan.Latency{Gate: *plain.CountingGate(), Percent: 95, Below: seconds(800 * time.Millisecond)}}, traffic(2.8, 0), 100, "Fast (95% under 800ms): 70 requests without a slow one. At 2.8 requests/s that takes at least 1 min 5 s"},
		{"no lines", plan.Step{Name: "Imports", Kind: plan.KindNoLogs, NoLogs: &plan.NoLogs{Service: "backend", Match: "ModuleNotFoundError", MinRate: 0.05, Alpha: 0.05, MaxLatency: seconds(10 * time.Second), Budget: seconds(30 * time.Minute)}}, traffic(2.8, 0), 100, "Imports (no ModuleNotFoundError): 59 requests without one. At 2.8 requests/s that takes at least 30 s."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Rollout{Services: map[string]Service{"backend": tt.service}, Phases: []Phase{{Steps: []Step{
				{Spec: plan.Step{Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: "backend", Percent: tt.share}}}, {Spec: tt.step},
			}}}}
			if got := r.Forecasts()[0].String(); !strings.Contains(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
