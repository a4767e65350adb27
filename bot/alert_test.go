package bot

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/incident"
	"slipway/rollout"
)

var alertLook = AlertLook{Graph: "F0GRAPH", Site: "https://slack.com"}

func TestAlert(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			m := Alert(tt.is(), names, alertLook)
			checkLimits(t, m)
			golden(t, "incident_"+tt.name+".json", encoded(t, m))
		})
	}
}

func TestAlertButtons(t *testing.T) {
	const all, resolved = "Acknowledge | Roll back to 00041? | Logs | Silence 1 h | Resolve?", "Logs"
	want := map[string][]string{
		"firing": {all}, "acknowledged": {"Roll back to 00041? | Logs | Silence 1 h | Resolve?"}, "rolled_back": {"Logs | Silence 1 h | Resolve"},
		"silenced": {"Acknowledge | Roll back to 00041? | Logs | Resolve?"},
		"flapping": {all}, "resolved": {resolved}, "resolved_by_hand": {resolved}, "latency": {all},
		"no_ready_revision": {"Acknowledge | Logs | Silence 1 h | Resolve?"}, "pinned": {"Acknowledge | Logs | Silence 1 h | Resolve?"},
		"joined": {"Acknowledge | Logs | Silence 1 h | Resolve?"}, "ten_services": {"Acknowledge | Logs | Silence 1 h | Resolve?"},
		"unknown_rollout": {"Acknowledge | Logs | Silence 1 h | Resolve?"},
	}
	for _, tt := range cases {
		if want[tt.name] == nil {
			continue
		}
		if got := buttons(Alert(tt.is(), names, alertLook)); !slices.Equal(got, want[tt.name]) {
			t.Errorf("%s: %q, want %q", tt.name, got, want[tt.name])
		}
	}
}

// alertButtons are all buttons of a message, those beside a service's line too.
func alertButtons(m Message) (list []*slack.ButtonBlockElement) {
	for _, b := range m.Blocks {
		switch b := b.(type) {
		case *slack.ActionBlock:
			for _, e := range b.Elements.ElementSet {
				list = append(list, e.(*slack.ButtonBlockElement))
			}
		case *slack.SectionBlock:
			if b.Accessory != nil {
				list = append(list, b.Accessory.ButtonElement)
			}
		}
	}
	return list
}

// What an incident's buttons hold reads back as what they are about; the way back is each service's own.
func TestAlertButtonsReadBack(t *testing.T) {
	verbs := map[string]rollout.Verb{
		"Acknowledge": commands.VerbAcknowledge, "Silence 1 h": commands.VerbSilence, "Resolve": commands.VerbResolve, "Roll back to 00041": rollout.VerbRollback,
	}
	for name, most := range map[string]int{"firing": 1, "joined": 2, "ten_services": mostReturns} {
		c := cases[slices.IndexFunc(cases, func(c struct {
			name string
			is   func() incident.Case
		}) bool {
			return c.name == name
		})].is()
		var ways []string
		for _, button := range alertButtons(Alert(c, names, alertLook)) {
			if button.ActionID == actionLogs {
				continue
			}
			click, err := clickOf(button.ActionID, button.Value)
			want := commands.Click{Verb: verbs[button.Text.Text], Incident: "3f9a1c", Back: click.Back}
			if err != nil || !reflect.DeepEqual(click, want) || (click.Back != nil) != (want.Verb == rollout.VerbRollback) {
				t.Errorf("%s: %s reads back as %+v, %v", name, button.Text.Text, click, err)
			}
			if click.Back != nil {
				ways = append(ways, click.Back.Target)
				service := strings.TrimPrefix(click.Back.Target, "staging/")
				if to := click.Back.Revisions[service]; to != "netra-"+service+"-staging-00041-abc" || button.Confirm == nil ||
					!strings.Contains(button.Confirm.Text.Text, to+" from netra-"+service+"-staging-00042-xyz") {
					t.Errorf("%s: %+v asks %+v", name, click.Back, button.Confirm)
				}
			}
		}
		if slices.Sort(ways); len(ways) != most || len(slices.Compact(ways)) != most {
			t.Errorf("%s has the ways back %q", name, ways)
		}
	}
}

func TestForgedIncidentButtons(t *testing.T) {
	for action, values := range map[string][]string{
		actionAcknowledge: {"", "|", "3f9a1c|staging/backend backend=x"},
		actionReturn:      {"", "3f9a1c", "3f9a1c|", "3f9a1c|staging/backend", "|staging/backend backend=x", "3f9a1c|staging a=1 b=2"},
		actionLogs:        {"3f9a1c"},
	} {
		for _, value := range values {
			if click, err := clickOf(action, value); err == nil {
				t.Errorf("%s %q is taken for %+v", action, value, click)
			}
		}
	}
}

