package crash_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/sandbox/crash"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// socketTroubles are what happens to the sockets of two replicas, or to what goes over them.
func socketTroubles() map[string][]fakeslack.Fault {
	of := func(kind, method string, count int) fakeslack.Fault {
		return fakeslack.Fault{Kind: kind, Method: method, Count: count}
	}
	list := map[string][]fakeslack.Fault{
		"one socket drops":    {of(fakeslack.FaultDrop, "", 1)},
		"both sockets drop":   {of(fakeslack.FaultDrop, "", 2)},
		"no pings":            {of(fakeslack.FaultNoPing, "", 0)},
		"half open":           {of(fakeslack.FaultHalfOpen, "", 1)},
		"sent twice":          {of(fakeslack.FaultDuplicate, "slash_commands", 1), of(fakeslack.FaultDuplicate, "interactive", 1)},
		"acks lost":           {of(fakeslack.FaultTimeout, "slash_commands", 1), of(fakeslack.FaultTimeout, "interactive", 1)},
		"all acks lost":       {of(fakeslack.FaultTimeout, "slash_commands", 2), of(fakeslack.FaultTimeout, "interactive", 2)},
		"429 for a minute":    {{Kind: fakeslack.FaultRateLimit, Method: "chat.update", Count: 2, RetryAfter: time.Minute}},
		"too many sockets":    {{Kind: fakeslack.FaultDisconnect, Reason: "too_many_websockets", Count: 3}, of(fakeslack.FaultDrop, "", 0)},
		"drops with acks out": {of(fakeslack.FaultTimeout, "interactive", 1), of(fakeslack.FaultDrop, "", 1)},
	}
	for _, reason := range []string{"warning", "refresh_requested", "link_disabled"} {
		list["disconnect: "+reason] = []fakeslack.Fault{{Kind: fakeslack.FaultDisconnect, Reason: reason}}
	}
	return list
}

// Whatever happens to the sockets before a command and before a click, each is done once, and the app asks
// for a new connection once a second at most, on average and replica.
func TestSocketTroubles(t *testing.T) {
	s := scenes[0]
	want, _ := s.undisturbed(t)
	for name, faults := range socketTroubles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, s.scenario, brisk)
				began := time.Now()
				w.start("a", crash.Plan{})
				w.start("b", crash.Plan{})
				time.Sleep(2 * time.Second)
				outage := time.Duration(0)
				trouble := func() {
					for _, f := range faults {
						w.Slack.Fault(f)
						if f.Reason == "too_many_websockets" {
							outage = time.Second // nobody is connected for so long that what is typed at once is lost, and Slack says so
						}
					}
				}
				ctx := w.within(longest)
				trouble()
				time.Sleep(outage)
				w.act(func() error { return w.Command(ctx, workspace.Deployer, "/deploy staging") })
				w.must(w.Until(ctx, "the call for approval", called))
				if outage == 0 { // Slack opens ten connections in ten minutes, and they are used up
					trouble()
				}
				w.act(func() error { return w.Click(ctx, workspace.Approver, "approve") })
				w.must(w.Ends(ctx, s.end))
				w.settle()
				if got := w.account(); got != want {
					t.Errorf("after the trouble:\n%s\n%s\n%s", different(want, got), w.out.String(), w.log.String())
				}
				opens := w.opens()
				if most := 2 * int(time.Since(began)/time.Second); len(opens) > most {
					t.Errorf("%d connections asked for in %s", len(opens), time.Since(began))
				}
				if len(opens) == 2 && strings.Contains(fmt.Sprint(faults), "disconnect") {
					t.Error("no socket was opened anew: the trouble did not come about")
				}
			})
		})
	}
}

// called reports whether somebody was called for approval, and can give it.
func called(messages []fakeslack.Message) bool {
	return play.Has("approve")(messages) && slices.ContainsFunc(messages, func(m fakeslack.Message) bool { return strings.Contains(m.Text, "please approve") })
}

// opens are the times at which a connection was asked for.
func (w *world) opens() (at []time.Time) {
	for _, c := range w.Slack.Journal() {
		if c.Method == "apps.connections.open" {
			at = append(at, c.Time)
		}
	}
	return at
}
