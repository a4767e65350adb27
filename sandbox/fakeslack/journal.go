package fakeslack

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// The kinds of Call.
const (
	CallWeb      = "web"      // a Web API method, or a URL it handed out
	CallSocket   = "socket"   // a connection opened, asked to leave, closed
	CallEnvelope = "envelope" // sent to a connection
	CallAck      = "ack"      // received from a connection
)

// Call is a line of the journal: one thing that passed between the app and
// Slack. Tokens, tickets and trigger IDs are not in it.
type Call struct {
	Time       time.Time         `json:"time"`
	Kind       string            `json:"kind"`
	Method     string            `json:"method"`
	Arguments  map[string]string `json:"arguments,omitempty"`
	Outcome    string            `json:"outcome"` // "ok", Slack's error code, or what became of it
	Connection string            `json:"connection,omitempty"`
	EnvelopeID string            `json:"envelope_id,omitempty"`
	AckMS      float64           `json:"ack_ms,omitempty"` // from the envelope's first sending to its ack
}

// journalLimit bounds the journal; the oldest lines go first.
const journalLimit = 20_000

// Journal returns what passed so far, oldest first.
func (s *Server) Journal() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal)
}

func (s *Server) record(call Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(call)
}

// note is record for callers that hold s.mu.
func (s *Server) note(call Call) {
	call.Time = time.Now()
	delete(call.Arguments, "trigger_id")
	if len(s.journal) >= journalLimit {
		s.journal = slices.Delete(s.journal, 0, journalLimit/10)
	}
	s.journal = append(s.journal, call)
	s.log.Debug("slack", "kind", call.Kind, "method", call.Method, "outcome", call.Outcome, "connection", call.Connection)
}

// encode is JSON as Slack writes it, with <, > and & as they are. It is used
// on values made of maps, slices and strings, which always encode.
func encode(value any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return []byte("null")
	}
	return bytes.TrimSpace(out.Bytes())
}

// decode reads JSON with numbers kept as they were written.
func decode(raw string, into any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(raw)))
	d.UseNumber()
	return d.Decode(into)
}
