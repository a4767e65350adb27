package play_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// What a Redis that fails says (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors).
const (
	readOnly = "READONLY You can't write against a read only replica."
	full     = "OOM command not allowed when used memory > 'maxmemory'."
	loading  = "LOADING Redis is loading the dataset in memory"
	misconf  = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."
)

// quiet is the scenario of a good image, whose checks meet no error.
func quiet(t *testing.T) workspace.Scenario {
	t.Helper()
	scenario, err := workspace.FindScenario("ssot")
	if err != nil {
		t.Fatal(err)
	}
	scenario.New.ErrorRate = 0
	return scenario
}

// deployTo starts a rollout and takes it as far as its traffic shift to 10%.
func (s *stage) deployTo10(t *testing.T) {
	t.Helper()
	s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
	s.must(t, s.Until(within(t), "the question for approval", play.Has("approve")))
	s.must(t, s.Click(within(t), workspace.Approver, "approve"))
	s.await(t, func() bool { return len(s.applied(t)) >= 2 })
}

// While Redis refuses everything, a running rollout changes nothing; once it is back, the rollout goes on
// as if nothing had been: each effect once, one card, nothing said twice.
func TestRedisAwayForAWhile(t *testing.T) {
	for _, message := range []string{readOnly, full, loading, misconf} {
		kind, _, _ := strings.Cut(message, " ")
		for _, when := range []moment{atApproval, atShift} {
			t.Run(kind+" at "+string(when), func(t *testing.T) {
				t.Parallel()
				onStageFor(t, quiet(t), func(t *testing.T, s *stage) {
					s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
					s.must(t, s.Until(within(t), "the question for approval", play.Has("approve")))
					if when == atShift {
						s.must(t, s.Click(within(t), workspace.Approver, "approve"))
						s.await(t, func() bool { return len(s.applied(t)) == 1 })
					}
					s.RefuseRedis(message)
					before := s.settledUpdates(t)
					s.wantRefused(t)
					time.Sleep(20 * time.Second)
					if now := len(s.applied(t)); now != before {
						t.Errorf("%d updates of the service while Redis was away, want none", now-before)
					}
					s.RefuseRedis("")
					if when == atApproval {
						s.must(t, s.Click(within(t), workspace.Approver, "approve"))
					}
					s.ended(t, "Deployed")
					s.wantTold(t, `\*Deployed: `)
					s.wantUpdates(t, created, tenth, all, following)
					s.wantJobsOnce(t)
					s.card(t)
				})
			})
		}
	}
}

// settledUpdates lets what was under way arrive, and counts the updates of the service.
func (s *stage) settledUpdates(t *testing.T) int {
	t.Helper()
	time.Sleep(5 * time.Second)
	return len(s.applied(t))
}

// wantRefused: a command is answered with what is wrong and what works all the same.
func (s *stage) wantRefused(t *testing.T) {
	t.Helper()
	s.must(t, s.Command(within(t), workspace.Deployer, "/deploy status"))
	s.told(t, workspace.Deployer, "cannot reach its store (Redis)", "Nothing was done")
}

// A Redis that comes back empty knows nothing of the rollout. It is found in Cloud Run, and not deployed
// over; the way back that is named works, and after it so does the deploy.
func TestRedisForgets(t *testing.T) {
	t.Parallel()
	onStageFor(t, quiet(t), func(t *testing.T, s *stage) {
		s.deployTo10(t)
		time.Sleep(5 * time.Second)
		s.ForgetRedis()
		time.Sleep(10 * time.Second)
		s.wantTraffic(t, "10% CANDIDATE, 90% STABLE")

		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.told(t, workspace.Deployer, "Nothing was started.", "left 10% of the traffic of backend on", "not on record any more", "/deploy rollback staging/backend "+stable)
		s.wantUpdates(t, created, tenth)

		way := regexp.MustCompile("/deploy rollback [^`]+").FindString(s.answers(workspace.Deployer))
		s.must(t, s.Command(within(t), workspace.Deployer, way))
		s.cardSays(t, "*Rolled back: backend on staging")
		s.wantTraffic(t, "100% STABLE")
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy unlock staging"))
		s.must(t, s.Until(within(t), "the lock being gone", func(messages []fakeslack.Message) bool {
			return strings.Contains(messages[len(messages)-1].Text, "unlocked staging")
		}))
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.must(t, s.Until(within(t), "the question about an image that was rolled back", play.Has("confirm")))
	})
}

// A replica that starts while Redis is away answers people and waits: it need not be started again.
func TestRedisAwayAtTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := stageWith(t, quiet(t), manifest(t), func(w *workspace.Workspace) { w.RefuseRedis(loading) })
		s.wantRefused(t)
		time.Sleep(10 * time.Second)
		s.RefuseRedis("")
		s.deployTo10(t)
		s.card(t)
	})
}
