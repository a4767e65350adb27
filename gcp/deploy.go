package gcp

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"slipway/plan"
	"slipway/rollout"
)

// MaxRevisionName is how long Cloud Run lets a revision's name be
// (https://cloud.google.com/run/docs/managing/revisions).
const MaxRevisionName = 63

const (
	pollPause  = time.Second // Operation.Wait's own pauses grow to a minute
	keyNote    = "slipway-attempt"
	stableNote = "slipway-stable" // what served before: a rescue without history goes by it
	idLabel    = "slipway-rollout"
)

// RevisionName is the name of the candidate that an attempt makes. It is the same whoever makes the
// attempt, and Cloud Run refuses a second revision of a name: that makes a deploy happen once. It
// fits MaxRevisionName for service names of up to 46 characters and 999 attempts.
func RevisionName(cloudRun string, key rollout.Key) string {
	return fmt.Sprintf("%s-s%s-%d", cloudRun, key.Rollout, key.Attempt)
}

// deployAction makes a candidate that gets no traffic, only a tag with a URL of its own.
type deployAction struct{ *Cloud }

// byState is the handle of a deploy or traffic step whose operation is not known: its name is lost
// with a crash between the call and its commit. The service's state then tells how the attempt
// stands. Else the handle is the operation's name.
const byState = "by state"

// Precondition reads the service's etag and refuses when another revision serves than the rollout
// knows.
func (a deployAction) Precondition(ctx context.Context, t rollout.Task) (string, error) {
	s, err := taskService(t, t.Step.Deploy.Service)
	if err != nil {
		return "", err
	}
	svc, err := a.service(ctx, s)
	if err != nil {
		return "", lastWord(ctx, err, serviceSubject(s))
	}
	if !settled(svc) {
		return "", unsettled(ctx, s, svc)
	}
	if now := serving(svc); now != s.Stable.Name {
		return "", changed(s, svc, fmt.Sprintf("%s serves in place of %s", orNothing(now), s.Stable.Name))
	}
	return svc.GetEtag(), nil
}

// Find looks for the revision, or for the service's template that asks for it. A revision of the name
// that somebody else made is a *rollout.Failure.
func (a deployAction) Find(ctx context.Context, t rollout.Task) (string, bool, error) {
	s, err := taskService(t, t.Step.Deploy.Service)
	if err != nil {
		return "", false, err
	}
	handle, found, err := a.find(ctx, t, s)
	return handle, found, patience(t).end(err, serviceSubject(s))
}

func (a deployAction) find(ctx context.Context, t rollout.Task, s rollout.Service) (string, bool, error) {
	name := RevisionName(s.CloudRun, t.Key)
	svc, err := a.service(ctx, s)
	if err != nil {
		return "", false, err
	}
	template := svc.GetTemplate()
	if short(template.GetRevision()) == name && ours(t.Key, template.GetLabels(), template.GetAnnotations()) {
		return byState, true, nil
	}
	rev, err := a.revision(ctx, s, name)
	switch {
	case status.Code(err) == codes.NotFound:
		return "", false, nil
	case err != nil:
		return "", false, explain(err, serviceSubject(s))
	case !ours(t.Key, rev.GetLabels(), rev.GetAnnotations()):
		return "", false, taken(s, rev)
	}
	return byState, true, nil
}

// ours reports whether a revision, or the template of one, is marked as made by the attempt's rollout.
// The attempt itself is in the name.
func ours(key rollout.Key, labels, annotations map[string]string) bool {
	return labels[idLabel] == key.Rollout || annotations[keyNote] == key.String()
}

// Start asks for the candidate.
func (a deployAction) Start(ctx context.Context, t rollout.Task) (string, error) {
	s, err := taskService(t, t.Step.Deploy.Service)
	if err != nil {
		return "", err
	}
	handle, err := a.make(ctx, t, s)
	return handle, patience(t).end(err, serviceSubject(s))
}

func (a deployAction) make(ctx context.Context, t rollout.Task, s rollout.Service) (string, error) {
	svc, err := a.service(ctx, s)
	if err != nil {
		return "", err
	}
	request := candidateRequest(svc, s, t.Key)
	request.Service.Etag = t.Fence
	op, err := call(ctx, a.services.UpdateService, request)
	if err == nil {
		return op.Name(), nil
	}
	return a.adopt(ctx, t, s, err)
}

