package bot

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"go.uber.org/goleak"

	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the embedded Redis builds an interpreter for each script and throws it away
	goleak.VerifyTestMain(m)
}

var (
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	deployer = rollout.Actor{ID: "U0DEPLOYER", Name: "deployer"}
	approver = rollout.Actor{ID: "U0APPROVER", Name: "approver"}
	names    = Names{"@release-managers": "<!subteam^S0RELEASE>", "@backend": "<!subteam^S0BACKEND>"}
)

// story is a rollout as it goes on, moved by the package that moves the real ones.
type story struct {
	t      *testing.T
	now    time.Time
	r      rollout.Rollout
	events []rollout.Event
}

func newStory(t *testing.T) *story {
	t.Helper()
	return begin(t, seedPlan())
}

// begin starts a deployment; failed are the sentences about images that failed before.
func begin(t *testing.T, p *plan.Plan, failed ...string) *story {
	t.Helper()
	r, created := rollout.New(rollout.Request{
		Token: "command/1", Target: plan.Target{Environment: "staging"}, Environment: environment(), Plan: p,
		By: deployer, Channel: "deploys-staging", At: noon, FailedBefore: failed,
	}, "abc234", map[string]rollout.Service{"backend": backend()})
	s := &story{t: t, now: noon, r: r, events: []rollout.Event{created}}
	s.advance(time.Second)
	return s
}

// goBack starts a rollback from 00042 to 00041.
func goBack(t *testing.T) *story {
	t.Helper()
	service := backend()
	service.Image = rollout.Image{}
	service.Candidate, service.Stable = service.Stable, rollout.Revision{Name: "netra-backend-staging-00042-xyz"}
	r, created := rollout.NewRollback(rollout.RollbackRequest{
		Token: "command/2", Target: plan.Target{Environment: "staging"}, Environment: environment(),
		Reason: "logins fail <since> noon", By: deployer, Channel: "deploys-staging", At: noon,
	}, "abc235", map[string]rollout.Service{"backend": service})
	s := &story{t: t, now: noon, r: r, events: []rollout.Event{created}}
	s.advance(time.Second)
	return s
}

func environment() *plan.Environment {
	return &plan.Environment{
		Name: "staging", Project: "netra-staging", Region: "us-central1", Channel: "deploys-staging",
		Deployers: []string{"@backend"}, TrafficAfter: plan.TrafficLatest,
		Services: []*plan.Service{{Name: "backend", CloudRun: "netra-backend-staging", Owners: []string{"@backend"}}},
	}
}

func backend() rollout.Service {
	return rollout.Service{
		Name: "backend", CloudRun: "netra-backend-staging",
		Image:    rollout.Image{Repository: "us-docker.pkg.dev/netra-staging/apps/backend", Tag: "develop-long-lived", Digest: "sha256:3f9a1c2e5b"},
		Stable:   rollout.Revision{Name: "netra-backend-staging-00041-abc"},
		OldImage: "us-docker.pkg.dev/netra-staging/apps/backend@sha256:0c7d2f4e5b",
		Baseline: &rollout.Baseline{Since: noon.Add(-10 * time.Minute), Until: noon, Requests: 1672, Errors: 1204},
	}
}

// wasHealthy makes the old revision a good one.
func (s *story) wasHealthy() *story {
	service := s.r.Services["backend"]
	service.Baseline = &rollout.Baseline{Since: noon.Add(-10 * time.Minute), Until: noon, Requests: 1672, Errors: 8}
	s.r.Services["backend"] = service
	return s
}

func seedPlan() *plan.Plan {
	backend := &plan.ServiceStep{Service: "backend"}
	gate := &plan.ErrorRate{Below: 0.05, Gate: plan.Gate{Service: "backend", AlphaPass: 0.05, AlphaFail: 0.05, Budget: plan.Duration(30 * time.Minute)}}
	return &plan.Plan{Name: "staging", OnFailure: plan.OnFailureRollback, Phases: []*plan.Phase{
		{Name: "Pre-deployment validation", Steps: []*plan.Step{
			{Name: "SSOT refactoring complete", Kind: plan.KindDone, Done: "b167be870, 587e15614, bae3df2eb"},
			{Name: "Service account permissions", Kind: plan.KindPermissions, Permissions: backend},
		}},
		{Name: "Approval", Steps: []*plan.Step{{Name: "Approve", Kind: plan.KindApproval, Approval: &plan.Approval{
			Required: 1, Approvers: []string{"@release-managers"}, Expires: plan.Duration(30 * time.Minute),
		}}}},
		{Name: "Staging deployment", Steps: []*plan.Step{
			{Name: "Deploy candidate", Kind: plan.KindDeploy, Deploy: backend},
			{Name: "Shift 10%", Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: "backend", Percent: 10}},
			{Name: "Errors at 10%", Kind: plan.KindErrorRate, ErrorRate: gate},
			{Name: "Shift 100%", Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: "backend", Percent: 100}},
		}},
		{Name: "Post-deployment verification", Parallel: true, Steps: []*plan.Step{
			{Name: "No ModuleNotFoundError", Kind: plan.KindNoLogs, NoLogs: &plan.NoLogs{Service: "backend", Match: "ModuleNotFoundError", MinRate: 0.05, Alpha: 0.05, Budget: plan.Duration(30 * time.Minute)}},
			{Name: "Error rate below 5%", Kind: plan.KindErrorRate, ErrorRate: gate},
		}},
	}}
}

