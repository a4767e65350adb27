package incident_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/incident"
	"slipway/plan"
)

func wantSaid(t *testing.T, s *site, messages int, said ...incident.Saying) {
	t.Helper()
	got := slices.DeleteFunc(s.channel.said(), func(what incident.Saying) bool { return what == incident.SayUpdate })
	if all := s.channel.messages(); len(all) != messages || !slices.Equal(got, said) {
		t.Errorf("%d messages, said %v; want %d, %v\n%+v", len(all), got, messages, said, all)
	}
}

// A fault is told once it is proven, within two seconds, and that it is over; without one nothing is.
func TestFaultIsTold(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		s.fails(0.72, 2*time.Minute, 7*time.Minute)
		s.replica("a")
		s.until(6 * time.Minute)
		wantSaid(t, s, 1)
		b := s.book()
		if len(b.Incidents) != 1 || b.Incidents[0].State != incident.Firing {
			t.Fatalf("%+v", b.Incidents)
		}
		fired, told := b.Incidents[0].Fired, s.channel.messages()[0].at
		if late := told.Sub(fired); late < 0 || late > 2*time.Second {
			t.Errorf("it was told %v after it fired", late)
		}
		if after := told.Sub(s.began.Add(2 * time.Minute)); after > 2*time.Minute+30*time.Second {
			t.Errorf("it was told %v after it began", after)
		}
		s.until(13 * time.Minute)
		wantSaid(t, s, 1, incident.SayResolved)
		if head := s.channel.filter(func(p post) bool { return p.key != "" }); !strings.HasPrefix(head[len(head)-1].head, "Resolved: backend on staging: 72% errors 00:02–00:07") {
			t.Errorf("the end is told as %q", head[len(head)-1].head)
		}
	})
}

func TestNothingIsToldOfWhatIsWell(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		s.fails(0.005, 0, time.Hour)
		s.replica("a")
		s.until(12 * time.Minute)
		wantSaid(t, s, 0)
	})
}

// The replica that watches is killed in the middle of an incident: the other one has the watch within its time and
// a second, says nothing again, and misses no end.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Duration{4 * time.Minute, 6 * time.Minute, 9 * time.Minute} {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
				s.fails(0.72, 2*time.Minute, 7*time.Minute)
				first := s.replica("a")
				s.until(time.Minute)
				s.replica("b")
				s.until(at)
				first.kill()
				killed := time.Now()
				s.until(at + 5*time.Second)
				s.log.mu.Lock()
				last := s.log.opened[len(s.log.opened)-1]
				s.log.mu.Unlock()
				if after := last.Sub(killed); after < 0 || after > 4*time.Second {
					t.Errorf("the log is followed again after %v", after)
				}
				s.until(13 * time.Minute)
				wantSaid(t, s, 1, incident.SayResolved)
			})
		})
	}
}

// Whoever loses the watch says of what it has told that it may be there twice, or be old; whoever has it by then looks
// once. A replica that hands it over leaves no doubt.
func TestDoubt(t *testing.T) {
	t.Parallel()
	for want, lose := range map[int]func(s *site, r *replica){
		0: func(_ *site, r *replica) { r.stop() },
		1: func(s *site, _ *replica) { s.redis.Del("{slipway}:watch:p") },
	} {
		onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
			s.fails(0.72, 2*time.Minute, time.Hour)
			first := s.replica("a")
			s.until(5 * time.Minute)
			wantSaid(t, s, 1)
			lose(s, first)
			if held, err := s.store.Incidents().Hold(t.Context(), "p", "b", 3*time.Second); !held || err != nil {
				t.Fatal(held, err)
			}
			s.until(5*time.Minute + 3*time.Second)
			s.replica("b")
			s.until(6 * time.Minute)
			wantSaid(t, s, 1)
			b := s.book()
			if got := b.Threads[0]; got.Doubts != want || got.Message.Checked != want || s.channel.doubts != want {
				t.Errorf("%d doubts, %d looked into in %d times; want %d", got.Doubts, got.Message.Checked, s.channel.doubts, want)
			}
		})
	}
}

