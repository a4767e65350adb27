package fakeslack

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
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
)

// Fault is trouble to come. Method is a Web API method, "response_url" or
// "upload"; an envelope type ("slash_commands", "interactive", "events_api")
// for a lost ack; or "*" for any Web API method.
type Fault struct {
	Method     string        `json:"method"`
	Kind       string        `json:"kind"`
	Code       string        `json:"code,omitempty"`  // Slack's error code, or an HTTP status such as "503"; internal_error if empty
	Count      int           `json:"count,omitempty"` // how many calls; one if zero. For sockets: how many of them, all if zero
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	Reason     string        `json:"reason,omitempty"` // of a disconnect; refresh_requested if empty
}

// Fault makes trouble: at once for sockets, at the next calls for methods. A
// disconnect with the reason too_many_websockets awaits the next connections.
func (s *Server) Fault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case f.Kind == FaultDisconnect && f.Reason != reasonTooMany:
		for _, c := range s.someConnections(f.Count) {
			c.leave(cmp.Or(f.Reason, reasonRefresh))
		}
	case f.Kind == FaultNoPing:
		for _, c := range s.someConnections(f.Count) {
			c.silent.Store(true)
		}
	default:
		f.Count = max(1, f.Count)
		s.faults = append(s.faults, &f)
	}
}

// ClearFaults ends the trouble that has not happened yet.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) someConnections(count int) []*connection {
	if count <= 0 || count > len(s.conns) {
		count = len(s.conns)
	}
	return s.conns[:count]
}

// takeFault uses up one count of the first fault for a method.
func (s *Server) takeFault(name string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeFaultLocked(name)
}

func (s *Server) takeFaultLocked(name string) *Fault {
	_, web := methods[name]
	at := slices.IndexFunc(s.faults, func(f *Fault) bool {
		return f.Kind != FaultDisconnect && (f.Method == name || web && f.Method == "*")
	})
	return s.spend(at)
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

// answerFault answers a call as a fault says; apply does what the call asked.
func (s *Server) answerFault(w http.ResponseWriter, r *http.Request, f *Fault, call Call, apply func()) {
	switch f.Kind {
	case FaultRateLimit:
		s.answer(w, call, nil, &rateError{after: f.RetryAfter})
	case FaultTimeout:
		call.Outcome = "fault: timeout"
		s.record(call)
		s.hold(r)
		panic(http.ErrAbortHandler)
	case FaultAppliedButError:
		apply()
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
