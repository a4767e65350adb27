package play_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// What an incident is told by meets trouble of its own: all of it is told all the same, and once.

const resolvedByItself = `^\*Resolved\* by itself after .* requests failed`

// The replica that follows the log is gone, at once and without a word: first while the alarm may yet be withdrawn, then
// as soon as the message is there, which the next one may not have stored. Each time another goes on within 4 s, and
// nothing is told twice, or not at all.
func TestReplicaOnWatchIsKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := emptyStage(t, outage(t), manifest(t))
		kill := s.join(t, "first")
		time.Sleep(5 * time.Second)
		killNext := s.join(t, "second")
		time.Sleep(5 * time.Second)
		s.breaks(t)
		s.await(t, func() bool { return len(s.book(t).Incidents) > 0 })
		first := kill()
		time.Sleep(5 * time.Second)
		s.join(t, "third")
		s.begins(t)
		second := killNext()
		time.Sleep(30 * time.Second)
		s.does(t, "acknowledge")
		s.heals(t)
		s.resolves(t)
		s.wantSaid(t, `^Acknowledged by`, resolvedByItself)
		s.wantCounted(t)
		for _, killed := range []time.Time{first, second} {
			if after := s.followedAfter(t, killed); after > 4*time.Second {
				t.Errorf("the log was followed again %s after %s, want at most 4s", after, killed.Format(time.TimeOnly))
			}
		}
	})
}

// join runs a replica that can be killed: its line is cut, and then nobody hears any more how it ends.
func (s *stage) join(t *testing.T, name string) (kill func() time.Time) {
	t.Helper()
	config, l := connect(s.App(name))
	end := s.start(t, config)
	return func() time.Time {
		l.cut()
		at := time.Now()
		end()
		return at
	}
}

// followedAfter is how long after a moment the first session began that follows the log.
func (s *stage) followedAfter(t *testing.T, moment time.Time) time.Duration {
	t.Helper()
	s.must(t, s.Cloud.Fault(fakegcp.Fault{Method: "TailLogEntries", Kind: fakegcp.FaultDrop, Open: true})) // the journal has what is over
	time.Sleep(time.Second)
	first := time.Now()
	for _, c := range s.Cloud.Journal() {
		if c.Method == "TailLogEntries" && c.Time.After(moment) && c.Time.Before(first) {
			first = c.Time
		}
	}
	return first.Sub(moment)
}

// While Redis is away, the one replica that had the watch goes on from memory, and says so. What it told is not told
// again when Redis is back, and people can act on it.
func TestIncidentWithoutRedis(t *testing.T) {
	t.Parallel()
	onStageFor(t, outage(t), func(t *testing.T, s *stage) {
		time.Sleep(10 * time.Second)
		s.RefuseRedis(misconf)
		time.Sleep(20 * time.Second)
		s.breaks(t)
		if m := s.begins(t); !strings.Contains(m.Text, "Redis is away: this may be told twice.") {
			t.Errorf("it does not say that Redis is away: %s", m.Text)
		}
		time.Sleep(time.Minute)
		s.RefuseRedis("")
		time.Sleep(20 * time.Second)
		if m := s.alert(t); strings.Contains(m.Text, "Redis") {
			t.Errorf("Redis is back: %s", m.Text)
		}
		s.does(t, "acknowledge")
		s.must(t, s.Until(within(t), "that it is acknowledged", func([]fakeslack.Message) bool { return len(s.said(t)) > 0 }))
		s.heals(t)
		s.resolves(t)
		s.wantSaid(t, `^Acknowledged by`, resolvedByItself)
		s.wantCounted(t)
	})
}

// Slack is down when it begins and again when it ends, for ten minutes each: afterwards there is one message, and one
// word of the end.
func TestIncidentWhileSlackIsDown(t *testing.T) {
	t.Parallel()
	onStageFor(t, outage(t), func(t *testing.T, s *stage) {
		down := func(change func(*testing.T)) {
			s.Slack.Fault(fakeslack.Fault{Method: "*", Kind: fakeslack.FaultError, Code: "503", Count: 1 << 30})
			time.Sleep(30 * time.Second)
			change(t)
			time.Sleep(10 * time.Minute)
			s.Slack.ClearFaults()
		}
		down(s.breaks)
		if early := len(s.alerts()); early > 0 {
			t.Fatalf("%d messages while Slack was down", early)
		}
		s.begins(t)
		time.Sleep(time.Minute)
		down(s.heals)
		s.resolves(t)
		s.wantSaid(t, resolvedByItself)
		s.wantCounted(t)
	})
}

