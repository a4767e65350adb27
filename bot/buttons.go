package bot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/rollout"
)

// A button's action_id is its verb, and its value ROLLOUT|ASK|VERSION: what was on the card when it
// was clicked. The version only tells a late click from a fresh one; who may click is checked anew.
// A button that sends traffic back also says where to, as |TARGET SERVICE=REVISION …, so that it works
// while the rollout cannot be read.

func buttonValue(r rollout.Rollout, ask string) string {
	return r.ID + "|" + ask + "|" + strconv.FormatInt(r.Version, 10)
}

// backTo is what the value of a button has besides that sends traffic back; "" if there is no room.
func backTo(r rollout.Rollout, value string) string {
	text := "|" + r.Target.String()
	for _, name := range r.Moved() {
		text += " " + name + "=" + r.Services[name].Stable.Name
	}
	if len(value)+len(text) > maxValue {
		return ""
	}
	return text
}

func readBack(text string) *commands.Back {
	target, rest, _ := strings.Cut(text, " ")
	back := &commands.Back{Target: target, Revisions: map[string]string{}}
	for _, way := range strings.Fields(rest) {
		service, revision, _ := strings.Cut(way, "=")
		back.Revisions[service] = revision
	}
	return back
}

// clickOf reads a button back. The error says what is wrong with it.
func clickOf(actionID, value string) (commands.Click, error) {
	if verb, ok := incidentVerb(actionID); ok {
		return incidentClick(verb, value)
	}
	verb := rollout.Verb(actionID)
	if !known(verb) {
		return commands.Click{}, fmt.Errorf("unknown action %q", actionID)
	}
	parts := strings.Split(value, "|")
	if len(parts) < 3 || len(parts) > 4 || parts[0] == "" {
		return commands.Click{}, fmt.Errorf("button value %q is not ROLLOUT|ASK|VERSION", value)
	}
	version, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || version < 0 {
		return commands.Click{}, fmt.Errorf("button value %q has no version", value)
	}
	click := commands.Click{Verb: verb, Rollout: parts[0], Ask: parts[1], Version: version}
	if len(parts) == 4 {
		click.Back = readBack(parts[3])
	}
	return click, nil
}

