package commands

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"slipway/plan"
	"slipway/rollout"
)

func press(actor, id string, c Click) Request {
	c.Rollout = id
	req := command(actor, "")
	req.Click = &c
	return req
}

func TestRollbackPassesTheRequestOn(t *testing.T) {
	h, m := newHandler(t)
	h.Handle(t.Context(), command("UDEPLOYER", "rollback staging/backend 00039 {@U1} it's slow"))
	if len(m.rolledBack) != 1 {
		t.Fatalf("rolled back %+v", m.rolledBack)
	}
	got := m.rolledBack[0]
	if got.Token != "envelope-1" || got.Target.String() != "staging/backend" || got.Revision != "00039" || got.Reason != "{ @U1} it's slow" ||
		got.Channel != "deploys-staging" || got.By.ID != "UDEPLOYER" || got.Environment.Name != "staging" || !got.At.Equal(start()) {
		t.Errorf("request %+v", got)
	}
}

// A request that is delivered again must not roll back once more from where the first one led.
func TestRollbackDeliveredTwice(t *testing.T) {
	t.Run("it stopped a rollout", func(t *testing.T) {
		h, m := newHandler(t)
		id := gateWithHealthyOld(h, m)
		h.Handle(t.Context(), command("UDEPLOYER", "rollback staging"))
		m.apply(id, rollout.Event{At: start(), Kind: rollout.StepEnded, Step: "3.3", Attempt: 1, Outcome: &rollout.Outcome{State: rollout.Cancelled}})
		m.run(id, "5.1", &rollout.Outcome{State: rollout.Passed})
		m.settle(id, start())
		again := h.Handle(t.Context(), command("UDEPLOYER", "rollback staging"))
		if len(m.rolledBack) != 0 || !strings.Contains(again.Text, "it was rolled back") {
			t.Errorf("rolled back %d times, answered %q", len(m.rolledBack), again.Text)
		}
		later := command("UDEPLOYER", "rollback staging")
		later.ID, later.At = "envelope-2", start().Add(time.Minute)
		if h.Handle(t.Context(), later); len(m.rolledBack) != 1 {
			t.Errorf("control: another request rolled back %d times", len(m.rolledBack))
		}
	})
	t.Run("it is under way", func(t *testing.T) {
		h, m := newHandler(t)
		first := h.Handle(t.Context(), command("UDEPLOYER", "rollback staging"))
		again := h.Handle(t.Context(), command("UDEPLOYER", "rollback staging"))
		if first.Text != again.Text || len(m.rolledBack) != 1 {
			t.Errorf("rolled back %d times, answered %q, then %q", len(m.rolledBack), first.Text, again.Text)
		}
	})
}

func TestLockPassesTheRequestOn(t *testing.T) {
	h, m := newHandler(t)
	h.Handle(t.Context(), command("UDEPLOYER", "lock preview/web load test for 90m"))
	want := []rollout.Lock{{
		Target: plan.Target{Environment: "preview", Service: "web"}, By: rollout.Actor{ID: "UDEPLOYER", Name: "someone"},
		Reason: "load test", Since: start(), Expires: start().Add(90 * time.Minute), Fence: 7,
	}}
	if !reflect.DeepEqual(m.locks, want) {
		t.Errorf("locks %+v", m.locks)
	}
	h.Handle(t.Context(), command("UAPPROVER", "unlock preview/web"))
	if len(m.locks) != 0 {
		t.Errorf("locks %+v", m.locks)
	}
}

