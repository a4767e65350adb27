package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// This file knows what a picture of a target's error rate shows besides the rates: the finding in
// numbers, the limit, and the deploys.

// finding is a graph in a few words: "backend on staging: 0.9% errors in 1 h".
func finding(target plan.Target, lines []line, length time.Duration) string {
	lines = slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return sum(l.requests) == 0 })
	if len(lines) == 1 {
		return fmt.Sprintf("%s on %s: %s errors in %s", lines[0].service.Name, target.Environment, lines[0].rate(), rollout.Period(length))
	}
	rates := make([]string, len(lines))
	for i, l := range lines {
		rates[i] = l.service.Name + " " + l.rate()
	}
	return fmt.Sprintf("%s: %s errors in %s", target.Environment, strings.Join(rates, ", "), rollout.Period(length))
}

func (l line) rate() string {
	return rollout.Percent(rollout.Share(sum(l.errors), sum(l.requests)))
}

// limit is the error rate from which on the services of a graph are in trouble; 0 if deploy.yaml has
// none, or different ones.
func limit(file *plan.File, target plan.Target, lines []line) float64 {
	var limits []plan.Percent
	for _, l := range lines {
		limits = append(limits, limitOf(file, target.Environment, l.service.Name))
	}
	slices.Sort(limits)
	if limits = slices.Compact(limits); len(limits) != 1 {
		return 0
	}
	return float64(limits[0])
}

// limitOf is what a service's alarm is about, or else the strictest gate that it has to pass.
func limitOf(file *plan.File, environment, service string) plan.Percent {
	if a := file.Environment(environment).AlertsOf(service); a != nil && a.ErrorRate > 0 {
		return a.ErrorRate
	}
	p, err := file.PlanFor(plan.Target{Environment: environment, Service: service})
	if err != nil {
		return 0
	}
	var strictest plan.Percent
	for _, phase := range p.Phases {
		for _, s := range phase.Steps {
			if g := s.ErrorRate; g != nil && g.Service == service && (strictest == 0 || g.Below < strictest) {
				strictest = g.Below
			}
		}
	}
	return strictest
}

const (
	mostDeploys = 5               // more would hide the graph
	deploysTime = 2 * time.Second // a graph without its deploys is better than a late one
)

// deploys are when rollouts moved the traffic of a graph's services. They are left out if they cannot
// be read.
func (h *Handler) deploys(ctx context.Context, target plan.Target, lines []line, w window) []Moment {
	ctx, cancel := context.WithTimeout(ctx, deploysTime)
	defer cancel()
	past, err := h.ended(ctx, target.Environment, historySearch)
	if err != nil {
		h.Log.WarnContext(ctx, "a graph goes without its deploys", "env", target.Environment, "err", err)
		return nil
	}
	running, err := h.active(ctx)
	if err != nil {
		h.Log.WarnContext(ctx, "a graph goes without the deploys under way", "env", target.Environment, "err", err)
	}
	var moments []Moment
	for _, r := range slices.Concat(past, running) {
		if r.Target.Environment != target.Environment {
			continue
		}
		for _, m := range shifts(r, lines) {
			if m.At.After(w.since) && m.At.Before(w.until()) {
				moments = append(moments, m)
			}
		}
	}
	slices.SortFunc(moments, func(a, b Moment) int { return a.At.Compare(b.At) })
	return moments[max(0, len(moments)-mostDeploys):]
}

// shifts are when a rollout first moved the traffic of one of the services, and when it took it back.
func shifts(r rollout.Rollout, lines []line) []Moment {
	var moments []Moment
	for _, phase := range r.Phases {
		for _, s := range phase.Steps {
			t := s.Spec.Traffic
			if t == nil || s.Status != rollout.StepPassed || !slices.ContainsFunc(lines, func(l line) bool { return l.service.Name == t.Service }) {
				continue
			}
			what := shiftName(t.To)
			if what != "" && !slices.ContainsFunc(moments, func(m Moment) bool { return m.What == what }) {
				moments = append(moments, Moment{At: s.Ended, What: what})
			}
		}
	}
	return moments
}

// shiftName is a step that moves traffic in a word or two; "" for one that leaves it where it is.
func shiftName(to plan.TrafficTo) string {
	switch to {
	case plan.ToCandidate:
		return "deploy"
	case plan.ToStable:
		return "back on old"
	case plan.ToRevision:
		return "rollback"
	}
	return ""
}
