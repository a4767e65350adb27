package commands

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// replyCase is a request and what came before it.
type replyCase struct {
	name    string
	given   func(*Handler, *memory) string // returns the ID of the rollout that is clicked on
	as      string                         // UDEPLOYER if ""
	text    string
	click   *Click // Rollout is filled in, if ""
	mention bool
}

// TestReplies compares what people read with testdata/replies.golden; -update rewrites it.
func TestReplies(t *testing.T) {
	const ask = "2.1"
	atApproval := func(h *Handler, m *memory) string { return m.begin(h.File(), "UDEPLOYER", "staging") }
	atGate := func(h *Handler, m *memory) string {
		id := m.begin(h.File(), "UDEPLOYER", "staging")
		m.toGate(id)
		return id
	}
	undecided := func(h *Handler, m *memory) string {
		id := atGate(h, m)
		m.apply(id, rollout.Event{At: start(), Kind: rollout.StepEnded, Step: "3.3", Attempt: 1, Outcome: &rollout.Outcome{
			State: rollout.Inconclusive, Note: "Not enough traffic: 12 of at least 70 requests.",
		}})
		return id
	}
	healthyOld := func(h *Handler, m *memory) string {
		m.cloud.old = rollout.Baseline{Requests: 1672, Errors: 8}
		return atGate(h, m)
	}
	stopped := func(h *Handler, m *memory) string {
		id := healthyOld(h, m)
		m.apply(id, rollout.Event{At: start(), Kind: rollout.Said, Verb: rollout.VerbAbort, By: &rollout.Actor{ID: "UONCALL", Name: "oncall"}, Reason: "wrong tag"})
		return id
	}
	approved := func(h *Handler, m *memory) string {
		id := atApproval(h, m)
		m.apply(id, rollout.Event{At: start(), Kind: rollout.Said, Ask: ask, Verb: rollout.VerbApprove, By: &rollout.Actor{ID: "UAPPROVER", Name: "approver"}})
		return id
	}
	expired := func(h *Handler, m *memory) string {
		id := atApproval(h, m)
		m.settle(id, start().Add(time.Hour))
		return id
	}
	pair := func(h *Handler, m *memory) string { return m.begin(h.File(), "UDEPLOYER", "preview") }
	halfApproved := func(h *Handler, m *memory) string {
		id := pair(h, m)
		m.apply(id, rollout.Event{At: start(), Kind: rollout.Said, Ask: "1.1", Verb: rollout.VerbApprove, By: &rollout.Actor{ID: "UAPPROVER", Name: "approver"}})
		return id
	}
	sides := func(h *Handler, m *memory) string {
		m.begin(h.File(), "UDEPLOYER", "preview/auth")
		return m.begin(h.File(), "UAPPROVER", "preview/web")
	}
	fails := func(err error) func(*Handler, *memory) string {
		return func(h *Handler, m *memory) string {
			id := atApproval(h, m)
			m.err = err
			return id
		}
	}
	lockedBy := func(lock rollout.Lock) func(*Handler, *memory) string {
		return func(_ *Handler, m *memory) string {
			m.locked = &rollout.LockedError{Lock: lock}
			return ""
		}
	}
	lockedByRollout := func(bring func(*Handler, *memory) string) func(*Handler, *memory) string {
		return func(h *Handler, m *memory) string {
			id := bring(h, m)
			m.locked = &rollout.LockedError{Lock: m.find(id).Lock}
			return id
		}
	}
	person := rollout.Lock{Target: plan.Target{Environment: "staging"}, By: rollout.Actor{ID: "UONCALL"}, Since: start(), Reason: "load test {@@everyone}"}
	expiring := person
	expiring.Expires = start().Add(time.Hour)

	checkReplies(t, "testdata/replies.golden", []replyCase{
		{name: "help", text: "help"},
		{name: "deploy", text: "staging"},
		{name: "deploy one service of the channel with an ID", text: "preview/web v2"},
		{name: "deploy two services", text: "preview"},
		{name: "deploy, capitals", text: "Staging"},
		{name: "deploy by an outsider", as: "UOUTSIDER", text: "staging"},
		{name: "deploy, typo", text: "stagign"},
		{name: "deploy, typo of a service", text: "staging/bakcend"},
		{name: "deploy, service alone", text: "backend"},
		{name: "deploy, typo of a command", text: "statsu staging"},
		{name: "deploy, nothing near", text: "production"},
		{name: "deploy, marks in the text", text: "{@@everyone}{t:1}<!channel>&"},
		{name: "deploy, a very long word", text: strings.Repeat("x", 10000)},
		{name: "deploy, verb behind the target", text: "staging abort"},
		{name: "a verb of later versions", text: "freeze staging"},
		{name: "stealing", text: "steal staging now"},
		{name: "approving by command", text: "approve staging"},
		{name: "deploy, locked by a rollout", given: lockedByRollout(atApproval), as: "UAPPROVER", text: "staging"},
		{name: "deploy, locked by one's own rollout", given: lockedByRollout(atGate), text: "staging"},
		{name: "deploy, locked by a rollout that has just ended", given: lockedByRollout(expired), text: "staging"},
		{name: "deploy, locked by a person", given: lockedBy(person), text: "staging"},
		{name: "deploy, locked by a person for a while", given: lockedBy(expiring), text: "staging"},
		{name: "deploy, failure", given: fails(&rollout.Failure{Reason: "there is no image main in us-docker.pkg.dev/demo/apps/backend", Err: errStore}), text: "staging"},
		{name: "deploy, unknown end", given: fails(errStore), text: "staging"},

		{name: "status of nothing", text: "status"},
		{name: "status of nothing there", given: pair, text: "status staging"},
		{name: "status of an unknown target", text: "status stagign"},
		{name: "status at the approval", given: atApproval, text: "status"},
		{name: "status at the gate", given: atGate, text: "status staging/backend"},
		{name: "status, undecided", given: undecided, text: "status"},
		{name: "status, stopped", given: stopped, text: "status"},
		{name: "status, one of two approvals", given: halfApproved, text: "status preview"},
		{name: "status of two", given: sides, text: "status"},
		{name: "status, store down", given: fails(errStore), text: "status"},

		{name: "abort before traffic moved", given: atApproval, text: "abort staging wrong tag"},
		{name: "abort at the gate", given: healthyOld, text: "abort staging"},
		{name: "abort when the old revision is the worse one", given: atGate, text: "abort staging"},
		{name: "abort by an outsider", given: atGate, as: "UOUTSIDER", text: "abort staging"},
		{name: "abort again", given: stopped, text: "abort staging"},
		{name: "abort of nothing", text: "abort staging"},
		{name: "abort of a part", given: atGate, text: "abort staging/backend"},
		{name: "abort of the whole", given: sides, text: "abort preview"},
		{name: "abort of an unknown target", text: "abort stagging"},
		{name: "abort, store down", given: fails(errStore), text: "abort staging"},

		{name: "approve", given: atApproval, as: "UAPPROVER", click: &Click{Verb: rollout.VerbApprove, Ask: ask}},
		{name: "approve by an outsider", given: atApproval, as: "UOUTSIDER", click: &Click{Verb: rollout.VerbApprove, Ask: ask}},
		{name: "approve by the starter", given: atApproval, click: &Click{Verb: rollout.VerbApprove, Ask: ask}},
		{name: "approve what is approved", given: approved, as: "UONCALL", click: &Click{Verb: rollout.VerbApprove, Ask: ask}},
		{name: "approve what one approved oneself", given: approved, as: "UAPPROVER", click: &Click{Verb: rollout.VerbApprove, Ask: ask}},
		{name: "approve what was stopped", given: func(h *Handler, m *memory) string {
			id := atApproval(h, m)
			m.apply(id, rollout.Event{At: start(), Kind: rollout.Said, Verb: rollout.VerbAbort, By: &rollout.Actor{ID: "UONCALL", Name: "oncall"}})
			return id
		}, as: "UAPPROVER", click: &Click{Verb: rollout.VerbApprove, Ask: ask}},
		{name: "approve too late", given: expired, as: "UAPPROVER", click: &Click{Verb: rollout.VerbApprove, Ask: ask}},
		{name: "approve, first of two", given: pair, as: "UAPPROVER", click: &Click{Verb: rollout.VerbApprove, Ask: "1.1"}},
		{name: "approve twice", given: halfApproved, as: "UAPPROVER", click: &Click{Verb: rollout.VerbApprove, Ask: "1.1"}},
		{name: "approve, second of two", given: halfApproved, as: "UONCALL", click: &Click{Verb: rollout.VerbApprove, Ask: "1.1"}},
		{name: "approve, store down", given: fails(errStore), as: "UAPPROVER", click: &Click{Verb: rollout.VerbApprove, Ask: ask}},
		{name: "approve while someone rejects", given: func(h *Handler, m *memory) string {
			id := atApproval(h, m)
			m.before = func(m *memory, id string) {
				m.before = nil
				m.apply(id, rollout.Event{At: start(), Kind: rollout.Said, Ask: ask, Verb: rollout.VerbReject, By: &rollout.Actor{ID: "UONCALL", Name: "oncall"}})
			}
			return id
		}, as: "UAPPROVER", click: &Click{Verb: rollout.VerbApprove, Ask: ask}},
		{name: "reject", given: atApproval, as: "UAPPROVER", click: &Click{Verb: rollout.VerbReject, Ask: ask}},
		{name: "reject by the starter", given: atApproval, click: &Click{Verb: rollout.VerbReject, Ask: ask}},
		{name: "extend", given: undecided, click: &Click{Verb: rollout.VerbExtend, Ask: "3.3"}},
		{name: "continue", given: undecided, click: &Click{Verb: rollout.VerbContinue, Ask: "3.3"}},
		{name: "hold", given: undecided, click: &Click{Verb: rollout.VerbHold, Ask: "3.3"}},
		{name: "roll back", given: undecided, click: &Click{Verb: rollout.VerbRollback, Ask: "3.3"}},
		{name: "roll back by an outsider", given: undecided, as: "UOUTSIDER", click: &Click{Verb: rollout.VerbRollback, Ask: "3.3"}},
		{name: "retry what cannot be", given: undecided, click: &Click{Verb: rollout.VerbRetry, Ask: "3.3"}},
		{name: "stop by the button", given: healthyOld, as: "UAPPROVER", click: &Click{Verb: rollout.VerbAbort}},
		{name: "stop by the button again", given: stopped, click: &Click{Verb: rollout.VerbAbort}},
		{name: "stop what has ended", given: expired, click: &Click{Verb: rollout.VerbAbort}},
		{name: "a button of another question", given: atGate, click: &Click{Verb: rollout.VerbExtend, Ask: "9.9"}},
		{name: "a button without its question", given: atGate, click: &Click{Verb: rollout.VerbHold}},
		{name: "a card of a rollout long gone", click: &Click{Verb: rollout.VerbAbort, Rollout: "zzzzzz"}},
	})
}

