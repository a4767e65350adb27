package gcp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"slipway/plan"
	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

func jobStep(image string, args ...string) plan.Step {
	return plan.Step{
		Kind: plan.KindJob, Timeout: plan.Duration(10 * time.Minute),
		Job: &plan.Job{Name: "backend-tests", Service: "backend", Image: image, Args: args, Env: map[string]string{"URL": "${backend.url}"}},
	}
}

// suite is an image whose tests pass, unless the arguments say otherwise.
func suite() fakegcp.Behavior {
	return fakegcp.Behavior{Jobs: map[string]fakegcp.JobBehavior{
		"":      {Duration: 40 * time.Second},
		"fails": {Duration: 40 * time.Second, ExitCode: 3, Output: []string{"collecting", "E   AssertionError: no", "1 failed, 7 passed"}},
		"hangs": {NeverEnds: true},
	}}
}

// runs lists the job's executions, newest first.
func (w *world) runs(ctx context.Context) []*runpb.Execution {
	w.t.Helper()
	var all []*runpb.Execution
	for e, err := range w.cloud.executions.ListExecutions(ctx, &runpb.ListExecutionsRequest{
		Parent: parent(w.service) + "/jobs/backend-tests",
	}).All() {
		must(w.t, err)
		all = append(all, e)
	}
	return all
}

func TestJobRunsTheNewImage(t *testing.T) {
	inWorld(t, suite(), func(ctx context.Context, w *world) {
		if note := w.pass(ctx, jobStep(plan.ImageNew, "ok")).Note; note != "Passed in 40 s." {
			t.Errorf("note %q", note)
		}
		run := w.runs(ctx)[0]
		container := run.GetTemplate().GetContainers()[0]
		if container.GetImage() != w.service.Image.Reference() {
			t.Errorf("it ran %s", container.GetImage())
		}
		env := map[string]string{}
		for _, v := range container.GetEnv() {
			env[v.GetName()] = v.GetValue()
		}
		if env[keyVariable] != "abc234/3.1/1" || env["URL"] != w.service.URL || strings.Join(container.GetArgs(), " ") != "ok" {
			t.Errorf("env %v, args %v", env, container.GetArgs())
		}
		if run.GetTemplate().GetTimeout().AsDuration() != 10*time.Minute {
			t.Errorf("timeout %v", run.GetTemplate().GetTimeout().AsDuration())
		}
		// The image is the one asked for already: no second update.
		w.pass(ctx, jobStep(plan.ImageNew, "ok"))
		if n := w.calls("UpdateJob"); n != 1 {
			t.Errorf("%d updates of the job, want 1", n)
		}
	})
}

func TestJobKeepsItsImageUnlessAsked(t *testing.T) {
	inWorld(t, suite(), func(ctx context.Context, w *world) {
		w.pass(ctx, jobStep("", "ok"))
		if n := w.calls("UpdateJob"); n != 0 {
			t.Errorf("%d updates of the job, want none", n)
		}
	})
}

func TestJobThatFails(t *testing.T) {
	inWorld(t, suite(), func(ctx context.Context, w *world) {
		outcome, err := w.run(ctx, w.task(jobStep(plan.ImageNew, "fails"), 1))
		must(t, err)
		if outcome.State != rollout.FailedState || outcome.Note != "exit 3 after 40 s; last line: 1 failed, 7 passed. More is under Details." {
			t.Errorf("%+v", outcome)
		}
		if !strings.Contains(outcome.Detail, "AssertionError") || strings.Index(outcome.Detail, "collecting") > strings.Index(outcome.Detail, "1 failed") {
			t.Errorf("detail %q", outcome.Detail)
		}
	})
}

func TestJobWhoseAnswerGetsLost(t *testing.T) {
	inWorld(t, suite(), func(ctx context.Context, w *world) {
		must(t, w.fake.Fault(fakegcp.Fault{Method: "RunJob", Kind: fakegcp.FaultAppliedButError}))
		w.pass(ctx, jobStep(plan.ImageNew, "ok"))
		if n := len(w.runs(ctx)); n != 1 {
			t.Errorf("%d runs, want the first to be found", n)
		}
	})
}

