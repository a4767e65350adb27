package gcp

import (
	"context"

	"slipway/rollout"
)

// Requests implements rollout.RequestLog. What it answers from says q.Service.Source.
func (c *Cloud) Requests(ctx context.Context, q rollout.Query) (rollout.Requests, error) {
	if q.Service.Source == rollout.FromMetrics {
		return c.requestsFromMetrics(ctx, q)
	}
	return c.requestsFromLogs(ctx, q)
}

var _ rollout.RequestLog = (*Cloud)(nil)
