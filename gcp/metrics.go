package gcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/iterator"
	"google.golang.org/genproto/googleapis/api/distribution"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"slipway/rollout"
)

// Cloud Run's metrics (https://cloud.google.com/monitoring/api/metrics_gcp, run): a point a minute, which
// can be read up to three minutes later.
const (
	requestCount     = "run.googleapis.com/request_count"
	requestLatencies = "run.googleapis.com/request_latencies"

	metricsEvery = time.Minute
	metricsLag   = 180 * time.Second
	pointsPage   = 10_000
)

// requestsFromMetrics counts by the minute, from the first whole one at or after q.Since. It leaves out
// minutes that are not over for as long as points may take to show, so that its watermark is three to four
// minutes behind.
//
// Metrics know less than logs. A request is counted in the minute in which it ended. Neither Slipway's own
// requests nor ignored paths can be told from users': Probes is nil and q.Ignore has no effect. Requests that
// reached no container, because no instance was free or nobody was allowed in, are not there at all.
func (c *Cloud) requestsFromMetrics(ctx context.Context, q rollout.Query) (rollout.Requests, error) {
	now := time.Now().UTC()
	r := rollout.Requests{Every: metricsEvery, Source: rollout.FromMetrics, Query: metricFilter(requestCount, q.Service, q.Revision)}
	m, err := c.minutes(ctx, q.Service, q.Revision, q.Since, q.Slow, now)
	if err != nil {
		return rollout.Requests{}, err
	}
	list, watermark := m.complete(now.Add(-metricsLag).Truncate(metricsEvery), q.Slow)
	for _, one := range list {
		r.Slots = append(r.Slots, one.Slot)
	}
	r.Watermark = watermark
	return r, nil
}

// minutes are the requests that ended in [from, until), which are whole minutes.
type minutes struct {
	from, until time.Time
	slots       map[minuteKey]*rollout.Slot
	latencies   map[minuteKey][]*distribution.Distribution
}

// minuteKey is a minute of a revision, by the Unix time at which it begins.
type minuteKey struct {
	at       int64
	revision string
}

// minutes reads the requests of a revision, or of all of a service's if it is "", that ended since the first
// whole minute at or after a time. With a limit, slow, it reads how long they took too.
func (c *Cloud) minutes(ctx context.Context, s rollout.Service, revision string, since time.Time, slow time.Duration, now time.Time) (minutes, error) {
	m := minutes{
		from: roundUp(since), until: now.Truncate(metricsEvery),
		slots: map[minuteKey]*rollout.Slot{}, latencies: map[minuteKey][]*distribution.Distribution{},
	}
	if !m.from.Before(m.until) {
		return m, nil
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return c.series(ctx, s.Project, metricFilter(requestCount, s, revision), m, m.count) })
	if slow > 0 {
		both.Go(func() error { return c.series(ctx, s.Project, metricFilter(requestLatencies, s, revision), m, m.time) })
	}
	return m, both.Wait()
}

func (m minutes) count(at minuteKey, s *monitoringpb.TimeSeries, v *monitoringpb.TypedValue) {
	slot := m.slots[at]
	if slot == nil {
		slot = &rollout.Slot{At: time.Unix(at.at, 0).UTC()}
		m.slots[at] = slot
	}
	slot.Requests += v.GetInt64Value()
	if s.GetMetric().GetLabels()["response_code_class"] == "5xx" {
		slot.Errors += v.GetInt64Value()
	}
}

func (m minutes) time(at minuteKey, _ *monitoringpb.TimeSeries, v *monitoringpb.TypedValue) {
	m.latencies[at] = append(m.latencies[at], v.GetDistributionValue())
}

// revisionSlot is a slot with the revision that it is of.
type revisionSlot struct {
	revision string
	rollout.Slot
}

// complete returns the slots that end by the time given, ascending, and until when points have arrived; a
// younger minute that shows already proves that much for the time before.
func (m minutes) complete(by time.Time, slow time.Duration) (list []revisionSlot, watermark time.Time) {
	for at, slot := range m.slots {
		end := slot.At.Add(metricsEvery)
		if arrived := earlier(end, by); arrived.After(watermark) {
			watermark = arrived
		}
		if end.After(by) {
			continue
		}
		if slow > 0 {
			judgeLatencies(slot, m.latencies[at], slow)
		}
		list = append(list, revisionSlot{at.revision, *slot})
	}
	slices.SortFunc(list, func(a, b revisionSlot) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.revision, b.revision))
	})
	return list, watermark
}

// series hands the points of the window to each, by the minute that they are of. It has a point in each
// series: one for each revision, status and route.
func (c *Cloud) series(
	ctx context.Context, project, filter string, m minutes,
	each func(at minuteKey, s *monitoringpb.TimeSeries, v *monitoringpb.TypedValue),
) error {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	list := c.metrics.ListTimeSeries(ctx, &monitoringpb.ListTimeSeriesRequest{
		Name: "projects/" + project, Filter: filter, PageSize: pointsPage,
		Interval: &monitoringpb.TimeInterval{StartTime: timestamppb.New(m.from), EndTime: timestamppb.New(m.until)},
		Aggregation: &monitoringpb.Aggregation{
			AlignmentPeriod: durationpb.New(metricsEvery), PerSeriesAligner: monitoringpb.Aggregation_ALIGN_DELTA,
		},
	})
	for {
		s, err := list.Next()
		if errors.Is(err, iterator.Done) {
			return nil
		}
		if err != nil {
			return explain(err, metricsSubject(project))
		}
		revision := s.GetResource().GetLabels()["revision_name"]
		for _, p := range s.GetPoints() {
			if at := p.GetInterval().GetEndTime().AsTime().Add(-metricsEvery); !at.Before(m.from) {
				each(minuteKey{at.Unix(), revision}, s, p.GetValue())
			}
		}
	}
}

// judgeLatencies says how many requests of a slot were slow. What no distribution tells of is unclear.
func judgeLatencies(slot *rollout.Slot, all []*distribution.Distribution, limit time.Duration) {
	var known int64
	for _, d := range all {
		known += d.GetCount()
		slow, unclear := slowOf(d, float64(limit)/float64(time.Millisecond))
		slot.Slow += slow
		slot.Unclear += unclear
	}
	slot.Unclear += max(0, slot.Requests-known)
}

// slowOf counts, in a distribution of milliseconds, the requests in classes above the limit, and those in
// the class that the limit lies in.
func slowOf(d *distribution.Distribution, limit float64) (slow, unclear int64) {
	for i, n := range d.GetBucketCounts() {
		low, high := classBounds(d.GetBucketOptions(), i)
		switch {
		case low >= limit:
			slow += n
		case high > limit:
			unclear += n
		}
	}
	return slow, unclear
}

// metricFilter selects a metric of one revision, or of all if it is ""
// (https://cloud.google.com/monitoring/api/v3/filters).
func metricFilter(metric string, s rollout.Service, revision string) string {
	filter := fmt.Sprintf(`metric.type=%s AND resource.type="cloud_run_revision" AND resource.labels.service_name=%s`+
		` AND resource.labels.location=%s`, quote(metric), quote(s.CloudRun), quote(s.Region))
	if revision != "" {
		filter += " AND resource.labels.revision_name=" + quote(revision)
	}
	return filter
}

func roundUp(t time.Time) time.Time {
	return t.UTC().Add(metricsEvery - time.Nanosecond).Truncate(metricsEvery)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
