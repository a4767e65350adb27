package play_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"slipway/app"
	"slipway/chart"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/memnet"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the embedded Redis builds an interpreter for each script and throws it away
	goleak.VerifyTestMain(m)
}

// channel is where the plans of all scenarios have their cards.
const channel = "deploys-staging"

// stage is a workspace in memory with the app running in it, and a player.
type stage struct {
	*workspace.Workspace
	*play.Player
	out *bytes.Buffer // what the player printed
}

// onStage runs a test in a bubble, on a stage that is set for the scenario.
func onStage(t *testing.T, scenario string, test func(t *testing.T, s *stage)) {
	t.Helper()
	found, err := workspace.FindScenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	onStageFor(t, found, test)
}

func onStageFor(t *testing.T, scenario workspace.Scenario, test func(t *testing.T, s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newStage(t, scenario)) })
}

func newStage(t *testing.T, scenario workspace.Scenario) *stage {
	t.Helper()
	return stageWith(t, scenario, manifest(t))
}

// manifest is the scopes that the app asks for when it is installed; every scene has to do with them.
func manifest(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../slack-app-manifest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		OAuth struct {
			Scopes struct{ Bot []string }
		} `yaml:"oauth_config"`
	}
	if err := yaml.Unmarshal(text, &read); err != nil || len(read.OAuth.Scopes.Bot) == 0 {
		t.Fatalf("the manifest has no scopes: %v", err)
	}
	return read.OAuth.Scopes.Bot
}

// stageWith is a stage with these scopes, whose workspace is prepared before the app starts in it.
func stageWith(t *testing.T, scenario workspace.Scenario, scopes []string, prepare ...func(*workspace.Workspace)) *stage {
	t.Helper()
	file, err := scenario.Load("../../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	w, err := workspace.New(ctx, workspace.Options{
		File: file, Scenario: scenario, Seed: 1, Speed: 1, Listen: "slack.sandbox:80", GCP: "gcp.sandbox:443",
		Memory: memnet.New(), Scopes: scopes, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range prepare {
		do(w)
	}
	config := w.App("test")
	if t.Name() != "TestSSOT" { // which looks at the picture; drawing costs more than the scene
		config.Draw = func(chart.Graph) ([]byte, error) { return []byte("\x89PNG\r\n\x1a\n"), nil }
	}
	a, err := app.New(ctx, config)
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
	var out bytes.Buffer
	return &stage{Workspace: w, Player: play.New(w, channel, &out), out: &out}
}

// calm stops the traffic, so that half an hour of waiting is quick to simulate.
func (s *stage) calm(t *testing.T) {
	t.Helper()
	none := 0.0
	s.must(t, s.Cloud.Traffic(fakegcp.TrafficRequest{Service: "netra-backend-staging", RPS: &none}))
}

// must ends the test with what the player saw, if an act went wrong.
func (s *stage) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\n%s", err, s.out.String())
	}
}

// within bounds what a test waits for, by the clock of the bubble: longer than any question stands.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// ended waits for the end, which has to be the one named.
func (s *stage) ended(t *testing.T, how string) {
	t.Helper()
	s.must(t, s.Ends(within(t), how))
}

var (
	candidate = regexp.MustCompile(`netra-backend-staging-s[a-z2-7]{6}-1`)
	digest    = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
)

const stable = "netra-backend-staging-00041-abc"

// readable puts words in place of the names that a rollout makes up.
func readable(s string) string {
	s = strings.TrimPrefix(s, "set netra-backend-staging annotations ")
	s = strings.ReplaceAll(s, stable, "STABLE")
	return digest.ReplaceAllString(candidate.ReplaceAllString(s, "CANDIDATE"), "DIGEST")
}

// The updates of the service that a rollout makes.
const (
	created   = "template traffic, image us-docker.pkg.dev/netra-staging/apps/backend@DIGEST, revision CANDIDATE, 100% to STABLE, 0% to CANDIDATE (candidate)"
	tenth     = "traffic, 10% to CANDIDATE (candidate), 90% to STABLE"
	all       = "traffic, 100% to CANDIDATE (candidate)"
	following = "traffic, 100% to LATEST"
	back      = "traffic, 100% to STABLE, 0% to CANDIDATE (candidate)"
)

// applied are the calls that reached Cloud Run and changed a service, in order.
func (s *stage) applied(t *testing.T) []fakegcp.Call {
	t.Helper()
	var calls []fakegcp.Call
	for _, c := range s.Cloud.Journal() {
		if c.Method != "UpdateService" || c.Outcome != "OK" && c.Fault != fakegcp.FaultAppliedButError {
			continue
		}
		var request struct{ ValidateOnly bool }
		if err := json.Unmarshal(c.Request, &request); err != nil {
			t.Fatal(err)
		}
		if !request.ValidateOnly {
			calls = append(calls, c)
		}
	}
	return calls
}

