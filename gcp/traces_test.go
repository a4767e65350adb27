package gcp

import (
	"context"
	"strings"
	"testing"

	"slipway/plan"
	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

func (w *world) wantTrace(ctx context.Context, when string, percent int) {
	w.t.Helper()
	traces, err := w.cloud.Traces(ctx, spec())
	must(w.t, err)
	if percent < 0 {
		if len(traces) > 0 {
			w.t.Errorf("%s: %+v, want no trace", when, traces)
		}
		return
	}
	want := rollout.Trace{Rollout: "abc234", Revision: cloudRun + "-sabc234-1", Percent: percent, Before: stableName}
	if len(traces) == 1 {
		want.Keep = traces[0].Keep
	}
	if len(traces) != 1 || traces[0] != want || !strings.Contains(want.Keep, "--remove-tags candidate") {
		w.t.Errorf("%s: %+v, want %+v", when, traces, want)
	}
}

// A rollout leaves a trace from its candidate to its end, and none after that.
func TestTracesFollowARollout(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		w.wantTrace(ctx, "before", -1)
		w.pass(ctx, deployStep())
		w.wantTrace(ctx, "with a candidate", 0)
		w.pass(ctx, trafficStep(10, plan.ToCandidate))
		w.wantTrace(ctx, "at 10%", 10)
		w.pass(ctx, trafficStep(100, plan.ToCandidate))
		w.wantTrace(ctx, "at 100%, not handed over", 100)
		w.pass(ctx, trafficStep(0, plan.ToLatest))
		w.wantTrace(ctx, "handed over", -1)
	})
}

func TestTracesOfOneThatWentBack(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		w.pass(ctx, deployStep())
		w.pass(ctx, trafficStep(10, plan.ToCandidate))
		w.pass(ctx, trafficStep(0, plan.ToStable))
		w.wantTrace(ctx, "back on stable", 0)
	})
}

// A name alone is no proof: it has to be marked, too.
func TestRolloutOf(t *testing.T) {
	for name, want := range map[string]string{
		cloudRun + "-sabc234-1":   "abc234",
		cloudRun + "-sabc234-12":  "abc234",
		cloudRun + "-sabc234":     "",
		cloudRun + "-sABC234-1":   "",
		cloudRun + "-sabc23-1":    "",
		cloudRun + "-00041-abc":   "",
		"other-sabc234-1":         "",
		cloudRun + "-sabc234-1-2": "",
	} {
		if got := rolloutOf(inspected(spec()), name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
