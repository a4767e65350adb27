package gcp

import (
	"context"
	"math"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/distribution"

	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

// byMetrics asks for the requests of the stable revision as Cloud Monitoring counts them.
func (w *world) byMetrics(since time.Time) rollout.Query {
	q := w.query(since)
	q.Service.Source = rollout.FromMetrics
	return q
}

// Minute by minute, metrics and the log count the same requests, whatever part of the log is lost.
func TestMetricsCountWhatTheLogHolds(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		since := time.Now()
		must(t, w.fake.Fault(fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Count: 40}))
		time.Sleep(9*time.Minute + 20*time.Second)
		got, err := w.cloud.Requests(ctx, w.byMetrics(since.Add(10*time.Second)))
		must(t, err)
		if len(got.Slots) != 5 || got.Probes != nil || got.Every != time.Minute || got.Source != rollout.FromMetrics || got.Query == "" {
			t.Fatalf("%d slots of %v from %q: want the five whole minutes that are three minutes old", len(got.Slots), got.Every, got.Source)
		}
		logs, err := w.cloud.Requests(ctx, w.query(since))
		must(t, err)
		for _, slot := range got.Slots {
			var requests, errs int64
			for _, s := range logs.Slots {
				if !s.At.Before(slot.At) && s.At.Before(slot.At.Add(time.Minute)) {
					requests, errs = requests+s.Requests, errs+s.Errors
				}
			}
			if math.Abs(float64(slot.Requests-requests)) > 6 || math.Abs(float64(slot.Errors-errs)) > 6 { // metrics count by the end
				t.Errorf("%v: %+v, the log has %d and %d", slot.At, slot, requests, errs)
			}
		}
		last := got.Slots[4].At.Add(time.Minute)
		if !got.Watermark.Equal(last) || time.Since(last) < 3*time.Minute || time.Since(last) >= 4*time.Minute {
			t.Errorf("the watermark is %v, the last slot ended %v ago", got.Watermark, time.Since(last))
		}
	})
}

// Minutes that may still grow are not shown, so that no slot ever changes.
func TestMetricsSlotsAreFinal(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		since := time.Now()
		seen := map[time.Time]rollout.Slot{}
		for range 60 {
			time.Sleep(10 * time.Second)
			q := w.byMetrics(since)
			q.Slow = 100 * time.Millisecond
			got, err := w.cloud.Requests(ctx, q)
			must(t, err)
			for _, slot := range got.Slots {
				if before, ok := seen[slot.At]; ok && before != slot {
					t.Fatalf("%+v became %+v", before, slot)
				}
				seen[slot.At] = slot
			}
		}
		if len(seen) < 5 {
			t.Errorf("%d slots in ten minutes", len(seen))
		}
	})
}

func TestMetricsOfARevisionWithoutTraffic(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		q := w.byMetrics(time.Now().Add(-10 * time.Minute))
		q.Revision = cloudRun + "-00099-zzz"
		got, err := w.cloud.Requests(ctx, q)
		must(t, err)
		if len(got.Slots) != 0 || !got.Watermark.IsZero() {
			t.Errorf("%+v", got)
		}
		got, err = w.cloud.Requests(ctx, w.byMetrics(time.Now())) // no minute has begun since
		must(t, err)
		if len(got.Slots) != 0 || !got.Watermark.IsZero() {
			t.Errorf("%+v of the future", got)
		}
	})
}

// What is slow by the log is slow or unclear by the metrics, and what is neither is not slow.
func TestMetricsLatencies(t *testing.T) {
	inWorld(t, fakegcp.Behavior{Latency: 100 * time.Millisecond, SlowShare: 0.1, SlowLatency: 2 * time.Second}, func(ctx context.Context, w *world) {
		w.pass(ctx, deployStep())
		w.pass(ctx, trafficStep(100, ""))
		since := time.Now()
		time.Sleep(8 * time.Minute)
		for limit, want := range map[time.Duration]struct{ slow, unclear float64 }{
			800 * time.Millisecond:  {0.1, 0},
			100 * time.Millisecond:  {0.55, 0.25}, // half of the usual ones, and the class from 75 to 105 ms
			1900 * time.Millisecond: {0.1, 0.1},   // the class from 1.6 to 2.2 s
			5 * time.Second:         {0, 0},
		} {
			q := w.byMetrics(since)
			q.Revision, q.Slow = w.service.Candidate.Name, limit
			got, err := w.cloud.Requests(ctx, q)
			must(t, err)
			var all, slow, unclear float64
			for _, s := range got.Slots {
				all, slow, unclear = all+float64(s.Requests), slow+float64(s.Slow), unclear+float64(s.Unclear)
			}
			if least, most := slow/all, (slow+unclear)/all; all < 4000 || least > want.slow+0.01 || most < want.slow-0.01 || math.Abs(most-least-want.unclear) > 0.03 {
				t.Errorf("over %v: %v to %v of %v are slow, want %v", limit, least, most, all, want)
			}
		}
	})
}

