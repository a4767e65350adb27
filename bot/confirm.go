package bot

import (
	"fmt"

	"github.com/slack-go/slack"

	"slipway/rollout"
)

// Slack's limits for a confirmation dialog, with some room
// (docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object).
const (
	maxDialogTitle  = 90
	maxDialogText   = 290
	maxDialogButton = 30
)

// confirm asks whether a button is meant that cannot be taken back; nil for the others. Answering a
// decision with the ordinary way back is not asked about twice: rescue does not wait.
func (c *card) confirm(verb rollout.Verb, ask *rollout.Ask) *slack.ConfirmationBlockObject {
	moved := trafficMoved(c.r)
	switch {
	case verb == rollout.VerbAbort:
		return c.dialog("Stop "+subject(c.r)+"?", c.afterAbort(), "Stop", "Leave it running")
	case verb == rollout.VerbHold && ask == nil:
		return c.dialog("Stop "+subject(c.r)+" here?", c.afterHold(), "Stop here", "Leave it running")
	case verb == rollout.VerbContinue:
		text := "It has not been shown that the new revision is good. The rollout goes on as if it had."
		return c.dialog("Ship without evidence?", text, "Ship", "Not now")
	case verb == rollout.VerbRollback && moved && (c.r.Unsafe() != "" || c.r.OldIsWorse()):
		return c.dialog("Roll back "+subject(c.r)+"?", c.afterReturn(), "Roll back", "Not now")
	case verb == rollout.VerbReject && moved:
		return c.dialog("Reject and roll back?", c.afterReturn(), "Reject", "Not now")
	}
	return nil
}

func (c *card) dialog(title, text, yes, no string) *slack.ConfirmationBlockObject {
	return slack.NewConfirmationBlockObject(
		plainObject(title, maxDialogTitle), plainObject(text, maxDialogText),
		plainObject(yes, maxDialogButton), plainObject(no, maxDialogButton),
	).WithStyle(slack.StyleDanger)
}

func (c *card) afterAbort() string {
	rates, bad := worse(c.r)
	switch {
	case c.r.Kind == rollout.Rollback:
		return "The rollback ends; traffic stays where it is by then."
	case !trafficMoved(c.r) && c.r.Unsafe() != "":
		return fmt.Sprintf("No traffic has moved. '%s' ran and is not undone. The rollout ends and the lock is released.", plain(c.r.Unsafe(), 80))
	case !trafficMoved(c.r):
		return "No traffic has moved. The rollout ends and the lock is released."
	case bad:
		return fmt.Sprintf("%s: the old one is worse, so you are asked next whether traffic goes back.", rates)
	}
	return c.afterReturn()
}

// afterHold is what remains of a rollout that stops where it is.
func (c *card) afterHold() string {
	return fmt.Sprintf("The rollout ends and the lock is released; %s until somebody moves it.", staying(c.r))
}

// afterReturn says what going back means, and first what speaks against it.
func (c *card) afterReturn() string {
	text := fmt.Sprintf("All traffic goes back to %s, then the rollout ends.", old(c.r))
	if name := c.r.Unsafe(); name != "" {
		text = fmt.Sprintf("'%s' ran and is not undone: %s may not work with what it changed. %s", plain(name, 80), old(c.r), text)
	}
	if rates, bad := worse(c.r); bad {
		text = fmt.Sprintf("%s: the old one is worse. %s", rates, text)
	}
	return text
}
