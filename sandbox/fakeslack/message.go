package fakeslack

import (
	"encoding/json"
	"slices"
	"time"
)

// Message is a message as it stands, with everything it ever said.
type Message struct {
	Channel     string          `json:"channel"`
	TS          string          `json:"ts"`
	ThreadTS    string          `json:"thread_ts,omitempty"` // of a reply: its parent's ts
	Broadcast   bool            `json:"broadcast,omitempty"` // a reply that is shown in the channel too
	User        string          `json:"user"`
	Text        string          `json:"text"`
	Blocks      json.RawMessage `json:"blocks,omitempty"`
	Attachments json.RawMessage `json:"attachments,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	Files       []File          `json:"files,omitempty"`
	Reactions   []Reaction      `json:"reactions,omitempty"`
	EphemeralTo string          `json:"ephemeral_to,omitempty"` // the only user who sees it
	Deleted     bool            `json:"deleted,omitempty"`
	Changed     time.Time       `json:"changed"` // when it was posted, edited or deleted last
	Edits       []Edit          `json:"edits,omitempty"`
}

// Edit is what a message said before it was edited.
type Edit struct {
	Until  time.Time       `json:"until"` // when it stopped saying so
	Text   string          `json:"text"`
	Blocks json.RawMessage `json:"blocks,omitempty"`
}

// Reaction is an emoji under a message and who put it there.
type Reaction struct {
	Name  string   `json:"name"`
	Users []string `json:"users"`
}

// Messages returns a channel's messages, oldest first: replies, ephemerals and
// deleted ones included. The channel is named by ID or name.
func (s *Server) Messages(channelName string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.findChannel(channelName)
	if c == nil {
		return nil
	}
	out := make([]Message, len(c.messages))
	for i, m := range c.messages {
		out[i] = *m
		out[i].Edits = slices.Clone(m.Edits)
		out[i].Files = slices.Clone(m.Files)
		out[i].Reactions = cloneReactions(m.Reactions)
	}
	return out
}

func cloneReactions(from []Reaction) []Reaction {
	out := slices.Clone(from)
	for i := range out {
		out[i].Users = slices.Clone(out[i].Users)
	}
	return out
}

// content is what a call says: the part of a message that an edit replaces.
type content struct {
	text                          string
	blocks, attachments, metadata json.RawMessage
}

// The lengths that Slack allows a message's text. A new message is cut; an edit
// is refused beyond 4,000 bytes, counted after escaping
// (https://docs.slack.dev/reference/methods/chat.update).
const (
	maxText       = 40_000
	maxUpdateText = 4_000
)

// readContent takes text, blocks, attachments and metadata from a call and
// checks them. The caller holds s.mu.
func (s *Server) readContent(a arguments) (content, error) {
	c := content{text: cut(a["text"], maxText)}
	blocks, err := s.checkBlocks(a["blocks"])
	if err != nil {
		return content{}, err
	}
	c.blocks = blocks
	if c.attachments, err = jsonArgument(a["attachments"], "invalid_attachments"); err != nil {
		return content{}, err
	}
	if c.metadata, err = readMetadata(a["metadata"]); err != nil {
		return content{}, err
	}
	if c.text == "" && len(c.blocks) == 0 && len(c.attachments) == 0 {
		return content{}, failed("no_text")
	}
	return c, nil
}

func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most])
}

// jsonArgument returns a JSON list; an empty one is the same as none.
func jsonArgument(raw, code string) (json.RawMessage, error) {
	if raw == "" || raw == "null" {
		return nil, nil
	}
	var list []any
	if err := decode(raw, &list); err != nil {
		return nil, failed(code)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return json.RawMessage(raw), nil
}

// readMetadata checks the form of https://docs.slack.dev/messaging/message-metadata.
func readMetadata(raw string) (json.RawMessage, error) {
	if raw == "" || raw == "null" {
		return nil, nil
	}
	var m struct {
		EventType    string         `json:"event_type"`
		EventPayload map[string]any `json:"event_payload"`
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return nil, failed("invalid_metadata_format")
	}
	if m.EventType == "" && len(m.EventPayload) == 0 {
		return nil, nil
	}
	if m.EventType == "" {
		return nil, failed("invalid_metadata_format")
	}
	if len(raw) > 16_000 {
		return nil, failed("metadata_too_large")
	}
	return json.RawMessage(raw), nil
}

// add puts a new message into a channel. The caller holds s.mu.
func (s *Server) add(c *channel, m Message, say content) *Message {
	now := time.Now()
	m.Channel, m.TS, m.Changed = c.ID, s.newTS(now), now
	m.Text, m.Blocks, m.Attachments, m.Metadata = say.text, say.blocks, say.attachments, say.metadata
	c.messages = append(c.messages, &m)
	s.touch()
	return &m
}

// edit replaces what a message says and remembers what it said. Metadata stays
// unless the edit brings its own. The caller holds s.mu.
func (s *Server) edit(m *Message, say content) {
	now := time.Now()
	m.Edits = append(m.Edits, Edit{Until: now, Text: m.Text, Blocks: m.Blocks})
	m.Text, m.Blocks, m.Attachments, m.Changed = say.text, say.blocks, say.attachments, now
	if say.metadata != nil {
		m.Metadata = say.metadata
	}
	s.touch()
}

func (s *Server) remove(m *Message) {
	m.Deleted, m.Changed = true, time.Now()
	s.touch()
}

// wire is a message as the API shows it.
func (s *Server) wire(c *channel, m *Message, withMetadata bool) map[string]any {
	out := map[string]any{"type": "message", "user": m.User, "ts": m.TS, "text": m.Text, "team": s.cfg.Team.ID}
	if m.User == s.cfg.Bot.ID {
		out["bot_id"] = s.botID()
		out["app_id"] = s.cfg.AppID
	}
	for key, raw := range map[string]json.RawMessage{"blocks": m.Blocks, "attachments": m.Attachments} {
		if len(raw) > 0 {
			out[key] = raw
		}
	}
	if withMetadata && len(m.Metadata) > 0 {
		out["metadata"] = m.Metadata
	}
	if len(m.Edits) > 0 {
		last := m.Edits[len(m.Edits)-1].Until
		out["edited"] = map[string]any{"user": m.User, "ts": formatTS(last.UnixMicro())}
	}
	if len(m.Files) > 0 {
		out["files"] = m.Files
		out["subtype"] = "file_share"
	}
	if len(m.Reactions) > 0 {
		out["reactions"] = wireReactions(m.Reactions)
	}
	wireThread(out, c, m)
	return out
}

func wireReactions(reactions []Reaction) []map[string]any {
	out := make([]map[string]any, len(reactions))
	for i, r := range reactions {
		out[i] = map[string]any{"name": r.Name, "users": r.Users, "count": len(r.Users)}
	}
	return out
}

// wireThread adds what ties a reply to its parent and a parent to its replies.
func wireThread(out map[string]any, c *channel, m *Message) {
	if m.ThreadTS != "" {
		out["thread_ts"] = m.ThreadTS
		if parent := c.find(m.ThreadTS); parent != nil {
			out["parent_user_id"] = parent.User
		}
		if m.Broadcast {
			out["subtype"] = "thread_broadcast"
		}
		return
	}
	replies := c.thread(m.TS)
	if len(replies) == 0 {
		return
	}
	out["thread_ts"] = m.TS
	out["reply_count"] = len(replies)
	out["latest_reply"] = replies[len(replies)-1].TS
}
