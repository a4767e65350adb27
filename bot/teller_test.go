package bot

import (
	"errors"
	"strings"
	"testing"
	"time"

	"slipway/incident"
	"slipway/sandbox/fakeslack"
)

func TestAnIncidentIsOneMessage(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := firing(w)
		if again, err := m.tell(); err != nil || again == 0 || again > time.Second {
			t.Fatal(again, err)
		}
		top, _ := m.want(1, 0)
		if text := top[0].Text; !strings.HasPrefix(text, "backend on staging: 72% errors since 12:00 UTC (limit 5%) <!subteam^S0BACKEND>\n") {
			t.Errorf("posted %q", text)
		}
		if m.kept.Told != m.c.News[0].Key || m.kept.Link != "http://slack.test:80/archives/C0DEPLOYS/p"+strings.Replace(top[0].TS, ".", "", 1) || m.kept.Posting {
			t.Errorf("kept %+v", m.kept)
		}
		m.until(20 * time.Second)
		m.say(incident.SayAcknowledged, func(i *incident.Incident) { i.State, i.By, i.ByAt = incident.Acknowledged, ann, time.Now() })
		m.until(20 * time.Second)
		m.say(incident.SayResolved, resolvedBy(incident.Person{}))
		m.until(20 * time.Second)
		top, thread := m.want(1, 2)
		if !strings.HasPrefix(top[0].Text, "Resolved: backend on staging: 72% errors") || !strings.HasPrefix(thread[0].Text, "Acknowledged by <@U0DEPLOYER>") ||
			!strings.HasPrefix(thread[1].Text, "*Resolved* by itself") || thread[0].Broadcast {
			t.Errorf("%q, %q", top[0].Text, []string{thread[0].Text, thread[1].Text})
		}
		before := len(w.Journal())
		if again, err := m.tell(); again != 0 || err != nil || len(w.Journal()) != before {
			t.Errorf("again after %v, %v, %d calls when all was told", again, err, len(w.Journal())-before)
		}
	})
}

// Nothing is edited more often than every ten seconds, whoever tells and however it goes.
func TestAnIncidentIsEditedEveryTenSeconds(t *testing.T) {
	for name, fault := range map[string]fakeslack.Fault{
		"well": {Method: "none", Kind: fakeslack.FaultError}, "answers lost": {Method: "chat.update", Kind: fakeslack.FaultAppliedButError, Code: "500", Count: 3},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				m := firing(w)
				w.Fault(fault)
				for range 120 {
					worsen(&m.c.Incidents[0])
					m.until(500 * time.Millisecond)
				}
				edits := w.calls("chat.update")
				if len(edits) < 5 || len(edits) > 6 {
					t.Errorf("%d edits in a minute", len(edits))
				}
				m.want(1, 0)
				for n := 1; n < len(edits); n++ {
					if gap := edits[n].Time.Sub(edits[n-1].Time); gap < editEvery {
						t.Errorf("edit %d came %v after the one before", n, gap)
					}
				}
			})
		})
	}
}

// A process that dies between an edit and keeping it is not followed by one that edits too soon.
func TestACrashAfterAnEditOfAnIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := firing(w)
		m.until(30 * time.Second)
		before := len(w.calls("chat.update"))
		m.left = 1
		worsen(&m.c.Incidents[0])
		if _, err := m.tell(); !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		m.left, m.bot = -1, w.bot()
		m.until(15 * time.Second)
		edits := w.calls("chat.update")[before:]
		if len(edits) != 2 || edits[1].Time.Sub(edits[0].Time) < editEvery {
			t.Errorf("%d edits, the second too soon", len(edits))
		}
	})
}

