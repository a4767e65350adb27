package fakegcp

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// How long Cloud Run takes until a new revision is ready, or is known not to be.
const (
	readyLatency        = 4 * time.Second
	missingImageLatency = 3 * time.Second
	crashLatency        = 26 * time.Second
	neverListensLatency = 241 * time.Second
)

// revision is one immutable revision of a service. Its fields belong to the Cloud's lock.
type revision struct {
	name     string // short: "backend-00041-abc"
	service  *service
	proto    *runpb.Revision
	behavior Behavior
	missing  bool // its image is not in the registry
	source   *source
	outcome  outcome
	failure  string // why it cannot serve
	crashed  bool   // it was ready once, and answers nothing any more

	rate     float64 // error rate set by Traffic; negative: the image's own
	pattern  pattern
	requests int64
	errors   int64
	points   points // what Cloud Monitoring knows
}

type outcome int

const (
	provisioning outcome = iota
	ready
	failed
)

// newRevision makes the revision that the service's template describes.
func (c *Cloud) newRevision(svc *service, name string, template *runpb.RevisionTemplate, now time.Time) *revision {
	ref := template.GetContainers()[0].GetImage()
	digest, behavior, found := c.resolve(ref)
	p := &runpb.Revision{
		Name: svc.proto.GetName() + "/revisions/" + name, Service: svc.name, Uid: c.uid(), Etag: c.etag(), Generation: 1,
		CreateTime: timestamppb.New(now), UpdateTime: timestamppb.New(now), Reconciling: true,
		Labels: template.GetLabels(), Annotations: template.GetAnnotations(), Scaling: template.GetScaling(),
		Creator: svc.proto.GetLastModifier(),
		Timeout: template.GetTimeout(), ServiceAccount: template.GetServiceAccount(),
		Volumes: template.GetVolumes(), VpcAccess: template.GetVpcAccess(), ExecutionEnvironment: template.GetExecutionEnvironment(),
		MaxInstanceRequestConcurrency: template.GetMaxInstanceRequestConcurrency(),
		LogUri:                        "https://console.cloud.google.com/logs/viewer?project=" + c.cfg.Project,
	}
	for _, container := range template.GetContainers() {
		p.Containers = append(p.Containers, proto.CloneOf(container))
	}
	if found {
		p.Containers[0].Image = pinned(ref, digest)
	}
	rev := &revision{
		name: name, service: svc, proto: p, behavior: behavior, missing: !found, rate: -1,
		pattern: newPattern(float64(c.hash(name)%1000) / 1000),
		points:  points{},
		source: &source{kind: "cloud_run_revision", labels: map[string]string{
			"service_name": svc.name, "revision_name": name, "configuration_name": svc.name,
			"location": c.cfg.Region, "project_id": c.cfg.Project,
		}},
	}
	rev.setConditions(runpb.Condition_CONDITION_RECONCILING, now)
	return rev
}

// latency is how long until the revision's outcome is known.
func (r *revision) latency() time.Duration {
	switch {
	case r.missing, r.behavior.PullDenied, r.behavior.SecretDenied != "":
		return missingImageLatency
	case r.behavior.CrashOnStart, r.behavior.WrongPlatform:
		return crashLatency
	case r.behavior.NeverListens:
		return neverListensLatency
	case r.behavior.ReadyAfter > 0:
		return r.behavior.ReadyAfter
	default:
		return readyLatency
	}
}

// settle decides whether the revision can serve, and writes what its start left in the logs.
func (c *Cloud) settle(r *revision, now time.Time) {
	r.proto.Reconciling = false
	r.proto.ObservedGeneration = r.proto.GetGeneration()
	r.proto.UpdateTime = timestamppb.New(now)
	r.outcome = failed
	switch {
	case r.missing:
		r.failure = "Image '" + r.proto.GetContainers()[0].GetImage() + "' not found."
	case r.behavior.PullDenied:
		r.failure = pullDenied(r.proto.GetContainers()[0].GetImage())
	case r.behavior.SecretDenied != "":
		r.failure = "Permission denied on secret: projects/1234567890/secrets/" + r.behavior.SecretDenied + "/versions/latest for Revision service account " +
			runsAs(r.proto.GetServiceAccount()) + ". The service account used must be granted the 'Secret Manager Secret Accessor' role (roles/secretmanager.secretAccessor) at the secret, project or higher level."
	case r.behavior.CrashOnStart || r.behavior.NeverListens || r.behavior.WrongPlatform:
		r.failure = "The user-provided container failed to start and listen on the port defined provided by the PORT=8080 " +
			"environment variable within the allocated timeout. Logs for this revision might contain more information."
		c.logFailedStart(r, now)
	default:
		r.outcome = ready
		c.logStart(r, now)
		c.crashLater(r)
	}
	state := runpb.Condition_CONDITION_SUCCEEDED
	if r.outcome == failed {
		state = runpb.Condition_CONDITION_FAILED
	}
	r.setConditions(state, now)
}

