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

// Join, Leave and Lines keep the lines of memory. Turns are given by the tests.
func (m *memory) Join(ctx context.Context, token string, wish rollout.Lock, lasts time.Duration) (rollout.Joined, error) {
	m.timed(ctx)
	if m.broken() != nil {
		return rollout.Joined{}, m.broken()
	}
	if lasts != rollout.TurnTime || token == "" {
		m.t.Errorf("joined for %s with token %q", lasts, token)
	}
	l, held, _ := m.Holder(ctx, wish.Target)
	switch at := placeOf(m.line, wish.Target, wish.By); {
	case !held:
		return rollout.Joined{Free: true}, nil
	case l.TurnOf(wish.By):
		return rollout.Joined{Turn: &l}, nil
	case at >= 0:
		m.line[at] = wish
		return rollout.Joined{Position: at + 1}, nil
	}
	m.line = append(m.line, wish)
	return rollout.Joined{Position: len(m.line)}, nil
}

func (m *memory) Leave(ctx context.Context, token string, target plan.Target, who rollout.Actor) (rollout.Left, error) {
	m.timed(ctx)
	if m.broken() != nil || token == "" {
		return "", m.broken()
	}
	if at := placeOf(m.line, target, who); at >= 0 {
		m.line = slices.Delete(m.line, at, at+1)
		return rollout.LeftLine, nil
	}
	if at := placeOf(m.locks, target, who); at >= 0 && m.locks[at].InLine() {
		m.locks = slices.Delete(m.locks, at, at+1)
		return rollout.LeftTurn, nil
	}
	return rollout.LeftNone, nil
}

func (m *memory) Lines(ctx context.Context) ([]rollout.Lock, error) {
	m.timed(ctx)
	if m.down {
		return nil, errStore
	}
	return m.line, nil
}

// inLine puts people in line for staging, each a minute after the one before.
func inLine(people ...string) func(*Handler, *memory) string {
	return func(h *Handler, m *memory) string {
		lockedByOncall(h, m)
		for i, id := range people {
			m.line = append(m.line, rollout.Lock{
				Target: plan.Target{Environment: "staging"}, By: rollout.Actor{ID: id}, Since: start().Add(time.Duration(i-5) * time.Minute),
				Turn: rollout.Turn{Target: plan.Target{Environment: "staging"}, What: []string{"v1", ""}[i%2], Channel: "deploys-staging"},
			})
		}
		return ""
	}
}

// turnFor gives staging to somebody in line.
func turnFor(id string) func(*Handler, *memory) string {
	return func(_ *Handler, m *memory) string {
		m.locks = []rollout.Lock{{
			Target: plan.Target{Environment: "staging"}, By: rollout.Actor{ID: id}, Reason: "their turn in the queue",
			Since: start().Add(-time.Minute), Expires: start().Add(14 * time.Minute), Fence: 9,
			Turn: rollout.Turn{Target: plan.Target{Environment: "staging"}, What: "v1", Channel: "deploys-staging"},
		}}
		return ""
	}
}

// TestQueue compares what people read with testdata/queue.golden; -update rewrites it.
func TestQueue(t *testing.T) {
	checkReplies(t, "testdata/queue.golden", []replyCase{
		{name: "deploy what is locked", given: lockedByOncall, text: "staging v2"},
		{name: "queue", given: lockedByOncall, text: "queue staging v2"},
		{name: "queue behind others", given: inLine("UAPPROVER", "UONCALL"), text: "queue staging"},
		{name: "queue with something else", given: inLine("UAPPROVER", "UDEPLOYER"), text: "queue staging v3"},
		{name: "queue again", given: inLine("UAPPROVER", "UDEPLOYER"), text: "queue staging"},
		{name: "queue for what is free", text: "queue staging v2"},
		{name: "queue in one's turn", given: turnFor("UDEPLOYER"), text: "queue staging"},
		{name: "queue in another's turn", given: turnFor("UAPPROVER"), text: "queue staging"},
		{name: "queue for a part", given: gateWithHealthyOld, text: "queue staging/backend v2"},
		{name: "queue by an outsider", given: lockedByOncall, as: "UOUTSIDER", text: "queue staging"},
		{name: "queue for an unknown target", text: "queue stagign"},
		{name: "queue with too many words", text: "queue staging v2 please"},
		{name: "queue without a target", text: "queue"},
		{name: "queue by a mention", given: lockedByOncall, text: "queue staging", mention: true},
		{name: "status", given: inLine("UAPPROVER", "UDEPLOYER"), text: "status staging"},
		{name: "status elsewhere", given: inLine("UAPPROVER", "UDEPLOYER"), text: "status preview"},
		{name: "status of a turn", given: turnFor("UAPPROVER"), text: "status"},
		{name: "unqueue", given: inLine("UAPPROVER", "UDEPLOYER"), text: "unqueue staging"},
		{name: "unqueue in one's turn", given: turnFor("UDEPLOYER"), text: "unqueue staging"},
		{name: "unqueue without being in line", given: inLine("UAPPROVER"), text: "unqueue staging"},
		{name: "unqueue of an unknown target", text: "unqueue stagign"},
		{name: "deploy in one's turn", given: turnFor("UDEPLOYER"), text: "staging"},
		{name: "deploy in another's turn", given: turnFor("UAPPROVER"), text: "staging"},
		{name: "plan in one's turn", given: turnFor("UDEPLOYER"), text: "plan staging"},
		{name: "rollback in another's turn", given: turnFor("UAPPROVER"), text: "rollback staging"},
	})
}

