package fakegcp

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	metricpb "google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The metrics that there are, https://cloud.google.com/monitoring/api/metrics_gcp.
const (
	requestCount     = "run.googleapis.com/request_count"
	requestLatencies = "run.googleapis.com/request_latencies"

	largestPointPage = 100_000
)

type metricsServer struct {
	monitoringpb.UnimplementedMetricServiceServer
	cloud *Cloud
}

// ListTimeSeries is timeSeries.list for the two metrics, raw or aligned by ALIGN_DELTA: a series for each
// revision and status, its points newest first. A page may end within a series, which the next goes on with.
func (s metricsServer) ListTimeSeries(_ context.Context, req *monitoringpb.ListTimeSeriesRequest) (*monitoringpb.ListTimeSeriesResponse, error) {
	c := s.cloud
	c.mu.Lock()
	defer c.mu.Unlock()
	q, err := c.seriesQuery(req)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var all []*monitoringpb.TimeSeries
	for _, svc := range sorted(c.services) {
		svc.catchUp(now)
		for _, rev := range svc.revisions {
			all = append(all, q.series(rev, now)...)
		}
	}
	return q.page(all), nil
}

// seriesQuery is a list request, checked and parsed.
type seriesQuery struct {
	filter   metricFilter
	from, to time.Time // points that end in (from, to]
	period   time.Duration
	headers  bool // without points
	size     int
	skip     int    // points on the pages before
	checksum uint32 // of what must stay the same from page to page
}

func (c *Cloud) seriesQuery(req *monitoringpb.ListTimeSeriesRequest) (*seriesQuery, error) {
	if want := "projects/" + c.cfg.Project; req.GetName() != want {
		return nil, status.Errorf(codes.NotFound, "Resource container %q not found; there is %q", req.GetName(), want)
	}
	parsed, err := parseMetricFilter(req.GetFilter())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "Field filter had an invalid value of %q: %v", req.GetFilter(), err)
	}
	q := &seriesQuery{
		filter: parsed, from: req.GetInterval().GetStartTime().AsTime(), to: req.GetInterval().GetEndTime().AsTime(),
		headers: req.GetView() == monitoringpb.ListTimeSeriesRequest_HEADERS, size: cmp.Or(int(req.GetPageSize()), largestPointPage),
	}
	if req.GetInterval().GetStartTime() == nil {
		q.from = q.to
	}
	switch {
	case req.GetInterval().GetEndTime() == nil || q.to.Before(q.from):
		return nil, status.Error(codes.InvalidArgument, "Field interval.end_time is required and must not be before interval.start_time")
	case q.size < 0 || req.GetOrderBy() != "":
		return nil, status.Error(codes.InvalidArgument, "page_size must not be negative, and order_by must be left blank")
	}
	q.size = min(q.size, largestPointPage)
	if q.period, err = periodOf(req); err != nil {
		return nil, err
	}
	h := fnv.New32a()
	fmt.Fprint(h, req.GetFilter(), q.from, q.to, q.period, q.headers)
	q.checksum = h.Sum32()
	return q, q.resume(req.GetPageToken())
}

// periodOf is how long aligned points are; 0 for raw ones.
func periodOf(req *monitoringpb.ListTimeSeriesRequest) (time.Duration, error) {
	a := req.GetAggregation()
	period := a.GetAlignmentPeriod().AsDuration()
	switch {
	case a.GetCrossSeriesReducer() != monitoringpb.Aggregation_REDUCE_NONE || req.GetSecondaryAggregation() != nil:
		return 0, status.Error(codes.InvalidArgument, "reducers are not emulated")
	case a.GetPerSeriesAligner() == monitoringpb.Aggregation_ALIGN_NONE:
		return 0, nil
	case a.GetPerSeriesAligner() != monitoringpb.Aggregation_ALIGN_DELTA:
		return 0, status.Errorf(codes.InvalidArgument, "the aligner %v is not emulated", a.GetPerSeriesAligner())
	case period < time.Minute || period%time.Second != 0:
		return 0, status.Errorf(codes.InvalidArgument, "Field aggregation.alignment_period had an invalid value of %v: want at least 60s", period)
	}
	return period, nil
}