func TestPauseAndResumePassTheRequestOn(t *testing.T) {
	h, m := newHandler(t)
	gateWithHealthyOld(h, m)
	h.Handle(t.Context(), command("UDEPLOYER", "pause staging lunch"))
	h.Handle(t.Context(), command("UAPPROVER", "resume staging"))
	var told []string
	for _, e := range m.told {
		told = append(told, fmt.Sprintf("%s %s %q %q by %s", e.Kind, e.Verb, e.Ask, e.Reason, e.By.ID))
	}
	if want := []string{`said pause "" "lunch" by UDEPLOYER`, `said resume "pause" "" by UAPPROVER`}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// With the store down nothing happens, and that is what people are told.
func TestStoreDown(t *testing.T) {
	for _, down := range []bool{true, false} {
		for _, text := range []string{
			"staging", "abort staging", "pause staging", "resume staging", "retry staging", "rollback staging", "rollback staging/backend 00039",
			"lock staging", "unlock staging", "status", "history staging",
		} {
			h, m := newHandler(t)
			m.down = down
			says(t, h.Handle(t.Context(), command("UDEPLOYER", text)), text, down)
			if changed := len(m.started) + len(m.told) + len(m.rolledBack) + len(m.locks); down && changed > 0 {
				t.Errorf("%s: %d changes", text, changed)
			}
		}
		for _, verb := range []rollout.Verb{rollout.VerbAbort, rollout.VerbHold, rollout.VerbPause, VerbDetails} {
			h, m := newHandler(t)
			id := gateWithHealthyOld(h, m)
			m.down = down
			says(t, h.Handle(t.Context(), press("UDEPLOYER", id, Click{Verb: verb})), string(verb), down)
		}
	}
}

func says(t *testing.T, reply Reply, what string, down bool) {
	t.Helper()
	said := strings.Contains(reply.Text, "Could not read ") && strings.Contains(reply.Text, "Nothing was done; try again.")
	if said != down || strings.Contains(reply.Text, "redis") {
		t.Errorf("%s, store down: %v: %q", what, down, reply.Text)
	}
}

// Whoever was in the group when the card was posted, and is not any more, may not click.
func TestClicksOfThoseWhoLeft(t *testing.T) {
	for _, c := range []Click{{Verb: rollout.VerbHold}, {Verb: rollout.VerbPause}, {Verb: rollout.VerbAbort}} {
		for _, left := range []bool{true, false} {
			h, m := newHandler(t)
			id := gateWithHealthyOld(h, m)
			if left {
				h.Directory = groups{"@backend": {"UAPPROVER"}}
			}
			reply := h.Handle(t.Context(), press("UDEPLOYER", id, c))
			if denied := strings.Contains(reply.Text, "you are not in it"); denied != left || (len(m.told) == 0) != left {
				t.Errorf("%s, left: %v: %q, told %+v", c.Verb, left, reply.Text, m.told)
			}
		}
	}
}

func TestNoNewVerbWorksUnauthorised(t *testing.T) {
	for _, text := range []string{"rollback staging", "lock staging", "unlock staging"} {
		for name, dir := range map[string]Directory{"outside": groups{}, "unknown": broken{}} {
			h, m := newHandler(t)
			lockedByOncall(h, m)
			h.Directory = dir
			reply := h.Handle(t.Context(), command("UDEPLOYER", text))
			if len(m.rolledBack) > 0 || len(m.locks) != 1 || m.locks[0].By.ID != "UONCALL" || reply.Public {
				t.Errorf("%s, %s: %+v, %q", text, name, m.locks, reply.Text)
			}
		}
	}
}

// What Slack's data_visualization takes: at most 20 points, unique labels and names of at most 20 characters.
func TestChart(t *testing.T) {
	for _, length := range []string{"5m", "20m", "1h", "24h"} {
		h, m := newHandler(t)
		for i := range 24 * 60 {
			m.cloud.slots = append(m.cloud.slots, rollout.Slot{At: start().Add(-time.Duration(i+1) * time.Minute), Requests: 4, Errors: 1})
		}
		c := h.Handle(t.Context(), command("UOUTSIDER", "graph preview "+length)).Chart
		if c == nil || len(c.Labels) != 20 || len(c.Series) != 2 || c.Alt == "" || utf8.RuneCountInString(c.Title) > 50 {
			t.Fatalf("%s: %+v", length, c)
		}
		seen := map[string]bool{}
		for _, label := range c.Labels {
			if seen[label] || len(label) > 20 {
				t.Errorf("%s: label %q", length, label)
			}
			seen[label] = true
		}
		for _, s := range c.Series {
			if len(s.Values) != 20 || s.Values[19] != 25 || s.Name != "auth" && s.Name != "web" {
				t.Errorf("%s: %+v", length, s)
			}
		}
	}
}

// Requests are sorted into the slice in which they started, and a slice without any repeats the last rate.
func TestChartSlices(t *testing.T) {
	w := windowOf(start(), 20*time.Minute)
	at := func(d time.Duration, requests, errors int64) rollout.Slot {
		return rollout.Slot{At: start().Add(-20*time.Minute + d), Requests: requests, Errors: errors}
	}
	l := w.count(rollout.Service{}, []rollout.Slot{
		at(-time.Second, 100, 100), at(0, 10, 5), at(59*time.Second, 10, 5), at(2*time.Minute, 4, 1), at(20*time.Minute, 100, 100),
	})
	if got := l.coarse().rates()[:4]; !reflect.DeepEqual(got, []float64{0.5, 0.5, 0.25, 0.25}) || sum(l.requests) != 24 {
		t.Errorf("rates %v of %d requests", got, sum(l.requests))
	}
}

func TestSeriesNames(t *testing.T) {
	var all []Series
	for _, name := range []string{"netra-backend-authentication", "netra-backend-authorization", "web", "web"} {
		all = append(all, Series{Name: seriesName(all, name)})
	}
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.Name] || utf8.RuneCountInString(s.Name) > maxName {
			t.Errorf("names %+v", all)
		}
		seen[s.Name] = true
	}
}

