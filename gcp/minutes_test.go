package gcp

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"slipway/plan"
	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

// Minutes are of all revisions, each by itself, and add up to what the log holds.
func TestMinutesByRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := fakegcp.Behavior{Latency: 100 * time.Millisecond, SlowShare: 0.1, SlowLatency: 2 * time.Second}
		w := newWorldOf(t, fakegcp.Config{LogQuota: -1}, slow, []fakegcp.RevisionSpec{{Name: earlierName, Image: repository + ":new"}})
		must(t, w.fake.Touch(fakegcp.TouchRequest{Service: cloudRun, Traffic: map[string]int{stableName: 60, earlierName: 40}}))
		time.Sleep(10 * time.Second)
		from := time.Now()
		time.Sleep(9 * time.Minute)
		s := alerting()
		got, until, err := w.cloud.Minutes(t.Context(), s, from)
		must(t, err)
		if behind := time.Since(until); behind < 3*time.Minute || behind >= 4*time.Minute || until.Truncate(time.Minute) != until {
			t.Errorf("complete until %v ago", behind)
		}
		w.service = inspected(spec())
		for revision, share := range map[string]float64{stableName: 0.6, earlierName: 0.4} {
			var minutes, requests, errs int64
			for _, m := range got {
				if m.At.Before(from) || m.At.Add(time.Minute).After(until) || m.Slow != 0 {
					t.Errorf("%+v of [%v, %v), without a limit of latencies", m, from, until)
				}
				if m.Revision == revision {
					minutes, requests, errs = minutes+1, requests+m.Requests, errs+m.Errors
				}
			}
			whole := until.Sub(roundUp(from)).Minutes()
			if want := share * 1200 * whole; float64(minutes) != whole || math.Abs(float64(requests)-want) > 30 {
				t.Errorf("%s: %d requests in %d minutes, want %v in %v", revision, requests, minutes, want, whole)
			}
			logged, err := w.cloud.Requests(t.Context(), rollout.Query{Service: w.service, Revision: revision, Since: roundUp(from)})
			must(t, err)
			all, failed := sum(logged, until)
			if math.Abs(float64(requests-all)) > 30 || math.Abs(float64(errs-failed)) > 30 { // metrics count by the end
				t.Errorf("%s: %d requests and %d errors, the log has %d and %d", revision, requests, errs, all, failed)
			}
		}
		for below, want := range map[time.Duration]float64{800 * time.Millisecond: 0.1, 1900 * time.Millisecond: 0} { // some are in the class from 1.6 to 2.2 s
			s.Alerts.Latency = &plan.SlowShare{Percent: 0.95, Below: plan.Duration(below)}
			timed, _, err := w.cloud.Minutes(t.Context(), s, from)
			must(t, err)
			var requests, slow int64
			for _, m := range timed {
				if m.Revision == earlierName {
					requests, slow = requests+m.Requests, slow+m.Slow
				}
			}
			if share := float64(slow) / float64(requests); len(timed) != len(got) || math.Abs(share-want) > 0.01 {
				t.Errorf("%v of the requests in %d minutes took longer than %v, want %v in %d", share, len(timed), below, want, len(got))
			}
		}
		if none, _, err := w.cloud.Minutes(t.Context(), s, until); err != nil || len(none) != 0 {
			t.Errorf("%v, %v of minutes that are not complete", none, err)
		}
		w.fake.Deny("monitoring.timeSeries.list")
		_, _, err = w.cloud.Minutes(t.Context(), s, from)
		wantFailure(t, err, "permission_denied", "roles/monitoring.viewer")
	})
}
