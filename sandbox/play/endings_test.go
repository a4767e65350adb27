package play_test

import (
	"context"
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

// How rollouts go wrong: each scenario is played as people would play it, and compared with what
// reached Cloud Run, what serves in the end and what the thread says. Those that end with a question
// are also played without an answer.

func TestBadDeploy(t *testing.T) {
	t.Parallel()
	onStage(t, "bad-deploy", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "bad-deploy"))
		s.wantUpdates(t, created, tenth, back)
		s.wantTraffic(t, "100% STABLE")
		told := s.wantTold(t,
			`\*Errors at 10%\*: Errors 0\.5% \(10 of 2,000\) → \d\d% \(\d+ of \d+\)\. Limit 5%: failed\. Traffic goes back to 00041\.`,
			`(?s)<@U0DEPLOYER(\|\w+)?> \*Rolled back: backend on staging\*, \d\d% errors.*All traffic is back on .*00041`)
		if late := postedAt(t, told[0]).Sub(s.verdictAt(t)); late < 0 || late > 5*time.Second {
			t.Errorf("the thread told the verdict %s after it", late)
		}
		if !told[1].Broadcast {
			t.Error("the end is not shown in the channel")
		}
	})
}

// verdictAt is when the log was read for the last time before traffic went back.
func (s *stage) verdictAt(t *testing.T) time.Time {
	t.Helper()
	updates := s.applied(t)
	returned := updates[len(updates)-1].Time
	var at time.Time
	for _, c := range s.Cloud.Journal() {
		if c.Method == "ListLogEntries" && !c.Time.After(returned) {
			at = c.Time
		}
	}
	return at
}

// With an old revision that errs at 72%, a new one at 30% fails and yet is the better one.
func TestWorseThanBefore(t *testing.T) {
	t.Parallel()
	onStage(t, "worse-than-before", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "worse-than-before"))
		s.wantUpdates(t, created, tenth)
		s.wantTraffic(t, "10% CANDIDATE, 90% STABLE")
		s.wantTold(t, `needs a decision`, `<@U0DEPLOYER(\|\w+)?>: .*stay`, `(?s)<@U0DEPLOYER(\|\w+)?> \*Failed: .*10% of the traffic is on the new revision`)
	})
}

func TestWorseThanBeforeStaysWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	onStage(t, "worse-than-before", func(t *testing.T, s *stage) {
		s.must(t, s.Asked(within(t)))
		asked := s.wantTold(t, `<!subteam\^S0BACKEND.*needs a decision`)[0]
		for _, rate := range []string{`old 72%`, `[Nn]ew \d\d% errors \(\d+ of \d+\)`} {
			if !regexp.MustCompile(rate).MatchString(asked.Text) {
				t.Errorf("the question does not have %q: %s", rate, asked.Text)
			}
		}
		s.calm(t)
		s.ended(t, "Failed")
		if waited := time.Since(postedAt(t, asked)); waited < 29*time.Minute || waited > 31*time.Minute {
			t.Errorf("the question stood for %s, want half an hour", waited)
		}
		s.wantUpdates(t, created, tenth)
		s.wantTraffic(t, "10% CANDIDATE, 90% STABLE")
		s.wantTold(t, `needs a decision`, `Nobody answered`, `<@U0DEPLOYER(\|\w+)?> \*Failed: `)
	})
}

func TestCrashOnStart(t *testing.T) {
	t.Parallel()
	onStage(t, "crash-on-start", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "crash-on-start"))
		s.wantUpdates(t, created)
		s.wantTraffic(t, "100% STABLE")
		s.wantTold(t, `\*Deploy candidate\* failed: .*ModuleNotFoundError: No module named 'auth_service'`,
			`(?s)<@U0DEPLOYER(\|\w+)?> \*Failed: backend on staging\*.*moved no traffic; 00041 served when it began`)
	})
}

func TestLowTraffic(t *testing.T) {
	t.Parallel()
	onStage(t, "low-traffic", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "low-traffic"))
		s.wantUpdates(t, created, tenth, back)
		s.wantTold(t, `Not enough traffic: 0 of at least 70 requests`, `<!subteam\^S0BACKEND.*needs a decision`, `<@U0ONCALL(\|\w+)?>: roll back`, `\*Rolled back: `)
	})
}

func TestLowTrafficReturnsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	onStage(t, "low-traffic", func(t *testing.T, s *stage) {
		s.must(t, s.Asked(within(t)))
		for _, action := range []string{"extend", "continue", "rollback", "hold"} {
			if !play.Has(action)(s.Slack.Messages(channel)) {
				t.Errorf("the question has no button %q", action)
			}
		}
		s.wantUpdates(t, created, tenth)
		s.ended(t, "Rolled back")
		s.wantUpdates(t, created, tenth, back)
		s.wantTraffic(t, "100% STABLE")
		s.wantTold(t, `needs a decision`, `(?i)Nobody answered.* traffic goes back to 00041`, `<@U0DEPLOYER(\|\w+)?> \*Rolled back: `)
	})
}

