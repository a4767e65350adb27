package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

func look(actor string) Request {
	req := command(actor, "")
	req.Show = ShowHome
	return req
}

// TestHome compares what people read with testdata/home.golden; -update rewrites it.
func TestHome(t *testing.T) {
	atApproval := func(h *Handler, m *memory) { m.begin(h.File(), "UDEPLOYER", "staging") }
	locked := func(h *Handler, m *memory) {
		deployed(h, m)
		m.locks = []rollout.Lock{
			{Target: plan.Target{Environment: "staging"}, By: rollout.Actor{ID: "UONCALL"}, Since: start(), Reason: "load test {@@everyone}", Expires: start().Add(time.Hour)},
			{Target: plan.Target{Environment: "production"}, By: rollout.Actor{ID: "UONCALL"}, Since: start(), Reason: "not in the file"},
		}
	}
	tests := []struct {
		name  string
		given func(*Handler, *memory)
		as    string
	}{
		{"nothing yet", func(*Handler, *memory) {}, "UOUTSIDER"},
		{"an approval waits", atApproval, "UAPPROVER"},
		{"an approval waits, for others than who started it", atApproval, "UDEPLOYER"},
		{"an approval waits, for others than an outsider", atApproval, "UOUTSIDER"},
		{"one of two approvals is given by the reader", func(h *Handler, m *memory) {
			id := m.begin(h.File(), "UDEPLOYER", "preview")
			m.apply(id, rollout.Event{At: start(), Kind: rollout.Said, Ask: "1.1", Verb: rollout.VerbApprove, By: &rollout.Actor{ID: "UAPPROVER", Name: "approver"}})
		}, "UAPPROVER"},
		{"one of two approvals is missing", func(h *Handler, m *memory) {
			id := m.begin(h.File(), "UDEPLOYER", "preview")
			m.apply(id, rollout.Event{At: start(), Kind: rollout.Said, Ask: "1.1", Verb: rollout.VerbApprove, By: &rollout.Actor{ID: "UAPPROVER", Name: "approver"}})
		}, "UONCALL"},
		{"at the gate", func(h *Handler, m *memory) { gateWithHealthyOld(h, m) }, "UDEPLOYER"},
		{"a decision waits", func(h *Handler, m *memory) { deployFailed(h, m) }, "UDEPLOYER"},
		{"locks, and what has ended", locked, "UONCALL"},
		{"incidents", func(h *Handler, m *memory) { several(h, m) }, "UOUTSIDER"},
		{"incidents cannot be read", func(h *Handler, m *memory) { atApproval(h, m); h.Incidents = forgotten{} }, "UOUTSIDER"},
		{"groups cannot be read", func(h *Handler, m *memory) { atApproval(h, m); h.Directory = broken{} }, "UAPPROVER"},
		{"the store is down", func(h *Handler, m *memory) { atApproval(h, m); m.down = true }, "UAPPROVER"},
	}
	var all strings.Builder
	for _, test := range tests {
		h, m := newHandler(t)
		test.given(h, m)
		reply := h.Handle(t.Context(), look(test.as))
		if reply.Text != "" || reply.Home == nil {
			t.Fatalf("%s: %+v", test.name, reply)
		}
		if strings.Contains(reply.Home.Trouble, "10.0.0.7") {
			t.Errorf("%s: %s", test.name, reply.Home.Trouble)
		}
		fmt.Fprintf(&all, "== %s\n%s\n", test.name, readable(asText(reply.Home)))
	}
	if *update {
		if err := os.WriteFile("testdata/home.golden", []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/home.golden")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "testdata/home.golden", all.String(), string(want))
}

func asText(home *Home) string {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	if home.Trouble != "" {
		line("! %s", home.Trouble)
	}
	for _, text := range home.Failing {
		line("* %s", text)
	}
	for _, i := range home.Waiting {
		line("? %s [%s]", i.Text, i.Channel)
	}
	for _, p := range home.Places {
		line("# %s", p.Environment)
		for _, i := range p.Running {
			line("> %s [%s]", i.Text, i.Channel)
		}
		for _, text := range p.Locks {
			line("x %s", text)
		}
		for _, text := range p.Ended {
			line("- %s", text)
		}
	}
	return out.String()
}

// counting counts how often Slack is asked for a group's members.
type counting struct {
	Directory
	asked map[string]int
}

func (c counting) Member(ctx context.Context, user string, handles []string) (bool, error) {
	c.asked[strings.Join(handles, " ")]++
	return c.Directory.Member(ctx, user, handles)
}

// There are 20 such calls a minute, and clicks need them.
func TestHomeAsksAboutEachGroupOnce(t *testing.T) {
	h, m := newHandler(t)
	dir := counting{h.Directory, map[string]int{}}
	h.Directory = dir
	h.Handle(t.Context(), look("UAPPROVER"))
	if len(dir.asked) != 0 {
		t.Errorf("asked %v although nothing is open", dir.asked)
	}
	m.begin(h.File(), "UDEPLOYER", "staging")
	m.begin(h.File(), "UDEPLOYER", "preview/auth")
	m.begin(h.File(), "UDEPLOYER", "preview/web")
	home := h.Handle(t.Context(), look("UAPPROVER")).Home
	if len(home.Waiting) != 3 || dir.asked["@release-managers"] != 1 {
		t.Errorf("%d questions, asked %v", len(home.Waiting), dir.asked)
	}
}

func TestHomeOfManyIsCut(t *testing.T) {
	h, m := newHandler(t)
	r := *m.find(m.begin(h.File(), "UDEPLOYER", "staging"))
	for i := range 40 {
		r.ID, r.Target.Environment = fmt.Sprintf("copy%02d", i), fmt.Sprintf("env%02d", i)
		m.rollouts = append(m.rollouts, r)
		r.ID, r.Target.Environment = fmt.Sprintf("more%02d", i), "staging"
		m.rollouts = append(m.rollouts, r)
		m.locks = append(m.locks, rollout.Lock{Target: plan.Target{Environment: "staging"}, By: rollout.Actor{ID: "UONCALL"}, Since: start()})
	}
	home := h.Handle(t.Context(), look("UAPPROVER")).Home
	if len(home.Places) != maxPlaces || home.More != 42-maxPlaces || len(home.Waiting) != maxWaiting {
		t.Errorf("%d places, %d more, %d questions", len(home.Places), home.More, len(home.Waiting))
	}
	if p := home.Places[0]; len(p.Running) != maxItems+1 || len(p.Locks) != maxItems+1 || !strings.HasPrefix(p.Running[maxItems].Text, "And 37 more") {
		t.Errorf("%+v", p)
	}
}

// A store that fails half way is no Home that looks complete.
func TestHomeNeedsAllOfTheStore(t *testing.T) {
	h, m := newHandler(t)
	m.begin(h.File(), "UDEPLOYER", "staging")
	h.Past = forgetful{}
	home := h.Handle(t.Context(), look("UAPPROVER")).Home
	if len(home.Places) != 0 || home.Trouble != "Could not read the history. Press Refresh to try again." {
		t.Errorf("%+v", home)
	}
}

type forgetful struct{}

func (forgetful) History(context.Context, string, int) ([]rollout.Rollout, error) {
	return nil, errors.New("redis: broken")
}
