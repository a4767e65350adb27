package gcp

import (
	"context"
	"time"

	"slipway/rollout"
)

// lookForDropped compares a new revision's count by the log with Cloud Monitoring's, once a minute, and puts
// down how many requests the log lacks: nothing in entries.list tells of entries that were sampled away,
// excluded or lost. What metrics do not know yet is left out, so that a quick gate never asks. Of a log that is
// minutes behind, what is still to come counts as missing until it is there. Without an answer, or the right to
// one, what was known stays.
func (c *Cloud) lookForDropped(ctx context.Context, t *tally, q rollout.Query) {
	now := time.Now().UTC()
	if known := now.Add(-metricsLag).Truncate(metricsEvery); !roundUp(q.Since).Before(known) || now.Sub(t.asked) < metricsEvery {
		return
	}
	t.asked = now
	brief, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	q.Slow = 0
	r, err := c.requestsFromMetrics(brief, q)
	if err != nil {
		c.log.DebugContext(ctx, "no metrics to compare the request log with", "service", q.Service.Name, "err", err)
		return
	}
	var counted, logged int64
	for _, slot := range r.Slots {
		counted += slot.Requests
		logged += t.ended[slot.At.Unix()]
	}
	t.dropped = missingOf(counted, logged)
}

// missingOf is how many of the requests that were counted a log lacks, which has so many: 0 unless the
// difference is more than the edges of the window can explain.
func missingOf(counted, logged int64) int64 {
	if counted < leastToTell || float64(logged) >= leastLogged*float64(counted) {
		return 0
	}
	return counted - logged
}