// However often the session breaks off that follows the log, each request is counted, and counted once.
func TestIncidentWhileTheLogBreaksOff(t *testing.T) {
	t.Parallel()
	onStageFor(t, outage(t), func(t *testing.T, s *stage) {
		go s.breakOff(t, 20*time.Second)
		s.breaks(t)
		s.begins(t)
		s.heals(t)
		s.resolves(t)
		s.wantSaid(t, resolvedByItself)
		s.wantCounted(t)
		if ended := s.sessions(fakegcp.FaultDrop); ended < 5 {
			t.Errorf("only %d sessions broke off", ended)
		}
	})
}

// breakOff ends all sessions that follow the log, again and again.
func (s *stage) breakOff(t *testing.T, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := s.Cloud.Fault(fakegcp.Fault{Method: "TailLogEntries", Kind: fakegcp.FaultDrop, Open: true}); err != nil {
				t.Error(err)
			}
		case <-t.Context().Done():
			return
		}
	}
}

// sessions counts those that met a fault.
func (s *stage) sessions(fault string) int {
	return len(slices.DeleteFunc(s.Cloud.Journal(), func(c fakegcp.Call) bool { return c.Method != "TailLogEntries" || c.Fault != fault }))
}

// Cloud Logging leaves entries out of the session: Cloud Monitoring counts from then on, and whoever asks or is called
// is told so.
func TestIncidentWithEntriesLeftOut(t *testing.T) {
	t.Parallel()
	scenario := outage(t)
	scenario.TailRate = 60
	scenario.Plan = rewritten(t, scenario.Plan, "error_rate: 40%", "error_rate: 5%")
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		time.Sleep(2 * time.Minute)
		s.must(t, s.Command(within(t), workspace.Oncall, "/deploy status staging"))
		s.told(t, workspace.Oncall, "Watched for incidents by Cloud Monitoring: staging/backend", "Cloud Logging left", "rate limit")
		s.breaks(t)
		if m := s.begins(t); !strings.Contains(m.Text, "(rate limit). Requests are counted by Cloud Monitoring, by the minute, so that alarms come some ten minutes later.") {
			t.Errorf("it does not say where its numbers come from: %s", m.Text)
		}
		if source := s.book(t).Sources[0].From; source != plan.SourceMetrics {
			t.Errorf("the numbers come from the %s", source)
		}
	})
}

// Every entry is up to two minutes late, and later than younger ones.
func TestIncidentOfLateEntries(t *testing.T) {
	t.Parallel()
	scenario := outage(t)
	scenario.Faults = []fakegcp.Fault{{Method: "Log", Kind: fakegcp.FaultLate, Distribution: fakegcp.Uniform, Seconds: 120, Count: -1}}
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		time.Sleep(30 * time.Second)
		s.breaks(t)
		s.begins(t)
		s.heals(t)
		s.resolves(t)
		s.wantSaid(t, resolvedByItself)
		s.wantCounted(t)
	})
}

