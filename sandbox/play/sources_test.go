package play_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakegcp"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// A log that does not hold all requests is noticed before the rollout, and Cloud Monitoring counts: minutes later,
// and right.
func TestDroppedLogs(t *testing.T) {
	for name, tt := range map[string]struct {
		errors  float64
		how     string
		updates []string
		told    string
	}{
		"good": {0.009, "Deployed", []string{created, tenth, all, following}, `Errors 72% \([\d,]+ of [\d,]+\) → \d(\.\d)?% \(\d of \d+\), at most [\d.]+%\. Limit 5%: passed`},
		"bad":  {0.8, "Rolled back", []string{created, tenth, back}, `Errors 72% \([\d,]+ of [\d,]+\) → (79|80)% \(\d+ of \d+\)\. Limit 5%: failed`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario := other(t, "dropped-logs")
			scenario.New.ErrorRate = tt.errors
			onStageFor(t, scenario, func(t *testing.T, s *stage) {
				s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
				s.must(t, s.Until(within(t), "the question for approval", play.Has("approve")))
				asks := regexp.MustCompile(`Request logs are sampled or excluded: they show (3[5-9]|4\d)% of the requests that Cloud Monitoring counts\. So Cloud Monitoring's counts decide`)
				if card := string(s.card(t).Blocks); !asks.MatchString(card) || !strings.Contains(card, "at least 4 min") {
					t.Errorf("the card that asks says %s", card)
				}
				s.must(t, s.Click(within(t), workspace.Approver, "approve"))
				s.cardHas(t, `No counts yet: Cloud Monitoring has them four to five minutes after the first requests`)
				s.ended(t, tt.how)
				s.wantUpdates(t, tt.updates...)
				s.wantTold(t, tt.told)
				if took := s.verdictAfter(t); took < 3*time.Minute || took > 6*time.Minute {
					t.Errorf("the gate took %s", took)
				}
			})
		})
	}
}

// verdictAfter is how long after the first shift of traffic the gate's verdict was told.
func (s *stage) verdictAfter(t *testing.T) time.Duration {
	t.Helper()
	return postedAt(t, s.wantTold(t, `Limit 5%: (passed|failed)`)[0]).Sub(s.applied(t)[1].Time)
}

// A log that begins to lose entries while a gate counts is found out by the gate, which then does not decide.
func TestDroppedLogsDuringAGate(t *testing.T) {
	t.Parallel()
	scenario := other(t, "dropped-logs", "below: 5%", "below: 0.5%, budget: 6m", "percent: 10}", "percent: 50}")
	lost := scenario.Faults[0]
	scenario.Faults, scenario.RPS, scenario.Old, scenario.New = nil, 5, fakegcp.Behavior{}, fakegcp.Behavior{}
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		s.must(t, s.Approved(within(t)))
		s.must(t, s.Cloud.Fault(lost))
		s.must(t, s.Until(within(t), "the question", play.Has("extend")))
		s.wantUpdates(t, created, half)
		s.wantTold(t, `\*Errors at 10%\*: Too little is known: \d+ requests, no errors\. The request log of backend lacks \d+ requests that Cloud Monitoring has; with source: metrics in deploy\.yaml they count\.`, `needs a decision`)
	})
}
