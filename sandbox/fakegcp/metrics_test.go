package fakegcp_test

import (
	"errors"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"slipway/sandbox/fakegcp"
)

const (
	countsOf    = `metric.type="run.googleapis.com/request_count" resource.labels.revision_name="`
	latenciesOf = `metric.type="run.googleapis.com/request_latencies" resource.labels.revision_name="`
)

// ask is a request for the points that end in (from, to].
func ask(filter string, from, to time.Time) *monitoringpb.ListTimeSeriesRequest {
	return &monitoringpb.ListTimeSeriesRequest{
		Name: "projects/" + project, Filter: filter,
		Interval: &monitoringpb.TimeInterval{StartTime: timestamppb.New(from), EndTime: timestamppb.New(to)},
	}
}

func (w *world) series(req *monitoringpb.ListTimeSeriesRequest) []*monitoringpb.TimeSeries {
	w.t.Helper()
	it := w.metrics.ListTimeSeries(w.t.Context(), req)
	var out []*monitoringpb.TimeSeries
	for {
		s, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return out
		}
		w.must(err)
		out = append(out, s)
	}
}

// totals adds up the points of each class of answers.
func totals(all []*monitoringpb.TimeSeries) (byClass map[string]int64, points int) {
	byClass = map[string]int64{}
	for _, s := range all {
		for _, p := range s.GetPoints() {
			points++
			byClass[s.GetMetric().GetLabels()["response_code_class"]] += p.GetValue().GetInt64Value() + p.GetValue().GetDistributionValue().GetCount()
		}
	}
	return byClass, points
}

// Whatever becomes of the log, the metrics count what was answered.
func TestMetricsCountWhatLogsLose(t *testing.T) {
	lost := func(f fakegcp.Fault) fakegcp.Fault {
		f.Method, f.Kind, f.Count = "Log", fakegcp.FaultLost, -1
		return f
	}
	for what, tt := range map[string]struct {
		fault       fakegcp.Fault
		least, most int // requests in the log, of 2,400
		errors      [2]int
	}{
		"sampled":          {lost(fakegcp.Fault{Only: fakegcp.OnlyRequests, Share: 0.6}), 900, 1020, [2]int{640, 740}},
		"excluded":         {lost(fakegcp.Fault{Only: fakegcp.OnlyRequests}), 0, 0, [2]int{0, 0}},
		"successes so":     {lost(fakegcp.Fault{Only: fakegcp.OnlySuccesses, Share: 0.9}), 1760, 1840, [2]int{1727, 1729}},
		"errors alone":     {lost(fakegcp.Fault{Only: fakegcp.OnlyErrors}), 671, 673, [2]int{0, 0}},
		"nothing but late": {fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLate, Only: fakegcp.OnlyErrors, Seconds: 30, Count: -1}, 2400, 2400, [2]int{1727, 1729}},
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				w.must(w.cloud.Fault(tt.fault))
				time.Sleep(time.Minute) // from here on, everything ends under the fault
				from := time.Now()
				time.Sleep(5 * time.Minute)
				window := ` timestamp>="` + from.Format(time.RFC3339Nano) + `" timestamp<"` + from.Add(time.Minute).Format(time.RFC3339Nano) + `"`
				entries := w.entries(requestsOf(stable) + window)
				if n := len(entries); n < tt.least || n > tt.most || failures(entries) < tt.errors[0] || failures(entries) > tt.errors[1] {
					t.Errorf("%d requests and %d errors in the log", n, failures(entries))
				}
				got, _ := totals(w.series(ask(countsOf+stable+`"`, from, from.Add(time.Minute))))
				if sum := got["2xx"] + got["4xx"] + got["5xx"]; sum < 2395 || sum > 2405 || got["5xx"] < 1720 || got["5xx"] > 1736 {
					t.Errorf("the metrics count %v, want 72%% errors of 2,400", got)
				}
			})
		})
	}
}

