package play_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// trouble is a fault and when in the rollout it begins.
type trouble struct {
	when  moment
	slack fakeslack.Fault
	cloud fakegcp.Fault
}

type moment string

const (
	atStart    moment = "start"    // before the command
	atApproval moment = "approval" // before the click on Approve
	atShift    moment = "shift"    // once the candidate is asked for
)

func (x trouble) String() string {
	if x.cloud.Kind != "" {
		return fmt.Sprintf("gcp %s %s at %s", x.cloud.Method, x.cloud.Kind, x.when)
	}
	return strings.TrimSpace(fmt.Sprintf("slack %s %s", x.slack.Method, x.slack.Kind)) + " at " + string(x.when)
}

func (x trouble) begin(t *testing.T, s *stage) {
	t.Helper()
	if x.cloud.Kind != "" {
		s.must(t, s.Cloud.Fault(x.cloud))
		return
	}
	s.Slack.Fault(x.slack)
}

// Whatever one call meets, the rollout ends as without it: each effect reaches the cloud once, there is
// one card, and nothing is said twice.
func TestFaultsChangeNothing(t *testing.T) {
	scenario, err := workspace.FindScenario("ssot")
	if err != nil {
		t.Fatal(err)
	}
	scenario.New.ErrorRate = 0 // so that no check meets one of the few errors that the image may have
	for _, x := range slices.Concat(slackTroubles(), cloudTroubles()) {
		t.Run(x.String(), func(t *testing.T) {
			t.Parallel()
			onStageFor(t, scenario, func(t *testing.T, s *stage) {
				s.suffer(t, x)
				s.ended(t, "Deployed")
				s.wantTold(t, `\*Deployed: `)
				s.wantUpdates(t, created, tenth, all, following)
				s.wantJobsOnce(t)
				s.wantThread(t)
				s.card(t)
				s.wantMet(t, x)
			})
		})
	}
}

func slackTroubles() []trouble {
	slow := 5 * time.Second
	return []trouble{
		{when: atStart, slack: fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultError, Count: 3}},
		{when: atStart, slack: fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultRateLimit, RetryAfter: slow}},
		{when: atStart, slack: fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultTimeout}},
		{when: atStart, slack: fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultAppliedButError}},
		{when: atApproval, slack: fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultAppliedButError, Count: 2}},
		{when: atApproval, slack: fakeslack.Fault{Method: "chat.update", Kind: fakeslack.FaultError, Code: "503", Count: 5}},
		{when: atApproval, slack: fakeslack.Fault{Method: "chat.update", Kind: fakeslack.FaultRateLimit, RetryAfter: slow, Count: 2}},
		{when: atApproval, slack: fakeslack.Fault{Method: "chat.update", Kind: fakeslack.FaultTimeout}},
		{when: atApproval, slack: fakeslack.Fault{Method: "chat.update", Kind: fakeslack.FaultAppliedButError, Count: 2}},
		{when: atApproval, slack: fakeslack.Fault{Method: "interactive", Kind: fakeslack.FaultTimeout}},
		{when: atStart, slack: fakeslack.Fault{Method: "slash_commands", Kind: fakeslack.FaultTimeout}},
		{when: atShift, slack: fakeslack.Fault{Kind: fakeslack.FaultDisconnect}},
		{when: atShift, slack: fakeslack.Fault{Kind: fakeslack.FaultNoPing}},
		{when: atShift, slack: fakeslack.Fault{Method: "*", Kind: fakeslack.FaultError, Code: "500", Count: 25}},
	}
}

