package play_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// What gates make of traffic that deceives: each scenario is played as it is, and beside it with a plan that falls
// for it, so that a gate which decides alike either way fails here.

// other is the scenario with something else in its plan: pairs of what stands there and what is to.
func other(t *testing.T, name string, change ...string) workspace.Scenario {
	t.Helper()
	scenario, err := workspace.FindScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(scenario.Plan, change[i]) {
			t.Fatalf("the plan of %s does not have %q", name, change[i])
		}
	}
	scenario.Plan = strings.NewReplacer(change...).Replace(scenario.Plan)
	return scenario
}

const half = "traffic, 50% to CANDIDATE (candidate), 50% to STABLE"

// deploys, approves and waits for the end.
func (s *stage) deploys(t *testing.T, how string) {
	t.Helper()
	s.must(t, s.Approved(within(t)))
	s.ended(t, how)
}

// cardHas waits until the newest card has the pattern.
func (s *stage) cardHas(t *testing.T, pattern string) {
	t.Helper()
	has := regexp.MustCompile(pattern)
	s.must(t, s.Until(within(t), "a card with "+pattern, func(messages []fakeslack.Message) bool {
		return has.MatchString(play.Card(messages).Text)
	}))
}

func TestLowTrafficOnTestRequests(t *testing.T) {
	t.Parallel()
	onStage(t, "low-traffic-probes", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "low-traffic-probes"))
		s.wantUpdates(t, created, tenth, all, following)
		s.wantTraffic(t, "100% CANDIDATE")
		s.wantTold(t, `Not enough traffic: [01] of at least 7[01] requests`, `<@U0ONCALL(\|\w+)?>: send test requests, for 15 min at most`,
			`\*Errors at 10%\*: Test requests: (no )?errors.* \([01] of \d+\), at most [\d.]+%\. Limit 5%: passed on test requests\. Of users: .*requests?\.$`,
			`(?s)<@U0DEPLOYER(\|\w+)?> \*Deployed: .*passed on test requests`)
		if strings.Contains(s.card(t).Text, "Provisional") {
			t.Errorf("what no user said anything about is watched: %s", s.card(t).Text)
		}
	})
}

// With test requests in the plan nobody is asked. Bad ones send the traffic back, before users have met any error.
func TestTestRequestsInThePlan(t *testing.T) {
	for name, tt := range map[string]struct {
		errors  float64
		how     string
		updates []string
		told    string
	}{
		"good": {0, "Deployed", []string{created, tenth, all, following}, `Test requests: errors 0% \(0 of \d+\), at most [\d.]+%\. Limit 5%: passed on test requests\. Of users: no requests\.`},
		"bad":  {0.3, "Rolled back", []string{created, tenth, back}, `Test requests: errors \d\d% \(\d+ of \d+\)\. Limit 5%: failed\. Traffic goes back to 00041`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario := other(t, "low-traffic", "budget: 1m", "budget: 2m, probes: {path: /api/threads, rate: 4}")
			scenario.New.ErrorRate = tt.errors
			onStageFor(t, scenario, func(t *testing.T, s *stage) {
				s.deploys(t, tt.how)
				s.wantUpdates(t, tt.updates...)
				s.wantTold(t, tt.told)
			})
		})
	}
}

func TestBursty(t *testing.T) {
	t.Parallel()
	onStage(t, "bursty", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "bursty"))
		s.wantUpdates(t, created, half, back)
		s.wantTraffic(t, "100% STABLE")
		s.wantTold(t, `\*Errors at 50%\*: Errors [\d.]+% \(\d+ of 2,000\) → \d+(\.\d)?% \(\d+ of [\d,]+\): worse than the old revision\. Traffic goes back`, `\*Rolled back: `)
	})
}

// Taken one by one, the requests between two bursts prove what is not so.
func TestBurstyDeceivesWhoCountsRequests(t *testing.T) {
	t.Parallel()
	onStageFor(t, other(t, "bursty", "evidence: buckets, compare: old", "evidence: requests"), func(t *testing.T, s *stage) {
		s.deploys(t, "Deployed")
		s.wantTold(t, `\*Errors at 50%\*: Errors [\d.]+% \(\d+ of 2,000\) → 0% \(0 of \d+\), at most [\d.]+%\. Limit 5%: passed`)
		s.cardHas(t, `^\*Failing since it was deployed: `) // which the watch finds out
	})
}

// With nothing to compare it with, 7% is too close to 5% for six minutes of bursts; it is no pass anyhow.
func TestBurstyByItself(t *testing.T) {
	t.Parallel()
	scenario := other(t, "bursty", "compare: old", "budget: 6m")
	scenario.RPS = 5
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		s.must(t, s.Asked(within(t)))
		s.wantUpdates(t, created, half)
		s.wantTold(t, `\*Errors at 50%\*: Too close to call: errors \d(\.\d)?% \(\d+ of [\d,]+\), limit 5%\.`, `needs a decision`)
	})
}

func TestWarmUpErrors(t *testing.T) {
	t.Parallel()
	onStage(t, "warm-up-errors", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "warm-up-errors"))
		s.wantUpdates(t, created, tenth, all, following)
		s.wantTold(t, `→ 0% \(0 of \d+\), at most [\d.]+%\. Limit 5%: passed`, `\*Deployed: `)
		s.calm(t)
		s.cardHas(t, `It held for 5 min: no errors in [\d,]+ requests`)
	})
}

