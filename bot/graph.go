package bot

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"slipway/chart"
	"slipway/commands"
	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

const (
	// enoughRequests is how many a point has on average: of fewer, a single error looks like an outage.
	enoughRequests = 20
	// mostPoints is how many points stand side by side without touching one another.
	mostPoints = 40
	// leastPast is how much is shown of the time before a rollout at least, if it was measured.
	leastPast = 2 * time.Minute
	// mostTitle is what fits over a graph that is read on a phone.
	mostTitle = 70
)

// graphOf draws the error rate of a rollout's service from before the rollout to its end: what served
// before, as the baseline has it, and the new revision as its gates counted it. Nothing is drawn that
// was not measured. alt says the same in words. ok is false if no gate has counted anything.
func graphOf(r rollout.Rollout, service string) (g chart.Graph, alt string, ok bool) {
	step := decisive(r, service)
	if step == nil || step.Gate.Counts.Requests == 0 {
		return g, "", false
	}
	s := r.Services[service]
	until := lastMoment(r, service)
	since := r.Created.Add(-max(until.Sub(r.Created), leastPast))
	apart := until.Sub(since) / mostPoints
	before, after := oldLine(s, since, apart), newLine(r, service, apart)
	if len(after.Points) == 0 || len(before.Points)+len(after.Points) < 2 {
		return g, "", false
	}
	g = chart.Graph{
		Title:    graphTitle(r, s, *step.Gate),
		Subtitle: fmt.Sprintf("failed requests (5xx), slices of up to %s, UTC", rollout.Period(max(before.slice, after.slice))),
		Limit:    float64(step.Gate.Limit),
		AtMost:   proven(*step.Gate),
		Bands:    shares(r, service, until),
		Marks:    moments(r, service, *step),
	}
	for _, l := range []line{before, after} {
		if len(l.Points) > 0 {
			g.Series = append(g.Series, l.Series)
		}
	}
	return g, graphAlt(r, s, *step, g), true
}

// graphed is the service whose graph a rollout gets: the one that it was left for, or else the one
// whose gate was started last; "" if no gate has counted yet.
func graphed(r rollout.Rollout) string {
	if r.Stop != nil {
		if s, _ := r.Step(r.Stop.Step); s != nil && s.Gate != nil && s.Spec.ErrorRate != nil {
			return s.Spec.ErrorRate.Service
		}
	}
	if s := decisive(r, ""); s != nil {
		return s.Spec.ErrorRate.Service
	}
	return ""
}

// decisive is the gate whose numbers a graph is about.
func decisive(r rollout.Rollout, service string) *rollout.Step {
	return cmp.Or(lastGate(r, service), newestGate(r, service))
}

// lastMoment is when the last thing happened that a graph shows.
func lastMoment(r rollout.Rollout, service string) time.Time {
	last := r.Created
	if r.End != nil {
		last = r.End.At
	}
	for _, s := range gatesOf(r, service) {
		last = latestOf(last, s.Gate.Until, s.Ended)
	}
	return last
}

