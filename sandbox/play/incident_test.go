package play_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/sandbox/workspace"
)

// incidentScenario is the scenario with a fourth of its traffic.
func incidentScenario(t *testing.T) workspace.Scenario {
	t.Helper()
	scenario, err := workspace.FindScenario("incident")
	if err != nil {
		t.Fatal(err)
	}
	scenario.RPS /= 4
	return scenario
}

// TestIncident is the whole job while nobody deploys: one message for whoever is on call, what they do about it, and
// its end.
func TestIncident(t *testing.T) {
	t.Parallel()
	onStageFor(t, incidentScenario(t), func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "incident"))
		s.resolves(t)
		s.wantFirstWord(t)
		s.wantSaid(t, `^Acknowledged by <@U0ONCALL`, `^\*Resolved\* by itself after \d min: \*backend on staging\* \(72% errors\)\. [\d,]+ of [\d,]+ requests failed(, at worst 7\d% in a minute)?\. Since .* below 20% again\.$`)
		s.wantWayBack(t)
		s.wantPaged(t)
	})
}

// wantFirstWord looks at the message as it was first: when it came, what it said and what could be done, and then at
// what became of it.
func (s *stage) wantFirstWord(t *testing.T) {
	t.Helper()
	m := s.alert(t)
	first := m
	first.Text, first.Blocks = m.Edits[0].Text, m.Edits[0].Blocks
	if !alertHeadline.MatchString(first.Text) {
		t.Errorf("it says\n%s\nwhich does not have %s", first.Text, alertHeadline)
	}
	if got, want := actions(t, first), "[acknowledge rollback logs silence resolve]"; got != want {
		t.Errorf("its buttons are %s, want %s", got, want)
	}
	if !strings.Contains(string(first.Blocks), "ModuleNotFoundError: No module named 'auth_service'") {
		t.Errorf("it has no example of the error:\n%s", first.Blocks)
	}
	if !strings.Contains(first.Text, "new in "+serving) {
		t.Errorf("it does not say that the error is new: %s", first.Text)
	}
	if strings.Contains(first.Text, "Redis") {
		t.Errorf("nothing is wrong with Redis: %s", first.Text)
	}
	if got := actions(t, m); got != "[logs]" {
		t.Errorf("in the end its buttons are %s, want only the logs", got)
	}
	fired := s.book(t).Incidents[0].Fired
	if late := postedAt(t, m).Sub(fired); late < 0 || late > 2*time.Second {
		t.Errorf("it came %s after the incident fired at %s, want at most 2s", late, fired)
	}
}

// alertHeadline is what a lock screen shows, whom it calls, and below it the evidence, the revision and its error.
var alertHeadline = regexp.MustCompile(`(?s)^backend on staging: 7\d% errors since \d\d:\d\d UTC \(limit 20%\) <!subteam\^S0BACKEND(\|[^>]*)?>` +
	`.*Firing, began .*[\d,]+ of [\d,]+ requests failed.*Revision netra-backend-staging-00042-def\.` +
	`.*\*ModuleNotFoundError: No module named 'auth_service'\* — [\d,]+ since `)

// wantWayBack: traffic went back once, and nobody was asked whether it may.
func (s *stage) wantWayBack(t *testing.T) {
	t.Helper()
	s.wantUpdates(t, "traffic, 100% to STABLE")
	s.wantTraffic(t, "100% STABLE")
	for _, m := range s.Slack.Messages(channel) {
		if strings.Contains(string(m.Blocks), `"approve"`) {
			t.Errorf("somebody was asked to approve the way back: %s", m.Text)
		}
	}
}

// wantPaged: whoever is notified beside the channel was told each thing once.
func (s *stage) wantPaged(t *testing.T) {
	t.Helper()
	alerts := s.Pager.Alerts()
	if len(alerts) != 1 || alerts[0].Triggers != 1 || alerts[0].Status != "resolved" {
		t.Fatalf("PagerDuty has %+v, want one alert that was triggered once and is resolved", alerts)
	}
	if got := s.Pager.Actions(alerts[0].Key); !slices.Equal(got, []string{"trigger", "acknowledge", "resolve"}) {
		t.Errorf("PagerDuty was sent %v", got)
	}
	var told []string
	for _, e := range s.Pager.Events() {
		told = append(told, e.Type)
		if e.Tries != 1 || !json.Valid(e.Data) {
			t.Errorf("the webhook got %+v", e)
		}
	}
	if want := []string{"slipway.incident.triggered", "slipway.incident.acknowledged", "slipway.incident.resolved"}; !slices.Equal(told, want) {
		t.Errorf("the webhook was told %v, want %v", told, want)
	}
}

// The control: as long as nothing is wrong nobody hears of it.
func TestIncidentOfAHealthyImage(t *testing.T) {
	t.Parallel()
	scenario := incidentScenario(t)
	scenario.New.ErrorRate, scenario.New.Exception = scenario.Old.ErrorRate, ""
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		time.Sleep(8 * time.Minute) // as long as the scene takes
		if messages := s.Slack.Messages(channel); len(messages) > 0 {
			t.Errorf("%d messages, want none: %s", len(messages), messages[0].Text)
		}
		if alerts := s.Pager.Alerts(); len(alerts) > 0 {
			t.Errorf("PagerDuty has %+v", alerts)
		}
		if b := s.book(t); b.Observed.IsZero() || len(b.Sources) != 1 {
			t.Errorf("nobody looked: %+v", b)
		}
	})
}
