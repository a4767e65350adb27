// Package fakepager is a local PagerDuty and a local receiver of webhooks, with their rules: what of an event has to be
// there and how long it may be, which events are about one alert, and who has signed.
package fakepager

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Where it is served.
const (
	EventsPath  = "/pagerduty/v2/enqueue"
	WebhookPath = "/webhook"
)

// Config says whom the server knows.
type Config struct {
	RoutingKeys []string // of PagerDuty's services, 32 characters each
	Secret      string   // of the webhook, as Standard Webhooks writes it: whsec_ and base64; "": signatures are not asked for
}

// Server has what it was told. All methods may be called at the same time.
type Server struct {
	cfg Config

	mu      sync.Mutex
	alerts  []Alert
	actions map[string][]string // by dedup_key
	events  []Event
	faults  []Fault
}

// New returns a server that was told nothing yet.
func New(cfg Config) *Server { return &Server{cfg: cfg, actions: map[string][]string{}} }

// Fault is how the next requests go wrong.
type Fault struct {
	Count      int           // of requests
	Status     int           // of the answer
	RetryAfter time.Duration // 0: it does not say
	Applied    bool          // what was sent is taken nevertheless
}

// Fail lets requests go wrong, after those that were to already.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// Alerts returns PagerDuty's alerts, in the order in which they began.
func (s *Server) Alerts() []Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Alert{}, s.alerts...)
}

// Actions returns the event_action of each event that PagerDuty took with a dedup_key, in order. Those that it
// dropped because there was no such alert are in it too.
func (s *Server) Actions(key string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.actions[key]...)
}

// Events returns what the webhook got, each ID once, in the order in which they came first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event{}, s.events...)
}

// Handler serves both, and GET /_control/notices, which is {"alerts": […], "events": […]}.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+EventsPath, s.serve(s.enqueue))
	mux.HandleFunc("POST "+WebhookPath, s.serve(s.receive))
	mux.HandleFunc("GET /_control/notices", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"alerts": s.Alerts(), "events": s.Events()})
	})
	return mux
}

// mostBody is what PagerDuty takes: https://developer.pagerduty.com/docs/events-api-v2/overview/#size-limits
const mostBody = 512 << 10 // bytes

// serve answers with what take makes of a request, or as a fault says.
func (s *Server) serve(take func(header http.Header, body []byte) (status int, says any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
		if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
			answer(w, http.StatusRequestEntityTooLarge, nil)
			return
		}
		if err != nil {
			answer(w, http.StatusBadRequest, nil)
			return
		}
		s.mu.Lock()
		fault, failing := s.fault()
		var status int
		var says any
		if !failing || fault.Applied {
			status, says = take(r.Header, body)
		}
		s.mu.Unlock()
		if failing {
			if fault.RetryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(fault.RetryAfter/time.Second)))
			}
			status, says = fault.Status, nil
		}
		answer(w, status, says)
	}
}

// fault takes one off; the caller holds the lock.
func (s *Server) fault() (Fault, bool) {
	for len(s.faults) > 0 {
		first := &s.faults[0]
		if first.Count > 0 {
			first.Count--
			return *first, true
		}
		s.faults = s.faults[1:]
	}
	return Fault{}, false
}

// answer writes a status and JSON; without any, the answer is empty.
func answer(w http.ResponseWriter, status int, says any) {
	if says == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(says) // whoever asked has gone
}
