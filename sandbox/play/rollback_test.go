package play_test

import (
	"strings"
	"testing"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// A release that passed is rolled back by a person: at once and without approval, and the target is left
// locked with the reason. Once unlocked, the image asks before it goes out again.
func TestRollbackAndTheImageAgain(t *testing.T) {
	t.Parallel()
	scenario, err := workspace.FindScenario("bad-deploy")
	if err != nil {
		t.Fatal(err)
	}
	scenario.New = scenario.Old // both are healthy
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		s.must(t, s.Approved(within(t)))
		s.ended(t, "Deployed")

		s.must(t, s.Command(within(t), workspace.Oncall, "/deploy rollback staging users complain"))
		s.cardSays(t, "*Rolled back: backend on staging")
		s.wantTraffic(t, "100% STABLE")
		last := s.applied(t)[len(s.applied(t))-1]
		if got := readable(last.Summary); !strings.HasPrefix(got, "traffic, 100% to STABLE") {
			t.Errorf("the rollback did %q", got)
		}

		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.told(t, workspace.Deployer, "locked by <@U0ONCALL", "users complain", "Nothing was started")

		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy unlock staging"))
		s.must(t, s.Until(within(t), "the lock being gone", func(messages []fakeslack.Message) bool {
			return strings.Contains(messages[len(messages)-1].Text, "unlocked staging")
		}))
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.must(t, s.Until(within(t), "the question about the image", play.Has("confirm")))
		if card := play.Card(s.Slack.Messages(channel)); !strings.Contains(card.Text, "was rolled back by oncall at") || !strings.Contains(card.Text, "users complain") {
			t.Errorf("the card does not say why it asks: %s", card.Text)
		}
		s.must(t, s.Click(within(t), workspace.Deployer, "confirm"))
		s.must(t, s.Until(within(t), "the question for approval", play.Has("approve")))
		s.must(t, s.Click(within(t), workspace.Approver, "approve"))
		s.cardSays(t, "*Deployed: backend on staging")
		s.wantTraffic(t, "100% CANDIDATE")
	})
}

// cardSays waits until the newest card begins so.
func (s *stage) cardSays(t *testing.T, start string) {
	t.Helper()
	s.must(t, s.Until(within(t), "a card that begins with "+start, func(messages []fakeslack.Message) bool {
		return strings.HasPrefix(play.Card(messages).Text, start)
	}))
}
