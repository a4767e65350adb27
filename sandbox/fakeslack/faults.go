package fakeslack

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of Fault.
const (
	FaultError           = "error"             // refused with Code, nothing done
	FaultRateLimit       = "429"               // refused with HTTP 429 and RetryAfter, nothing done
	FaultTimeout         = "timeout"           // never answered, nothing done; for an envelope type: its ack is lost
	FaultAppliedButError = "applied_but_error" // done, yet answered with Code
	FaultDisconnect      = "disconnect"        // sockets are asked to leave with Reason, then closed
	FaultNoPing          = "no_ping"           // the open sockets get no more pings
	FaultDrop            = "drop"              // the connection closes without an answer, nothing done; without Method: sockets close without a word
	FaultTruncated       = "truncated"         // done, and half of the answer arrives
	FaultLatency         = "latency"           // the answer, or the envelope, comes later
	FaultHalfOpen        = "half_open"         // sockets stay open, but nothing passes in either direction any more
	FaultDuplicate       = "duplicate"         // an envelope is sent twice
	FaultReorder         = "reorder"           // an envelope is sent after the next one, a second later at most
	FaultSkew            = "clock_skew"        // Slack's clock, in ts and Date, is off by Skew, until ClearFaults
)

// FaultKinds lists the kinds.
func FaultKinds() []string {
	return []string{
		FaultError, FaultRateLimit, FaultTimeout, FaultAppliedButError, FaultDisconnect, FaultNoPing, FaultDrop,
		FaultTruncated, FaultLatency, FaultHalfOpen, FaultDuplicate, FaultReorder, FaultSkew,
	}
}

// Fault is trouble to come. Method is a Web API method, "response_url" or
// "upload"; an envelope type ("slash_commands", "interactive", "events_api")
// for a lost ack, latency, duplicates and reordering, of which the last two take
// none for any type; or "*" for any Web API method.
type Fault struct {
	Method     string        `json:"method"`
	Kind       string        `json:"kind"`
	Code       string        `json:"code,omitempty"`  // Slack's error code, or an HTTP status such as "503", which comes with HTML; internal_error if empty
	Count      int           `json:"count,omitempty"` // how many calls; one if zero. For sockets: how many of them, all if zero
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	Reason     string        `json:"reason,omitempty"` // of a disconnect; refresh_requested if empty

	// Of latency.
	Distribution string        `json:"distribution,omitempty"` // fixed (if empty), uniform or lognormal
	Delay        time.Duration `json:"delay,omitempty"`        // fixed; the longest, if uniform; the median, if lognormal
	Least        time.Duration `json:"least,omitempty"`        // the shortest, if uniform
	Sigma        float64       `json:"sigma,omitempty"`        // of the logarithm, if lognormal; 1 if zero
	Seed         uint64        `json:"seed,omitempty"`         // that the delays are drawn from

	Skew time.Duration `json:"skew,omitempty"` // of the clock

	random *rand.Rand
}

// Check says what is wrong with a fault, in words for whoever asked for it.
func (f Fault) Check() error {
	web := []string{FaultError, FaultRateLimit, FaultTimeout, FaultAppliedButError, FaultTruncated, FaultLatency}
	switch {
	case !slices.Contains(FaultKinds(), f.Kind):
		return fmt.Errorf("unknown kind %q: use one of %s", f.Kind, strings.Join(FaultKinds(), ", "))
	case f.Method == "" && slices.Contains(web, f.Kind):
		return fmt.Errorf("kind %q needs a method; * is any", f.Kind)
	case f.Kind == FaultLatency && !slices.Contains([]string{"", fixed, uniform, lognormal}, f.Distribution):
		return fmt.Errorf("unknown distribution %q: use %s, %s or %s", f.Distribution, fixed, uniform, lognormal)
	}
	return nil
}

// Fault makes trouble: at once for sockets and the clock, at the next calls for
// methods, at the next envelopes for their types. A disconnect with the reason
// too_many_websockets awaits the next connections.
func (s *Server) Fault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Kind == FaultSkew {
		s.skew = f.Skew
		return
	}
	if f.atSockets() {
		for _, c := range s.someConnections(f.Count) {
			c.suffer(f)
		}
		return
	}
	f.Count = max(1, f.Count)
	f.random = rand.New(rand.NewPCG(f.Seed, 0x1a7e))
	s.faults = append(s.faults, &f)
}

