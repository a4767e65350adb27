package gcp

import (
	"context"
	"strings"
	"testing"
	"time"

	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

// inspectLater looks at the service once nothing of its window is older than what was changed.
func (w *world) inspectLater(ctx context.Context) rollout.Service {
	w.t.Helper()
	time.Sleep(baselineWindow + time.Minute)
	s, err := w.cloud.Inspect(ctx, spec(), "", time.Now())
	must(w.t, err)
	return s
}

func TestSourceOfNumbers(t *testing.T) {
	lost := func(only string, share float64) fakegcp.Fault {
		return fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Only: only, Share: share, Count: -1}
	}
	for what, tt := range map[string]struct {
		fault fakegcp.Fault
		rps   float64
		note  string
	}{
		"a log that holds all":       {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultDuplicate}},
		"late errors":                {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLate, Only: fakegcp.OnlyErrors, Seconds: 30, Count: -1}},
		"some were dropped":          {fault: lost(fakegcp.OnlyRequests, 0.02)},
		"sampled":                    {fault: lost(fakegcp.OnlyRequests, 0.6), note: "Request logs are sampled or excluded: they show 4"},
		"sampled, little traffic":    {fault: lost(fakegcp.OnlyRequests, 0.6), rps: 0.5, note: "Request logs are sampled or excluded: they show "},
		"successes are sampled":      {fault: lost(fakegcp.OnlySuccesses, 0.9), note: "Request logs are sampled or excluded: they show 7"},
		"excluded":                   {fault: lost(fakegcp.OnlyRequests, 0), note: "Request logs are excluded: they show none of the requests that Cloud Monitoring counts."},
		"excluded, too few requests": {fault: lost(fakegcp.OnlyRequests, 0), rps: 0.1},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
				if tt.rps > 0 {
					must(t, w.fake.Traffic(fakegcp.TrafficRequest{Service: cloudRun, RPS: &tt.rps}))
				}
				must(t, w.fake.Fault(tt.fault))
				s := w.inspectLater(ctx)
				if !strings.HasPrefix(s.SourceNote, tt.note) || (s.SourceNote == "") != (tt.note == "") {
					t.Errorf("%q, want %q", s.SourceNote, tt.note)
				}
				if want := map[bool]string{true: rollout.FromMetrics}[tt.note != ""]; s.Source != want {
					t.Errorf("numbers come from %q, want %q", s.Source, want)
				}
				if s.Source != rollout.FromMetrics {
					return
				}
				b := s.Baseline
				rate := float64(b.Errors) / float64(b.Requests)
				if b.Problem != "" || rate < 0.71 || rate > 0.73 || b.Until.Sub(b.Since) < 6*time.Minute || len(b.Points) == 0 {
					t.Errorf("baseline %+v: want what was answered, however the log is sampled", b)
				}
			})
		})
	}
}

func TestSourceAboveWhatLogsCanTell(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		many := 600.0
		must(t, w.fake.Traffic(fakegcp.TrafficRequest{Service: cloudRun, RPS: &many}))
		time.Sleep(5 * time.Minute)
		s, err := w.cloud.Inspect(ctx, spec(), "", time.Now())
		must(t, err)
		if s.Source != rollout.FromMetrics || s.SourceNote != "There are 600 requests a second, more than can be counted from request logs." {
			t.Errorf("%q: %q", s.Source, s.SourceNote)
		}
	})
}

// Metrics are asked aside: what becomes of the question changes nothing but where the numbers come from.
func TestSourceWithoutMetrics(t *testing.T) {
	excluded := fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Only: fakegcp.OnlyRequests, Count: -1}
	for what, trouble := range map[string]func(w *world){
		"no right": func(w *world) { w.fake.Deny("monitoring.timeSeries.list") },
		"silence": func(w *world) {
			must(w.t, w.fake.Fault(fakegcp.Fault{Method: "ListTimeSeries", Kind: fakegcp.FaultTimeout, Count: -1}))
		},
		"no log either": func(w *world) { w.fake.Deny("logging.logEntries.list") },
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
				must(t, w.fake.Fault(excluded))
				time.Sleep(baselineWindow + time.Minute)
				trouble(w)
				began := time.Now()
				s, err := w.cloud.Inspect(ctx, spec(), "", time.Now())
				must(t, err)
				if s.Source != "" || s.SourceNote != "" || s.Baseline == nil || s.Baseline.Problem == "" {
					t.Errorf("%q, %q, %+v", s.Source, s.SourceNote, s.Baseline)
				}
				if took := time.Since(began); took > asideTime+time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestAgainstTheLog(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	logs := func(requests int64, span time.Duration) *rollout.Baseline {
		return &rollout.Baseline{Requests: requests, Since: at.Add(-span), Until: at}
	}
	for _, tt := range []struct {
		what string
		m    measured
		logs *rollout.Baseline
		note string
	}{
		{"metrics know nothing", measured{}, logs(2000, time.Second), ""},
		{"the log alone shows many", measured{baseline: rollout.Baseline{Requests: 9}}, logs(2000, 2*time.Second), "There are 1,000 requests a second, more than can be counted from request logs."},
		{"metrics alone do", measured{baseline: rollout.Baseline{Requests: 9}, perSec: 501}, logs(0, 0), "There are 501 requests a second, more than can be counted from request logs."},
		{"500 are not too many", measured{baseline: rollout.Baseline{Requests: 9}, perSec: 500}, logs(0, 0), ""},
		{"90% are enough", measured{baseline: rollout.Baseline{Requests: 100}, expected: 100, logged: 90}, logs(0, 0), ""},
		{"89% are not", measured{baseline: rollout.Baseline{Requests: 100}, expected: 100, logged: 89}, logs(0, 0), "Request logs are sampled or excluded: they show 89% of the requests that Cloud Monitoring counts."},
		{"unless it is a sample", measured{baseline: rollout.Baseline{Requests: 5000}, expected: 100, logged: 89, doubt: 28}, logs(0, 0), ""},
		{"of 49 nothing is told", measured{baseline: rollout.Baseline{Requests: 49}, expected: 49}, logs(0, 0), ""},
	} {
		if got := tt.m.against(tt.logs); got != tt.note {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.note)
		}
	}
}
