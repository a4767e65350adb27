package crash_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slack-go/slack"

	"slipway/rollout"
	"slipway/sandbox/crash"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

const serving = "netra-backend-staging-00042-def"

// The replica on watch is killed between any two of its calls while an incident begins, is acknowledged and ends;
// another one is started then. People and pagers are told what they are told when nobody is killed, and each request
// is counted once.
func TestCrashOnWatch(t *testing.T) {
	atEveryPoint(t, func(t *testing.T, p crash.Plan) run { return watched(t, p, func(*world) {}) }, "redis save_book")
}

// The control: a replica that cannot find the message of an incident posts it again, and the account shows it.
func TestCrashOnWatchIsSeenWithoutFinding(t *testing.T) {
	calm := watched(t, crash.Plan{}, func(*world) {})
	blind := watched(t, crash.Plan{Call: "slack chat.postMessage", Nth: 1, How: crash.After}, (*world).disguise)
	if !blind.broke || blind.account == calm.account {
		t.Errorf("a second message is not seen in the account:\n%s\n%s", blind.account, blind.story)
	}
}

// watched plays an incident. Between a crash and the next replica something may be done.
func watched(t *testing.T, p crash.Plan, between func(*world)) (r run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := outage(t)
		r.calls, r.broke = w.relay(p, func(first *replica) { between(w); w.succeed(first) }, w.sitThrough)
		r.account, r.story = w.told(), w.story()
	})
	return r
}

// outage is a world with little traffic and a high limit, so that an incident ends soon. It begins when the test says
// so.
func outage(t *testing.T) *world {
	t.Helper()
	scenario := scenarioOf(t, "incident")
	scenario.RPS, scenario.Old.ErrorRate, scenario.New.ErrorRate, scenario.New.ErrorsAfter = 2, 0, 0, 0
	scenario.Plan = strings.Replace(scenario.Plan, "error_rate: 20%", "error_rate: 40%", 1)
	return open(t, scenario, 1)
}

// sitThrough is what people do about an incident.
func (w *world) sitThrough() {
	w.t.Helper()
	ctx := w.within(time.Hour)
	until := func(what, said string) {
		w.must(w.Until(ctx, what, func([]fakeslack.Message) bool { return strings.Contains(w.told(), said) }))
	}
	w.must(w.WaitConnected(ctx))
	time.Sleep(10 * time.Second)
	w.fails(1)
	w.must(w.Until(ctx, "the incident", play.Has("incident_acknowledge")))
	time.Sleep(25 * time.Second) // or nobody is paged
	w.act(func() error { return w.Click(ctx, workspace.Oncall, "incident_acknowledge") })
	until("the acknowledgement", "> Acknowledged by")
	w.fails(0)
	until("the end", "> *Resolved*")
	time.Sleep(time.Minute) // whatever would be told twice has been by then
}

// fails has a share of the requests fail when the next ten seconds begin: what is counted in them is all of one kind.
func (w *world) fails(share float64) {
	w.t.Helper()
	const slice = 10 * time.Second
	time.Sleep(time.Until(time.Now().Truncate(slice).Add(slice)))
	w.must(w.Cloud.Traffic(fakegcp.TrafficRequest{Service: "netra-backend-staging", ErrorRate: map[string]float64{serving: share}}))
}

// disguise takes from the messages of the app what they are found by.
func (w *world) disguise() {
	app := w.App("disguise")
	transport := &http.Transport{DialContext: app.Dial}
	defer transport.CloseIdleConnections()
	api := slack.New(app.SlackBotToken, slack.OptionAPIURL(app.SlackAPIURL), slack.OptionHTTPClient(&http.Client{Transport: transport}))
	for _, m := range w.Slack.Messages(channel) {
		_, _, _, err := api.UpdateMessageContext(w.t.Context(), m.Channel, m.TS, slack.MsgOptionText(m.Text, false),
			slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "other", EventPayload: map[string]any{}}))
		w.must(err)
	}
}

// distinct leaves out what was there already: pagers and webhooks know an incident by its key.
func distinct(list []string) []string {
	var first []string
	for _, s := range list {
		if !slices.Contains(first, s) {
			first = append(first, s)
		}
	}
	return first
}

// told is what people and pagers were told, without times and counts; whether all failed requests were counted is
// there. An answer to a click may come twice.
func (w *world) told() string {
	var lines, answers []string
	for _, m := range w.Slack.Messages(channel) {
		switch text := w.counted(m.Text); {
		case m.User != "U0SLIPWAY" || m.Deleted:
		case m.EphemeralTo != "":
			if !strings.Contains(text, "it is not known yet whether this will be done") { // it was, and that is said as well
				answers = append(answers, "! "+strings.ReplaceAll(text, "You have it already:", "You have it:"))
			}
		case m.ThreadTS != "":
			lines = append(lines, "> "+text)
		default:
			lines = append(lines, text)
		}
	}
	for _, a := range w.Pager.Alerts() {
		lines = append(lines, fmt.Sprintf("pager: %s after %v", a.Status, distinct(w.Pager.Actions(a.Key))))
	}
	var events []string
	for _, e := range w.Pager.Events() {
		events = append(events, "webhook: "+e.Type)
	}
	lines = append(lines, distinct(events)...)
	return strings.Join(append(lines, distinct(answers)...), "\n")
}

// counted puts a mark in place of the count of failed requests, if it is the cloud's, and then in place of all others.
func (w *world) counted(text string) string {
	failed := int64(0)
	for _, r := range w.Cloud.State().Services[0].Revisions {
		failed += r.Errors
	}
	return plain(strings.ReplaceAll(text, rollout.Count(failed)+" of "+rollout.Count(failed)+" requests", "all requests"))
}

// The replica on watch falls asleep in a call, with the watch, and wakes up when another one has it: whatever it was about
// to say arrives then. It says that it may have, and soon everything is as if it had not slept.
func TestZombieOnWatch(t *testing.T) {
	calm := watched(t, crash.Plan{}, func(*world) {})
	tryEach(t, sleeps(calm.calls), func(t *testing.T, p crash.Plan) (broke bool) {
		synctest.Test(t, func(t *testing.T) {
			w := outage(t)
			broke = w.nap(p, w.sitThrough)
			if got := w.told(); got != calm.account {
				t.Errorf("after the sleep:\n%s\n%s", different(calm.account, got), w.story())
			}
		})
		return broke
	})
}

// The control: where nothing can be deleted, the second message stays, and the account shows it.
func TestZombieOnWatchIsSeenWithoutDeleting(t *testing.T) {
	calm := watched(t, crash.Plan{}, func(*world) {})
	synctest.Test(t, func(t *testing.T) {
		w := outage(t)
		w.Slack.Fault(fakeslack.Fault{Method: "chat.delete", Kind: fakeslack.FaultError, Code: "cant_delete_message", Count: 1 << 20})
		broke := w.nap(crash.Plan{Call: "slack chat.postMessage", Nth: 1, How: crash.Asleep}, w.sitThrough)
		if got := w.told(); !broke || got == calm.account {
			t.Errorf("a second message is not seen in the account:\n%s\n%s", got, w.story())
		}
	})
}
