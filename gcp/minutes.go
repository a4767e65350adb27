package gcp

import (
	"context"
	"time"

	"slipway/incident"
)

// Minutes implements incident.Metrics. It is complete until three to four minutes ago, whether there were
// requests or not. Metrics do not tell how long a request took, only the class that it is in: one in the class
// in which the limit lies counts as not slow.
func (c *Cloud) Minutes(ctx context.Context, s incident.Service, from time.Time) ([]incident.Minute, time.Time, error) {
	var slow time.Duration
	if s.Alerts.Latency != nil {
		slow = time.Duration(s.Alerts.Latency.Below)
	}
	now := time.Now().UTC()
	counted, err := c.minutes(ctx, watched(s), "", from, slow, now)
	if err != nil {
		return nil, time.Time{}, err
	}
	until := now.Add(-metricsLag).Truncate(metricsEvery)
	list, _ := counted.complete(until, slow)
	var all []incident.Minute
	for _, one := range list {
		all = append(all, incident.Minute{At: one.At, Revision: one.revision, Requests: one.Requests, Errors: one.Errors, Slow: one.Slow})
	}
	return all, until, nil
}

var _ incident.Metrics = (*Cloud)(nil)
