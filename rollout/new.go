package rollout

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"slipway/plan"
)

// Request is a person's wish to roll out.
type Request struct {
	Token       string // idempotency key: a repeated request finds the rollout of the first
	Target      plan.Target
	Environment *plan.Environment
	Plan        *plan.Plan
	What        string // a tag or a digest; "" is each service's own tag
	By          Actor
	Channel     string
	At          time.Time
}

// Names of the phases that rollouts add to their plan.
const (
	PhaseHandOver = "Hand over"
	PhaseReturn   = "Return to stable"
)

// returnTimeout is how long an attempt to bring traffic back may take before the next one.
const returnTimeout = plan.Duration(5 * time.Minute)

// NewID derives a rollout's ID from its request's token, so that a repeated request names the same
// rollout. salt tells apart the few tokens whose IDs collide.
func NewID(token string, salt int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s#%d", token, salt))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:6])
}

// New makes the first snapshot of a rollout and the event that created it. The environment and the
// plan are frozen into it; steps about services that are not part of it are left out.
func New(req Request, id string, services map[string]Service) (Rollout, Event) {
	r := Rollout{
		Schema: Schema, ID: id, Version: 1, Token: req.Token,
		Target: req.Target, Environment: *req.Environment,
		PlanName: req.Plan.Name, PlanDigest: req.Plan.Digest(), OnFailure: req.Plan.OnFailure,
		Services: services, Channel: req.Channel, By: req.By, Created: req.At, Status: Running, Events: 1,
		Lock: Lock{Target: req.Environment.LockTarget(req.Target), Rollout: id, By: req.By, Since: req.At},
	}
	gates := 0
	for _, p := range req.Plan.Phases {
		phase := Phase{Name: p.Name, Parallel: p.Parallel}
		for _, s := range p.Steps {
			if _, ok := services[s.Service()]; s.Service() != "" && !ok {
				continue
			}
			if s.Kind == plan.KindErrorRate {
				gates++
			}
			phase.Steps = append(phase.Steps, Step{Spec: *s, Status: StepPending})
		}
		if len(phase.Steps) > 0 {
			r.addPhase(phase)
		}
	}
	r.shareAlpha(gates)
	r.addPhase(handOver(&r))
	return r, Event{Seq: 1, At: req.At, Kind: Created, By: &req.By}
}

// shareAlpha divides the probability of a wrong FAIL over the rollout's gates (Bonferroni), so that
// alpha_fail bounds it for the rollout and not for each gate.
func (r *Rollout) shareAlpha(gates int) {
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			if spec := &r.Phases[pi].Steps[si].Spec; spec.ErrorRate != nil {
				gate := *spec.ErrorRate
				gate.AlphaFail /= float64(gates)
				spec.ErrorRate = &gate
			}
		}
	}
}

// handOver is the last phase of a rollout that goes well: traffic as traffic_after wants it, without
// the candidate's tag. Its failure is reported and undoes nothing: the new revision serves already.
func handOver(r *Rollout) Phase {
	to, name := plan.ToLatest, "follows LATEST again"
	if r.Environment.TrafficAfter == plan.TrafficPinned {
		to, name = plan.ToPinned, "stays on the new revision"
	}
	phase := Phase{Name: PhaseHandOver, Added: true}
	for _, service := range r.deployed() {
		phase.Steps = append(phase.Steps, Step{Status: StepPending, Spec: plan.Step{
			Name: fmt.Sprintf("%s %s", service, name), Kind: plan.KindTraffic, ReportOnly: true, Timeout: returnTimeout,
			Traffic: &plan.Traffic{Service: service, Percent: 100, To: to},
		}})
	}
	return phase
}

// deployed lists the services that the plan has a deploy step for, in plan order.
func (r *Rollout) deployed() []string {
	var names []string
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Spec.Kind == plan.KindDeploy {
				names = append(names, s.Spec.Deploy.Service)
			}
		}
	}
	return names
}

// addPhase appends a phase and gives its steps their IDs.
func (r *Rollout) addPhase(p Phase) {
	r.Phases = append(r.Phases, p)
	for i := range p.Steps {
		p.Steps[i].ID = fmt.Sprintf("%d.%d", len(r.Phases), i+1)
	}
}
