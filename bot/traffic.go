package bot

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"slipway/rollout"
)

// This file says where the traffic is, and which revision fails more often, in words.

var generated = regexp.MustCompile(`^(\d{5})-[a-z0-9]{3}$`)

// shortRevision is a revision's name without its service's: 00041 for netra-backend-staging-00041-abc.
func shortRevision(s rollout.Service, revision rollout.Revision) string {
	name := strings.TrimPrefix(revision.Name, s.CloudRun+"-")
	if parts := generated.FindStringSubmatch(name); parts != nil {
		return parts[1]
	}
	return plain(name, 30)
}

// old names what served before; of a deployment, where its traffic goes back to.
func old(r rollout.Rollout) string {
	return only(r, "the old revision", func(s rollout.Service) rollout.Revision { return s.Stable })
}

// goal names where a rollback goes.
func goal(r rollout.Rollout) string {
	return only(r, "the revisions before", func(s rollout.Service) rollout.Revision { return s.Candidate })
}

// only names a revision of the rollout's one service; of several, it says what all of them are.
func only(r rollout.Rollout, several string, which func(rollout.Service) rollout.Revision) string {
	if len(r.Services) == 1 {
		for _, s := range r.Services {
			if revision := which(s); revision.Name != "" {
				return shortRevision(s, revision)
			}
		}
	}
	return several
}

// trafficMoved reports whether the new revision may be serving.
func trafficMoved(r rollout.Rollout) bool { return len(r.Moved()) > 0 }

// mostOnNew is the share of traffic on the new revision; of several services, the largest.
func mostOnNew(r rollout.Rollout) int {
	most := 0
	for _, s := range r.Services {
		most = max(most, s.Percent)
	}
	return most
}

// staying is what stays on the new revision when nothing moves any more: "10% stays on new".
func staying(r rollout.Rollout) string {
	switch most := mostOnNew(r); most {
	case 0:
		return "traffic stays as it is"
	case 100:
		return "all traffic stays on new"
	default:
		return fmt.Sprintf("%d%% stays on new", most)
	}
}

// whereTraffic says what serves at a rollout's end, a line for each service.
func whereTraffic(r rollout.Rollout) mrkdwn {
	if r.Kind == rollout.Deployment && !trafficMoved(r) {
		return untouched(r)
	}
	var lines []mrkdwn
	for _, name := range slices.Sorted(maps.Keys(r.Services)) {
		line := escape(serving(r, r.Services[name]))
		if len(r.Services) > 1 {
			line = say("%s: %s", name, line)
		}
		lines = append(lines, line)
	}
	return sentences("\n", lines...)
}

// untouched is where the traffic of a deployment is that never came to move any.
func untouched(r rollout.Rollout) mrkdwn {
	if r.End.Result == rollout.Succeeded {
		return ""
	}
	return say("This rollout moved no traffic; %s served when it began.", old(r))
}

// serving says what serves of one service, as far as it is proven.
func serving(r rollout.Rollout, s rollout.Service) string {
	before, after := shortRevision(s, s.Stable), shortRevision(s, s.Candidate)
	if r.Kind == rollout.Rollback {
		before, after = cmp.Or(before, "the revision before"), cmp.Or(after, "the revision asked for")
		if s.Percent == 100 {
			return fmt.Sprintf("All traffic is on %s.", after)
		}
		return fmt.Sprintf("It is not proven that the traffic moved: %s may still serve. Look before you rely on it.", before)
	}
	if unproven(r, s.Name) {
		return fmt.Sprintf("When last seen, %d%% of the traffic was on the new revision. Details has the command that puts it on %s.", s.Percent, before)
	}
	switch s.Percent {
	case 0:
		if r.End.Result == rollout.RolledBack {
			return fmt.Sprintf("All traffic is back on %s.", before)
		}
		return fmt.Sprintf("All traffic is on %s.", before)
	case 100:
		return fmt.Sprintf("All traffic is on the new revision, %s.", after)
	}
	return fmt.Sprintf("%d%% of the traffic is on the new revision, %s, and the rest on %s, until somebody moves it.", s.Percent, after, before)
}

// unproven reports whether the last thing done to a service's traffic may or may not have happened.
func unproven(r rollout.Rollout, service string) bool {
	doubt := false
	for _, phase := range r.Phases {
		for _, s := range phase.Steps {
			if t := s.Spec.Traffic; t != nil && t.Service == service && s.Attempt > 0 && !s.Spec.ReportOnly {
				doubt = s.Status != rollout.StepPassed
			}
		}
	}
	return doubt
}

// comparison is the error rates of a service whose old revision is the worse one.
type comparison struct {
	service  string  // "" if the rollout has only one
	new, old float64 // fractions
	counted  string  // "40 of 133"
}

// worse compares the revisions if the old one is known to fail more often; of several services, the
// one with the widest gap.
func worse(r rollout.Rollout) (comparison, bool) {
	var found comparison
	if !r.OldIsWorse() {
		return found, false
	}
	for _, name := range slices.Sorted(maps.Keys(r.Services)) {
		step, before := newestGate(r, name), r.Services[name].Baseline
		if step == nil || before == nil {
			continue
		}
		n := step.Gate.Counts
		c := comparison{
			service: name, new: rollout.Share(n.Errors, n.Requests), old: rollout.Share(before.Errors, before.Requests),
			counted: rollout.Count(n.Errors) + " of " + rollout.Count(n.Requests),
		}
		if found.counted == "" || c.old-c.new > found.old-found.new {
			found = c
		}
	}
	if len(r.Services) == 1 {
		found.service = ""
	}
	return found, found.counted != ""
}

// String is both rates: "New 30% errors (40 of 133), old 72%".
func (c comparison) String() string {
	rates := fmt.Sprintf("New %s errors (%s), old %s", rollout.Percent(c.new), c.counted, rollout.Percent(c.old))
	if c.service != "" {
		return c.service + ": " + rates
	}
	return rates
}

// lastGate is the error_rate gate that says most now: the one that was started last, of the service or,
// with "", of all. nil if none has counted yet. One that was cancelled says nothing.
func lastGate(r rollout.Rollout, service string) *rollout.Step {
	return latest(r, service, func(s rollout.Step) bool { return s.Status != rollout.StepCancelled })
}

// newestGate is the same with those that were cancelled: their counts stay true.
func newestGate(r rollout.Rollout, service string) *rollout.Step {
	return latest(r, service, func(rollout.Step) bool { return true })
}

func latest(r rollout.Rollout, service string, counts func(rollout.Step) bool) *rollout.Step {
	var last *rollout.Step
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			s := &r.Phases[pi].Steps[si]
			if s.Gate == nil || s.Spec.ErrorRate == nil || !counts(*s) || service != "" && s.Spec.Service() != service {
				continue
			}
			if last == nil || !s.Started.Before(last.Started) {
				last = s
			}
		}
	}
	return last
}

// lastLatency is of the gates on slow requests what lastGate is of those on errors.
func lastLatency(r rollout.Rollout, service string) *rollout.Step {
	var last *rollout.Step
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			s := &r.Phases[pi].Steps[si]
			ours := s.Gate != nil && s.Spec.Latency != nil && (service == "" || s.Spec.Service() == service)
			if ours && s.Status != rollout.StepCancelled && (last == nil || !s.Started.Before(last.Started)) {
				last = s
			}
		}
	}
	return last
}
