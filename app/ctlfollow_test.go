package app

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// script is a history of which each look shows the next state.
type script struct {
	states []rollout.Rollout
	events []rollout.Event
	errs   map[int]error // of the nth look
	looks  int
}

func (s *script) Load(ctx context.Context, _ string) (rollout.Rollout, error) {
	if _, ok := ctx.Deadline(); !ok {
		return rollout.Rollout{}, errors.New("no deadline")
	}
	s.looks++
	if err := s.errs[s.looks]; err != nil {
		return rollout.Rollout{}, err
	}
	return s.states[min(s.looks, len(s.states))-1], nil
}

func (s *script) Events(_ context.Context, _ string, after int64) ([]rollout.Event, error) {
	return s.events[min(after, int64(len(s.events))):], nil
}

func scripted(ends bool) *script {
	base := rollout.Rollout{ID: "abc234", Target: plan.Target{Environment: "staging"}, Events: 1, Status: rollout.Running,
		Phases: []rollout.Phase{{Steps: []rollout.Step{{ID: "1.1", Spec: plan.Step{Name: "Tests"}}}}}}
	waiting := base
	waiting.Events = 3
	waiting.Asks = []rollout.Ask{{ID: "2.1", Question: "Approve", Who: []string{"@leads"}, Options: []rollout.Verb{rollout.VerbApprove}}}
	over := waiting
	over.Events, over.Status, over.End = 5, rollout.Ended, &rollout.End{Result: rollout.Failed, Reason: "Tests failed."}
	s := &script{states: []rollout.Rollout{base, waiting, waiting}, events: []rollout.Event{
		{Seq: 1, Kind: rollout.Created}, {Seq: 2, Kind: rollout.StepStarted, Step: "1.1", Attempt: 2},
		{Seq: 3, Kind: rollout.StepEnded, Step: "1.1", Outcome: &rollout.Outcome{State: rollout.FailedState, Note: "One\ntest\x1b failed."}},
		{Seq: 4, Kind: rollout.Said, Verb: rollout.VerbAbort, By: &rollout.Actor{ID: "ci@x", Name: "ci (robot)"}, Reason: "no"},
		{Seq: 5, Kind: rollout.Finished},
	}}
	if ends {
		s.states = append(s.states, over)
	}
	return s
}

// follow returns what was printed, without the times.
func follow(t *testing.T, s *script, most time.Duration) (string, error) {
	t.Helper()
	var out bytes.Buffer
	f := follower{from: s, id: "abc234", out: &out}
	_, err := f.follow(t.Context(), most)
	var lines []string
	for line := range strings.Lines(out.String()) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), "  ")
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n"), err
}

// Each event is a line, once, and so is each question.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := follow(t, scripted(true), 0)
		const want = `Tests: started, attempt 2
Tests: failed. One test failed.
Waiting for @leads until 00:00: Approve (slipway ctl approve staging)
ci (robot): abort. no
Rollout abc234 of staging: it failed. Tests failed.`
		if got = strings.Replace(got, time.Time{}.Local().Format("15:04"), "00:00", 1); got != want || err != nil {
			t.Errorf("%v, printed\n%s\nwant\n%s", err, got, want)
		}
	})
}

// A store that is away for a while is mentioned once, and costs nothing but time.
func TestFollowThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripted(true)
		s.errs = map[int]error{2: errors.New("gone"), 3: errors.New("gone"), 4: errors.New("gone")}
		got, err := follow(t, s, 0)
		if err != nil || strings.Count(got, "Looking again") != 1 || !strings.HasSuffix(got, "it failed. Tests failed.") {
			t.Errorf("%v, printed\n%s", err, got)
		}
	})
}

func TestFollowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if _, err := follow(t, scripted(false), time.Minute); err == nil || !strings.Contains(err.Error(), "goes on") || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		s := scripted(false)
		s.errs = map[int]error{3: rollout.ErrNotFound}
		if _, err := follow(t, s, 0); err == nil || !strings.Contains(err.Error(), "not on record") {
			t.Errorf("%v", err)
		}
	})
}
