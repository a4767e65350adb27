package gcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/plan"
	"slipway/rollout"
)

const (
	shortBaseline = 3 * time.Second // a rollback does not wait longer for numbers that it can do without
	namedAtMost   = 5               // revisions in a sentence
	searchPage    = 100
)

// InspectRevision implements rollout.Inspector. A way back has to be found in a bad hour, so that
// nothing is asked that it can do without: no registry, and the logs only for a moment.
func (c *Cloud) InspectRevision(ctx context.Context, p plan.Service, name string, now time.Time) (rollout.Service, error) {
	s, err := c.inspectRevision(ctx, p, name)
	if err != nil {
		return rollout.Service{}, final(ctx, err, serviceSubject(inspected(p)))
	}
	brief, cancel := context.WithTimeout(ctx, shortBaseline)
	defer cancel()
	s.Baseline = c.baseline(brief, s, now)
	return s, nil
}

func (c *Cloud) inspectRevision(ctx context.Context, p plan.Service, name string) (rollout.Service, error) {
	s := inspected(p)
	svc, err := c.service(ctx, s)
	if err != nil {
		return s, err
	}
	// A service in which nothing serves is to be left for an earlier revision too: the newest is then
	// what is wrong with it.
	if name == "" {
		return c.inspectServing(ctx, p, svc, cmp.Or(serving(svc), short(svc.GetLatestCreatedRevision())))
	}
	to, err := c.findRevision(ctx, s, name)
	if err != nil {
		return s, err
	}
	found := short(to.GetName())
	from, err := left(s, svc, found)
	if err != nil {
		return s, err
	}
	s, err = c.inspectServing(ctx, p, svc, from)
	s.Candidate.Name = found
	s.Image = imageOf(mainContainer(to.GetContainers(), p.Image).GetImage())
	return s, err
}

// left is the revision that a rollback to another one leaves: the one with the largest share.
func left(s rollout.Service, svc *runpb.Service, to string) (string, error) {
	shares := servingShares(svc)
	if settled(svc) && shares[to] == 100 {
		return "", &rollout.Failure{
			Reason: fmt.Sprintf("All traffic of %s is on %s already. Name another revision to return to.", s.Name, to),
			Detail: listing(s), Label: "serves_already",
		}
	}
	delete(shares, to)
	if names := byShare(shares); len(names) > 0 {
		return names[0], nil
	}
	return cmp.Or(serving(svc), short(svc.GetLatestCreatedRevision())), nil
}

// imageOf takes a reference apart.
func imageOf(reference string) rollout.Image {
	repository, digest, _ := strings.Cut(reference, "@")
	return rollout.Image{Repository: repository, Digest: digest}
}

// findRevision finds the one revision that people mean by name and that can serve.
func (c *Cloud) findRevision(ctx context.Context, s rollout.Service, name string) (*runpb.Revision, error) {
	name = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), s.CloudRun+"-")
	rev, err := c.exactRevision(ctx, s, name)
	if err == nil && rev == nil {
		rev, err = c.searchRevision(ctx, s, name)
	}
	if err != nil {
		return nil, err
	}
	if !startable(rev.GetConditions()) {
		return nil, &rollout.Failure{
			Reason: fmt.Sprintf("%s never came up, or cannot start any more, so traffic cannot return to it. Name another revision.", short(rev.GetName())),
			Detail: strings.TrimSpace(message(rev.GetConditions(), nil) + "\n" + listing(s)), Label: "revision_not_ready",
		}
	}
	return rev, nil
}

// exactRevision returns the revision whose name after the service's is rest, or nil.
func (c *Cloud) exactRevision(ctx context.Context, s rollout.Service, rest string) (*runpb.Revision, error) {
	if !regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`).MatchString(rest) {
		return nil, nil
	}
	rev, err := c.revision(ctx, s, s.CloudRun+"-"+rest)
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	return rev, explain(err, serviceSubject(s))
}

// searchRevision looks for the only revision whose name goes on from prefix.
func (c *Cloud) searchRevision(ctx context.Context, s rollout.Service, prefix string) (*runpb.Revision, error) {
	all, err := c.allRevisions(ctx, s)
	if err != nil {
		return nil, err
	}
	matches := slices.DeleteFunc(slices.Clone(all), func(r *runpb.Revision) bool {
		return prefix == "" || !strings.HasPrefix(short(r.GetName()), s.CloudRun+"-"+prefix+"-")
	})
	switch len(matches) {
	case 1:
		return matches[0], nil
	case 0:
		usable := slices.DeleteFunc(all, func(r *runpb.Revision) bool { return !startable(r.GetConditions()) })
		return nil, &rollout.Failure{
			Reason: fmt.Sprintf("%s has no revision %q. The newest that can serve: %s.", s.Name, cut(prefix, MaxRevisionName), names(usable)),
			Detail: listing(s), Label: "revision_missing",
		}
	}
	return nil, &rollout.Failure{
		Reason: fmt.Sprintf("%q can mean %d revisions of %s: %s. Give more of the name.", prefix, len(matches), s.Name, names(matches)),
		Detail: listing(s), Label: "revision_ambiguous",
	}
}

// allRevisions lists the revisions of a service, newest first.
func (c *Cloud) allRevisions(ctx context.Context, s rollout.Service) ([]*runpb.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	list := c.revisions.ListRevisions(ctx, &runpb.ListRevisionsRequest{Parent: servicePath(s), PageSize: searchPage})
	var all []*runpb.Revision
	for {
		rev, err := list.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return nil, explain(err, serviceSubject(s))
		}
		all = append(all, rev)
	}
	slices.SortStableFunc(all, func(a, b *runpb.Revision) int {
		return b.GetCreateTime().AsTime().Compare(a.GetCreateTime().AsTime())
	})
	return all, nil
}

// names lists the first few revisions for a sentence.
func names(revisions []*runpb.Revision) string {
	if len(revisions) == 0 {
		return "none"
	}
	var list []string
	for _, r := range revisions[:min(len(revisions), namedAtMost)] {
		list = append(list, short(r.GetName()))
	}
	return strings.Join(list, ", ")
}

// startable reports whether a revision can serve, or could again once it gets traffic. Ready alone
// does not tell: a revision that failed shows Ready once it is retired, while the conditions beside it
// still say what was wrong. Active says only whether instances are kept.
func startable(conditions []*runpb.Condition) bool {
	ready := false
	for _, c := range conditions {
		switch {
		case c.GetType() == "Active":
		case c.GetState() == runpb.Condition_CONDITION_FAILED && c.GetSeverity() != runpb.Condition_INFO:
			return false
		case c.GetType() == "Ready":
			ready = c.GetState() == runpb.Condition_CONDITION_SUCCEEDED || c.GetRevisionReason() == runpb.Condition_RETIRED
		}
	}
	return ready
}
