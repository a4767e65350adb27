package gcp

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/rogpeppe/go-internal/diff"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"slipway/plan"
	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// provoked is one way in which things go wrong: the image and the cloud that are set up, and the call
// that meets it.
type provoked struct {
	name  string
	label string
	next  fakegcp.Behavior // of the image that is rolled out
	meet  func(ctx context.Context, w *world) (rollout.Outcome, error)
}

// TestFailures provokes each failure through Google's own clients, and keeps what people read of it.
// Whoever changes a sentence should ask what a tired person on call would do after reading it.
func TestFailures(t *testing.T) {
	var all strings.Builder
	for _, p := range provocations() {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fakegcp.Config{}, p.next)
				w.service = w.knownService(t.Context())
				outcome, err := p.meet(t.Context(), w)
				told := toldOf(t, outcome, err)
				if told.Label != p.label {
					t.Errorf("label %q, want %q (%s)", told.Label, p.label, told.Note)
				}
				fmt.Fprintf(&all, "== %s\n[%s] %s\n%s\n", p.name, told.Label, told.Note, indented(told.Detail))
			})
		})
	}
	golden(t, filepath.Join("testdata", "failures.golden"), steady(all.String()))
}

// knownService is what an earlier Inspect saw; one that refuses the image of this test comes later.
func (w *world) knownService(ctx context.Context) rollout.Service {
	w.t.Helper()
	s, err := w.cloud.Inspect(ctx, spec(), "old", time.Now())
	must(w.t, err)
	digest, err := w.fake.AddImage(repository+":new", w.next)
	must(w.t, err)
	s.Image = rollout.Image{Repository: repository, Tag: "new", Digest: digest}
	return s
}

func toldOf(t *testing.T, o rollout.Outcome, err error) rollout.Outcome {
	t.Helper()
	if failure := asFailure(err); failure != nil {
		return rollout.Outcome{Note: failure.Reason, Detail: failure.Detail, Label: failure.Label}
	}
	if err != nil {
		t.Errorf("a plain error, which the engine would repeat: %v", err)
	}
	return o
}

func indented(text string) string {
	if text == "" {
		return ""
	}
	return "    " + strings.ReplaceAll(text, "\n", "\n    ") + "\n"
}

// steady replaces names that the fake makes up, and the seconds, which depend on which of two waits ends first.
func steady(text string) string {
	text = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).ReplaceAllString(text, "OPERATION")
	text = regexp.MustCompile(`\b00:00:\d\d UTC`).ReplaceAllString(text, "00:00:SS UTC")
	text = regexp.MustCompile(`sha256:[0-9a-f]{64}`).ReplaceAllString(text, "sha256:DIGEST")
	return regexp.MustCompile(`(backend-tests|0004[2-9])-[a-z]{3,5}\b`).ReplaceAllString(text, "$1-xyz")
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		must(t, os.MkdirAll(filepath.Dir(path), 0o750))
		must(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(filepath.Clean(path))
	must(t, err)
	if got != string(want) {
		t.Errorf("%s is not what is told now; look at the difference, then run go test -update\n%s",
			path, diff.Diff("golden", want, "now", []byte(got)))
	}
}

func deploying(ctx context.Context, w *world) (rollout.Outcome, error) {
	return w.run(ctx, w.task(deployStep(), 1))
}

func shifting(ctx context.Context, w *world) (rollout.Outcome, error) {
	return w.run(ctx, w.task(trafficStep(50, plan.ToCandidate), 1))
}

// looking asks for an image, as /deploy does.
func looking(what string) func(context.Context, *world) (rollout.Outcome, error) {
	return func(ctx context.Context, w *world) (rollout.Outcome, error) {
		_, err := w.cloud.Inspect(ctx, spec(), what, time.Now())
		return rollout.Outcome{}, err
	}
}

// returning asks for a revision, as /deploy rollback does.
func returning(name string) func(context.Context, *world) (rollout.Outcome, error) {
	return func(ctx context.Context, w *world) (rollout.Outcome, error) {
		_, err := w.cloud.InspectRevision(ctx, spec(), name, time.Now())
		return rollout.Outcome{}, err
	}
}

func running(step plan.Step) func(context.Context, *world) (rollout.Outcome, error) {
	return func(ctx context.Context, w *world) (rollout.Outcome, error) { return w.run(ctx, w.task(step, 1)) }
}

