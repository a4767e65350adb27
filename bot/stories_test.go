package bot

import (
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// stories are the states whose looks are kept in testdata.
var stories = []struct {
	name string
	from func(*testing.T) *story // nil: newStory
	tell func(*story)
}{
	{"just_started", nil, func(*story) {}},
	{"waiting_for_approval", nil, func(s *story) { s.toApproval() }},
	{"deploying", nil, func(s *story) { s.toDeploying() }},
	{"gate_at_10", nil, func(s *story) { s.toCounting() }},
	{"succeeded", nil, (*story).toSucceeded},
	{"rolled_back", nil, func(s *story) { s.toRolledBack() }},
	{"failed", nil, (*story).toFailed},
	{"inconclusive", nil, (*story).toInconclusive},
	{"stopping", nil, func(s *story) { s.toDeploying().say(approver, rollout.VerbAbort, "", "wrong <branch>") }},
	{"aborted", nil, func(s *story) {
		s.toDeploying().say(approver, rollout.VerbAbort, "", "wrong <branch>")
		s.learn(rollout.StepEnded, "3.1", rollout.Outcome{State: rollout.Cancelled, Note: "Cancelled."})
		s.advance(time.Second)
	}},
	{"aborted_at_10", nil, func(s *story) { s.wasHealthy().toCounting().say(deployer, rollout.VerbAbort, "", "") }},
	{"held_at_10", nil, func(s *story) {
		s.toCounting().say(deployer, rollout.VerbHold, "", "looking at the logs")
		s.learn(rollout.StepEnded, "3.3", rollout.Outcome{State: rollout.Cancelled, Note: "Cancelled."})
		s.advance(time.Second)
	}},
	{"return_failed", nil, func(s *story) {
		s.wasHealthy().toCounting().say(deployer, rollout.VerbAbort, "", "")
		s.learn(rollout.StepEnded, "3.3", rollout.Outcome{State: rollout.Cancelled, Note: "Cancelled."})
		s.cannotMove("6.1")
		s.advance(time.Second)
	}},
	{"worse", nil, func(s *story) { s.toWorse() }},
	{"worse_held", nil, func(s *story) { s.toWorse().say(approver, rollout.VerbHold, "3.3", "") }},
	{"worse_expired", nil, func(s *story) { s.toWorse().advance(31 * time.Minute) }},
	{"worse_aborted", nil, func(s *story) {
		s.toCounting().say(deployer, rollout.VerbAbort, "", "")
		s.learn(rollout.StepEnded, "3.3", rollout.Outcome{State: rollout.Cancelled, Note: "Cancelled."})
	}},
	{"worse_inconclusive", nil, (*story).lacks},
	{"worse_paused", nil, func(s *story) { s.toCounting().say(deployer, rollout.VerbPause, "", "") }},
	{"manual_at_10", byHand(true), func(s *story) {
		s.wasHealthy().toDeploying().advance(10 * time.Second)
		candidate, ten := rollout.Revision{Name: "netra-backend-staging-sabc234-1"}, 10
		s.learn(rollout.StepEnded, "3.1", rollout.Outcome{State: rollout.Passed, Change: &rollout.ServiceChange{Service: "backend", Candidate: &candidate}})
		s.pass("3.2", "10% of the traffic is on the new revision.", &rollout.ServiceChange{Service: "backend", Percent: &ten})
	}},
	{"again", oncemore, func(s *story) {
		s.say(deployer, rollout.VerbConfirm, "1.1", "")
	}},
	{"unsafe", nil, func(s *story) { s.toUnsafe() }},
	{"unsafe_rolled_back", nil, func(s *story) {
		s.toUnsafe().advance(time.Minute)
		s.say(approver, rollout.VerbRollback, "3.3", "")
		zero := 0
		s.pass("6.1", "All traffic is back on netra-backend-staging-00041-abc.", &rollout.ServiceChange{Service: "backend", Percent: &zero})
	}},
	{"unsafe_before_traffic", nil, func(s *story) { s.unsafe().toDeploying() }},
	{"inconclusive_expired", nil, func(s *story) { s.toInconclusive(); s.advance(31 * time.Minute) }},
	{"manual", byHand(false), func(s *story) { s.toApproval() }},
	{"manual_done", byHand(false), func(s *story) {
		s.toApproval().say(deployer, rollout.VerbConfirm, "1.3", "")
	}},
	{"manual_expired", byHand(false), func(s *story) { s.toApproval().advance(61 * time.Minute) }},
	{"failed_before", oncemore, func(*story) {}},
	{"paused", nil, func(s *story) { s.wasHealthy().toCounting().say(deployer, rollout.VerbPause, "", "lunch") }},
	{"resumed", nil, func(s *story) {
		s.wasHealthy().toCounting().say(deployer, rollout.VerbPause, "", "lunch")
		s.say(approver, rollout.VerbResume, "pause", "")
	}},
	{"rollback_running", goBack, func(s *story) { s.start("1.1") }},
	{"rollback_done", goBack, func(s *story) {
		hundred := 100
		s.pass("1.1", "100% of the traffic goes to netra-backend-staging-00041-abc.", &rollout.ServiceChange{Service: "backend", Percent: &hundred})
	}},
	{"rollback_stuck", goBack, func(s *story) {
		s.cannotMove("1.1")
	}},
	{"rollback_failed", goBack, func(s *story) {
		s.cannotMove("1.1")
		s.advance(31 * time.Minute)
	}},
	{"long_words", nil, func(s *story) {
		s.toDeploying().advance(40 * time.Second)
		s.r.OnFailure = plan.OnFailureAsk
		s.learn(rollout.StepEnded, "3.1", rollout.Outcome{State: rollout.FailedState, Note: strings.Repeat("The container <printed> this & much more. ", 60)})
		s.advance(0)
	}},
	{"rejected", nil, func(s *story) { s.toApproval().say(approver, rollout.VerbReject, "2.1", "not today") }},
	{"expired", nil, func(s *story) { s.toApproval().advance(31 * time.Minute) }},
	{name: "watched", tell: (*story).toWatched},
	{name: "held", tell: (*story).toHeld},
	{name: "failed_late", tell: (*story).toFailedLate},
}

func byHand(moved bool) func(*testing.T) *story {
	return func(t *testing.T) *story { t.Helper(); return begin(t, manualPlan(moved)) }
}

func oncemore(t *testing.T) *story {
	t.Helper()
	return begin(t, seedPlan(), "develop-long-lived@3f9a1c2 of backend was rolled back at Nov 21 16:02 UTC: Errors 0.5% → 30% (40 of 133). Limit 5%: failed.")
}

// cannotMove uses up the attempts of a step that moves traffic.
func (s *story) cannotMove(id string) {
	for range 6 {
		s.start(id)
		s.learn(rollout.StepEnded, id, rollout.Outcome{State: rollout.FailedState, Note: "Cloud Run could not move the traffic of backend."})
	}
}

// each runs a test on every story: from begins it, tell makes it come to where it is looked at.
func each(t *testing.T, run func(t *testing.T, name string, from func(*testing.T) *story, tell func(*story))) {
	t.Helper()
	for _, tt := range stories {
		t.Run(tt.name, func(t *testing.T) {
			from := tt.from
			if from == nil {
				from = newStory
			}
			run(t, tt.name, from, tt.tell)
		})
	}
}
