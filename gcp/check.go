package gcp

import (
	"context"
	"encoding/json"
	"fmt"

	"slipway/rollout"
)

// check is an Action that only looks. Start does all of it, within the calls' deadlines; the handle
// carries what it saw, so that a replica that takes over says the same.
type check struct {
	look func(ctx context.Context, t rollout.Task) (rollout.Outcome, error)
}

// Find never finds anything: looking twice is no harm.
func (c check) Find(context.Context, rollout.Task) (string, bool, error) { return "", false, nil }

// Start looks.
func (c check) Start(ctx context.Context, t rollout.Task) (string, error) {
	seen, err := c.look(ctx, t)
	if err != nil {
		return "", patience(t).end(err, serviceSubject(t.Services[t.Step.Service()]))
	}
	handle, err := json.Marshal(seen)
	if err != nil {
		return "", fmt.Errorf("cannot keep what was seen: %w", err)
	}
	return string(handle), nil
}

// Poll returns what Start saw.
func (c check) Poll(_ context.Context, _ rollout.Task, handle string) (rollout.Outcome, error) {
	var seen rollout.Outcome
	if err := json.Unmarshal([]byte(handle), &seen); err != nil {
		return seen, &rollout.Failure{Reason: "The step's record cannot be read; retry the step.", Label: "bad_handle", Err: err}
	}
	return seen, nil
}

// Cancel has nothing to stop.
func (c check) Cancel(context.Context, rollout.Task, string) error { return nil }

var _ rollout.Action = check{}