func latestOf(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// gatesOf are a service's error_rate gates that have counted, by when their windows begin.
func gatesOf(r rollout.Rollout, service string) []*rollout.Step {
	var gates []*rollout.Step
	for _, phase := range r.Phases {
		for i := range phase.Steps {
			if s := &phase.Steps[i]; s.Gate != nil && s.Spec.ErrorRate != nil && s.Spec.ErrorRate.Service == service {
				gates = append(gates, s)
			}
		}
	}
	slices.SortStableFunc(gates, func(a, b *rollout.Step) int {
		return cmp.Or(a.Gate.Since.Compare(b.Gate.Since), b.Gate.Until.Compare(a.Gate.Until))
	})
	return gates
}

// line is a series, how long its slices have to be, and how long they are, the longest if they differ.
type line struct {
	chart.Series
	apart, slice time.Duration
}

// oldLine is what served before, from since on, in points that are so far apart at least.
func oldLine(s rollout.Service, since time.Time, apart time.Duration) line {
	l := line{apart: apart, Series: chart.Series{Name: "old", Kind: chart.Old}}
	if b := s.Baseline; b != nil {
		l.add(b.Points, windowOf(b.Since, b.Until))
	}
	l.Points = slices.DeleteFunc(l.Points, func(p chart.Point) bool { return p.At.Before(since) })
	return l
}

// newLine joins what the gates of a service have counted. Where the windows of two overlap, they
// counted the same requests, and those of the first are taken.
func newLine(r rollout.Rollout, service string, apart time.Duration) line {
	l := line{apart: apart, Series: chart.Series{Name: "new", Kind: chart.New}}
	var covered time.Time
	for _, s := range gatesOf(r, service) {
		points := slices.Clone(s.Gate.Points)
		points = slices.DeleteFunc(points, func(p rollout.Point) bool { return p.At.Before(covered) })
		l.add(points, windowOf(s.Gate.Since, s.Gate.Until))
		covered = latestOf(covered, s.Gate.Until)
	}
	return l
}

// window is a time in which requests were counted, by slices.
type window struct {
	since  time.Time
	slice  time.Duration
	slices int64
}

func windowOf(since, until time.Time) window {
	slice := rollout.SliceOf(since, until)
	return window{since, slice, max(1, int64(until.Sub(since)/slice))}
}

// add appends the points of a window, in slices so long that they hold enough requests.
func (l *line) add(points []rollout.Point, w window) {
	slice := w.slice * time.Duration(l.together(points, w))
	begun := len(l.Points)
	for _, p := range points {
		if p.Requests == 0 {
			continue
		}
		at := p.At.Add(-(p.At.Sub(w.since) % slice))
		if n := len(l.Points); n == begun || l.Points[n-1].At.Before(at) {
			l.Points = append(l.Points, chart.Point{At: at})
		}
		last := &l.Points[len(l.Points)-1]
		last.Requests += p.Requests
		last.Errors += p.Errors
	}
	if len(l.Points) > begun {
		l.slice = max(l.slice, slice)
		l.Gap = 3 * l.slice
	}
}

// together is how many of a window's slices make one point.
func (l *line) together(points []rollout.Point, w window) int64 {
	var requests int64
	for _, p := range points {
		requests += p.Requests
	}
	for _, k := range []int64{1, 2, 3, 5, 10} {
		if requests*k >= enoughRequests*w.slices && w.slice*time.Duration(k) >= l.apart {
			return k
		}
	}
	return w.slices
}

func graphTitle(r rollout.Rollout, s rollout.Service, g rollout.Gate) string {
	rates := rollout.Percent(rollout.Share(g.Counts.Errors, g.Counts.Requests)) + " errors"
	if b := s.Baseline; b != nil && b.Requests > 0 {
		rates = rollout.Percent(b.Rate()) + " → " + rates
	}
	if r.End != nil && r.End.Result == rollout.RolledBack {
		rates += ", rolled back"
	}
	return plain(s.Name+" on "+r.Target.Environment, mostTitle-len(rates)) + ": " + rates
}

// proven is the band that only a gate which passed has.
func proven(g rollout.Gate) *chart.AtMost {
	if g.Verdict != verdict.Pass || g.AtMost <= 0 {
		return nil
	}
	label := "at most " + rollout.PercentUp(g.AtMost, float64(g.Limit))
	return &chart.AtMost{Rate: g.AtMost, Label: label, Since: g.Since, Until: g.Until}
}

// shares are the times in which the new revision had a share of the traffic.
func shares(r rollout.Rollout, service string, until time.Time) []chart.Band {
	var bands []chart.Band
	for _, s := range shifts(r, service) {
		if n := len(bands); n > 0 && bands[n-1].Until.After(s.Ended) {
			bands[n-1].Until = s.Ended
		}
		if percent := s.Spec.Traffic.Percent; s.Spec.Traffic.To == plan.ToCandidate && percent > 0 {
			bands = append(bands, chart.Band{Name: fmt.Sprintf("%d%%", percent), Since: s.Ended, Until: latestOf(until, s.Ended)})
		}
	}
	return bands
}

// shifts are the steps that moved a service's traffic, in the order in which they did. That the
// service follows LATEST again in the end moves none.
func shifts(r rollout.Rollout, service string) []rollout.Step {
	var list []rollout.Step
	for _, phase := range r.Phases {
		for _, s := range phase.Steps {
			t := s.Spec.Traffic
			if t != nil && t.Service == service && s.Status == rollout.StepPassed && (t.To == plan.ToCandidate || t.To == plan.ToStable) {
				list = append(list, s)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b rollout.Step) int { return a.Ended.Compare(b.Ended) })
	return list
}

// moments are the deploy, the verdict and the return.
func moments(r rollout.Rollout, service string, gate rollout.Step) []chart.Mark {
	var marks []chart.Mark
	for _, phase := range r.Phases {
		for _, s := range phase.Steps {
			if d := s.Spec.Deploy; d != nil && d.Service == service && s.Attempt > 0 && !s.Started.IsZero() {
				marks = append(marks, chart.Mark{At: s.Started, Label: "deploy"})
			}
		}
	}
	if gate.Status.Over() && !gate.Ended.IsZero() {
		marks = append(marks, chart.Mark{At: gate.Ended, Label: found(gate)})
	}
	for _, s := range shifts(r, service) {
		if s.Spec.Traffic.To == plan.ToStable {
			marks = append(marks, chart.Mark{At: s.Ended, Label: "back on old"})
		}
	}
	return marks
}

// found is a gate's verdict in a word.
func found(gate rollout.Step) string {
	switch gate.Status {
	case rollout.StepPassed:
		return "passed"
	case rollout.StepFailed:
		return "failed"
	case rollout.StepInconclusive:
		return "undecided"
	case rollout.StepCancelled:
		return "stopped"
	}
	return "not decided yet"
}

// graphAlt says what a graph shows to those who do not see it.
func graphAlt(r rollout.Rollout, s rollout.Service, gate rollout.Step, g chart.Graph) string {
	text := fmt.Sprintf("Error rate of %s on %s over time%s. ", s.Name, r.Target.Environment, seen(g))
	if b := s.Baseline; b != nil && b.Requests > 0 {
		text += fmt.Sprintf("Old revision before: %s. ", failures(b.Errors, b.Requests))
	}
	text += "New revision: " + failures(gate.Gate.Counts.Errors, gate.Gate.Counts.Requests)
	if g.AtMost != nil {
		text += ", " + g.AtMost.Label
	}
	text += fmt.Sprintf(". Limit %s: %s.", gate.Gate.Limit, found(gate))
	if r.End != nil {
		text += " " + serving(r, s)
	}
	return plain(text, maxAlt)
}

// maxAlt is what an image block's alt_text takes
// (docs.slack.dev/reference/block-kit/blocks/image-block).
const maxAlt = 1900

// seen is the time that the points span.
func seen(g chart.Graph) string {
	var at []time.Time
	for _, s := range g.Series {
		for _, p := range s.Points {
			at = append(at, p.At)
		}
	}
	if len(at) == 0 {
		return ""
	}
	first, last := slices.MinFunc(at, time.Time.Compare), latestOf(at...)
	return fmt.Sprintf(", %s to %s UTC", first.UTC().Format("15:04"), last.UTC().Format("15:04"))
}

// failures is "72% of 1,672 requests failed".
func failures(errors, requests int64) string {
	return fmt.Sprintf("%s of %s failed", rollout.Percent(rollout.Share(errors, requests)), rollout.Counted(requests, "request"))
}

// graphOfChart is a reply's chart as a picture: finer, with the moments at which something was
// deployed. ok is false if there is nothing to draw.
func graphOfChart(c commands.Chart) (g chart.Graph, ok bool) {
	fine := c.Fine
	if fine == nil {
		return g, false
	}
	var slice time.Duration
	for i, s := range c.Series {
		l := line{Series: chart.Series{Name: s.Name, Kind: chart.Other}}
		if i == 0 {
			l.Kind = chart.New
		}
		l.add(s.Points, window{fine.Since, fine.Slice, int64(fine.Slices)})
		if len(l.Points) > 0 {
			g.Series = append(g.Series, l.Series)
		}
		slice = max(slice, l.slice)
	}
	g.Title = plain(fine.Finding, mostTitle)
	g.Subtitle = fmt.Sprintf("failed requests (5xx), slices of up to %s, UTC", rollout.Period(slice))
	g.Limit = fine.Limit
	for _, d := range fine.Deploys {
		g.Marks = append(g.Marks, chart.Mark{At: d.At, Label: d.What})
	}
	return g, len(g.Series) > 0
}
