package commands

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"slices"
	"testing"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// start is the time at which requests of these tests are made: 2026-01-05 10:00 UTC.
func start() time.Time { return time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC) }

// memory is an engine without a loop: rollouts move when a test applies events to them. What people
// say goes through rollout.Apply, as in the real one.
type memory struct {
	t          *testing.T
	rollouts   []rollout.Rollout
	started    []rollout.Request
	told       []rollout.Event
	err        error                // of the engine's calls but Load, before any effect
	down       bool                 // no call of the store comes through
	locked     *rollout.LockedError // of Start and Lock: someone was faster
	locks      []rollout.Lock       // of people
	line       []rollout.Lock       // who waits
	past       []rollout.Rollout    // ended elsewhere
	cloud      cloud                // what serves, and what it got
	rolledBack []rollout.RollbackRequest
	before     func(*memory, string) // is called by Tell first: someone else is faster
	book       incident.Book         // what fails between rollouts; its Sources are what is watched
}

var errStore = errors.New("redis: connection refused to 10.0.0.7")

var _ Engine = (*rollout.Engine)(nil)

func (m *memory) Start(ctx context.Context, req rollout.Request) (rollout.Rollout, error) {
	m.timed(ctx)
	switch {
	case m.broken() != nil:
		return rollout.Rollout{}, m.broken()
	case m.locked != nil:
		return rollout.Rollout{}, m.locked
	}
	for _, r := range m.rollouts {
		if r.Token == req.Token {
			return r, nil
		}
	}
	services, before := map[string]rollout.Service{}, m.cloud.old
	for _, s := range req.Environment.Services {
		if req.Target.Service == "" || s.Name == req.Target.Service {
			services[s.Name] = rollout.Service{
				Name: s.Name, CloudRun: s.CloudRun, Project: s.Project, Region: s.Region, Stable: rollout.Revision{Name: s.CloudRun + "-00041-abc"},
				Image: rollout.Image{Repository: s.Image, Tag: s.Tag, Digest: digest("b")}, OldImage: s.Image + "@" + digest("a"),
				Baseline: &before,
			}
		}
	}
	req.FailedBefore = m.cloud.failedBefore
	r, _ := rollout.New(req, rollout.NewID(req.Token, 0), services)
	m.rollouts, m.started = append(m.rollouts, r), append(m.started, req)
	return r, nil
}

func (m *memory) Tell(ctx context.Context, id string, e rollout.Event) (rollout.Rollout, error) {
	m.timed(ctx)
	if m.broken() != nil {
		return rollout.Rollout{}, m.broken()
	}
	if m.before != nil {
		m.before(m, id)
	}
	r := m.find(id)
	if r == nil {
		return rollout.Rollout{}, rollout.ErrNotFound
	}
	next, err := rollout.Apply(*r, e)
	if err != nil {
		return *r, err
	}
	*r = next
	m.told = append(m.told, e)
	return next, nil
}

func (m *memory) Load(ctx context.Context, id string) (rollout.Rollout, error) {
	m.timed(ctx)
	if m.down {
		return rollout.Rollout{}, errStore
	}
	if r := m.find(id); r != nil {
		return *r, nil
	}
	return rollout.Rollout{}, rollout.ErrNotFound
}

func (m *memory) Active(ctx context.Context) ([]rollout.Rollout, error) {
	m.timed(ctx)
	running := slices.Clone(m.rollouts)
	return slices.DeleteFunc(running, func(r rollout.Rollout) bool { return r.Status == rollout.Ended }), m.broken()
}

func (m *memory) broken() error {
	if m.down {
		return errStore
	}
	return m.err
}

func (m *memory) timed(ctx context.Context) {
	if _, ok := ctx.Deadline(); !ok {
		m.t.Error("a call without a deadline")
	}
}