// series are a revision's, by status, with the points that can be read by now.
func (q *seriesQuery) series(rev *revision, now time.Time) []*monitoringpb.TimeSeries {
	byStatus := map[int32]map[int64]*point{} // status → end of the point → point
	for minute, answers := range rev.points {
		end := time.Unix(minute, 0).Add(time.Minute)
		if !end.After(q.from) || end.After(q.to) || !rev.shows(q.filter.metric, minute, now) {
			continue
		}
		for code, p := range answers {
			if byStatus[code] == nil {
				byStatus[code] = map[int64]*point{}
			}
			at := q.aligned(end).Unix()
			if byStatus[code][at] == nil {
				byStatus[code][at] = &point{}
			}
			byStatus[code][at].merge(p)
		}
	}
	var out []*monitoringpb.TimeSeries
	for _, code := range slices.Sorted(maps.Keys(byStatus)) {
		if s := q.header(rev, code); q.filter.match(s) {
			s.Points = q.pointsOf(byStatus[code])
			out = append(out, s)
		}
	}
	return out
}

// aligned is the end of the period that a point belongs to; periods are counted back from the end of what
// is asked for.
func (q *seriesQuery) aligned(end time.Time) time.Time {
	if q.period == 0 {
		return end
	}
	return end.Add(q.to.Sub(end) % q.period)
}

func (q *seriesQuery) header(rev *revision, code int32) *monitoringpb.TimeSeries {
	kind := metricpb.MetricDescriptor_INT64
	if q.filter.metric == requestLatencies {
		kind = metricpb.MetricDescriptor_DISTRIBUTION
	}
	return &monitoringpb.TimeSeries{
		Metric: &metricpb.Metric{Type: q.filter.metric, Labels: map[string]string{
			"response_code": strconv.Itoa(int(code)), "response_code_class": strconv.Itoa(int(code)/100) + "xx",
		}},
		Resource:   &monitoredres.MonitoredResource{Type: rev.source.kind, Labels: rev.source.labels},
		MetricKind: metricpb.MetricDescriptor_DELTA, ValueType: kind,
	}
}

func (q *seriesQuery) pointsOf(byEnd map[int64]*point) []*monitoringpb.Point {
	var out []*monitoringpb.Point
	for _, at := range slices.Backward(slices.Sorted(maps.Keys(byEnd))) {
		end, p := time.Unix(at, 0), byEnd[at]
		value := &monitoringpb.TypedValue{Value: &monitoringpb.TypedValue_Int64Value{Int64Value: p.requests}}
		if q.filter.metric == requestLatencies {
			value.Value = &monitoringpb.TypedValue_DistributionValue{DistributionValue: p.distribution()}
		}
		out = append(out, &monitoringpb.Point{Value: value, Interval: &monitoringpb.TimeInterval{
			StartTime: timestamppb.New(end.Add(-max(q.period, time.Minute))), EndTime: timestamppb.New(end),
		}})
	}
	return out
}

// page cuts out what belongs on the page that is asked for: so many points, or series without any.
func (q *seriesQuery) page(all []*monitoringpb.TimeSeries) *monitoringpb.ListTimeSeriesResponse {
	out := &monitoringpb.ListTimeSeriesResponse{}
	at := 0 // points, or series, before the one that is looked at
	for _, s := range all {
		n := len(s.Points)
		if q.headers {
			n, s.Points = 1, nil
		}
		low, high := max(q.skip-at, 0), min(n, q.skip+q.size-at)
		if low < high {
			if !q.headers {
				s.Points = s.Points[low:high]
			}
			out.TimeSeries = append(out.TimeSeries, s)
		}
		at += n
	}
	if at > q.skip+q.size {
		out.NextPageToken = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%08x.%d", q.checksum, q.skip+q.size))
	}
	return out
}

// resume reads the page token, which is good only for the request that got it.
func (q *seriesQuery) resume(token string) error {
	if token == "" {
		return nil
	}
	var sum uint32
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%08x.%d", &sum, &q.skip)
	}
	if err != nil || sum != q.checksum || q.skip < 0 {
		return status.Error(codes.InvalidArgument, "Field page_token had an invalid value")
	}
	return nil
}