// adopt asks, after a refusal, whether the candidate is there all the same: an answer that was lost
// makes the repetition fail with a used name or an old etag.
func (a deployAction) adopt(ctx context.Context, t rollout.Task, s rollout.Service, refusal error) (string, error) {
	if why := status.Convert(refusal); why.Code() == codes.InvalidArgument && causeByText(why.Message()) != unknownCause {
		return "", failedStart{service: s, name: RevisionName(s.CloudRun, t.Key), opErr: why.Proto()}.failure()
	}
	if status.Code(refusal) != codes.AlreadyExists && !stale(refusal) {
		return "", explain(refusal, serviceSubject(s))
	}
	handle, found, err := a.find(ctx, t, s)
	if err != nil || found {
		return handle, err
	}
	return "", a.refused(ctx, s, t.Fence, refusal)
}

// refused explains an update that Cloud Run did not take.
func (c *Cloud) refused(ctx context.Context, s rollout.Service, fence string, refusal error) error {
	svc, err := c.service(ctx, s)
	if err != nil {
		return err
	}
	if svc.GetEtag() == fence {
		return fmt.Errorf("Cloud Run does not take the change of %s just now: %w", s.Name, refusal)
	}
	failure := changed(s, svc, "its configuration is not the one that was checked")
	failure.Err = refusal
	return failure
}

// candidateRequest builds the update that makes a candidate: the template as it is with another
// image and name, and the present traffic beside it. Nothing else of the template is touched, for a
// field that is set without its companions changes meaning (resources without cpu_idle switch the
// CPU to always-on).
func candidateRequest(svc *runpb.Service, s rollout.Service, key rollout.Key) *runpb.UpdateServiceRequest {
	name := RevisionName(s.CloudRun, key)
	template := proto.CloneOf(svc.GetTemplate())
	if template == nil {
		template = &runpb.RevisionTemplate{}
	}
	template.Revision = name
	if c := mainContainer(template.GetContainers(), s.Image.Repository); c != nil {
		c.Image = s.Image.Reference()
	}
	template.Annotations = with(template.GetAnnotations(), keyNote, key.String())
	template.Annotations = with(template.Annotations, stableNote, s.Stable.Name)
	template.Labels = with(template.GetLabels(), idLabel, key.Rollout)
	traffic := trafficBeside(svc, name)
	return &runpb.UpdateServiceRequest{
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"annotations", "template", "traffic"}},
		Service:    &runpb.Service{Name: servicePath(s), Annotations: keeping(svc, traffic), Template: template, Traffic: traffic},
	}
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// mainContainer returns the container that is deployed to, among sidecars: the one that runs an
// image of the repository, or else the one that listens, or else the first.
func mainContainer(containers []*runpb.Container, repository string) *runpb.Container {
	for _, c := range containers {
		if rest, ok := strings.CutPrefix(c.GetImage(), repository); ok && (rest == "" || rest[0] == ':' || rest[0] == '@') {
			return c
		}
	}
	for _, c := range containers {
		if len(c.GetPorts()) > 0 {
			return c
		}
	}
	if len(containers) > 0 {
		return containers[0]
	}
	return nil
}

// Poll follows the operation, then trusts only the service's state: an operation can be forgotten,
// or fail after the effect.
func (a deployAction) Poll(ctx context.Context, t rollout.Task, handle string) (rollout.Outcome, error) {
	s, err := taskService(t, t.Step.Deploy.Service)
	if err != nil {
		return rollout.Outcome{}, err
	}
	name := RevisionName(s.CloudRun, t.Key)
	done, opErr, err := a.operation(ctx, handle)
	if err != nil {
		return rollout.Outcome{}, err
	}
	running := rollout.Outcome{State: rollout.StillRunning, Note: atWork("Starting "+name, t, handle, time.Now()), Again: pollPause}
	if !done {
		return running, nil
	}
	svc, err := a.service(ctx, s)
	if err != nil {
		return rollout.Outcome{}, err
	}
	state := deployed(svc, s, name)
	switch {
	case state == deployedOver:
		return rollout.Outcome{}, changed(s, svc, fmt.Sprintf("%s was deployed over %s", short(svc.GetLatestCreatedRevision()), name))
	case state == deployFailed || state == deployRunning && opErr != nil:
		if justFailed(svc, time.Now()) {
			running.Note = name + " did not start; reading its log."
			return running, nil
		}
		return rollout.Outcome{}, a.whyNotReady(ctx, s, svc, name, opErr)
	case state == deployRunning:
		return running, nil
	}
	candidate := rollout.Revision{Name: name, URL: tagURL(svc, name)}
	return rollout.Outcome{
		State:  rollout.Passed,
		Note:   name + " is ready. It gets no traffic yet.",
		Detail: sendAll(s, s.Stable.Name),
		Change: &rollout.ServiceChange{Service: s.Name, Candidate: &candidate},
	}, nil
}

