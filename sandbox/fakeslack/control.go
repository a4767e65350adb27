package fakeslack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// ControlHandler serves what people do, and what is to be seen, as JSON under
// /_control/: POST command, click, submit, close, mention, home, fault; GET
// messages, views, home, journal, state. It has no authentication and belongs on loopback only.
func (s *Server) ControlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_control/command", act(s.Command))
	mux.HandleFunc("POST /_control/click", act(s.Click))
	mux.HandleFunc("POST /_control/submit", act(s.Submit))
	mux.HandleFunc("POST /_control/mention", act(s.Mention))
	mux.HandleFunc("POST /_control/close", act(s.CloseView))
	mux.HandleFunc("POST /_control/home", act(s.AppHome))
	mux.HandleFunc("POST /_control/fault", s.controlFault)
	mux.HandleFunc("GET /_control/messages", s.controlMessages)
	mux.HandleFunc("GET /_control/views", s.controlViews)
	mux.HandleFunc("GET /_control/home", s.controlHome)
	mux.HandleFunc("GET /_control/journal", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Journal())
	})
	mux.HandleFunc("GET /_control/state", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.State())
	})
	return mux
}

// State is the workspace at a glance.
type State struct {
	Team        Team         `json:"team"`
	Bot         User         `json:"bot"`
	Users       []User       `json:"users"`
	Groups      []Group      `json:"groups"`
	Channels    []Channel    `json:"channels"`
	Connections []Connection `json:"connections"`
}

// State returns the workspace and the open sockets.
func (s *Server) State() State {
	return State{
		Team: s.cfg.Team, Bot: s.cfg.Bot, Users: s.cfg.Users, Groups: s.cfg.Groups,
		Channels: s.cfg.Channels, Connections: s.Connections(),
	}
}

// act serves one of the things people do. A refusal, or what the user would be
// told, is {"error": …}.
func act[Request any](do func(context.Context, Request) (Ack, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request Request
		if err := readControl(w, r, &request); err != nil {
			controlError(w, http.StatusBadRequest, err)
			return
		}
		ack, err := do(r.Context(), request)
		switch {
		case errors.Is(err, ErrNotAcked) || errors.Is(err, ErrNoConnection):
			controlError(w, http.StatusGatewayTimeout, err)
		case err != nil:
			controlError(w, http.StatusUnprocessableEntity, err)
		default:
			writeJSON(w, http.StatusOK, ackReply{Ack: ack, MS: milliseconds(ack.Elapsed)})
		}
	}
}

type ackReply struct {
	Ack
	MS float64 `json:"ack_ms"`
}

func readControl(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyLimit))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	return nil
}

func controlError(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

// faultRequest is a Fault as JSON: durations are in seconds, or texts such as
// "1m30s". An empty kind clears what has not happened yet.
type faultRequest struct {
	Fault
	Target     string          `json:"target"`
	RetryAfter json.RawMessage `json:"retry_after"`
	Delay      json.RawMessage `json:"delay"`
	Least      json.RawMessage `json:"least"`
	Skew       json.RawMessage `json:"skew"`
}

func (s *Server) controlFault(w http.ResponseWriter, r *http.Request) {
	var request faultRequest
	err := readControl(w, r, &request)
	if err == nil {
		err = s.faultRequested(request)
	}
	if err != nil {
		controlError(w, http.StatusBadRequest, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
}

func (s *Server) faultRequested(r faultRequest) error {
	if r.Target != "" && r.Target != "slack" {
		return fmt.Errorf("target is %q: only slack is served here", r.Target)
	}
	if r.Kind == "" {
		s.ClearFaults()
		return nil
	}
	f, err := r.fault()
	if err != nil {
		return err
	}
	if err := f.Check(); err != nil {
		return err
	}
	s.Fault(f)
	return nil
}

func (r faultRequest) fault() (Fault, error) {
	f := r.Fault
	for _, d := range []struct {
		name string
		raw  json.RawMessage
		into *time.Duration
	}{{"retry_after", r.RetryAfter, &f.RetryAfter}, {"delay", r.Delay, &f.Delay}, {"least", r.Least, &f.Least}, {"skew", r.Skew, &f.Skew}} {
		value, err := readDuration(d.raw)
		if err != nil {
			return Fault{}, fmt.Errorf("%s %w", d.name, err)
		}
		*d.into = value
	}
	return f, nil
}

func readDuration(raw json.RawMessage) (time.Duration, error) {
	if len(raw) == 0 {
		return 0, nil
	}
	text := plain(raw)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return time.Duration(seconds * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q: use seconds or a duration such as 30s", text)
	}
	return d, nil
}

func (s *Server) controlMessages(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("channel")
	s.mu.Lock()
	known := s.findChannel(name) != nil
	s.mu.Unlock()
	if !known {
		controlError(w, http.StatusNotFound, fmt.Errorf("no channel %q in the workspace", name))
		return
	}
	writeJSON(w, http.StatusOK, s.Messages(name))
}

func (s *Server) controlViews(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.Views(r.URL.Query().Get("user")))
}

func (s *Server) controlHome(w http.ResponseWriter, r *http.Request) {
	user := r.URL.Query().Get("user")
	view, published := s.Home(user)
	if !published {
		controlError(w, http.StatusNotFound, fmt.Errorf("no Home is published for %q", user))
		return
	}
	writeJSON(w, http.StatusOK, view)
}
