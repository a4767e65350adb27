package incident

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"slipway/plan"
)

const (
	// mostLogged is how many requests a second can be read from a log that is followed: Cloud Logging's limits
	// are 60,000 entries a minute to a session, and 60 calls a minute of 1,000 each to whoever has to read it up
	// (https://cloud.google.com/logging/quotas).
	mostLogged = 500
	// A log that shows less than leastLogged of at least leastToTell requests is sampled or excluded.
	leastLogged = 0.9
	leastToTell = 50

	measureEvery = time.Minute
	compareEvery = 5 * time.Minute
	compared     = 15 * time.Minute
	// tryAgain is how long Cloud Monitoring counts until the log is tried again.
	tryAgain = 6 * time.Hour
	// mostUnmeasured are so many minutes in which Cloud Monitoring gave no answer, until a log that lacks something is
	// better than nothing.
	mostUnmeasured = 5
	// mostBroken are so many sessions, one after the other, that ended within a minute.
	mostBroken = 3
)

// projectSource is how the log of a project is read.
type projectSource struct {
	turn   context.CancelCauseFunc // ends the session
	behind bool                    // the log is being read up
	whole  time.Time               // since when nothing of it was left out; zero: it was not read yet
	broken int                     // sessions that ended at once, since one that did not
	doubt  string                  // why it cannot be counted, as a sentence; "": it can

	minute int64 // since 1970, in which the requests were received that are counted
	n      int64
}

// from is from when the log has to be read for a watch.
func (p *projectSource) from(w *Watch, now time.Time) time.Time {
	from := now.Add(-lookBack)
	if f := w.From(); !f.IsZero() {
		from = f
	}
	if !w.newest.IsZero() { // this replica has read it, and knows the names of the last entries
		from = later(from, w.newest.Add(-overlap))
	}
	return later(from, now.Add(-mostBack))
}

// count sees whether there are more requests than can be counted.
func (p *projectSource) count(e *Entry) {
	if e.Request == nil || p.behind {
		return
	}
	switch minute := e.received().Unix() / 60; {
	case minute > p.minute:
		p.minute, p.n = minute, 0
	case minute < p.minute:
		return
	}
	if p.n++; p.n > mostLogged*60 {
		p.doubt = fmt.Sprintf("There are more than %d requests a second, more than can be counted from request logs.", mostLogged)
	}
}

// suppressed is told what Cloud Logging left out of a session.
func (s *shift) suppressed(n int64, why string) {
	if n <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source.whole = time.Time{}
	s.source.doubt = fmt.Sprintf("Cloud Logging left entries out (%s).", why)
}

// upToDate notes that the log has been read up to now, without a gap since a time.
func (s *shift) upToDate(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source.behind, s.source.broken, s.blind = false, 0, ""
	if s.source.whole.IsZero() {
		s.source.whole = since
	}
	for _, sub := range s.watched {
		if sub.unread && s.turnBack(sub, time.Now().UTC()) {
			defer s.source.turn(errTurned)
		}
	}
}

// brokeOff notes why the log cannot be read, if that is not for a moment only.
func (s *shift) brokeOff(err error, atOnce bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source.behind = false
	if !atOnce {
		return
	}
	if s.source.broken++; s.source.broken >= mostBroken && s.blind == "" {
		s.blind = fmt.Sprintf("The log cannot be read since %s. %s", time.Now().UTC().Format("15:04 MST"), reasonOf(err))
	}
	if s.blind != "" {
		s.source.doubt = s.blind
	}
}

// reading reports whether the log of a time that is over is being read.
func (s *shift) reading() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source.behind
}

// measure counts by Cloud Monitoring where the log cannot be counted, and finds out where that is.
func (s *shift) measure(ctx context.Context) {
	var last time.Time // comparison of the log with the metrics
	for ctx.Err() == nil {
		sleep(ctx, measureEvery)
		now := time.Now().UTC()
		compare := now.Sub(last) >= compareEvery
		if compare {
			last = now
		}
		turned := false
		for _, sub := range s.watched {
			turned = s.measureOne(ctx, sub, compare, now) || turned
		}
		s.mu.Lock()
		s.source.doubt = ""
		if turned {
			s.source.turn(errTurned)
		}
		s.mu.Unlock()
	}
}

