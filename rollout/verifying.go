package rollout

import (
	"time"

	"slipway/plan"
)

// Verifying returns the services whose new revision gets users' traffic and has a gate ahead, with when it got
// the first of it. There is none once the plan was left, nor while a person decides or has paused it; a gate that
// failed ends it for its service, also where the plan goes on.
func (r *Rollout) Verifying() map[string]time.Time {
	if r.Kind == Rollback || r.End != nil || r.Stop != nil || r.held() {
		return nil
	}
	services := map[string]time.Time{}
	for name, s := range r.Services {
		if s.Percent == 0 || !r.toBeJudged(name) {
			continue
		}
		services[name] = r.firstTraffic(name)
	}
	return services
}

// toBeJudged reports whether a gate on the service has still to end, and none has failed.
func (r *Rollout) toBeJudged(service string) bool {
	ahead := false
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Spec.Service() != service || s.Spec.CountingGate() == nil && s.Spec.NoLogs == nil {
				continue
			}
			if s.Status == StepFailed {
				return false
			}
			ahead = ahead || !s.Status.Over()
		}
	}
	return ahead
}

// firstTraffic is when the first shift to the service's candidate was seen in effect.
func (r *Rollout) firstTraffic(service string) time.Time {
	first := r.Services[service].ShiftedAt
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if t := s.Spec.Traffic; t != nil && t.Service == service && t.To == plan.ToCandidate && s.Status == StepPassed {
				first = earlier(first, s.Ended)
			}
		}
	}
	return first
}

// Brought reports whether the rollout moved traffic of a service to a revision, which a rollback does too. A shift
// that was begun counts.
func (r *Rollout) Brought(service, revision string) bool {
	if revision == "" || r.Services[service].Candidate.Name != revision {
		return false
	}
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			t := s.Spec.Traffic
			if t != nil && t.Service == service && (t.To == plan.ToCandidate || t.To == plan.ToRevision) && s.Applied {
				return true
			}
		}
	}
	return false
}