func click(actor string, pass bool, fence int64) Request {
	req := command(actor, "")
	staging := plan.Target{Environment: "staging"}
	req.Turn = &Turn{Lock: staging, Fence: fence, For: staging, What: "v1", Pass: pass}
	return req
}

func TestTurnButtons(t *testing.T) {
	for name, c := range map[string]struct {
		req     Request
		started bool
		left    bool // the turn is given up
		says    string
	}{
		"deploy":             {click("UDEPLOYER", false, 9), true, false, "Starting backend on staging"},
		"pass":               {click("UDEPLOYER", true, 9), false, true, "You passed"},
		"deploy, by another": {click("UAPPROVER", false, 9), false, false, "It is the turn of {@UDEPLOYER}, until"},
		"pass, by another":   {click("UAPPROVER", true, 9), false, false, "It is the turn of {@UDEPLOYER}, until"},
		"of an older turn":   {click("UDEPLOYER", false, 8), false, false, "This turn is over"},
	} {
		t.Run(name, func(t *testing.T) {
			h, m := newHandler(t)
			turnFor("UDEPLOYER")(h, m)
			reply := h.Handle(t.Context(), c.req)
			if !strings.Contains(reply.Text, c.says) || len(m.started) == 1 != c.started || len(m.locks) == 0 != c.left {
				t.Errorf("%d started, locks %+v, answered %q", len(m.started), m.locks, reply.Text)
			}
			if c.started && m.started[0].What != "v1" {
				t.Errorf("started %+v", m.started[0])
			}
		})
	}
}

// A click that is delivered again finds the rollout that it began, whose lock is in place of the turn.
func TestTurnDeliveredTwice(t *testing.T) {
	h, m := newHandler(t)
	turnFor("UDEPLOYER")(h, m)
	first := h.Handle(t.Context(), click("UDEPLOYER", false, 9))
	m.locks = nil
	again := h.Handle(t.Context(), click("UDEPLOYER", false, 9))
	if first.Text != again.Text || first.Rollout != again.Rollout || len(m.started) != 1 {
		t.Errorf("answered %q, then %q", first.Text, again.Text)
	}
	other := click("UDEPLOYER", false, 9)
	other.ID = "envelope-2"
	if got := h.Handle(t.Context(), other); !strings.Contains(got.Text, "This turn is over") {
		t.Errorf("control: another click gave %q", got.Text)
	}
}

func TestQueueOffersItsButton(t *testing.T) {
	h, m := newHandler(t)
	lockedByOncall(h, m)
	req := command("UDEPLOYER", "staging v2")
	if got := h.Handle(t.Context(), req).Queue; got != "queue staging v2" {
		t.Errorf("offers %q", got)
	}
	req.May = []string{"deploy"}
	if got := h.Handle(t.Context(), req).Queue; got != "" {
		t.Errorf("offers a robot %q", got)
	}
	if got := h.Handle(t.Context(), command("UDEPLOYER", "lock staging")).Queue; got != "" {
		t.Errorf("offers who wants to lock %q", got)
	}
}