func TestGraphThatTakesTooLong(t *testing.T) {
	h, m := newHandler(t)
	m.cloud.err = fmt.Errorf("list: %w", context.DeadlineExceeded)
	if got := h.Handle(t.Context(), command("UDEPLOYER", "graph staging 6h")).Text; !strings.Contains(got, "`/deploy graph staging 15m`") {
		t.Errorf("answered %q", got)
	}
}

func TestDetailsAreCut(t *testing.T) {
	h, m := newHandler(t)
	id := deployFailed(h, m)
	r := m.find(id)
	for i := range r.Phases {
		for j := range r.Phases[i].Steps {
			s := &r.Phases[i].Steps[j]
			s.Status, s.Note, s.Detail = rollout.StepFailed, "It failed.", strings.Repeat("ä", 5000)+"the last line"
		}
	}
	got := h.Handle(t.Context(), press("UOUTSIDER", id, Click{Verb: VerbDetails})).Text
	if len(got) > 2900 || !strings.Contains(got, "more do not fit here") || !strings.Contains(got, "the last line") || strings.Count(got, "```")%2 != 0 {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// With a plan that has added a phase in front, phases are still counted as deploy.yaml has them.
func TestPositionCountsThePlansPhases(t *testing.T) {
	h, m := newHandler(t)
	id := manual(h, m)
	if got := position(m.find(id)); got != "Failed before" {
		t.Errorf("at %q", got)
	}
	say(m, id, rollout.Event{Verb: rollout.VerbConfirm, Ask: "1.1"})
	m.settle(id, start())
	if got := position(m.find(id)); got != "phase 2 of 3, Approval" {
		t.Errorf("at %q", got)
	}
}

// What a rollout would need of Slack and not find is said before it begins; that Slack does not say is
// no reason not to begin.
func TestMissingChannelOrGroup(t *testing.T) {
	staff := groups{"@backend": {"UDEPLOYER"}, "@release-managers": {"UAPPROVER"}}
	for _, test := range []struct {
		name    string
		change  func(h *Handler)
		starts  bool
		answers string
	}{
		{"all is there", func(*Handler) {}, true, "Starting"},
		{"no approvers", func(h *Handler) { h.Directory = groups{"@backend": {"UDEPLOYER"}} }, false, "Nothing was started. Slack knows no group or person @release-managers."},
		{"no channel", func(h *Handler) { h.File().Environment("staging").Channel = "gone" }, false, "Nothing was started. There is no channel #gone that Slipway is in."},
		{"slack does not say", func(h *Handler) { h.Directory = silent{staff} }, true, "Starting"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, m := newHandler(t)
			h.Directory = staff
			test.change(h)
			reply := h.Handle(t.Context(), command("UDEPLOYER", "staging"))
			if (len(m.started) > 0) != test.starts || !strings.Contains(reply.Text, test.answers) {
				t.Errorf("started %d, answered %q", len(m.started), reply.Text)
			}
		})
	}
}

// silent knows who belongs to what, and nothing else.
type silent struct{ groups }

func (silent) Missing(context.Context, string, []string) ([]string, error) {
	return nil, errors.New("conversations.list: timeout")
}
