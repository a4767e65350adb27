package fakegcp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	lropb "cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	usualTaskTimeout = 10 * time.Minute
	jobUpdateLatency = 2 * time.Second
)

// JobSpec is a job as it stands when the simulation begins.
type JobSpec struct {
	Name           string
	Image          string // by tag or digest
	Command, Args  []string
	Env            map[string]string
	ServiceAccount string
	Timeout        time.Duration // of a task; 10 minutes if left out
	TaskCount      int32         // 1 if left out
}

// job is one job. Its fields belong to the Cloud's lock.
type job struct {
	name       string // short
	proto      *runpb.Job
	executions []*execution // oldest first
}

// AddJob puts a job into the cloud; it has not run yet.
func (c *Cloud) AddJob(spec JobSpec) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.jobs[spec.Name] != nil {
		return fmt.Errorf("job %q is there already", spec.Name)
	}
	if _, _, found := c.resolve(spec.Image); !found {
		return fmt.Errorf("job %q: image %q is not in the registry; add it with AddImage", spec.Name, spec.Image)
	}
	now := timestamppb.New(time.Now())
	c.jobs[spec.Name] = &job{name: spec.Name, proto: &runpb.Job{
		Name: c.parent() + "/jobs/" + spec.Name, Uid: c.uid(), Etag: c.etag(), Generation: 1, ObservedGeneration: 1,
		CreateTime: now, UpdateTime: now, Template: spec.template(),
		TerminalCondition: &runpb.Condition{Type: "Ready", State: runpb.Condition_CONDITION_SUCCEEDED, LastTransitionTime: now},
	}}
	c.notify()
	return nil
}

func (s JobSpec) template() *runpb.ExecutionTemplate {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = usualTaskTimeout
	}
	container := &runpb.Container{Name: s.Name + "-1", Image: s.Image, Command: s.Command, Args: s.Args}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		container.Env = append(container.Env, &runpb.EnvVar{Name: name, Values: &runpb.EnvVar_Value{Value: s.Env[name]}})
	}
	return &runpb.ExecutionTemplate{
		TaskCount: max(s.TaskCount, 1), Parallelism: max(s.TaskCount, 1),
		Template: &runpb.TaskTemplate{
			Containers: []*runpb.Container{container}, ServiceAccount: s.ServiceAccount, Timeout: durationpb.New(timeout),
			Retries: &runpb.TaskTemplate_MaxRetries{MaxRetries: 0},
		},
	}
}

type jobsServer struct {
	runpb.UnimplementedJobsServer
	cloud *Cloud
}

