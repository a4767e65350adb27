package gcp

import (
	"context"

	"slipway/rollout"
)

// Requests implements rollout.RequestLog.
func (c *Cloud) Requests(ctx context.Context, q rollout.Query) (rollout.Requests, error) {
	return c.requestsFromLogs(ctx, q)
}

var _ rollout.RequestLog = (*Cloud)(nil)
