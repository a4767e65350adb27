package gcp

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"slipway/rollout"
)

const (
	keyVariable = "SLIPWAY_KEY" // in the environment of each run: the attempt it belongs to
	newestRuns  = 20            // how many runs are looked through for an attempt's
	updateTime  = 8 * time.Second
	updatePause = 500 * time.Millisecond
	logPatience = 3 * time.Second // a run's last lines, which say why it failed, can be read only so long after its end
)

// jobAction runs a Cloud Run job in the team's own image. A run has no precondition of its own, so
// it carries the attempt's key, and is looked for by it before it is repeated. A replica that slept
// through its lease while it set the job's image learns so before it runs it; should it fall asleep
// right after that, whoever follows the attempt finds its run at the end, stops it and says so.
type jobAction struct{ *Cloud }

func keyOf(e *runpb.Execution) string {
	for _, c := range e.GetTemplate().GetContainers() {
		for _, v := range c.GetEnv() {
			if v.GetName() == keyVariable {
				return v.GetValue()
			}
		}
	}
	return ""
}

// Start sets the job to the image that is rolled out, if the step says so and it is another, and
// runs it. Setting the image is waited for, a few seconds: a run cannot choose its image.
func (a jobAction) Start(ctx context.Context, t rollout.Task) (string, error) {
	j, err := newJobRun(t)
	if err != nil {
		return "", err
	}
	handle, err := a.begin(ctx, t, j)
	if refusedForGood(err) {
		err = patience(t).end(err, j.subject())
	}
	return handle, err
}

// refusedForGood reports whether a run did certainly not begin. After any other error it may have, and
// is looked for as long as the step's time lasts.
func refusedForGood(err error) bool {
	return stale(err) || status.Code(err) == codes.ResourceExhausted
}

func (a jobAction) begin(ctx context.Context, t rollout.Task, j jobRun) (handle string, err error) {
	etag := ""
	if j.image != "" {
		if etag, err = a.setImage(ctx, j); err != nil {
			return "", err
		}
	}
	if err := t.StillHeld(ctx); err != nil {
		return "", err
	}
	op, err := call(ctx, a.jobs.RunJob, j.request(etag))
	if why := status.Convert(err); err != nil && causeByText(why.Message()) == imageMissing {
		return "", j.noImage(why)
	}
	if stale(err) {
		return "", fmt.Errorf("the job %s is being changed; trying again: %w", j.name, err)
	}
	if err != nil {
		return "", explain(err, j.subject())
	}
	execution, err := op.Metadata()
	if err != nil || execution.GetName() == "" {
		return "", fmt.Errorf("the job %s was started, and its run is looked for: %w", j.name, errors.Join(err, errors.New("the answer names no run")))
	}
	return execution.GetName(), nil
}

// setImage returns the etag of the job with the image.
func (a jobAction) setImage(ctx context.Context, j jobRun) (etag string, err error) {
	job, err := call(ctx, a.jobs.GetJob, &runpb.GetJobRequest{Name: j.path})
	if err != nil {
		return "", explain(err, j.subject())
	}
	next := proto.CloneOf(job)
	container := mainContainer(next.GetTemplate().GetTemplate().GetContainers(), j.repository)
	if container == nil {
		return "", &rollout.Failure{Reason: fmt.Sprintf("The job %s has no container to set the image of.", j.name), Label: "job_empty"}
	}
	if container.GetImage() == j.image {
		return job.GetEtag(), nil
	}
	container.Image = j.image
	op, err := call(ctx, a.jobs.UpdateJob, &runpb.UpdateJobRequest{Job: next})
	if stale(err) {
		return "", fmt.Errorf("the job %s is being changed by someone else at the same time; trying again: %w", j.name, err)
	}
	if err != nil {
		return "", explain(err, j.subject())
	}
	return a.waitForImage(ctx, j, op.Name())
}

// waitForImage waits for the update of a job. One that takes longer is met by the next try of Start,
// which finds the image set.
func (a jobAction) waitForImage(ctx context.Context, j jobRun, operation string) (etag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	for {
		op, err := a.jobs.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: operation})
		if err != nil {
			return "", explain(err, j.subject())
		}
		if failure := op.GetError(); failure != nil {
			return "", j.notSet(status.FromProto(failure))
		}
		if op.GetDone() {
			job, err := call(ctx, a.jobs.GetJob, &runpb.GetJobRequest{Name: j.path})
			return job.GetEtag(), explain(err, j.subject())
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the job %s is still being set to the new image: %w", j.name, ctx.Err())
		case <-time.After(updatePause):
		}
	}
}

