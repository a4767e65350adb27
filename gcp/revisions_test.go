package gcp

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"slipway/plan"
	"slipway/sandbox/fakegcp"
)

const earlierName = cloudRun + "-00040-xyz"

// inHistory runs a test against a service that had another revision before the serving one.
func inHistory(t *testing.T, test func(ctx context.Context, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, fakegcp.Config{}, fakegcp.Behavior{}, []fakegcp.RevisionSpec{{Name: earlierName, Image: repository + ":new"}})
		must(t, w.fake.Fault(fakegcp.Fault{Method: "Registry", Kind: fakegcp.FaultError, Count: -1}))
		test(t.Context(), w)
	})
}

func TestInspectRevision(t *testing.T) {
	for _, name := range []string{earlierName, "00040-xyz", "00040", " 00040 ", strings.ToUpper("00040-xyz")} {
		t.Run(name, func(t *testing.T) {
			inHistory(t, func(ctx context.Context, w *world) {
				s, err := w.cloud.InspectRevision(ctx, spec(), name, time.Now())
				must(t, err)
				if s.Candidate.Name != earlierName || s.Stable.Name != stableName || s.URL == "" {
					t.Errorf("%+v", s)
				}
				if s.Image.Repository != repository || !strings.HasPrefix(s.Image.Digest, "sha256:") || s.OldImage == s.Image.Reference() {
					t.Errorf("image %+v, old %s", s.Image, s.OldImage)
				}
				if s.Baseline == nil || s.Baseline.Revision != stableName || s.Baseline.Requests == 0 {
					t.Errorf("baseline %+v", s.Baseline)
				}
			})
		})
	}
}

func TestInspectRevisionWithoutAName(t *testing.T) {
	inHistory(t, func(ctx context.Context, w *world) {
		s, err := w.cloud.InspectRevision(ctx, spec(), "", time.Now())
		must(t, err)
		if s.Stable.Name != stableName || s.OldImage == "" || s.Baseline == nil || s.Candidate.Name != "" || s.Image.Digest != "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestInspectRevisionDoesNotWaitForLogs(t *testing.T) {
	inHistory(t, func(ctx context.Context, w *world) {
		must(t, w.fake.Fault(fakegcp.Fault{Method: "ListLogEntries", Kind: fakegcp.FaultTimeout, Count: -1}))
		began := time.Now()
		s, err := w.cloud.InspectRevision(ctx, spec(), "00040", began)
		must(t, err)
		if took := time.Since(began); took > shortBaseline+time.Second || s.Baseline.Problem == "" {
			t.Errorf("after %v: baseline %+v", took, s.Baseline)
		}
	})
}

func TestInspectRevisionRefuses(t *testing.T) {
	inHistory(t, func(ctx context.Context, w *world) {
		for name, label := range map[string]string{
			"00041": "serves_already", "0004": "revision_missing", "xyz": "revision_missing", cloudRun + "-": "revision_missing",
			"../../services/other": "revision_missing", strings.Repeat("a b", 500): "revision_missing",
		} {
			_, err := w.cloud.InspectRevision(ctx, spec(), name, time.Now())
			wantFailure(t, err, label)
			if failure := asFailure(err); len(failure.Reason) > 300 {
				t.Errorf("a reason of %d characters", len(failure.Reason))
			}
		}
		w.service = inspected(spec())
		must(t, w.fake.Touch(fakegcp.TouchRequest{Service: cloudRun, Traffic: map[string]int{stableName: 60, earlierName: 40}}))
		time.Sleep(10 * time.Second)
		s, err := w.cloud.InspectRevision(ctx, spec(), "00041", time.Now())
		must(t, err)
		if s.Candidate.Name != stableName || s.Stable.Name != earlierName {
			t.Errorf("from a split: back to %s from %s", s.Candidate.Name, s.Stable.Name)
		}
	})
}

// A rollback goes ahead whatever others do, keeps their tags, and says what becomes of connections.
func TestRollback(t *testing.T) {
	inHistory(t, func(ctx context.Context, w *world) {
		must(t, w.fake.Touch(fakegcp.TouchRequest{Service: cloudRun, Image: repository + ":old"}))
		s, err := w.cloud.InspectRevision(ctx, spec(), "00040", time.Now())
		must(t, err)
		w.service = s
		must(t, w.fake.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultError, Code: "ABORTED"}))
		step := trafficStep(100, plan.ToRevision)
		if fence, err := (trafficAction{w.cloud}).Precondition(ctx, w.task(step, 1)); err != nil || fence != "" {
			t.Errorf("precondition %q, %v", fence, err)
		}
		outcome := w.pass(ctx, step)
		w.wantShares(ctx, map[string]int{earlierName: 100, stableName: 0})
		want := "All traffic is back on " + earlierName + ". Connections still open on " + stableName + " end by themselves within its request timeout (5m)."
		if outcome.Note != want {
			t.Errorf("note %q\nwant %q", outcome.Note, want)
		}
		if want := "gcloud run services update-traffic " + cloudRun + " --project netra-staging --region us-central1 --to-revisions " + earlierName + "=100"; outcome.Detail != want {
			t.Errorf("detail %q\nwant %q", outcome.Detail, want)
		}
		if w.service.Percent != 100 {
			t.Errorf("percent %d", w.service.Percent)
		}
	})
}