func TestWarmUpErrorsCounted(t *testing.T) {
	t.Parallel()
	onStageFor(t, other(t, "warm-up-errors", "warm_up: 30s", "warm_up: 0s"), func(t *testing.T, s *stage) {
		s.deploys(t, "Rolled back")
		s.wantUpdates(t, created, tenth, back)
		s.wantTold(t, `→ \d\d% \(\d+ of \d+\)\. Limit 5%: failed`)
	})
}

func TestSlowErrors(t *testing.T) {
	t.Parallel()
	onStage(t, "slow-errors", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "slow-errors"))
		s.wantUpdates(t, created, half, back)
		s.wantTold(t, `\*Errors at 50%\*: Errors [\d.]+% \(\d+ of 2,000\) → (2[5-9]|3[0-5])% \(\d+ of \d+\)\. Limit 5%: failed\. Traffic goes back`, `\*Rolled back: `)
	})
}

// A gate that does not wait for slow failures passes at first. A later one finds that, or, where there is none, the
// watch after the end; both say so.
func TestSlowErrorsComeTooLate(t *testing.T) {
	t.Parallel()
	const passed = `\*Errors at 50%\*: Errors [\d.]+% \(\d+ of 2,000\) → 0% \(0 of \d+\), at most [\d.]+%\. Limit 5%: passed`
	change := []string{"max_latency: 45s", "max_latency: 10s"}
	t.Run("for the gate after it", func(t *testing.T) {
		t.Parallel()
		const last = "percent: 100}}\n"
		scenario := other(t, "slow-errors", append(change, last, last+"          - {name: Errors at 100%, error_rate: {service: backend, below: 5%}}\n")...)
		onStageFor(t, scenario, func(t *testing.T, s *stage) {
			s.deploys(t, "Rolled back")
			s.wantUpdates(t, created, half, all, back)
			s.wantTold(t, passed, `\*Errors at 100%\*.*'Errors at 50%' passed too early; with the requests that were logged late it is errors \d\d% \(\d+ of \d+\)\. Limit 5%: failed\. Traffic goes back`)
		})
	})
	t.Run("for the rollout", func(t *testing.T) {
		t.Parallel()
		onStageFor(t, other(t, "slow-errors", change...), func(t *testing.T, s *stage) {
			s.deploys(t, "Deployed")
			s.must(t, s.Until(within(t), "the way back", play.Has("rollback")))
			s.wantTold(t, passed, `\*Failing since it was deployed: .*Errors \d\d% \([\d,]+ of [\d,]+\) since \d\d:\d\d UTC, with those that were logged late\. Limit 5%.*way back to 00041`)
			s.must(t, s.Click(within(t), workspace.Oncall, "rollback"))
			s.cardSays(t, "*Rolled back: backend on staging to 00041")
			s.wantTraffic(t, "100% STABLE")
		})
	})
}

func TestLateFail(t *testing.T) {
	t.Parallel()
	onStage(t, "late-fail", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "late-fail"))
		s.wantUpdates(t, created, tenth, all, following, "traffic, 100% to STABLE")
		told := s.wantTold(t, `\*Deployed: `,
			`<@U0DEPLOYER(\|\w+)?> \*Failing since it was deployed: backend on staging\* Errors [23]\d% \([\d,]+ of [\d,]+\) since \d\d:\d\d UTC\. Limit 5%: its pass does not hold any more\. The card above has the way back to 00041`)
		if late := postedAt(t, told[1]).Sub(postedAt(t, told[0])); !told[1].Broadcast || late < time.Minute || late > 3*time.Minute {
			t.Errorf("%s after the end it was told, in the channel: %v", late, told[1].Broadcast)
		}
		if text := play.Card(s.Slack.Messages(channel)).Text; !strings.Contains(text, "to 00041 from") {
			t.Errorf("the card of the way back says %s", text)
		}
	})
}

// A release below its limit may all the same be much worse than what served before.
func TestWorseThanBeforeBelowTheLimit(t *testing.T) {
	t.Parallel()
	scenario := other(t, "bursty", "evidence: buckets, ", "")
	scenario.RPS, scenario.Old.ErrorRate = 40, 0.002
	scenario.New = fakegcp.Behavior{ErrorRate: 0.03}
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		s.deploys(t, "Rolled back")
		s.wantUpdates(t, created, half, back)
		s.wantTold(t, `Errors 0\.2% \(4 of 2,000\) → [23](\.\d)?% \(\d+ of \d+\): worse than the old revision\. Traffic goes back to 00041`)
	})
}

func TestLatency(t *testing.T) {
	for name, tt := range map[string]struct {
		slow    float64
		how     string
		updates []string
		note    string
	}{
		"fast": {0.01, "Deployed", []string{created, half, all, following}, `Slower than 800ms: [\d.]+% \([0-3] of \d+\), at most [\d.]+%\. Limit 5%: passed\.`},
		"slow": {0.2, "Rolled back", []string{created, half, back}, `Slower than 800ms: \d\d% \(\d+ of \d+\)\. Limit 5%: failed\.`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario := other(t, "bursty", "error_rate", "latency", "below: 5%, evidence: buckets, compare: old", "percent: 95, below: 800ms")
			scenario.New = fakegcp.Behavior{SlowShare: tt.slow, SlowLatency: 3 * time.Second}
			onStageFor(t, scenario, func(t *testing.T, s *stage) {
				s.deploys(t, tt.how)
				s.wantUpdates(t, tt.updates...)
				s.wantTold(t, tt.note)
				s.cardHas(t, tt.note)
			})
		})
	}
}
