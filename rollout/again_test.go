package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// counted is a log with requests in it.
type counted struct{ requests Requests }

func (l counted) Requests(context.Context, Query) (Requests, error) { return l.requests, nil }

func (l counted) Lines(context.Context, Service, string, string, time.Time) (Lines, error) {
	return Lines{}, nil
}

// then are further requests of the same log.
func (r Requests) then(more Requests) Requests {
	r.Slots = append(r.Slots[:len(r.Slots):len(r.Slots)], more.Slots...)
	r.Watermark = more.Watermark
	return r
}

// A gate that passed is counted on. Who reads what came of that has to learn whether it passed too early, or whether
// something has begun since; and a pass that was just enough is not taken back for an error that any release has.
func TestAGateThatPassedIsCountedOn(t *testing.T) {
	clean := steady(5, 30, 4, 0)
	tests := []struct {
		name         string
		requests     Requests
		after        time.Duration // the look, from the traffic shift on
		watch, later string        // what the watch and a later gate say; "": nothing
	}{
		{"nothing", clean.then(steady(30, 600, 4, 0)), 10 * time.Minute, "", ""},
		{"one error in little traffic", clean.then(steady(330, 350, 1, 1)), 10 * time.Minute, "", ""},
		{
			"late errors", steady(5, 30, 4, 20).then(steady(30, 60, 4, 0)), time.Minute,
			"Errors 10% (20 of 200) since 10:00 UTC, with those that were logged late.",
			"'Errors' passed too early; with the requests that were logged late it is errors 25% (20 of 80).",
		},
		{"few late errors, and many requests after them", steady(5, 30, 4, 3).then(steady(30, 600, 4, 0)), 10 * time.Minute, "", ""},
		{"few late errors, and nothing after them", steady(5, 30, 4, 3).then(steady(599, 600, 0, 0)), 10 * time.Minute, "Errors 3% (3 of 100) since 10:00 UTC, with those that were logged late.", ""},
		{
			"errors that began later", clean.then(steady(30, 120, 4, 0)).then(steady(120, 180, 4, 80)), 3 * time.Minute,
			"Errors 33% (80 of 240) since 10:01 UTC. ",
			"'Errors' passed, but since then it is errors 12% (80 of 680).",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec := plan.Step{Name: "Errors", Kind: plan.KindErrorRate, ErrorRate: gateSpec()}
			passed, err := JudgeRate(Case{Spec: spec, Since: t0, Requests: clean}, t0.Add(30*time.Second))
			if err != nil || passed.State != Passed {
				t.Fatalf("%s, %v", passed.State, err)
			}
			step := Step{Spec: spec, Status: StepPassed, Handle: `{"since":"` + t0.Format(time.RFC3339) + `"}`, Gate: passed.Gate}
			log := counted{tt.requests}
			h := holder{engine: &Engine{Config: Config{Requests: log}}, log: slog.New(slog.DiscardHandler)}
			h.rollout.WatchFor, h.rollout.Watch = seconds(10*time.Minute), &Watch{Until: t0.Add(10 * time.Minute)}
			seen, err := h.lookAgain(t.Context(), step, t0.Add(tt.after))
			if err != nil || !strings.HasPrefix(seen.bad, tt.watch) || tt.watch == "" && seen.bad != "" {
				t.Errorf("the watch says %q, %v; want %q", seen.bad, err, tt.watch)
			}
			turned, err := gates{log: log}.turned(t.Context(), step, Service{})
			if err != nil || !strings.HasPrefix(turned, tt.later) || tt.later == "" && turned != "" {
				t.Errorf("a later gate says %q, %v; want %q", turned, err, tt.later)
			}
		})
	}
}

// A log that turns out to lack requests proves nothing, unless it would whatever they were. What is missing is told.
func TestALogThatLacksRequests(t *testing.T) {
	lacks := func(r Requests, n int64) Requests {
		r.Dropped = n
		return r
	}
	const where = " The request log of backend lacks %s that Cloud Monitoring has; with source: metrics in deploy.yaml they count."
	spec := plan.Step{Name: "Errors", Kind: plan.KindErrorRate, ErrorRate: gateSpec()}
	for name, tt := range map[string]struct {
		requests Requests
		at       time.Duration
		state    OutcomeState
		note     string
	}{
		"on the way":       {lacks(steady(5, 125, 4, 0), 300), 2 * time.Minute, StillRunning, "440 requests, no errors." + fmt.Sprintf(where, "300 requests")},
		"in the end":       {lacks(steady(5, 305, 4, 0), 700), 5 * time.Minute, Inconclusive, "Too little is known: 1,160 requests, no errors." + fmt.Sprintf(where, "700 requests")},
		"nobody knows":     {lacks(steady(5, 305, 4, 0), verdict.DroppedUnknown), 5 * time.Minute, Inconclusive, "Too little is known: 1,160 requests, no errors." + fmt.Sprintf(where, "some requests")},
		"a few":            {lacks(steady(5, 125, 4, 0), 5), 2 * time.Minute, Passed, "Errors 0% (0 of 440), at most 3.3%. Limit 5%: passed."},
		"bad all the same": {lacks(steady(5, 125, 4, 200), 300), 2 * time.Minute, FailedState, "Errors 45% (200 of 440). Limit 5%: failed."},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := JudgeRate(Case{Spec: spec, Service: Service{Name: "backend"}, Since: t0, Requests: tt.requests}, t0.Add(tt.at))
			if err != nil || o.State != tt.state || o.Note != tt.note {
				t.Errorf("%s %q, %v", o.State, o.Note, err)
			}
		})
	}
	passed, err := JudgeRate(Case{Spec: spec, Since: t0, Requests: steady(5, 30, 4, 0)}, t0.Add(30*time.Second))
	if err != nil || passed.State != Passed {
		t.Fatalf("%s, %v", passed.State, err)
	}
	step := Step{Spec: spec, Status: StepPassed, Handle: `{"since":"` + t0.Format(time.RFC3339) + `"}`, Gate: passed.Gate}
	for name, tt := range map[string]struct {
		errors int64
		known  bool
	}{"no error": {0, false}, "many errors": {400, true}} {
		t.Run("watched, "+name, func(t *testing.T) {
			h := holder{engine: &Engine{Config: Config{Requests: counted{lacks(steady(5, 305, 4, tt.errors), 900)}}}, log: slog.New(slog.DiscardHandler)}
			h.rollout.Services = map[string]Service{"backend": {Name: "backend"}}
			h.rollout.WatchFor, h.rollout.Watch = seconds(5*time.Minute), &Watch{Until: t0.Add(5 * time.Minute)}
			seen, err := h.lookAgain(t.Context(), step, t0.Add(5*time.Minute))
			if failure, known := errors.AsType[*Failure](err); tt.known && seen.bad == "" || !tt.known && (!known || !strings.Contains(failure.Reason, "lacks 900 requests")) {
				t.Errorf("%q, %v", seen.bad, err)
			}
		})
	}
}
