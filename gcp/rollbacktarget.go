package gcp

import (
	"context"
	"fmt"

	"cloud.google.com/go/run/apiv2/runpb"
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
	if !ready(rev.GetConditions()) {
		return noTarget("revision_not_ready", "%s is not ready, so traffic could not return to it.", name), nil
	}
	image := mainContainer(rev.GetContainers(), s.Image.Repository).GetImage()
	if _, err := c.registry.head(ctx, image); err != nil {
		failure := asFailure(err)
		if failure == nil {
			return rollout.Outcome{}, err
		}
		return noTarget(failure.Label, "%s could not start again: %s", name, failure.Reason), nil
	}
	return rollout.Outcome{State: rollout.Passed, Note: name + " serves and can be returned to."}, nil
}

func noTarget(label, format string, args ...any) rollout.Outcome {
	return rollout.Outcome{State: rollout.FailedState, Note: fmt.Sprintf(format, args...), Label: label}
}

// ready reads the condition "Ready" of a revision.
func ready(conditions []*runpb.Condition) bool {
	for _, c := range conditions {
		if c.GetType() == "Ready" {
			return c.GetState() == runpb.Condition_CONDITION_SUCCEEDED
		}
	}
	return false
}