// A lost entry takes its traceback along no more than a late one does.
func TestLostRequestsLeaveTracebacks(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.must(w.cloud.Fault(fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Only: fakegcp.OnlyRequests, Count: -1}))
		since := time.Now().Format(time.RFC3339Nano)
		time.Sleep(20 * time.Second)
		lines := w.entries(linesOf(stable) + ` timestamp>="` + since + `"`)
		if len(lines) < 500 {
			t.Errorf("%d lines, want a traceback of each error", len(lines))
		}
	})
}

// A minute's points show 60 to 180 s after its end, and what showed once stays as it is.
func TestMetricsLag(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		from := time.Now()
		seen := map[time.Time]time.Duration{} // end of a minute → how long after it it showed
		counted := map[time.Time]int64{}
		for range 600 {
			time.Sleep(time.Second)
			sums := map[time.Time]int64{}
			for _, s := range w.series(ask(countsOf+stable+`"`, from, time.Now())) {
				for _, p := range s.GetPoints() {
					end := p.GetInterval().GetEndTime().AsTime()
					sums[end] += p.GetValue().GetInt64Value()
					if p.GetInterval().GetStartTime().AsTime() != end.Add(-time.Minute) {
						t.Fatalf("interval %v", p.GetInterval())
					}
				}
			}
			for end, n := range sums {
				if _, ok := seen[end]; !ok {
					seen[end], counted[end] = time.Since(end), n
				}
				if counted[end] != n {
					t.Fatalf("the minute to %v had %d requests and has %d", end, counted[end], n)
				}
			}
		}
		if len(seen) < 7 {
			t.Errorf("%d minutes in ten", len(seen))
		}
		different := map[time.Duration]bool{}
		for end, lag := range seen {
			different[lag] = true
			if lag < 60*time.Second || lag > 181*time.Second {
				t.Errorf("the minute to %v showed after %v", end, lag)
			}
		}
		if len(different) < 3 {
			t.Errorf("the lags are alike: %v", seen)
		}
	})
}

func TestMetricsPagesAndAlignment(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		time.Sleep(4 * time.Minute)
		to := time.Now().Add(-4 * time.Minute).Truncate(time.Minute)
		req := ask(countsOf+stable+`" AND metric.labels.response_code_class!="4xx"`, to.Add(-9*time.Minute), to)
		whole, points := totals(w.series(req))
		if whole["4xx"] != 0 || points != 18 || whole["5xx"] < 15_500 {
			t.Fatalf("%v in %d points, want two classes in nine minutes", whole, points)
		}
		for _, size := range []int32{1, 4, 9, 18} {
			paged := ask(req.GetFilter(), to.Add(-9*time.Minute), to)
			paged.PageSize = size
			if got, n := totals(w.series(paged)); got["2xx"] != whole["2xx"] || got["5xx"] != whole["5xx"] || n != points {
				t.Errorf("by pages of %d: %v in %d points, want %v", size, got, n, whole)
			}
		}
		req.Aggregation = &monitoringpb.Aggregation{AlignmentPeriod: durationpb.New(3 * time.Minute), PerSeriesAligner: monitoringpb.Aggregation_ALIGN_DELTA}
		if got, n := totals(w.series(req)); got["5xx"] != whole["5xx"] || n != 6 {
			t.Errorf("by three minutes: %v in %d points", got, n)
		}
		req.Aggregation, req.View = nil, monitoringpb.ListTimeSeriesRequest_HEADERS
		if got := w.series(req); len(got) != 2 || len(got[0].GetPoints()) != 0 {
			t.Errorf("%d headers", len(got))
		}
		w.must(w.cloud.Fault(fakegcp.Fault{Method: "ListTimeSeries", Kind: fakegcp.FaultBadToken}))
		req.View, req.PageSize = monitoringpb.ListTimeSeriesRequest_FULL, 3
		it := w.metrics.ListTimeSeries(t.Context(), req)
		_, next, err := it.InternalFetch(3, "")
		w.must(err)
		_, _, err = it.InternalFetch(3, next)
		w.wantCode(err, codes.InvalidArgument)
	})
}

