// What people do in channels: commands, clicks, mentions.

package fakeslack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// CommandRequest is a slash command that a user types in a channel. Users and
// channels are named by ID or name, here and below.
type CommandRequest struct {
	User    string `json:"user"`
	Channel string `json:"channel"`
	Command string `json:"command"` // with its slash
	Text    string `json:"text"`
}

// Command types a slash command and returns the app's ack. A payload in the ack
// is posted, as Slack does. It returns ErrNoConnection or ErrNotAcked for what
// the user would be told.
func (s *Server) Command(ctx context.Context, r CommandRequest) (Ack, error) {
	s.mu.Lock()
	user, c, err := s.member(r.User, r.Channel)
	if err == nil && !s.granted(scopeCommands) {
		err = fmt.Errorf("%s is not a valid command: the app has no scope %q", r.Command, scopeCommands)
	}
	if err != nil {
		s.mu.Unlock()
		return Ack{}, err
	}
	d := &delivery{kind: envelopeCommand, answers: true, payload: map[string]any{
		"token": "local-verification", "team_id": s.cfg.Team.ID, "team_domain": s.cfg.Team.Domain,
		"channel_id": c.ID, "channel_name": or(c.Name, "directmessage"), "user_id": user.ID, "user_name": user.Name,
		"command": "/" + strings.TrimPrefix(r.Command, "/"), "text": r.Text, "api_app_id": s.cfg.AppID,
		"is_enterprise_install": "false", "response_url": s.newResponseURL(c, user.ID, nil),
		"trigger_id": s.newTrigger(user.ID, nil),
	}}
	s.mu.Unlock()
	ack, err := s.deliver(ctx, d)
	if err == nil {
		ack.Problem = s.postAck(&responseURL{channel: c, user: user.ID}, ack.Payload)
	}
	return ack, err
}

// postAck posts what a command's ack says, and returns what is wrong with it.
func (s *Server) postAck(to *responseURL, payload json.RawMessage) string {
	a := arguments{}
	if err := a.addJSON(strings.NewReader(string(payload))); err != nil {
		return "the ack's payload is not a message: " + err.Error()
	}
	if len(a) == 0 {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.say(to, a); err != nil {
		s.note(Call{Kind: CallAck, Method: envelopeCommand, Outcome: err.Error()})
		return err.Error()
	}
	return ""
}

// member returns a user and a channel that the user is in. The caller holds
// s.mu.
func (s *Server) member(userName, channelName string) (*User, *channel, error) {
	user := s.findUser(userName)
	if user == nil {
		return nil, nil, fmt.Errorf("no user %q in the workspace", userName)
	}
	c := s.findChannel(channelName)
	if c == nil {
		return nil, nil, fmt.Errorf("no channel %q in the workspace", channelName)
	}
	if !c.has(user.ID) {
		return nil, nil, fmt.Errorf("%s is not in #%s", user.Name, c.Name)
	}
	return user, c, nil
}

// ClickRequest is a click on an element of a message, or of a view when ViewID
// is given. BlockID and Value tell elements with the same action_id apart; the
// Value of a select is the option that is chosen.
type ClickRequest struct {
	User     string `json:"user"`
	Channel  string `json:"channel"`
	TS       string `json:"ts"`
	ViewID   string `json:"view_id"`
	ActionID string `json:"action_id"`
	Value    string `json:"value"`
	BlockID  string `json:"block_id"`
	Force    bool   `json:"force"` // click even if it is not there (any more): a stale client does
}

// Click presses a button and returns the app's ack. It refuses what the user
// cannot see.
func (s *Server) Click(ctx context.Context, r ClickRequest) (Ack, error) {
	s.mu.Lock()
	payload, err := s.clickPayload(r)
	s.mu.Unlock()
	if err != nil {
		return Ack{}, err
	}
	return s.deliver(ctx, &delivery{kind: envelopeInteractive, payload: payload})
}

func (s *Server) clickPayload(r ClickRequest) (map[string]any, error) {
	if r.ViewID != "" {
		return s.viewClick(r)
	}
	user, c, err := s.member(r.User, r.Channel)
	if err != nil {
		return nil, err
	}
	m := c.visible(r.TS, user.ID)
	if m == nil {
		return nil, fmt.Errorf("%s sees no message %s in #%s", user.Name, r.TS, c.Name)
	}
	action, err := findAction(m.Blocks, r)
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", r.TS, err)
	}
	p := s.interaction("block_actions", user)
	container := map[string]any{"type": "message", "message_ts": m.TS, "channel_id": c.ID, "is_ephemeral": m.EphemeralTo != ""}
	if m.ThreadTS != "" {
		container["thread_ts"] = m.ThreadTS
	}
	maps.Copy(p, map[string]any{
		"container": container, "channel": map[string]any{"id": c.ID, "name": or(c.Name, "directmessage")},
		"trigger_id": s.newTrigger(user.ID, nil), "response_url": s.newResponseURL(c, user.ID, m),
		"state": map[string]any{"values": map[string]any{}}, "actions": []any{action},
	})
	if m.EphemeralTo == "" { // Slack does not send an ephemeral message back
		p["message"] = s.wire(c, m, true)
	}
	return p, nil
}

func (s *Server) viewClick(r ClickRequest) (map[string]any, error) {
	user, v, err := s.openFor(r.User, r.ViewID)
	if err != nil {
		return nil, err
	}
	action, err := findAction(v.Blocks, r)
	if err != nil {
		return nil, fmt.Errorf("view %s: %w", v.ID, err)
	}
	p := s.interaction("block_actions", user)
	maps.Copy(p, map[string]any{
		"container": map[string]any{"type": "view", "view_id": v.ID}, "view": s.wireView(v, nil),
		"trigger_id": s.newTrigger(user.ID, v), "actions": []any{action},
	})
	return p, nil
}

