package bot

import (
	"slices"
	"time"

	"slipway/incident"
	"slipway/rollout"
)

// newsText is what the thread is told, one reply for all that is due at once; "" if nothing of it is known
// any more. The message above can be edited without anybody noticing, so whoever has to act is mentioned here.
func (a *alert) newsText(news []incident.News) (text mrkdwn, broadcast bool) {
	var lines []mrkdwn
	for _, n := range a.gathered(news) {
		if line := a.told(n); line != "" {
			lines = append(lines, line)
			broadcast = broadcast || n.saying == incident.SayEscalated
		}
	}
	return cutMarkup(sentences("\n", lines...), maxText), broadcast
}

// tidings is one saying about one or several incidents of which the same is said.
type tidings struct {
	saying incident.Saying
	of     []incident.Incident
}

// gathered puts together what is said of several incidents in the same words.
func (a *alert) gathered(news []incident.News) []tidings {
	var list []tidings
	for _, n := range news {
		at := slices.IndexFunc(a.of, func(i incident.Incident) bool { return i.ID == n.Incident })
		if at < 0 {
			continue
		}
		i := a.of[at]
		same := slices.IndexFunc(list, func(t tidings) bool { return t.saying == n.Saying && a.alike(t.saying, t.of[0], i) })
		if same >= 0 {
			list[same].of = append(list[same].of, i)
			continue
		}
		list = append(list, tidings{n.Saying, []incident.Incident{i}})
	}
	return list
}

// alike reports whether one sentence can say it of both.
func (a *alert) alike(saying incident.Saying, one, other incident.Incident) bool {
	switch saying {
	case incident.SayFiring:
		return (one.ID == a.Thread.ID) == (other.ID == a.Thread.ID)
	case incident.SayReopened:
		return back(one) == back(other)
	case incident.SayRepeat, incident.SayEscalated:
		return true
	case incident.SayAcknowledged, incident.SaySilenced, incident.SayAsk:
		return one.By == other.By && one.ByAt.Equal(other.ByAt)
	}
	return false
}

func (a *alert) told(t tidings) mrkdwn {
	i, head := t.of[0], headlineIn(incident.HeadlineOf(t.of), a.Now)
	who, called := mention(i.By.ID, i.By.Name), a.names.mentions(a.mentioned(t.of))
	switch t.saying {
	case incident.SayFiring:
		if i.ID == a.Thread.ID {
			return sentences(" ", called, say("*%s*.", head))
		}
		return sentences(" ", called, say("Also: *%s*.", head))
	case incident.SayReopened:
		return sentences(" ", called, say("%s *%s*.", back(i), head))
	case incident.SayAcknowledged:
		return say("Acknowledged by %s%s.", who, a.subject(t.of))
	case incident.SaySilenced:
		return say("Silenced by %s until %s%s.", who, moment(i.Until, a.Now), a.subject(t.of))
	case incident.SayResolved:
		return a.resolved(i)
	case incident.SayFlapping:
		return say("%s comes and goes: it began or ended %s in half an hour. Nothing more is said until it has settled for as long.",
			whereOf(i), rollout.Counted(int64(len(i.Changes)), "time"))
	}
	return a.reminder(t, head, called)
}

// reminder is what is said while nothing has happened.
func (a *alert) reminder(t tidings, head, called mrkdwn) mrkdwn {
	i, found := t.of[0], mrkdwn("")
	if len(t.of) == 1 {
		found = evidence(i, a.alerts(i))
	}
	switch t.saying {
	case incident.SayUpdate:
		return a.update(i)
	case incident.SayRepeat:
		return sentences(" ", called, say("Nobody has acknowledged this for %s: *%s*.", sinceCalled(i, a.Now), head), found)
	case incident.SayAsk:
		asked := say("%s, you acknowledged this at %s and it still fails: *%s*.", mention(i.By.ID, i.By.Name), moment(i.ByAt, a.Now), head)
		return sentences(" ", asked, found, "Resolve it if it is done with, or silence it.")
	case incident.SayEscalated:
		text := sentences(" ", a.names.mentions(a.escalation(t.of)), say("Nobody has acknowledged this for %s: *%s*.", sinceCalled(i, a.Now), head), found)
		if called != "" {
			text += say(" Called at %s: %s.", moment(latestOf(i.Said.Called, i.Fired), a.Now), called)
		}
		return text
	}
	return ""
}

