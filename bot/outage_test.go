package bot

import (
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/rollout"
	"slipway/sandbox/fakeslack"
)

// other is a story on another target than newStory's.
func other(t *testing.T) *story {
	t.Helper()
	s := newStory(t)
	s.r.ID, s.r.Token = "xyz234", "command/2"
	s.r.Target.Environment, s.r.Lock.Target.Environment, s.r.Lock.Rollout = "production", "production", "xyz234"
	return s
}

// wantAll compares what is in the channel with what the stories say in the end: each card once and as
// it is now, each reply once. Only a call for approval may stand there that was answered since.
func (w *world) wantAll(stories ...*story) {
	w.t.Helper()
	top, thread := w.channel()
	if len(top) != len(stories) {
		w.t.Fatalf("%d cards for %d rollouts\n%s", len(top), len(stories), w.log)
	}
	for _, s := range stories {
		at := slices.IndexFunc(top, func(m fakeslack.Message) bool { return strings.Contains(string(m.Blocks), "Rollout "+s.r.ID) })
		if at < 0 {
			w.t.Fatalf("no card of %s", s.r.ID)
		}
		if want := Card(s.r, time.Now(), names, Look{}).Text; top[at].Text != want {
			w.t.Errorf("the card of %s says\n%s\nwant\n%s", s.r.ID, top[at].Text, want)
		}
		var got, want []string
		for _, r := range replies(s.r, s.events, names) {
			want = append(want, r.Text)
		}
		asked := 0
		for _, m := range thread {
			switch {
			case m.ThreadTS != top[at].TS:
			case strings.Contains(m.Text, "please approve") && !slices.Contains(want, m.Text):
				asked++
			default:
				got = append(got, m.Text)
			}
		}
		if asked > 1 {
			w.t.Errorf("the thread of %s asks %d times for one approval", s.r.ID, asked)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			w.t.Errorf("the thread of %s has\n%s\nwant\n%s", s.r.ID, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Slack fails for a minute, in each of the ways that it has, while rollouts begin, ask and end. When
// it is back, everything is there, and nothing twice.
func TestCardsCatchUpAfterAMinuteWithoutSlack(t *testing.T) {
	const always = 1 << 20
	limited := fakeslack.Fault{Method: "*", Kind: fakeslack.FaultRateLimit, RetryAfter: 7 * time.Second, Count: always}
	broken := fakeslack.Fault{Method: "*", Kind: fakeslack.FaultError, Code: "503", Count: always}
	silent := fakeslack.Fault{Method: "*", Kind: fakeslack.FaultTimeout, Count: always}
	lying := fakeslack.Fault{Method: "*", Kind: fakeslack.FaultAppliedButError, Code: "500", Count: always}
	tests := []struct {
		name   string
		faults []fakeslack.Fault // 20 s each
	}{
		{"429, then 500", []fakeslack.Fault{limited, broken, limited}},
		{"500, then 429", []fakeslack.Fault{broken, limited, broken}},
		{"no answers", []fakeslack.Fault{silent, broken, silent}},
		{"done, but said to have failed", []fakeslack.Fault{lying, limited, lying}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.run(w.bot())
				one, two := newStory(t), other(t)
				one.r.Created, two.r.Created = time.Now(), time.Now()
				w.create(one)
				pass(5 * time.Second)
				told := []func(){
					func() { w.commit(one, func() { one.toApproval() }); w.create(two) },
					func() { w.commit(one, func() { one.say(approver, rollout.VerbApprove, "2.1", "") }) },
					func() {
						w.commit(one, func() { one.say(deployer, rollout.VerbAbort, "", "no Slack") })
						w.commit(two, func() { two.toApproval() })
					},
				}
				for i, fault := range tt.faults {
					w.Fault(fault)
					told[i]()
					pass(20 * time.Second)
					w.ClearFaults()
				}
				pass(90 * time.Second)
				w.wantAll(one, two)
			})
		})
	}
}

// A call that cannot name its group notifies nobody, so it waits until it can, but not for ever.
func TestACallWaitsForItsMention(t *testing.T) {
	for _, tt := range []struct {
		name    string
		failing time.Duration
		want    string
	}{
		{"until the group is known", 30 * time.Second, "<!subteam^S0RELEASE>: please approve"},
		{"but not for ever", 5 * time.Minute, "@release-managers: please approve"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.Fault(fakeslack.Fault{Method: "usergroups.list", Kind: fakeslack.FaultError, Code: "503", Count: 1 << 20})
				w.run(w.bot())
				s := newStory(t)
				s.now = time.Now()
				w.create(s)
				w.commit(s, func() { s.toApproval() })
				pass(tt.failing)
				w.ClearFaults()
				pass(10 * time.Second)
				if _, thread := w.channel(); len(thread) != 1 || !strings.HasPrefix(thread[0].Text, tt.want) {
					t.Errorf("thread %+v, want %s", thread, tt.want)
				}
			})
		})
	}
}
