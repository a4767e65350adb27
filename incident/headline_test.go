package incident

import (
	"fmt"
	"testing"
	"time"

	"slipway/plan"
)

// fails is a fault of a service that began so many minutes after noon, with errors in 100 requests.
func fails(service string, kind Kind, after, errors int64) Incident {
	i := Incident{State: Firing, Opened: noon()}
	i.Key = Key{Target: plan.Target{Environment: "staging", Service: service}, Kind: kind}
	i.Evidence = Evidence{Since: noon().Add(time.Duration(after) * time.Minute), Requests: 100, Errors: errors}
	i.Match, i.Revision = "KeyError", service+"-00042"
	return i
}

func in(state State, i Incident) Incident {
	i.State = state
	i.Evidence.Until = i.Evidence.Since.Add(10 * time.Minute)
	return i
}

// One line tells what several faults are, whatever their order.
func TestHeadlineOfSeveral(t *testing.T) {
	backend, auth, api := fails("backend", ErrorRate, 2, 72), fails("auth", ErrorRate, 3, 40), fails("api", ErrorRate, 2, 12)
	production := auth
	production.Key.Target.Environment = "production"
	var ten []Incident
	for n := range int64(10) {
		ten = append(ten, fails(fmt.Sprintf("s%d", n), ErrorRate, n, 90-n))
	}
	limited := backend
	limited.Limit = 0.05
	tests := []struct {
		of   []Incident
		want string
	}{
		{[]Incident{limited}, "backend on staging: 72% errors since 12:02 UTC (limit 5%)"},
		{[]Incident{fails("backend", LogMatches, 1, 3), limited, fails("backend", CrashOnStart, 1, 2)},
			`backend on staging: 72% errors since 12:02 UTC (limit 5%); also: crashes on start, "KeyError" 3 times`},
		{[]Incident{limited, in(Resolved, fails("backend", Latency, 1, 30))}, "backend on staging: 72% errors since 12:02 UTC (limit 5%)"},
		{[]Incident{fails("backend", ErrorRate, 1, 8), fails("backend", SlowLeak, 0, 8), fails("backend", Pinned, 0, 0)},
			"backend on staging: 8% errors since 12:01 UTC; also: a slow leak, pinned to backend-00042"},
		{[]Incident{api, backend, auth}, "3 services on staging fail since 12:02 UTC: backend 72%, auth 40%, api 12% errors"},
		{[]Incident{api, fails("auth", CrashOnStart, 1, 2), backend}, "3 services on staging fail since 12:01 UTC: backend 72%, api 12% errors, auth crashes on start"},
		{[]Incident{fails("auth", NoReadyRevision, 1, 0), backend}, "2 services on staging fail since 12:01 UTC: auth has no revision that can serve, backend 72% errors"},
		{[]Incident{backend, fails("backend", Latency, 0, 50), auth}, "2 services on staging fail since 12:00 UTC: backend 72%, auth 40% errors"},
		{[]Incident{backend, production}, "2 services fail since 12:02 UTC: backend on staging 72%, auth on production 40% errors"},
		{[]Incident{in(Resolved, backend), auth}, "auth on staging: 40% errors since 12:03 UTC"},
		{[]Incident{in(Resolved, backend), in(Resolved, auth)}, "Resolved: 2 services on staging failed 12:02–12:13 UTC: backend 72%, auth 40% errors"},
		{[]Incident{in(Flapping, backend), in(Flapping, auth)}, "Flapping: 2 services on staging fail since 12:02 UTC: backend 72%, auth 40% errors"},
		{[]Incident{in(Flapping, backend), auth}, "2 services on staging fail since 12:02 UTC: backend 72%, auth 40% errors"},
		{ten, "10 services on staging fail since 12:00 UTC: s0 90%, s1 89%, s2 88%, s3 87%, s4 86% errors and 5 more"},
	}
	for _, tt := range tests {
		if got := HeadlineOf(tt.of).At(noon()); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
