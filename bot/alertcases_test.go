package bot

import (
	"fmt"
	"strings"
	"time"

	"slipway/incident"
	"slipway/plan"
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
	{"rolled_back", func() incident.Case { // and not shown to be well yet
		c := become(func(i *incident.Incident) {
			i.State, i.By, i.ByAt, i.Alarm = incident.Acknowledged, ann, noon.Add(8*time.Minute), false
		})()
		about := c.About[staging("backend")]
		about.Standing = incident.Standing{Serving: "netra-backend-staging-00041-abc"}
		c.About[staging("backend")] = about
		return c
	}},
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
