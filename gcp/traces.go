package gcp

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/plan"
	"slipway/rollout"
)

// Traces implements rollout.Tracer: the revisions that Slipway made, by name and by mark, and that have a
// part of the traffic or the candidate's tag. A rollout that came to its end leaves neither, but for the
// tag of one that went back.
func (c *Cloud) Traces(ctx context.Context, p plan.Service) ([]rollout.Trace, error) {
	s := inspected(p)
	traces, err := c.traces(ctx, s)
	if err != nil {
		return nil, final(ctx, err, serviceSubject(s))
	}
	return traces, nil
}

func (c *Cloud) traces(ctx context.Context, s rollout.Service) ([]rollout.Trace, error) {
	svc, err := c.service(ctx, s)
	if err != nil {
		return nil, err
	}
	shares := unfinished(svc)
	var traces []rollout.Trace
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		id := rolloutOf(s, name)
		if id == "" {
			continue
		}
		rev, err := c.revision(ctx, s, name)
		if status.Code(err) == codes.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if marked(rev, id) {
			traces = append(traces, rollout.Trace{
				Rollout: id, Revision: name, Percent: shares[name], Before: rolledOutOver(rev, s), Keep: sendAll(s, name) + " && " + untag(s),
			})
		}
	}
	return traces, nil
}

// unfinished are the revisions with a part of the traffic, and the one with the candidate's tag, with
// what they get.
func unfinished(svc *runpb.Service) map[string]int {
	shares := servingShares(svc)
	candidate := tagged(svc.GetTraffic(), plan.CandidateTag)
	maps.DeleteFunc(shares, func(name string, percent int) bool { return percent == 100 && name != candidate })
	if candidate != "" {
		shares[candidate] += 0
	}
	return shares
}

// rolloutOf is the ID of the rollout whose deploy step would name a revision so; "" if none would.
func rolloutOf(s rollout.Service, name string) string {
	rest, ours := strings.CutPrefix(name, s.CloudRun+"-s")
	if !ours {
		return ""
	}
	parts := regexp.MustCompile(`^([a-z2-7]{6})-[0-9]{1,3}$`).FindStringSubmatch(rest)
	if parts == nil {
		return ""
	}
	return parts[1]
}

// marked reports whether a revision is marked as made by a rollout.
func marked(rev *runpb.Revision, id string) bool {
	return rev.GetLabels()[idLabel] == id || strings.HasPrefix(rev.GetAnnotations()[keyNote], id+"/")
}

var _ rollout.Tracer = (*Cloud)(nil)
