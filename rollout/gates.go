package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/plan"
	"slipway/verdict"
)

// lookEvery is how often a gate reads the log: entries.list allows 60 calls a minute and project
// (Cloud Logging quotas).
const lookEvery = 10 * time.Second

// GateActions are the step kinds that end in a verdict.
func GateActions(log RequestLog, prober Prober) map[plan.Kind]Action {
	g := gates{log: log, prober: prober}
	return map[plan.Kind]Action{
		plan.KindErrorRate: gateAction{look: g.lookRate},
		plan.KindLatency:   gateAction{look: g.lookRate},
		plan.KindNoLogs:    gateAction{look: g.lookNoLogs},
	}
}

// gateAction is a step whose only effect is test requests: it looks. Its handle is where its window begins, so
// that whoever goes on with it counts the same requests.
type gateAction struct {
	look func(ctx context.Context, t Task, since time.Time) (Outcome, error)
}

type gateHandle struct {
	Since time.Time `json:"since"`
}

// sinceOf reads a gate's handle.
func sinceOf(handle string) (time.Time, error) {
	var h gateHandle
	if err := json.Unmarshal([]byte(handle), &h); err != nil {
		return time.Time{}, &Failure{Label: "internal", Reason: "This gate's record cannot be read.", Err: err}
	}
	return h.Since, nil
}

func (g gateAction) Find(context.Context, Task) (string, bool, error) { return "", false, nil }

func (g gateAction) Start(_ context.Context, t Task) (string, error) {
	service := t.Services[t.Step.Service()]
	if service.Candidate.Name == "" {
		return "", &Failure{Label: "no_candidate", Reason: "There is no new revision of " + service.Name + " to look at yet."}
	}
	if service.ShiftedAt.IsZero() {
		return "", &Failure{Label: "no_traffic", Reason: "The new revision of " + service.Name + " gets no traffic yet, so there is nothing to count."}
	}
	h, err := json.Marshal(gateHandle{Since: service.ShiftedAt})
	return string(h), err
}

func (g gateAction) Poll(ctx context.Context, t Task, handle string) (Outcome, error) {
	since, err := sinceOf(handle)
	if err != nil {
		return Outcome{}, err
	}
	o, err := g.look(ctx, t, since)
	var failure *Failure
	if errors.As(err, &failure) { // without data there is no verdict, and a FAIL least of all
		return Outcome{State: Inconclusive, Note: failure.Reason, Detail: failure.Detail, Label: failure.Label}, nil
	}
	return o, err
}

func (g gateAction) Cancel(context.Context, Task, string) error { return nil }

// gates look at what the actions share.
type gates struct {
	log    RequestLog
	prober Prober
}

// lookRate sends the test requests that are due, counts, and decides. What the service's earlier gates counted is
// looked at first: when entries that were late turned one of them into a FAIL, the traffic should not be here.
func (g gates) lookRate(ctx context.Context, t Task, since time.Time) (Outcome, error) {
	service := t.Services[t.Step.Service()]
	g.probe(ctx, t, service)
	for _, s := range t.Passed {
		turned, err := g.turned(ctx, s, service)
		if turned != "" || err != nil {
			return Outcome{State: FailedState, Label: LabelTurned, Note: turned}, err
		}
	}
	requests, err := g.log.Requests(ctx, queryOf(t.Step, service, since))
	if err != nil {
		return Outcome{}, err
	}
	o, err := JudgeRate(Case{
		Rollout: t.Key.Rollout, Step: t.Key.Step, Target: t.Target, Spec: t.Step, Service: service, Since: since, Requests: requests, Extra: t.Extra, Probing: probesOf(t) != nil,
	}, time.Now().UTC())
	if o.State == StillRunning && probesOf(t) != nil {
		o.Again = time.Second // the rest of the time goes into test requests
	}
	return o, err
}

// turned says why a gate that passed is a FAIL by now; "": it is not. Entries that were late have turned it, or what
// came after it did.
func (g gates) turned(ctx context.Context, s Step, service Service) (string, error) {
	since, err := sinceOf(s.Handle)
	if err != nil {
		return "", err
	}
	requests, err := g.log.Requests(ctx, queryOf(s.Spec, service, since))
	if err != nil {
		return "", err
	}
	c := Case{Spec: s.Spec, Requests: requests}
	own, err := c.again(s.Gate, s.Gate.Until, 0)
	if err != nil {
		return "", err
	}
	all, err := c.again(s.Gate, requests.closed(s.Spec.CountingGate().MaxLatency.D(), time.Now()), requests.Dropped)
	why, counts := "passed, but since then it is", all.Counts()
	switch {
	case err != nil:
		return "", err
	case own.Verdict == verdict.Fail:
		why, counts = "passed too early; with the requests that were logged late it is", own.Counts()
	case all.Verdict != verdict.Fail:
		return "", nil
	}
	return fmt.Sprintf("'%s' %s %s. Limit %s: failed.", s.Spec.Name, why, lower(wordsFor(s.Spec).rate(counts)), s.Spec.Limit()), nil
}

// queryOf is what a gate asks of the log.
func queryOf(s plan.Step, service Service, since time.Time) Query {
	q := Query{Service: service, Revision: service.Candidate.Name, Since: since}
	if gate := s.CountingGate(); gate != nil {
		q.Ignore, q.Late = gate.Ignore, gate.MaxLatency.D()
		if gate.Source == plan.SourceLogs || gate.Source == plan.SourceMetrics {
			q.Service.Source = string(gate.Source)
		}
	}
	if s.Latency != nil {
		q.Slow = s.Latency.Below.D()
	}
	return q
}

// probesOf is what a gate sends; nil: nothing. Cloud Monitoring cannot tell test requests from users'.
func probesOf(t Task) *plan.Probes {
	gate := t.Step.CountingGate()
	source := queryOf(t.Step, t.Services[t.Step.Service()], time.Time{}).Service.Source
	switch {
	case gate == nil || source == FromMetrics:
		return nil
	case gate.Probes == nil && t.Probing:
		return plan.DefaultProbes()
	}
	return gate.Probes
}

// probesAtOnce bounds the test requests that are under way, for a revision that answers slowly.
const probesAtOnce = 10

// probe sends test requests at their rate for as long as passes between two looks. How they were answered is for
// the log to say, which counts them once whoever sent them.
func (g gates) probe(ctx context.Context, t Task, service Service) {
	probes := probesOf(t)
	if probes == nil {
		return
	}
	var sending errgroup.Group
	sending.SetLimit(probesAtOnce)
	due := time.NewTicker(time.Duration(float64(time.Second) / probes.Rate))
	defer due.Stop()
	for end := time.Now().Add(lookEvery); time.Now().Before(end); {
		select {
		case <-ctx.Done():
		case <-due.C:
			sending.TryGo(func() error { return g.prober.Probe(ctx, service, probes.Path) })
			continue
		}
		break
	}
	_ = sending.Wait()
}

func (g gates) lookNoLogs(ctx context.Context, t Task, since time.Time) (Outcome, error) {
	spec := t.Step.NoLogs
	service := t.Services[spec.Service]
	lines, err := g.log.Lines(ctx, service, service.Candidate.Name, spec.Match, t.Created)
	if err != nil {
		return Outcome{}, err
	}
	requests, err := g.log.Requests(ctx, queryOf(t.Step, service, since))
	if err != nil {
		return Outcome{}, err
	}
	return JudgeNoLogs(spec, service, since, lines, requests, time.Now().UTC(), t.Extra), nil
}