// escalation are those who are called when nobody answers, each once.
func (a *alert) escalation(of []incident.Incident) []string {
	var list []string
	for _, i := range of {
		if e := a.alerts(i).Escalate; e != nil {
			list = append(list, e.To...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func sinceCalled(i incident.Incident, now time.Time) string {
	return rollout.Period(now.Sub(latestOf(i.Said.Called, i.Fired)).Round(time.Minute))
}

// subject names what was done about, where that is not plain.
func (a *alert) subject(of []incident.Incident) mrkdwn {
	if len(a.of) == 1 || len(of) == len(a.of) {
		return ""
	}
	var names []mrkdwn
	for _, i := range of {
		names = append(names, say("%s: %s", i.Key.Target.Service, plain(i.Brief(), 150)))
	}
	return say(" (%s)", sentences("; ", names...))
}

func whereOf(i incident.Incident) mrkdwn {
	return say("*%s on %s* (%s)", i.Key.Target.Service, i.Key.Target.Environment, plain(i.Brief(), 150))
}

// back is why an incident is told again.
func back(i incident.Incident) string {
	switch {
	case i.Said.State == incident.Silenced:
		return "The silence is over and it still fails:"
	case began(i).Before(i.Said.At):
		return "It still fails:"
	}
	return "It is back:"
}

// update tells the rate of the last minutes and since it began.
func (a *alert) update(i incident.Incident) mrkdwn {
	found := evidence(i, a.alerts(i))
	if !rated(i) {
		return say("%s: %s", whereOf(i), found)
	}
	requests, bad := recent(a.About[i.Key.Target].Minutes, i.Key.Kind, a.Now.Add(-updateSpan))
	what := "Errors"
	if i.Key.Kind == incident.Latency {
		what = "Slow requests"
	}
	if len(a.targets) > 1 {
		what = i.Key.Target.Service + ": " + what
	}
	if requests == 0 {
		return say("%s now: no requests for %s. Since %s: %s", what, rollout.Period(updateSpan), moment(began(i), a.Now), found)
	}
	return say("%s now %s (%s of %s in %s). Since %s: %s", what, rollout.Percent(rollout.Share(bad, requests)), rollout.Count(bad),
		rollout.Count(requests), rollout.Period(updateSpan), moment(began(i), a.Now), found)
}

// updateSpan is what "now" means: the time between two updates.
const updateSpan = 5 * time.Minute

// recent counts the requests, and the bad ones of them, of the minutes from a time on.
func recent(minutes []incident.Minute, kind incident.Kind, from time.Time) (requests, bad int64) {
	for _, m := range minutes {
		if m.At.Before(from) {
			continue
		}
		requests += m.Requests
		if kind == incident.Latency {
			bad += m.Slow
		} else {
			bad += m.Errors
		}
	}
	return requests, bad
}

// rated reports whether a fault is about a share of requests.
func rated(i incident.Incident) bool {
	switch i.Key.Kind {
	case incident.ErrorRate, incident.SlowLeak, incident.Latency:
		return true
	}
	return false
}

// resolved says how something ended, what it was, and what that is based on.
func (a *alert) resolved(i incident.Incident) mrkdwn {
	ended := say("*Resolved* by %s after %s: %s.", byWhom(i), lasted(i), whereOf(i))
	return sentences(" ", ended, evidence(i, a.alerts(i)), a.basis(i))
}

// basis is why something counts as over.
func (a *alert) basis(i incident.Incident) mrkdwn {
	if i.By != (incident.Person{}) {
		return "If it still goes on in half an hour, it is told again."
	}
	switch i.Key.Kind {
	case incident.LogMatches, incident.CrashOnStart:
		return say("Not seen for %s.", rollout.Period(i.Resolved.Sub(i.Evidence.Until).Round(time.Minute)))
	case incident.NoReadyRevision:
		return "A revision can serve again."
	case incident.Pinned:
		return "The traffic is not kept there any more."
	}
	requests, bad := recent(a.About[i.Key.Target].Minutes, i.Key.Kind, i.Evidence.Until)
	if requests == 0 || i.Limit > 0 && rollout.Share(bad, requests) >= float64(i.Limit) { // minutes do not end where it did
		return "The requests since then show that it is over."
	}
	limit := "below the limit"
	if i.Limit > 0 {
		limit = "below " + i.Limit.String()
	}
	return say("Since %s %s of %s requests %s: enough to show that it is %s again.", moment(i.Evidence.Until, a.Now),
		rollout.Count(bad), rollout.Count(requests), failing(i, a.alerts(i)), limit)
}
