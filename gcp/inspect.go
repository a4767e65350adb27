package gcp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"golang.org/x/sync/errgroup"

	"slipway/plan"
	"slipway/rollout"
)

const (
	baselineWindow   = 10 * time.Minute
	baselineRequests = 2000
)

// Inspect implements rollout.Inspector. A baseline that cannot be read is a Problem in the answer,
// not an error: a service may be rolled out without one. It also chooses where numbers come from. Nobody repeats an Inspect, so that every
// error is final and says so.
func (c *Cloud) Inspect(ctx context.Context, p plan.Service, what string, now time.Time) (rollout.Service, error) {
	var image rollout.Image
	var s rollout.Service
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		image, err = c.registry.resolve(bothCtx, p.Image, cmp.Or(what, p.Tag, "latest"))
		return err
	})
	both.Go(func() error {
		svc, err := c.service(bothCtx, inspected(p))
		if err != nil {
			return err
		}
		s, err = c.inspectServing(bothCtx, p, svc, serving(svc))
		return err
	})
	if err := both.Wait(); err != nil {
		return rollout.Service{}, final(ctx, err, serviceSubject(inspected(p)))
	}
	s.Image = image
	c.chooseSource(ctx, &s, now)
	return s, nil
}

func inspected(p plan.Service) rollout.Service {
	return rollout.Service{Name: p.Name, CloudRun: p.CloudRun, Project: p.Project, Region: p.Region}
}

// inspectServing reads what serves: the revision called stable.
func (c *Cloud) inspectServing(ctx context.Context, p plan.Service, svc *runpb.Service, stable string) (rollout.Service, error) {
	s := inspected(p)
	s.URL = svc.GetUri()
	s.Stable.Name = stable
	if stable == "" {
		return s, &rollout.Failure{
			Reason: fmt.Sprintf("No revision of %s serves traffic, so there is nothing to return to. Deploy it once by hand first.", s.Name),
			Detail: describe(s), Label: "nothing_serves",
		}
	}
	rev, err := c.revision(ctx, s, stable)
	if err != nil {
		return s, explain(err, serviceSubject(s))
	}
	s.OldImage = mainContainer(rev.GetContainers(), p.Image).GetImage()
	return s, nil
}

// baseline counts the newest requests of the stable revision. When there are more than it counts,
// the window begins with the oldest that was.
func (c *Cloud) baseline(ctx context.Context, s rollout.Service, now time.Time) *rollout.Baseline {
	b := &rollout.Baseline{Revision: s.Stable.Name, Since: now.Add(-baselineWindow).UTC(), Until: now.UTC()}
	filter := requestLines(s, s.Stable.Name) + fmt.Sprintf(" timestamp>=%s timestamp<%s", stamp(b.Since), stamp(b.Until))
	listed, oldest := 0, b.Until
	var requests []rollout.Slot // each by itself, the newest first
	err := c.list(ctx, s.Project, filter, "timestamp desc", baselineRequests, func(e *loggingpb.LogEntry) {
		listed++
		oldest = e.GetTimestamp().AsTime()
		if isProbe(e.GetHttpRequest()) {
			return
		}
		slot := rollout.Slot{At: oldest, Requests: 1}
		if failed(e.GetHttpRequest()) {
			slot.Errors = 1
		}
		requests = append(requests, slot)
		b.Requests += slot.Requests
		b.Errors += slot.Errors
	})
	if err != nil {
		c.log.WarnContext(ctx, "no baseline", "service", s.Name, "err", err)
		b.Requests, b.Errors = 0, 0
		b.Problem = problem(err)
		return b
	}
	switch listed {
	case baselineRequests:
		b.Since = oldest
	case 0:
		b.Problem = fmt.Sprintf("No request of %s is in the log of the last %s: nobody calls it, or its request log is kept out of Cloud Logging.",
			s.Stable.Name, seconds(baselineWindow))
	}
	slices.Reverse(requests)
	b.Points = rollout.PointsOf(b.Since, b.Until, requests)
	return b
}

// problem is an error as a safe sentence.
func problem(err error) string {
	if failure := asFailure(err); failure != nil {
		return failure.Reason
	}
	return "Cloud Logging did not answer."
}

var _ rollout.Inspector = (*Cloud)(nil)
