package fakeslack

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// postMessage is chat.postMessage (https://docs.slack.dev/reference/methods/chat.postMessage).
func (s *Server) postMessage(_ time.Time, a arguments) (reply, error) {
	c, err := s.channelToPostIn(a["channel"])
	if err != nil {
		return nil, err
	}
	say, err := s.readContent(a)
	if err != nil {
		return nil, err
	}
	thread, err := c.threadFor(a["thread_ts"])
	if err != nil {
		return nil, err
	}
	m := s.add(c, Message{User: s.cfg.Bot.ID, ThreadTS: thread, Broadcast: thread != "" && a.flag("reply_broadcast")}, say)
	return reply{"channel": c.ID, "ts": m.TS, "message": s.wire(c, m, true)}, nil
}

// threadFor checks that a reply's parent can have replies. Slack itself lets
// some wrong values pass and loses the reply from sight; here that is an error.
func (c *channel) threadFor(ts string) (string, error) {
	if ts == "" {
		return "", nil
	}
	parent := c.find(ts)
	if parent == nil || parent.ThreadTS != "" {
		return "", failed("cannot_reply_to_message")
	}
	return ts, nil
}

// updateMessage is chat.update: the app's own messages only, and text without
// blocks removes the blocks (https://docs.slack.dev/reference/methods/chat.update).
func (s *Server) updateMessage(_ time.Time, a arguments) (reply, error) {
	c, err := s.channelForPost(a["channel"])
	if err != nil {
		return nil, err
	}
	m := c.find(a["ts"])
	if m == nil {
		return nil, failed("message_not_found")
	}
	if m.User != s.cfg.Bot.ID {
		return nil, failed("cant_update_message")
	}
	if len(escaped(a["text"])) > maxUpdateText {
		return nil, failed("msg_too_long")
	}
	say, err := s.readContent(a)
	if err != nil {
		return nil, err
	}
	s.edit(m, say)
	return reply{"channel": c.ID, "ts": m.TS, "text": m.Text, "message": s.wire(c, m, true)}, nil
}

// escaped is text as Slack stores it. Text that is escaped already stays so.
func escaped(text string) string {
	plain := strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(text)
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(plain)
}

// postEphemeral is chat.postEphemeral: seen by one member, kept by nobody.
func (s *Server) postEphemeral(_ time.Time, a arguments) (reply, error) {
	c, err := s.channelForPost(a["channel"])
	if err != nil {
		return nil, err
	}
	user := s.findUser(a["user"])
	if user == nil {
		return nil, failed("user_not_found")
	}
	if !c.has(user.ID) {
		return nil, failed("user_not_in_channel")
	}
	say, err := s.readContent(a)
	if err != nil {
		return nil, err
	}
	thread, err := c.threadFor(a["thread_ts"])
	if err != nil {
		return nil, err
	}
	m := s.add(c, Message{User: s.cfg.Bot.ID, ThreadTS: thread, EphemeralTo: user.ID}, say)
	return reply{"message_ts": m.TS}, nil
}

// deleteMessage is chat.delete.
func (s *Server) deleteMessage(_ time.Time, a arguments) (reply, error) {
	c := s.findChannel(a["channel"])
	if c == nil {
		return nil, failed("channel_not_found")
	}
	m := c.find(a["ts"])
	if m == nil {
		return nil, failed("message_not_found")
	}
	if m.User != s.cfg.Bot.ID {
		return nil, failed("cant_delete_message")
	}
	s.remove(m)
	return reply{"channel": c.ID, "ts": m.TS}, nil
}

// getPermalink is chat.getPermalink.
func (s *Server) getPermalink(_ time.Time, a arguments) (reply, error) {
	c := s.findChannel(a["channel"])
	if c == nil {
		return nil, failed("channel_not_found")
	}
	m := c.find(a["message_ts"])
	if m == nil {
		return nil, failed("message_not_found")
	}
	return reply{"channel": c.ID, "permalink": s.permalink(c, m)}, nil
}

func (s *Server) permalink(c *channel, m *Message) string {
	link := s.cfg.BaseURL + "/archives/" + c.ID + "/p" + strings.ReplaceAll(m.TS, ".", "")
	if m.ThreadTS != "" {
		link += "?thread_ts=" + m.ThreadTS + "&cid=" + c.ID
	}
	return link
}

// servePermalink sends a reader on to the page that shows the channel, at the
// message.
func (s *Server) servePermalink(w http.ResponseWriter, r *http.Request) {
	there := "/#" + r.PathValue("channel") + "/" + r.PathValue("message")
	http.Redirect(w, r, there, http.StatusFound) //nolint:gosec // G710: a fragment of this server's own page
}

// addReaction is reactions.add.
func (s *Server) addReaction(_ time.Time, a arguments) (reply, error) {
	c, err := s.channelForPost(a["channel"])
	if err != nil {
		return nil, err
	}
	m := c.find(a["timestamp"])
	if m == nil {
		return nil, failed("message_not_found")
	}
	name := strings.Trim(a["name"], ":")
	if name == "" {
		return nil, failed("invalid_name")
	}
	if !m.react(name, s.cfg.Bot.ID) {
		return nil, failed("already_reacted")
	}
	s.touch()
	return reply{}, nil
}

// react adds a user's reaction; it reports false if it was there already.
func (m *Message) react(name, user string) bool {
	for i := range m.Reactions {
		r := &m.Reactions[i]
		if r.Name != name {
			continue
		}
		if slices.Contains(r.Users, user) {
			return false
		}
		r.Users = append(r.Users, user)
		return true
	}
	m.Reactions = append(m.Reactions, Reaction{Name: name, Users: []string{user}})
	return true
}
