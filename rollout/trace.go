package rollout

import (
	"context"
	"errors"
	"fmt"

	"slipway/plan"
)

// LabelLost is the Label of a Failure that is about a rollout that is not on record any more. Its Detail
// has the ways out, a line each.
const LabelLost = "lost_rollout"

// Trace is what an unfinished rollout left on a service, as Cloud Run shows it: its revision has a part
// of the traffic, or still the candidate's tag.
type Trace struct {
	Rollout  string // its ID
	Revision string
	Percent  int    // of the traffic that Revision gets, 0–100
	Before   string // the revision that it was rolled out over; "": not known
	Keep     string // the command that leaves the traffic to Revision, and ends the trace
}

// Tracer finds what rollouts left on a service. An Inspector that is one keeps a rollout that vanished with
// Redis from being deployed over.
type Tracer interface {
	// Traces returns what is left of rollouts on a service, whether they are known or not.
	Traces(ctx context.Context, s plan.Service) ([]Trace, error)
}

// refuseLost returns a *Failure if a rollout that the store does not know has traffic of the service:
// nobody would go on with it or bring the traffic back, and a new rollout would take what it finds for what
// was proven. What gets no traffic is only logged; a new candidate takes its tag over.
func (e *Engine) refuseLost(ctx context.Context, target plan.Target, s plan.Service) error {
	tracer, ok := e.Inspector.(Tracer)
	if !ok {
		return nil
	}
	traces, err := tracer.Traces(ctx, s)
	if err != nil {
		return err
	}
	for _, t := range traces {
		// Other errors mean that it is there, or that nothing can be started anyway.
		if _, err := e.Store.Load(ctx, t.Rollout); !errors.Is(err, ErrNotFound) {
			continue
		}
		e.Log.WarnContext(ctx, "a rollout left a trace and is not on record", "rollout", t.Rollout, "env", target.Environment, "service", s.Name, "revision", t.Revision, "percent", t.Percent)
		if t.Percent > 0 {
			return t.lost(target.Environment, s.Name)
		}
	}
	return nil
}

func (t Trace) lost(environment, service string) *Failure {
	back := t.Before
	if back == "" {
		back = "REVISION"
	}
	return &Failure{
		Label: LabelLost,
		Reason: fmt.Sprintf("Rollout %s left %d%% of the traffic of %s on %s, and is not on record any more: nobody goes on with it. Take %s back or keep it, then deploy again.",
			t.Rollout, t.Percent, service, t.Revision, t.Revision),
		Detail: fmt.Sprintf("Back: `/deploy rollback %s/%s %s`\nKeep: `%s`", environment, service, back, t.Keep),
	}
}
