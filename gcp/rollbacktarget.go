package gcp

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/rollout"
)

// checkRollbackTarget proves that the stable revision can be returned to: it is there, ready, and
// its image can still be pulled when Cloud Run starts another instance.
func (c *Cloud) checkRollbackTarget(ctx context.Context, t rollout.Task) (rollout.Outcome, error) {
	s, err := taskService(t, t.Step.RollbackTarget.Service)
	if err != nil {
		return rollout.Outcome{}, err
	}
	name := s.Stable.Name
	rev, err := c.revision(ctx, s, name)
	if status.Code(err) == codes.NotFound {
		return noTarget("revision_missing", "%s does not exist any more, so there is nothing to return to.", name), nil
	}
	if err != nil {
		return rollout.Outcome{}, explain(err, serviceSubject(s))
	}
	if !startable(rev.GetConditions()) {
		return noTarget("revision_not_ready", "%s is not ready, so traffic could not return to it.", name), nil
	}
	image := mainContainer(rev.GetContainers(), s.Image.Repository).GetImage()
	if err := c.registry.head(ctx, image); err != nil {
		failure := asFailure(err)
		if failure == nil {
			return rollout.Outcome{}, err
		}
		if failure.Label == registryDown && time.Now().Before(t.Started.Add(startPatience)) {
			return rollout.Outcome{}, fmt.Errorf("the registry is silent about %s: %w", image, failure.Err)
		}
		return noTarget(failure.Label, "%s could not start again: %s", name, failure.Reason), nil
	}
	return rollout.Outcome{State: rollout.Passed, Note: name + " serves and can be returned to."}, nil
}

func noTarget(label, format string, args ...any) rollout.Outcome {
	return rollout.Outcome{State: rollout.FailedState, Note: fmt.Sprintf(format, args...), Label: label}
}