// visible returns a message that a user sees, the user's ephemerals included.
func (c *channel) visible(ts, user string) *Message {
	for _, m := range c.messages {
		if m.TS == ts && !m.Deleted && (m.EphemeralTo == "" || m.EphemeralTo == user) {
			return m
		}
	}
	return nil
}

// interaction is what all interactive payloads have.
func (s *Server) interaction(kind string, user *User) map[string]any {
	return map[string]any{
		"type": kind, "token": "local-verification", "api_app_id": s.cfg.AppID,
		"team":       map[string]any{"id": s.cfg.Team.ID, "domain": s.cfg.Team.Domain},
		"user":       map[string]any{"id": user.ID, "username": user.Name, "name": user.Name, "team_id": s.cfg.Team.ID},
		"enterprise": nil, "is_enterprise_install": false,
	}
}

// findAction returns the entry of actions for a click
// (https://docs.slack.dev/reference/interaction-payloads/block_actions-payload).
func findAction(blocks json.RawMessage, r ClickRequest) (map[string]any, error) {
	var all []map[string]any
	if len(blocks) > 0 {
		if err := decode(string(blocks), &all); err != nil {
			return nil, fmt.Errorf("read blocks: %w", err)
		}
	}
	var have []string
	for _, block := range all {
		var found map[string]any
		eachElement(block, func(e map[string]any) {
			id := str(e["action_id"])
			have = append(have, id)
			if found == nil && id == r.ActionID && matches(block, e, r) {
				found = pressed(block, e, r.Value)
			}
		})
		if found != nil {
			return found, nil
		}
	}
	if r.Force {
		return map[string]any{"type": "button", "action_id": r.ActionID, "block_id": r.BlockID, "value": r.Value, "action_ts": formatTS(time.Now().UnixMicro())}, nil
	}
	return nil, fmt.Errorf("no element with action_id %q to click, only %q", r.ActionID, have)
}

// matches tells elements with the same action_id apart.
func matches(block, e map[string]any, r ClickRequest) bool {
	if r.BlockID != "" && r.BlockID != str(block["block_id"]) {
		return false
	}
	if str(e["type"]) == "button" {
		return r.Value == "" || r.Value == str(e["value"])
	}
	return true
}

func pressed(block, e map[string]any, value string) map[string]any {
	action := map[string]any{
		"type": e["type"], "action_id": e["action_id"], "block_id": block["block_id"],
		"action_ts": formatTS(time.Now().UnixMicro()),
	}
	for _, key := range []string{"text", "value", "style", "placeholder", "url"} {
		if e[key] != nil {
			action[key] = e[key]
		}
	}
	for _, o := range list(e["options"]) {
		if str(object(o)["value"]) == value {
			action["selected_option"] = o
		}
	}
	return action
}

// MentionRequest is a message by a user that mentions the bot, in a channel or,
// with ThreadTS, in a thread. The mention is put in front if Text has none.
type MentionRequest struct {
	User     string `json:"user"`
	Channel  string `json:"channel"`
	ThreadTS string `json:"thread_ts"`
	Text     string `json:"text"`
}

// Mention posts the message and sends the app_mention event; the ack carries
// the message's ts and the event_id. Without the scope app_mentions:read the
// app hears nothing, and there is no event_id.
func (s *Server) Mention(ctx context.Context, r MentionRequest) (Ack, error) {
	s.mu.Lock()
	user, c, err := s.member(r.User, r.Channel)
	if err != nil {
		s.mu.Unlock()
		return Ack{}, err
	}
	thread, err := c.threadFor(r.ThreadTS)
	if err != nil {
		s.mu.Unlock()
		return Ack{}, fmt.Errorf("no thread %s in #%s", r.ThreadTS, c.Name)
	}
	text := r.Text
	if mention := "<@" + s.cfg.Bot.ID + ">"; !strings.Contains(text, mention) {
		text = mention + " " + text
	}
	m := s.add(c, Message{User: user.ID, ThreadTS: thread}, content{text: text})
	payload, eventID := s.mentionEvent(c, m)
	s.mu.Unlock()
	if !s.granted(scopeMentions) {
		return Ack{TS: m.TS}, nil
	}
	ack, err := s.deliver(ctx, &delivery{kind: envelopeEvent, payload: payload})
	ack.TS, ack.EventID = m.TS, eventID
	return ack, err
}

func (s *Server) mentionEvent(c *channel, m *Message) (payload map[string]any, eventID string) {
	event := map[string]any{
		"type": "app_mention", "user": m.User, "text": m.Text, "ts": m.TS, "event_ts": m.TS,
		"channel": c.ID, "team": s.cfg.Team.ID,
	}
	if m.ThreadTS != "" {
		event["thread_ts"] = m.ThreadTS
	}
	eventID = s.newID("Ev")
	return map[string]any{
		"token": "local-verification", "team_id": s.cfg.Team.ID, "api_app_id": s.cfg.AppID, "event": event,
		"type": "event_callback", "event_id": eventID, "event_time": m.Changed.Unix(), "is_ext_shared_channel": false,
		"authorizations": []any{map[string]any{
			"enterprise_id": nil, "team_id": s.cfg.Team.ID, "user_id": s.cfg.Bot.ID, "is_bot": true, "is_enterprise_install": false,
		}},
	}, eventID
}