// A replica that ends hands the watch over at once.
func TestHandover(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		first := s.replica("a")
		s.until(time.Second)
		s.replica("b")
		s.until(time.Minute)
		first.stop()
		stopped := time.Now()
		s.until(2 * time.Minute)
		s.log.mu.Lock()
		defer s.log.mu.Unlock()
		if last := s.log.opened[len(s.log.opened)-1]; len(s.log.opened) != 2 || last.Sub(stopped) > time.Second {
			t.Errorf("sessions were opened at %v, and the first replica stopped at %v", s.log.opened, stopped)
		}
	})
}

// Where nobody watches, nobody says that somebody does.
func TestNobodyWatches(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		r := s.replica("a")
		asked, err := incident.NewMonitor(incident.Config{Services: s.services, Store: s.store.Incidents(), Owner: "asked", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		sources := func() int {
			list, err := asked.Sources(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		s.until(3 * time.Minute)
		if n := sources(); n != 1 {
			t.Errorf("%d services are said to be watched", n)
		}
		r.kill()
		s.until(6 * time.Minute)
		if n := sources(); n != 0 {
			t.Errorf("%d services are said to be watched by nobody", n)
		}
	})
}

// An answer that is lost makes nobody be told twice: what was posted is looked for first.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		s.fails(0.72, 2*time.Minute, 7*time.Minute)
		seen := map[string]bool{}
		s.channel.lost = func(p post) bool {
			lost := !seen[p.key]
			seen[p.key] = true
			return lost
		}
		s.replica("a")
		s.until(13 * time.Minute)
		wantSaid(t, s, 1, incident.SayResolved)
	})
}

// Without the store alerts go on from memory and say so; once it is back it has what was told, and people can speak
// of it.
func TestWithoutTheStore(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		s.fails(0.72, 2*time.Minute, 10*time.Minute)
		a := s.replica("a")
		s.replica("b")
		s.until(time.Minute)
		s.redis.SetError("no Redis")
		s.until(8 * time.Minute)
		messages := s.channel.messages()
		if len(messages) == 0 || len(messages) > 2 || !messages[0].alone {
			t.Fatalf("told while the store is away: %+v", messages)
		}
		s.redis.SetError("")
		s.until(9 * time.Minute)
		b := s.book()
		if len(b.Threads) != 1 || b.Threads[0].Message.TS == "" {
			t.Fatalf("what was told is not stored: %+v", b)
		}
		ann := incident.Person{ID: "U1", Name: "ann"}
		acknowledge := func(i incident.Incident) (incident.Incident, error) { return i.Acknowledge(ann, time.Now()) }
		if c, err := a.monitor.Act(t.Context(), b.Threads[0].ID, acknowledge); err != nil || c.Incidents[0].By != ann {
			t.Fatalf("%+v, %v", c, err)
		}
		s.until(16 * time.Minute)
		wantSaid(t, s, len(messages), incident.SayAcknowledged, incident.SayResolved)
	})
}

// Redis that has forgotten everything is told again by whoever watches.
func TestForgetfulStore(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		s.fails(0.72, 2*time.Minute, 10*time.Minute)
		s.replica("a")
		s.until(6 * time.Minute)
		s.redis.FlushAll()
		s.until(17 * time.Minute)
		wantSaid(t, s, 1, incident.SayResolved)
	})
}

// What could not be told for ten minutes is told then, once, as it is by then.
func TestWithoutSlack(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		s.fails(0.72, 2*time.Minute, 14*time.Minute)
		s.replica("a")
		s.until(3 * time.Minute)
		s.channel.setDown(true)
		s.until(13 * time.Minute)
		wantSaid(t, s, 0)
		s.channel.setDown(false)
		s.until(13*time.Minute + 35*time.Second)
		wantSaid(t, s, 1)
		s.until(15 * time.Minute)
		s.channel.setDown(true)
		s.until(50 * time.Minute) // the end is longer ago than it would be remembered
		s.channel.setDown(false)
		s.until(51 * time.Minute)
		wantSaid(t, s, 1, incident.SayResolved)
	})
}