// runsAs is the account that a revision or job runs as: the project's default one, if it names none.
func runsAs(account string) string {
	return cmp.Or(account, "1234567890-compute@developer.gserviceaccount.com")
}

// pullDenied is what Cloud Run says of an image that it may not pull.
func pullDenied(image string) string {
	return "Google Cloud Run Service Agent service-1234567890@serverless-robot-prod.iam.gserviceaccount.com must have permission to read the image, " +
		image + ". Ensure that the provided container image URL is correct and that the above account has permission to access the image."
}

// notReady is the message of every operation that the revision fails.
func (r *revision) notReady() string {
	return "Revision '" + r.name + "' is not ready and cannot serve traffic. " + r.failure
}

// The conditions of a revision in the order in which Cloud Run lists them; the later ones come true first.
const (
	conditionReady     = "Ready"
	conditionHealthy   = "ContainerHealthy"
	conditionImported  = "ContainerReady"
	conditionResources = "ResourcesAvailable"
	conditionRetry     = "Retry"
	conditionActive    = "Active"
)

// setConditions says how far the revision is. A failure shows at the step that failed: what comes after it
// has not begun, and what came before it succeeded.
func (r *revision) setConditions(state runpb.Condition_State, now time.Time) {
	steps := []string{conditionImported, conditionResources, conditionHealthy}
	states := []runpb.Condition_State{state, state, state}
	if state == runpb.Condition_CONDITION_FAILED {
		at := slices.Index(steps, r.failsAt())
		for i := range states {
			switch {
			case i < at:
				states[i] = runpb.Condition_CONDITION_SUCCEEDED
			case i > at:
				states[i] = runpb.Condition_CONDITION_PENDING
			}
		}
	}
	retry := &runpb.Condition{
		Type: conditionRetry, State: runpb.Condition_CONDITION_SUCCEEDED, Severity: runpb.Condition_INFO, LastTransitionTime: timestamppb.New(now),
		Message: "System will retry after 00:00 from lastTransitionTime for attempt 0.",
		Reasons: &runpb.Condition_Reason{Reason: runpb.Condition_IMMEDIATE_RETRY},
	}
	if state == runpb.Condition_CONDITION_RECONCILING {
		retry.Message, retry.Reasons = "", &runpb.Condition_Reason{Reason: runpb.Condition_WAITING_FOR_OPERATION}
	}
	r.proto.Conditions = []*runpb.Condition{
		r.condition(conditionReady, state, now), r.condition(conditionHealthy, states[2], now),
		r.condition(conditionImported, states[0], now), r.condition(conditionResources, states[1], now), retry,
	}
}

// failsAt is the step at which the revision's start fails.
func (r *revision) failsAt() string {
	switch {
	case r.missing, r.behavior.PullDenied:
		return conditionImported
	case r.behavior.SecretDenied != "":
		return conditionResources
	}
	return conditionHealthy
}

// seen is the revision as a caller sees it: of one that starts, the image has arrived after a quarter of the
// time.
func (r *revision) seen(now time.Time) *runpb.Revision {
	out := proto.CloneOf(r.proto)
	took := r.latency() / 4
	arrived := out.GetCreateTime().AsTime().Add(r.service.cloud.scaled(took))
	if r.outcome != provisioning || r.failsAt() == conditionImported || now.Before(arrived) {
		return out
	}
	for _, cond := range out.GetConditions() {
		if cond.GetType() == conditionImported {
			cond.State, cond.LastTransitionTime = runpb.Condition_CONDITION_SUCCEEDED, timestamppb.New(arrived)
			cond.Message = "Container image import completed in " + took.String() + "."
		}
	}
	return out
}

