// Socket Mode: https://docs.slack.dev/apis/events-api/using-socket-mode

package fakeslack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// The reasons of a disconnect message.
const (
	reasonWarning = "warning"
	reasonRefresh = "refresh_requested"
	reasonTooMany = "too_many_websockets"
)

const (
	maxConnections = 10               // for each app
	maxAck         = 20 * 1024        // bytes; a longer response is dropped without a word
	warningAhead   = 10 * time.Second // of a refresh
	writeTimeout   = 3 * time.Second
	pongTimeout    = 10 * time.Second
	leaveGrace     = 500 * time.Millisecond // for the client to close by itself
)

// connection is one open socket.
type connection struct {
	id     string
	ws     *websocket.Conn
	wire   *wire
	opened time.Time
	quit   chan string // a reason to disconnect
	silent atomic.Bool // sends no pings

	// Guarded by Server.mu.
	ready   bool // hello is sent
	leaving bool // told to go
	sent    int
	acked   int
}

// Connection is an open socket, as seen from outside.
type Connection struct {
	ID      string    `json:"id"`
	Opened  time.Time `json:"opened"`
	Leaving bool      `json:"leaving,omitempty"`
	Sent    int       `json:"sent"`  // envelopes
	Acked   int       `json:"acked"` // of them
}

// Connections returns the open sockets that have had their hello, oldest first.
func (s *Server) Connections() []Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Connection{}
	for _, c := range s.conns {
		if c.ready {
			out = append(out, Connection{ID: c.id, Opened: c.opened, Leaving: c.leaving, Sent: c.sent, Acked: c.acked})
		}
	}
	return out
}

// openConnection is apps.connections.open.
func (s *Server) openConnection(time.Time, arguments) (reply, error) {
	ticket := s.newSecret()
	s.tickets[ticket] = true
	u, err := url.Parse(s.cfg.BaseURL)
	if err != nil {
		return nil, failed("fatal_error")
	}
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	u.Path = "/link/"
	u.RawQuery = url.Values{"ticket": {ticket}, "app_id": {s.cfg.AppID}}.Encode()
	return reply{"url": u.String()}, nil
}

// useTicket takes a ticket, which is good for one connection.
func (s *Server) useTicket(ticket string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.tickets[ticket]
	delete(s.tickets, ticket)
	return fresh
}

// serveSocket is a connection's life: it reads until the socket ends.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()
	if !s.useTicket(r.URL.Query().Get("ticket")) {
		s.record(Call{Kind: CallSocket, Method: "connect", Outcome: "ticket used or unknown"})
		http.Error(w, "invalid ticket", http.StatusForbidden)
		return
	}
	// Slack's clients send the Origin of api.slack.com, or none.
	below := &wire{}
	ws, err := websocket.Accept(&wired{ResponseWriter: w, wire: below}, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		s.record(Call{Kind: CallSocket, Method: "connect", Outcome: err.Error()})
		return
	}
	ws.SetReadLimit(bodyLimit)
	c, welcome := s.register(ws, below)
	defer s.unregister(c)
	if !welcome {
		s.refuse(c)
		return
	}
	s.attend(c, r.URL.Query().Get("debug_reconnects") == "true")
}

func (s *Server) refuse(c *connection) {
	s.disconnect(c, reasonTooMany)
	ctx, cancel := context.WithTimeout(s.ctx, leaveGrace)
	defer cancel()
	s.read(ctx, c)
}

// debugLifetime is how long a connection lives that asked for debug_reconnects.
const debugLifetime = 6 * time.Minute

func (s *Server) attend(c *connection, debug bool) {
	lifetime := s.cfg.Lifetime
	if debug {
		lifetime = min(lifetime, debugLifetime)
	}
	if err := s.hello(c, lifetime); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		s.keep(ctx, c, lifetime)
	}()
	s.read(ctx, c)
	cancel()
	<-kept
}

// register adds a connection, unless there are too many.
func (s *Server) register(ws *websocket.Conn, below *wire) (c *connection, welcome bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = &connection{id: s.newID("conn-"), ws: ws, wire: below, opened: time.Now(), quit: make(chan string, 1)}
	refused := s.spend(slices.IndexFunc(s.faults, func(f *Fault) bool { return f.Kind == FaultDisconnect }))
	if len(s.conns) >= maxConnections || refused != nil {
		s.note(Call{Kind: CallSocket, Method: "connect", Outcome: reasonTooMany, Connection: c.id})
		return c, false
	}
	s.conns = append(s.conns, c)
	s.note(Call{Kind: CallSocket, Method: "connect", Outcome: "ok", Connection: c.id})
	return c, true
}

