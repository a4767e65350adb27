package play_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/workspace"
)

// publicly are what the app told everybody in the channel that is no card.
func (s *stage) publicly() string {
	var told strings.Builder
	for _, m := range s.Slack.Messages(channel) {
		if m.User == "U0SLIPWAY" && m.ThreadTS == "" && m.EphemeralTo == "" && strings.Contains(m.Text, "without Redis") {
			told.WriteString(m.Text + "\n")
		}
	}
	return told.String()
}

// While Redis is away, the card's button rolls back all the same: for those who may, once however often Slack
// sends the click, and everybody is told. The rollout that was under way finds it and overwrites nothing.
func TestRollingBackByTheCardWithoutRedis(t *testing.T) {
	for _, message := range []string{readOnly, full} {
		kind, _, _ := strings.Cut(message, " ")
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			onStageFor(t, quiet(t), func(t *testing.T, s *stage) {
				s.deployTo10(t)
				s.must(t, s.Until(within(t), "the button", func([]fakeslack.Message) bool {
					return strings.Contains(string(s.card(t).Blocks), "Stop and roll back")
				}))
				card := s.card(t).TS
				s.RefuseRedis(message)
				before := s.settledUpdates(t)

				s.must(t, s.Click(within(t), workspace.Outsider, "abort"))
				s.told(t, workspace.Outsider, "Only", "roll back staging")
				if now := len(s.applied(t)); now != before {
					t.Fatalf("an outsider's click made %d updates", now-before)
				}

				s.Slack.Fault(fakeslack.Fault{Kind: fakeslack.FaultDuplicate, Method: "interactive", Count: 1})
				s.must(t, s.Click(within(t), workspace.Deployer, "abort"))
				s.told(t, workspace.Deployer, "cannot use its store (Redis)", "straight at Cloud Run")
				s.must(t, s.Until(within(t), "what was done", func([]fakeslack.Message) bool { return s.publicly() != "" }))
				s.wantTraffic(t, "100% STABLE")
				time.Sleep(20 * time.Second)
				if told := s.publicly(); strings.Count(told, "rolled back staging") != 1 || !strings.Contains(told, "not in the history") || !strings.Contains(told, "finds its service changed") {
					t.Errorf("everybody was told %q", told)
				}
				s.wantUpdates(t, created, tenth, back)

				s.RefuseRedis("")
				s.must(t, s.Until(within(t), "the rollout noticing", func(messages []fakeslack.Message) bool {
					return slices.ContainsFunc(messages, func(m fakeslack.Message) bool {
						return m.TS == card && strings.Contains(m.Text, "was changed")
					})
				}))
				s.wantTraffic(t, "100% STABLE")
				s.wantUpdates(t, created, tenth, back)
			})
		})
	}
}

// The same by command; and whoever repeats it is told that it is done. All else says that nothing was done.
func TestRollingBackByCommandWithoutRedis(t *testing.T) {
	t.Parallel()
	onStageFor(t, quiet(t), func(t *testing.T, s *stage) {
		s.must(t, s.Approved(within(t)))
		s.ended(t, "Deployed")
		s.RefuseRedis(loading)
		before := s.settledUpdates(t)
		s.wantRefused(t)
		s.must(t, s.Command(within(t), workspace.Outsider, "/deploy rollback staging"))
		s.told(t, workspace.Outsider, "Only", "roll back staging")

		s.must(t, s.Command(within(t), workspace.Oncall, "/deploy rollback staging"))
		s.must(t, s.Until(within(t), "what was done", func([]fakeslack.Message) bool { return s.publicly() != "" }))
		s.wantTraffic(t, "100% STABLE")
		s.must(t, s.Command(within(t), workspace.Oncall, "/deploy rollback staging"))
		s.told(t, workspace.Oncall, "staging was not rolled back", "there is nothing to go back from")
		if now := len(s.applied(t)); now != before+1 {
			t.Errorf("%d updates of the service for one way back", now-before)
		}
	})
}

// A cloud that refuses is no reason to say less: what is wrong, with the command that helps.
func TestRollingBackWithoutRedisFails(t *testing.T) {
	t.Parallel()
	onStageFor(t, quiet(t), func(t *testing.T, s *stage) {
		s.deployTo10(t)
		s.RefuseRedis(loading)
		before := s.settledUpdates(t)
		s.must(t, s.Cloud.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultError, Code: "PERMISSION_DENIED", Count: 1}))
		s.must(t, s.Command(within(t), workspace.Oncall, "/deploy rollback staging"))
		s.told(t, workspace.Oncall, "staging was not rolled back", "backend: ", "gcloud run services add-iam-policy-binding")
		if s.publicly() != "" || len(s.applied(t)) != before {
			t.Errorf("told %q, %d updates", s.publicly(), len(s.applied(t))-before)
		}
	})
}