func (m *memory) find(id string) *rollout.Rollout {
	i := slices.IndexFunc(m.rollouts, func(r rollout.Rollout) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return &m.rollouts[i]
}

// apply moves a rollout by events that belong to the engine's loop.
func (m *memory) apply(id string, events ...rollout.Event) {
	m.t.Helper()
	r := m.find(id)
	for _, e := range events {
		next, err := rollout.Apply(*r, e)
		if err != nil {
			m.t.Fatalf("apply %+v: %v", e, err)
		}
		*r = next
	}
}

// settle carries out all that time and state alone bring about.
func (m *memory) settle(id string, now time.Time) {
	m.t.Helper()
	for {
		due := rollout.Next(*m.find(id), now).Events
		if len(due) == 0 {
			return
		}
		m.apply(id, due...)
	}
}

// run starts a step and, unless outcome is nil, ends it so.
func (m *memory) run(id, step string, outcome *rollout.Outcome) {
	m.t.Helper()
	m.apply(id, rollout.Event{At: start(), Kind: rollout.StepStarted, Step: step, Attempt: 1})
	if outcome != nil {
		m.apply(id, rollout.Event{At: start(), Kind: rollout.StepEnded, Step: step, Attempt: 1, Outcome: outcome})
	}
}

// begin starts a rollout of target and lets it come to its approval.
func (m *memory) begin(file *plan.File, by, target string) string {
	m.t.Helper()
	to, err := plan.ParseTarget(file, target)
	if err != nil {
		m.t.Fatal(err)
	}
	steps, err := file.PlanFor(to)
	if err != nil {
		m.t.Fatal(err)
	}
	r, err := m.Start(withDeadline(m.t), rollout.Request{
		Token: "begin " + target, Target: to, Environment: file.Environment(to.Environment), Plan: steps,
		By: rollout.Actor{ID: by, Name: "deployer"}, Channel: "C1", At: start().Add(-5 * time.Minute),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.started = nil
	m.settle(r.ID, start().Add(-4*time.Minute))
	return r.ID
}

// toGate approves a rollout of staging and brings it to its gate at 10%.
func (m *memory) toGate(id string) {
	m.t.Helper()
	percent, passed := 10, rollout.Outcome{State: rollout.Passed}
	m.apply(id, rollout.Event{At: start().Add(-3 * time.Minute), Kind: rollout.Said, Ask: "2.1", Verb: rollout.VerbApprove, By: &rollout.Actor{ID: "UAPPROVER", Name: "approver"}})
	m.run(id, "3.1", &passed)
	m.run(id, "3.2", &rollout.Outcome{State: rollout.Passed, Change: &rollout.ServiceChange{Service: "backend", Percent: &percent}})
	m.run(id, "3.3", nil)
	m.apply(id, rollout.Event{At: start(), Kind: rollout.StepProgress, Step: "3.3", Attempt: 1, Outcome: &rollout.Outcome{
		State: rollout.StillRunning, Note: "118 requests, 1 error. 6 more clean ones to pass (about 15 s).",
		Gate: &rollout.Gate{
			Revision: "backend-staging-s" + id + "-1", Limit: 0.05, Since: start().Add(-3 * time.Minute), Until: start().Add(-10 * time.Second),
			Counts: verdict.Counts{Requests: 118, Errors: 1}, Verdict: verdict.Inconclusive, AtMost: 0.053,
		},
	}})
}

func withDeadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// newHandler returns a handler on a fresh engine, with testdata/deploy.yaml.
func newHandler(t *testing.T) (*Handler, *memory) {
	t.Helper()
	file, err := plan.LoadFile("testdata/deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{t: t, cloud: cloud{t: t, old: rollout.Baseline{Requests: 1672, Errors: 1204}}}
	return New(Config{
		File:      func() *plan.File { return file },
		Engine:    m,
		Locker:    m,
		Queue:     m,
		Past:      m,
		Traffic:   &m.cloud,
		Incidents: m,
		Directory: groups{"@backend": {"UDEPLOYER", "UAPPROVER"}, "@release-managers": {"UAPPROVER", "UONCALL", "UDEPLOYER"}},
		Log:       slog.New(slog.DiscardHandler),
	}), m
}
