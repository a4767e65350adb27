package notify

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"slipway/incident"
	"slipway/plan"
)

// What PagerDuty takes at most.
const (
	mostSummary  = 1024 // characters
	mostDedupKey = 255  // characters
)

// pagerDuty is a service of PagerDuty's. One incident of Slipway's is one alert there: the dedup_key is made of the
// notice's key. What it takes, and that 202 is its only yes, is said in
// https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ and
// https://developer.pagerduty.com/docs/events-api-v2/overview/#response-codes--retry-logic
//
// A trigger for an alert that is acknowledged there calls nobody again, and one for an alert that is resolved
// opens a new alert: both as PagerDuty has it.
func (n *Notifier) pagerDuty(to plan.Notify) (receiver, error) {
	r := receiver{name: incident.Name(to)}
	key, err := n.value(&r, to.PagerDuty.RoutingKey)
	if err != nil {
		return r, err
	}
	if key == "" {
		return r, r.refuse("it has no routing key; write it in deploy.yaml")
	}
	address := to.PagerDuty.URL
	if address == "" {
		address = plan.PagerDutyEvents
	}
	if err := r.at(address); err != nil {
		return r, err
	}
	r.secrets = append(r.secrets, key)
	r.body = func(notice incident.Notice) ([]byte, error) { return json.Marshal(pagerDutyEvent(key, notice)) }
	r.header = func(incident.Notice, []byte, time.Time) http.Header {
		return http.Header{"Content-Type": {"application/json"}}
	}
	r.accepts = func(status int) bool { return status == http.StatusAccepted }
	return r, nil
}

// event is the body of a request to /v2/enqueue.
type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Payload    *payload `json:"payload,omitempty"` // of a trigger; the others need none
	Links      []link   `json:"links,omitempty"`
	Client     string   `json:"client,omitempty"`
	ClientURL  string   `json:"client_url,omitempty"`
}

type payload struct {
	Summary   string        `json:"summary"`
	Source    string        `json:"source"`
	Severity  string        `json:"severity"`
	Timestamp string        `json:"timestamp"`
	Component string        `json:"component,omitempty"`
	Group     string        `json:"group,omitempty"`
	Class     string        `json:"class,omitempty"`
	Details   customDetails `json:"custom_details"`
}

type customDetails struct {
	Incident string   `json:"incident"` // as /deploy ack takes it
	Revision string   `json:"revision,omitempty"`
	Details  []string `json:"details,omitempty"`
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

func pagerDutyEvent(key string, n incident.Notice) event {
	e := event{RoutingKey: key, Action: action(n.Status), DedupKey: shorten("slipway-"+n.Key, mostDedupKey)}
	if n.Status != incident.Triggered {
		return e
	}
	_, component, _ := strings.Cut(n.Source, "/")
	e.Payload = &payload{
		Summary: shorten(n.Summary, mostSummary), Source: n.Source, Severity: severity(incident.Kind(n.Class)),
		Timestamp: n.At.UTC().Format(time.RFC3339), Component: component, Group: n.Group, Class: n.Class,
		Details: customDetails{Incident: n.Key, Revision: n.Revision, Details: n.Details},
	}
	e.Client, e.ClientURL = "Slipway", n.Link
	if n.Link != "" {
		e.Links = []link{{n.Link, "The message in Slack"}}
	}
	return e
}

func action(s incident.Status) string {
	switch s {
	case incident.Taken:
		return "acknowledge"
	case incident.Recovered:
		return "resolve"
	}
	return "trigger"
}

// severity is how bad an incident of a kind is in PagerDuty's words: critical is a failure of the application, error
// one of something in it, and warning what is going to be one. With its dynamic notifications the first two wake
// somebody up, and the last does not: https://support.pagerduty.com/main/docs/dynamic-notifications
func severity(k incident.Kind) string {
	switch k {
	case incident.NoReadyRevision, incident.ErrorRate, incident.CrashOnStart:
		return "critical" // users get errors, or the next start of a container will give them some
	case incident.Pinned:
		return "warning" // all works; newer revisions do not reach anybody
	}
	return "error" // a leak, slow answers, a line in the log: most requests still succeed
}

// shorten cuts a text to so many characters.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
