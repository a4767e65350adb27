package play_test

import (
	"regexp"
	"testing"
	"time"

	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// Whose it is to tell that a new revision fails: its rollout's while that judges it, and then the watch's.

// judging is the plan's gate when it takes no notice of four minutes, in which the new revision fails already.
const judging = "error_rate: {service: backend, below: 20%, warm_up: 4m, min_time: 4m10s, max_latency: 5s}}"

// failing is the scenario of a new image that fails all requests, and of what is to become of the rollout then.
func failing(t *testing.T, onFailure string) workspace.Scenario {
	t.Helper()
	scenario := outage(t)
	scenario.NewServes, scenario.New.ErrorRate = false, 1
	gate := regexp.MustCompile(`error_rate: \{service.*\}`)
	scenario.Plan = gate.ReplaceAllString(scenario.Plan, judging) + "    on_failure: " + onFailure + "\n"
	return scenario
}

// While a rollout judges its revision, that is all that is told of it.
func TestNoIncidentOfARevisionThatIsJudged(t *testing.T) {
	t.Parallel()
	onStageFor(t, failing(t, "rollback"), func(t *testing.T, s *stage) {
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.await(t, func() bool { return len(s.applied(t)) == 3 })
		s.wantUpdates(t, created, all, back)
		time.Sleep(2 * time.Minute)
		if list := s.alerts(); len(list) > 0 {
			t.Errorf("it was told as an incident too: %s", list[0].Text)
		}
		s.card(t)
	})
}

// Once the gate has failed and the traffic stays, as people decide, it is an incident as any other, which names the
// rollout.
func TestIncidentOfARevisionThatIsHeld(t *testing.T) {
	t.Parallel()
	onStageFor(t, failing(t, "ask"), func(t *testing.T, s *stage) {
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.must(t, s.Until(within(t), "the question for a decision", play.Has("rollback")))
		if list := s.alerts(); len(list) > 0 {
			t.Errorf("it was told before the gate had failed: %s", list[0].Text)
		}
		s.must(t, s.Click(within(t), workspace.Deployer, "hold"))
		m := s.begins(t)
		if !regexp.MustCompile(`^backend on staging: 100% errors .*(?s:.*)Revision netra-backend-staging-s\w{6}-1, (rolled out by|which) <@U0DEPLOYER`).MatchString(m.Text) {
			t.Errorf("it does not say whose revision fails: %s", m.Text)
		}
		if got, want := actions(t, m), "[acknowledge rollback logs silence resolve]"; got != want {
			t.Errorf("its buttons are %s, want %s", got, want)
		}
	})
}
