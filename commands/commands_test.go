package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"slipway/rollout"
)

func command(actor, text string) Request {
	return Request{ID: "envelope-1", Actor: rollout.Actor{ID: actor, Name: "someone"}, Channel: "C1", ChannelName: "deploys-staging", Text: text, At: start()}
}

func TestDeployPassesTheRequestOn(t *testing.T) {
	h, m := newHandler(t)
	first := h.Handle(t.Context(), command("UDEPLOYER", "staging v1.2.3"))
	again := h.Handle(t.Context(), command("UDEPLOYER", "staging v1.2.3"))
	if first.Text != again.Text || first.Text != "Starting backend on staging." {
		t.Errorf("answered %+v, then %+v", first, again)
	}
	if len(m.started) != 1 {
		t.Fatalf("%d rollouts, want the one of the first delivery", len(m.started))
	}
	got := m.started[0]
	if got.Token != "envelope-1" || got.Target.String() != "staging" || got.What != "v1.2.3" || got.Channel != "deploys-staging" ||
		got.Environment.Name != "staging" || got.Plan.Name != "standard" || got.By.ID != "UDEPLOYER" || !got.At.Equal(start()) {
		t.Errorf("request %+v", got)
	}
}

func TestAbortPassesTheReasonOn(t *testing.T) {
	h, m := newHandler(t)
	m.begin(h.File(), "UDEPLOYER", "staging")
	h.Handle(t.Context(), command("UDEPLOYER", "abort staging it's {@@everyone}'s <!channel>"))
	if len(m.told) != 1 {
		t.Fatalf("told %+v", m.told)
	}
	got := m.told[0]
	if got.Kind != rollout.Said || got.Verb != rollout.VerbAbort || got.Ask != "" || got.By.ID != "UDEPLOYER" || !got.At.Equal(start()) ||
		got.Reason != "it's { @@everyone}'s <!channel>" {
		t.Errorf("event %+v", got)
	}
}

// Whoever may not, or whose membership is unknown, changes nothing.
func TestNothingHappensUnauthorised(t *testing.T) {
	approve := &Click{Verb: rollout.VerbApprove, Ask: "2.1"}
	tests := []struct {
		name    string
		dir     Directory
		actor   string
		text    string
		click   *Click
		says    string
		changes bool
	}{
		{"control: a deployer", groups{"@backend": {"UDEPLOYER"}, "@release-managers": {"UAPPROVER"}}, "UDEPLOYER", "staging", nil, "Starting", true},
		{"control: an approver", groups{"@release-managers": {"UAPPROVER"}}, "UAPPROVER", "", approve, "Approved", true},
		{"an outsider deploys", groups{}, "UOUTSIDER", "staging", nil, "Only {@@backend} may", false},
		{"an outsider aborts", groups{}, "UOUTSIDER", "abort staging", nil, "Only {@@backend} may", false},
		{"the starter approves", groups{"@release-managers": {"UDEPLOYER"}}, "UDEPLOYER", "", approve, "someone else of {@@release-managers}", false},
		{"directory down, deploy", broken{}, "UDEPLOYER", "staging", nil, "Could not check whether you are in {@@backend}. Nothing was done; try again.", false},
		{"directory down, approve", broken{}, "UAPPROVER", "", approve, "Could not check whether you are in {@@release-managers}. Nothing was done; try again.", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, m := newHandler(t)
			h.Directory = test.dir
			req := command(test.actor, test.text)
			if id := m.begin(h.File(), "UDEPLOYER", "staging"); test.click != nil {
				c := *test.click
				c.Rollout, req.Click = id, &c
			}
			reply := h.Handle(t.Context(), req)
			if !strings.Contains(reply.Text, test.says) {
				t.Errorf("answered %q, want %q", reply.Text, test.says)
			}
			if changed := len(m.started)+len(m.told) > 0; changed != test.changes {
				t.Errorf("started %+v, told %+v", m.started, m.told)
			}
		})
	}
}

// broken is a directory that answers nothing.
type broken struct{}

func (broken) Missing(context.Context, string, []string) ([]string, error) {
	return nil, errors.New("users.list: timeout")
}

func (broken) Member(context.Context, string, []string) (bool, error) {
	return false, errors.New("dial tcp 10.0.0.7:443: i/o timeout")
}

func TestStatusOfManyIsCut(t *testing.T) {
	h, m := newHandler(t)
	r := *m.find(m.begin(h.File(), "UDEPLOYER", "staging"))
	for i := range maxShown + 2 {
		r.ID = fmt.Sprintf("copy%02d", i)
		m.rollouts = append(m.rollouts, r)
	}
	paragraphs := strings.Split(h.Handle(t.Context(), command("UDEPLOYER", "status")).Text, "\n\n")
	if len(paragraphs) != maxShown+1 || !strings.HasPrefix(paragraphs[maxShown], "And 3 more: ") {
		t.Errorf("%d paragraphs, the last is %q", len(paragraphs), paragraphs[len(paragraphs)-1])
	}
}

func TestHelpIsShort(t *testing.T) {
	h, _ := newHandler(t)
	for _, text := range []string{"", "help"} {
		if lines := strings.Count(h.Handle(t.Context(), command("UOUTSIDER", text)).Text, "\n") + 1; lines < 5 || lines > 20 {
			t.Errorf("help on %q has %d lines", text, lines)
		}
	}
}

func TestText(t *testing.T) {
	tests := []struct{ got, want string }{
		{sentence("no dot"), "no dot."},
		{sentence("a dot."), "a dot."},
		{sentence(" \n"), ""},
		{plain("a\tb\u202ec\x1b[31m"), "a bc[31m"},
		{plain("{{@U1} {t:1}"), "{{ @U1} { t:1}"},
		{cut("äöü", 2), "ä…"},
		{enumerate([]string{"a", "b", "c"}, " and "), "a, b and c"},
		{upper("über"), "Über"},
		{upper(""), ""},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}
