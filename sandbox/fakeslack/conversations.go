package fakeslack

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// channel is a conversation: a channel, or the direct messages with one user.
type channel struct {
	Channel
	direct   string     // the user, of direct messages
	messages []*Message // oldest first
}

// has reports whether a user is a member.
func (c *channel) has(user string) bool {
	return len(c.Members) == 0 || slices.Contains(c.Members, user)
}

// find returns a message that the API still knows: neither deleted nor
// ephemeral.
func (c *channel) find(ts string) *Message {
	at := slices.IndexFunc(c.messages, func(m *Message) bool { return m.TS == ts && !m.Deleted && m.EphemeralTo == "" })
	if at < 0 {
		return nil
	}
	return c.messages[at]
}

// thread returns the replies to a message, oldest first.
func (c *channel) thread(ts string) []*Message {
	var out []*Message
	for _, m := range c.messages {
		if m.ThreadTS == ts && !m.Deleted && m.EphemeralTo == "" {
			out = append(out, m)
		}
	}
	return out
}

// findChannel looks a conversation up by ID or name; a user's ID is the direct
// messages with that user. The caller holds s.mu.
func (s *Server) findChannel(name string) *channel {
	name = strings.TrimPrefix(name, "#")
	if name == "" {
		return nil
	}
	at := slices.IndexFunc(s.channels, func(c *channel) bool { return c.ID == name || c.Name == name })
	if at >= 0 {
		return s.channels[at]
	}
	if user := s.findUser(name); user != nil && user.ID == name && name != s.cfg.Bot.ID {
		return s.directWith(user.ID)
	}
	return nil
}

func (s *Server) directWith(user string) *channel {
	at := slices.IndexFunc(s.channels, func(c *channel) bool { return c.direct == user })
	if at >= 0 {
		return s.channels[at]
	}
	c := &channel{Channel: Channel{ID: s.newID("D"), Members: []string{user, s.cfg.Bot.ID}}, direct: user}
	s.channels = append(s.channels, c)
	return c
}

// channelToPostIn is channelForPost for a new message: an app that has the scope
// chat:write.public posts in public channels without being a member.
func (s *Server) channelToPostIn(name string) (*channel, error) {
	if c := s.findChannel(name); c != nil && s.granted(scopePublic) {
		return c, nil
	}
	return s.channelForPost(name)
}

// channelForPost returns the conversation that the bot wants to write to.
func (s *Server) channelForPost(name string) (*channel, error) {
	c := s.findChannel(name)
	switch {
	case c == nil:
		return nil, failed("channel_not_found")
	case !c.has(s.cfg.Bot.ID):
		return nil, failed("not_in_channel")
	}
	return c, nil
}

// wireChannel is a conversation as https://docs.slack.dev/reference/objects/conversation-object has it.
func (s *Server) wireChannel(c *channel) map[string]any {
	out := map[string]any{
		"id": c.ID, "created": 0, "is_archived": false, "is_im": c.direct != "", "is_mpim": false,
		"is_group": false, "is_private": false, "context_team_id": s.cfg.Team.ID,
	}
	if c.direct != "" {
		out["user"] = c.direct
		return out
	}
	empty := map[string]any{"value": "", "creator": "", "last_set": 0}
	out["name"], out["name_normalized"] = c.Name, c.Name
	out["is_channel"], out["is_member"] = true, c.has(s.cfg.Bot.ID)
	out["topic"], out["purpose"] = empty, empty
	out["num_members"] = len(s.memberIDs(c))
	return out
}

func (s *Server) memberIDs(c *channel) []string {
	if len(c.Members) > 0 {
		return c.Members
	}
	ids := make([]string, len(s.users))
	for i, u := range s.users {
		ids[i] = u.ID
	}
	return ids
}

func (s *Server) listConversations(_ time.Time, a arguments) (reply, error) {
	types := strings.Split(or(a["types"], "public_channel"), ",")
	var wanted []*channel
	for _, c := range s.channels {
		kind := "public_channel"
		if c.direct != "" {
			kind = "im"
		}
		if slices.Contains(types, kind) {
			wanted = append(wanted, c)
		}
	}
	page, next, err := paginate(wanted, a, 100, 1000)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(page))
	for i, c := range page {
		out[i] = s.wireChannel(c)
	}
	return reply{"channels": out, "response_metadata": cursor(next)}, nil
}

