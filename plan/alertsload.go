package plan

import (
	"math"

	"github.com/goccy/go-yaml/ast"
)

// This file reads alerts, of an environment or of a service.

func (d *decoder) alerts(n ast.Node) *Alerts {
	a, before := &Alerts{}, len(d.errors)
	d.object(n, "alerts", []field{
		{"for", false, d.texts(&a.For, "services")},
		{"error_rate", false, d.unit(&a.ErrorRate)},
		{"slo", false, d.unit(&a.SLO)},
		{"latency", false, func(n ast.Node) { a.Latency = d.slowShare(n) }},
		{"log_matches", false, d.texts(&a.LogMatches, "texts")},
		{"crash_on_start", false, d.boolean(&a.CrashOnStart)},
		{"no_ready_revision", false, d.boolean(&a.NoReadyRevision)},
		{"pinned", false, d.pinned(&a.Pinned)},
		{"source", false, choice(d, &a.Source, SourceAuto, SourceLogs, SourceMetrics)},
		{"channel", false, d.text(&a.Channel)},
		{"mention", false, d.texts(&a.Mention, "people or groups")},
		{"escalate", false, func(n ast.Node) { a.Escalate = d.escalation(n) }},
		{"notify", false, func(n ast.Node) { a.Notify = d.notifies(n) }},
	})
	if len(d.errors) == before { // else what is missing may only not have been read
		d.at[a] = n
	}
	return a
}

// slowShare reads it as the latency gate is written: percent is a number without a sign.
func (d *decoder) slowShare(n ast.Node) *SlowShare {
	s, percent := &SlowShare{}, 95.0
	d.object(n, "alert_latency", []field{
		{"percent", false, d.number(&percent)},
		{"below", true, d.unit(&s.Below)},
	})
	if at := d.at[&percent]; at != nil && !(percent >= 50 && percent <= 99.99) {
		d.errorf(at, "Use 50 to 99.99; 95 is usual.", "an alert cannot ask for %v%% of the requests", percent)
	}
	if at := d.at[&s.Below]; at != nil && s.Below == 0 {
		d.errorf(at, "Give it a time that requests may take, as in 800ms.", "no request takes no time")
	}
	s.Percent = Percent(math.Round(percent*1e4) / 1e6)
	return s
}

// pinned reads a duration, or true for AWhile.
func (d *decoder) pinned(to *Duration) func(ast.Node) {
	return func(n ast.Node) {
		if v, ok := d.resolve(n).(*ast.BoolNode); ok {
			d.at[to] = n
			if v.Value {
				*to = AWhile
			}
			return
		}
		d.unit(to)(n)
		if d.at[to] != nil && *to == 0 {
			d.errorf(n, "Write how long somebody may keep traffic pinned, as in 12h, or true for a day.", "nobody keeps traffic pinned for no time")
		}
	}
}

func (d *decoder) escalation(n ast.Node) *Escalation {
	e := &Escalation{}
	d.object(n, "escalation", []field{
		{"after", true, d.unit(&e.After)},
		{"to", true, d.texts(&e.To, "people or groups")},
	})
	return e
}
