package bot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway/incident"
)

// due are all of a case's incidents with the same to be said.
func due(c incident.Case, saying incident.Saying) incident.Case {
	c.News = nil
	for _, i := range c.Incidents {
		c.News = append(c.News, incident.News{Incident: i.ID, Saying: saying, Key: i.ID + "/" + string(saying)})
	}
	return c
}

// TestNews: what the thread is told for each saying, whose words are kept in testdata.
func TestNews(t *testing.T) {
	acknowledged := func(i *incident.Incident) {
		i.State, i.By, i.ByAt = incident.Acknowledged, ann, noon.Add(8*time.Minute)
	}
	said := func(state incident.State, at time.Time) func(*incident.Incident) {
		return func(i *incident.Incident) {
			i.Said = incident.Said{State: state, At: at, Called: noon.Add(time.Minute)}
		}
	}
	everyone := func(c incident.Case, change func(*incident.Incident)) func() incident.Case {
		return func() incident.Case {
			for n := range c.Incidents {
				change(&c.Incidents[n])
			}
			return c
		}
	}
	later := func(is func() incident.Case) func() incident.Case { // when the requests after the end are counted
		return func() incident.Case {
			c := is()
			c.Now = noon.Add(25 * time.Minute)
			about := c.About[staging("backend")]
			for n := range 13 {
				about.Minutes = append(about.Minutes, incident.Minute{At: noon.Add(time.Duration(15+n) * time.Minute), Requests: 110, Errors: 1})
			}
			for n, m := range about.Minutes {
				if !m.At.Before(noon.Add(12 * time.Minute)) {
					about.Minutes[n].Errors = 1
				}
			}
			c.About[staging("backend")] = about
			return c
		}
	}
	tests := []struct {
		name      string
		is        func() incident.Case
		saying    incident.Saying
		broadcast bool
	}{
		{"firing", outage, incident.SayFiring, false},
		{"joined", joined, incident.SayFiring, false},
		{"reopened", become(said(incident.Resolved, noon.Add(-time.Minute))), incident.SayReopened, false},
		{"still failing", become(said(incident.Resolved, noon.Add(time.Minute))), incident.SayReopened, false},
		{"silence over", become(said(incident.Silenced, noon.Add(time.Minute))), incident.SayReopened, false},
		{"acknowledged", become(acknowledged), incident.SayAcknowledged, false},
		{"all acknowledged", everyone(ten(), acknowledged), incident.SayAcknowledged, false},
		{"one of several acknowledged", func() incident.Case { c := joined(); acknowledged(&c.Incidents[2]); return c }, incident.SayAcknowledged, false},
		{"several resolved", everyone(joined(), resolvedBy(incident.Person{})), incident.SayResolved, false},
		{"silenced", become(func(i *incident.Incident) {
			acknowledged(i)
			i.State, i.Until = incident.Silenced, noon.Add(68*time.Minute)
		}), incident.SaySilenced, false},
		{"resolved", later(become(resolvedBy(incident.Person{}))), incident.SayResolved, false},
		{"resolved by hand", become(resolvedBy(ann)), incident.SayResolved, false},
		{"not seen again", alone(incident.LogMatches, func(i *incident.Incident) {
			i.State, i.Match, i.Limit, i.Resolved = incident.Resolved, "KeyError", 0, noon.Add(18*time.Minute)
			i.Evidence = incident.Evidence{Since: noon, Until: noon.Add(3 * time.Minute), Errors: 12}
		}), incident.SayResolved, false},
		{"ready again", alone(incident.NoReadyRevision, func(i *incident.Incident) {
			i.State, i.Limit, i.Revision, i.Resolved, i.Evidence = incident.Resolved, 0, "", noon.Add(5*time.Minute), incident.Evidence{Since: noon}
		}), incident.SayResolved, false},
		{"not pinned any more", alone(incident.Pinned, func(i *incident.Incident) {
			i.State, i.Limit, i.Resolved, i.Evidence = incident.Resolved, 0, noon.Add(5*time.Minute), incident.Evidence{Since: noon.Add(-25 * time.Hour)}
		}), incident.SayResolved, false},
		{"flapping", become(func(i *incident.Incident) {
			i.State, i.Changes = incident.Flapping, []time.Time{noon, noon.Add(time.Minute), noon.Add(2 * time.Minute)}
		}), incident.SayFlapping, false},
		{"update", outage, incident.SayUpdate, false},
		{"update of slow requests", alone(incident.Latency, func(*incident.Incident) {}), incident.SayUpdate, false},
		{"update of a crash", alone(incident.CrashOnStart, func(i *incident.Incident) {
			i.Limit, i.Evidence = 0, incident.Evidence{Since: noon, Until: noon.Add(3 * time.Minute), Errors: 4}
		}), incident.SayUpdate, false},
		{"update of several", joined, incident.SayUpdate, false},
		{"repeat", become(said(incident.Firing, noon.Add(time.Minute))), incident.SayRepeat, false},
		{"ask", become(acknowledged), incident.SayAsk, false},
		{"escalated", become(said(incident.Firing, noon.Add(time.Minute))), incident.SayEscalated, true},
		{"several reopened", everyone(joined(), said(incident.Resolved, noon.Add(-time.Minute))), incident.SayReopened, false},
		{"several escalated", everyone(ten(), said(incident.Firing, noon.Add(time.Minute))), incident.SayEscalated, true},
		{"several asked about", everyone(joined(), acknowledged), incident.SayAsk, false},
		{"hostile", hostile, incident.SayUpdate, false},
	}
	var out strings.Builder
	for _, tt := range tests {
		c := due(tt.is(), tt.saying)
		if tt.name == "one of several acknowledged" {
			c.News = c.News[2:]
		}
		text, broadcast := newAlert(c, names, alertLook).newsText(c.News)
		if text == "" || broadcast != tt.broadcast || strings.Contains(string(text), "<!channel") || len(text) > maxText {
			t.Errorf("%s: broadcast %v: %s", tt.name, broadcast, text)
		}
		fmt.Fprintf(&out, "# %s\n%s\n\n", tt.name, text)
	}
	golden(t, "incident_news.txt", []byte(out.String()))
}

// Those who have to act are mentioned, and nobody is for what needs nobody.
func TestNewsMention(t *testing.T) {
	for saying, want := range map[incident.Saying]string{
		incident.SayFiring: "<!subteam^S0BACKEND>", incident.SayReopened: "<!subteam^S0BACKEND>", incident.SayRepeat: "<!subteam^S0BACKEND>",
		incident.SayEscalated: "<!subteam^S0RELEASE>", incident.SayUpdate: "", incident.SayFlapping: "", incident.SayResolved: "",
	} {
		c := due(outage(), saying)
		text, _ := newAlert(c, names, alertLook).newsText(c.News)
		if !strings.HasPrefix(string(text), want) || want == "" && strings.Contains(string(text), "<!subteam") {
			t.Errorf("%s: %s", saying, text)
		}
	}
}

// What is due of an incident that is not known any more is not made up.
func TestNewsOfNothing(t *testing.T) {
	c := outage()
	text, _ := newAlert(c, names, alertLook).newsText([]incident.News{{Incident: "gone", Saying: incident.SayFiring}, {Incident: c.Thread.ID, Saying: incident.SayNothing}})
	if text != "" {
		t.Errorf("%q", text)
	}
}
