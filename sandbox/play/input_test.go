package play_test

import (
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// Bad input, over the whole app: each has a clear answer, and nothing is lost by it.

// waiting is a stage whose rollout waits for approval.
func waiting(t *testing.T, test func(t *testing.T, s *stage)) {
	t.Helper()
	onStage(t, "ssot", func(t *testing.T, s *stage) {
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.must(t, s.Until(within(t), "the question for approval", play.Has("approve")))
		test(t, s)
	})
}

// told waits until the person was told something with all the words.
func (s *stage) told(t *testing.T, name string, words ...string) {
	t.Helper()
	s.must(t, s.Until(within(t), name+" being told "+strings.Join(words, ", "), func([]fakeslack.Message) bool {
		for _, word := range words {
			if !strings.Contains(s.answers(name), word) {
				return false
			}
		}
		return true
	}))
}

// forced clicks what may not be there: an old client does, and so does who forges a payload.
func (s *stage) forced(t *testing.T, user, action, value string) {
	t.Helper()
	_, err := s.Slack.Click(t.Context(), fakeslack.ClickRequest{
		User: user, Channel: channel, TS: s.card(t).TS, ActionID: action, Value: value, Force: true,
	})
	s.must(t, err)
}

func TestForgedClicksAreAnswered(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *stage) {
		before := s.card(t).Text
		s.forced(t, workspace.Approver, "launch_missiles", "aaaaaa|2.1|1")
		s.told(t, workspace.Approver, "button")
		s.forced(t, workspace.Outsider, "approve", "zzzzzz|2.1|1")
		s.told(t, workspace.Outsider, "zzzzzz", "Nothing was done")
		if after := s.card(t).Text; after != before {
			t.Errorf("a forged click changed the card:\n%s\nwas:\n%s", after, before)
		}
		s.wantUpdates(t)
	})
}

func TestClickOnTheCardOfAFinishedRollout(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *stage) {
		value := s.buttonValue(t, "approve")
		s.must(t, s.Click(within(t), workspace.Approver, "reject"))
		s.ended(t, "Rejected")
		s.forced(t, workspace.Oncall, "approve", value)
		s.told(t, workspace.Oncall, "<@U0APPROVER", "rejected")
		s.wantUpdates(t)
	})
}

func TestMarkupInAReasonMentionsNobody(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *stage) {
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy abort staging <!channel> & <b>never</b> <@U0OUTSIDER>"))
		s.ended(t, "Stopped")
		s.wantTold(t, `&lt;b&gt;never`)
		for _, m := range s.Slack.Messages(channel) {
			for _, text := range []string{m.Text, string(m.Blocks)} {
				for _, bad := range []string{"<!channel", "<!here", "<!everyone", "<b>", "<@U0OUTSIDER"} {
					if m.User == "U0SLIPWAY" && strings.Contains(text, bad) {
						t.Errorf("a message has %q:\n%s", bad, text)
					}
				}
			}
		}
	})
}

func TestLongCommandIsAnswered(t *testing.T) {
	t.Parallel()
	onStage(t, "ssot", func(t *testing.T, s *stage) {
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy "+strings.Repeat("staging ", 1250)))
		s.must(t, s.Until(within(t), "an answer", func([]fakeslack.Message) bool { return s.answers(workspace.Deployer) != "" }))
		if answer := s.answers(workspace.Deployer); len(answer) > 3000 {
			t.Errorf("the answer to a long command has %d characters", len(answer))
		}
		s.wantUpdates(t)
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.must(t, s.Until(within(t), "a rollout all the same", play.Has("approve")))
	})
}

// refused is what a Redis says that is out of memory.
const refused = "OOM command not allowed when used memory > 'maxmemory'."

func TestWithoutRedisNothingStarts(t *testing.T) {
	t.Parallel()
	onStage(t, "ssot", func(t *testing.T, s *stage) {
		s.RefuseRedis(refused)
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.told(t, workspace.Deployer, "othing was")
		s.RefuseRedis("")
		time.Sleep(time.Minute) // of the bubble
		if cards := s.Slack.Messages(channel); play.Card(cards).TS != "" && play.Card(cards).EphemeralTo == "" {
			t.Errorf("a rollout started after its command was refused: %s", play.Card(cards).Text)
		}
		s.wantUpdates(t)
	})
}

// Redis goes away while the candidate is deployed, and comes back: nothing is done twice or left out.
func TestRedisLostInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{2 * time.Second, 20 * time.Second} {
		waiting(t, func(t *testing.T, s *stage) {
			s.must(t, s.Click(within(t), workspace.Approver, "approve"))
			s.await(t, func() bool { return len(s.applied(t)) > 0 })
			s.RefuseRedis(refused)
			time.Sleep(away) // of the bubble
			if n := len(s.applied(t)); n > 1 {
				t.Errorf("%d updates while nothing could be written down", n)
			}
			s.RefuseRedis("")
			s.ended(t, "Deployed")
			s.wantTold(t, `\*Deployed: `)
			s.wantUpdates(t, created, tenth, all, following)
			s.wantJobsOnce(t)
			s.wantThread(t)
		})
	}
}

func TestClickWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *stage) {
		s.RefuseRedis(refused)
		s.must(t, s.Click(within(t), workspace.Approver, "approve"))
		s.told(t, workspace.Approver, "othing was")
		s.RefuseRedis("")
		s.must(t, s.Click(within(t), workspace.Approver, "approve"))
		s.ended(t, "Deployed")
		s.wantUpdates(t, created, tenth, all, following)
	})
}

// buttonValue reads the value that a button of the card has.
func (s *stage) buttonValue(t *testing.T, action string) string {
	t.Helper()
	var value string
	for _, e := range elements(t, s.card(t)) {
		if e.ActionID == action {
			value = e.Value
		}
	}
	if value == "" {
		t.Fatalf("the card has no button %q", action)
	}
	return value
}