// atSockets reports whether a fault is about the sockets that are open now.
func (f Fault) atSockets() bool {
	switch f.Kind {
	case FaultNoPing, FaultHalfOpen:
		return true
	case FaultDisconnect:
		return f.Reason != reasonTooMany
	case FaultDrop:
		return f.Method == ""
	}
	return false
}

// suffer does to an open socket what a fault says.
func (c *connection) suffer(f Fault) {
	switch f.Kind {
	case FaultNoPing:
		c.silent.Store(true)
	case FaultHalfOpen:
		c.silent.Store(true)
		c.wire.dead.Store(true)
	case FaultDrop:
		c.wire.hangUp()
	default:
		c.leave(cmp.Or(f.Reason, reasonRefresh))
	}
}

// ClearFaults ends the trouble that has not happened yet, and sets the clock
// right.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.skew = nil, 0
}

func (s *Server) someConnections(count int) []*connection {
	if count <= 0 || count > len(s.conns) {
		count = len(s.conns)
	}
	return s.conns[:count]
}

// trouble lets a call's latency pass, and uses up one count of the first fault
// that decides how it is answered.
func (s *Server) trouble(name string) *Fault {
	s.mu.Lock()
	wait := s.latency(name)
	s.mu.Unlock()
	s.lag(wait)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeFault(name, FaultError, FaultRateLimit, FaultTimeout, FaultAppliedButError, FaultTruncated, FaultDrop)
}

// takeFault uses up one count of the first fault of the kinds for a method or
// an envelope type; nil if there is none. The caller holds s.mu.
func (s *Server) takeFault(name string, kinds ...string) *Fault {
	_, web := methods[name]
	return s.spend(slices.IndexFunc(s.faults, func(f *Fault) bool {
		return slices.Contains(kinds, f.Kind) && (f.Method == name || f.Method == "" || web && f.Method == "*")
	}))
}

// spend uses up one count of the fault at an index; a negative index is none.
func (s *Server) spend(at int) *Fault {
	if at < 0 {
		return nil
	}
	f := s.faults[at]
	if f.Count--; f.Count == 0 {
		s.faults = slices.Delete(s.faults, at, at+1)
	}
	return f
}

// lag waits, until the server ends at the longest. That the client has gone is
// no reason to stop: what it asked is still done.
func (s *Server) lag(wait time.Duration) {
	if wait > 0 {
		pause(s.ctx, wait)
	}
}

// answerFault answers a call as a fault says; apply does what the call asked.
func (s *Server) answerFault(w http.ResponseWriter, r *http.Request, f *Fault, call Call, apply func() (reply, error)) {
	switch f.Kind {
	case FaultRateLimit:
		s.answer(w, call, nil, &rateError{after: f.RetryAfter})
	case FaultTimeout, FaultDrop:
		call.Outcome = "fault: " + f.Kind
		s.record(call)
		if f.Kind == FaultTimeout {
			s.hold(r)
		}
		panic(http.ErrAbortHandler)
	case FaultTruncated:
		out, err := apply()
		s.answer(&truncated{ResponseWriter: w}, call, out, err)
	case FaultAppliedButError:
		_, _ = apply()
		s.answerCode(w, call, f.Code)
	default:
		s.answerCode(w, call, f.Code)
	}
}

// hold keeps a request unanswered until its client or the server gives up.
func (s *Server) hold(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
}

// truncated writes the first half of a body.
type truncated struct{ http.ResponseWriter }

func (t *truncated) Write(p []byte) (int, error) {
	_, err := t.ResponseWriter.Write(p[:len(p)/2])
	return len(p), err
}

// answerCode answers with an error code, or with an HTTP status and the HTML
// that Slack's front ends send with it.
func (s *Server) answerCode(w http.ResponseWriter, call Call, code string) {
	status, err := strconv.Atoi(code)
	if err != nil || status < 400 || status > 599 {
		s.answer(w, call, nil, failed(cmp.Or(code, "internal_error")))
		return
	}
	call.Outcome = "http " + code
	s.record(call)
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = w.Write([]byte("<html><body>Server Error</body></html>"))
}