// The distribution's classes hold what the log says about each request.
func TestMetricsLatencies(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		entries, _ := w.served(fakegcp.Behavior{SlowShare: 0.1, SlowLatency: 5 * time.Second})
		from := startOf(entries[0]).Add(time.Minute).Truncate(time.Minute)
		ended := of(entries, func(e *loggingpb.LogEntry) bool {
			end := startOf(e).Add(e.GetHttpRequest().GetLatency().AsDuration())
			return !end.Before(from) && end.Before(from.Add(time.Minute))
		})
		var slow, total int64
		for _, s := range w.series(ask(latenciesOf+"backend-s1-1\"", from, from.Add(time.Minute))) {
			d := s.GetPoints()[0].GetValue().GetDistributionValue()
			total += d.GetCount()
			for i, n := range d.GetBucketCounts() {
				if i >= 23 { // 1.4^22 ms are 1.6 s
					slow += n
				}
			}
			if s.GetMetric().GetLabels()["response_code"] == "200" && (d.GetMean() < 400 || d.GetMean() > 700) {
				t.Errorf("mean %v ms", d.GetMean())
			}
		}
		if want := total / 10; int(total) != len(ended) || slow < want-3 || slow > want+3 {
			t.Errorf("%d of %d were slow; the log has %d", slow, total, len(ended))
		}
	})
}

func TestMetricsRefuse(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		now := time.Now()
		refused := func(what string, code codes.Code, change func(*monitoringpb.ListTimeSeriesRequest)) {
			t.Helper()
			req := ask(countsOf+stable+`"`, now.Add(-time.Hour), now)
			change(req)
			if _, err := w.metrics.ListTimeSeries(t.Context(), req).Next(); codeOf(err) != code {
				t.Errorf("%s: %v, want %v", what, err, code)
			}
		}
		for _, filter := range []string{
			``, `resource.type="cloud_run_revision"`, `metric.type="other"`, `metric.type`, `metric.type>"x"`, `metric.type="a" AND`, `"a"`,
			countsOf + `x" OR resource.type="y"`, countsOf + `x" nonsense.type="y"`, countsOf + `x" resource.a.b="y"`, countsOf + `x" resource="y"`, countsOf + `x`,
		} {
			refused(filter, codes.InvalidArgument, func(r *monitoringpb.ListTimeSeriesRequest) { r.Filter = filter })
		}
		refused("another project", codes.NotFound, func(r *monitoringpb.ListTimeSeriesRequest) { r.Name = "projects/other" })
		refused("no interval", codes.InvalidArgument, func(r *monitoringpb.ListTimeSeriesRequest) { r.Interval = nil })
		refused("backwards", codes.InvalidArgument, func(r *monitoringpb.ListTimeSeriesRequest) {
			r.Interval.EndTime = timestamppb.New(now.Add(-2 * time.Hour))
		})
		refused("an order", codes.InvalidArgument, func(r *monitoringpb.ListTimeSeriesRequest) { r.OrderBy = "x" })
		refused("a page before the first", codes.InvalidArgument, func(r *monitoringpb.ListTimeSeriesRequest) { r.PageSize = -1 })
		for what, a := range map[string]*monitoringpb.Aggregation{
			"half a minute": {PerSeriesAligner: monitoringpb.Aggregation_ALIGN_DELTA, AlignmentPeriod: durationpb.New(30 * time.Second)},
			"a rate":        {PerSeriesAligner: monitoringpb.Aggregation_ALIGN_RATE, AlignmentPeriod: durationpb.New(time.Minute)},
			"a reducer":     {CrossSeriesReducer: monitoringpb.Aggregation_REDUCE_SUM},
		} {
			refused(what, codes.InvalidArgument, func(r *monitoringpb.ListTimeSeriesRequest) { r.Aggregation = a })
		}
		w.cloud.Deny("monitoring.timeSeries.list")
		refused("without the right", codes.PermissionDenied, func(*monitoringpb.ListTimeSeriesRequest) {})
	})
}