// A process that dies between a post and keeping it: the next one finds the message, or the reply.
func TestACrashAfterAPostAboutAnIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := firing(w)
		m.left = 1 // that it is about to be posted
		if _, err := m.tell(); !errors.Is(err, errDead) || !m.kept.Posting || m.kept.TS != "" {
			t.Fatalf("%+v, %v", m.kept, err)
		}
		m.left, m.bot = -1, w.bot()
		m.until(30 * time.Second)
		m.want(1, 0)
		m.say(incident.SayRepeat, nothing)
		m.left = 1
		if _, err := m.tell(); !errors.Is(err, errDead) || m.kept.Reply != m.c.News[0].Key {
			t.Fatalf("%+v, %v", m.kept, err)
		}
		told := m.c.News
		m.left, m.bot = -1, w.bot()
		m.say(incident.SayUpdate, nothing) // more has become due meanwhile
		m.c.News = append(told, m.c.News...)
		m.until(5 * time.Second)
		_, thread := m.want(1, 2)
		if !strings.Contains(thread[0].Text, "Nobody has acknowledged this") || !strings.HasPrefix(thread[1].Text, "Errors now") || m.kept.Reply != "" {
			t.Errorf("%q, then %q", thread[0].Text, thread[1].Text)
		}
	})
}

// An answer that is lost is neither a second message nor a second reply.
func TestLostAnswersTellNothingTwice(t *testing.T) {
	for name, fault := range map[string]fakeslack.Fault{
		"posted, but said to have failed": {Kind: fakeslack.FaultAppliedButError, Code: "internal_error", Count: 1},
		"cut off":                         {Kind: fakeslack.FaultTruncated, Count: 1},
		"never answered":                  {Kind: fakeslack.FaultTimeout, Count: 1},
		"failed":                          {Kind: fakeslack.FaultError, Code: "503", Count: 1},
		"too many requests":               {Kind: fakeslack.FaultRateLimit, RetryAfter: 7 * time.Second, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				fault.Method = "chat.postMessage"
				w.Fault(fault)
				m := firing(w)
				m.until(40 * time.Second)
				m.want(1, 0)
				w.Fault(fault)
				m.say(incident.SayRepeat, nothing)
				m.until(40 * time.Second)
				m.want(1, 1)
				calls := w.calls("chat.postMessage")
				if m.errs != 2 && fault.RetryAfter == 0 {
					t.Errorf("%d calls of Tell failed", m.errs)
				}
				if fault.RetryAfter > 0 && (len(calls) != 4 || calls[1].Time.Sub(calls[0].Time) < fault.RetryAfter || calls[3].Time.Sub(calls[2].Time) < fault.RetryAfter) {
					t.Errorf("%d posts; Retry-After was not obeyed", len(calls))
				}
			})
		})
	}
}

// Ten minutes without Slack: when it is back there is one message, as things are by then, and nothing is lost.
func TestAnIncidentWithoutSlack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := firing(w)
		w.Fault(fakeslack.Fault{Method: "*", Kind: fakeslack.FaultError, Code: "503", Count: 1 << 20})
		began := time.Now()
		if _, err := m.tell(); err == nil || time.Since(began) > httpTimeout+lookUpTime {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		m.until(10 * time.Minute)
		m.want(0, 0)
		w.ClearFaults()
		m.until(5 * time.Second)
		top, _ := m.want(1, 0)
		if !strings.HasPrefix(top[0].Text, "backend on staging: 72% errors") {
			t.Errorf("%q", top[0].Text)
		}
	})
}

// A 429 to an edit is obeyed by all, and holds up no reply.
func TestRetryAfterOfAnIncidentsEdit(t *testing.T) {
	for _, redis := range []bool{true, false} {
		inWorld(t, func(t *testing.T, w *world) {
			m := firing(w)
			m.until(30 * time.Second)
			if !redis {
				w.redis.SetError("away")
			}
			before := len(w.calls("chat.update"))
			w.Fault(fakeslack.Fault{Method: "chat.update", Kind: fakeslack.FaultRateLimit, RetryAfter: 25 * time.Second})
			m.say(incident.SayUpdate, worsen)
			for range 40 { // even if it is called more often than it asks for
				m.until(time.Second)
			}
			edits := w.calls("chat.update")[before:]
			if len(edits) != 2 || edits[1].Time.Sub(edits[0].Time) < 25*time.Second {
				t.Errorf("Redis there: %v, %d edits", redis, len(edits))
			}
			if _, thread := m.want(1, 1); thread[0].Changed.Sub(edits[0].Time) > time.Second {
				t.Error("the reply waited for the edit")
			}
		})
	}
}

