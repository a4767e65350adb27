package bot

import (
	"strings"
	"testing"

	"slipway/rollout"
	"slipway/verdict"
)

// pair is a story about two services: backend as in the others, and auth, whose old revision is good.
func pair(t *testing.T) *story {
	t.Helper()
	s := newStory(t)
	auth := backend()
	auth.Name, auth.CloudRun = "auth", "netra-auth-staging"
	auth.Stable = rollout.Revision{Name: "netra-auth-staging-00007-def"}
	auth.Candidate = rollout.Revision{Name: "netra-auth-staging-sabc234-1"}
	auth.Baseline = &rollout.Baseline{Requests: 1000, Errors: 2}
	s.r.Services["auth"] = auth
	return s
}

func TestWhereTrafficOfSeveralServices(t *testing.T) {
	s := pair(t)
	s.toWorse().say(deployer, rollout.VerbHold, "3.3", "")
	want := "auth: All traffic is on 00007.\nbackend: 10% of the traffic is on the new revision, sabc234-1, and the rest on 00041, until somebody moves it."
	if got := whereTraffic(s.r); string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c := card{r: s.r, names: names, now: s.now}
	if text := c.text(); !strings.Contains(string(text), "*Failed: auth and backend on staging*, 30% errors") {
		t.Errorf("card: %s", text)
	}
}

func TestARollbackOfSeveralServicesNamesEach(t *testing.T) {
	s := goBack(t)
	one, other := s.r.Services["backend"], s.r.Services["backend"]
	one.Percent, other.Percent, other.Name = 100, 100, "auth"
	s.r.Services["backend"], s.r.Services["auth"] = one, other
	hundred := 100
	s.pass("1.1", "", &rollout.ServiceChange{Service: "backend", Percent: &hundred})
	text := string(finished(s.r, names))
	for _, want := range []string{"*Rolled back: auth and backend on staging*", "auth: All traffic is on 00041.", "backend: All traffic is on 00041.", "staging is locked until `/deploy unlock staging`."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}

// Only a service whose old revision is known to be the worse one is compared, and it is named when
// there are others.
func TestWorse(t *testing.T) {
	tests := []struct {
		name string
		tell func(*story)
		want string // "": no comparison
	}{
		{"no traffic yet", func(s *story) { s.toDeploying() }, ""},
		{"nothing counted yet", func(s *story) { s.toGate() }, ""},
		{"the new one is better", func(s *story) { s.toCounting() }, "New 0.8% errors (1 of 118), old 72%"},
		{"the new one is bad and still better", func(s *story) { s.toWorse() }, "New 30% errors (40 of 133), old 72%"},
		{"the old one is good", func(s *story) { s.toRolledBack() }, ""},
		{"the old one is unknown", func(s *story) {
			service := s.r.Services["backend"]
			service.Baseline = nil
			s.r.Services["backend"] = service
			s.toCounting()
		}, ""},
		{"the same rate", func(s *story) {
			s.toGate()
			s.learn(rollout.StepProgress, "3.3", rollout.Outcome{State: rollout.StillRunning, Gate: counts(100, 72, 50, verdict.Inconclusive, 1)})
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, from := range []func(*testing.T) *story{newStory, pair} {
				s := from(t)
				tt.tell(s)
				want := tt.want
				if want != "" && len(s.r.Services) > 1 {
					want = "backend: " + want
				}
				c, ok := worse(s.r)
				if ok != (want != "") || ok && c.String() != want {
					t.Errorf("worse = %s, %v; want %q", c, ok, want)
				}
			}
		})
	}
}
