package fakegcp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	lropb "cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	taskStartLatency = 2 * time.Second
	usualTaskLength  = 5 * time.Second
	cancelLatency    = time.Second
)

// execution is one run of a job. Its fields belong to the Cloud's lock.
type execution struct {
	job      *job
	proto    *runpb.Execution
	op       *operation // of the RunJob that started it
	behavior JobBehavior
	source   *source
	labels   []map[string]string // of the log entries of each task
}

func (e *execution) finished() bool { return e.proto.GetCompletionTime() != nil }

// newExecution makes the execution that the job's template and the overrides describe; it does not run yet.
func (c *Cloud) newExecution(j *job, overrides *runpb.RunJobRequest_Overrides, now time.Time) (*execution, error) {
	template := proto.CloneOf(j.proto.GetTemplate())
	if err := override(template, overrides); err != nil {
		return nil, err
	}
	container := template.GetTemplate().GetContainers()[0]
	digest, behavior, found := c.resolve(container.GetImage())
	if !found {
		return nil, status.Errorf(codes.FailedPrecondition, "Image '%s' not found.", container.GetImage())
	}
	container.Image = pinned(container.GetImage(), digest)
	name := j.name + "-" + c.suffix(5)
	e := &execution{
		job: j, behavior: behavior.job(slices.Concat(container.GetCommand(), container.GetArgs())),
		source: &source{kind: "cloud_run_job", labels: map[string]string{
			"job_name": j.name, "location": c.cfg.Region, "project_id": c.cfg.Project,
		}},
		proto: &runpb.Execution{
			Name: j.proto.GetName() + "/executions/" + name, Job: j.name, Uid: c.uid(), Etag: c.etag(), Generation: 1,
			CreateTime: timestamppb.New(now), UpdateTime: timestamppb.New(now), Reconciling: true,
			TaskCount: template.GetTaskCount(), Parallelism: template.GetParallelism(), Template: template.GetTemplate(),
			Labels: template.GetLabels(), Annotations: template.GetAnnotations(),
			LogUri: "https://console.cloud.google.com/logs/viewer?project=" + c.cfg.Project,
		},
	}
	for i := range template.GetTaskCount() {
		e.labels = append(e.labels, map[string]string{
			"run.googleapis.com/execution_name": name, "run.googleapis.com/task_index": fmt.Sprint(i), "run.googleapis.com/task_attempt": "0",
		})
	}
	e.setCondition(&runpb.Condition{State: runpb.Condition_CONDITION_RECONCILING}, now)
	return e, nil
}

// override applies what a run may change: arguments, environment, task count and timeout, never the image.
func override(template *runpb.ExecutionTemplate, o *runpb.RunJobRequest_Overrides) error {
	if o.GetTaskCount() > 0 {
		template.TaskCount = o.GetTaskCount()
	}
	if o.GetTimeout() != nil {
		template.Template.Timeout = o.GetTimeout()
	}
	for i, co := range o.GetContainerOverrides() {
		containers := template.GetTemplate().GetContainers()
		at := slices.IndexFunc(containers, func(c *runpb.Container) bool { return co.GetName() == "" || c.GetName() == co.GetName() })
		if at < 0 {
			return status.Errorf(codes.InvalidArgument, "overrides.container_overrides[%d]: the job has no container %q", i, co.GetName())
		}
		if len(co.GetArgs()) > 0 || co.GetClearArgs() {
			containers[at].Args = co.GetArgs()
		}
		containers[at].Env = mergedEnv(containers[at].GetEnv(), co.GetEnv())
	}
	return nil
}

func mergedEnv(base, changes []*runpb.EnvVar) []*runpb.EnvVar {
	out := slices.Clone(base)
	for _, change := range changes {
		out = slices.DeleteFunc(out, func(v *runpb.EnvVar) bool { return v.GetName() == change.GetName() })
		out = append(out, change)
	}
	return out
}

// job finds how the image behaves as a job with the given command line.
func (b Behavior) job(commandLine []string) JobBehavior {
	line, best, out := strings.Join(commandLine, " "), -1, JobBehavior{}
	for part, behavior := range b.Jobs {
		if len(part) > best && strings.Contains(line, part) {
			best, out = len(part), behavior
		}
	}
	if out.Duration == 0 {
		out.Duration = usualTaskLength
	}
	return out
}

func (c *Cloud) run(e *execution) {
	e.job.executions = append(e.job.executions, e)
	e.job.proto.ExecutionCount++
	e.refer(runpb.ExecutionReference_EXECUTION_PENDING)
	c.after(taskStartLatency, func() { c.startTasks(e) })
}

func (c *Cloud) startTasks(e *execution) {
	if e.finished() {
		return
	}
	now := time.Now()
	e.proto.StartTime = timestamppb.New(now)
	e.proto.RunningCount = e.proto.GetTaskCount()
	e.refer(runpb.ExecutionReference_EXECUTION_RUNNING)
	limit := e.proto.GetTemplate().GetTimeout().AsDuration()
	if limit <= 0 {
		limit = usualTaskTimeout
	}
	if e.behavior.NeverEnds || e.behavior.Duration > limit {
		c.after(limit, func() { c.finish(e, "The configured timeout was reached.") })
		return
	}
	c.after(e.behavior.Duration, func() {
		if e.behavior.ExitCode != 0 {
			c.finish(e, fmt.Sprintf("The container exited with an error: exit code %d.", e.behavior.ExitCode))
			return
		}
		c.finish(e, "")
	})
}

