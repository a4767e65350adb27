package play_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"slipway/app"
	"slipway/plan"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/memnet"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// stage is a workspace in memory with the app running in it.
type stage struct {
	*workspace.Workspace
}

func newStage(t *testing.T, scenario string) *stage {
	t.Helper()
	s, err := workspace.FindScenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	return newStageFor(t, s)
}

func newStageFor(t *testing.T, s workspace.Scenario) *stage {
	t.Helper()
	file, err := plan.LoadFile("../../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	w, err := workspace.New(ctx, workspace.Options{
		File: file, Scenario: s, Seed: 1, Speed: 1, Listen: "slack.sandbox:80", GCP: "gcp.sandbox:443",
		Memory: memnet.New(), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(ctx, w.App("test"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		w.Close()
	})
	if err := w.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	return &stage{Workspace: w}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSSOT is the main job, whole: from /deploy staging at 72% errors to below 5%, in a bubble.
func TestSSOT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "ssot")
		var out bytes.Buffer
		if err := play.New(s.Workspace, "deploys-staging", &out).Act(t.Context(), "ssot"); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		s.checkCloud(t)
		s.checkChannel(t)
		s.checkAnswers(t)
	})
}

// checkCloud: one update makes the candidate, and traffic goes 0 → 10 → 100 → LATEST, nothing else.
func (s *stage) checkCloud(t *testing.T) {
	t.Helper()
	var updates []string
	for _, c := range s.Cloud.Journal() {
		var request struct{ ValidateOnly bool }
		if err := json.Unmarshal(c.Request, &request); err != nil {
			t.Fatal(err)
		}
		if c.Method == "UpdateService" && !request.ValidateOnly {
			updates = append(updates, c.Summary)
		}
	}
	want := []string{
		"template traffic, image us-docker.pkg.dev/netra-staging/apps/backend@DIGEST, revision CANDIDATE, 100% to netra-backend-staging-00041-abc, 0% to CANDIDATE (candidate)",
		"traffic, 10% to CANDIDATE (candidate), 90% to netra-backend-staging-00041-abc",
		"traffic, 100% to CANDIDATE (candidate)",
		"traffic, 100% to LATEST",
	}
	for i := range updates {
		updates[i] = strings.TrimPrefix(updates[i], "set netra-backend-staging ")
		updates[i] = revisionName.ReplaceAllString(updates[i], "CANDIDATE")
		updates[i] = digest.ReplaceAllString(updates[i], "DIGEST")
	}
	if !slices.Equal(updates, want) {
		t.Errorf("updates of the service:\n%s\nwant:\n%s", strings.Join(updates, "\n"), strings.Join(want, "\n"))
	}
	service := s.Cloud.State().Services[0]
	if len(service.Traffic) != 1 || !service.Traffic[0].Latest || service.Traffic[0].Percent != 100 {
		t.Errorf("traffic in the end: %+v, want 100%% on LATEST", service.Traffic)
	}
}

var (
	revisionName = regexp.MustCompile(`netra-backend-staging-s[a-z2-7]{6}-1`)
	digest       = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
)

// checkChannel: one message in the channel, whose text says what matters, and no reply is missing
// or said twice.
func (s *stage) checkChannel(t *testing.T) {
	t.Helper()
	var cards, replies []string
	for _, m := range s.Slack.Messages("deploys-staging") {
		switch {
		case m.EphemeralTo != "":
		case m.ThreadTS == "":
			cards = append(cards, m.Text)
		default:
			replies = append(replies, m.Text)
		}
	}
	if len(cards) != 1 {
		t.Fatalf("%d messages in the channel, want the one card:\n%s", len(cards), strings.Join(cards, "\n---\n"))
	}
	for _, text := range []string{cards[0], replies[len(replies)-1]} {
		if !report.MatchString(text) {
			t.Errorf("this does not report the end as %s:\n%s", report, text)
		}
	}
	for i, want := range []string{"<!subteam^S0RELEASEMANAGERS", "Approved by", "Errors at 10%", "No ModuleNotFoundError", "Error rate below 5%", "<@U0DEPLOYER"} {
		if i >= len(replies) || !strings.Contains(replies[i], want) {
			t.Errorf("reply %d should have %q; all of them:\n%s", i+1, want, strings.Join(replies, "\n"))
		}
	}
	if len(replies) != 6 {
		t.Errorf("%d replies in the thread, want 6:\n%s", len(replies), strings.Join(replies, "\n"))
	}
}

// report is what the end has to name: both rates with their counts, what the new one is at most, the
// limit, who approved, and how long it took.
var report = regexp.MustCompile(`(?s)\*Deployed: backend on staging\*.*Errors 72% \(1,442 of 2,000\) → [\d.]+% \(\d of 3\d\d\), at most \d(\.\d)?%\. Limit 5%: passed\..*Approved by <@U0APPROVER>.*It took \d min`)

// checkAnswers: who may not approve is told why, and who finds the environment locked by whom.
func (s *stage) checkAnswers(t *testing.T) {
	t.Helper()
	answers := map[string]string{}
	for _, m := range s.Slack.Messages("deploys-staging") {
		answers[m.EphemeralTo] += m.Text + "\n"
	}
	for user, wants := range map[string][]string{
		workspace.Outsider: {"Only <!subteam^S0RELEASEMANAGERS", "you are not in it"},
		workspace.Deployer: {"You started this rollout", "someone else"},
		workspace.Oncall:   {"locked by <@U0DEPLOYER", "since <!date^", "phase 2 of 4, Approval", "Nothing was started"},
	} {
		for _, want := range wants {
			if got := answers[workspace.UserID(user)]; !strings.Contains(got, want) {
				t.Errorf("%s was told %q, which does not have %q", user, got, want)
			}
		}
	}
}

// A scene must not pass when the rollout ends otherwise: with an image that fails like the old one,
// the same scene reports the end it did not expect.
func TestSSOTSceneNoticesAnotherEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scenario, err := workspace.FindScenario("ssot")
		if err != nil {
			t.Fatal(err)
		}
		scenario.New = scenario.Old
		s := newStageFor(t, scenario)
		var out bytes.Buffer
		err = play.New(s.Workspace, "deploys-staging", &out).Act(t.Context(), "ssot")
		if err == nil || !strings.Contains(err.Error(), "Rolled back") {
			t.Fatalf("got %v, want an error that says it was rolled back\n%s", err, out.String())
		}
		service := s.Cloud.State().Services[0]
		for _, target := range service.Traffic {
			if target.Percent > 0 && target.Revision != "netra-backend-staging-00041-abc" {
				t.Errorf("%d%% stayed on %s", target.Percent, target.Revision)
			}
		}
	})
}

// The ack of a command does not wait for its work: over many it stays below 50 ms at the median, by
// the clock of the bubble, in which only waiting takes time.
func TestAckDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "ssot")
		var elapsed []time.Duration
		for range 21 {
			ack, err := s.Slack.Command(t.Context(), fakeslack.CommandRequest{User: workspace.Deployer, Channel: "deploys-staging", Command: "/deploy", Text: "status"})
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