func TestJobStartedTwiceIsCancelledOnce(t *testing.T) {
	inWorld(t, suite(), func(ctx context.Context, w *world) {
		action, task := jobAction{w.cloud}, w.task(jobStep("", "ok"), 1)
		first, err := action.Start(ctx, task)
		must(t, err)
		time.Sleep(time.Second)
		_, err = action.Start(ctx, task)
		must(t, err)
		handle, found, err := action.Find(ctx, task)
		if err != nil || !found || handle != first {
			t.Errorf("found %v %q, %v; want the first run", found, handle, err)
		}
		outcome, err := w.follow(ctx, task, handle)
		if err != nil || outcome.State != rollout.Passed {
			t.Errorf("%+v, %v", outcome, err)
		}
		if runs := w.runs(ctx); runs[0].GetCancelledCount() != 1 || runs[1].GetCancelledCount() != 0 {
			t.Errorf("the second run is not the one that was cancelled: %v", runs)
		}
		other := task
		other.Key.Attempt = 2
		if _, found, err := action.Find(ctx, other); err != nil || found {
			t.Errorf("another attempt finds it too: %v, %v", found, err)
		}
	})
}

// A replica that lost its lease does not run the job; one that lost it in the last moment does, and its
// run is found and stopped by whoever follows the attempt.
func TestJobOfALateReplica(t *testing.T) {
	inWorld(t, suite(), func(ctx context.Context, w *world) {
		action, task := jobAction{w.cloud}, w.task(jobStep(plan.ImageNew, "ok"), 1)
		first, err := action.Start(ctx, task)
		must(t, err)
		late := task
		late.Held = func(context.Context) error { return rollout.ErrFenced }
		if _, err := action.Start(ctx, late); !errors.Is(err, rollout.ErrFenced) || len(w.runs(ctx)) != 1 {
			t.Errorf("it ran %d times, and the error is %v", len(w.runs(ctx)), err)
		}
		time.Sleep(10 * time.Second)
		second, err := action.Start(ctx, task)
		must(t, err)
		outcome, err := w.follow(ctx, task, first)
		if err != nil || outcome.State != rollout.Passed || !strings.Contains(outcome.Note, short(second)) {
			t.Errorf("%+v, %v", outcome, err)
		}
		third, err := action.Start(ctx, task) // after the end: it is for whoever asked for it to find
		must(t, err)
		time.Sleep(time.Second)
		for range 2 {
			said, err := action.Undouble(ctx, task, first)
			if err != nil || !strings.Contains(said, short(third)) {
				t.Errorf("found %q, %v", said, err)
			}
		}
		time.Sleep(10 * time.Second)
		if runs := w.runs(ctx); runs[0].GetCancelledCount() != 1 || runs[1].GetCancelledCount() != 1 || runs[2].GetSucceededCount() != 1 {
			t.Errorf("the late run is not the one that was stopped: %v", runs)
		}
	})
}

func TestJobCancel(t *testing.T) {
	inWorld(t, suite(), func(ctx context.Context, w *world) {
		action, task := jobAction{w.cloud}, w.task(jobStep(plan.ImageNew, "hangs"), 1)
		handle, err := w.begin(ctx, task)
		must(t, err)
		time.Sleep(10 * time.Second)
		must(t, action.Cancel(ctx, task, handle))
		outcome, err := w.follow(ctx, task, handle)
		if err != nil || outcome.State != rollout.FailedState || outcome.Label != "job_cancelled" {
			t.Errorf("%+v, %v", outcome, err)
		}
		must(t, action.Cancel(ctx, task, handle)) // it is over: no error
	})
}

func TestJobThatIsNotThere(t *testing.T) {
	inWorld(t, suite(), func(ctx context.Context, w *world) {
		step := jobStep("", "ok")
		step.Job.Name = "nobody"
		_, err := w.run(ctx, w.task(step, 1))
		wantFailure(t, err, "not_found", "job nobody", "deploy.yaml")
		step = jobStep("", "${backend.candidate.url}")
		_, err = w.run(ctx, w.task(step, 1))
		wantFailure(t, err, "bad_reference", "backend.candidate.url")
	})
}
