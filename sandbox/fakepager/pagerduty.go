package fakepager

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"
)

// Alert is one of PagerDuty's.
type Alert struct {
	Key      string `json:"dedup_key"`
	Status   string `json:"status"` // triggered, acknowledged, resolved
	Summary  string `json:"summary"`
	Source   string `json:"source"`
	Severity string `json:"severity"`
	Triggers int    `json:"triggers"` // how many it got

	routingKey string
}

// alertEvent is what may be sent to /v2/enqueue, as far as there are rules for it:
// https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
type alertEvent struct {
	RoutingKey string `json:"routing_key"`
	Action     string `json:"event_action"`
	DedupKey   string `json:"dedup_key"`
	Payload    struct {
		Summary  string `json:"summary"`
		Source   string `json:"source"`
		Severity string `json:"severity"`
	} `json:"payload"`
}

// enqueue takes an event; the caller holds the lock.
func (s *Server) enqueue(_ http.Header, body []byte) (status int, says any) {
	var e alertEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return http.StatusBadRequest, invalid("the JSON is malformed")
	}
	if wrong := s.wrong(e); len(wrong) > 0 {
		return http.StatusBadRequest, invalid(wrong...)
	}
	s.actions[e.DedupKey] = append(s.actions[e.DedupKey], e.Action)
	s.apply(e)
	return http.StatusAccepted, map[string]string{"status": "success", "message": "Event processed", "dedup_key": e.DedupKey}
}

func invalid(wrong ...string) any {
	return map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
}

// wrong says what keeps an event from being taken.
func (s *Server) wrong(e alertEvent) []string {
	var list []string
	need := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	need(slices.Contains(s.cfg.RoutingKeys, e.RoutingKey), "'routing_key' is invalid: %q", e.RoutingKey)
	need(slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action), "'event_action' is invalid")
	need(utf8.RuneCountInString(e.DedupKey) <= 255, "'dedup_key' is too long")
	if e.Action != "trigger" {
		need(e.DedupKey != "", "'dedup_key' is missing or blank")
		return list
	}
	need(e.Payload.Summary != "", "'payload.summary' is missing or blank")
	need(utf8.RuneCountInString(e.Payload.Summary) <= 1024, "'payload.summary' is too long")
	need(e.Payload.Source != "", "'payload.source' is missing or blank")
	need(slices.Contains([]string{"critical", "warning", "error", "info"}, e.Payload.Severity),
		"'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	return list
}

// apply finds the open alert that an event is about. A trigger without one begins it; the others are dropped, and
// the sender is not told so.
func (s *Server) apply(e alertEvent) {
	at := slices.IndexFunc(s.alerts, func(a Alert) bool {
		return a.routingKey == e.RoutingKey && a.Key == e.DedupKey && a.Status != "resolved"
	})
	switch {
	case e.Action != "trigger" && at < 0:
	case e.Action == "acknowledge":
		s.alerts[at].Status = "acknowledged"
	case e.Action == "resolve":
		s.alerts[at].Status = "resolved"
	case at < 0:
		key := cmp.Or(e.DedupKey, fmt.Sprintf("given-%d", len(s.alerts)+1))
		s.alerts = append(s.alerts, Alert{
			Key: key, Status: "triggered", Summary: e.Payload.Summary, Source: e.Payload.Source,
			Severity: e.Payload.Severity, Triggers: 1, routingKey: e.RoutingKey,
		})
	default: // one that is acknowledged stays so
		s.alerts[at].Triggers++
	}
}
