package fakeslack

import (
	"math"
	"slices"
	"time"
)

// limit is a number of calls in a period (https://docs.slack.dev/apis/web-api/rate-limits).
type limit struct {
	calls      int
	per        time.Duration
	perChannel bool // counted for each channel by itself
}

// Slack lets short bursts pass. That matters in two places: tier 1, where an
// app may open ten connections at once, and posting, which is "about one a
// second" for each channel.
var (
	tier1      = limit{calls: 10, per: 10 * time.Minute}
	tier2      = perMinute(20)
	tier3      = perMinute(50)
	tier4      = perMinute(100)
	perChannel = limit{calls: 5, per: 5 * time.Second, perChannel: true}
)

func perMinute(calls int) limit { return limit{calls: calls, per: time.Minute} }

// window remembers when the calls of the last period were made: a limit holds
// in any period, not only in a calendar minute.
type window struct{ calls []time.Time }

// take counts a call at now, or returns how long to wait before it may be made.
// A refused call is not counted.
func (w *window) take(now time.Time, l limit) time.Duration {
	w.calls = slices.DeleteFunc(w.calls, func(at time.Time) bool { return !at.After(now.Add(-l.per)) })
	if len(w.calls) >= l.calls {
		return w.calls[0].Add(l.per).Sub(now)
	}
	w.calls = append(w.calls, now)
	return 0
}

// rateError is answered with HTTP 429 and Retry-After.
type rateError struct{ after time.Duration }

func (e *rateError) Error() string { return "ratelimited" }

// seconds rounds up, because Retry-After has whole seconds and a client that
// comes back too early is refused again.
func (e *rateError) seconds() int { return max(1, int(math.Ceil(e.after.Seconds()))) }

// checkRate counts a call. The caller holds s.mu.
func (s *Server) checkRate(now time.Time, name string, l limit, args arguments) error {
	if s.cfg.RateLimits == Off {
		return nil
	}
	key := name
	if c := s.findChannel(args["channel"]); l.perChannel && c != nil {
		key += " " + c.ID
	}
	w := s.windows[key]
	if w == nil {
		w = &window{}
		s.windows[key] = w
	}
	if wait := w.take(now, l); wait > 0 {
		return &rateError{after: wait}
	}
	return nil
}