func (s *Server) unregister(c *connection) {
	_ = c.ws.CloseNow()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(other *connection) bool { return other == c })
	s.note(Call{Kind: CallSocket, Method: "close", Outcome: "ok", Connection: c.id})
	s.touch()
}

func (s *Server) hello(c *connection, lifetime time.Duration) error {
	s.mu.Lock()
	n := len(s.conns)
	s.mu.Unlock()
	err := s.send(c, map[string]any{
		"type": "hello", "num_connections": n,
		"connection_info": map[string]any{"app_id": s.cfg.AppID},
		"debug_info": map[string]any{
			"host": "applink-local", "build_number": 1,
			"started":                     c.opened.UTC().Format("2006-01-02 15:04:05.000"),
			"approximate_connection_time": int(lifetime.Seconds()),
		},
	})
	if err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.ready = true
	s.touch()
	return nil
}

// keep pings the client, and ends the connection when its time has come, when
// it is told to, or when the client has gone.
func (s *Server) keep(ctx context.Context, c *connection, lifetime time.Duration) {
	defer func() { _ = c.ws.CloseNow() }() // ends read
	ping := time.NewTicker(s.cfg.PingEvery)
	defer ping.Stop()
	warn := time.NewTimer(max(0, lifetime-warningAhead))
	defer warn.Stop()
	end := time.NewTimer(lifetime)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ping.C:
			if !s.ping(ctx, c) {
				return
			}
		case <-warn.C:
			c.leave(reasonWarning)
		case <-end.C:
			c.leave(reasonRefresh)
		case reason := <-c.quit:
			s.disconnect(c, reason)
			if reason != reasonWarning {
				pause(ctx, leaveGrace)
				return
			}
			end.Reset(warningAhead)
		}
	}
}

func (s *Server) ping(ctx context.Context, c *connection) bool {
	if c.silent.Load() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, pongTimeout)
	defer cancel()
	if err := c.ws.Ping(ctx); err != nil {
		s.record(Call{Kind: CallSocket, Method: "ping", Outcome: "no pong", Connection: c.id})
		return false
	}
	return true
}

// leave asks for a disconnect; while one is under way, another is not needed.
func (c *connection) leave(reason string) {
	select {
	case c.quit <- reason:
	default:
	}
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// disconnect tells the client to go. Unless it is a warning, the caller closes
// the socket soon after it: a client that is left hanging takes long to notice.
func (s *Server) disconnect(c *connection, reason string) {
	s.mu.Lock()
	c.leaving = true
	s.mu.Unlock()
	err := s.send(c, map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-local"}})
	outcome := reason
	if err != nil {
		outcome = err.Error()
	}
	s.record(Call{Kind: CallSocket, Method: "disconnect", Outcome: outcome, Connection: c.id})
}

func (s *Server) send(c *connection, message any) error {
	ctx, cancel := context.WithTimeout(s.ctx, writeTimeout)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, encode(message))
}

// read takes acks until the socket ends.
func (s *Server) read(ctx context.Context, c *connection) {
	for {
		_, raw, err := c.ws.Read(ctx)
		if err != nil {
			return
		}
		s.receive(c, raw)
	}
}

// receive takes one ack. A payload may be missing or empty.
func (s *Server) receive(c *connection, raw []byte) {
	var ack struct {
		EnvelopeID string          `json:"envelope_id"`
		Payload    json.RawMessage `json:"payload"`
	}
	err := json.Unmarshal(raw, &ack)
	s.mu.Lock()
	defer s.mu.Unlock()
	call := Call{Kind: CallAck, EnvelopeID: ack.EnvelopeID, Connection: c.id}
	switch {
	case err != nil || ack.EnvelopeID == "":
		call.Outcome = "not an ack"
	case len(raw) > maxAck:
		call.Outcome = "dropped: 20 KB or more"
	default:
		s.settle(c, ack.EnvelopeID, ack.Payload, &call)
	}
	s.note(call)
}
