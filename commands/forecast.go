package commands

import "slipway/rollout"

// forecasts say for each gate of a rollout that has not begun how many requests it needs, and how long they take.
func forecasts(r *rollout.Rollout) []string {
	list := r.Forecasts()
	if len(list) == 0 {
		return []string{"The plan has no step that ends in a verdict."}
	}
	lines := []string{"What the verdicts would take, if requests come as they do now:"}
	for _, f := range list {
		lines = append(lines, unmarked(f.String()))
	}
	return lines
}
