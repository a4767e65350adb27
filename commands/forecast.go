package commands

import (
	"fmt"
	"math"
	"time"

	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

// forecasts say for each gate of a rollout that has not begun how many requests it needs, and how
// long they take at the rate of the baseline and with the share of the traffic that the steps before
// it give to the new revision.
func forecasts(r *rollout.Rollout) []string {
	percent := map[string]int{}
	var lines []string
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if t := s.Spec.Traffic; t != nil && t.To == plan.ToCandidate {
				percent[t.Service] = t.Percent
			}
			service := r.Services[s.Spec.Service()]
			share := percent[s.Spec.Service()]
			switch {
			case s.Spec.ErrorRate != nil:
				lines = append(lines, errorRateForecast(s.Spec.Name, s.Spec.ErrorRate, service, share))
			case s.Spec.NoLogs != nil:
				lines = append(lines, noLogsForecast(s.Spec.Name, s.Spec.NoLogs, service, share))
			}
		}
	}
	if len(lines) == 0 {
		return []string{"The plan has no step that ends in a verdict."}
	}
	return append([]string{"What the verdicts would take, if requests come as they do now:"}, lines...)
}

func errorRateForecast(name string, spec *plan.ErrorRate, s rollout.Service, percent int) string {
	gate, err := verdict.NewGate(float64(spec.Below), spec.AlphaPass, spec.AlphaFail)
	if err != nil {
		return fmt.Sprintf("%s: it could not decide anything: %s", plain(name), sentence(err.Error()))
	}
	clean := gate.CleanNeeded(verdict.Counts{})
	text := fmt.Sprintf("%s (limit %s, %d%% on new): %s", plain(name), spec.Below, percent, needed(clean, s, percent, func(t time.Duration) time.Duration {
		return max(spec.MinTime.D(), spec.WarmUp.D()+t+spec.MaxLatency.D())
	}, spec.Budget))
	if like := asBefore(&gate, s.Baseline); like > clean {
		return text + fmt.Sprintf(" With errors as before, about %s requests.", rollout.Count(like))
	}
	return text
}

// asBefore is the mean number of requests if the new revision errs as often as the old one; 0 if
// that is not known, or could not pass.
func asBefore(gate *verdict.Gate, b *rollout.Baseline) int64 {
	if b == nil || b.Requests == 0 {
		return 0
	}
	expected := gate.Expected(b.Rate())
	if math.IsInf(expected, 1) {
		return 0
	}
	return int64(math.Ceil(expected))
}

func noLogsForecast(name string, spec *plan.NoLogs, s rollout.Service, percent int) string {
	n := verdict.AbsenceNeeded(float64(spec.MinRate), spec.Alpha)
	return fmt.Sprintf("%s (no %s, %d%% on new): %s", plain(name), plain(spec.Match), percent, needed(n, s, percent, func(t time.Duration) time.Duration {
		return t + spec.MaxLatency.D()
	}, spec.Budget))
}

// needed says how many requests without an error it takes, and how long. around adds what passes
// before and after the requests.
func needed(n int64, s rollout.Service, percent int, around func(time.Duration) time.Duration, budget plan.Duration) string {
	text := fmt.Sprintf("%s requests without an error", rollout.Count(n))
	perSec := perSecond(s.Baseline) * float64(percent) / 100
	switch {
	case n == math.MaxInt64:
		return "more requests than anybody will wait for."
	case percent == 0:
		return text + ", but no step before it gives the new revision traffic, so it would fail."
	case perSec == 0:
		return text + "; how long that takes is unknown, as no requests were seen."
	}
	seconds := float64(n) / perSec
	if seconds > (100 * time.Hour).Seconds() {
		return text + fmt.Sprintf(", which takes days: longer than its budget of %s, so it would end undecided.", budget)
	}
	takes := around(time.Duration(seconds * float64(time.Second)))
	if takes > budget.D() {
		return text + fmt.Sprintf(", about %s: longer than its budget of %s, so it would end undecided.", rough(takes), budget)
	}
	return text + fmt.Sprintf(", about %s.", rough(takes))
}

// rough is a duration as finely as a forecast deserves.
func rough(d time.Duration) string {
	step := 5 * time.Second
	if d > 10*time.Minute {
		step = time.Minute
	}
	return rollout.Period(max(step, d.Round(step)))
}

// perSecond is the rate at which requests came in the baseline's window.
func perSecond(b *rollout.Baseline) float64 {
	if b == nil {
		return 0
	}
	window := b.Until.Sub(b.Since).Seconds()
	if window <= 0 {
		return 0
	}
	return float64(b.Requests) / window
}
