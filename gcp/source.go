package gcp

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"

	"slipway/rollout"
)

// This file decides, before a rollout, where its numbers come from: the request log, which says more and
// says it sooner, unless it cannot be counted or does not hold all.

const (
	mostFromLogs  = 500.0     // requests/s: entries.list gives 1,000 entries a call, 60 calls a minute (https://cloud.google.com/logging/quotas)
	leastLogged   = 0.9       // share of the requests that a whole log shows: the edges of a window are not sharp
	leastToTell   = 50        // requests, with fewer of which nothing is concluded
	enoughToTell  = 500       // requests, with which no further minute is looked at
	mostCompared  = 900       // log entries read for the comparison, one page; of more requests, a sample is
	longestToLive = time.Hour // of a request (https://cloud.google.com/run/docs/configuring/request-timeout)
)

// measured is what Cloud Monitoring knows of a revision, and how much of it the log does.
type measured struct {
	baseline rollout.Baseline
	perSec   float64 // lately
	expected float64 // log entries, if the log holds all; 0: it was not compared
	logged   float64 // log entries
	doubt    float64 // how many more there may be: three standard deviations of a sample
}

// chooseSource reads the baseline of a service, and chooses where its numbers come from. Cloud Monitoring
// is asked beside the log, for a moment: without an answer, or without the right to one, it stays the log.
func (c *Cloud) chooseSource(ctx context.Context, s *rollout.Service, now time.Time) {
	var m measured
	var err error
	service := *s
	var aside sync.WaitGroup
	aside.Go(func() {
		brief, cancel := context.WithTimeout(ctx, asideTime)
		defer cancel()
		m, err = c.measure(brief, service, now)
	})
	s.Baseline = c.baseline(ctx, service, now)
	aside.Wait()
	if err != nil {
		c.log.DebugContext(ctx, "no metrics to compare the request log with", "service", s.Name, "err", err)
		return
	}
	if note := m.against(s.Baseline); note != "" {
		s.Source, s.SourceNote = rollout.FromMetrics, note
		s.Baseline = &m.baseline // of the same source, or the new revision would be compared with something else
	}
}

// against says what speaks against the log, as a sentence for people; "": nothing.
func (m measured) against(logs *rollout.Baseline) string {
	perSec := m.perSec
	if span := logs.Until.Sub(logs.Since).Seconds(); span > 0 {
		perSec = max(perSec, float64(logs.Requests)/span)
	}
	switch {
	case m.baseline.Requests == 0:
		return ""
	case perSec > mostFromLogs:
		return fmt.Sprintf("There are %s requests a second, more than can be counted from request logs.", rollout.Count(int64(perSec)))
	case m.expected < leastToTell || m.logged+m.doubt >= leastLogged*m.expected:
		return ""
	case m.logged == 0:
		return "Request logs are excluded: they show none of the requests that Cloud Monitoring counts."
	default:
		return fmt.Sprintf("Request logs are sampled or excluded: they show %s of the requests that Cloud Monitoring counts.", rollout.Percent(m.logged/m.expected))
	}
}

// measure counts the stable revision's requests by Cloud Monitoring, in the minutes of the baseline's window
// that are complete there, and in the last of them by the log too.
func (c *Cloud) measure(ctx context.Context, s rollout.Service, now time.Time) (measured, error) {
	s.Source = rollout.FromMetrics
	since := now.Add(-baselineWindow)
	r, err := c.requestsFromMetrics(ctx, rollout.Query{Service: s, Revision: s.Stable.Name, Since: since})
	if err != nil || len(r.Slots) == 0 {
		return measured{}, err
	}
	until := now.Add(-metricsLag).Truncate(metricsEvery).UTC()
	m := measured{baseline: rollout.Baseline{Revision: s.Stable.Name, Since: roundUp(since), Until: until}}
	for _, slot := range r.Slots {
		m.baseline.Requests += slot.Requests
		m.baseline.Errors += slot.Errors
	}
	m.baseline.Points = rollout.PointsOf(m.baseline.Since, until, r.Slots)
	from, requests := lately(r.Slots)
	m.perSec = float64(requests) / until.Sub(from).Seconds()
	if requests < leastToTell || m.perSec > mostFromLogs {
		return m, nil
	}
	err = c.compare(ctx, &m, s, from, until, float64(requests))
	return m, err
}

// lately is when the newest minutes with enough requests begin, and how many they have.
func lately(slots []rollout.Slot) (from time.Time, requests int64) {
	for i := len(slots) - 1; i >= 0 && requests < enoughToTell; i-- {
		from = slots[i].At
		requests += slots[i].Requests
	}
	return from, requests
}

// compare counts the requests in the log that ended in [from, until), where Cloud Monitoring counted so many,
// or a sample of them. An entry is received when its request has ended.
func (c *Cloud) compare(ctx context.Context, m *measured, s rollout.Service, from, until time.Time, requests float64) error {
	filter := requestLines(s, s.Stable.Name) + startedSince(from.Add(-longestToLive)) +
		fmt.Sprintf(" receiveTimestamp>=%s receiveTimestamp<%s", stamp(from), stamp(until))
	m.expected = requests
	if requests > mostCompared {
		// https://cloud.google.com/logging/docs/view/logging-query-language#sample
		filter += fmt.Sprintf(" sample(insertId, %.6f)", mostCompared/requests)
		m.expected = mostCompared
	}
	err := c.list(ctx, s.Project, filter, "timestamp asc", pageSize, func(*loggingpb.LogEntry) { m.logged++ })
	if requests > mostCompared {
		m.doubt = 3 * math.Sqrt(m.logged)
	}
	return err
}