// Poll asks how the run stands. The handle is its name.
func (a jobAction) Poll(ctx context.Context, t rollout.Task, handle string) (rollout.Outcome, error) {
	j, err := newJobRun(t)
	if err != nil {
		return rollout.Outcome{}, err
	}
	e, err := call(ctx, a.executions.GetExecution, &runpb.GetExecutionRequest{Name: handle})
	if err != nil {
		return rollout.Outcome{}, explain(err, j.subject())
	}
	switch {
	case !over(e):
		return rollout.Outcome{State: rollout.StillRunning, Note: "Running " + short(handle) + ".", Again: pollPause}, nil
	case e.GetFailedCount() == 0 && e.GetCancelledCount() == 0 && e.GetSucceededCount() >= max(e.GetTaskCount(), 1):
		return rollout.Outcome{State: rollout.Passed, Note: "Passed in " + seconds(lasted(e)) + "." + a.doubled(ctx, j, handle)}, nil
	}
	if ago := time.Since(e.GetCompletionTime().AsTime()); ago >= 0 && ago < logPatience {
		return rollout.Outcome{State: rollout.StillRunning, Note: "Failed; reading its log.", Again: pollPause}, nil
	}
	lines, err := a.lastLines(ctx, j.service.Project, j.lines(handle), tailLines)
	if err != nil {
		a.log.WarnContext(ctx, "no log of the failed run", "run", short(handle), "err", err)
	}
	outcome := failedRun(e, lines)
	outcome.Note += a.doubled(ctx, j, handle)
	if failure := asFailure(err); failure != nil {
		outcome.Detail = paragraphs(outcome.Detail, failure.Reason, failure.Detail)
	}
	return outcome, nil
}

// over reports whether a run has ended, retries of its tasks included.
func over(e *runpb.Execution) bool {
	if at := e.GetCompletionTime(); at.IsValid() && at.GetSeconds() != 0 {
		return true
	}
	state := completed(e).GetState()
	return state == runpb.Condition_CONDITION_FAILED || state == runpb.Condition_CONDITION_SUCCEEDED
}

func completed(e *runpb.Execution) *runpb.Condition {
	for _, c := range e.GetConditions() {
		if c.GetType() == "Completed" {
			return c
		}
	}
	return nil
}

func lasted(e *runpb.Execution) time.Duration {
	start := e.GetStartTime()
	if start == nil {
		start = e.GetCreateTime()
	}
	return e.GetCompletionTime().AsTime().Sub(start.AsTime())
}

// failedRun is the outcome of a run that did not succeed: how it ended, and its last words.
func failedRun(e *runpb.Execution, lines []string) rollout.Outcome {
	why := completed(e)
	if why.GetExecutionReason() == runpb.Condition_CANCELLED {
		return rollout.Outcome{State: rollout.FailedState, Note: "Cancelled after " + seconds(lasted(e)) + ", not by Slipway. Retry to run it again.", Label: "job_cancelled"}
	}
	note, label := exitText(why.GetMessage(), lines)+" after "+seconds(lasted(e)), "job_failed"
	if cause := causeOf([]*runpb.Condition{why}, ""); cause == imageMissing || cause == imageDenied {
		note, label = "Its container could not be started: "+firstSentence(why.GetMessage()), string(cause)
	}
	if last := lastWords(lines); last != "" {
		note += "; last line: " + cut(last, 160)
	}
	note = strings.TrimRight(note, ".") + ". More is under Details."
	detail := strings.Join(lines, "\n")
	if detail == "" {
		detail = why.GetMessage()
	}
	return rollout.Outcome{State: rollout.FailedState, Note: note, Detail: detail, Label: label}
}

// exitText names the exit code, which Cloud Run tells only in words: "exit code 1" in the condition,
// "Container called exit(1)." in the log.
func exitText(message string, lines []string) string {
	code := regexp.MustCompile(`(?i)exit(?:ed with)?(?: code|ing with code)?[:( ]+(\d+)`)
	for _, text := range append([]string{message}, lines...) {
		if found := code.FindStringSubmatch(text); found != nil && found[1] != "0" {
			return "exit " + found[1]
		}
	}
	if strings.Contains(strings.ToLower(message), "timeout") {
		return "timed out"
	}
	return "failed"
}

func cut(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}

// Cancel stops the run.
func (a jobAction) Cancel(ctx context.Context, _ rollout.Task, handle string) error {
	return a.cancel(ctx, handle)
}

func (a jobAction) cancel(ctx context.Context, execution string) error {
	_, err := call(ctx, a.executions.CancelExecution, &runpb.CancelExecutionRequest{Name: execution})
	switch status.Code(err) {
	case codes.OK, codes.NotFound, codes.FailedPrecondition: // not there, or over
		return nil
	}
	return explain(err, subject{what: "the run " + short(execution), role: "roles/run.developer"})
}

var (
	_ rollout.Action  = jobAction{}
	_ rollout.Doubler = jobAction{}
)