// checkReplies compares what people read with a golden file.
func checkReplies(t *testing.T, golden string, tests []replyCase) {
	t.Helper()
	var all strings.Builder
	for _, test := range tests {
		h, m := newHandler(t)
		req := Request{ID: "envelope-1", Actor: rollout.Actor{ID: cmp.Or(test.as, "UDEPLOYER"), Name: "someone"}, Channel: "C1", ChannelName: "general", Text: test.text, Mention: test.mention, At: start()}
		id := ""
		if test.given != nil {
			id = test.given(h, m)
		}
		if test.click != nil {
			c := *test.click
			c.Rollout, req.Click = cmp.Or(c.Rollout, id), &c
		}
		reply := h.Handle(t.Context(), req)
		if strings.Contains(reply.Text, "10.0.0.7") || reply.Text == "" {
			t.Errorf("%s: %+v", test.name, reply)
		}
		fmt.Fprintf(&all, "== %s%s\n%s\n\n", test.name, seenBy(reply), readable(reply.Text))
	}
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, golden, all.String(), string(want))
}

// seenBy marks an answer that the whole channel sees.
func seenBy(reply Reply) string {
	if reply.Public {
		return " (public)"
	}
	return ""
}

// readable writes the times near start as people will see them, so that the golden file can be read.
func readable(text string) string {
	for minute := -50; minute <= 130; minute++ {
		at := start().Add(time.Duration(minute) * time.Minute)
		text = strings.ReplaceAll(text, fmt.Sprintf("{t:%d}", at.Unix()), at.Format("{15:04}"))
	}
	return text
}

// compare reports each section that differs.
func compare(t *testing.T, golden, got, want string) {
	t.Helper()
	wanted := map[string]bool{}
	for section := range strings.SplitSeq(want, "== ") {
		wanted[strings.TrimSpace(section)] = true
	}
	for section := range strings.SplitSeq(got, "== ") {
		if section = strings.TrimSpace(section); !wanted[section] {
			t.Errorf("not as in %s (-update rewrites it):\n%s", golden, section)
		}
		delete(wanted, section)
	}
	for section := range wanted {
		t.Errorf("only in %s (-update rewrites it):\n%s", golden, section)
	}
}
