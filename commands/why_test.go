package commands

import (
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

// gated is a rollout with one gate that counts.
func gated(change func(*rollout.Step)) *rollout.Rollout {
	gate := &plan.ErrorRate{Below: 0.05, Gate: plan.Gate{
		Service: "backend", AlphaPass: 0.05, AlphaFail: 0.025, Bucket: plan.Duration(10 * time.Second),
		WarmUp: plan.Duration(30 * time.Second), MaxLatency: plan.Duration(10 * time.Second), Budget: plan.Duration(30 * time.Minute),
	}}
	s := rollout.Step{
		ID: "1.1", Status: rollout.StepRunning, Started: start(), Spec: plan.Step{Name: "Errors at 10%", Kind: plan.KindErrorRate, ErrorRate: gate},
		Note: "118 requests, 1 error. 6 more clean ones to pass (about 15 s).", Gate: &rollout.Gate{Verdict: verdict.Inconclusive},
	}
	change(&s)
	return &rollout.Rollout{Status: rollout.Running, Phases: []rollout.Phase{{Name: "All", Steps: []rollout.Step{s}}}}
}

// "Why?" is four sentences, whatever the gate asks for.
func TestWhy(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*rollout.Step)
		says   []string
	}{
		"under way": {func(*rollout.Step) {}, []string{
			"It counts what users asked of the new revision since its share of the traffic was set, each request once, without the first 30s, and each second only when it is 10s old: slow requests are logged late, and are often those that fail.",
			"It passes when a release that fails at 5% of its requests or more would look this good at most once in 20.",
			"It fails when a release below that limit would look this bad at most once in 40; if neither is certain after 30m, people are asked.",
			"How it stands: 118 requests, 1 error. 6 more clean ones to pass (about 15 s); looking often makes it no less certain.",
		}},
		"production": {func(s *rollout.Step) {
			s.Spec.ErrorRate.Evidence, s.Spec.ErrorRate.Compare = plan.EvidenceBuckets, plan.CompareOld
		}, []string{"it weighs 10s at a time, so that errors that come in bursts do not fool it.", "or when it is certain in the same way that the old revision was better; if"}},
		"by metrics":         {func(s *rollout.Step) { s.Gate.Source = rollout.FromMetrics }, []string{"as Cloud Monitoring has it, which knows every minute three minutes later."}},
		"with test requests": {func(s *rollout.Step) { s.Spec.ErrorRate.Probes = plan.DefaultProbes() }, []string{"at most once in 40; test requests are counted apart; if neither"}},
		"latency": {func(s *rollout.Step) {
			s.Spec.Latency = &plan.Latency{Gate: s.Spec.ErrorRate.Gate, Percent: 95, Below: plan.Duration(800 * time.Millisecond)}
			s.Spec.ErrorRate = nil
		}, []string{"a release that is slow at 5% of its requests or more"}},
		"decided": {func(s *rollout.Step) {
			s.Status, s.Gate.Verdict, s.Note = rollout.StepPassed, verdict.Pass, "Errors 0.9% (3 of 334), at most 3.2%. Limit 5%: passed."
			s.Ended = start().Add(time.Minute)
		}, []string{"What it found, at {t:", "Errors 0.9% (3 of 334), at most 3.2%. Limit 5%: passed."}},
	} {
		t.Run(name, func(t *testing.T) {
			reply := why(gated(tt.change))
			for _, part := range tt.says {
				if !strings.Contains(reply.Text, part) {
					t.Errorf("%q is missing in\n%s", part, reply.Text)
				}
			}
			for _, word := range []string{"probab", "alpha", "α", "significan", "confidence", "hypothes", "martingale"} {
				if strings.Contains(strings.ToLower(reply.Text), word) {
					t.Errorf("it speaks of %q:\n%s", word, reply.Text)
				}
			}
		})
	}
	if reply := why(&rollout.Rollout{}); reply.Done || !strings.Contains(reply.Text, "has counted requests yet") {
		t.Errorf("of nothing it says %q", reply.Text)
	}
}