// wantUpdates compares what reached Cloud Run; nothing else may have.
func (s *stage) wantUpdates(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, c := range s.applied(t) {
		got = append(got, readable(c.Summary))
	}
	if !slices.Equal(got, want) {
		t.Errorf("updates of the service:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantTraffic compares what serves now: "100% STABLE", "10% CANDIDATE, 90% STABLE".
func (s *stage) wantTraffic(t *testing.T, want string) {
	t.Helper()
	var shares []string
	for _, target := range s.Cloud.State().Services[0].Traffic {
		if target.Percent > 0 {
			shares = append(shares, strconv.Itoa(target.Percent)+"% "+readable(target.Revision))
		}
	}
	if got := strings.Join(shares, ", "); got != want {
		t.Errorf("traffic is %q, want %q", got, want)
	}
}

// card is the one message of the channel; a second one fails the test.
func (s *stage) card(t *testing.T) fakeslack.Message {
	t.Helper()
	var cards []fakeslack.Message
	for _, m := range s.Slack.Messages(channel) {
		if m.ThreadTS == "" && m.EphemeralTo == "" && !m.Deleted && m.User == "U0SLIPWAY" {
			cards = append(cards, m)
		}
	}
	if len(cards) != 1 {
		t.Fatalf("%d messages in the channel, want the one card:\n%+v", len(cards), cards)
	}
	return cards[0]
}

// replies are what the app said in the thread, in order. One that is said twice fails the test.
func (s *stage) replies(t *testing.T) []fakeslack.Message {
	t.Helper()
	var replies []fakeslack.Message
	texts := map[string]bool{}
	for _, m := range s.Slack.Messages(channel) {
		if m.ThreadTS == "" || m.EphemeralTo != "" || m.Deleted || m.User != "U0SLIPWAY" {
			continue
		}
		if texts[m.Text] {
			t.Errorf("said twice in the thread: %s", m.Text)
		}
		texts[m.Text] = true
		replies = append(replies, m)
	}
	return replies
}

// wantTold waits until the thread's replies have the patterns, in order, and returns those replies. What
// the card says already may come to the thread a moment later.
func (s *stage) wantTold(t *testing.T, patterns ...string) []fakeslack.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var found []fakeslack.Message
	s.must(t, s.Until(ctx, "these in the thread: "+strings.Join(patterns, ", "), func([]fakeslack.Message) bool {
		found = inOrder(s.replies(t), patterns)
		return len(found) == len(patterns)
	}))
	return found
}

// inOrder returns for each pattern the first message after the one before that has it, until one is not found.
func inOrder(messages []fakeslack.Message, patterns []string) []fakeslack.Message {
	var found []fakeslack.Message
	at := 0
	for _, p := range patterns {
		pattern := regexp.MustCompile(p)
		for at < len(messages) && !pattern.MatchString(messages[at].Text) {
			at++
		}
		if at == len(messages) {
			break
		}
		found = append(found, messages[at])
		at++
	}
	return found
}

// answers are all that only the person with the name was told.
func (s *stage) answers(name string) string {
	var told strings.Builder
	for _, m := range s.Slack.Messages(channel) {
		if m.EphemeralTo == workspace.UserID(name) {
			told.WriteString(m.Text + "\n")
		}
	}
	return told.String()
}

// postedAt is when a message was posted, which is its ts.
func postedAt(t *testing.T, m fakeslack.Message) time.Time {
	t.Helper()
	seconds, micros, _ := strings.Cut(m.TS, ".")
	whole, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	part, err := strconv.ParseInt(micros, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(whole, part*1000)
}

// pressable is a button of a message.
type pressable struct {
	ActionID string `json:"action_id"`
	Value    string `json:"value"`
}

func elements(t *testing.T, m fakeslack.Message) []pressable {
	t.Helper()
	var blocks []struct {
		Type     string            `json:"type"`
		Elements []json.RawMessage `json:"elements"`
	}
	if err := json.Unmarshal(m.Blocks, &blocks); err != nil {
		t.Fatal(err)
	}
	var list []pressable
	for _, b := range blocks {
		if b.Type != "actions" {
			continue
		}
		for _, raw := range b.Elements {
			var e pressable
			if err := json.Unmarshal(raw, &e); err != nil {
				t.Fatal(err)
			}
			list = append(list, e)
		}
	}
	return list
}
