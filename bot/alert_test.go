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
	"slipway/plan"
	"slipway/rollout"
)

var ann = incident.Person{ID: "U0DEPLOYER", Name: "deployer"}

func staging(service string) plan.Target {
	return plan.Target{Environment: "staging", Service: service}
}

// outage is a case of one service that has failed since noon, a quarter of an hour ago.
func outage() incident.Case {
	c := incident.Case{
		Thread: incident.Thread{ID: "3f9a1c", Channel: "deploys-staging", Opened: noon.Add(time.Minute)},
		About:  map[plan.Target]incident.About{}, Now: noon.Add(15 * time.Minute),
	}
	c.Incidents = []incident.Incident{fault(&c, "backend", incident.ErrorRate)}
	c.Incidents[0].ID, c.Incidents[0].Groups = c.Thread.ID, []incident.Group{
		{Key: "g1", Title: "ModuleNotFoundError: No module named 'auth_service'", Count: 1204, New: "netra-backend-staging-00042-xyz",
			Example: "Traceback (most recent call last):\n  File \"/app/main.py\", line 12, in <module>\n    import auth_service\nModuleNotFoundError: No module named 'auth_service'"},
		{Key: "g2", Title: "ConnectionError: redis:6379 refused", Count: 17, Example: "ConnectionError: redis:6379 refused"},
	}
	about := c.About[staging("backend")]
	about.Origin = &incident.Origin{Rollout: "abc234", By: ann, At: noon.Add(-2 * time.Minute), Ended: true, Channel: deploys, TS: "1795348000.000100"}
	c.About[staging("backend")] = about
	return c
}

// fault is a firing one of a service, which c is told about.
func fault(c *incident.Case, service string, kind incident.Kind) incident.Incident {
	cloudRun := "netra-" + service + "-staging"
	i := incident.Incident{
		ID: service + "-" + string(kind), Thread: c.Thread.ID, State: incident.Firing, Opened: noon.Add(30 * time.Second), Fired: noon.Add(time.Minute),
	}
	i.Key = incident.Key{Target: staging(service), Kind: kind}
	i.Alarm, i.Limit, i.Revision = true, 0.05, cloudRun+"-00042-xyz"
	i.Evidence = incident.Evidence{Since: noon, Until: noon.Add(14 * time.Minute), Requests: 1672, Errors: 1204, Peak: 0.81}
	if _, known := c.About[staging(service)]; known {
		return i
	}
	about := incident.About{
		Service: incident.Service{
			Target: staging(service), Project: "netra-staging", Region: "us-central1", CloudRun: cloudRun,
			Alerts: plan.Alerts{
				ErrorRate: 0.05, Latency: &plan.SlowShare{Percent: 0.95, Below: plan.Duration(800 * time.Millisecond)}, Mention: []string{"@backend"},
				Escalate: &plan.Escalation{After: plan.Duration(10 * time.Minute), To: []string{"@release-managers"}},
			},
		},
		Standing: incident.Standing{Serving: i.Revision, Back: cloudRun + "-00041-abc"},
	}
	for n := range 60 {
		m := incident.Minute{At: noon.Add(time.Duration(n-45) * time.Minute), Requests: 110, Errors: 1, Slow: 2}
		if !m.At.Before(noon) {
			m.Errors, m.Slow = 79, 60
		}
		about.Minutes = append(about.Minutes, m)
	}
	c.About[staging(service)] = about
	return i
}

// alone is an outage of another kind.
func alone(kind incident.Kind, change func(*incident.Incident)) func() incident.Case {
	return func() incident.Case {
		c := outage()
		i := fault(&c, "backend", kind)
		i.ID = c.Thread.ID
		change(&i)
		c.Incidents = []incident.Incident{i}
		return c
	}
}

// become is the outage with its incident changed.
func become(change func(*incident.Incident)) func() incident.Case {
	return func() incident.Case {
		c := outage()
		change(&c.Incidents[0])
		return c
	}
}

func resolvedBy(p incident.Person) func(*incident.Incident) {
	return func(i *incident.Incident) {
		i.State, i.Alarm, i.Resolved, i.By = incident.Resolved, false, noon.Add(25*time.Minute), p
		i.Evidence.Until = noon.Add(12 * time.Minute)
	}
}

func joined() incident.Case {
	c := outage()
	auth := fault(&c, "auth", incident.ErrorRate)
	auth.Evidence = incident.Evidence{Since: noon.Add(time.Minute), Until: noon.Add(14 * time.Minute), Requests: 500, Errors: 200, Peak: 0.5}
	auth.Groups = []incident.Group{{Key: "g3", Title: "KeyError: 'user'", Count: 200, Example: "KeyError: 'user'"}}
	c.Incidents = append(c.Incidents, fault(&c, "backend", incident.Latency), auth)
	return c
}

func ten() incident.Case {
	c := outage()
	for n := range 9 {
		i := fault(&c, fmt.Sprintf("service-%d", n), incident.ErrorRate)
		i.Evidence.Errors -= int64(100 * (n + 1))
		c.Incidents = append(c.Incidents, i)
	}
	return c
}