func TestMetricsErrors(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		since := time.Now().Add(-10 * time.Minute)
		must(t, w.fake.Fault(fakegcp.Fault{Method: "ListTimeSeries", Kind: fakegcp.FaultRateLimit}))
		if _, err := w.cloud.Requests(ctx, w.byMetrics(since)); err == nil || asFailure(err) != nil {
			t.Errorf("%v, want a passing error", err)
		}
		must(t, w.fake.Fault(fakegcp.Fault{Method: "ListTimeSeries", Kind: fakegcp.FaultTimeout}))
		began := time.Now()
		if _, err := w.cloud.Requests(ctx, w.byMetrics(since)); err == nil || asFailure(err) != nil || time.Since(began) > listTime {
			t.Errorf("%v after %v, want a passing error", err, time.Since(began))
		}
		w.fake.Deny("monitoring.timeSeries.list")
		_, err := w.cloud.Requests(ctx, w.byMetrics(since))
		wantFailure(t, err, "permission_denied", "monitoring.timeSeries.list", "roles/monitoring.viewer")
		if want := "gcloud projects add-iam-policy-binding netra-staging --member=serviceAccount:ACCOUNT --role=roles/monitoring.viewer"; asFailure(err).Detail != want {
			t.Errorf("detail %q, want %q", asFailure(err).Detail, want)
		}
	})
}

func TestLatencyClasses(t *testing.T) {
	exponential := &distribution.Distribution_BucketOptions{Options: &distribution.Distribution_BucketOptions_ExponentialBuckets{
		ExponentialBuckets: &distribution.Distribution_BucketOptions_Exponential{NumFiniteBuckets: 3, GrowthFactor: 10, Scale: 1}, // 1, 10, 100, 1000
	}}
	linear := &distribution.Distribution_BucketOptions{Options: &distribution.Distribution_BucketOptions_LinearBuckets{
		LinearBuckets: &distribution.Distribution_BucketOptions_Linear{NumFiniteBuckets: 3, Width: 100, Offset: 50}, // 50, 150, 250, 350
	}}
	explicit := &distribution.Distribution_BucketOptions{Options: &distribution.Distribution_BucketOptions_ExplicitBuckets{
		ExplicitBuckets: &distribution.Distribution_BucketOptions_Explicit{Bounds: []float64{0, 800}},
	}}
	for _, tt := range []struct {
		what          string
		options       *distribution.Distribution_BucketOptions
		counts        []int64
		limit         float64
		slow, unclear int64
	}{
		{"within a class", exponential, []int64{1, 2, 4, 8, 16}, 500, 16, 8},
		{"on a bound", exponential, []int64{1, 2, 4, 8, 16}, 100, 24, 0},
		{"in the open last one", exponential, []int64{1, 2, 4, 8, 16}, 5000, 0, 16},
		{"in the open first one", exponential, []int64{1, 2, 4, 8, 16}, 0.5, 30, 1},
		{"the last ones are left out", exponential, []int64{1, 2}, 5, 0, 2},
		{"linear", linear, []int64{1, 2, 4, 8, 16}, 200, 24, 4},
		{"explicit", explicit, []int64{1, 2, 4}, 800, 4, 0},
		{"explicit, within", explicit, []int64{1, 2, 4}, 799, 4, 2},
		{"one class, as nobody says which", nil, []int64{7}, 800, 0, 7},
		{"more counts than classes", explicit, []int64{0, 0, 0, 5}, 799, 5, 0},
	} {
		slow, unclear := slowOf(&distribution.Distribution{BucketOptions: tt.options, BucketCounts: tt.counts}, tt.limit)
		if slow != tt.slow || unclear != tt.unclear {
			t.Errorf("%s: %d slow, %d unclear; want %d, %d", tt.what, slow, unclear, tt.slow, tt.unclear)
		}
	}
	slot := rollout.Slot{Requests: 10}
	judgeLatencies(&slot, []*distribution.Distribution{{Count: 7, BucketOptions: explicit, BucketCounts: []int64{0, 4, 3}}}, 800*time.Millisecond)
	if slot.Slow != 3 || slot.Unclear != 3 {
		t.Errorf("%+v: three requests without a latency are unclear", slot)
	}
}
