package gcp

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"slipway/plan"
	"slipway/rollout"
)

// trafficAction moves a service's traffic. Traffic is set to a value, so that a repetition does
// nothing new; the etag keeps a replica that woke up late from setting an old value.
//
// The way back (to the stable revision, or to the one that a rollback names) differs: it is a rescue
// and takes the service in any state. It reads the etag inside Start, at each try, so that somebody
// else's change delays it by one try and never refuses it. Between reading the etag and using it the
// lease is confirmed: a replica that slept through its lease either learns so, or finds the etag used.
type trafficAction struct{ *Cloud }

// Precondition reads the etag and refuses when the traffic is neither as the rollout left it nor
// already as asked. For the way back it is empty.
func (a trafficAction) Precondition(ctx context.Context, t rollout.Task) (string, error) {
	s, err := taskService(t, t.Step.Traffic.Service)
	if err != nil || wanted(t, s).rescue() {
		return "", err
	}
	s, svc, err := a.read(ctx, t)
	if err != nil {
		return "", lastWord(ctx, err, serviceSubject(s))
	}
	if !settled(svc) {
		return "", unsettled(ctx, s, svc)
	}
	if err := asLeft(svc, s, wanted(t, s)); err != nil {
		return "", err
	}
	return svc.GetEtag(), nil
}

// asLeft compares a service with what the rollout knows of it.
func asLeft(svc *runpb.Service, s rollout.Service, want split) error {
	if want.to == plan.ToLatest {
		if newest := short(svc.GetLatestCreatedRevision()); newest != s.Candidate.Name {
			return changed(s, svc, fmt.Sprintf("%s was deployed meanwhile, so the traffic stays pinned to %s", newest, s.Candidate.Name))
		}
	}
	if _, inEffect := want.met(svc); inEffect {
		return nil
	}
	shares := servingShares(svc)
	if got := shares[s.Candidate.Name]; got != s.Percent {
		return changed(s, svc, fmt.Sprintf("%s gets %d%% of the traffic, not %d%%", s.Candidate.Name, got, s.Percent))
	}
	delete(shares, s.Candidate.Name)
	if rest := byShare(shares); len(rest) > 0 && rest[0] != s.Stable.Name {
		return changed(s, svc, fmt.Sprintf("%s serves in place of %s", rest[0], s.Stable.Name))
	}
	return nil
}

// Find reports traffic that is as asked, and proven to be.
func (a trafficAction) Find(ctx context.Context, t rollout.Task) (string, bool, error) {
	s, svc, err := a.read(ctx, t)
	if err != nil {
		return "", false, patience(t).end(err, serviceSubject(s))
	}
	want := wanted(t, s)
	requested, inEffect := want.met(svc)
	if !settled(svc) || !inEffect || want.rescue() && !requested {
		return "", false, nil
	}
	return byState, true, nil
}

// Start sets the traffic.
func (a trafficAction) Start(ctx context.Context, t rollout.Task) (string, error) {
	s, err := taskService(t, t.Step.Traffic.Service)
	if err != nil {
		return "", err
	}
	handle, err := a.set(ctx, t)
	return handle, patience(t).end(err, serviceSubject(s))
}

func (a trafficAction) set(ctx context.Context, t rollout.Task) (string, error) {
	s, svc, err := a.read(ctx, t)
	if err != nil {
		return "", err
	}
	want := wanted(t, s)
	etag := t.Fence
	if want.rescue() {
		etag = svc.GetEtag()
		if err := t.StillHeld(ctx); err != nil {
			return "", err
		}
	}
	traffic := trafficFor(svc, want)
	request := &runpb.UpdateServiceRequest{
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"annotations", "traffic"}},
		Service:    &runpb.Service{Name: servicePath(s), Etag: etag, Annotations: keeping(svc, traffic), Traffic: traffic},
	}
	op, err := call(ctx, a.services.UpdateService, request)
	if want.rescue() && status.Code(err) == codes.InvalidArgument { // a way back can do without the note
		request.UpdateMask.Paths, request.Service.Annotations = []string{"traffic"}, nil
		op, err = call(ctx, a.services.UpdateService, request)
	}
	switch {
	case err == nil:
		return op.Name(), nil
	case !stale(err):
		return "", explain(err, serviceSubject(s))
	case want.rescue():
		return "", fmt.Errorf("%s is being changed by someone else at the same time; trying again: %w", s.Name, err)
	}
	return a.adopt(ctx, t, s, err)
}

// adopt asks, after a stale etag, whether the traffic is as asked all the same: the answer to the
// first try may have been lost.
func (a trafficAction) adopt(ctx context.Context, t rollout.Task, s rollout.Service, refusal error) (string, error) {
	_, svc, err := a.read(ctx, t)
	if err != nil {
		return "", err
	}
	if requested, _ := wanted(t, s).met(svc); requested {
		return byState, nil
	}
	return "", a.refused(ctx, s, t.Fence, refusal)
}