// apply is one commit.
func (s *story) apply(e rollout.Event) {
	s.t.Helper()
	e.At = s.now
	next, err := rollout.Apply(s.r, e)
	if err != nil {
		s.t.Fatalf("%s at %s: %v", e.Kind, e.Step, err)
	}
	next.Version++
	s.r, e.Seq = next, next.Events
	if e.Kind != rollout.StepProgress {
		s.events = append(s.events, e)
	}
}

// advance lets time pass and does what is due by then.
func (s *story) advance(d time.Duration) {
	s.now = s.now.Add(d)
	for {
		due := rollout.Next(s.r, s.now).Events
		if len(due) == 0 {
			return
		}
		s.apply(due[0])
	}
}

func (s *story) step(id string) rollout.Step {
	step, _ := s.r.Step(id)
	if step == nil {
		s.t.Fatalf("no step %s", id)
	}
	return *step
}

func (s *story) start(id string) {
	s.apply(rollout.Event{Kind: rollout.StepStarted, Step: id, Attempt: s.step(id).Attempt + 1})
}

func (s *story) learn(kind rollout.EventKind, id string, o rollout.Outcome) {
	s.apply(rollout.Event{Kind: kind, Step: id, Attempt: s.step(id).Attempt, Outcome: &o})
}

func (s *story) pass(id, note string, change *rollout.ServiceChange) {
	s.start(id)
	s.advance(5 * time.Second)
	s.learn(rollout.StepEnded, id, rollout.Outcome{State: rollout.Passed, Note: note, Change: change})
	s.advance(0)
}

func (s *story) say(who rollout.Actor, verb rollout.Verb, ask, reason string) {
	s.apply(rollout.Event{Kind: rollout.Said, By: &who, Verb: verb, Ask: ask, Reason: reason})
	s.advance(0)
}

func (s *story) toApproval() *story {
	s.pass("1.2", "All permissions are there.", nil)
	return s
}

func (s *story) toDeploying() *story {
	s.toApproval().advance(20 * time.Second)
	s.say(approver, rollout.VerbApprove, "2.1", "")
	s.start("3.1")
	return s
}

func (s *story) toGate() *story {
	s.toDeploying().advance(10 * time.Second)
	candidate, ten := rollout.Revision{Name: "netra-backend-staging-sabc234-1", URL: s.r.Services["backend"].Candidate.URL}, 10
	s.learn(rollout.StepEnded, "3.1", rollout.Outcome{State: rollout.Passed, Note: "Revision netra-backend-staging-sabc234-1 is ready.",
		Change: &rollout.ServiceChange{Service: "backend", Candidate: &candidate}})
	s.pass("3.2", "10% of the traffic is on the new revision.", &rollout.ServiceChange{Service: "backend", Percent: &ten})
	s.start("3.3")
	return s
}

func counts(requests, errors, needed int64, v verdict.Verdict, atMost float64) *rollout.Gate {
	return &rollout.Gate{
		Revision: "netra-backend-staging-sabc234-1", Limit: 0.05, Since: noon, Until: noon.Add(time.Minute),
		Counts: verdict.Counts{Requests: requests, Errors: errors}, Verdict: v, AtMost: atMost, Needed: needed, PerSec: 0.4,
		Points: []rollout.Point{
			{At: noon, Requests: 40, Errors: 1}, {At: noon.Add(10 * time.Second)}, {At: noon.Add(20 * time.Second), Requests: 78},
		},
	}
}

func (s *story) toCounting() *story {
	s.toGate().advance(20 * time.Second)
	s.learn(rollout.StepProgress, "3.3", rollout.Outcome{State: rollout.StillRunning, Note: "118 requests, 1 error. 6 more clean ones to pass (about 15 s).", Gate: counts(118, 1, 6, verdict.Inconclusive, 0.06)})
	return s
}

func (s *story) toSucceeded() {
	s.toCounting().advance(15 * time.Second)
	s.learn(rollout.StepEnded, "3.3", rollout.Outcome{State: rollout.Passed, Note: "Errors 72% (1,204 of 1,672) → 0.8% (1 of 124), at most 4.96%. Limit 5%: passed.", Gate: counts(124, 1, 0, verdict.Pass, 0.0496)})
	hundred := 100
	s.pass("3.4", "All traffic is on the new revision.", &rollout.ServiceChange{Service: "backend", Percent: &hundred})
	s.start("4.1")
	s.start("4.2")
	s.advance(30 * time.Second)
	clean := counts(334, 0, 0, verdict.Pass, 0)
	s.learn(rollout.StepEnded, "4.1", rollout.Outcome{State: rollout.Passed, Note: "No ModuleNotFoundError in 334 requests.", Gate: clean})
	s.learn(rollout.StepEnded, "4.2", rollout.Outcome{State: rollout.Passed, Note: "Errors 72% (1,204 of 1,672) → 0.9% (3 of 334), at most 3.2%. Limit 5%: passed.", Gate: counts(334, 3, 0, verdict.Pass, 0.032)})
	s.pass("5.1", "The service follows LATEST again.", nil)
}