func (s *Server) conversationInfo(_ time.Time, a arguments) (reply, error) {
	c := s.findChannel(a["channel"])
	if c == nil {
		return nil, failed("channel_not_found")
	}
	return reply{"channel": s.wireChannel(c)}, nil
}

func (s *Server) members(_ time.Time, a arguments) (reply, error) {
	c := s.findChannel(a["channel"])
	if c == nil {
		return nil, failed("channel_not_found")
	}
	page, next, err := paginate(s.memberIDs(c), a, 100, 1000)
	if err != nil {
		return nil, err
	}
	return reply{"members": page, "response_metadata": cursor(next)}, nil
}

// openConversation is conversations.open with one user; direct messages with
// several are not offered.
func (s *Server) openConversation(_ time.Time, a arguments) (reply, error) {
	user := s.findUser(a["users"])
	if user == nil {
		return nil, failed("user_not_found")
	}
	c := s.directWith(user.ID)
	return reply{"channel": s.wireChannel(c)}, nil
}

// history is conversations.history: newest first, without replies that were
// not broadcast.
func (s *Server) history(_ time.Time, a arguments) (reply, error) {
	c, err := s.channelForPost(a["channel"])
	if err != nil {
		return nil, err
	}
	var found []*Message
	for _, m := range slices.Backward(c.messages) {
		top := m.ThreadTS == "" || m.Broadcast
		if top && !m.Deleted && m.EphemeralTo == "" && inRange(m.TS, a) {
			found = append(found, m)
		}
	}
	return s.wirePage(c, found, a, 100)
}

// replies is conversations.replies: the parent, then its replies, oldest first.
func (s *Server) replies(_ time.Time, a arguments) (reply, error) {
	c, err := s.channelForPost(a["channel"])
	if err != nil {
		return nil, err
	}
	parent := c.find(a["ts"])
	if parent == nil {
		return nil, failed("thread_not_found")
	}
	found := []*Message{parent}
	for _, m := range c.thread(parent.TS) {
		if inRange(m.TS, a) {
			found = append(found, m)
		}
	}
	return s.wirePage(c, found, a, 1000)
}

func (s *Server) wirePage(c *channel, found []*Message, a arguments, size int) (reply, error) {
	page, next, err := paginate(found, a, size, 999)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(page))
	for i, m := range page {
		out[i] = s.wire(c, m, a.flag("include_all_metadata"))
	}
	return reply{"messages": out, "has_more": next != "", "response_metadata": cursor(next)}, nil
}

// inRange reports whether a ts lies between oldest and latest. A ts has ten
// digits before its dot until the year 2286, so that text compares like numbers.
func inRange(ts string, a arguments) bool {
	oldest, latest := a["oldest"], a["latest"]
	if a.flag("inclusive") {
		return (oldest == "" || oldest == "0" || ts >= oldest) && (latest == "" || ts <= latest)
	}
	return (oldest == "" || oldest == "0" || ts > oldest) && (latest == "" || ts < latest)
}

// paginate returns the page that cursor and limit ask for, and the next cursor
// (https://docs.slack.dev/apis/web-api/pagination).
func paginate[T any](all []T, a arguments, size, most int) ([]T, string, error) {
	start := 0
	if given := a["cursor"]; given != "" {
		raw, err := base64.StdEncoding.DecodeString(given)
		text, ok := strings.CutPrefix(string(raw), "next:")
		n, convErr := strconv.Atoi(text)
		if err != nil || !ok || convErr != nil || n < 0 || n > len(all) {
			return nil, "", failed("invalid_cursor")
		}
		start = n
	}
	end := min(start+a.number("limit", size, most), len(all))
	if end == len(all) {
		return all[start:end], "", nil
	}
	return all[start:end], base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "next:%d", end)), nil
}

func cursor(next string) map[string]any { return map[string]any{"next_cursor": next} }
