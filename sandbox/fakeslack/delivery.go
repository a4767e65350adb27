package fakeslack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The types of envelope.
const (
	envelopeCommand     = "slash_commands"
	envelopeInteractive = "interactive"
	envelopeEvent       = "events_api"
)

// ackDeadline is how long the app may take
// (https://docs.slack.dev/apis/events-api/using-socket-mode#acknowledge).
const ackDeadline = 3 * time.Second

// What Slack tells a user whose command or click went nowhere.
var (
	ErrNoConnection = errors.New(`failed with the error "dispatch_failed": the app has no open connection`)
	ErrNotAcked     = errors.New(`failed with the error "operation_timeout": the app did not answer within 3 s`)
)

// Ack is the app's answer to an envelope.
type Ack struct {
	Payload json.RawMessage `json:"payload,omitempty"`
	Elapsed time.Duration   `json:"-"`
	Problem string          `json:"problem,omitempty"` // why Slack could not use the payload
	TS      string          `json:"ts,omitempty"`      // of the message that a user wrote
	EventID string          `json:"event_id,omitempty"`
}

// delivery is an envelope on its way.
type delivery struct {
	id      string
	kind    string
	payload map[string]any
	answers bool          // accepts_response_payload
	started time.Time     // of the first sending
	acked   chan struct{} // closed by the ack

	// Guarded by Server.mu.
	last    *connection
	ack     json.RawMessage
	elapsed time.Duration
}

// deliver sends an envelope and waits for its ack, three seconds at most. The
// envelope goes on being resent after that, as it does with Slack.
func (s *Server) deliver(ctx context.Context, d *delivery) (Ack, error) {
	if !s.enter() {
		return Ack{}, ErrNoConnection
	}
	s.mu.Lock()
	d.id = s.envelopeID()
	d.started, d.acked = time.Now(), make(chan struct{})
	if d.kind != envelopeEvent && s.pick(nil) == nil {
		s.mu.Unlock()
		s.wg.Done()
		return Ack{}, ErrNoConnection
	}
	s.pending[d.id] = d
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		s.attempt(d)
	}()
	return s.await(ctx, d)
}

func (s *Server) await(ctx context.Context, d *delivery) (Ack, error) {
	timer := time.NewTimer(ackDeadline)
	defer timer.Stop()
	select {
	case <-d.acked:
		return Ack{Payload: d.ack, Elapsed: d.elapsed}, nil
	case <-timer.C:
		return Ack{}, ErrNotAcked
	case <-s.ctx.Done():
		return Ack{}, ErrNoConnection
	case <-ctx.Done():
		return Ack{}, fmt.Errorf("wait for the app's ack: %w", ctx.Err())
	}
}

// pauses are the waits after the deadline of each sending, before the next one.
// Events come again at once, after a minute and after five
// (https://docs.slack.dev/apis/events-api#errors).
func (d *delivery) pauses() []time.Duration {
	if d.kind == envelopeEvent {
		return []time.Duration{0, time.Minute, 5 * time.Minute}
	}
	return []time.Duration{0}
}

// attempt sends the envelope until it is acked or there is no sending left.
func (s *Server) attempt(d *delivery) {
	defer s.forget(d)
	twice := s.unsettle(d)
	s.sendOnce(d, 0)
	if twice {
		s.sendOnce(d, 0)
	}
	s.release()
	for i, pause := range d.pauses() {
		if s.settled(d, ackDeadline+pause) {
			return
		}
		s.sendOnce(d, i+1)
	}
	s.settled(d, ackDeadline)
}

// unsettle does what latency and reordering do before an envelope is sent, and
// reports whether it is to be sent twice.
func (s *Server) unsettle(d *delivery) (twice bool) {
	s.mu.Lock()
	wait := s.latency(d.kind)
	twice = s.takeFault(d.kind, FaultDuplicate) != nil
	var next chan struct{}
	if s.held == nil && s.takeFault(d.kind, FaultReorder) != nil {
		next = make(chan struct{})
		s.held = next
	}
	s.mu.Unlock()
	s.lag(wait)
	if next != nil {
		s.waitForNext(next)
	}
	return twice
}

// longestHold keeps an envelope that no other one follows within its deadline.
const longestHold = time.Second

func (s *Server) waitForNext(next chan struct{}) {
	timer := time.NewTimer(longestHold)
	defer timer.Stop()
	select {
	case <-next:
	case <-timer.C:
		s.release()
	case <-s.ctx.Done():
	}
}

// release lets an envelope go that waited for another one to be sent.
func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		close(s.held)
		s.held = nil
	}
}

func (s *Server) settled(d *delivery, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-d.acked:
		return true
	case <-s.ctx.Done():
		return true
	case <-timer.C:
		return false
	}
}

func (s *Server) forget(d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, d.id)
}

// sendOnce sends the envelope to one connection: another one than last time, if
// there is another.
func (s *Server) sendOnce(d *delivery, attempt int) {
	envelope := map[string]any{
		"envelope_id": d.id, "type": d.kind, "payload": d.payload, "accepts_response_payload": d.answers,
	}
	if d.kind == envelopeEvent || attempt > 0 {
		envelope["retry_attempt"] = attempt
		envelope["retry_reason"] = ""
	}
	if attempt > 0 {
		envelope["retry_reason"] = "timeout"
	}
	call := Call{Kind: CallEnvelope, Method: d.kind, EnvelopeID: d.id, Outcome: "no connection"}
	s.mu.Lock()
	c := s.pick(d.last)
	if c == nil {
		s.note(call)
		s.mu.Unlock()
		return
	}
	d.last = c
	c.sent++
	call.Connection, call.Outcome = c.id, fmt.Sprintf("sent, attempt %d", attempt+1)
	s.note(call)
	s.mu.Unlock()
	if err := s.send(c, envelope); err != nil {
		call.Outcome = "write failed"
		s.record(call)
	}
}

// pick draws the connection for an envelope: any one, but neither one that was
// told to leave nor the one to avoid, as long as there are others.
func (s *Server) pick(avoid *connection) *connection {
	var best, rest []*connection
	for _, c := range s.conns {
		switch {
		case !c.ready:
		case c.leaving || c == avoid:
			rest = append(rest, c)
		default:
			best = append(best, c)
		}
	}
	if len(best) == 0 {
		best = rest
	}
	if len(best) == 0 {
		return nil
	}
	return best[s.random.IntN(len(best))]
}

// settle matches an ack with its envelope. The caller holds s.mu.
func (s *Server) settle(c *connection, id string, payload json.RawMessage, call *Call) {
	d := s.pending[id]
	if d == nil {
		call.Outcome = "late, repeated or unknown"
		return
	}
	elapsed := time.Since(d.started)
	call.Method, call.AckMS = d.kind, milliseconds(elapsed)
	if s.takeFault(d.kind, FaultTimeout) != nil {
		call.Outcome = "fault: ack lost"
		return
	}
	call.Outcome = "ok"
	c.acked++
	d.ack, d.elapsed = payload, elapsed
	delete(s.pending, id)
	close(d.acked)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// envelopeID returns a UUID.
func (s *Server) envelopeID() string {
	a, b := s.random.Uint64(), s.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff)
}