// The budget of edits is the workspace's; incidents leave nothing of it to progress, and go on without Redis.
func TestIncidentsSpendTheUpdates(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := firing(w)
		m.until(30 * time.Second)
		for range 5 {
			if wait, err := w.store.Spend(t.Context(), updates(), 0); wait != 0 || err != nil {
				t.Fatal(wait, err)
			}
		}
		worsen(&m.c.Incidents[0])
		if again, err := m.tell(); again <= 0 || again > 2*time.Second || err != nil {
			t.Errorf("with nothing left: again after %v, %v", again, err)
		}
		w.redis.SetError("away")
		before := len(w.calls("chat.update"))
		if again, err := m.tell(); again != 0 || err != nil || len(w.calls("chat.update")) != before+1 {
			t.Errorf("without Redis: again after %v, %v", again, err)
		}
	})
}

func TestADeletedIncidentIsPostedAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		saying incident.Saying // "": nothing
		change func(*incident.Incident)
	}{"with an edit due": {"", worsen}, "with a reply due": {incident.SayRepeat, nothing}, "with both": {incident.SayUpdate, worsen}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				m := firing(w)
				m.until(30 * time.Second)
				if _, _, err := m.bot.api.DeleteMessageContext(t.Context(), deploys, m.kept.TS); err != nil {
					t.Fatal(err)
				}
				replies := 0
				if m.say(tt.saying, tt.change); tt.saying == "" {
					m.c.News = nil
				} else {
					replies = 1
				}
				m.until(5 * time.Second)
				top, thread := m.want(1, replies)
				if m.kept.TS != top[0].TS || replies > 0 && thread[0].ThreadTS != top[0].TS {
					t.Error("the reply is in another thread")
				}
			})
		})
	}
}

// News that are due at once are one reply; those that call others are shown in the channel too.
func TestNewsAreOneReply(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := firing(w)
		m.until(30 * time.Second)
		update := due(m.c, incident.SayUpdate).News
		m.say(incident.SayEscalated, nothing)
		m.c.News = append(update, m.c.News...)
		m.until(time.Second)
		_, thread := m.want(1, 1)
		if !thread[0].Broadcast || !strings.HasPrefix(thread[0].Text, "Errors now 72%") || !strings.Contains(thread[0].Text, "\n<!subteam^S0RELEASE> Nobody has") {
			t.Errorf("%v: %q", thread[0].Broadcast, thread[0].Text)
		}
	})
}

// A fault that joins an open message is told in its thread; those that come with it are in it.
func TestAFaultJoins(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := w.monitor(joined())
		all := m.c.Incidents
		m.c.Incidents = all[:2]
		m.say(incident.SayFiring, nothing)
		m.until(30 * time.Second)
		m.want(1, 0)
		m.c.Incidents = all
		m.c = due(m.c, incident.SayFiring)
		m.c.News = m.c.News[2:]
		m.until(30 * time.Second)
		top, thread := m.want(1, 1)
		if !strings.HasPrefix(thread[0].Text, "<!subteam^S0BACKEND> Also: *auth on staging: 40% errors") || !strings.HasPrefix(top[0].Text, "2 services on staging fail") {
			t.Errorf("%q; %q", thread[0].Text, top[0].Text)
		}
	})
}