func (r *revision) condition(kind string, state runpb.Condition_State, now time.Time) *runpb.Condition {
	cond := &runpb.Condition{Type: kind, State: state, LastTransitionTime: timestamppb.New(now)}
	if state == runpb.Condition_CONDITION_FAILED {
		cond.Message = r.failure
		r.setReason(cond)
	}
	return cond
}

func (r *revision) setReason(cond *runpb.Condition) {
	for reason, holds := range map[runpb.Condition_CommonReason]bool{
		runpb.Condition_CONTAINER_MISSING:           r.missing,
		runpb.Condition_CONTAINER_PERMISSION_DENIED: r.behavior.PullDenied,
		runpb.Condition_SECRETS_ACCESS_CHECK_FAILED: r.behavior.SecretDenied != "",
	} {
		if holds {
			cond.Reasons = &runpb.Condition_Reason{Reason: reason}
			return
		}
	}
	cond.Reasons = &runpb.Condition_RevisionReason_{RevisionReason: runpb.Condition_HEALTH_CHECK_CONTAINER_ERROR}
}

// retire marks a revision that no traffic target names. As with Cloud Run, Ready then says succeeded even
// for a revision that never started.
func (r *revision) retire(retired bool, now time.Time) {
	if r.outcome == provisioning {
		return
	}
	active := &runpb.Condition{Type: conditionActive, State: runpb.Condition_CONDITION_SUCCEEDED, LastTransitionTime: timestamppb.New(now)}
	if retired {
		active.State, active.Severity, active.Message = runpb.Condition_CONDITION_FAILED, runpb.Condition_INFO, "Revision retired."
		active.Reasons = &runpb.Condition_RevisionReason_{RevisionReason: runpb.Condition_RETIRED}
		readyCond := r.proto.Conditions[0]
		readyCond.State, readyCond.Message = runpb.Condition_CONDITION_SUCCEEDED, ""
		readyCond.Reasons = &runpb.Condition_RevisionReason_{RevisionReason: runpb.Condition_RETIRED}
	} else if r.outcome == ready {
		r.proto.Conditions[0] = r.condition(conditionReady, runpb.Condition_CONDITION_SUCCEEDED, now)
	}
	r.proto.Conditions = append(slices.DeleteFunc(r.proto.Conditions, func(c *runpb.Condition) bool { return c.GetType() == conditionActive }), active)
}

// crashLater lets a revision that is ready exit for good, if its image does that. The revision stays ready,
// as it does with Cloud Run: only what it is asked for fails.
func (c *Cloud) crashLater(r *revision) {
	if r.behavior.CrashAfter <= 0 {
		return
	}
	c.after(r.behavior.CrashAfter, func() {
		now := time.Now()
		r.service.catchUp(now)
		r.crashed = true
		c.logExit(r, now)
	})
}

type revisionsServer struct {
	runpb.UnimplementedRevisionsServer
	cloud *Cloud
}

func (s revisionsServer) GetRevision(_ context.Context, req *runpb.GetRevisionRequest) (*runpb.Revision, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	parent, short, _ := strings.Cut(req.GetName(), "/revisions/")
	svc, err := s.cloud.service(parent)
	if err != nil {
		return nil, err
	}
	rev := svc.revision(short)
	if rev == nil {
		return nil, status.Errorf(codes.NotFound, "Resource '%s' of kind 'REVISION' in region '%s' in project '%s' does not exist.",
			short, s.cloud.cfg.Region, s.cloud.cfg.Project)
	}
	return rev.seen(time.Now()), nil
}

// ListRevisions lists a service's revisions, newest first.
func (s revisionsServer) ListRevisions(_ context.Context, req *runpb.ListRevisionsRequest) (*runpb.ListRevisionsResponse, error) {
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	svc, err := s.cloud.service(req.GetParent())
	if err != nil {
		return nil, err
	}
	var all []*runpb.Revision
	for _, rev := range slices.Backward(svc.revisions) {
		all = append(all, rev.seen(time.Now()))
	}
	page, next, err := paged(all, req.GetPageSize(), req.GetPageToken())
	return &runpb.ListRevisionsResponse{Revisions: page, NextPageToken: next}, err
}
