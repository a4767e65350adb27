package bot

import (
	"fmt"
	"strings"
	"time"

	"slipway/chart"
	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

// mostDrawn is how many services a graph shows: of more, the lines could not be told apart.
const mostDrawn = 4

// alertGraph draws the last hour of what fails, by minutes, or by more of them where requests are few: the
// share of requests that failed, or were slow, when it began, and when the rollout ended that brought it. alt
// says the same in words. ok is false if too little was counted.
func alertGraph(a *alert) (g chart.Graph, alt string, ok bool) {
	if len(a.of) == 0 || a.of[0].Key.Kind == incident.Pinned {
		return g, "", false
	}
	slow := a.slow()
	var slice time.Duration
	var drawn []string
	for n, t := range a.targets[:min(len(a.targets), mostDrawn)] {
		l := minutesOf(a.About[t].Minutes, slow)
		if len(l.Points) < 2 {
			continue
		}
		last := l.Points[len(l.Points)-1]
		l.Name, l.Kind = t.Service+" "+rollout.Percent(rollout.Share(last.Errors, last.Requests)), chart.Other
		if n == 0 {
			l.Kind = chart.New
		}
		drawn = append(drawn, t.Service)
		slice = max(slice, l.slice)
		g.Series = append(g.Series, l.Series)
	}
	if len(g.Series) == 0 {
		return g, "", false
	}
	what := "failed requests (5xx)"
	if slow {
		what = "slow requests"
	}
	g.Title = plain(strings.Replace(a.line(), " UTC", "", 1), mostTitle) // the subtitle says it
	by := "minute"
	if slice > time.Minute {
		by = rollout.Period(slice)
	}
	g.Subtitle = fmt.Sprintf("%s, by %s, UTC", what, by)
	g.Limit = a.limit()
	g.Marks = a.marks(g)
	return g, a.graphAlt(g, drawn), true
}

// slow says that what is drawn is the share of slow requests, and not of errors.
func (a *alert) slow() bool { return len(a.of) > 0 && a.of[0].Key.Kind == incident.Latency }

// share is what is drawn, in a word.
func (a *alert) share() string {
	if a.slow() {
		return "Slow requests"
	}
	return "Errors"
}

// minutesOf are a service's minutes as points that hold enough requests.
func minutesOf(minutes []incident.Minute, slow bool) line {
	var l line
	if len(minutes) == 0 {
		return l
	}
	points := make([]rollout.Point, len(minutes))
	for n, m := range minutes {
		points[n] = rollout.Point{At: m.At, Requests: m.Requests, Errors: m.Errors}
		if slow {
			points[n].Errors = m.Slow
		}
	}
	first, last := minutes[0].At, minutes[len(minutes)-1].At
	l.add(points, window{first, time.Minute, int64(last.Sub(first)/time.Minute) + 1})
	return l
}

// limit is the one of the gravest fault, if all that is drawn have the same.
func (a *alert) limit() float64 {
	limit := a.of[0].Limit
	for _, t := range a.targets[:min(len(a.targets), mostDrawn)] {
		if a.in(t)[0].Limit != limit {
			return 0
		}
	}
	return float64(limit)
}

// marks are those moments that the picture's time holds: one outside would squeeze the rest.
func (a *alert) marks(g chart.Graph) []chart.Mark {
	from, to := extent(g)
	var marks []chart.Mark
	mark := func(at time.Time, label string) {
		if !at.Before(from) && !at.After(to) {
			marks = append(marks, chart.Mark{At: at, Label: label})
		}
	}
	t := a.targets[0]
	if o := a.About[t].Origin; o != nil && len(a.targets) == 1 && a.failing(t) != "" {
		label := a.short(t, a.failing(t)) + " in service"
		if !o.Ended {
			label = "rollout of " + a.short(t, a.failing(t))
		}
		mark(o.At, label)
	}
	mark(pointBefore(g, a.headline.Since), "began")
	if a.over() {
		mark(a.headline.Until, "ended")
	}
	return marks
}

// pointBefore is the beginning of the slice that a moment is in, so that a line does not rise before its mark.
func pointBefore(g chart.Graph, at time.Time) time.Time {
	before := at
	for _, p := range g.Series[0].Points {
		if !p.At.After(at) {
			before = p.At
		}
	}
	return before
}

// short is a revision's name without its service's.
func (a *alert) short(t plan.Target, revision string) string {
	return shortRevision(rollout.Service{CloudRun: a.About[t].Service.CloudRun}, rollout.Revision{Name: revision})
}

// extent is the time that a graph's points span.
func extent(g chart.Graph) (from, to time.Time) {
	for _, s := range g.Series {
		first, last := s.Points[0].At, s.Points[len(s.Points)-1].At
		if from.IsZero() || first.Before(from) {
			from = first
		}
		to = latestOf(to, last)
	}
	return from, to
}

// graphAlt says what a graph shows to those who do not see it.
func (a *alert) graphAlt(g chart.Graph, drawn []string) string {
	text := fmt.Sprintf("%s of %s over time%s. %s.", a.share(), strings.Join(drawn, ", "), seen(g), a.line())
	for _, t := range a.targets[:min(len(a.targets), mostDrawn)] {
		if i := a.in(t)[0]; i.Evidence.Requests > 0 {
			text += fmt.Sprintf(" %s: %s of %s requests %s%s.", t.Service, rollout.Count(i.Evidence.Errors), rollout.Count(i.Evidence.Requests), failing(i, a.alerts(i)), worst(i.Evidence))
		}
	}
	return plain(text+" "+a.verdict(), maxAlt)
}

// verdict is how the whole stands, in a word.
func (a *alert) verdict() string {
	switch {
	case a.over():
		return "It is over."
	case a.some(incident.Firing, incident.Flapping):
		return "It goes on."
	case a.some(incident.Acknowledged):
		return "It goes on, and somebody has it."
	}
	return "It is silenced."
}