// Who cannot be looked up in a second is named without being called, and called as soon as may be.
func TestWhoIsCalledCannotBeLookedUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Fault(fakeslack.Fault{Method: "usergroups.list", Kind: fakeslack.FaultTimeout, Count: 1 << 20})
		w.Fault(fakeslack.Fault{Method: "users.list", Kind: fakeslack.FaultTimeout, Count: 1 << 20})
		m := firing(w)
		began := time.Now()
		if _, err := m.tell(); !errors.Is(err, errNobodyCalled) || time.Since(began) > 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if top, _ := m.want(1, 0); !strings.HasPrefix(top[0].Text, "backend on staging: 72% errors since 12:00 UTC (limit 5%) @backend\n") {
			t.Errorf("%q", top[0].Text)
		}
		m.until(20 * time.Second)
		m.want(1, 0)
		w.ClearFaults()
		m.until(20 * time.Second)
		if _, thread := m.want(1, 1); !strings.HasPrefix(thread[0].Text, "<!subteam^S0BACKEND> *backend on staging: 72% errors") {
			t.Errorf("%q", thread[0].Text)
		}
		// What was known once is good enough later.
		pass(time.Hour)
		w.Fault(fakeslack.Fault{Method: "usergroups.list", Kind: fakeslack.FaultTimeout, Count: 1 << 20})
		m.say(incident.SayRepeat, nothing)
		m.until(30 * time.Second)
		if _, thread := m.want(1, 2); !strings.HasPrefix(thread[1].Text, "<!subteam^S0BACKEND> Nobody has") {
			t.Errorf("%q", thread[1].Text)
		}
	})
}

// A channel whose ID does not come in time is posted to by its name.
func TestAnIncidentWhoseChannelCannotBeLookedUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Fault(fakeslack.Fault{Method: "conversations.list", Kind: fakeslack.FaultTimeout, Count: 1 << 20})
		m := firing(w)
		began := time.Now()
		_, err := m.tell()
		if m.want(1, 0); time.Since(began) > 2*time.Second || m.kept.Channel != deploys {
			t.Errorf("%v after %v in %s", err, time.Since(began), m.kept.Channel)
		}
	})
}

// What Slack does not take as blocks is told as text: an alert without buttons is better than none.
func TestBlocksOfAnIncidentAreRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Fault(fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultError, Code: "invalid_blocks"})
		m := firing(w)
		m.until(5 * time.Second)
		if top, _ := m.want(1, 0); len(top[0].Blocks) > 0 || !strings.HasPrefix(top[0].Text, "backend on staging") {
			t.Errorf("%s", top[0].Blocks)
		}
	})
}

// The messages that the cases make are what the local Slack takes.
func TestSlackTakesEveryIncident(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				m := w.monitor(tt.is())
				m.until(30 * time.Second)
				top, _ := m.want(1, 0)
				if len(top[0].Blocks) == 0 || m.errs > 0 || strings.Contains(w.log.String(), "does not take") {
					t.Errorf("%d errors\n%s", m.errs, w.log)
				}
			})
		})
	}
}

// A click that opens the log is acknowledged and is nobody's request; the others are.
func TestClicksOnAnIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := firing(w)
		w.run(m.bot)
		m.until(time.Second)
		for n, action := range []string{actionLogs, actionAcknowledge, actionReturn} {
			ack, err := w.Click(t.Context(), fakeslack.ClickRequest{User: "deployer", Channel: deploys, TS: m.kept.TS, ActionID: action})
			if err != nil {
				t.Fatal(action, ack, err)
			}
			pass(2 * time.Second)
			if got := w.served.requests(); len(got) != n {
				t.Fatalf("%d requests after %s", len(got), action)
			}
		}
		for n, request := range w.served.requests() {
			if request.Click == nil || request.Click.Incident != m.c.Thread.ID || (request.Click.Back != nil) != (n == 1) {
				t.Errorf("%+v", request.Click)
			}
		}
	})
}