func TestReturnLineOfForwardSteps(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		for _, step := range []plan.Step{deployStep(), trafficStep(10, plan.ToCandidate), trafficStep(0, plan.ToStable)} {
			if detail := w.pass(ctx, step).Detail; !strings.HasSuffix(detail, "--to-revisions "+stableName+"=100") {
				t.Errorf("%s: detail %q", step.Kind, detail)
			}
		}
	})
}

// The way back goes ahead while the service hangs in a change that never ends.
func TestRescueFromAStuckDeploy(t *testing.T) {
	inWorld(t, fakegcp.Behavior{Stuck: true}, func(ctx context.Context, w *world) {
		_, err := w.begin(ctx, w.task(deployStep(), 1))
		must(t, err)
		time.Sleep(time.Minute)
		w.pass(ctx, trafficStep(0, plan.ToStable))
		w.wantShares(ctx, map[string]int{stableName: 100})
	})
}

// A rescue is patient for longer than anything else, and then says why it did not get on.
func TestPatience(t *testing.T) {
	for to, limit := range map[plan.TrafficTo]time.Duration{plan.ToCandidate: startPatience, plan.ToStable: rescuePatience, plan.ToRevision: rescuePatience} {
		t.Run(string(to), func(t *testing.T) {
			inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
				w.pass(ctx, deployStep())
				task := w.task(trafficStep(10, to), 1)
				must(t, w.fake.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultRateLimit, Count: -1}))
				time.Sleep(limit - time.Second)
				if _, err := (trafficAction{w.cloud}).Start(ctx, task); err == nil || asFailure(err) != nil {
					t.Errorf("before its patience ends: %v, want a plain error", err)
				}
				time.Sleep(2 * time.Second)
				_, err := trafficAction{w.cloud}.Start(ctx, task)
				wantFailure(t, err, "quota_exceeded", "quota")
			})
		})
	}
}

func TestStartable(t *testing.T) {
	is := func(kind string, state runpb.Condition_State, severity runpb.Condition_Severity) *runpb.Condition {
		return &runpb.Condition{Type: kind, State: state, Severity: severity}
	}
	const good, bad, unknown = runpb.Condition_CONDITION_SUCCEEDED, runpb.Condition_CONDITION_FAILED, runpb.Condition_CONDITION_RECONCILING
	retired := is("Ready", unknown, 0)
	retired.Reasons = &runpb.Condition_RevisionReason_{RevisionReason: runpb.Condition_RETIRED}
	for _, arm := range []struct {
		name       string
		conditions []*runpb.Condition
		want       bool
	}{
		{"ready", []*runpb.Condition{is("Ready", good, 0), is("ContainerHealthy", good, 0)}, true},
		{"retired", []*runpb.Condition{retired, is("Active", bad, runpb.Condition_INFO)}, true},
		{"retired, and never came up", []*runpb.Condition{retired, is("ContainerHealthy", bad, 0)}, false},
		{"failed", []*runpb.Condition{is("Ready", bad, 0)}, false},
		{"starting", []*runpb.Condition{is("Ready", unknown, 0)}, false},
		{"a warning only", []*runpb.Condition{is("Ready", good, 0), is("Other", bad, runpb.Condition_INFO)}, true},
		{"nothing known", nil, false},
	} {
		if got := startable(arm.conditions); got != arm.want {
			t.Errorf("%s: %v", arm.name, got)
		}
	}
}

func TestBaselineOfASilentService(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		silent := w.service
		silent.Stable.Name = "nobody-calls-it"
		b := w.cloud.baseline(ctx, silent, time.Now())
		if b.Requests != 0 || !strings.Contains(b.Problem, "No request of nobody-calls-it") {
			t.Errorf("%+v", b)
		}
	})
}

// A registry that is away for some seconds is asked again.
func TestRegistryIsAskedAgain(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		must(t, w.fake.Fault(fakegcp.Fault{Method: "Registry", Kind: fakegcp.FaultError}))
		_, err := w.cloud.Inspect(ctx, spec(), "", time.Now())
		must(t, err)
		must(t, w.fake.Fault(fakegcp.Fault{Method: "Registry", Kind: fakegcp.FaultTimeout, Count: -1}))
		began := time.Now()
		_, err = w.cloud.Inspect(ctx, spec(), "", time.Now())
		wantFailure(t, err, registryDown)
		if took := time.Since(began); took > callTime+time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestRegistryAnswers(t *testing.T) {
	for code, label := range map[string]string{
		"NOT_FOUND": "image_missing", "UNAUTHENTICATED": "image_denied", "PERMISSION_DENIED": "image_denied", "INTERNAL": registryDown,
	} {
		inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
			must(t, w.fake.Fault(fakegcp.Fault{Method: "Registry", Kind: fakegcp.FaultError, Code: code, Count: -1}))
			_, err := w.cloud.Inspect(ctx, spec(), "", time.Now())
			wantFailure(t, err, label)
		})
	}
	if f := explainRegistry(http.ErrHandlerTimeout, "x"); f.Label != registryDown {
		t.Errorf("a broken connection is %s", f.Label)
	}
}
