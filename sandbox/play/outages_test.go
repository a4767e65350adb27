package play_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/workspace"
)

// What an incident is told by meets trouble of its own: all of it is told all the same, and once.

const resolvedByItself = `^\*Resolved\* by itself after .* requests failed`

// The replica that follows the log is gone, at once and without a word, as soon as the message is there, which it may
// not have stored: the other one goes on within 4 s, and tells the end and nothing twice.
func TestReplicaOnWatchIsKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := emptyStage(t, outage(t), manifest(t))
		config, first := connect(s.App("first"))
		end := s.start(t, config)
		time.Sleep(5 * time.Second)
		s.start(t, s.App("second"))
		time.Sleep(5 * time.Second)
		s.breaks(t)
		s.begins(t)
		first.cut()
		killed := time.Now()
		end() // of which nobody hears any more
		time.Sleep(30 * time.Second)
		s.does(t, "acknowledge")
		s.heals(t)
		s.resolves(t)
		s.wantSaid(t, `^Acknowledged by`, resolvedByItself)
		if after := s.followedAfter(t, killed); after > 4*time.Second {
			t.Errorf("the log was followed again after %s, want at most 4s", after)
		}
	})
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
		time.Sleep(time.Minute)
		s.breaks(t)
		if m := s.begins(t); !strings.Contains(m.Text, "Redis is away: this may be told twice.") {
			t.Errorf("it does not say that Redis is away: %s", m.Text)
		}
		time.Sleep(2 * time.Minute)
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
	})
}

// However often the session breaks off that follows the log, each request is counted once.
func TestIncidentWhileTheLogBreaksOff(t *testing.T) {
	t.Parallel()
	told := map[bool]string{}
	for _, broken := range []bool{false, true} {
		onStageFor(t, outage(t), func(t *testing.T, s *stage) {
			if broken {
				go s.breakOff(t, 20*time.Second)
			}
			time.Sleep(2*time.Minute + time.Second)
			s.breaks(t)
			time.Sleep(4 * time.Minute)
			s.heals(t)
			s.resolves(t)
			s.wantSaid(t, resolvedByItself)
			told[broken] = counted.FindString(s.said(t)[0].Text)
			if ended := s.sessions(fakegcp.FaultDrop); broken && ended < 10 || !broken && ended > 0 {
				t.Errorf("%d sessions broke off", ended)
			}
		})
	}
	if told[true] != told[false] || told[true] == "" {
		t.Errorf("told %q, and %q without a fault", told[true], told[false])
	}
}

// counted is how many requests there were, and how many of them failed.
var counted = regexp.MustCompile(`[\d,]+ of [\d,]+ requests failed`)

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
	onStageFor(t, scenario, func(t *testing.T, s *stage) {
		time.Sleep(6 * time.Minute)
		s.must(t, s.Command(within(t), workspace.Oncall, "/deploy status staging"))
		s.told(t, workspace.Oncall, "Watched for incidents by Cloud Monitoring: staging/backend", "Cloud Logging left", "rate limit")
		s.breaks(t)
		if m := s.begins(t); !strings.Contains(m.Text, "Requests are counted by Cloud Monitoring, three to five minutes later.") {
			t.Errorf("it does not say where its numbers come from: %s", m.Text)
		}
		s.heals(t)
		s.resolves(t)
		s.wantSaid(t, resolvedByItself)
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

// Who silences it hears its end, and nothing more until the hour is over, whether it comes back or not.
func TestSilencedIncident(t *testing.T) {
	t.Parallel()
	onStageFor(t, outage(t), func(t *testing.T, s *stage) {
		s.breaks(t)
		s.begins(t)
		s.does(t, "silence")
		time.Sleep(6 * time.Minute)
		s.heals(t)
		s.resolves(t)
		s.wantSaid(t, `^Silenced by <@U0ONCALL.*> until `, resolvedByItself)
	})
}