func known(verb rollout.Verb) bool {
	switch verb {
	case rollout.VerbApprove, rollout.VerbReject, rollout.VerbAbort, rollout.VerbRollback, rollout.VerbRetry,
		rollout.VerbExtend, rollout.VerbProbe, rollout.VerbContinue, rollout.VerbHold, rollout.VerbConfirm, rollout.VerbPause,
		rollout.VerbResume, commands.VerbDetails, commands.VerbWhy:
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
	for _, verb := range c.options(ask) {
		buttons = append(buttons, c.button(verb, &ask))
	}
	return buttons
}

// options are a question's answers in the order in which they are offered: when one of two bad
// revisions has to serve, first those two. Where no traffic has moved, stopping here and going back
// are the same.
func (c *card) options(ask rollout.Ask) []rollout.Verb {
	verbs := slices.Clone(ask.Options)
	s, _ := c.r.Step(ask.Step)
	failed := s == nil || s.Status == rollout.StepFailed
	if _, bad := worse(c.r); bad && failed && ask.Kind == rollout.AskDecision {
		first := func(v rollout.Verb) bool { return v == rollout.VerbHold || v == rollout.VerbRollback }
		verbs = append([]rollout.Verb{rollout.VerbHold, rollout.VerbRollback}, slices.DeleteFunc(verbs, first)...)
	}
	if !trafficMoved(c.r) && slices.Contains(verbs, rollout.VerbRollback) {
		verbs = slices.DeleteFunc(verbs, func(v rollout.Verb) bool { return v == rollout.VerbHold })
	}
	return verbs
}

// controls are the buttons at the card's end: what can be done without being asked, and Details.
func (c *card) controls() []slack.BlockElement {
	reading := []slack.BlockElement{c.button(commands.VerbDetails, nil)}
	if lastGate(c.r, "") != nil {
		reading = append(reading, c.button(commands.VerbWhy, nil))
	}
	if c.r.FailedLate() {
		return append([]slack.BlockElement{c.button(rollout.VerbRollback, nil)}, reading...)
	}
	if c.r.Status == rollout.Ended || c.r.Stop != nil || c.held() {
		return reading
	}
	buttons := []slack.BlockElement{c.button(rollout.VerbAbort, nil)}
	if trafficMoved(c.r) {
		buttons = append(buttons, c.button(rollout.VerbHold, nil))
	}
	if c.r.Kind == rollout.Deployment && firstOpen(c.r) == nil {
		buttons = append(buttons, c.button(rollout.VerbPause, nil))
	}
	return append(buttons, reading...)
}

// held reports whether an open question has the buttons that stop the rollout among its answers.
func (c *card) held() bool {
	return slices.ContainsFunc(c.openAsks(), func(ask rollout.Ask) bool {
		return slices.Contains(ask.Options, rollout.VerbRollback) && c.now.Before(ask.Deadline)
	})
}

// button is one for a question, or for none.
func (c *card) button(verb rollout.Verb, ask *rollout.Ask) *slack.ButtonBlockElement {
	id := ""
	if ask != nil {
		id = ask.ID
	}
	value := buttonValue(c.r, id)
	if c.sendsBack(verb) {
		value += backTo(c.r, value)
	}
	b := slack.NewButtonBlockElement(string(verb), value, plainObject(c.label(verb, ask), maxButton))
	b.Confirm = c.confirm(verb, ask)
	switch verb {
	case rollout.VerbApprove, rollout.VerbConfirm, rollout.VerbResume:
		b.Style = slack.StylePrimary
	case rollout.VerbReject, rollout.VerbAbort, rollout.VerbRollback:
		b.Style = slack.StyleDanger
	}
	return b
}

// sendsBack reports whether a button sends traffic back without a further question.
func (c *card) sendsBack(verb rollout.Verb) bool {
	switch verb {
	case rollout.VerbRollback:
		return trafficMoved(c.r)
	case rollout.VerbAbort, rollout.VerbReject:
		return trafficMoved(c.r) && c.r.Kind == rollout.Deployment && !c.r.OldIsWorse()
	}
	return false
}

func (c *card) label(verb rollout.Verb, ask *rollout.Ask) string {
	switch verb {
	case rollout.VerbApprove:
		return "Approve"
	case rollout.VerbReject, rollout.VerbConfirm:
		return c.labelOfWork(verb, ask)
	case rollout.VerbRetry:
		return "Try again"
	case rollout.VerbExtend:
		return "Wait " + rollout.Period(rollout.ExtraTime)
	case rollout.VerbProbe:
		return "Send test requests"
	case rollout.VerbContinue:
		return "Ship without evidence"
	case rollout.VerbPause:
		return "Pause"
	case rollout.VerbResume:
		return "Resume"
	case rollout.VerbHold:
		return c.labelOfHold(ask)
	case commands.VerbDetails:
		return "Details"
	case commands.VerbWhy:
		return "Why?"
	}
	return c.labelOfReturn(verb)
}

// labelOfWork answers what is to be done by hand, or approved.
func (c *card) labelOfWork(verb rollout.Verb, ask *rollout.Ask) string {
	repeated := ask != nil && again(c.r, *ask)
	switch {
	case verb == rollout.VerbConfirm && repeated:
		return "Deploy it again"
	case verb == rollout.VerbConfirm:
		return "Done"
	case repeated:
		return "Do not deploy it"
	case trafficMoved(c.r):
		return "Reject and roll back"
	}
	return "Reject"
}

// labelOfHold names the rate when the question is which of two bad revisions is to serve. It says
// how much of the traffic is on the new one: staying on it is not moving to it.
func (c *card) labelOfHold(ask *rollout.Ask) string {
	if !trafficMoved(c.r) {
		return "Stop here"
	}
	rates, bad := worse(c.r)
	most := mostOnNew(c.r)
	switch {
	case ask == nil || !bad || most == 0:
		return "Stop here (" + staying(c.r) + ")"
	case most == 100:
		return fmt.Sprintf("Stay on new (%s errors)", rollout.Percent(rates.new))
	}
	return fmt.Sprintf("Stay at %d%% on new (%s errors)", most, rollout.Percent(rates.new))
}

// labelOfReturn is for the verbs that bring traffic back, if any has moved, and says what speaks
// against it.
func (c *card) labelOfReturn(verb rollout.Verb) string {
	if !trafficMoved(c.r) {
		return "Stop"
	}
	text := "Stop and roll back"
	if rates, bad := worse(c.r); verb == rollout.VerbRollback && bad {
		text = fmt.Sprintf("Roll back to %s (%s errors)", old(c.r), rollout.Percent(rates.old))
	} else if verb == rollout.VerbRollback {
		text = "Roll back to " + old(c.r)
	}
	name := c.r.Unsafe()
	if name == "" {
		return text
	}
	if verb == rollout.VerbRollback {
		text = strings.Replace(text, " to "+old(c.r), "", 1)
	}
	const around = " although '' ran"
	return text + " although '" + plain(name, maxButton-len(text)-len(around)) + "' ran"
}
