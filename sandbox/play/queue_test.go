package play_test

import (
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// calls are the messages that called somebody out of the line, as they are now.
func calls(messages []fakeslack.Message) (list []fakeslack.Message) {
	for _, m := range messages {
		if m.EphemeralTo == "" && !m.Deleted && strings.Contains(m.Text, "turn") && strings.Contains(m.Text, "*staging*") {
			list = append(list, m)
		}
	}
	return list
}

// callSays waits until the newest call has the words.
func (s *stage) callSays(t *testing.T, words ...string) {
	t.Helper()
	s.must(t, s.Until(within(t), "a call with "+strings.Join(words, " and "), func(messages []fakeslack.Message) bool {
		list := calls(messages)
		if len(list) == 0 {
			return false
		}
		for _, w := range words {
			if !strings.Contains(list[len(list)-1].Text, w) {
				return false
			}
		}
		return true
	}))
}

// Whoever is on call finds staging taken, gets in line with the button on the answer, is called when the
// rollout ends, and deploys with the button on the call.
func TestQueue(t *testing.T) {
	t.Parallel()
	scenario, err := workspace.FindScenario("bad-deploy")
	if err != nil {
		t.Fatal(err)
	}
	scenario.New = scenario.Old // both are healthy
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.must(t, s.Until(within(t), "the question for approval", play.Has("approve")))
		s.must(t, s.Command(within(t), workspace.Oncall, "/deploy staging"))
		s.told(t, workspace.Oncall, "locked by <@U0DEPLOYER", "`/deploy queue staging` gets you in line")
		s.must(t, s.Click(within(t), workspace.Oncall, "queue"))
		s.told(t, workspace.Oncall, "You are the next in line for staging")
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy queue staging"))
		s.told(t, workspace.Deployer, "You are number 2 in line for staging")
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy status"))
		s.told(t, workspace.Deployer, "In line for staging: 1. <@U0ONCALL")

		s.must(t, s.Click(within(t), workspace.Approver, "approve"))
		s.callSays(t, "<@U0ONCALL", "is free and it is your turn")
		ended := time.Now()
		s.must(t, s.Click(within(t), workspace.Approver, "turn"))
		s.told(t, workspace.Approver, "It is the turn of <@U0ONCALL")
		s.must(t, s.Click(within(t), workspace.Oncall, "turn"))
		s.callSays(t, "<@U0ONCALL", "started a rollout in their turn")
		s.must(t, s.Until(within(t), "the question for approval", play.Has("approve")))
		if waited := time.Since(ended); waited > time.Minute {
			t.Errorf("the turn took %s", waited)
		}

		s.must(t, s.Click(within(t), workspace.Approver, "approve"))
		s.callSays(t, "<@U0DEPLOYER", "is free and it is your turn")
		s.callSays(t, "<@U0DEPLOYER", "your turn for *staging* has passed")
		if n := len(calls(s.Slack.Messages(channel))); n != 2 {
			t.Errorf("%d calls for 2 people", n)
		}
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy status"))
		s.told(t, workspace.Deployer, "Nothing is rolling out.")
	})
}