// The link to the log is one address, whatever stands in the query, and the query is what was meant.
func TestLogsLink(t *testing.T) {
	for name, want := range map[string]string{
		"firing": "resource.type=\"cloud_run_revision\"\nresource.labels.service_name=(\"netra-backend-staging\")\ntimestamp>=\"2026-11-22T12:00:00Z\"\n" +
			"resource.labels.revision_name=\"netra-backend-staging-00042-xyz\"\nseverity>=ERROR",
		"joined":      "resource.type=\"cloud_run_revision\"\nresource.labels.service_name=(\"netra-backend-staging\" OR \"netra-auth-staging\")\ntimestamp>=\"2026-11-22T12:00:00Z\"",
		"log_matches": "\"ModuleNotFoundError\"",
	} {
		for _, tt := range cases {
			if tt.name != name {
				continue
			}
			list := alertButtons(Alert(tt.is(), names, alertLook))
			link := list[len(list)-1].URL
			if i := slices.IndexFunc(list, func(b *slack.ButtonBlockElement) bool { return b.URL != "" }); i >= 0 {
				link = list[i].URL
			}
			path, project, _ := strings.Cut(link, "?project=")
			_, query, _ := strings.Cut(path, "https://console.cloud.google.com/logs/query;query=")
			read, err := url.PathUnescape(query)
			if err != nil || project != "netra-staging" || !strings.HasSuffix(read, want) || strings.ContainsAny(query, "+;=\" \n") || len(link) > 3000 {
				t.Errorf("%s: %s reads %q, %v", name, link, read, err)
			}
		}
	}
}

// Nothing that others wrote mentions anybody or is a link, in the blocks or in the text.
func TestAlertEscapes(t *testing.T) {
	m := Alert(hostile(), names, alertLook)
	var texts []string
	raw, _ := json.Marshal(m.Blocks)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["type"] == "mrkdwn" {
				texts = append(texts, v["text"].(string))
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	var blocks []any
	if err := json.Unmarshal(raw, &blocks); err != nil {
		t.Fatal(err)
	}
	walk(blocks)
	if len(texts) < 5 {
		t.Fatalf("only %d texts were looked at", len(texts))
	}
	for _, text := range append(texts, m.Text) {
		for _, bad := range []string{"<!channel", "<@U0APPROVER", "<https"} {
			if strings.Contains(text, bad) {
				t.Errorf("%q has %s", text, bad)
			}
		}
		if len(text) > 3000 {
			t.Errorf("a text of %d bytes", len(text))
		}
	}
}

// However many fail, and whatever they are called, the message fits, with its first line and its buttons.
func TestAlertFits(t *testing.T) {
	for _, services := range []int{1, 10, 40} {
		c := hostile()
		name, long := strings.Repeat("service-", 7), strings.Repeat("a&b<c>", 200)
		for n := range services {
			for _, kind := range []incident.Kind{incident.ErrorRate, incident.Latency, incident.LogMatches, incident.NoReadyRevision} {
				i := fault(&c, fmt.Sprint(name, n), kind)
				i.Example, i.Match, i.Groups = strings.Repeat(long+"\n", 100), long, hostile().Incidents[0].Groups
				c.Incidents = append(c.Incidents, i)
			}
		}
		m := Alert(c, names, alertLook)
		checkLimits(t, m)
		if !strings.HasPrefix(m.Text, fmt.Sprintf("%d services on staging fail since", services+2)) || buttons(m)[0] != "Acknowledge | Logs | Silence 1 h | Resolve?" {
			t.Errorf("%d services: %q, %q", services, cut(m.Text, 100), buttons(m))
		}
		for _, b := range alertButtons(m) {
			if len(b.Value) > maxValue || len(b.URL) > 3000 || len(b.Text.Text) > 75 {
				t.Errorf("a button of %d, %d and %d bytes", len(b.Value), len(b.URL), len(b.Text.Text))
			}
		}
	}
}

// The digest, which decides about an edit, changes with what is seen and with nothing else.
func TestTheMessageChangesWithTheCase(t *testing.T) {
	shown := func(change func(*incident.Case)) string {
		c := outage()
		change(&c)
		return digestOf(Alert(c, names, alertLook))
	}
	first := shown(func(*incident.Case) {})
	if later := shown(func(c *incident.Case) { c.Now = c.Now.Add(time.Minute) }); later != first {
		t.Error("time alone changes the message")
	}
	for name, change := range map[string]func(*incident.Case){
		"numbers": func(c *incident.Case) { c.Incidents[0].Evidence.Errors++ },
		"state":   func(c *incident.Case) { c.Incidents[0].State = incident.Flapping },
		"alone":   func(c *incident.Case) { c.Alone = true },
	} {
		if shown(change) == first {
			t.Errorf("the message does not change with its %s", name)
		}
	}
}
