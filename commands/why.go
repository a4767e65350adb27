package commands

import (
	"fmt"
	"strings"
	"time"

	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

// VerbWhy is the button that explains a verdict. Like VerbDetails it is open to all who see the card.
const VerbWhy rollout.Verb = "why"

// why explains the gate that says most of a rollout now: what it counts, when it passes, when it does not, and how it
// stands.
func why(r *rollout.Rollout) Reply {
	s := lastCounted(r)
	if s == nil {
		return Reply{Text: "No step of " + title(r) + " has counted requests yet."}
	}
	head := fmt.Sprintf("*Why: %s*\n", plain(s.Spec.Name))
	return Reply{Text: head + strings.Join([]string{whatCounts(s), whatPasses(s), whatFails(s), howItStands(s)}, " "), Done: true}
}

// lastCounted is the gate on requests that was started last.
func lastCounted(r *rollout.Rollout) *rollout.Step {
	var last *rollout.Step
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			s := &r.Phases[pi].Steps[si]
			if s.Gate != nil && s.Spec.CountingGate() != nil && (last == nil || !s.Started.Before(last.Started)) {
				last = s
			}
		}
	}
	return last
}

// whatCounts is the first sentence.
func whatCounts(s *rollout.Step) string {
	gate := s.Spec.CountingGate()
	text := fmt.Sprintf("It counts what users asked of the new revision since its share of the traffic was set, each request once, without the first %s", gate.WarmUp)
	if s.Gate.Source == rollout.FromMetrics {
		return text + ", as Cloud Monitoring has it, which knows every minute three minutes later."
	}
	return text + fmt.Sprintf(", and each second only when it is %s old: slow requests are logged late, and are often those that fail.", gate.MaxLatency)
}

// whatPasses is the second. 1/α is how often, at most, a bad release gets through.
func whatPasses(s *rollout.Step) string {
	gate := s.Spec.CountingGate()
	bad, limit := "fails", s.Spec.Limit().String()
	if s.Spec.Latency != nil {
		bad = "is slow"
	}
	text := fmt.Sprintf("It passes when a release that %s at %s of its requests or more would look this good at most once in %s",
		bad, limit, onceIn(gate.AlphaPass))
	if gate.Evidence == plan.EvidenceBuckets {
		text += fmt.Sprintf("; it weighs %s at a time, so that errors that come in bursts do not fool it", gate.Bucket)
	}
	return text + "."
}

// whatFails is the third.
func whatFails(s *rollout.Step) string {
	gate := s.Spec.CountingGate()
	text := fmt.Sprintf("It fails when a release below that limit would look this bad at most once in %s", onceIn(gate.AlphaFail))
	if gate.Compare == plan.CompareOld {
		text += ", or when it is certain in the same way that the old revision was better"
	}
	if gate.Probes != nil || s.Gate.Probes != nil {
		text += "; test requests are counted apart"
	}
	return text + fmt.Sprintf("; if neither is certain after %s, people are asked.", gate.Budget)
}

// howItStands is the fourth.
func howItStands(s *rollout.Step) string {
	stands := strings.TrimSuffix(sentence(s.Note), ".")
	if s.Gate.Verdict == verdict.Inconclusive && s.Status == rollout.StepRunning {
		return fmt.Sprintf("How it stands: %s; looking often makes it no less certain.", stands)
	}
	return fmt.Sprintf("What it found, at %s: %s.", clock(latest(s.Ended, s.Started)), stands)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// onceIn is a probability as people say it: 20 for 5%.
func onceIn(alpha float64) string { return rollout.Count(int64(1/alpha + 0.5)) }