func cloudTroubles() []trouble {
	var list []trouble
	add := func(when moment, method string, kinds ...string) {
		for _, kind := range kinds {
			list = append(list, trouble{when: when, cloud: fakegcp.Fault{Method: method, Kind: kind, RetryAfter: 2}})
		}
	}
	add(atApproval, "UpdateService", fakegcp.FaultError, fakegcp.FaultRateLimit, fakegcp.FaultTimeout, fakegcp.FaultAppliedButError, fakegcp.FaultDisconnect)
	add(atShift, "UpdateService", fakegcp.FaultTimeout, fakegcp.FaultAppliedButError)
	add(atStart, "RunJob", fakegcp.FaultError, fakegcp.FaultAppliedButError, fakegcp.FaultDisconnect)
	add(atApproval, "GetOperation", fakegcp.FaultRateLimit, fakegcp.FaultDisconnect)
	add(atShift, "ListLogEntries", fakegcp.FaultError, fakegcp.FaultRateLimit, fakegcp.FaultTimeout)
	add(atApproval, "GetService", fakegcp.FaultTimeout)
	return list
}

// suffer starts and approves a rollout, with trouble on the way.
func (s *stage) suffer(t *testing.T, x trouble) {
	t.Helper()
	if x.when == atStart {
		x.begin(t, s)
	}
	s.act(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
	s.must(t, s.Until(within(t), "the question for approval", play.Has("approve")))
	if x.when == atApproval {
		x.begin(t, s)
	}
	s.act(t, s.Click(within(t), workspace.Approver, "approve"))
	if x.when == atShift {
		s.await(t, func() bool { return len(s.applied(t)) > 0 })
		x.begin(t, s)
	}
}

// act takes a lost ack for no failure: Slack says so to whoever typed or clicked, but it has arrived.
func (s *stage) act(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, fakeslack.ErrNotAcked) {
		s.must(t, err)
	}
}

// await waits for something in the cloud.
func (s *stage) await(t *testing.T, holds func() bool) {
	t.Helper()
	for {
		changed := s.Cloud.Changed()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-time.After(5 * time.Minute):
			t.Fatalf("waited in vain\n%s", s.out.String())
		}
	}
}

// wantJobsOnce: every job step ran, and ran once.
func (s *stage) wantJobsOnce(t *testing.T) {
	t.Helper()
	runs := map[string]int{}
	for _, job := range s.Cloud.State().Jobs {
		for _, e := range job.Executions {
			runs[strings.Join(e.Args, " ")]++
		}
	}
	for args, n := range runs {
		if n > 1 {
			t.Errorf("%d executions of %s", n, args)
		}
	}
	if len(runs) != 5 {
		t.Errorf("%d different executions, want 5: %v", len(runs), runs)
	}
}

// wantMet makes sure that the trouble came about, so that a row of the table cannot pass without it.
func (s *stage) wantMet(t *testing.T, x trouble) {
	t.Helper()
	met := false
	for _, c := range s.Cloud.Journal() {
		met = met || x.cloud.Kind != "" && c.Fault == x.cloud.Kind
	}
	for _, c := range s.Slack.Journal() {
		switch {
		case x.slack.Kind == fakeslack.FaultDisconnect || x.slack.Kind == fakeslack.FaultNoPing:
			met = met || len(s.Slack.Connections()) > 0 && s.Slack.Connections()[0].ID != firstConnection(s)
		case c.Method == x.slack.Method || x.slack.Method == "*":
			met = met || c.Outcome != "ok" && !strings.HasPrefix(c.Outcome, "sent")
		}
	}
	if !met {
		t.Errorf("%s did not come about", x)
	}
}

// firstConnection is the socket that the app opened first.
func firstConnection(s *stage) string {
	for _, c := range s.Slack.Journal() {
		if c.Kind == fakeslack.CallSocket {
			return c.Connection
		}
	}
	return ""
}

// The control: trouble that does not pass ends the rollout with its reason.
func TestLastingFaultFailsWithItsReason(t *testing.T) {
	onStage(t, "ssot", func(t *testing.T, s *stage) {
		s.suffer(t, trouble{when: atShift, cloud: fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultError, Code: "PERMISSION_DENIED", Count: -1}})
		s.ended(t, "Failed")
		s.wantUpdates(t, created)
		if text := s.card(t).Text; !regexp.MustCompile(`(?i)permission|may not|not allowed`).MatchString(text) {
			t.Errorf("the card does not say why: %s", text)
		}
	})
}
