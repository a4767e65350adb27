package bot

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"slipway/chart"
	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

// measured gives a story's service a baseline of ten minutes and its gates the windows in which they
// ran, with the counts that they have.
func (s *story) measured() *story {
	service := s.r.Services["backend"]
	before := *service.Baseline
	before.Since, before.Until = noon.Add(-10*time.Minute), noon
	before.Points = spread(before.Since, before.Until, before.Requests, before.Errors)
	service.Baseline = &before
	s.r.Services["backend"] = service
	for pi := range s.r.Phases {
		for si := range s.r.Phases[pi].Steps {
			step := &s.r.Phases[pi].Steps[si]
			if step.Gate == nil || step.Spec.ErrorRate == nil {
				continue
			}
			g := *step.Gate
			g.Since, g.Until = step.Started, step.Ended
			if g.Until.IsZero() {
				g.Until = s.now
			}
			g.Points = spread(g.Since, g.Until, g.Counts.Requests, g.Counts.Errors)
			step.Gate = &g
		}
	}
	return s
}

// spread divides counts over the slices of a window, errors first where they do not divide.
func spread(since, until time.Time, requests, errors int64) []rollout.Point {
	slice := rollout.SliceOf(since, until)
	slices := max(1, int64(until.Sub(since)/slice))
	points := make([]rollout.Point, slices)
	for i := range points {
		left := slices - int64(i)
		points[i] = rollout.Point{At: since.Add(time.Duration(i) * slice), Requests: requests / left, Errors: (errors + left - 1) / left}
		requests, errors = requests-points[i].Requests, errors-points[i].Errors
	}
	return points
}

// Whatever a story comes to, a graph that there is can be drawn, says what it shows, and has in it
// what was measured and nothing else.
func TestGraphOfEveryStory(t *testing.T) {
	drawn := 0
	each(t, func(t *testing.T, _ string, from func(*testing.T) *story, tell func(*story)) {
		s := from(t)
		tell(s)
		s.measured()
		g, alt, ok := graphOf(s.r, graphed(s.r))
		if hasGate := newestGate(s.r, "") != nil; ok != hasGate {
			t.Fatalf("a graph: %v, a gate that counted: %v", ok, hasGate)
		}
		if !ok {
			return
		}
		drawn++
		checkGraph(t, s, g)
		if !strings.Contains(alt, "Error rate of backend on staging") || !strings.Contains(alt, "Limit 5%: ") || len(alt) > 2000 {
			t.Errorf("alt text %q", alt)
		}
	})
	if drawn < 10 {
		t.Errorf("%d stories have a graph", drawn)
	}
}

func checkGraph(t *testing.T, s *story, g chart.Graph) {
	t.Helper()
	if len(g.Title) > 80 || g.Title == "" || g.Limit != 0.05 {
		t.Errorf("title %q, limit %v", g.Title, g.Limit)
	}
	var requests int64
	for _, series := range g.Series {
		for i, p := range series.Points {
			if p.Requests <= 0 || p.Errors > p.Requests || i > 0 && !p.At.After(series.Points[i-1].At) {
				t.Errorf("%s: point %d is %+v", series.Name, i, p)
			}
			if series.Kind == chart.New {
				requests += p.Requests
			}
		}
	}
	var counted int64
	for _, gate := range gatesOf(s.r, "backend") {
		counted += gate.Gate.Counts.Requests
	}
	if requests != counted {
		t.Errorf("%d requests of the new revision are drawn, the gates counted %d", requests, counted)
	}
	for _, band := range g.Bands {
		if !band.Since.Before(band.Until) {
			t.Errorf("band %+v", band)
		}
	}
}

func TestGraphGoldens(t *testing.T) {
	for name, tell := range map[string]func(*story){
		"succeeded":            (*story).toSucceeded,
		"rolled_back":          func(s *story) { s.toRolledBack() },
		"worse_held":           func(s *story) { s.toWorse().say(approver, rollout.VerbHold, "3.3", "") },
		"inconclusive_expired": func(s *story) { s.toInconclusive(); s.advance(31 * time.Minute) },
		"gate_at_10":           func(s *story) { s.toCounting() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			tell(s)
			s.measured()
			g, alt, ok := graphOf(s.r, "backend")
			if !ok {
				t.Fatal("there is no graph")
			}
			raw, err := json.MarshalIndent(struct {
				Alt   string
				Graph chart.Graph
			}{alt, g}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "graph_"+name+".json", append(raw, '\n'))
		})
	}
}

// A baseline of ten minutes does not squeeze a rollout of one, nor is it cut below two.
func TestThePastIsCut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		later time.Duration // the end, beyond the story's
		from  time.Time
	}{
		{"short", 0, noon.Add(-2 * time.Minute)},
		{"long", 5 * time.Minute, noon.Add(-7 * time.Minute)},
		{"longer than the baseline", time.Hour, noon.Add(-10 * time.Minute)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t)
			s.toSucceeded()
			s.measured().r.End.At = s.r.End.At.Add(tt.later)
			g, _, _ := graphOf(s.r, "backend")
			if first := g.Series[0].Points[0].At; first.Before(tt.from) || first.Sub(tt.from) > 30*time.Second {
				t.Errorf("the graph begins at %v, want %v; it ends at %v", first, tt.from, s.r.End.At)
			}
		})
	}
}

