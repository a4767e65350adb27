package rollout

import (
	"time"

	"slipway/verdict"
)

// window is a span of request starts.
type window struct{ since, until time.Time }

// closed is until when a revision's requests are known: one is logged when it ends, and slow ones are often the
// failing ones, so a slot of starts is complete only maxLatency after it, and only once something received later
// shows that the log is not behind. Metrics count what has ended, so theirs are complete where they exist.
func (r Requests) closed(maxLatency time.Duration, now time.Time) time.Time {
	seen := now
	if r.Watermark.Before(now) {
		seen = r.Watermark
	}
	if r.Source == FromMetrics {
		return seen
	}
	return seen.Add(-maxLatency).Truncate(time.Second)
}

// buckets divides the window into slices of a length, the last of which is left out unless it is whole. Those
// without requests are left out too. A length that slots do not fit into becomes a whole number of them.
func (w window) buckets(slots []Slot, length time.Duration) []verdict.Bucket {
	var list []verdict.Bucket
	for _, s := range slots {
		if s.At.Before(w.since) || !s.At.Before(w.until) {
			continue
		}
		at := w.since.Add(s.At.Sub(w.since).Truncate(length))
		if n := len(list); n == 0 || list[n-1].At.Before(at) {
			list = append(list, verdict.Bucket{At: at})
		}
		b := &list[len(list)-1]
		b.Requests += s.Requests
		b.Errors += s.Errors
		b.Dropped += s.Unclear
	}
	return list
}