func counting(ctx context.Context, w *world) (rollout.Outcome, error) {
	_, err := w.cloud.Requests(ctx, w.query(time.Now()))
	return rollout.Outcome{}, err
}

func measuring(ctx context.Context, w *world) (rollout.Outcome, error) {
	_, err := w.cloud.Requests(ctx, w.byMetrics(time.Now().Add(-10*time.Minute)))
	return rollout.Outcome{}, err
}

// once does something before the call.
func once(do func(w *world), then func(context.Context, *world) (rollout.Outcome, error)) func(context.Context, *world) (rollout.Outcome, error) {
	return func(ctx context.Context, w *world) (rollout.Outcome, error) {
		do(w)
		return then(ctx, w)
	}
}

func deny(permissions ...string) func(w *world) {
	return func(w *world) { w.fake.Deny(permissions...) }
}

func fault(method, kind, code string) func(w *world) {
	return func(w *world) {
		must(w.t, w.fake.Fault(fakegcp.Fault{Method: method, Kind: kind, Code: code, Count: -1}))
	}
}

func touch(r fakegcp.TouchRequest) func(w *world) {
	r.Service = cloudRun
	return func(w *world) { must(w.t, w.fake.Touch(r)) }
}

func deployed10(w *world) {
	w.pass(w.t.Context(), deployStep())
	w.pass(w.t.Context(), trafficStep(10, plan.ToCandidate))
}

// between makes somebody else's change after the precondition was read.
func between(step plan.Step, do func(w *world)) func(context.Context, *world) (rollout.Outcome, error) {
	return func(ctx context.Context, w *world) (rollout.Outcome, error) {
		t := w.task(step, 1)
		fence, err := w.cloud.Actions()[step.Kind].(rollout.Fencer).Precondition(ctx, t)
		must(w.t, err)
		t.Fence = fence
		do(w)
		time.Sleep(10 * time.Second)
		return w.run(ctx, t)
	}
}

// while makes somebody else's change once the attempt is under way.
func while(step plan.Step, do func(w *world)) func(context.Context, *world) (rollout.Outcome, error) {
	return func(ctx context.Context, w *world) (rollout.Outcome, error) {
		t := w.task(step, 1)
		handle, err := w.begin(ctx, t)
		must(w.t, err)
		do(w)
		return w.follow(ctx, t, handle)
	}
}

// watching looks at an attempt that does not end.
func watching(step plan.Step) func(context.Context, *world) (rollout.Outcome, error) {
	return func(ctx context.Context, w *world) (rollout.Outcome, error) {
		t := w.task(step, 1)
		handle, err := w.begin(ctx, t)
		must(w.t, err)
		time.Sleep(9 * time.Minute)
		outcome, err := w.cloud.Actions()[step.Kind].Poll(ctx, t, handle)
		outcome.Label = string(outcome.State)
		return outcome, err
	}
}

func told(f *rollout.Failure) func(context.Context, *world) (rollout.Outcome, error) {
	return func(context.Context, *world) (rollout.Outcome, error) { return rollout.Outcome{}, f }
}