// More time helps once there are requests: the gate goes on and decides.
func TestLowTrafficExtended(t *testing.T) {
	t.Parallel()
	onStage(t, "low-traffic", func(t *testing.T, s *stage) {
		s.must(t, s.Asked(within(t)))
		s.must(t, s.Click(within(t), workspace.Oncall, "extend"))
		rps := 40.0
		s.must(t, s.Cloud.Traffic(fakegcp.TrafficRequest{Service: "netra-backend-staging", RPS: &rps}))
		s.ended(t, "Deployed")
		s.wantUpdates(t, created, tenth, all, following)
		s.wantTold(t, `Not enough traffic`, `<@U0ONCALL(\|\w+)?>: wait another 15 min`, `Limit 5%: passed`, `\*Deployed: `)
	})
}

func TestPermissionMissing(t *testing.T) {
	t.Parallel()
	onStage(t, "permission-missing", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "permission-missing"))
		s.wantUpdates(t)
		s.wantTraffic(t, "100% STABLE")
		if play.Has("approve")(s.Slack.Messages(channel)) {
			t.Error("somebody was asked for an approval that helps nobody")
		}
		s.wantTold(t, `\*Service account permissions\* failed: .*run\.services\.update.*netra-backend-staging`, `\*Failed: `)
		s.must(t, s.Click(within(t), workspace.Oncall, "details"))
		s.shown(t, workspace.Oncall, "gcloud run services add-iam-policy-binding netra-backend-staging")
	})
}

// shown waits for a window that somebody has open with the text in it.
func (s *stage) shown(t *testing.T, user, text string) {
	t.Helper()
	err := s.Until(within(t), "a window that says "+text, func([]fakeslack.Message) bool {
		return slices.ContainsFunc(s.Slack.Views(user), func(v fakeslack.View) bool { return strings.Contains(string(v.Blocks), text) })
	})
	if err != nil {
		t.Error(err)
	}
}

func TestMigrationRan(t *testing.T) {
	t.Parallel()
	onStage(t, "migration-ran", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "migration-ran"))
		s.wantUpdates(t, created, tenth, back)
		s.wantTraffic(t, "100% STABLE")
		s.wantTold(t, `needs a decision.*Migrate the database`, `<@U0DEPLOYER(\|\w+)?>: roll back`, `\*Rolled back: `)
		updates := s.applied(t)
		if returned, clicked := updates[len(updates)-1].Time, s.clickedAt(); returned.Before(clicked) {
			t.Errorf("traffic went back at %s, before the click at %s", returned, clicked)
		}
	})
}

// clickedAt is when a person clicked last.
func (s *stage) clickedAt() time.Time {
	var at time.Time
	for _, c := range s.Slack.Journal() {
		if c.Kind == fakeslack.CallEnvelope && c.Method == "interactive" {
			at = c.Time
		}
	}
	return at
}

// Nobody is there to say whether the old code works on the new tables: then nothing moves.
func TestMigrationRanStaysWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	onStage(t, "migration-ran", func(t *testing.T, s *stage) {
		s.must(t, s.Asked(within(t)))
		s.calm(t)
		s.ended(t, "Failed")
		s.wantUpdates(t, created, tenth)
		s.wantTraffic(t, "10% CANDIDATE, 90% STABLE")
		s.wantTold(t, `needs a decision`, `Nobody answered`, `<@U0DEPLOYER(\|\w+)?> \*Failed: `)
	})
}

// Every scenario can be played. Their scenes are cut short here; the tests above play them whole.
func TestEveryScenarioHasAScene(t *testing.T) {
	onStage(t, "ssot", func(t *testing.T, s *stage) {
		over, cancel := context.WithCancel(t.Context())
		cancel()
		for _, scenario := range workspace.Scenarios() {
			if err := s.Act(over, scenario.Name); err == nil || strings.Contains(err.Error(), "no scene") {
				t.Errorf("%s: %v, want the error of a scene that was cut short", scenario.Name, err)
			}
		}
		if err := s.Act(over, "typo"); err == nil || !strings.Contains(err.Error(), `no scene for the scenario "typo"`) {
			t.Errorf("a scenario that does not exist: %v", err)
		}
	})
}

func TestSomeoneElseDeployed(t *testing.T) {
	t.Parallel()
	onStage(t, "someone-else-deployed", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "someone-else-deployed"))
		s.wantUpdates(t, created) // and none that undoes what the pipeline did
		if traffic := s.Cloud.State().Services[0].Traffic; len(traffic) != 1 || !traffic[0].Latest || traffic[0].Revision == stable {
			t.Errorf("traffic is %+v, want all of it where the pipeline put it", traffic)
		}
		s.wantTold(t, `\*Deploy candidate\* failed: .*changed by someone else \(`+play.Pipeline+`, \d\d:\d\d:\d\d UTC\)`, `\*Failed: `)
	})
}
