package fakeslack

import (
	"io"
	"maps"
	"net/http"
	"time"
)

// A response_url may be used five times within thirty minutes
// (https://docs.slack.dev/interactivity/handling-user-interaction#message_responses).
const (
	responseUses = 5
	responseLife = 30 * time.Minute
)

// mostResponses is how many URLs are kept before the expired ones are dropped,
// which answer the same without being known.
const mostResponses = 10_000

// responseURL is one that a payload carried: where it answers, and to whom.
type responseURL struct {
	channel  *channel
	user     string
	original *Message // the message that was clicked; nil for a slash command
	expires  time.Time
	uses     int
}

// newResponseURL hands out a response URL. The caller holds s.mu.
func (s *Server) newResponseURL(c *channel, user string, original *Message) string {
	if len(s.responses) >= mostResponses {
		now := time.Now()
		maps.DeleteFunc(s.responses, func(_ string, u *responseURL) bool { return now.After(u.expires) })
	}
	id := s.newSecret()
	s.responses[id] = &responseURL{channel: c, user: user, original: original, expires: time.Now().Add(responseLife)}
	return s.cfg.BaseURL + "/response/" + id
}

// serveResponse answers POST to a response URL: the text ok, or an error as
// JSON with a status that is not 200.
func (s *Server) serveResponse(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()

	id := r.PathValue("id")
	args := arguments{}
	err := args.addJSON(io.LimitReader(r.Body, bodyLimit))
	call := Call{Kind: CallWeb, Method: "response_url", Arguments: maps.Clone(args), Connection: r.RemoteAddr}
	var status int
	if err != nil {
		err, status = failed("invalid_payload"), http.StatusBadRequest
	} else if fault := s.trouble("response_url"); fault != nil {
		s.answerFault(w, r, fault, call, func() (reply, error) {
			_, err := s.respond(id, args)
			return reply{}, err
		})
		return
	} else {
		status, err = s.respond(id, args)
	}
	if err != nil {
		call.Outcome = err.Error()
		s.record(call)
		writeJSON(w, status, map[string]any{"ok": false, "error": err.Error()})
		return
	}
	call.Outcome = "ok"
	s.record(call)
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte("ok"))
}

// respond uses a response URL once.
func (s *Server) respond(id string, a arguments) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.responses[id]
	switch {
	case u == nil || time.Now().After(u.expires):
		return http.StatusNotFound, failed("expired_url")
	case u.uses >= responseUses:
		return http.StatusNotFound, failed("used_url")
	}
	u.uses++
	if err := s.say(u, a); err != nil {
		return http.StatusBadRequest, err
	}
	return http.StatusOK, nil
}

// say does what a message response asks: replace or delete the original, or
// post, ephemerally unless it says in_channel. The caller holds s.mu.
func (s *Server) say(u *responseURL, a arguments) error {
	if a.flag("delete_original") && u.original != nil {
		s.remove(u.original)
		return nil
	}
	say, err := s.readContent(a)
	if err != nil {
		return err
	}
	if a.flag("replace_original") && u.original != nil {
		s.edit(u.original, say)
		return nil
	}
	thread, err := u.channel.threadFor(a["thread_ts"])
	if err != nil {
		return err
	}
	m := Message{User: s.cfg.Bot.ID, ThreadTS: thread, EphemeralTo: u.user}
	if a["response_type"] == "in_channel" {
		m.EphemeralTo = ""
	}
	s.add(u.channel, m, say)
	return nil
}
