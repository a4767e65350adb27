package commands

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// cloud is what Traffic sees: every service is served by its revision 00041.
type cloud struct {
	t            *testing.T
	old          rollout.Baseline // of every service; its window is the ten minutes before a look
	image        string           // the digest that tags lead to; "": another one than the old one's
	slots        []rollout.Slot   // what the serving revision got
	err          error
	unknown      error // of a look at a revision by its name
	failedBefore []string
}

var _ Traffic = (*cloud)(nil)

func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func (c *cloud) Inspect(ctx context.Context, s plan.Service, what string, now time.Time) (rollout.Service, error) {
	found, err := c.InspectRevision(ctx, s, "", now)
	tag := s.Tag
	if what != "" {
		tag = what
	}
	found.Image = rollout.Image{Repository: s.Image, Tag: tag, Digest: digest("b")}
	if c.image != "" {
		found.Image.Digest = c.image
	}
	return found, err
}

func (c *cloud) InspectRevision(ctx context.Context, s plan.Service, name string, now time.Time) (rollout.Service, error) {
	if _, ok := ctx.Deadline(); !ok {
		c.t.Error("a call without a deadline")
	}
	before := c.old
	before.Since, before.Until = now.Add(-10*time.Minute), now
	found := rollout.Service{
		Name: s.Name, CloudRun: s.CloudRun, Project: s.Project, Region: s.Region, OldImage: s.Image + "@" + digest("a"),
		Stable: rollout.Revision{Name: s.CloudRun + "-00041-abc"}, Baseline: &before,
	}
	if name != "" {
		found.Candidate = rollout.Revision{Name: s.CloudRun + "-" + strings.TrimPrefix(name, s.CloudRun+"-")}
		if c.unknown != nil {
			return found, c.unknown
		}
		if strings.HasPrefix(found.Candidate.Name, s.CloudRun+"-00041") {
			return found, &rollout.Failure{Reason: "All traffic is there already.", Label: "serves_already"}
		}
	}
	return found, c.err
}

func (c *cloud) Requests(ctx context.Context, q rollout.Query) (rollout.Requests, error) {
	if _, ok := ctx.Deadline(); !ok || !strings.HasSuffix(q.Revision, "-00041-abc") || q.Since.After(start()) {
		c.t.Errorf("requests of %s since %s, deadline %v", q.Revision, q.Since, ok)
	}
	return rollout.Requests{Slots: c.slots}, c.err
}

func (m *memory) Rollback(ctx context.Context, req rollout.RollbackRequest) (rollout.Rollout, error) {
	m.timed(ctx)
	switch {
	case m.broken() != nil:
		return rollout.Rollout{}, m.broken()
	case m.locked != nil:
		return rollout.Rollout{}, m.locked
	}
	services := map[string]rollout.Service{}
	for _, s := range req.Environment.Services {
		if req.Target.Service != "" && s.Name != req.Target.Service {
			continue
		}
		name := req.Revision
		if name == "" {
			name = "00040-xyz"
		}
		found, err := m.cloud.InspectRevision(ctx, *s, name, req.At)
		if err != nil {
			return rollout.Rollout{}, err
		}
		services[s.Name] = found
	}
	r, _ := rollout.NewRollback(req, rollout.NewID(req.Token, 0), services)
	m.rollouts, m.rolledBack = append(m.rollouts, r), append(m.rolledBack, req)
	return r, nil
}

func (m *memory) Lock(ctx context.Context, l rollout.Lock) (rollout.Lock, error) {
	m.timed(ctx)
	if m.broken() != nil {
		return rollout.Lock{}, m.broken()
	}
	if m.locked != nil {
		return rollout.Lock{}, m.locked
	}
	l.Fence = 7
	m.locks = append(slices.DeleteFunc(m.locks, func(old rollout.Lock) bool { return old.Target == l.Target }), l)
	return l, nil
}

func (m *memory) Unlock(ctx context.Context, target plan.Target, fence int64) error {
	m.timed(ctx)
	if m.broken() != nil {
		return m.broken()
	}
	if m.locked != nil {
		return m.locked
	}
	m.locks = slices.DeleteFunc(m.locks, func(l rollout.Lock) bool { return l.Target == target && l.Fence == fence })
	return nil
}

func (m *memory) Holder(ctx context.Context, target plan.Target) (rollout.Lock, bool, error) {
	m.timed(ctx)
	if m.down {
		return rollout.Lock{}, false, errStore
	}
	for _, r := range m.rollouts {
		if r.Status != rollout.Ended && overlap(r.Lock.Target, target) {
			return r.Lock, true, nil
		}
	}
	for _, l := range m.locks {
		if overlap(l.Target, target) {
			return l, true, nil
		}
	}
	return rollout.Lock{}, false, nil
}

func (m *memory) Locks(ctx context.Context) ([]rollout.Lock, error) {
	m.timed(ctx)
	if m.down {
		return nil, errStore
	}
	locks := slices.Clone(m.locks)
	for _, r := range m.rollouts {
		if r.Status != rollout.Ended {
			locks = append(locks, r.Lock)
		}
	}
	return locks, nil
}

func (m *memory) History(ctx context.Context, environment string, n int) ([]rollout.Rollout, error) {
	m.timed(ctx)
	if m.down {
		return nil, errStore
	}
	var ended []rollout.Rollout
	for _, r := range slices.Backward(m.rollouts) {
		if r.Status == rollout.Ended && r.Target.Environment == environment {
			ended = append(ended, r)
		}
	}
	ended = append(ended, m.past...)
	return ended[:min(n, len(ended))], nil
}
