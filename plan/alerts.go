package plan

import (
	"slices"
	"time"
)

// Alerts says what a service is watched for while nobody deploys, and who is told. What is zero is off.
// After loading an environment's are as they were written; AlertsOf has the defaults. A list of a service that is
// empty and not nil takes the place of the environment's.
type Alerts struct {
	ErrorRate       Percent    `json:"error_rate,omitempty"`        // of 5xx responses that is too many
	For             []string   `json:"for,omitzero"`                // the services that are watched; of an environment only
	SLO             Percent    `json:"slo,omitempty"`               // share of requests that has to succeed, for slow leaks
	Latency         *SlowShare `json:"latency,omitempty"`           // how fast requests have to be
	LogMatches      []string   `json:"log_matches,omitzero"`        // patterns whose first appearance in a revision is an alarm
	CrashOnStart    bool       `json:"crash_on_start,omitempty"`    // containers that end with an error
	NoReadyRevision bool       `json:"no_ready_revision,omitempty"` // Cloud Run has nothing that can serve
	Pinned          Duration   `json:"pinned,omitempty"`            // for so long someone else than Slipway has kept the traffic on a revision

	Source   Source      `json:"source,omitempty"`
	Channel  string      `json:"channel,omitempty"` // where incidents are told; the service's if left out
	Mention  []string    `json:"mention,omitzero"`  // who is called when one begins; the service's owners if left out
	Escalate *Escalation `json:"escalate,omitempty"`
	Notify   []Notify    `json:"notify,omitzero"` // who else is told, beside the channel
}

// SlowShare is "95% of requests under 800 ms".
type SlowShare struct {
	Percent Percent  `json:"percent"` // 0–1
	Below   Duration `json:"below"`
}

// Escalation calls others when nobody has acknowledged an incident.
type Escalation struct {
	After Duration `json:"after"`
	To    []string `json:"to"`
}

// Notify is one that is told of incidents beside the channel. Exactly one field is set.
type Notify struct {
	PagerDuty *PagerDuty `json:"pagerduty,omitempty"`
	Webhook   *Webhook   `json:"webhook,omitempty"`
}

// PagerDuty is a service there, with an integration of Events API v2.
type PagerDuty struct {
	RoutingKey Value  `json:"routing_key"`
	URL        string `json:"url,omitempty"` // of another region's API; after loading never ""
}

// PagerDutyEvents is where events go (https://developer.pagerduty.com/docs/events-api-v2/trigger-events/).
const PagerDutyEvents = "https://events.pagerduty.com/v2/enqueue"

// Webhook gets CloudEvents, signed with the secret.
type Webhook struct {
	URL    string `json:"url"`
	Secret *Value `json:"secret,omitempty"` // nil: not signed
}

// AlertsOf is what a service of the environment is watched for, with all defaults: its own keys over the
// environment's. nil: it is not watched. A service is watched that has alerts of its own, or stands in the
// environment's for.
func (e *Environment) AlertsOf(service string) *Alerts {
	s := e.Service(service)
	if s == nil || s.Alerts == nil && (e.Alerts == nil || !slices.Contains(e.Alerts.For, service)) {
		return nil
	}
	var a Alerts
	if e.Alerts != nil {
		a = *e.Alerts
	}
	if s.Alerts != nil {
		a = a.with(*s.Alerts)
	}
	a.For = nil
	if a.Source == "" {
		a.Source = SourceAuto
	}
	if a.Channel == "" {
		a.Channel = s.Channel
	}
	if a.Mention == nil {
		a.Mention = s.Owners
	}
	return &a
}

// with lays what other says over a.
func (a Alerts) with(other Alerts) Alerts {
	over(&a.ErrorRate, other.ErrorRate)
	over(&a.SLO, other.SLO)
	over(&a.Latency, other.Latency)
	over(&a.Pinned, other.Pinned)
	over(&a.Source, other.Source)
	over(&a.Channel, other.Channel)
	over(&a.Escalate, other.Escalate)
	a.CrashOnStart = a.CrashOnStart || other.CrashOnStart
	a.NoReadyRevision = a.NoReadyRevision || other.NoReadyRevision
	if other.LogMatches != nil {
		a.LogMatches = other.LogMatches
	}
	if other.Mention != nil {
		a.Mention = other.Mention
	}
	if other.Notify != nil {
		a.Notify = other.Notify
	}
	return a
}

func over[T comparable](field *T, other T) {
	var zero T
	if other != zero {
		*field = other
	}
}

// AWhile is how long pinned traffic stands before it is told, where deploy.yaml says "pinned: true".
const AWhile = Duration(24 * time.Hour)
