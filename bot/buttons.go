package bot

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/rollout"
)

// A button's action_id is its verb, and its value ROLLOUT|ASK|VERSION: what was on the card when it
// was clicked. The version only tells a late click from a fresh one; who may click is checked anew.

func buttonValue(r rollout.Rollout, ask string) string {
	return r.ID + "|" + ask + "|" + strconv.FormatInt(r.Version, 10)
}

// clickOf reads a button back. The error says what is wrong with it.
func clickOf(actionID, value string) (commands.Click, error) {
	verb := rollout.Verb(actionID)
	if !known(verb) {
		return commands.Click{}, fmt.Errorf("unknown action %q", actionID)
	}
	parts := strings.Split(value, "|")
	if len(parts) != 3 || parts[0] == "" {
		return commands.Click{}, fmt.Errorf("button value %q is not ROLLOUT|ASK|VERSION", value)
	}
	version, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || version < 0 {
		return commands.Click{}, fmt.Errorf("button value %q has no version", value)
	}
	return commands.Click{Verb: verb, Rollout: parts[0], Ask: parts[1], Version: version}, nil
}

func known(verb rollout.Verb) bool {
	switch verb {
	case rollout.VerbApprove, rollout.VerbReject, rollout.VerbAbort, rollout.VerbRollback, rollout.VerbRetry,
		rollout.VerbExtend, rollout.VerbContinue, rollout.VerbHold:
		return true
	}
	return false
}

// answers are the buttons of an open question; none once its time is over.
func (c *card) answers(ask rollout.Ask) []slack.BlockElement {
	if !c.now.Before(ask.Deadline) {
		return nil
	}
	var buttons []slack.BlockElement
	for _, verb := range ask.Options {
		buttons = append(buttons, c.button(verb, ask.ID))
	}
	return buttons
}

func (c *card) button(verb rollout.Verb, ask string) *slack.ButtonBlockElement {
	b := slack.NewButtonBlockElement(string(verb), buttonValue(c.r, ask), plainObject(c.label(verb), maxButton))
	switch verb {
	case rollout.VerbApprove:
		b.Style = slack.StylePrimary
	case rollout.VerbReject, rollout.VerbAbort, rollout.VerbRollback:
		b.Style = slack.StyleDanger
	}
	return b
}

func (c *card) label(verb rollout.Verb) string {
	moved := trafficMoved(c.r)
	switch verb {
	case rollout.VerbApprove:
		return "Approve"
	case rollout.VerbReject:
		return "Reject"
	case rollout.VerbRetry:
		return "Try again"
	case rollout.VerbExtend:
		return "Wait " + rollout.Period(rollout.ExtraTime)
	case rollout.VerbContinue:
		return "Ship without evidence"
	case rollout.VerbHold:
		if moved {
			return fmt.Sprintf("Stop here (%d%% stays on new)", mostOnNew(c.r))
		}
		return "Stop here"
	case rollout.VerbRollback:
		if moved {
			return "Roll back to " + old(c.r)
		}
		return "Stop"
	}
	if moved {
		return "Stop and roll back"
	}
	return "Stop"
}

// abort is the button that leaves the plan at any time, behind a question whether it is meant. There
// is none when a decision is open, whose buttons say the same, or when the plan is left already.
func (c *card) abort() slack.BlockElement {
	if c.r.Status == rollout.Ended || c.r.Stop != nil {
		return nil
	}
	for _, ask := range c.openAsks() {
		if ask.Kind == rollout.AskDecision && c.now.Before(ask.Deadline) {
			return nil
		}
	}
	b := c.button(rollout.VerbAbort, "")
	what := "No traffic has moved. The rollout ends and the lock is released."
	if trafficMoved(c.r) {
		what = "All traffic goes back to " + old(c.r) + ", then the rollout ends."
	}
	b.Confirm = slack.NewConfirmationBlockObject(
		plainObject("Stop "+subject(c.r)+"?", 90), plainObject(what, 290),
		plainObject(c.label(rollout.VerbAbort), 30), plainObject("Go on", 30),
	).WithStyle(slack.StyleDanger)
	return b
}