func (s jobsServer) GetJob(_ context.Context, req *runpb.GetJobRequest) (*runpb.Job, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	j, err := s.cloud.job(req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(j.proto), nil
}

func (s jobsServer) ListJobs(_ context.Context, req *runpb.ListJobsRequest) (*runpb.ListJobsResponse, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	if req.GetParent() != s.cloud.parent() {
		return nil, s.cloud.noSuchPlace(req.GetParent())
	}
	var all []*runpb.Job
	for _, j := range sorted(s.cloud.jobs) {
		all = append(all, proto.CloneOf(j.proto))
	}
	page, next, err := paged(all, req.GetPageSize(), req.GetPageToken())
	return &runpb.ListJobsResponse{Jobs: page, NextPageToken: next}, err
}

// UpdateJob replaces what a client may set of a job; this call has no field mask.
func (s jobsServer) UpdateJob(_ context.Context, req *runpb.UpdateJobRequest) (*lropb.Operation, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	j, err := s.cloud.job(req.GetJob().GetName())
	if err != nil {
		return nil, err
	}
	if err := j.checkEtag(req.GetJob().GetEtag()); err != nil {
		return nil, err
	}
	containers := req.GetJob().GetTemplate().GetTemplate().GetContainers()
	if len(containers) == 0 || containers[0].GetImage() == "" {
		return nil, status.Error(codes.InvalidArgument, "template.template.containers: a container with an image is required")
	}
	return s.cloud.updateJob(j, req, time.Now()).proto(), nil
}

func (c *Cloud) updateJob(j *job, req *runpb.UpdateJobRequest, now time.Time) *operation {
	next := proto.CloneOf(j.proto)
	in := proto.CloneOf(req.GetJob())
	next.Labels, next.Annotations, next.Template = in.GetLabels(), in.GetAnnotations(), in.GetTemplate()
	next.Client, next.ClientVersion = in.GetClient(), in.GetClientVersion()
	if next.GetTemplate().GetTaskCount() == 0 {
		next.Template.TaskCount = 1
	}
	if req.GetValidateOnly() {
		op := c.newOperation(next.GetName(), func() proto.Message { return next })
		op.succeed(next)
		return op
	}
	next.Generation++
	next.Etag, next.UpdateTime, next.Reconciling = c.etag(), timestamppb.New(now), true
	next.TerminalCondition = &runpb.Condition{Type: "Ready", State: runpb.Condition_CONDITION_RECONCILING, LastTransitionTime: timestamppb.New(now)}
	j.proto = next
	op := c.newOperation(next.GetName(), func() proto.Message { return j.proto })
	c.after(jobUpdateLatency, func() { c.jobUpdated(j, op, next.GetGeneration()) })
	return op
}

func (c *Cloud) jobUpdated(j *job, op *operation, generation int64) {
	image := j.proto.GetTemplate().GetTemplate().GetContainers()[0].GetImage()
	cond := &runpb.Condition{Type: "Ready", State: runpb.Condition_CONDITION_SUCCEEDED, LastTransitionTime: timestamppb.New(time.Now())}
	_, behavior, found := c.resolve(image)
	switch {
	case !found:
		cond.State, cond.Message = runpb.Condition_CONDITION_FAILED, "Image '"+image+"' not found."
		cond.Reasons = &runpb.Condition_Reason{Reason: runpb.Condition_CONTAINER_MISSING}
	case behavior.PullDenied:
		cond.State, cond.Message = runpb.Condition_CONDITION_FAILED, pullDenied(image)
		cond.Reasons = &runpb.Condition_Reason{Reason: runpb.Condition_CONTAINER_PERMISSION_DENIED}
	}
	if generation == j.proto.GetGeneration() {
		j.proto.Reconciling, j.proto.TerminalCondition = false, cond
		j.proto.ObservedGeneration = generation
	}
	if cond.GetState() == runpb.Condition_CONDITION_FAILED {
		op.fail(codes.FailedPrecondition, "Job '"+j.name+"' is not ready. "+cond.GetMessage())
		return
	}
	op.succeed(proto.CloneOf(j.proto))
}

// RunJob starts an execution; the operation's metadata is the Execution from the start.
func (s jobsServer) RunJob(_ context.Context, req *runpb.RunJobRequest) (*lropb.Operation, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	j, err := s.cloud.job(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := j.checkEtag(req.GetEtag()); err != nil {
		return nil, err
	}
	e, err := s.cloud.newExecution(j, req.GetOverrides(), time.Now())
	if err != nil {
		return nil, err
	}
	e.op = s.cloud.newOperation(e.proto.GetName(), func() proto.Message { return e.proto })
	if req.GetValidateOnly() {
		e.op.succeed(e.proto)
		return e.op.proto(), nil
	}
	s.cloud.run(e)
	return e.op.proto(), nil
}

func (s jobsServer) TestIamPermissions(_ context.Context, req *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	if _, err := s.cloud.job(req.GetResource()); err != nil {
		return &iampb.TestIamPermissionsResponse{}, nil
	}
	return s.cloud.granted(req.GetPermissions()), nil
}

func (c *Cloud) job(full string) (*job, error) {
	short, err := c.short(full, "jobs")
	if err != nil {
		return nil, err
	}
	if c.jobs[short] == nil {
		return nil, c.notFound("JOB", short)
	}
	return c.jobs[short], nil
}

func (j *job) checkEtag(etag string) error {
	if etag != "" && etag != j.proto.GetEtag() {
		return status.Errorf(codes.Aborted, "Conflict for resource '%s': version '%s' was specified but current version is '%s'.",
			j.name, etag, j.proto.GetEtag())
	}
	return nil
}
