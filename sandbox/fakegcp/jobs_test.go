package fakegcp_test

import (
	"strings"
	"testing"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
)

const jobName = place + "/jobs/tests"

func (w *world) runJob(timeout time.Duration, args ...string) *run.RunJobOperation {
	w.t.Helper()
	overrides := &runpb.RunJobRequest_Overrides{ContainerOverrides: []*runpb.RunJobRequest_Overrides_ContainerOverride{{
		Args: args, Env: []*runpb.EnvVar{{Name: "SLIPWAY_KEY", Values: &runpb.EnvVar_Value{Value: "r/s/1"}}, {Name: "E2E_TOKEN", Values: &runpb.EnvVar_Value{Value: "hush"}}},
	}}}
	if timeout > 0 {
		overrides.Timeout = durationpb.New(timeout)
	}
	op, err := w.jobs.RunJob(w.t.Context(), &runpb.RunJobRequest{Name: jobName, Overrides: overrides})
	w.must(err)
	return op
}

func TestJobRuns(t *testing.T) {
	tests := []struct {
		name    string
		args    []string
		timeout time.Duration
		took    time.Duration
		ok      bool
	}{
		{"success", []string{"pytest"}, 0, 22 * time.Second, true},
		{"failure", []string{"pytest", "tests/failing"}, 0, 7 * time.Second, false},
		{"longest match only", []string{"pytest", "tests/other"}, 0, 22 * time.Second, true},
		{"timeout", []string{"forever"}, time.Minute, 62 * time.Second, false},
		{"shorter timeout than run", []string{"pytest"}, 10 * time.Second, 12 * time.Second, false},
		{"unknown command", []string{"true"}, 0, 7 * time.Second, true},
	}
	inBubble(t, nil, func(t *testing.T, w *world) {
		for _, tt := range tests {
			op := w.runJob(tt.timeout, tt.args...)
			meta, err := op.Metadata()
			w.must(err)
			e, took, err := finish[*runpb.Execution](w, op)
			w.must(err)
			if took < tt.took || took > tt.took+time.Second {
				t.Errorf("%s: took %v, want %v", tt.name, took, tt.took)
			}
			if e.GetName() != meta.GetName() || (e.GetSucceededCount() == 1) != tt.ok || (e.GetFailedCount() == 1) == tt.ok || e.GetCompletionTime() == nil {
				t.Errorf("%s: execution %v", tt.name, e)
			}
		}
		if n := len(collect(t, w.executions.ListExecutions(t.Context(), &runpb.ListExecutionsRequest{Parent: jobName}).All())); n != len(tests) {
			t.Errorf("%d executions", n)
		}
	})
}

func TestJobLogs(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		e, _, err := finish[*runpb.Execution](w, w.runJob(0, "pytest"))
		w.must(err)
		time.Sleep(5 * time.Second)
		short := e.GetName()[strings.LastIndex(e.GetName(), "/")+1:]
		found := w.entries(`resource.type="cloud_run_job" resource.labels.job_name="tests" labels."run.googleapis.com/execution_name"="` + short + `" log_id("run.googleapis.com/stdout")`)
		if len(found) != 1 || found[0].GetTextPayload() != "12 passed" {
			t.Errorf("job logs %v", found)
		}
		if !strings.Contains(e.GetTemplate().GetContainers()[0].String(), "SLIPWAY_KEY") {
			t.Error("the execution does not show its environment")
		}
		for _, call := range w.cloud.Journal() {
			if strings.Contains(string(call.Request), "hush") {
				t.Errorf("the journal shows a secret: %s", call.Request)
			}
		}
	})
}

func TestJobUpdateAndCancel(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		job, err := w.jobs.GetJob(t.Context(), &runpb.GetJobRequest{Name: jobName})
		w.must(err)
		stale := job.GetEtag()
		job.Template.Template.Containers[0].Image = w.good
		op, err := w.jobs.UpdateJob(t.Context(), &runpb.UpdateJobRequest{Job: job})
		w.must(err)
		updated, _, err := finish[*runpb.Job](w, op)
		w.must(err)
		if updated.GetEtag() == stale || updated.GetTemplate().GetTemplate().GetContainers()[0].GetImage() != w.good {
			t.Errorf("updated job %v", updated)
		}
		_, err = w.jobs.UpdateJob(t.Context(), &runpb.UpdateJobRequest{Job: job})
		w.wantCode(err, codes.Aborted)
		_, err = w.jobs.RunJob(t.Context(), &runpb.RunJobRequest{Name: jobName, Etag: stale})
		w.wantCode(err, codes.Aborted)

		running := w.runJob(0, "forever")
		meta, err := running.Metadata()
		w.must(err)
		time.Sleep(5 * time.Second)
		cancel, err := w.executions.CancelExecution(t.Context(), &runpb.CancelExecutionRequest{Name: meta.GetName()})
		w.must(err)
		e, _, err := finish[*runpb.Execution](w, cancel)
		w.must(err)
		if e.GetCancelledCount() != 1 || e.GetConditions()[0].GetExecutionReason() != runpb.Condition_CANCELLED {
			t.Errorf("cancelled execution %v", e)
		}
		_, err = w.executions.CancelExecution(t.Context(), &runpb.CancelExecutionRequest{Name: meta.GetName()})
		w.wantCode(err, codes.FailedPrecondition)

		job = updated
		job.Template.Template.Containers[0].Image = images + ":none"
		op, err = w.jobs.UpdateJob(t.Context(), &runpb.UpdateJobRequest{Job: job})
		w.must(err)
		_, _, err = finish[*runpb.Job](w, op)
		w.wantCode(err, codes.FailedPrecondition)
	})
}
