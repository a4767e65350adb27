package incident

import (
	"reflect"
	"testing"
	"time"

	"slipway/plan"
)

func TestRulesOf(t *testing.T) {
	slow := &plan.SlowShare{Percent: 0.95, Below: plan.Duration(800 * time.Millisecond)}
	tests := []struct {
		name   string
		alerts plan.Alerts
		want   Rules
	}{
		{"nothing", plan.Alerts{NoReadyRevision: true, Pinned: plan.AWhile}, Rules{}},
		{"the lowest SLO that deploy.yaml takes", plan.Alerts{SLO: 0.9}, Rules{SLO: 0.9}},
		{"everything", plan.Alerts{ErrorRate: 0.05, SLO: 0.995, Latency: slow, LogMatches: []string{"Traceback"}, CrashOnStart: true},
			Rules{ErrorRate: 0.05, SLO: 0.995, Slow: 800 * time.Millisecond, SlowRate: 0.05, LogMatches: []string{"Traceback"}, CrashOnStart: true}},
	}
	for _, tt := range tests {
		got := RulesOf(tt.alerts)
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		if _, err := NewWatch(target(), got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
