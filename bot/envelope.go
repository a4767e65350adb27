package bot

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/rollout"
)

// Envelope is something a person did in Slack, in the form in which the inbox keeps it.
type Envelope struct {
	ID          string        `json:"id"` // the dedupe key: the same for everything Slack sends again
	Kind        Kind          `json:"kind"`
	Actor       rollout.Actor `json:"actor"`
	Channel     Channel       `json:"channel"`
	Text        string        `json:"text,omitempty"`   // of a command or mention, as it was typed
	Action      *Action       `json:"action,omitempty"` // of a click
	ResponseURL string        `json:"response_url,omitempty"`
	TriggerID   string        `json:"trigger_id,omitempty"`
	At          time.Time     `json:"at"`               // when it arrived here
	Thread      string        `json:"thread,omitempty"` // ts of the thread it happened in

	Home  bool            `json:"home,omitempty"`  // it happened in the app's Home tab, which is no channel
	Order *commands.Order `json:"order,omitempty"` // of a form
}

// Kind tells envelopes apart.
type Kind string

const (
	KindCommand Kind = "command" // /deploy …
	KindAction  Kind = "action"  // a button
	KindMention Kind = "mention" // @slipway …, which also works in threads
	KindHome    Kind = "home"    // somebody looks at the app's Home tab
	KindForm    Kind = "form"    // the form that starts a rollout, filled in
)

// Channel is where something happened.
type Channel struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Action is a click on a button.
type Action struct {
	ID        string `json:"id"` // action_id
	Value     string `json:"value"`
	MessageTS string `json:"message_ts"`
	BlockID   string `json:"block_id,omitempty"`
}

// errIgnored is what parse returns for payloads that are none of ours. They are acknowledged all the
// same, or Slack would send them again.
var errIgnored = errors.New("not for this app")

// maxTyped bounds what a person can send; Slack's own limit for a message is 40,000 characters.
const maxTyped = 12_000

// parse reads the payload of a Socket Mode envelope. kind is the envelope's type.
func parse(kind, id string, payload []byte, at time.Time) (Envelope, error) {
	switch kind {
	case "slash_commands":
		return parseCommand(id, payload, at)
	case "interactive":
		return parseInteraction(payload, at)
	case "events_api":
		return parseEvent(payload, at)
	}
	return Envelope{}, fmt.Errorf("%w: envelope type %q", errIgnored, kind)
}

func parseInteraction(payload []byte, at time.Time) (Envelope, error) {
	var p struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return Envelope{}, fmt.Errorf("interaction: %w", err)
	}
	switch p.Type {
	case "block_actions":
		return parseClick(payload, at)
	case "view_submission":
		return parseForm(payload, at)
	}
	return Envelope{}, fmt.Errorf("%w: interaction %q", errIgnored, p.Type)
}

func parseEvent(payload []byte, at time.Time) (Envelope, error) {
	var p struct {
		Event struct {
			Type string `json:"type"`
		} `json:"event"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return Envelope{}, fmt.Errorf("event: %w", err)
	}
	switch p.Event.Type {
	case "app_mention":
		return parseMention(payload, at)
	case "app_home_opened":
		return parseHome(payload, at)
	}
	return Envelope{}, fmt.Errorf("%w: event %q", errIgnored, p.Event.Type)
}

// person is who did it, as interactions have it.
type person struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Name     string `json:"name"`
}

func (p person) actor() rollout.Actor {
	return rollout.Actor{ID: p.ID, Name: cmp.Or(p.Username, p.Name)}
}

// parseCommand: docs.slack.dev/interactivity/implementing-slash-commands.
func parseCommand(id string, payload []byte, at time.Time) (Envelope, error) {
	var p struct {
		Command     string `json:"command"`
		Text        string `json:"text"`
		UserID      string `json:"user_id"`
		UserName    string `json:"user_name"`
		ChannelID   string `json:"channel_id"`
		ChannelName string `json:"channel_name"`
		ResponseURL string `json:"response_url"`
		TriggerID   string `json:"trigger_id"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return Envelope{}, fmt.Errorf("slash command: %w", err)
	}
	if id == "" || !strings.HasPrefix(p.Command, "/") {
		return Envelope{}, errors.New("slash command without an envelope_id or a command")
	}
	return checked(Envelope{
		ID: "command/" + id, Kind: KindCommand, Text: strings.TrimSpace(unescape(p.Text)),
		Actor: rollout.Actor{ID: p.UserID, Name: p.UserName}, Channel: Channel{p.ChannelID, p.ChannelName},
		ResponseURL: p.ResponseURL, TriggerID: p.TriggerID, At: at,
	})
}