// hostile has markup wherever somebody else writes.
func hostile() incident.Case {
	c := outage()
	evil := "<!channel> `*_~ ``` & <https://example.org|login> " + strings.Repeat("long words ", 300) + "\n\x00<@U0APPROVER>"
	i := &c.Incidents[0]
	i.Groups = nil
	for n := range 5 {
		i.Groups = append(i.Groups, incident.Group{Key: fmt.Sprint(n), Title: evil, Example: strings.Repeat(evil+"\n\t", 40), Count: int64(100 - n), New: evil})
	}
	i.Revision = evil
	match := fault(&c, "backend", incident.LogMatches)
	match.Match, match.Example, match.Revision, match.Limit = evil, evil, evil, 0
	pinned := fault(&c, "auth", incident.Pinned)
	pinned.Example, pinned.Limit = evil, 0
	c.Incidents = append(c.Incidents, match, pinned)
	about := c.About[staging("backend")]
	about.Source, about.Standing.Back = evil, "netra-backend-staging-00041-abc"
	about.Origin.By = incident.Person{ID: "robot", Name: evil}
	about.Origin.Channel, about.Origin.TS = "C1> <!channel", "1.1"
	c.About[staging("backend")] = about
	return c
}

// cases are the looks that are kept in testdata.
var cases = []struct {
	name string
	is   func() incident.Case
}{
	{"firing", outage},
	{"acknowledged", become(func(i *incident.Incident) {
		i.State, i.By, i.ByAt = incident.Acknowledged, ann, noon.Add(8*time.Minute)
	})},
	{"silenced", become(func(i *incident.Incident) {
		i.State, i.By, i.ByAt, i.Until = incident.Silenced, ann, noon.Add(8*time.Minute), noon.Add(68*time.Minute)
	})},
	{"flapping", become(func(i *incident.Incident) {
		i.State, i.Changes = incident.Flapping, []time.Time{noon, noon.Add(5 * time.Minute), noon.Add(12 * time.Minute)}
	})},
	{"resolved", become(resolvedBy(incident.Person{}))},
	{"resolved_by_hand", become(resolvedBy(ann))},
	{"slow_leak", alone(incident.SlowLeak, func(i *incident.Incident) { i.Limit, i.Evidence.Errors, i.Evidence.Peak = 0.03, 67, 0.05 })},
	{"latency", alone(incident.Latency, func(i *incident.Incident) { i.Evidence.Errors, i.Evidence.Peak = 912, 0.6 })},
	{"log_matches", alone(incident.LogMatches, func(i *incident.Incident) {
		i.Match, i.Limit, i.Evidence = "ModuleNotFoundError", 0, incident.Evidence{Since: noon, Until: noon.Add(3 * time.Minute), Errors: 12}
		i.Example = "ModuleNotFoundError: No module named 'auth_service'"
	})},
	{"crash_on_start", alone(incident.CrashOnStart, func(i *incident.Incident) {
		i.Limit, i.Evidence, i.Example = 0, incident.Evidence{Since: noon, Until: noon.Add(3 * time.Minute), Errors: 4}, "Container called exit(1)."
	})},
	{"no_ready_revision", alone(incident.NoReadyRevision, func(i *incident.Incident) {
		i.Limit, i.Revision, i.Evidence, i.Example = 0, "", incident.Evidence{Since: noon, Errors: 1}, "Revision 00042 is not ready: the image cannot be pulled."
	})},
	{"pinned", alone(incident.Pinned, func(i *incident.Incident) {
		i.Limit, i.Evidence, i.Example = 0, incident.Evidence{Since: noon.Add(-25 * time.Hour), Errors: 1}, "release@netra.example has kept all traffic on 00042 since Nov 21 11:00 UTC, although 00043 is ready."
	})},
	{"joined", joined},
	{"ten_services", ten},
	{"unknown_rollout", func() incident.Case {
		c := outage()
		about := c.About[staging("backend")]
		about.Origin, about.Minutes, about.Standing = nil, nil, incident.Standing{}
		c.About[staging("backend")] = about
		return c
	}},
	{"alone", func() incident.Case { c := outage(); c.Alone = true; return c }},
	{"metrics", func() incident.Case {
		c := outage()
		about := c.About[staging("backend")]
		about.Source = "The numbers come from Cloud Monitoring, five minutes late: the request log is excluded."
		c.About[staging("backend")] = about
		return c
	}},
	{"hostile", hostile},
}

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
	const all, resolved = "Acknowledge | Silence 1 h | Roll back to 00041? | Resolve | Logs", "Logs"
	want := map[string][]string{
		"firing": {all}, "acknowledged": {"Silence 1 h | Roll back to 00041? | Resolve | Logs"}, "silenced": {"Acknowledge | Roll back to 00041? | Resolve | Logs"},
		"flapping": {all}, "resolved": {resolved}, "resolved_by_hand": {resolved}, "latency": {all},
		"no_ready_revision": {"Acknowledge | Silence 1 h | Resolve | Logs"}, "pinned": {"Acknowledge | Silence 1 h | Resolve | Logs"},
		"joined": {"Acknowledge | Silence 1 h | Resolve | Logs"}, "ten_services": {"Acknowledge | Silence 1 h | Resolve | Logs"},
		"unknown_rollout": {"Acknowledge | Silence 1 h | Resolve | Logs"},
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
		if !strings.HasPrefix(m.Text, fmt.Sprintf("%d services on staging fail since", services+2)) || buttons(m)[0] != "Acknowledge | Silence 1 h | Resolve | Logs" {
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
