package plan

import (
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// This file checks what was read of alerts.

func (v *validator) alerts(e *Environment) {
	if e.Alerts != nil {
		v.alertKeys(e.Alerts)
		v.watched(e)
	}
	for _, s := range e.Services {
		if s.Alerts != nil {
			v.alertKeys(s.Alerts)
			v.serviceAlerts(e, s)
		}
		if a := e.AlertsOf(s.Name); a != nil {
			v.alarms(e, s, a)
		}
	}
}

// alertKeys checks what stands in one place.
func (v *validator) alertKeys(a *Alerts) {
	v.limit(v.where(&a.ErrorRate), a.ErrorRate)
	if at := v.where(&a.SLO); at != nil && (a.SLO < minSLO || a.SLO >= 1) {
		v.errorf(at, "It is the share of requests that has to succeed: from 90% to less than 100%, as in 99.5%.", "an SLO cannot be %s", a.SLO)
	}
	for i := range a.LogMatches {
		if text := &a.LogMatches[i]; *text != "" && slices.Contains(a.LogMatches[:i], *text) {
			v.errorf(v.where(text), "Keep one of the two.", "%q is here twice", *text)
		}
	}
	v.channel(a.Channel, &a.Channel)
	v.checkPeople(&a.Mention)
	if a.Escalate != nil {
		v.escalation(a.Escalate)
	}
}

// minSLO is the lowest for which a slow leak can be told from a few errors: at 90% the slower of the burn rates is
// 60% errors.
const minSLO Percent = 0.9

func (v *validator) escalation(e *Escalation) {
	if at := v.where(&e.After); at != nil && e.After < Duration(time.Minute) {
		v.errorf(at, "Give people a minute at least, as in 10m.", "nobody can acknowledge an incident within %s", e.After)
	}
	if at := v.where(&e.To); at != nil && len(e.To) == 0 {
		v.errorf(at, `Name them, as in ["@oncall"].`, "this escalates to nobody")
	}
	v.checkPeople(&e.To)
}

// watched checks the services that an environment's alerts are for.
func (v *validator) watched(e *Environment) {
	for i := range e.Alerts.For {
		if name := &e.Alerts.For[i]; *name != "" && e.Service(*name) == nil {
			v.errorf(v.where(name), "", "unknown service %s in %s%s", *name, e.Name, didYouMean(*name, e.serviceNames()))
		}
	}
	own := func(s *Service) bool { return s.Alerts != nil }
	if at := v.where(&e.Alerts.For); at != nil && len(e.Alerts.For) == 0 && !slices.ContainsFunc(e.Services, own) {
		v.errorf(at, "Leave it out for all services, or name those that are to be watched.", "these alerts are for no service")
	}
}

// serviceAlerts checks what only the alerts of an environment can have, or what they have already.
func (v *validator) serviceAlerts(e *Environment, s *Service) {
	a := s.Alerts
	if at := v.where(&a.For); at != nil {
		v.errorf(at, "Remove it: these are for "+s.Name+" alone.", "the alerts of a service say for no other")
	}
	if e.Alerts == nil {
		return
	}
	for _, key := range []struct {
		name     string
		at       ast.Node
		off, all bool
	}{
		{"crash_on_start", v.where(&a.CrashOnStart), !a.CrashOnStart, e.Alerts.CrashOnStart},
		{"no_ready_revision", v.where(&a.NoReadyRevision), !a.NoReadyRevision, e.Alerts.NoReadyRevision},
		{"pinned", v.where(&a.Pinned), a.Pinned == 0, e.Alerts.Pinned != 0},
	} {
		if key.at != nil && key.off && key.all {
			v.errorf(key.at, "Remove "+key.name+" from "+e.Name+", and add it to the services that are watched for it.",
				"a service only adds to the alerts of its environment, which have %s for all", key.name)
		}
	}
}

// alarms checks what a service is watched for, all in all.
func (v *validator) alarms(e *Environment, s *Service, a *Alerts) {
	at := v.where(e.Alerts)
	if s.Alerts != nil {
		if e.Alerts != nil && at == nil {
			return // what the environment's say could not be read
		}
		at = v.where(s.Alerts)
	}
	if at == nil {
		return
	}
	if !a.watch() {
		v.errorf(at, "Add what is an incident: error_rate: 5%, slo: 99.5%, latency: {below: 800ms}, log_matches: [Traceback], crash_on_start: true, "+
			"no_ready_revision: true, pinned: true.", "these alerts watch for nothing")
		return
	}
	if limit := v.limitOf(e, s); limit != nil {
		v.passesAndAlarms(s, a, limit)
	}
}

// limitOf is where the error rate of a service's alarm stands.
func (v *validator) limitOf(e *Environment, s *Service) ast.Node {
	var at ast.Node
	if s.Alerts != nil {
		at = v.where(&s.Alerts.ErrorRate)
	}
	if at == nil && e.Alerts != nil {
		at = v.where(&e.Alerts.ErrorRate)
	}
	return at
}

// passesAndAlarms warns of an alarm that begins below what the gates let through.
func (v *validator) passesAndAlarms(s *Service, a *Alerts, at ast.Node) {
	p := v.file.Plan(s.Plan)
	if p == nil || a.ErrorRate == 0 {
		return
	}
	strictest := Percent(1)
	for _, step := range p.steps() {
		if step.ErrorRate != nil && step.ErrorRate.Service == s.Name && step.ErrorRate.Below > 0 {
			strictest = min(strictest, step.ErrorRate.Below)
		}
	}
	if a.ErrorRate < strictest && strictest < 1 {
		v.warnf(at, "Ask the same of the gate, or the alerts for more.",
			"%s is an incident at %s, and the gates of plan %s let through what is below %s: what has passed can be an incident at once",
			s.Name, a.ErrorRate, p.Name, strictest)
	}
}

// watch reports whether there is anything that would be an incident.
func (a *Alerts) watch() bool {
	return a.ErrorRate > 0 || a.SLO > 0 || a.Latency != nil || len(a.LogMatches) > 0 || a.CrashOnStart || a.NoReadyRevision || a.Pinned > 0
}