// toWatched succeeds, with verdicts that are provisional still.
func (s *story) toWatched() {
	s.toSucceeded()
	s.r.Watch = &rollout.Watch{Until: s.now.Add(30 * time.Minute)}
}

func (s *story) toHeld() {
	s.toWatched()
	s.advance(30 * time.Minute)
	s.apply(rollout.Event{Kind: rollout.WatchOver, Watch: &rollout.WatchEnd{
		At: s.now, State: rollout.WatchHeld, Note: "It held for 30 min: 41 errors in 5,012 requests.",
	}})
}

func (s *story) toFailedLate() {
	s.toWatched()
	s.advance(16 * time.Minute)
	s.apply(rollout.Event{Kind: rollout.WatchOver, Watch: &rollout.WatchEnd{
		At: s.now, State: rollout.WatchFailed, Note: "Errors 31% (94 of 301) since 12:17 UTC. Limit 5%: its pass does not hold any more.",
	}})
}

// reachable gives the candidate an address of its own.
func (s *story) reachable() {
	service := s.r.Services["backend"]
	service.Candidate.URL = "https://candidate---netra-backend-staging.a.run.app"
	s.r.Services["backend"] = service
}

func (s *story) toRolledBack() *story {
	s.wasHealthy().toCounting().advance(15 * time.Second)
	s.fails("Errors 0.5% (8 of 1,672) → 30% (40 of 133). Limit 5%: failed.")
	zero := 0
	s.pass("6.1", "All traffic is back on netra-backend-staging-00041-abc.", &rollout.ServiceChange{Service: "backend", Percent: &zero})
	return s
}

// fails ends the gate at 10% with 30% errors.
func (s *story) fails(note string) *story {
	s.learn(rollout.StepEnded, "3.3", rollout.Outcome{State: rollout.FailedState, Note: note, Gate: counts(133, 40, math.MaxInt64, verdict.Fail, 0.4)})
	s.advance(0)
	return s
}

// toWorse comes to a FAIL of the new revision, while the old one errs at 72%.
func (s *story) toWorse() *story {
	s.toCounting().advance(15 * time.Second)
	return s.fails("Errors 72% (1,204 of 1,672) → 30% (40 of 133). Limit 5%: failed.")
}

// toUnsafe comes to the same of a plan in which a step that cannot be undone has run.
func (s *story) toUnsafe() *story {
	s.unsafe().wasHealthy().toCounting().advance(15 * time.Second)
	return s.fails("Errors 0.5% (8 of 1,672) → 30% (40 of 133). Limit 5%: failed.")
}

// unsafe makes the step 1.2 one that cannot be undone.
func (s *story) unsafe() *story {
	no := false
	step, _ := s.r.Step("1.2")
	step.Spec.Name, step.Spec.RollbackSafe = "Migrate the database", &no
	return s
}

// manualPlan has a step for people, after 10% of the traffic has moved if moved is true.
func manualPlan(moved bool) *plan.Plan {
	p := seedPlan()
	step := &plan.Step{Name: "Rotate the signing key", Kind: plan.KindManual, Manual: "Rotate the key in the console and check that <login> works", Timeout: plan.Duration(time.Hour)}
	at := p.Phases[0]
	if moved {
		at = p.Phases[2]
		at.Steps = at.Steps[:2]
	}
	at.Steps = append(at.Steps, step)
	return p
}

func (s *story) toFailed() {
	s.toDeploying().advance(40 * time.Second)
	s.learn(rollout.StepEnded, "3.1", rollout.Outcome{State: rollout.FailedState,
		Note: "The container did not listen on PORT: <exit 1> & ModuleNotFoundError.", Label: "crash"})
	s.advance(0)
}

func (s *story) toInconclusive() {
	s.wasHealthy().lacks()
}

// lacks ends the gate at 10% without enough requests.
func (s *story) lacks() {
	s.toGate().advance(5 * time.Minute)
	s.learn(rollout.StepEnded, "3.3", rollout.Outcome{State: rollout.Inconclusive,
		Note: "Not enough traffic: 12 of at least 70 requests.", Gate: counts(12, 0, 58, verdict.Inconclusive, 0.4)})
	s.advance(0)
}

// golden compares with a file in testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./bot -update", err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs; run go test ./bot -update and read the diff\ngot:\n%s", path, got)
	}
}