// finish ends an execution that was not cancelled; every task has the same end.
func (c *Cloud) finish(e *execution, failure string) {
	if e.finished() {
		return
	}
	now := time.Now()
	c.logTasks(e, failure, now)
	e.proto.RunningCount = 0
	if failure == "" {
		e.proto.SucceededCount = e.proto.GetTaskCount()
		e.complete(&runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED}, runpb.ExecutionReference_EXECUTION_SUCCEEDED, now)
		return
	}
	e.proto.FailedCount = e.proto.GetTaskCount()
	short := lastPart(e.proto.GetName())
	e.complete(&runpb.Condition{
		State: runpb.Condition_CONDITION_FAILED, Message: "Task " + short + "-task0 failed with message: " + failure,
		Reasons: &runpb.Condition_ExecutionReason_{ExecutionReason: runpb.Condition_NON_ZERO_EXIT_CODE},
	}, runpb.ExecutionReference_EXECUTION_FAILED, now)
}

// complete is the end of an execution. The operation of RunJob answers with the execution, failed or not.
func (e *execution) complete(cond *runpb.Condition, as runpb.ExecutionReference_CompletionStatus, now time.Time) {
	e.proto.Reconciling = false
	e.proto.ObservedGeneration = e.proto.GetGeneration()
	e.proto.CompletionTime, e.proto.UpdateTime = timestamppb.New(now), timestamppb.New(now)
	e.setCondition(cond, now)
	e.refer(as)
	e.op.succeed(proto.CloneOf(e.proto))
}

func (e *execution) setCondition(cond *runpb.Condition, now time.Time) {
	cond.Type, cond.LastTransitionTime = "Completed", timestamppb.New(now)
	e.proto.Conditions = []*runpb.Condition{cond}
}

// refer notes the execution on its job, if it is the job's latest.
func (e *execution) refer(as runpb.ExecutionReference_CompletionStatus) {
	if e.job.executions[len(e.job.executions)-1] != e {
		return
	}
	e.job.proto.LatestCreatedExecution = &runpb.ExecutionReference{
		Name: lastPart(e.proto.GetName()), CreateTime: e.proto.GetCreateTime(),
		CompletionTime: e.proto.GetCompletionTime(), CompletionStatus: as,
	}
}

func (c *Cloud) logTasks(e *execution, failure string, now time.Time) {
	log, severity, last := stdoutLog, logtypepb.LogSeverity_INFO, "Container called exit(0)."
	if failure != "" {
		log, severity = stderrLog, logtypepb.LogSeverity_WARNING
		last = fmt.Sprintf("Container called exit(%d).", max(e.behavior.ExitCode, 1))
	}
	for _, labels := range e.labels {
		for i, line := range e.behavior.Output {
			at := now.Add(time.Duration(i-len(e.behavior.Output)) * time.Millisecond)
			c.logLabelled(e.source, log, logtypepb.LogSeverity_DEFAULT, at, line, labels)
		}
		c.logLabelled(e.source, systemLog, severity, now, last, labels)
	}
}

type executionsServer struct {
	runpb.UnimplementedExecutionsServer
	cloud *Cloud
}

func (s executionsServer) GetExecution(_ context.Context, req *runpb.GetExecutionRequest) (*runpb.Execution, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	e, err := s.cloud.execution(req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(e.proto), nil
}

// ListExecutions lists a job's executions, newest first.
func (s executionsServer) ListExecutions(_ context.Context, req *runpb.ListExecutionsRequest) (*runpb.ListExecutionsResponse, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	j, err := s.cloud.job(req.GetParent())
	if err != nil {
		return nil, err
	}
	var all []*runpb.Execution
	for _, e := range slices.Backward(j.executions) {
		all = append(all, proto.CloneOf(e.proto))
	}
	page, next, err := paged(all, req.GetPageSize(), req.GetPageToken())
	return &runpb.ListExecutionsResponse{Executions: page, NextPageToken: next}, err
}

// CancelExecution ends an execution early; one that has ended stays as it is.
func (s executionsServer) CancelExecution(_ context.Context, req *runpb.CancelExecutionRequest) (*lropb.Operation, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	e, err := s.cloud.execution(req.GetName())
	if err != nil {
		return nil, err
	}
	if e.finished() {
		return nil, status.Errorf(codes.FailedPrecondition, "Execution '%s' has ended and cannot be cancelled.", lastPart(req.GetName()))
	}
	op := s.cloud.newOperation(e.proto.GetName(), func() proto.Message { return e.proto })
	if req.GetValidateOnly() {
		op.succeed(proto.CloneOf(e.proto))
		return op.proto(), nil
	}
	s.cloud.after(cancelLatency, func() {
		e.cancel(time.Now())
		op.succeed(proto.CloneOf(e.proto))
	})
	return op.proto(), nil
}

func (e *execution) cancel(now time.Time) {
	if e.finished() {
		return
	}
	e.proto.RunningCount, e.proto.CancelledCount = 0, e.proto.GetTaskCount()
	e.complete(&runpb.Condition{
		State: runpb.Condition_CONDITION_FAILED, Message: "The execution was cancelled.",
		Reasons: &runpb.Condition_ExecutionReason_{ExecutionReason: runpb.Condition_CANCELLED},
	}, runpb.ExecutionReference_EXECUTION_CANCELLED, now)
}

func (c *Cloud) execution(full string) (*execution, error) {
	parent, short, _ := strings.Cut(full, "/executions/")
	j, err := c.job(parent)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(j.executions, func(e *execution) bool { return lastPart(e.proto.GetName()) == short })
	if i < 0 {
		return nil, c.notFound("EXECUTION", short)
	}
	return j.executions[i], nil
}
