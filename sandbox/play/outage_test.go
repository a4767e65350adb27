package play_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/incident"
	"slipway/rollout"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
	"slipway/state"
)

// What the scenes of incidents have in common.

const (
	serving = "netra-backend-staging-00042-def"
	// editEvery is how often the message of an incident may change at most.
	editEvery = 10 * time.Second
)

// outage is the scenario of an incident that begins when the test says so. There is little traffic, and the limit
// is high, so that beginning and end are both seen after minutes that are cheap to simulate.
func outage(t *testing.T) workspace.Scenario {
	t.Helper()
	scenario, err := workspace.FindScenario("incident")
	if err != nil {
		t.Fatal(err)
	}
	scenario.RPS, scenario.Old.ErrorRate, scenario.New.ErrorRate, scenario.New.ErrorsAfter = 2, 0, 0, 0
	scenario.Plan = rewritten(t, scenario.Plan, "error_rate: 20%", "error_rate: 40%")
	return scenario
}

// rewritten is a plan file with other words in the place of some that it has.
func rewritten(t *testing.T, file, words, others string) string {
	t.Helper()
	if !strings.Contains(file, words) {
		t.Fatalf("the plan file does not have %q", words)
	}
	return strings.Replace(file, words, others, 1)
}

// fails has the share of the revision's requests fail from now on.
func (s *stage) fails(t *testing.T, service, revision string, share float64) {
	t.Helper()
	s.must(t, s.Cloud.Traffic(fakegcp.TrafficRequest{Service: service, ErrorRate: map[string]float64{revision: share}}))
}

// breaks has all requests of the scenario's service fail, and heals none of them, when the next ten seconds begin:
// what is counted in them is all of one kind.
func (s *stage) breaks(t *testing.T) { s.turns(t, 1) }
func (s *stage) heals(t *testing.T)  { s.turns(t, 0) }

func (s *stage) turns(t *testing.T, share float64) {
	t.Helper()
	const slice = 10 * time.Second
	time.Sleep(time.Until(time.Now().Truncate(slice).Add(slice)))
	s.fails(t, "netra-backend-staging", serving, share)
}

// begins waits until people are told of an incident, and returns its message.
func (s *stage) begins(t *testing.T) fakeslack.Message {
	t.Helper()
	s.must(t, s.Until(within(t), "the incident", play.Has("incident_acknowledge")))
	return s.alert(t)
}

// resolves waits until the thread says that it is over, and the message too.
func (s *stage) resolves(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	s.must(t, s.Until(ctx, "the end of the incident", func([]fakeslack.Message) bool {
		said := s.said(t)
		return len(said) > 0 && strings.HasPrefix(said[len(said)-1].Text, "*Resolved*") && strings.HasPrefix(s.alert(t).Text, "Resolved")
	}))
	time.Sleep(20 * time.Second) // whatever would be told twice has been by then
}

// alerts are the messages of incidents that the channel has.
func (s *stage) alerts() []fakeslack.Message {
	return slices.DeleteFunc(s.Slack.Messages(channel), func(m fakeslack.Message) bool {
		return m.ThreadTS != "" || m.Deleted || !play.IsIncident(m)
	})
}

// alert is the message of the one incident; a second one fails the test.
func (s *stage) alert(t *testing.T) fakeslack.Message {
	t.Helper()
	list := s.alerts()
	if len(list) != 1 {
		t.Fatalf("%d messages of incidents, want one\n%s", len(list), s.out.String())
	}
	return list[0]
}

// said are the replies in the thread of the incident.
func (s *stage) said(t *testing.T) []fakeslack.Message {
	t.Helper()
	ts := s.alert(t).TS
	return slices.DeleteFunc(s.replies(t), func(m fakeslack.Message) bool { return m.ThreadTS != ts })
}

// wantSaid compares all that the thread says with patterns, one a reply, and looks how often the message was edited.
func (s *stage) wantSaid(t *testing.T, patterns ...string) {
	t.Helper()
	said := s.said(t)
	matches := len(said) == len(patterns)
	var lines []string
	for n, m := range said {
		lines = append(lines, m.Text)
		matches = matches && regexp.MustCompile(patterns[min(n, len(patterns)-1)]).MatchString(m.Text)
	}
	if !matches {
		t.Errorf("the thread says:\n%s\nwant:\n%s", strings.Join(lines, "\n"), strings.Join(patterns, "\n"))
	}
	s.wantEditsApart(t)
}

// wantCounted: what the thread says in the end is what the cloud has counted itself.
func (s *stage) wantCounted(t *testing.T) {
	t.Helper()
	said := s.said(t)
	var failed int64
	for _, r := range s.Cloud.State().Services[0].Revisions {
		failed += r.Errors
	}
	want := rollout.Count(failed) + " of " + rollout.Count(failed) + " requests failed"
	if text := said[len(said)-1].Text; failed == 0 || !strings.Contains(text, ". "+want) {
		t.Errorf("the cloud counted %q, and the thread says: %s", want, text)
	}
}

// wantEditsApart: whoever looks at the message has ten seconds for what it says.
func (s *stage) wantEditsApart(t *testing.T) {
	t.Helper()
	m := s.alert(t)
	last := postedAt(t, m)
	for _, e := range m.Edits {
		if gap := e.Until.Sub(last); gap < editEvery {
			t.Errorf("edited at %s, %s after %s; want at least %s", e.Until.Format(time.TimeOnly), gap, last.Format(time.TimeOnly), editEvery)
		}
		last = e.Until
	}
}

// book is what Redis has of the incidents.
func (s *stage) book(t *testing.T) incident.Book {
	t.Helper()
	config := s.App("reader")
	client, err := state.Open(t.Context(), config.RedisURL, config.Dial)
	s.must(t, err)
	defer func() { s.must(t, client.Close()) }()
	b, version, err := state.New(client, state.Options{}).Incidents().Book(t.Context(), "netra-staging")
	s.must(t, err)
	if version == 0 {
		t.Fatal("Redis has no book of incidents")
	}
	return b
}

// does clicks a button of the incident.
func (s *stage) does(t *testing.T, action string) {
	t.Helper()
	s.must(t, s.Click(within(t), workspace.Oncall, "incident_"+action))
}

// actions are the buttons of a message, in order.
func actions(t *testing.T, m fakeslack.Message) string {
	t.Helper()
	var names []string
	for _, e := range elements(t, m) {
		names = append(names, strings.TrimPrefix(e.ActionID, "incident_"))
	}
	return fmt.Sprint(names)
}