// parseClick: docs.slack.dev/reference/interaction-payloads/block_actions-payload. A click's key is
// what makes it this person's one click, as Slack gives a click that it sends again a new envelope.
func parseClick(payload []byte, at time.Time) (Envelope, error) {
	var p struct {
		User      person  `json:"user"`
		Channel   Channel `json:"channel"`
		Container struct {
			MessageTS string `json:"message_ts"`
			ThreadTS  string `json:"thread_ts"`
			ChannelID string `json:"channel_id"`
		} `json:"container"`
		View struct {
			Type string `json:"type"`
		} `json:"view"`
		ResponseURL string `json:"response_url"`
		TriggerID   string `json:"trigger_id"`
		Actions     []struct {
			ActionID string `json:"action_id"`
			BlockID  string `json:"block_id"`
			Value    string `json:"value"`
			ActionTS string `json:"action_ts"`
		} `json:"actions"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return Envelope{}, fmt.Errorf("interaction: %w", err)
	}
	if len(p.Actions) != 1 {
		return Envelope{}, fmt.Errorf("block_actions with %d actions", len(p.Actions))
	}
	a := p.Actions[0] // a button that this version does not know is answered as well
	if a.ActionID == actionLogs {
		return Envelope{}, fmt.Errorf("%w: a page was opened", errIgnored)
	}
	if p.Channel.ID == "" {
		p.Channel.ID = p.Container.ChannelID
	}
	return checked(Envelope{
		ID:   strings.Join([]string{"click", p.User.ID, a.ActionID, a.Value, p.Container.MessageTS, a.ActionTS}, "/"),
		Kind: KindAction, Actor: p.User.actor(), Channel: p.Channel, Home: p.View.Type == string(slack.VTHomeTab),
		Action:      &Action{ID: a.ActionID, Value: a.Value, MessageTS: p.Container.MessageTS, BlockID: a.BlockID},
		ResponseURL: p.ResponseURL, TriggerID: p.TriggerID, At: at, Thread: p.Container.ThreadTS,
	})
}

// parseMention: docs.slack.dev/reference/events/app_mention.
func parseMention(payload []byte, at time.Time) (Envelope, error) {
	var p struct {
		EventID string `json:"event_id"`
		Event   struct {
			Subtype  string `json:"subtype"`
			User     string `json:"user"`
			BotID    string `json:"bot_id"`
			Channel  string `json:"channel"`
			Text     string `json:"text"`
			ThreadTS string `json:"thread_ts"`
		} `json:"event"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return Envelope{}, fmt.Errorf("event: %w", err)
	}
	e := p.Event
	if e.BotID != "" || e.Subtype != "" {
		return Envelope{}, fmt.Errorf("%w: mention by an app", errIgnored)
	}
	if p.EventID == "" {
		return Envelope{}, errors.New("event without event_id")
	}
	return checked(Envelope{
		ID: "event/" + p.EventID, Kind: KindMention, Text: withoutMention(e.Text),
		Actor: rollout.Actor{ID: e.User, Name: e.User}, Channel: Channel{ID: e.Channel}, At: at, Thread: e.ThreadTS,
	})
}

var firstMention = regexp.MustCompile(`^\s*<@[UW][A-Z0-9]+(?:\|[^>]*)?>`)

// withoutMention is what was typed after "@slipway".
func withoutMention(text string) string {
	return strings.TrimSpace(unescape(firstMention.ReplaceAllString(text, "")))
}

// checked refuses what Slack would not send.
func checked(e Envelope) (Envelope, error) {
	switch {
	case !userID.MatchString(e.Actor.ID):
		return Envelope{}, fmt.Errorf("%s by %q, which is no user", e.Kind, cut(e.Actor.ID, 40))
	case !channelID.MatchString(e.Channel.ID) && (e.Channel.ID != "" || !e.Home):
		return Envelope{}, fmt.Errorf("%s in %q, which is no channel", e.Kind, cut(e.Channel.ID, 40))
	case len(e.Text) > maxTyped || max(len(e.ID), len(e.Actor.Name), len(e.Channel.Name), len(e.ResponseURL)) > 1000:
		return Envelope{}, fmt.Errorf("%s is too long", e.Kind)
	case e.Order != nil && max(len(e.Order.Target), len(e.Order.What)) > 1000:
		return Envelope{}, fmt.Errorf("%s is too long", e.Kind)
	}
	return e, nil
}

// request is an envelope in the words of package commands. The error is about a button that is none
// of this version's.
func (e Envelope) request() (commands.Request, error) {
	req := commands.Request{
		ID: e.ID, Actor: e.Actor, Channel: e.Channel.ID, ChannelName: e.Channel.Name, Text: e.Text, At: e.At,
		Mention: e.Kind == KindMention,
	}
	switch {
	case e.Kind == KindHome, e.Home && e.Action != nil && e.Action.ID == actionRefresh:
		req.Show = commands.ShowHome
		return req, nil
	case e.Home && e.Action != nil && e.Action.ID == actionForm:
		req.Show, req.Text = commands.ShowForm, e.Action.Value
		return req, nil
	case e.Order != nil:
		req.Text = e.Order.Text()
		return req, nil
	case e.Action == nil:
		return req, nil
	}
	if req, ok, err := queueing(*e.Action, req); ok {
		return req, err
	}
	click, err := clickOf(e.Action.ID, e.Action.Value)
	if err != nil {
		return commands.Request{}, err
	}
	req.Click = &click
	return req, nil
}

// fresh reports whether the response_url may still be used: it lives 30 minutes.
func (e Envelope) fresh(now time.Time) bool {
	return e.ResponseURL != "" && now.Sub(e.At) < 29*time.Minute
}

// tsOf is a time as Slack writes it in a message's ts.
func tsOf(t time.Time) string {
	return strconv.FormatInt(t.Unix(), 10) + ".000000"
}