// Poll follows the operation until the statuses prove the traffic.
func (a trafficAction) Poll(ctx context.Context, t rollout.Task, handle string) (rollout.Outcome, error) {
	done, opErr, err := a.operation(ctx, handle)
	if err != nil {
		return rollout.Outcome{}, err
	}
	running := rollout.Outcome{State: rollout.StillRunning, Note: atWork("Moving traffic", t, handle, time.Now()), Again: pollPause}
	if !done {
		return running, nil
	}
	s, svc, err := a.read(ctx, t)
	if err != nil {
		return rollout.Outcome{}, err
	}
	want := wanted(t, s)
	requested, inEffect := want.met(svc)
	switch {
	case !requested:
		return rollout.Outcome{}, changed(s, svc, "its traffic is not what this step asked for")
	case settled(svc) && inEffect:
		outcome := moved(s, want, time.Now())
		if want.rescue() {
			outcome.Note += a.draining(ctx, s, want)
		}
		return outcome, nil
	case opErr != nil, settled(svc) && svc.GetTerminalCondition().GetState() == runpb.Condition_CONDITION_FAILED:
		return rollout.Outcome{}, notMoved(s, svc, opErr)
	}
	return running, nil
}

// moved is the outcome of a shift that was first seen at now. A gate counts from there, so that
// handing over to LATEST, which moves nothing, keeps the time of the shift before.
func moved(s rollout.Service, want split, now time.Time) rollout.Outcome {
	percent := 100
	var note string
	switch want.to {
	case plan.ToStable:
		percent, note = 0, fmt.Sprintf("All traffic is back on %s.", s.Stable.Name)
	case plan.ToRevision:
		note = fmt.Sprintf("All traffic is back on %s.", s.Candidate.Name)
	case plan.ToLatest:
		note = fmt.Sprintf("%s follows the latest revision again.", s.Name)
	case plan.ToPinned:
		note = fmt.Sprintf("All traffic stays on %s.", s.Candidate.Name)
	default:
		percent = want.percent
		note = fmt.Sprintf("%d%% of the traffic goes to %s.", percent, s.Candidate.Name)
	}
	change := &rollout.ServiceChange{Service: s.Name, Percent: &percent}
	if want.to == plan.ToCandidate || percent != s.Percent {
		now = now.UTC()
		change.ShiftedAt = &now
	}
	return rollout.Outcome{State: rollout.Passed, Note: note, Detail: sendAll(s, want.returnTo()), Change: change}
}

// returnTo is the revision to which a person would send all traffic, should this shift be a mistake
// or, for a way back, should it have to be repeated.
func (s split) returnTo() string {
	if s.rescue() {
		return s.back()
	}
	return s.stable
}

// draining says what becomes of the connections that are open on the revision that was left: Cloud
// Run moves only new requests, and a WebSocket is one request
// (https://cloud.google.com/run/docs/triggering/websockets).
func (a trafficAction) draining(ctx context.Context, s rollout.Service, want split) string {
	name := want.left()
	if name == "" || name == want.back() {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	within := ""
	rev, err := a.revision(ctx, s, name)
	if err != nil {
		a.log.WarnContext(ctx, "no request timeout of the revision left", "revision", name, "err", err)
	} else if limit := rev.GetTimeout().AsDuration(); limit > 0 {
		within = " (" + seconds(limit) + ")"
	}
	return fmt.Sprintf(" Connections still open on %s end by themselves within its request timeout%s.", name, within)
}

// Cancel does nothing: where the traffic goes instead is another step's effect.
func (a trafficAction) Cancel(context.Context, rollout.Task, string) error { return nil }

func (a trafficAction) read(ctx context.Context, t rollout.Task) (rollout.Service, *runpb.Service, error) {
	s, err := taskService(t, t.Step.Traffic.Service)
	if err != nil {
		return s, nil, err
	}
	if s.Candidate.Name == "" && t.Step.Traffic.To != plan.ToStable {
		return s, nil, &rollout.Failure{
			Reason: fmt.Sprintf("%s has no candidate yet; deploy one before its traffic moves.", s.Name),
			Label:  "no_candidate",
		}
	}
	svc, err := a.service(ctx, s)
	return s, svc, err
}

func wanted(t rollout.Task, s rollout.Service) split {
	return split{
		to: t.Step.Traffic.To, percent: t.Step.Traffic.Percent,
		candidate: s.Candidate.Name, stable: s.Stable.Name,
	}
}

var _ interface {
	rollout.Action
	rollout.Fencer
} = trafficAction{}
