package bot

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/plan"
	"slipway/state"
)

// What the buttons of the queue are called: those on a call, and the one on an answer that somebody else
// has the target. The value of the first two is LOCKED|FENCE|TARGET|WHAT, that of the last is the command
// which it types.
const (
	actionTurn  = "turn"
	actionPass  = "pass"
	actionQueue = "queue"
)

// maxValue is how long a button's value may be (docs.slack.dev/reference/block-kit/block-elements/button-element).
const maxValue = 2000

// callOptions is the message that calls somebody, or says how their turn ended.
func callOptions(turn state.Turn) []slack.MsgOption {
	m := call(turn)
	return []slack.MsgOption{
		slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...), turnKey(turn).option(),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

func call(turn state.Turn) Message {
	text := called(turn)
	blocks := []slack.Block{slack.NewSectionBlock(markupObject(text, maxSection), nil, nil)}
	if turn.Over == state.TurnOpen {
		value := turnValue(turn)
		start := slack.NewButtonBlockElement(actionTurn, value, plainObject("Deploy", maxButton))
		start.Style = slack.StylePrimary
		pass := slack.NewButtonBlockElement(actionPass, value, plainObject("Pass", maxButton))
		blocks = append(blocks, slack.NewActionBlock("", start, pass))
	}
	return Message{Text: string(cutMarkup(text, maxText)), Blocks: blocks}
}

// called says whose turn it is, or how it ended.
func called(turn state.Turn) mrkdwn {
	l := turn.Lock
	who, where := mention(l.By.ID, l.By.Name), say("*%s*", l.Target)
	switch turn.Over {
	case state.TurnOpen:
		return say("%s: %s is free and it is your turn. Until %s, then it goes to the next. `%s`", who, where, clock(l.Expires), typed(l.Turn.Target, l.Turn.What))
	case state.TurnStarted:
		return say("%s started a rollout in their turn for %s.", who, where)
	case state.TurnPassed:
		return say("%s passed: %s is the next one's, or free if nobody waits.", who, where)
	case state.TurnUnlocked:
		return say("The turn of %s for %s was ended by an unlock.", who, where)
	case state.TurnLocked:
		return say("%s locked %s in their turn.", who, where)
	case state.TurnRollback:
		return say("A rollback goes first: %s is the next in line for %s again.", who, where)
	}
	return say("%s: your turn for %s has passed, at %s. `/deploy queue %s` gets in line again.", who, where, clock(l.Expires), l.Turn.Target)
}

func typed(target plan.Target, what string) string {
	return strings.TrimSpace(fmt.Sprintf("/deploy %s %s", target, what))
}

func turnValue(turn state.Turn) string {
	l := turn.Lock
	return strings.Join([]string{l.Target.String(), strconv.FormatInt(l.Fence, 10), l.Turn.Target.String(), l.Turn.What}, "|")
}

// turnOf reads a call's button back.
func turnOf(a Action) (*commands.Turn, error) {
	parts := strings.Split(a.Value, "|")
	if len(parts) != 4 || parts[0] == "" || parts[2] == "" {
		return nil, fmt.Errorf("button value %q is not LOCKED|FENCE|TARGET|WHAT", cut(a.Value, 80))
	}
	fence, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("button value %q has no fence", cut(a.Value, 80))
	}
	return &commands.Turn{Lock: target(parts[0]), Fence: fence, For: target(parts[2]), What: parts[3], Pass: a.ID == actionPass}, nil
}

// target reads what plan.Target writes. Whether there is one by that name is for the handler.
func target(text string) plan.Target {
	environment, service, _ := strings.Cut(text, "/")
	return plan.Target{Environment: environment, Service: service}
}

// queueing are the requests of the queue's buttons; ok is false for others.
func queueing(a Action, req commands.Request) (_ commands.Request, ok bool, err error) {
	switch {
	case a.ID == actionTurn, a.ID == actionPass:
		req.Turn, err = turnOf(a)
		return req, true, err
	case a.ID == actionQueue && strings.HasPrefix(a.Value, "queue "):
		req.Text = a.Value
		return req, true, nil
	}
	return req, false, nil
}

// offering is an answer with the button that gets in line.
func offering(text mrkdwn, order string) Message {
	button := slack.NewButtonBlockElement(actionQueue, order, plainObject("Queue", maxButton))
	return Message{
		Text:   string(cutMarkup(text, maxText)),
		Blocks: []slack.Block{slack.NewSectionBlock(markupObject(text, maxSection), nil, nil), slack.NewActionBlock("", button)},
	}
}