// Services that fail together are one message; one that begins six minutes later has its own.
func TestTenServicesAreOneMessage(t *testing.T) {
	t.Parallel()
	names := strings.Split("s0 s1 s2 s3 s4 s5 s6 s7 s8 s9 late", " ")
	onSite(t, names, errorsOnly(), func(t *testing.T, s *site) {
		s.log.perSecond = 2
		s.log.failing = func(service string, at time.Time) float64 {
			begins := 2 * time.Minute
			if service == "late" {
				begins = 8 * time.Minute
			}
			if at.Sub(s.began) >= begins {
				return 0.9
			}
			return 0
		}
		s.replica("a")
		s.until(6 * time.Minute)
		b := s.book()
		if all := s.channel.messages(); len(all) != 1 || len(b.Of(b.Threads[0].ID)) != 10 {
			t.Fatalf("%d messages: %+v", len(all), all)
		}
		s.until(12 * time.Minute)
		if all := s.channel.messages(); len(all) != 2 || !strings.HasPrefix(all[1].head, "late on staging") {
			t.Fatalf("%d messages: %+v", len(all), all)
		}
	})
}

// A revision that a rollout judges raises no alarm, for 15 minutes and until the rollout has its verdict.
func TestMuted(t *testing.T) {
	t.Parallel()
	begins := 2 * time.Minute
	judged := func(s *site) incident.Verification {
		return incident.Verification{Target: s.services[0].Target, Revision: "backend-00042", Since: s.began.Add(begins)}
	}
	for _, tt := range []struct {
		name   string
		muted  func(s *site) incident.Verification
		ends   time.Duration // of the rollout's judgement
		silent time.Duration
		by     time.Duration
	}{
		{"for 15 minutes at most", judged, time.Hour, begins + 15*time.Minute, begins + 19*time.Minute},
		{"until its FAIL", judged, 5 * time.Minute, 5 * time.Minute, 9 * time.Minute},
		{"another revision", func(s *site) incident.Verification {
			v := judged(s)
			v.Revision = "backend-00043"
			return v
		}, time.Hour, begins, begins + 4*time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
				s.fails(0.72, begins, time.Hour)
				s.replica("a")
				s.until(begins)
				s.judging.set(tt.muted(s))
				ends := time.AfterFunc(tt.ends-begins, func() { s.judging.set() })
				defer ends.Stop()
				s.until(tt.silent)
				wantSaid(t, s, 0)
				s.until(tt.by)
				wantSaid(t, s, 1)
			})
		})
	}
}

// Nobody acknowledges it: others are called. What a person does at another replica is told by the one that watches.
func TestEscalatedAndActedOn(t *testing.T) {
	t.Parallel()
	alerts := errorsOnly()
	alerts.Escalate = &plan.Escalation{After: plan.Duration(5 * time.Minute), To: []string{"@leads"}}
	onSite(t, []string{"backend"}, alerts, func(t *testing.T, s *site) {
		s.fails(0.72, 2*time.Minute, 11*time.Minute)
		s.replica("a")
		s.until(time.Minute)
		b := s.replica("b")
		s.until(10 * time.Minute)
		wantSaid(t, s, 1, incident.SayEscalated)
		cases, err := b.monitor.Cases(t.Context())
		if err != nil || len(cases) != 1 || cases[0].About[s.services[0].Target].Service.CloudRun != "backend" {
			t.Fatalf("%+v, %v", cases, err)
		}
		ann := incident.Person{ID: "U1", Name: "ann"}
		id := strings.ToUpper(cases[0].Thread.ID)
		act := func(do func(incident.Incident) (incident.Incident, error)) error {
			_, err := b.monitor.Act(t.Context(), id, do)
			return err
		}
		if err := act(func(i incident.Incident) (incident.Incident, error) { return i.Acknowledge(ann, time.Now()) }); err != nil {
			t.Fatal(err)
		}
		s.until(10*time.Minute + 4*time.Second)
		wantSaid(t, s, 1, incident.SayEscalated, incident.SayAcknowledged)
		s.until(17 * time.Minute)
		wantSaid(t, s, 1, incident.SayEscalated, incident.SayAcknowledged, incident.SayResolved)
		err = act(func(i incident.Incident) (incident.Incident, error) { return i.Resolve(ann, time.Now()) })
		if _, refused := errors.AsType[incident.Refusal](err); !refused || !strings.Contains(err.Error(), "by itself") {
			t.Errorf("what is over was resolved: %v", err)
		}
		_, err = b.monitor.Act(t.Context(), "zzzzzz", func(i incident.Incident) (incident.Incident, error) { return i, nil })
		if _, refused := errors.AsType[incident.Refusal](err); !refused || !strings.Contains(err.Error(), "there is no incident") {
			t.Errorf("what is not known was acted on: %v", err)
		}
	})
}

