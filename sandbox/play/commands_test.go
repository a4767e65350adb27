package play_test

import (
	"slices"
	"strings"
	"testing"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/workspace"
)

// What changes nothing answers only who asked, with the facts of the moment; a graph is a picture for all.
func TestCommandsThatLook(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *stage) {
		for command, words := range map[string][]string{
			"status staging":  {"Waiting for <!subteam^S0RELEASEMANAGERS", "errors 72% ("},
			"plan staging":    {"develop-long-lived", "Errors at 10%", "<!subteam^S0RELEASEMANAGERS"},
			"history staging": {"staging"},
			"help":            {"/deploy rollback", "/deploy pause"},
		} {
			before := len(s.answers(workspace.Oncall))
			s.must(t, s.Command(within(t), workspace.Oncall, "/deploy "+command))
			s.must(t, s.Until(within(t), "the answer to "+command, func([]fakeslack.Message) bool { return len(s.answers(workspace.Oncall)) > before }))
			for _, word := range words {
				if answer := s.answers(workspace.Oncall)[before:]; !strings.Contains(answer, word) {
					t.Errorf("%s does not say %q:\n%s", command, word, answer)
				}
			}
		}
		s.must(t, s.Command(within(t), workspace.Oncall, "/deploy graph staging"))
		s.must(t, s.Until(within(t), "the graph, for all to see", func(list []fakeslack.Message) bool {
			return slices.ContainsFunc(list, func(m fakeslack.Message) bool {
				return m.EphemeralTo == "" && strings.Contains(m.Text, "72") && strings.Contains(string(m.Blocks), `"slack_file"`)
			})
		}))
	})
}

// Slash commands do not work in threads; a mention does there what they do, but starts nothing.
func TestMentionInTheThread(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *stage) {
		card := s.card(t)
		say := func(text string) {
			_, err := s.Slack.Mention(within(t), fakeslack.MentionRequest{User: workspace.Oncall, Channel: channel, ThreadTS: card.TS, Text: "<@U0SLIPWAY> " + text})
			s.must(t, err)
		}
		say("status staging")
		s.told(t, workspace.Oncall, "Waiting for <!subteam^S0RELEASEMANAGERS")
		say("staging")
		s.told(t, workspace.Oncall, "Rollouts are started with `/deploy staging`")
		for _, m := range s.Slack.Messages(channel) {
			if m.EphemeralTo == workspace.UserID(workspace.Oncall) && m.ThreadTS != card.TS {
				t.Errorf("answered outside the thread: %s", m.Text)
			}
		}
		s.must(t, s.Command(within(t), workspace.Oncall, "/deploy abort staging enough seen"))
		s.ended(t, "Stopped")
	})
}