func provocations() []provoked {
	const candidateName = cloudRun + "-sabc234-1"
	onStable := map[string]int{stableName: 100}
	permissions := plan.Step{Kind: plan.KindPermissions, Permissions: &plan.ServiceStep{Service: "backend"}}
	target := plan.Step{Kind: plan.KindRollbackTarget, RollbackTarget: &plan.ServiceStep{Service: "backend"}}
	missingJob := jobStep("", "ok")
	missingJob.Job.Name = "nobody"
	gone := func(w *world) { w.service.Image.Digest = "sha256:" + strings.Repeat("0", 64) }
	return []provoked{
		// The image.
		{"image not in the registry", "image_missing", fakegcp.Behavior{}, looking("nobody-pushed-this")},
		{"image is gone when it is deployed", "image_missing", fakegcp.Behavior{}, once(gone, deploying)},
		{"not an image", "image_malformed", fakegcp.Behavior{}, looking("not a tag")},
		{"built for another platform", "wrong_platform", fakegcp.Behavior{WrongPlatform: true}, looking("new")},
		{"built for another platform, found when it starts", "wrong_platform", fakegcp.Behavior{WrongPlatform: true}, deploying},
		{"Cloud Run may not pull", "image_denied", fakegcp.Behavior{PullDenied: true}, deploying},
		{"Slipway may not look into the registry", "image_denied", fakegcp.Behavior{}, once(fault("Registry", fakegcp.FaultError, "PERMISSION_DENIED"), looking("new"))},
		{"registry down", "registry_down", fakegcp.Behavior{}, once(fault("Registry", fakegcp.FaultError, "UNAVAILABLE"), looking("new"))},
		{"registry down before the rollback target is checked", "registry_down", fakegcp.Behavior{}, once(fault("Registry", fakegcp.FaultError, "UNAVAILABLE"), running(target))},
		{"registry quota", "quota_exceeded", fakegcp.Behavior{}, once(fault("Registry", fakegcp.FaultRateLimit, ""), looking("new"))},

		// The start.
		{"crash on start", "container_exited", fakegcp.Behavior{CrashOnStart: true, Exception: "ModuleNotFoundError: No module named 'auth_service'"}, deploying},
		{"crash on start, logs refused", "container_unhealthy", fakegcp.Behavior{CrashOnStart: true}, once(deny("logging.logEntries.list"), deploying)},
		{"never listens", "container_never_listened", fakegcp.Behavior{NeverListens: true}, deploying},
		{"secret refused", "secret_denied", fakegcp.Behavior{SecretDenied: "backend-db-url"}, deploying},
		{"quota of the project", "quota_exceeded", fakegcp.Behavior{}, told(failedStart{
			service: inspected(spec()), name: candidateName, opErr: &statuspb.Status{
				Code: int32(codes.ResourceExhausted), Message: "Quota violated: CpuAllocPerProjectRegion requested: 20000 allowed: 10000",
			},
		}.failure())},
		{"too slow", "start_too_slow", fakegcp.Behavior{}, told(failedStart{name: candidateName, conditions: []*runpb.Condition{
			condition("Revision was not ready in time.", common(runpb.Condition_PROGRESS_DEADLINE_EXCEEDED)),
		}}.failure())},
		{"unknown cause", "deploy_failed", fakegcp.Behavior{}, told(failedStart{name: candidateName, conditions: []*runpb.Condition{
			condition("VPC connector netra-vpc is not ready. Please retry later.", nil),
		}}.failure())},
		{"operation of a deploy never ends", "running", fakegcp.Behavior{Stuck: true}, watching(deployStep())},

		// Permissions.
		{"may not read the service", "permission_denied", fakegcp.Behavior{}, once(deny("run.services.get"), looking("new"))},
		{"may not update the service", "permission_denied", fakegcp.Behavior{}, once(deny("run.services.update"), deploying)},
		{"may not act as the service's account", "permission_denied", fakegcp.Behavior{}, once(deny("iam.serviceaccounts.actAs"), deploying)},
		{"permissions step", "permission_denied", fakegcp.Behavior{}, once(deny("run.services.update", "logging.logEntries.list"), running(permissions))},
		{"permissions step, act as", "permission_denied", fakegcp.Behavior{}, once(deny("iam.serviceaccounts.actAs"), running(permissions))},
		{"may not read logs", "permission_denied", fakegcp.Behavior{}, once(deny("logging.logEntries.list"), counting)},
		{"may not read metrics", "permission_denied", fakegcp.Behavior{}, once(deny("monitoring.timeSeries.list"), measuring)},
		{"may not run the job", "permission_denied", suite(), once(deny("run.jobs.run"), running(jobStep("", "ok")))},
		{"no credentials", "unauthenticated", fakegcp.Behavior{}, once(fault("GetService", fakegcp.FaultError, "UNAUTHENTICATED"), deploying)},

		// Other people.
		{"someone else changed the service", "changed_meanwhile", fakegcp.Behavior{}, between(deployStep(), touch(fakegcp.TouchRequest{}))},
		{"someone else deploys at the same time", "changed_meanwhile", fakegcp.Behavior{}, while(deployStep(), touch(fakegcp.TouchRequest{Image: repository + ":old"}))},
		{"someone else's change does not end", "changing", fakegcp.Behavior{Stuck: true}, once(touch(fakegcp.TouchRequest{Image: repository + ":new"}), deploying)},
		{"someone else has the revision's name", "revision_taken", fakegcp.Behavior{}, once(
			func(w *world) {
				touch(fakegcp.TouchRequest{Image: repository + ":old", Revision: candidateName, Traffic: onStable})(w)
			}, deploying)},
		{"someone else serves", "changed_meanwhile", fakegcp.Behavior{}, once(touch(fakegcp.TouchRequest{Image: repository + ":new"}), deploying)},
		{"someone else pinned the traffic", "changed_meanwhile", fakegcp.Behavior{}, once(
			func(w *world) { deployed10(w); touch(fakegcp.TouchRequest{Traffic: onStable})(w) }, shifting)},
		{"someone else deployed before the hand-over", "changed_meanwhile", fakegcp.Behavior{}, once(
			func(w *world) { deployed10(w); touch(fakegcp.TouchRequest{Image: repository + ":old"})(w) }, running(trafficStep(0, plan.ToLatest)))},
		{"others all the time", "busy", fakegcp.Behavior{}, once(fault("UpdateService", fakegcp.FaultError, "ABORTED"), deploying)},

		// Cloud Run.
		{"request quota", "quota_exceeded", fakegcp.Behavior{}, once(fault("UpdateService", fakegcp.FaultRateLimit, ""), deploying)},
		{"no answer while it is looked at", "no_answer", fakegcp.Behavior{}, once(fault("GetService", fakegcp.FaultTimeout, ""), looking("new"))},
		{"no answer before a deploy", "no_answer", fakegcp.Behavior{}, once(fault("GetService", fakegcp.FaultError, "INTERNAL"), deploying)},
		{"no answer to a deploy", "no_answer", fakegcp.Behavior{}, once(fault("UpdateService", fakegcp.FaultError, "UNAVAILABLE"), deploying)},
		{"traffic cannot move", "traffic_failed", fakegcp.Behavior{CrashOnStart: true}, once(func(w *world) {
			_, err := deploying(w.t.Context(), w)
			w.service.Candidate.Name = candidateName
			wantFailure(w.t, err, "container_exited")
		}, shifting)},
		{"operation of a shift never ends", "running", fakegcp.Behavior{}, once(func(w *world) {
			w.pass(w.t.Context(), deployStep())
			must(w.t, w.fake.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultNeverEnds}))
		}, watching(trafficStep(10, plan.ToCandidate)))},
		{"no candidate", "no_candidate", fakegcp.Behavior{}, shifting},

		// Ways back.
		{"rollback to an unknown revision", "revision_missing", fakegcp.Behavior{}, returning("00012")},
		{"rollback to one of several", "revision_ambiguous", fakegcp.Behavior{}, once(func(w *world) {
			for range 2 {
				w.someoneElse(w.t.Context())
				w.others++
			}
		}, returning("szzz999"))},
		{"rollback to a revision that never came up", "revision_not_ready", fakegcp.Behavior{CrashOnStart: true}, once(func(w *world) {
			_, err := deploying(w.t.Context(), w)
			wantFailure(w.t, err, "container_exited")
			w.pass(w.t.Context(), trafficStep(0, plan.ToStable))
		}, returning(candidateName))},
		{"rollback to what serves", "serves_already", fakegcp.Behavior{}, returning("00041")},
		{"rollback target is gone", "revision_missing", fakegcp.Behavior{}, once(func(w *world) { w.service.Stable.Name = cloudRun + "-00001-zzz" }, running(target))},

		// Jobs.
		{"job fails", "job_failed", suite(), running(jobStep(plan.ImageNew, "fails"))},
		{"job fails, logs refused", "job_failed", suite(), once(deny("logging.logEntries.list"), running(jobStep(plan.ImageNew, "fails")))},
		{"job is missing", "not_found", suite(), running(missingJob)},
		{"job's image is missing", "image_missing", suite(), once(gone, running(jobStep(plan.ImageNew, "ok")))},
		{"job may not pull", "image_denied", fakegcp.Behavior{PullDenied: true}, running(jobStep(plan.ImageNew, "ok"))},
		{"job is cancelled", "job_cancelled", suite(), while(jobStep(plan.ImageNew, "hangs"), func(w *world) {
			time.Sleep(10 * time.Second)
			must(w.t, jobAction{w.cloud}.cancel(w.t.Context(), w.runs(w.t.Context())[0].GetName()))
		})},
		{"job quota", "quota_exceeded", suite(), once(fault("RunJob", fakegcp.FaultRateLimit, ""), running(jobStep("", "ok")))},
	}
}
