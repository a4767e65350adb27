package gcp

import (
	"context"
	"testing"
	"time"

	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

// A count from a log that loses entries says how many it lacks, as soon as metrics can tell.
func TestDroppedEntriesAreKnown(t *testing.T) {
	for what, tt := range map[string]struct {
		fault   fakegcp.Fault
		trouble func(w *world)
		dropped float64 // share of the requests
	}{
		"none":                   {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultDuplicate}},
		"late ones are not":      {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLate, Only: fakegcp.OnlyErrors, Seconds: 60, Count: -1}},
		"a few":                  {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Only: fakegcp.OnlyRequests, Count: 20}},
		"sampled":                {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Only: fakegcp.OnlyRequests, Share: 0.4, Count: -1}, dropped: 0.4},
		"errors alone":           {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Only: fakegcp.OnlyErrors, Count: -1}, dropped: 0.3},
		"all":                    {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Only: fakegcp.OnlyRequests, Count: -1}, dropped: 1},
		"nobody may read that":   {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Only: fakegcp.OnlyRequests, Share: 0.4, Count: -1}, trouble: deny("monitoring.timeSeries.list")},
		"Monitoring is not here": {fault: fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLost, Only: fakegcp.OnlyRequests, Share: 0.4, Count: -1}, trouble: fault("ListTimeSeries", fakegcp.FaultTimeout, "")},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, fakegcp.Behavior{ErrorRate: 0.3}, func(ctx context.Context, w *world) {
				w.pass(ctx, deployStep())
				w.pass(ctx, trafficStep(100, ""))
				if tt.trouble != nil {
					tt.trouble(w)
				}
				must(t, w.fake.Fault(tt.fault))
				since, asked := time.Now(), w.calls("ListTimeSeries")
				q := rollout.Query{Service: w.service, Revision: w.service.Candidate.Name, Since: since, Ignore: []string{"/auth/*"}}
				var got rollout.Requests
				for range 45 {
					time.Sleep(10 * time.Second)
					began := time.Now()
					var err error
					got, err = w.cloud.Requests(ctx, q)
					must(t, err)
					if took := time.Since(began); took > asideTime+time.Second {
						t.Fatalf("it took %v", took)
					}
					if time.Since(since) < 3*time.Minute && w.calls("ListTimeSeries") != asked {
						t.Fatalf("metrics were asked %v after the start", time.Since(since))
					}
				}
				if n := w.calls("ListTimeSeries") - asked; n < 3 || n > 5 {
					t.Errorf("metrics were asked %d times in seven minutes and a half, want once in each that is known", n)
				}
				minutes := 4.0 // that are three minutes old after seven and a half, or 3
				if share := float64(got.Dropped) / (20 * 60 * minutes); share < tt.dropped*0.7 || share > tt.dropped*1.05 {
					t.Errorf("%d are missing, want about %v%%", got.Dropped, 100*tt.dropped)
				}
			})
		})
	}
}

func TestMissingOf(t *testing.T) {
	for _, tt := range []struct{ counted, logged, want int64 }{
		{0, 0, 0}, {49, 0, 0}, {50, 0, 50}, {100, 90, 0}, {100, 89, 11}, {100, 120, 0},
	} {
		if got := missingOf(tt.counted, tt.logged); got != tt.want {
			t.Errorf("of %d and %d: %d, want %d", tt.counted, tt.logged, got, tt.want)
		}
	}
}
