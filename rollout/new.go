package rollout

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
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
	// FailedBefore says, a sentence each, which of the images failed the last time they were rolled
	// out; the rollout then begins with a question.
	FailedBefore []string
}

// RollbackRequest is a person's wish to return services to revisions that served before. It needs no
// approval, and no person's lock keeps it from starting.
type RollbackRequest struct {
	Token       string
	Target      plan.Target
	Environment *plan.Environment
	Revision    string // of the target's one service; "": for each service the last one that passed
	Reason      string
	By          Actor
	Channel     string
	At          time.Time
}

// Names of the phases that rollouts add to their plan.
const (
	PhaseHandOver = "Hand over"
	PhaseReturn   = "Return to stable"
	PhaseRollback = "Roll back"
	PhaseAgain    = "Failed before"
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
		PlanName: req.Plan.Name, PlanDigest: req.Plan.Digest(), OnFailure: req.Plan.OnFailure, WatchFor: req.Plan.Watch,
		Services: services, Channel: req.Channel, By: req.By, Created: req.At, Status: Running, Events: 1,
		Lock: Lock{Target: req.Environment.LockTarget(req.Target), Rollout: id, By: req.By, Since: req.At},
	}
	r.askAgain(req.FailedBefore)
	gates := 0
	for _, p := range req.Plan.Phases {
		phase := Phase{Name: p.Name, Parallel: p.Parallel}
		for _, s := range p.Steps {
			if _, ok := services[s.Service()]; s.Service() != "" && !ok {
				continue
			}
			if s.CountingGate() != nil {
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

// askAgain puts a question before the plan of a rollout whose image failed the last time.
func (r *Rollout) askAgain(failed []string) {
	if len(failed) == 0 {
		return
	}
	r.addPhase(Phase{Name: PhaseAgain, Added: true, Steps: []Step{{Status: StepPending, Spec: plan.Step{
		Name: "Deploy it again?", Kind: plan.KindManual, Manual: strings.Join(failed, " ") + " Deploy it again?", Timeout: plan.Duration(decisionTime),
	}}}})
}

// NewRollback makes the first snapshot of a rollback: one phase that sends all traffic of each
// service to its Candidate, the revision that served before, whatever state the service is in.
func NewRollback(req RollbackRequest, id string, services map[string]Service) (Rollout, Event) {
	r := Rollout{
		Schema: Schema, Kind: Rollback, ID: id, Version: 1, Token: req.Token,
		Target: req.Target, Environment: *req.Environment, OnFailure: plan.OnFailureAsk,
		Services: services, Channel: req.Channel, By: req.By, Created: req.At, Status: Running, Events: 1,
		Lock: Lock{Target: req.Environment.LockTarget(req.Target), Rollout: id, By: req.By, Reason: req.Reason, Since: req.At},
	}
	phase := Phase{Name: PhaseRollback, Added: true, Parallel: true}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		phase.Steps = append(phase.Steps, Step{Status: StepPending, Spec: plan.Step{
			Name: name + " to " + services[name].Candidate.Name, Kind: plan.KindTraffic, Timeout: returnTimeout, Retries: 5,
			Traffic: &plan.Traffic{Service: name, Percent: 100, To: plan.ToRevision},
		}})
	}
	r.addPhase(phase)
	return r, Event{Seq: 1, At: req.At, Kind: Created, By: &req.By, Reason: req.Reason}
}

// LockAfter is the lock that an ended rollout leaves on its target: after a rollback nobody deploys
// over it unawares. nil: the target is free.
func (r *Rollout) LockAfter() *Lock {
	if r.Kind != Rollback || r.End == nil || r.End.Result != Succeeded {
		return nil
	}
	var moves []string
	for _, name := range slices.Sorted(maps.Keys(r.Services)) {
		s := r.Services[name]
		moves = append(moves, fmt.Sprintf("%s rolled back from %s to %s", name, s.Stable.Name, s.Candidate.Name))
	}
	return &Lock{Target: r.Lock.Target, By: r.By, Reason: because(strings.Join(moves, ", "), r.Lock.Reason), Since: r.End.At}
}

// shareAlpha divides the probability of a wrong FAIL over the rollout's gates (Bonferroni), so that
// alpha_fail bounds it for the rollout and not for each gate.
func (r *Rollout) shareAlpha(gates int) {
	for pi := range r.Phases {
		for si := range r.Phases[pi].Steps {
			spec := &r.Phases[pi].Steps[si].Spec
			if gate := spec.CountingGate(); gate != nil {
				*spec = *spec.WithAlphaFail(gate.AlphaFail / float64(gates))
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