// justFailed reports whether a failure is so young that the last lines of the log, which say why, may
// not be readable yet.
func justFailed(svc *runpb.Service, now time.Time) bool {
	at := svc.GetTerminalCondition().GetLastTransitionTime()
	ago := now.Sub(at.AsTime())
	return at.IsValid() && ago >= 0 && ago < logPatience
}

// deployment is how a service stands with a candidate.
type deployment int

const (
	deployRunning deployment = iota
	deployReady
	deployFailed
	deployedOver // someone else has deployed since, or took the tag
)

// deployed judges a candidate by the service alone. A failed revision that was retired can show
// Ready, so that a revision's own word is not enough.
func deployed(svc *runpb.Service, s rollout.Service, name string) deployment {
	switch {
	case short(svc.GetTemplate().GetRevision()) != name:
		return deployedOver
	case !settled(svc):
		return deployRunning
	case svc.GetTerminalCondition().GetState() == runpb.Condition_CONDITION_FAILED:
		return deployFailed
	case svc.GetTerminalCondition().GetState() != runpb.Condition_CONDITION_SUCCEEDED,
		short(svc.GetLatestCreatedRevision()) != name,
		short(svc.GetLatestReadyRevision()) != name:
		return deployRunning
	case tagged(svc.GetTraffic(), plan.CandidateTag) != name, servingShares(svc)[name] > 0, serving(svc) != s.Stable.Name:
		return deployedOver
	case !proven(svc).equal(asked(svc.GetTraffic())):
		return deployRunning
	}
	return deployReady
}

// tagURL returns the URL of the candidate's tag.
func tagURL(svc *runpb.Service, name string) string {
	for _, status := range svc.GetTrafficStatuses() {
		if status.GetTag() == plan.CandidateTag && short(status.GetRevision()) == name {
			return status.GetUri()
		}
	}
	return ""
}

// operation asks how an operation stands. One that Cloud Run does not know any more counts as done.
func (c *Cloud) operation(ctx context.Context, handle string) (done bool, failure *statuspb.Status, err error) {
	if handle == byState {
		return true, nil, nil
	}
	op, err := call(ctx, c.services.GetOperation, &longrunningpb.GetOperationRequest{Name: handle})
	switch status.Code(err) {
	case codes.OK:
		return op.GetDone(), op.GetError(), nil
	case codes.NotFound:
		return true, nil, nil
	}
	return false, nil, explain(err, subject{what: "an operation of Cloud Run", role: "roles/run.developer"})
}

// whyNotReady collects what is known of a candidate that failed, its log's end included. None of it
// is needed for the failure itself, so that errors on the way are left to the log.
func (c *Cloud) whyNotReady(ctx context.Context, s rollout.Service, svc *runpb.Service, name string, opErr *statuspb.Status) error {
	f := failedStart{service: s, name: name, account: svc.GetTemplate().GetServiceAccount(), opErr: opErr}
	rev, err := c.revision(ctx, s, name)
	if err != nil {
		c.log.WarnContext(ctx, "no conditions of the failed revision", "revision", name, "err", err)
	}
	f.conditions = append(rev.GetConditions(), svc.GetConditions()...)
	if terminal := svc.GetTerminalCondition(); terminal != nil {
		f.conditions = append(f.conditions, terminal)
	}
	if f.lines, err = c.lastLines(ctx, s.Project, revisionLines(s, name), tailLines); err != nil {
		c.log.WarnContext(ctx, "no log of the failed revision", "revision", name, "err", err)
		f.noLog = problem(err)
		if failure := asFailure(err); failure != nil {
			f.noLog = paragraphs(failure.Reason, failure.Detail)
		}
	}
	return f.failure()
}

// Cancel does nothing: a candidate without traffic harms nobody, and Cloud Run cannot take an update
// back.
func (a deployAction) Cancel(context.Context, rollout.Task, string) error { return nil }

var _ interface {
	rollout.Action
	rollout.Fencer
} = deployAction{}
