package gcp

import (
	"cmp"
	"context"
	"fmt"
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
// not an error: a service may be rolled out without one.
func (c *Cloud) Inspect(ctx context.Context, p plan.Service, what string, now time.Time) (rollout.Service, error) {
	s := rollout.Service{Name: p.Name, CloudRun: p.CloudRun, Project: p.Project, Region: p.Region}
	var svc *runpb.Service
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		s.Image, err = c.registry.resolve(bothCtx, p.Image, cmp.Or(what, p.Tag, "latest"))
		return err
	})
	both.Go(func() (err error) {
		svc, err = c.service(bothCtx, rollout.Service{CloudRun: p.CloudRun, Project: p.Project, Region: p.Region})
		return err
	})
	if err := both.Wait(); err != nil {
		return rollout.Service{}, err
	}
	s.URL = svc.GetUri()
	s.Stable.Name = serving(svc)
	if s.Stable.Name == "" {
		return rollout.Service{}, &rollout.Failure{
			Reason: fmt.Sprintf("No revision of %s serves traffic, so there is nothing to return to. Deploy it once by hand first.", s.Name),
			Label:  "nothing_serves",
		}
	}
	stable, err := c.revision(ctx, s, s.Stable.Name)
	if err != nil {
		return rollout.Service{}, explain(err, serviceSubject(s))
	}
	s.OldImage = mainContainer(stable.GetContainers(), p.Image).GetImage()
	s.Baseline = c.baseline(ctx, s, now)
	return s, nil
}

// baseline counts the newest requests of the stable revision. When there are more than it counts,
// the window begins with the oldest that was.
func (c *Cloud) baseline(ctx context.Context, s rollout.Service, now time.Time) *rollout.Baseline {
	b := &rollout.Baseline{Revision: s.Stable.Name, Since: now.Add(-baselineWindow).UTC(), Until: now.UTC()}
	filter := requestLines(s, s.Stable.Name) + fmt.Sprintf(" timestamp>=%s timestamp<%s", stamp(b.Since), stamp(b.Until))
	listed, oldest := 0, b.Until
	err := c.list(ctx, s.Project, filter, "timestamp desc", baselineRequests, func(e *loggingpb.LogEntry) {
		listed++
		oldest = e.GetTimestamp().AsTime()
		if isProbe(e) {
			return
		}
		b.Requests++
		if failed(e) {
			b.Errors++
		}
	})
	if err != nil {
		c.log.WarnContext(ctx, "no baseline", "service", s.Name, "err", err)
		b.Requests, b.Errors = 0, 0
		b.Problem = problem(err)
		return b
	}
	if listed == baselineRequests {
		b.Since = oldest
	}
	return b
}

// problem is an error as a safe sentence.
func problem(err error) string {
	if failure := asFailure(err); failure != nil {
		return failure.Reason
	}
	return "Cloud Logging did not answer, so the error rate before the rollout is not known."
}

var _ rollout.Inspector = (*Cloud)(nil)
