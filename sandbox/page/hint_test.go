package page_test

import (
	"strings"
	"testing"
)

// hint is what a user is told to do next.
func (w *world) hint(user string) string {
	w.t.Helper()
	_, html, _ := strings.Cut(w.seenBy(user), `id="hint"`)
	html, _, _ = strings.Cut(html, "</section>")
	return html
}

// The hint leads from nothing to a whole rollout.
func TestHint(t *testing.T) {
	inWorld(t, func(w *world) {
		hint := w.hint
		has(t, hint("deployer"), "No app is connected")
		defer w.connect(func(envelope) map[string]any { return map[string]any{} })()
		has(t, hint("deployer"), "@deployer", "/deploy staging")
		has(t, hint("outsider"), "may not deploy", "Switch to @deployer")
		ts := w.say("*backend*: approve?", "blocks", buttons)
		for _, user := range []string{"deployer", "outsider", "oncall"} {
			has(t, hint(user), "Switch to @approver", "as=approver", "/archives/")
		}
		has(t, hint("approver"), "press <b>Approve</b>")
		w.api("chat.update", "channel", channel, "ts", ts, "text", "*backend*: on", "blocks", strings.ReplaceAll(buttons, "answers-1", "controls-2"))
		has(t, hint("deployer"), "goes on by itself")
		w.api("chat.update", "channel", channel, "ts", ts, "text", "*Deployed: backend*", "blocks", strings.ReplaceAll(buttons, "answers-1", "controls-3"))
		has(t, hint("deployer"), "whole rollout")
		w.act("dismiss", at+"?as=deployer")
		has(t, hint("deployer"), "hidden")
		has(t, hint("approver"), "whole rollout")
	})
}

// The hint leads through an incident, past the rollback that ends it.
func TestHintOfAnIncident(t *testing.T) {
	inScenario(t, "incident", func(w *world) {
		defer w.connect(func(envelope) map[string]any { return map[string]any{} })()
		has(t, w.hint("oncall"), "Slipway watches", "<b>Errors</b>")
		can := func(actions ...string) string {
			var elements []string
			for _, action := range actions {
				elements = append(elements, `{"type": "button", "action_id": "`+action+`", "value": "3f9a1c", "text": {"type": "plain_text", "text": "x"}}`)
			}
			return `[{"type": "actions", "block_id": "controls-1", "elements": [` + strings.Join(elements, ", ") + `]}]`
		}
		ts := w.say("backend on staging: 72% errors", "blocks", can("incident_acknowledge", "incident_rollback", "incident_logs", "incident_silence", "incident_resolve"))
		now := func(actions ...string) {
			w.api("chat.update", "channel", channel, "ts", ts, "text", "backend on staging", "blocks", can(actions...))
		}
		has(t, w.hint("oncall"), "<b>Acknowledge</b>", "/archives/")
		has(t, w.hint("outsider"), "may only look", "Switch to @deployer")
		now("incident_rollback", "incident_logs", "incident_silence", "incident_resolve")
		has(t, w.hint("oncall"), "Press <b>Roll back</b>")
		card := w.say("*backend on staging*: going back", "blocks", can("abort"))
		has(t, w.hint("oncall"), "Press <b>Roll back</b>")
		now("incident_logs", "incident_silence", "incident_resolve")
		has(t, w.hint("oncall"), "resolves by itself")
		now("incident_logs")
		has(t, w.hint("oncall"), "goes on by itself")
		w.api("chat.update", "channel", channel, "ts", card, "text", "*Rolled back: backend on staging*", "blocks", can("details"))
		has(t, w.hint("oncall"), "whole incident", "/deploy unlock staging")
	})
}
