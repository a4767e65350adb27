package gcp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"slipway/plan"
	"slipway/rollout"
)

// This file brings a service back when nothing else is left: no Redis, no Slack, no history. Cloud Run
// is all that is asked, and its etag the only fence.

const (
	rescueTime  = 5 * time.Minute
	rescuePause = time.Second
)

// Rescue sends all traffic of a service to an earlier revision, and returns once the statuses prove
// it. name is the revision ("00041" is enough if only one matches); "": the one that served before.
// say is told what is done, a sentence each. A *rollout.Failure says what people can do about an error.
func (c *Cloud) Rescue(ctx context.Context, p plan.Service, name string, say func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, rescueTime)
	defer cancel()
	if name == "" {
		found, why, err := c.servedBefore(ctx, inspected(p))
		if err != nil {
			return final(ctx, err, serviceSubject(inspected(p)))
		}
		say(fmt.Sprintf("Going back to %s: %s.", found, why))
		name = found
	}
	s, err := c.inspectRevision(ctx, p, name)
	if err != nil {
		return final(ctx, err, serviceSubject(s))
	}
	say(fmt.Sprintf("Sending all traffic of %s to %s from %s.", s.CloudRun, s.Candidate.Name, s.Stable.Name))
	return c.bringBack(ctx, s, say)
}

// bringBack does with a service what the traffic step of a rollback does, without an engine around it.
func (c *Cloud) bringBack(ctx context.Context, s rollout.Service, say func(string)) error {
	a := trafficAction{c}
	task := rollout.Task{
		Started: time.Now(), Services: map[string]rollout.Service{s.Name: s},
		Step: plan.Step{Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: s.Name, Percent: 100, To: plan.ToRevision}},
	}
	handle, err := persist(ctx, say, func() (string, bool, error) {
		handle, err := a.Start(ctx, task)
		return handle, true, err
	})
	if err != nil {
		return final(ctx, err, serviceSubject(s))
	}
	say("Cloud Run took the change. Waiting until it proves that the traffic has moved.")
	note, err := persist(ctx, say, func() (string, bool, error) {
		outcome, err := a.Poll(ctx, task, handle)
		return outcome.Note, outcome.State == rollout.Passed, err
	})
	if err != nil {
		return final(ctx, err, serviceSubject(s))
	}
	say(note)
	return nil
}

// persist repeats what fails in passing, until it is done, fails for good, or ctx ends.
func persist(ctx context.Context, say func(string), try func() (result string, done bool, err error)) (string, error) {
	told := ""
	for {
		result, done, err := try()
		if done && err == nil || asFailure(err) != nil {
			return result, err
		}
		if err != nil && err.Error() != told {
			told = err.Error()
			say("Not yet: " + told)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("gave up after %s; %s: %w", seconds(rescueTime), strings.TrimSuffix(told, "."), ctx.Err())
		case <-time.After(rescuePause):
		}
	}
}

// servedBefore finds the revision to return to by what Cloud Run knows, and says why it is that one.
func (c *Cloud) servedBefore(ctx context.Context, s rollout.Service) (name, why string, err error) {
	svc, all, err := c.withRevisions(ctx, s)
	if err != nil {
		return "", "", err
	}
	return wayBack(s, svc, all)
}

// withRevisions reads a service and its revisions, newest first.
func (c *Cloud) withRevisions(ctx context.Context, s rollout.Service) (*runpb.Service, []*runpb.Revision, error) {
	svc, err := c.service(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	all, err := c.allRevisions(ctx, s)
	return svc, all, err
}

// wayBack is the revision that the serving one was rolled out over, as its rollout noted on it; else of several
// that serve, the oldest; else the newest one before it that can serve. If a newer revision than the serving one
// gets no traffic, the service is back already, and one step further is nobody's wish. all are the service's
// revisions, newest first.
func wayBack(s rollout.Service, svc *runpb.Service, all []*runpb.Revision) (name, why string, err error) {
	serving := slices.DeleteFunc(slices.Clone(all), func(r *runpb.Revision) bool { return servingShares(svc)[short(r.GetName())] == 0 })
	leaving := short(svc.GetLatestCreatedRevision()) // what is wrong with a service in which nothing serves
	if len(serving) > 0 {
		leaving = short(serving[0].GetName())
	}
	at := indexOf(all, leaving)
	if at < 0 {
		return "", "", nothingBefore(s, leaving)
	}
	if newest := short(svc.GetLatestCreatedRevision()); len(serving) == 1 && newest != leaving {
		return "", "", &rollout.Failure{
			Reason: fmt.Sprintf("All traffic of %s is on %s, and %s, which is newer, gets none: there is nothing to go back from. Name the revision to return to if it is another.", s.Name, leaving, newest),
			Detail: listing(s), Label: "back_already",
		}
	}
	if before := indexOf(all, rolledOutOver(all[at], s)); before >= 0 && startable(all[before].GetConditions()) {
		return short(all[before].GetName()), fmt.Sprintf("%s was rolled out over it", leaving), nil
	}
	if len(serving) > 1 {
		return short(serving[len(serving)-1].GetName()), fmt.Sprintf("it serves beside %s, which is newer", leaving), nil
	}
	for _, r := range all[at+1:] {
		if startable(r.GetConditions()) {
			return short(r.GetName()), fmt.Sprintf("it is the newest before %s that can serve; whether it did is not known here", leaving), nil
		}
	}
	return "", "", nothingBefore(s, leaving)
}

// indexOf is where a revision stands, or -1.
func indexOf(all []*runpb.Revision, name string) int {
	return slices.IndexFunc(all, func(r *runpb.Revision) bool { return short(r.GetName()) == name })
}

// rolledOutOver is the stable revision of the rollout that made rev, as the deploy step noted it; "" if
// another made it.
func rolledOutOver(rev *runpb.Revision, s rollout.Service) string {
	if !madeHere(rev, s) {
		return ""
	}
	return rev.GetAnnotations()[stableNote]
}

// madeHere reports whether a rollout made rev. Its note is inherited by whatever is deployed later from the
// same template, so it counts only on the revision whose name fits the attempt that is noted.
func madeHere(rev *runpb.Revision, s rollout.Service) bool {
	id, attempt, noted := strings.Cut(rev.GetAnnotations()[keyNote], "/")
	attempt = attempt[strings.LastIndex(attempt, "/")+1:]
	return noted && short(rev.GetName()) == fmt.Sprintf("%s-s%s-%s", s.CloudRun, id, attempt)
}

func nothingBefore(s rollout.Service, leaving string) *rollout.Failure {
	return &rollout.Failure{
		Reason: fmt.Sprintf("%s has no revision before %s that can serve. Name the one to return to.", s.Name, orNothing(leaving)),
		Detail: listing(s), Label: "no_revision",
	}
}