// Others than the channel are told each thing once, also when they do not listen at first.
func TestOthersAreTold(t *testing.T) {
	t.Parallel()
	alerts := errorsOnly()
	alerts.Notify = []plan.Notify{{PagerDuty: &plan.PagerDuty{RoutingKey: plan.Value{Env: "KEY"}}}}
	onSite(t, []string{"backend", "auth"}, alerts, func(t *testing.T, s *site) {
		s.fails(0.72, 2*time.Minute, 7*time.Minute)
		s.pager.down = 5
		s.channel.setDown(true) // the pager does not need Slack
		s.replica("a")
		s.until(6 * time.Minute)
		if got := s.pager.statuses(); !slices.Equal(got, []incident.Status{incident.Triggered}) {
			t.Errorf("told %v", got)
		}
		s.channel.setDown(false)
		s.until(13 * time.Minute)
		if got := s.pager.statuses(); !slices.Equal(got, []incident.Status{incident.Triggered, incident.Recovered}) {
			t.Errorf("told %v", got)
		}
	})
}

// What Cloud Run says of a service is an incident too, and ends with it.
func TestStandings(t *testing.T) {
	t.Parallel()
	alerts := plan.Alerts{NoReadyRevision: true, Pinned: plan.Duration(20 * time.Minute)}
	onSite(t, []string{"backend"}, alerts, func(t *testing.T, s *site) {
		s.log.perSecond = 1
		s.replica("a")
		s.until(time.Minute)
		s.cloud.set(incident.Standing{NotReady: "The container exits before it listens."})
		s.until(5 * time.Minute)
		s.cloud.set(incident.Standing{Serving: "backend-00041", Pinned: "backend-00041", PinnedBy: "ann@example.com", PinnedAt: time.Now().UTC()})
		s.until(10 * time.Minute)
		if all := s.channel.messages(); len(all) != 1 || all[0].head != "backend on staging: no revision can serve since 00:02 UTC" {
			t.Fatalf("%+v", all)
		}
		s.until(24 * time.Minute)
		wantSaid(t, s, 1, incident.SayResolved)
		s.until(28 * time.Minute)
		if all := s.channel.messages(); len(all) != 2 || all[1].head != "backend on staging: pinned to backend-00041 since 00:05 UTC" {
			t.Fatalf("%+v", all)
		}
		s.cloud.set(incident.Standing{Serving: "backend-00042"})
		s.until(31 * time.Minute)
		wantSaid(t, s, 2, incident.SayResolved, incident.SayResolved)
	})
}

// The message learns that the traffic went back, although the numbers stand still from then on.
func TestTheTrafficWentBack(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		s.fails(0.72, 2*time.Minute, 6*time.Minute)
		s.cloud.set(incident.Standing{Serving: "backend-00042", Back: "backend-00041"})
		s.replica("a")
		s.until(7 * time.Minute)
		if got := s.channel.serving(); !slices.Equal(got, []string{"backend-00042"}) {
			t.Errorf("while it fails %q serves", got)
		}
		s.cloud.set(incident.Standing{Serving: "backend-00041"})
		s.until(8*time.Minute + 15*time.Second)
		wantSaid(t, s, 1)
		if got := s.channel.serving(); !slices.Equal(got, []string{"backend-00041"}) {
			t.Errorf("when the traffic went back %q serves", got)
		}
	})
}
