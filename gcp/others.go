package gcp

import (
	"context"
	"fmt"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/rollout"
)

// This file is about changes that somebody else makes to a service meanwhile.

// stale reports whether a call was refused because the etag is no longer the service's. Cloud Run
// answers ABORTED or FAILED_PRECONDITION.
func stale(err error) bool {
	code := status.Code(err)
	return code == codes.Aborted || code == codes.FailedPrecondition
}

// changed says that somebody else touched the service.
func changed(s rollout.Service, svc *runpb.Service, what string) *rollout.Failure {
	return &rollout.Failure{
		Reason: fmt.Sprintf("%s was changed by someone else (%s): %s. Look at it, then start again.", s.Name, modifier(svc), what),
		Detail: paragraphs("Traffic now: "+sharing(svc), describe(s)), Label: rollout.LabelChanged,
	}
}

// unsettled says that a change of somebody else is under way: a plain error, until there is no time
// left to wait for its end.
func unsettled(ctx context.Context, s rollout.Service, svc *runpb.Service) error {
	if !isLast(ctx) {
		return fmt.Errorf("%s is being changed; waiting until Cloud Run is done", s.Name)
	}
	return &rollout.Failure{
		Reason: fmt.Sprintf("A change of %s by someone else (%s) is still under way. Wait until Cloud Run is done with it, then retry.", s.Name, modifier(svc)),
		Detail: paragraphs("Traffic now: "+sharing(svc), describe(s)), Label: "changing",
	}
}

// taken says that the candidate's name belongs to a revision that this rollout did not make.
func taken(s rollout.Service, rev *runpb.Revision) *rollout.Failure {
	who := rev.GetCreator()
	if who == "" {
		who = "an unknown account"
	}
	if made := rev.GetCreateTime(); made.IsValid() && made.GetSeconds() != 0 {
		who += ", " + clock(made.AsTime())
	}
	return &rollout.Failure{
		Reason: fmt.Sprintf("There is a revision %s already, made by someone else (%s). Retry: the next attempt takes another name.", short(rev.GetName()), who),
		Detail: listing(s), Label: "revision_taken",
	}
}

// notMoved says that Cloud Run took a change of traffic and then could not carry it out.
func notMoved(s rollout.Service, svc *runpb.Service, opErr *statuspb.Status) *rollout.Failure {
	f := &rollout.Failure{
		Reason: fmt.Sprintf("Cloud Run could not move the traffic of %s; it is still %s. Retry, or roll back.", s.Name, sharing(svc)),
		Detail: paragraphs(message([]*runpb.Condition{svc.GetTerminalCondition()}, opErr), sendAll(s, s.Stable.Name)),
		Label:  "traffic_failed",
	}
	if opErr != nil {
		f.Err = status.ErrorProto(opErr)
	}
	return f
}

// modifier says who changed a service last, and when.
func modifier(svc *runpb.Service) string {
	who := svc.GetLastModifier()
	if who == "" {
		who = "an unknown account"
	}
	if at := svc.GetUpdateTime(); at.IsValid() && at.GetSeconds() != 0 {
		who += ", " + clock(at.AsTime())
	}
	return who
}

// sharing is where a service's traffic goes, for a sentence.
func sharing(svc *runpb.Service) string {
	shares := servingShares(svc)
	var parts []string
	for _, name := range byShare(shares) {
		parts = append(parts, fmt.Sprintf("%d%% on %s", shares[name], name))
	}
	if len(parts) == 0 {
		return "nowhere"
	}
	return strings.Join(parts, ", ")
}

func orNothing(name string) string {
	if name == "" {
		return "nothing"
	}
	return name
}
