package commands

import (
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

func healthy(_ *Handler, m *memory) { m.cloud.old = rollout.Baseline{Requests: 1672, Errors: 8} }

func gateWithHealthyOld(h *Handler, m *memory) string {
	healthy(h, m)
	id := m.begin(h.File(), "UDEPLOYER", "staging")
	m.toGate(id)
	return id
}

func say(m *memory, id string, e rollout.Event) {
	m.t.Helper()
	e.At, e.Kind, e.By = start(), rollout.Said, &rollout.Actor{ID: "UONCALL", Name: "oncall"}
	m.apply(id, e)
}

func pausedAtGate(h *Handler, m *memory) string {
	id := gateWithHealthyOld(h, m)
	say(m, id, rollout.Event{Verb: rollout.VerbPause, Reason: "lunch"})
	return id
}

// deployFailed waits for a decision: its plan asks, and a deploy has no way back to take by itself.
func deployFailed(h *Handler, m *memory) string {
	id := m.begin(h.File(), "UDEPLOYER", "staging")
	m.find(id).OnFailure = plan.OnFailureAsk
	say(m, id, rollout.Event{Verb: rollout.VerbApprove, Ask: "2.1"})
	m.run(id, "3.1", &rollout.Outcome{State: rollout.FailedState, Note: "The container crashed on start.", Label: "crash",
		Detail: "Traceback (most recent call last):\n  File \"/app/main.py\", line 3\nModuleNotFoundError: No module named 'auth_service'\n{@U1} ``` <!channel>"})
	return id
}

func deployed(h *Handler, m *memory) string {
	id := gateWithHealthyOld(h, m)
	m.apply(id, rollout.Event{At: start(), Kind: rollout.StepEnded, Step: "3.3", Attempt: 1, Outcome: &rollout.Outcome{State: rollout.Passed, Note: "passed"}})
	for _, step := range []string{"3.4", "4.1"} {
		m.run(id, step, &rollout.Outcome{State: rollout.Passed})
	}
	m.settle(id, start())
	return id
}

func rolledBack(h *Handler, m *memory) string {
	deployed(h, m)
	h.Handle(m.t.Context(), Request{ID: "rollback-1", Actor: rollout.Actor{ID: "UDEPLOYER", Name: "deployer"}, Channel: "C1", Text: "rollback staging logins fail", At: start()})
	id := m.rollouts[len(m.rollouts)-1].ID
	m.run(id, "1.1", &rollout.Outcome{State: rollout.Passed})
	m.settle(id, start())
	return id
}

func manual(h *Handler, m *memory) string {
	m.cloud.failedBefore = []string{"main@bbbbbbb of backend failed at Jan 4 09:00 UTC: The container crashed on start."}
	return m.begin(h.File(), "UDEPLOYER", "staging")
}

func lockedByOncall(_ *Handler, m *memory) string {
	m.locks = []rollout.Lock{{
		Target: plan.Target{Environment: "staging"}, By: rollout.Actor{ID: "UONCALL"}, Reason: "load test <!channel> & {@@everyone}",
		Since: start().Add(-48 * time.Hour), Expires: start().Add(2 * time.Hour), Fence: 5,
	}}
	return ""
}

// TestVerbs compares what people read with testdata/verbs.golden; -update rewrites it.
func TestVerbs(t *testing.T) {
	unapproved := func(h *Handler, m *memory) string { return m.begin(h.File(), "UDEPLOYER", "staging") }
	sides := func(h *Handler, m *memory) string { return m.begin(h.File(), "UDEPLOYER", "preview/auth") }
	unknown := func(err error) func(*Handler, *memory) string {
		return func(_ *Handler, m *memory) string { m.cloud.unknown = err; return "" }
	}
	cloudFails := func(err error) func(*Handler, *memory) string {
		return func(_ *Handler, m *memory) string { m.cloud.err = err; return "" }
	}
	with := func(givens ...func(*Handler, *memory) string) func(*Handler, *memory) string {
		return func(h *Handler, m *memory) (id string) {
			for _, given := range givens {
				id = given(h, m)
			}
			return id
		}
	}
	busy := func(h *Handler, m *memory) string {
		healthy(h, m)
		for i := range 3600 {
			slot := rollout.Slot{At: start().Add(time.Duration(i-3600) * time.Second), Requests: 3}
			if i%10 == 0 && i > 1800 {
				slot.Errors = 1
			}
			m.cloud.slots = append(m.cloud.slots, slot)
		}
		return ""
	}

	checkReplies(t, "testdata/verbs.golden", []replyCase{
		{name: "pause", given: gateWithHealthyOld, text: "pause staging lunch"},
		{name: "pause before traffic moved", given: unapproved, text: "pause staging"},
		{name: "pause twice", given: pausedAtGate, text: "pause staging"},
		{name: "pause by an outsider", given: gateWithHealthyOld, as: "UOUTSIDER", text: "pause staging"},
		{name: "pause of nothing", text: "pause staging"},
		{name: "status, paused", given: pausedAtGate, text: "status"},
		{name: "resume", given: pausedAtGate, text: "resume staging"},
		{name: "resume by the button", given: pausedAtGate, click: &Click{Verb: rollout.VerbResume, Ask: "pause"}},
		{name: "resume what is not paused", given: gateWithHealthyOld, text: "resume staging"},
		{name: "resume of nothing", text: "resume staging"},
		{name: "roll back what is paused", given: pausedAtGate, click: &Click{Verb: rollout.VerbRollback, Ask: "pause"}},
		{name: "pause by the button", given: gateWithHealthyOld, click: &Click{Verb: rollout.VerbPause}},
		{name: "retry", given: deployFailed, text: "retry staging"},
		{name: "retry what did not fail", given: gateWithHealthyOld, text: "retry staging"},
		{name: "status, failed", given: deployFailed, text: "status"},
		{name: "stop here by the button", given: gateWithHealthyOld, click: &Click{Verb: rollout.VerbHold}},
		{name: "stop here by an outsider", given: gateWithHealthyOld, as: "UOUTSIDER", click: &Click{Verb: rollout.VerbHold}},
		{name: "deploy an image that failed before", given: func(_ *Handler, m *memory) string {
			m.cloud.failedBefore = []string{"main@bbbbbbb of backend failed at Jan 4 09:00 UTC: it crashed."}
			return ""
		}, text: "staging"},
		{name: "status, failed before", given: manual, text: "status"},
		{name: "confirm", given: manual, click: &Click{Verb: rollout.VerbConfirm, Ask: "1.1"}},
		{name: "confirm by an outsider", given: manual, as: "UOUTSIDER", click: &Click{Verb: rollout.VerbConfirm, Ask: "1.1"}},

		{name: "rollback while a rollout runs", given: gateWithHealthyOld, text: "rollback staging logins fail"},
		{name: "rollback to a revision while a rollout runs", given: gateWithHealthyOld, text: "rollback staging 00039"},
		{name: "rollback", given: deployed, text: "rollback staging logins fail"},
		{name: "rollback to a revision", text: "rollback staging/backend 00039"},
		{name: "rollback of two services", text: "rollback preview"},
		{name: "rollback of two services to one revision", text: "rollback preview 00039"},
		{name: "rollback to what serves", text: "rollback staging 00041"},
		{name: "rollback to what serves, in full", text: "rollback staging backend-staging-00041-abc"},
		{name: "rollback with nothing to return to", given: unknown(&rollout.Failure{Reason: "There is no earlier revision of backend that passed. Name the one to return to."}), text: "rollback staging"},
		{name: "rollback to an unknown revision", given: unknown(&rollout.Failure{Reason: "backend has no revision 00007; it has 00041, 00040."}), text: "rollback staging 00007"},
		{name: "rollback by an outsider", as: "UOUTSIDER", text: "rollback staging"},
		{name: "rollback of a part of what runs", given: func(h *Handler, m *memory) string {
			id := gateWithHealthyOld(h, m)
			m.locked = &rollout.LockedError{Lock: m.find(id).Lock}
			return id
		}, text: "rollback staging/backend"},
		{name: "rollback of a lock's target", given: lockedByOncall, text: "rollback staging"},
		{name: "rollback of an unknown target", text: "rollback stagign"},
		{name: "rollback, the cloud down", given: cloudFails(errStore), text: "rollback staging 00039"},
		{name: "rollback twice", given: func(h *Handler, m *memory) string {
			h.Handle(m.t.Context(), Request{ID: "other", Actor: rollout.Actor{ID: "UAPPROVER", Name: "approver"}, Text: "rollback staging", At: start()})
			return ""
		}, text: "rollback staging"},
		{name: "status of a rollback", given: func(h *Handler, m *memory) string {
			h.Handle(m.t.Context(), Request{ID: "other", Actor: rollout.Actor{ID: "UAPPROVER", Name: "approver"}, Text: "rollback staging", At: start()})
			return ""
		}, text: "status"},

		{name: "lock", text: "lock staging load test for 2h"},
		{name: "lock without words", text: "lock staging/backend"},
		{name: "lock, marks in the reason", text: "lock staging <!channel> & {@@everyone} {t:1}"},
		{name: "lock by an outsider", as: "UOUTSIDER", text: "lock staging"},
		{name: "lock what runs", given: gateWithHealthyOld, text: "lock staging"},
		{name: "lock what someone else was faster to lock", given: func(h *Handler, m *memory) string {
			lockedByOncall(h, m)
			m.locked, m.locks = &rollout.LockedError{Lock: m.locks[0]}, nil
			return ""
		}, text: "lock staging"},
		{name: "lock of an unknown target", text: "lock production"},
		{name: "deploy what is locked", given: lockedByOncall, text: "staging"},
		{name: "status of locks", given: lockedByOncall, text: "status"},
		{name: "status of locks elsewhere", given: lockedByOncall, text: "status preview"},
		{name: "unlock someone else's", given: lockedByOncall, text: "unlock staging"},
		{name: "unlock one's own", given: func(h *Handler, m *memory) string {
			lockedByOncall(h, m)
			m.locks[0].By.ID = "UDEPLOYER"
			return ""
		}, text: "unlock staging"},
		{name: "unlock a part", given: lockedByOncall, text: "unlock staging/backend"},
		{name: "unlock what is free", text: "unlock staging"},
		{name: "unlock a rollout's", given: gateWithHealthyOld, text: "unlock staging"},
		{name: "unlock by an outsider", given: lockedByOncall, as: "UOUTSIDER", text: "unlock staging"},
		{name: "unlock a lock that changed", given: func(h *Handler, m *memory) string {
			lockedByOncall(h, m)
			m.locked = &rollout.LockedError{Lock: m.locks[0]}
			return ""
		}, text: "unlock staging"},

		{name: "history", given: rolledBack, text: "history staging"},
		{name: "history of failures", given: with(deployFailed, func(_ *Handler, m *memory) string {
			say(m, m.rollouts[0].ID, rollout.Event{Verb: rollout.VerbHold, Ask: "3.1"})
			m.settle(m.rollouts[0].ID, start())
			return ""
		}), text: "history staging/backend"},
		{name: "history of nothing", text: "history preview/auth"},
		{name: "history of an unknown target", text: "history stagign"},

		{name: "plan", given: func(h *Handler, m *memory) string { healthy(h, m); return "" }, text: "plan staging"},
		{name: "plan, the old revision worse than the limit", text: "plan staging v2"},
		{name: "plan, the same image and no requests", given: func(_ *Handler, m *memory) string {
			m.cloud.image, m.cloud.old = digest("a"), rollout.Baseline{}
			return ""
		}, text: "plan staging/backend"},
		{name: "plan, little traffic", given: func(_ *Handler, m *memory) string {
			m.cloud.old = rollout.Baseline{Requests: 30}
			return ""
		}, text: "plan staging"},
		{name: "plan of two services", given: sides, text: "plan preview"},
		{name: "plan, locked", given: lockedByOncall, text: "plan staging"},
		{name: "plan, no such image", given: cloudFails(&rollout.Failure{Reason: "there is no image v9 in us-docker.pkg.dev/demo/apps/backend"}), text: "plan staging v9"},
		{name: "plan of an unknown target", text: "plan stagign"},

		{name: "graph", given: busy, text: "graph staging 1h"},
		{name: "graph of two services", given: busy, text: "graph preview 30m"},
		{name: "graph without requests", text: "graph staging"},
		{name: "graph, no permission", given: cloudFails(&rollout.Failure{Reason: "Slipway may not read the logs of demo-staging; grant it roles/logging.viewer"}), text: "graph staging"},
		{name: "graph of an unknown target", text: "graph stagign"},

		{name: "details at the gate", given: gateWithHealthyOld, as: "UOUTSIDER", click: &Click{Verb: VerbDetails}},
		{name: "details of a failure", given: deployFailed, click: &Click{Verb: VerbDetails}},
		{name: "details of a rollback", given: rolledBack, click: &Click{Verb: VerbDetails}},

		{name: "mention: status", given: gateWithHealthyOld, text: "status staging", mention: true},
		{name: "mention: a target", text: "staging v2", mention: true},
		{name: "mention: deploy", text: "deploy staging", mention: true},
		{name: "mention: chatter", text: "thanks!", mention: true},
		{name: "mention: nothing", text: "", mention: true},
		{name: "mention: rollback", text: "rollback staging", mention: true},
		{name: "deploy deploy", text: "deploy staging v2"},

		{name: "an action that nobody knows", given: gateWithHealthyOld, click: &Click{Verb: "explode"}},
		{name: "an answer that nobody knows", given: unapproved, click: &Click{Verb: "explode", Ask: "2.1"}},
		{name: "a forged rollout", click: &Click{Verb: rollout.VerbAbort, Rollout: "../{@U1}*"}},
		{name: "a very long forged rollout", click: &Click{Verb: rollout.VerbAbort, Rollout: strings.Repeat("x", 10000)}},
		{name: "a button of a rollout that has ended", given: deployed, click: &Click{Verb: rollout.VerbPause}},
		{name: "an answer to a rollout that has ended", given: deployed, click: &Click{Verb: rollout.VerbRollback, Ask: "3.3"}},
		{name: "a very long command", text: "abort staging " + strings.Repeat("x", 10000)},
	})
}
