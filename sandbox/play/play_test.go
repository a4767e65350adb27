package play_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/workspace"
)

// TestSSOT is the main job, whole: from /deploy staging at 72% errors to below 5%, in a bubble.
func TestSSOT(t *testing.T) {
	t.Parallel()
	onStage(t, "ssot", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "ssot"))
		s.wantUpdates(t, created, tenth, all, following)
		service := s.Cloud.State().Services[0]
		if len(service.Traffic) != 1 || !service.Traffic[0].Latest || service.Traffic[0].Percent != 100 {
			t.Errorf("traffic in the end: %+v, want 100%% on LATEST", service.Traffic)
		}
		s.checkChannel(t)
		s.checkAnswers(t)
		s.checkGraph(t)
	})
}

// checkGraph: in place of the chart the card comes to show a picture with both rates in its title.
func (s *stage) checkGraph(t *testing.T) {
	t.Helper()
	s.must(t, s.Until(within(t), "the graph on the card", func([]fakeslack.Message) bool {
		return strings.Contains(string(s.card(t).Blocks), `"slack_file"`)
	}))
	found := regexp.MustCompile(`"slack_file":\{"id":"(\w+)"\}.*backend on staging: 72% → [\d.]+% errors`).FindSubmatch(s.card(t).Blocks)
	if found == nil {
		t.Fatalf("no graph on the card: %s", s.card(t).Blocks)
	}
	if picture, kind, ok := s.Slack.File(string(found[1])); !ok || kind != "image/png" || len(picture) < 10_000 {
		t.Errorf("the graph is %d bytes of %q", len(picture), kind)
	}
}

// checkChannel: one message in the channel, whose text says what matters, and no reply is missing
// or said twice.
func (s *stage) checkChannel(t *testing.T) {
	t.Helper()
	replies := s.replies(t)
	for _, text := range []string{s.card(t).Text, replies[len(replies)-1].Text} {
		if !report.MatchString(text) {
			t.Errorf("this does not report the end as %s:\n%s", report, text)
		}
	}
	s.wantThread(t)
}

// wantThread compares the thread of a rollout that goes well: each thing that is told, once. A check that
// met one of the few errors that the new image has is tried again, and that is told too.
func (s *stage) wantThread(t *testing.T) {
	t.Helper()
	wants := []string{"<!subteam^S0RELEASEMANAGERS", "Approved by", "Errors at 10%", "No ModuleNotFoundError", "Error rate below 5%", "<@U0DEPLOYER"}
	replies := slices.DeleteFunc(s.replies(t), func(m fakeslack.Message) bool { return strings.HasSuffix(m.Text, "It is tried again.") })
	if len(replies) != len(wants) {
		t.Errorf("%d replies in the thread, want %d", len(replies), len(wants))
	}
	for _, want := range wants {
		if !slices.ContainsFunc(replies, func(m fakeslack.Message) bool { return strings.Contains(m.Text, want) }) {
			t.Errorf("no reply has %q:\n%s", want, s.out.String())
		}
	}
}

// report is what the end has to name: both rates with their counts, what the new one is at most, the
// limit, who approved, and how long it took.
var report = regexp.MustCompile(`(?s)\*Deployed: backend on staging\*.*Errors 72% \(1,442 of 2,000\) → [\d.]+% \(\d of 3\d\d\), at most \d(\.\d)?%\. Limit 5%: passed\..*Approved by <@U0APPROVER>.*It took \d min`)

// checkAnswers: who may not approve is told why, and who finds the environment locked by whom.
func (s *stage) checkAnswers(t *testing.T) {
	t.Helper()
	for user, wants := range map[string][]string{
		workspace.Outsider: {"Only <!subteam^S0RELEASEMANAGERS", "you are not in it"},
		workspace.Deployer: {"You started this rollout", "someone else"},
		workspace.Oncall:   {"locked by <@U0DEPLOYER", "since <!date^", "phase 2 of 4, Approval", "Nothing was "},
	} {
		for _, want := range wants {
			if got := s.answers(user); !strings.Contains(got, want) {
				t.Errorf("%s was told %q, which does not have %q", user, got, want)
			}
		}
	}
}

// A scene must not pass when the rollout ends otherwise: with a new image that fails more than the old
// one, the same scene reports the end it did not expect.
func TestSSOTSceneNoticesAnotherEnd(t *testing.T) {
	t.Parallel()
	scenario, err := workspace.FindScenario("ssot")
	if err != nil {
		t.Fatal(err)
	}
	scenario.New = scenario.Old
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		if err := s.Act(within(t), "ssot"); err == nil || !strings.Contains(err.Error(), "Rolled back") {
			t.Fatalf("got %v, want an error that says it was rolled back\n%s", err, s.out.String())
		}
		s.wantTraffic(t, "100% STABLE")
	})
}

// The ack of a command does not wait for its work: over many it stays below 50 ms at the median, by
// the clock of the bubble, in which only waiting takes time.
func TestAckDoesNotWait(t *testing.T) {
	onStage(t, "ssot", func(t *testing.T, s *stage) {
		var elapsed []time.Duration
		for range 21 {
			ack, err := s.Slack.Command(t.Context(), fakeslack.CommandRequest{User: workspace.Deployer, Channel: channel, Command: "/deploy", Text: "status"})
			if err != nil {
				t.Fatal(err)
			}
			elapsed = append(elapsed, ack.Elapsed)
		}
		slices.Sort(elapsed)
		if median := elapsed[len(elapsed)/2]; median > 50*time.Millisecond {
			t.Errorf("the median ack took %s", median)
		}
	})
}
