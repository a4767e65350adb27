package bot

import (
	"slices"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

// called mentions those who are called, as long as nobody has it.
func (a *alert) called() mrkdwn {
	if !a.some(incident.Firing) {
		return ""
	}
	return a.names.mentions(a.mentioned(a.of))
}

// mentioned are those who are called about incidents, each once.
func (a *alert) mentioned(of []incident.Incident) []string {
	var list []string
	for _, i := range of {
		for _, handle := range a.alerts(i).Mention {
			if !slices.Contains(list, handle) {
				list = append(list, handle)
			}
		}
	}
	return list
}

func (a *alert) alerts(i incident.Incident) plan.Alerts { return a.About[i.Key.Target].Service.Alerts }

// service says how a service stands: a line for each of its faults, and which revision it is. Of several
// services it is short.
func (a *alert) service(t plan.Target) mrkdwn {
	var lines []mrkdwn
	for _, i := range a.in(t) {
		line := sentences(" ", a.standing(i), evidence(i, a.alerts(i)))
		if len(a.targets) > 1 && i.State == incident.Firing { // as the headline says
			line = evidence(i, a.alerts(i))
		}
		if len(a.of) > 1 {
			line = say("*%s: %s.* %s", t.Service, plain(i.Brief(), 150), line)
		}
		lines = append(lines, line)
	}
	return sentences("\n", append(lines, a.revision(t))...)
}

// standing is the state in one sentence.
func (a *alert) standing(i incident.Incident) mrkdwn {
	who := mention(i.By.ID, i.By.Name)
	switch i.State {
	case incident.Acknowledged:
		return say("Acknowledged by %s at %s.", who, moment(i.ByAt, a.Now))
	case incident.Silenced:
		if who == "" {
			return say("Silenced until %s.", moment(i.Until, a.Now))
		}
		return say("Silenced by %s until %s.", who, moment(i.Until, a.Now))
	case incident.Flapping:
		return "It comes and goes: nothing more is said until it has settled for half an hour."
	case incident.Resolved:
		return say("Resolved by %s after %s.", byWhom(i), lasted(i))
	}
	return say("Firing, began %s.", ago(began(i)))
}

func byWhom(i incident.Incident) mrkdwn {
	if i.By == (incident.Person{}) {
		return "itself"
	}
	return mention(i.By.ID, i.By.Name)
}

// lasted is how long something failed: until the last of it, or until a person said that it is over.
func lasted(i incident.Incident) string {
	until := i.Evidence.Until
	if until.IsZero() || i.By != (incident.Person{}) {
		until = i.Resolved
	}
	d := max(0, until.Sub(began(i)))
	if d > time.Minute {
		d = d.Round(time.Minute)
	}
	return rollout.Period(d)
}

func began(i incident.Incident) time.Time {
	if i.Evidence.Since.IsZero() {
		return i.Opened
	}
	return i.Evidence.Since
}

// evidence is what was counted or seen.
func evidence(i incident.Incident, alerts plan.Alerts) mrkdwn {
	e := i.Evidence
	switch i.Key.Kind {
	case incident.LogMatches:
		return say("Seen %s in the log, last at %s.", rollout.Counted(e.Errors, "time"), clock(e.Until))
	case incident.CrashOnStart:
		return say("Containers ended with an error %s, last at %s.", rollout.Counted(e.Errors, "time"), clock(e.Until))
	case incident.NoReadyRevision, incident.Pinned:
		return escape(plain(i.Example, 300))
	}
	return say("%s of %s requests %s%s.", rollout.Count(e.Errors), rollout.Count(e.Requests), failing(i, alerts), worst(e))
}

func failing(i incident.Incident, alerts plan.Alerts) string {
	switch {
	case i.Key.Kind != incident.Latency:
		return "failed"
	case alerts.Latency == nil:
		return "were slow"
	}
	return "took longer than " + alerts.Latency.Below.String()
}

// worst is the worst minute, if it was worse than all of it.
func worst(e incident.Evidence) string {
	if e.Peak <= e.Rate() {
		return ""
	}
	return ", at worst " + rollout.Percent(e.Peak) + " in a minute"
}

// revision names the revision that fails and the rollout that brought it.
func (a *alert) revision(t plan.Target) mrkdwn {
	name := a.failing(t)
	if name == "" {
		return ""
	}
	text, o := say("Revision %s", plain(name, 100)), a.About[t].Origin
	switch {
	case o != nil && o.Ended:
		text += say(", rolled out by %s at %s", mention(o.By.ID, o.By.Name), moment(o.At, a.Now))
	case o != nil:
		text += say(", which %s is rolling out since %s", mention(o.By.ID, o.By.Name), moment(o.At, a.Now))
	case len(a.targets) > 1:
		return ""
	}
	if o != nil {
		if link := linkTo(a.look.Site, o.Channel, o.TS); link != "" {
			text += " (" + mrkdwn("<"+link+"|its card>") + ")"
		}
	}
	return text + "." + a.serving(t, name)
}

// serving says where the traffic is, once it is not on the revision that fails.
func (a *alert) serving(t plan.Target, failing string) mrkdwn {
	now := a.About[t].Standing.Serving
	if now == "" || now == failing || a.over() {
		return ""
	}
	return say(" The traffic is on %s now.", plain(now, 100))
}

// failing is the revision of a service's gravest fault that is about one.
func (a *alert) failing(t plan.Target) string {
	for _, i := range a.in(t) {
		if i.Revision != "" {
			return i.Revision
		}
	}
	return ""
}

// group is "ModuleNotFoundError: No module named 'auth_service' — 1,204 since 14:02, new in backend-00042".
func (a *alert) group(g incident.Group) mrkdwn {
	i := a.of[slices.IndexFunc(a.of, func(i incident.Incident) bool {
		return slices.ContainsFunc(i.Groups, func(other incident.Group) bool { return other.Key == g.Key })
	})]
	text := say("*%s* — %s since %s", plain(g.Title, 150), rollout.Count(g.Count), moment(began(i), a.Now))
	if g.New != "" {
		text += say(", new in %s", plain(g.New, 100))
	}
	if len(a.targets) > 1 {
		text += say(" (%s)", i.Key.Target.Service)
	}
	return text
}

// notes say what the reader has to know about the numbers and the message itself.
func (a *alert) notes() mrkdwn {
	var notes []mrkdwn
	for _, t := range a.targets {
		note := escape(plain(a.About[t].Source, 400))
		if note != "" && !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	if a.Alone {
		notes = append(notes, "Redis is away: this may be told twice.")
	}
	return sentences(" ", notes...)
}
