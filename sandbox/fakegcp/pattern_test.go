package fakegcp_test

import (
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/run/apiv2/runpb"

	"slipway/sandbox/fakegcp"
)

// served deploys an image, gives it all traffic, 40 requests a second, and returns its requests of three
// minutes and when the first began.
func (w *world) served(b fakegcp.Behavior) ([]*loggingpb.LogEntry, time.Time) {
	w.t.Helper()
	const name = "backend-s1-1"
	_, _, err := w.deploy(w.image("served", b), name)
	w.must(err)
	w.shift(&runpb.TrafficTarget{Type: byRevision, Revision: name, Percent: 100})
	time.Sleep(5 * time.Minute)
	entries := w.entries(requestsOf(name))
	first := entries[0].GetTimestamp().AsTime()
	return of(entries, func(e *loggingpb.LogEntry) bool { return startOf(e).Sub(first) < 3*time.Minute }), first
}

func startOf(e *loggingpb.LogEntry) time.Time { return e.GetTimestamp().AsTime() }

func failed(e *loggingpb.LogEntry) bool { return e.GetHttpRequest().GetStatus() >= 500 }

func of(entries []*loggingpb.LogEntry, is func(*loggingpb.LogEntry) bool) (out []*loggingpb.LogEntry) {
	for _, e := range entries {
		if is(e) {
			out = append(out, e)
		}
	}
	return out
}

func TestWhenRequestsFail(t *testing.T) {
	tests := map[string]struct {
		behavior fakegcp.Behavior
		fails    func(since time.Duration) bool // may a request fail, so long after the first
		want     int                            // errors of about 7,200 requests
	}{
		"while it warms up": {fakegcp.Behavior{ErrorRate: 0.5, ErrorsUntil: 20 * time.Second}, func(d time.Duration) bool { return d < 20*time.Second }, 400},
		"late":              {fakegcp.Behavior{ErrorRate: 0.5, ErrorsAfter: 100 * time.Second}, func(d time.Duration) bool { return d >= 100*time.Second }, 1600},
		"evenly":            {fakegcp.Behavior{ErrorRate: 0.1}, func(time.Duration) bool { return true }, 720},
		"slowly":            {fakegcp.Behavior{ErrorRate: 0.1, ErrorLatency: 30 * time.Second}, func(time.Duration) bool { return true }, 720},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				entries, first := w.served(tt.behavior)
				errors := of(entries, failed)
				if n := len(errors); n < tt.want-5 || n > tt.want+5 {
					t.Errorf("%d errors of %d requests, want %d", n, len(entries), tt.want)
				}
				for _, e := range errors {
					if since := startOf(e).Sub(first); !tt.fails(since) {
						t.Fatalf("an error %v after the first request", since)
					}
					if want := tt.behavior.ErrorLatency; want > 0 && (e.GetHttpRequest().GetLatency().AsDuration() != want || lagOf(e) < want) {
						t.Fatalf("an error that took %v was logged after %v", e.GetHttpRequest().GetLatency().AsDuration(), lagOf(e))
					}
				}
			})
		})
	}
}

// A rate that is set by hand counts at once, also where the image would not fail yet.
func TestErrorsByHandCome(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.served(fakegcp.Behavior{ErrorRate: 0.5, ErrorsAfter: time.Hour})
		rates := func() (set float64, errors int64) {
			for _, r := range w.cloud.State().Services[0].Revisions {
				if r.Name == "backend-s1-1" {
					set, errors = r.ErrorRate, r.Errors
				}
			}
			return set, errors
		}
		if set, errors := rates(); set != 0 || errors != 0 {
			t.Errorf("before its time: set to %v, %d errors", set, errors)
		}
		w.must(w.cloud.Traffic(fakegcp.TrafficRequest{Service: w.cloud.State().Services[0].Name, ErrorRate: map[string]float64{"backend-s1-1": 0.25}}))
		time.Sleep(time.Minute)
		if set, errors := rates(); set != 0.25 || errors < 595 || errors > 605 {
			t.Errorf("after a minute of 25%% of 40 requests a second: set to %v, %d errors", set, errors)
		}
	})
}

// In a burst every request fails and outside of one none, and the bursts make up the error rate.
func TestBursts(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		const length = 5 * time.Second
		entries, first := w.served(fakegcp.Behavior{ErrorRate: 0.25, ErrorBursts: length})
		fails := map[int64]map[bool]bool{}
		for _, e := range entries {
			burst := int64(startOf(e).Sub(first) / length)
			if fails[burst] == nil {
				fails[burst] = map[bool]bool{}
			}
			fails[burst][failed(e)] = true
		}
		bursts := 0
		for n, kinds := range fails {
			if len(kinds) != 1 {
				t.Errorf("of the %d. five seconds some fail and some do not", n)
			}
			if kinds[true] {
				bursts++
			}
		}
		if len(fails) != 36 || bursts != 9 {
			t.Errorf("%d bursts in %d times five seconds, want 9 in 36", bursts, len(fails))
		}
	})
}

func TestSlowRequests(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		entries, _ := w.served(fakegcp.Behavior{Latency: 100 * time.Millisecond, SlowShare: 0.05, SlowLatency: 2 * time.Second})
		slow := of(entries, func(e *loggingpb.LogEntry) bool { return e.GetHttpRequest().GetLatency().AsDuration() == 2*time.Second })
		fast := of(entries, func(e *loggingpb.LogEntry) bool {
			return e.GetHttpRequest().GetLatency().AsDuration() <= 200*time.Millisecond
		})
		if want := len(entries) / 20; len(slow) < want-2 || len(slow) > want+2 || len(slow)+len(fast) != len(entries) {
			t.Errorf("of %d requests %d are slow and %d fast", len(entries), len(slow), len(fast))
		}
	})
}