// measureOne does for one service what has to be done in this minute. It reports whether another source counts
// its requests from now on.
func (s *shift) measureOne(ctx context.Context, sub *subject, compare bool, now time.Time) (turned bool) {
	s.mu.Lock()
	metered, doubt, whole := sub.watch.metered, s.source.doubt, s.source.whole
	from := later(sub.watch.Next(), now.Add(-mostBack))
	s.mu.Unlock()
	auto := sub.Alerts.Source == plan.SourceAuto
	switch {
	case metered, sub.Alerts.Source == plan.SourceMetrics:
	case !auto:
		return false
	case doubt != "":
	case compare && !whole.IsZero() && now.Sub(whole) > compared/2:
		from = later(now.Add(-compared), whole.Add(time.Minute))
	default:
		return false
	}
	minutes, until, err := s.minutes(ctx, sub.Service, from)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.log.WarnContext(ctx, "cannot read the metrics", "service", sub.Target.String(), "err", err)
		if metered || doubt != "" {
			sub.note = strings.TrimSpace(doubt + " Cloud Monitoring cannot be read. " + reasonOf(err))
		}
		if sub.unmeasured++; metered && auto && sub.unmeasured >= mostUnmeasured {
			return s.turnBack(sub, now)
		}
		return false
	case metered && auto && !now.Before(sub.turned.Add(tryAgain)):
		return s.turnBack(sub, now)
	case metered:
		sub.unmeasured = 0
		sub.watch.Measure(minutes, until)
		return false
	case doubt == "":
		if doubt = lacking(sub.watch.Lacks(minutes)); doubt == "" && auto {
			return false
		}
	}
	sub.turn(true, doubt, now)
	sub.unread = s.blind != ""
	return true
}

func (s *shift) minutes(ctx context.Context, service Service, from time.Time) ([]Minute, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return s.m.Metrics.Minutes(ctx, service, from)
}

// turnBack has requests counted by the log again. Until that has been read up, nothing can be said: the alarm may be
// in what is still to be read.
func (s *shift) turnBack(sub *subject, now time.Time) bool {
	s.source.behind = true
	return sub.turn(false, "", now)
}

// turn has requests counted by Cloud Monitoring, or by the log again.
func (sub *subject) turn(metered bool, why string, now time.Time) bool {
	sub.watch.Measured(metered)
	sub.turned, sub.note, sub.unread, sub.unmeasured = now, "", false, 0
	if metered && why != "" {
		sub.note = why + " Requests are counted by Cloud Monitoring, by the minute, so that alarms come some ten minutes later."
	}
	return true
}

// lacking says, as a sentence, that a log does not hold all requests; "": it does, as far as can be told.
func lacking(counted, had int64) string {
	switch {
	case counted < leastToTell || float64(had) >= leastLogged*float64(counted):
		return ""
	case had == 0:
		return "Request logs are excluded: they show none of the requests that Cloud Monitoring counts."
	}
	return fmt.Sprintf("Request logs are sampled or excluded: they show %s of the requests that Cloud Monitoring counts.",
		rounded(float64(had)/float64(counted)))
}

// from says where the numbers of a service come from.
func (sub *subject) from() Source {
	of := Source{Target: sub.Target, From: plan.SourceLogs, Note: sub.note, Since: sub.turned, Seen: sub.watch.Newest()}
	if sub.watch.metered {
		of.From = plan.SourceMetrics
	}
	return of
}

// reasonOf is what an error says to people.
func reasonOf(err error) string {
	var failed interface {
		error
		SafeReason() string
	}
	if errors.As(err, &failed) {
		return failed.SafeReason()
	}
	return "The cause is in Slipway's log."
}