// Ten services fail at once: whoever is on call gets one message, which names them.
func TestIncidentOfTenServices(t *testing.T) {
	t.Parallel()
	const service = "\n      NAME: {cloud_run: netra-NAME, image: us-docker.pkg.dev/netra-staging/apps/NAME, tag: latest, owners: [\"@backend\"]}"
	scenario := outage(t)
	scenario.RPS = 1
	var services strings.Builder
	var names []string
	for n := range 10 {
		names = append(names, fmt.Sprintf("api%d", n))
		services.WriteString(strings.ReplaceAll(service, "NAME", names[n]))
	}
	scenario.Plan = rewritten(t, scenario.Plan, "for: [backend]", "for: ["+strings.Join(names, ", ")+"]")
	scenario.Plan = rewritten(t, scenario.Plan, "    services:", "    services:"+services.String())
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		all := func(share float64) {
			for _, name := range names {
				s.fails(t, "netra-"+name, "netra-"+name+"-00042-def", share)
			}
		}
		all(1)
		s.begins(t)
		time.Sleep(30 * time.Second)
		if m := s.alert(t); !regexp.MustCompile(`^10 services on staging fail since .*: api\d 100%`).MatchString(m.Text) {
			t.Errorf("it says %s", m.Text)
		}
		all(0)
		s.resolves(t)
		s.wantEditsApart(t)
		if alerts := s.Pager.Alerts(); len(alerts) != 1 || alerts[0].Status != "resolved" {
			t.Errorf("PagerDuty has %+v, want one alert", alerts)
		}
	})
}

// Who silences it hears its end, and nothing else until the hour is over: neither how it goes on nor that it is back.
func TestSilencedIncident(t *testing.T) {
	t.Parallel()
	onStageFor(t, outage(t), func(t *testing.T, s *stage) {
		s.breaks(t)
		s.begins(t)
		s.does(t, "silence")
		s.heals(t)
		s.resolves(t)
		s.wantSaid(t, `^Silenced by <@U0ONCALL.*> until `, resolvedByItself)
		s.wantCounted(t)
		s.breaks(t)
		time.Sleep(4 * time.Minute)
		if state := s.book(t).Incidents[0].State; state != incident.Silenced {
			t.Errorf("it is %s", state)
		}
		s.wantSaid(t, `^Silenced by <@U0ONCALL.*> until `, resolvedByItself)
	})
}

// judging is the plan's gate when it takes no notice of four minutes, in which the new revision fails already.
const judging = "error_rate: {service: backend, below: 20%, warm_up: 4m, min_time: 4m10s, max_latency: 5s}}"

// failing is the scenario of a new image that fails all requests, and of what is to become of the rollout then.
func failing(t *testing.T, onFailure string) workspace.Scenario {
	t.Helper()
	scenario := outage(t)
	scenario.NewServes, scenario.New.ErrorRate = false, 1
	gate := regexp.MustCompile(`error_rate: \{service.*\}`)
	scenario.Plan = gate.ReplaceAllString(scenario.Plan, judging) + "    on_failure: " + onFailure + "\n"
	return scenario
}

// While a rollout judges its revision, that is all that is told of it.
func TestNoIncidentOfARevisionThatIsJudged(t *testing.T) {
	t.Parallel()
	onStageFor(t, failing(t, "rollback"), func(t *testing.T, s *stage) {
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.await(t, func() bool { return len(s.applied(t)) == 3 })
		s.wantUpdates(t, created, all, back)
		time.Sleep(2 * time.Minute)
		if list := s.alerts(); len(list) > 0 {
			t.Errorf("it was told as an incident too: %s", list[0].Text)
		}
		s.card(t)
	})
}

// Once the gate has failed and the traffic stays, as people decide, it is an incident as any other, which names the
// rollout.
func TestIncidentOfARevisionThatIsHeld(t *testing.T) {
	t.Parallel()
	onStageFor(t, failing(t, "ask"), func(t *testing.T, s *stage) {
		s.must(t, s.Command(within(t), workspace.Deployer, "/deploy staging"))
		s.must(t, s.Until(within(t), "the question for a decision", play.Has("rollback")))
		if list := s.alerts(); len(list) > 0 {
			t.Errorf("it was told before the gate had failed: %s", list[0].Text)
		}
		s.must(t, s.Click(within(t), workspace.Deployer, "hold"))
		m := s.begins(t)
		if !regexp.MustCompile(`^backend on staging: 100% errors .*(?s:.*)Revision netra-backend-staging-s\w{6}-1, (rolled out by|which) <@U0DEPLOYER`).MatchString(m.Text) {
			t.Errorf("it does not say whose revision fails: %s", m.Text)
		}
		if got, want := actions(t, m), "[acknowledge rollback logs silence resolve]"; got != want {
			t.Errorf("its buttons are %s, want %s", got, want)
		}
	})
}