// Two gates of the same requests draw them once; two after one another are one line.
func TestGatesAreJoined(t *testing.T) {
	gate := func(id string, since, until time.Duration) rollout.Step {
		g := &rollout.Gate{Since: noon.Add(since), Until: noon.Add(until), Limit: 0.05, Verdict: verdict.Pass,
			Counts: verdict.Counts{Requests: 400}}
		g.Points = spread(g.Since, g.Until, 400, 0)
		return rollout.Step{ID: id, Status: rollout.StepPassed, Gate: g, Started: g.Since, Ended: g.Until,
			Spec: plan.Step{Kind: plan.KindErrorRate, ErrorRate: &plan.ErrorRate{Below: 0.05, Gate: plan.Gate{Service: "backend"}}}}
	}
	for _, tt := range []struct {
		name  string
		steps []rollout.Step
		want  int64
	}{
		{"one", []rollout.Step{gate("1.1", 0, time.Minute)}, 400},
		{"the same", []rollout.Step{gate("1.1", 0, time.Minute), gate("1.2", 0, time.Minute)}, 400},
		{"the longer of two", []rollout.Step{gate("1.1", 0, time.Minute), gate("1.2", 0, 2*time.Minute)}, 400},
		{"one after the other", []rollout.Step{gate("1.2", 2*time.Minute, 4*time.Minute), gate("1.1", 0, time.Minute)}, 800},
		{"half of it", []rollout.Step{gate("1.1", 0, time.Minute), gate("1.2", 30*time.Second, 90*time.Second)}, 600},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := rollout.Rollout{Created: noon, Phases: []rollout.Phase{{Steps: tt.steps}}, Services: map[string]rollout.Service{"backend": backend()}}
			var got int64
			for _, p := range newLine(r, "backend", 0).Points {
				got += p.Requests
			}
			if got != tt.want {
				t.Errorf("%d requests, want %d", got, tt.want)
			}
		})
	}
}

// With few requests a point is made of more slices, so that one error among them is no peak.
func TestPointsHoldEnoughRequests(t *testing.T) {
	for _, tt := range []struct{ requests, points int64 }{{4000, 20}, {400, 20}, {334, 10}, {140, 7}, {100, 4}, {30, 1}, {12, 1}} {
		var l line
		l.add(spread(noon, noon.Add(time.Minute), tt.requests, 1), windowOf(noon, noon.Add(time.Minute)))
		if int64(len(l.Points)) != tt.points {
			t.Errorf("%d requests make %d points, want %d", tt.requests, len(l.Points), tt.points)
		}
	}
}

// In a long picture the points of a short gate are made of more slices, so that they do not touch.
func TestPointsAreApart(t *testing.T) {
	for apart, want := range map[time.Duration]int{0: 20, 3 * time.Second: 20, 5 * time.Second: 10, 40 * time.Second: 1} {
		l := line{apart: apart}
		l.add(spread(noon, noon.Add(time.Minute), 4000, 1), windowOf(noon, noon.Add(time.Minute)))
		if len(l.Points) != want {
			t.Errorf("%d points that have to be %v apart, want %d", len(l.Points), apart, want)
		}
	}
}

// While a rollout moves, the chart does: whatever the gate's state, there are at most 20 points, whose
// labels differ, and a gate that has nothing to show yet leaves the one before it.
func TestTheChartMoves(t *testing.T) {
	s := newStory(t)
	s.toGate()
	spec := plan.Step{Name: "Errors at 10%", Kind: plan.KindErrorRate, ErrorRate: &plan.ErrorRate{Below: 0.05, Gate: plan.Gate{
		Service: "backend", AlphaPass: 0.05, AlphaFail: 0.05, MaxLatency: plan.Duration(time.Second), Budget: plan.Duration(5 * time.Minute),
	}}}
	began := s.now.Add(300 * time.Millisecond)
	charts := 0
	for after := time.Duration(0); after <= 6*time.Minute; after += 7 * time.Second {
		now := began.Add(after)
		requests := rollout.Requests{Watermark: now}
		for at := began.Truncate(time.Second); at.Before(now); at = at.Add(time.Second) {
			requests.Slots = append(requests.Slots, rollout.Slot{At: at, Requests: 2})
		}
		o, err := rollout.JudgeRate(rollout.Case{Spec: spec, Service: s.r.Services["backend"], Since: began, Requests: requests, Extra: time.Hour}, now)
		if err != nil {
			t.Fatal(err)
		}
		step, _ := s.r.Step("3.3")
		step.Gate = o.Gate
		m := Card(s.r, now, names, Look{})
		checkLimits(t, m)
		block := chartOf(m)
		if want := len(o.Gate.Points) > 1; (block != nil) != want {
			t.Fatalf("after %v: a chart: %v, with %d points", after, block != nil, len(o.Gate.Points))
		}
		if block != nil {
			charts++
		}
	}
	if charts < 40 {
		t.Errorf("%d charts", charts)
	}
	later := *s.r.Phases[3].Steps[1].Spec.ErrorRate
	s.r.Phases[3].Steps[1] = rollout.Step{ID: "4.2", Status: rollout.StepRunning, Started: s.now.Add(7 * time.Minute),
		Spec: plan.Step{Kind: plan.KindErrorRate, ErrorRate: &later}, Gate: &rollout.Gate{Limit: 0.05}}
	if chartOf(Card(s.r, s.now, names, Look{})) == nil {
		t.Error("the next gate, which has counted nothing yet, took the chart away")
	}
}
