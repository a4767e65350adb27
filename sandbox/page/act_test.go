package page_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/sandbox/fakeslack"
)

func TestWhatIsTyped(t *testing.T) {
	inWorld(t, func(w *world) {
		ts := w.say("the card")
		for _, tt := range []struct{ thread, text, want string }{
			{"", "/deploy staging", "dispatch_failed"},
			{"", "@slipway status", "Nobody heard that"},
			{"", "/dploy x", "is no command of this workspace"},
			{"", "<b>hello", "You wrote: &lt;b&gt;hello"},
			{ts, "/deploy status staging", "do not work in threads"},
		} {
			place := at + "?as=oncall&thread=" + tt.thread
			if wrong := w.act("send", place, "text", tt.text, "thread", tt.thread); wrong != "" {
				t.Errorf("%s: %s", tt.text, wrong)
			}
			has(t, w.page(place), tt.want)
			hasNot(t, w.page(at+"?as=deployer&thread="+tt.thread), tt.want)
		}
		has(t, w.page(at+"?as=oncall&thread="+ts), "@slipway status staging", "/dploy</code>")
	})
}

// An app that is there but does not answer is told apart from none.
func TestAnAppThatDoesNotAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		defer w.connect(func(envelope) map[string]any { return nil })()
		w.act("send", at+"?as=deployer", "text", "/deploy staging")
		has(t, w.seenBy("deployer"), "operation_timeout", "Only visible to you")
	})
}

func TestCommandsAndMentionsReachTheApp(t *testing.T) {
	inWorld(t, func(w *world) {
		ts := w.say("the card")
		var got []string
		defer w.connect(func(e envelope) map[string]any {
			text, _ := e.Payload["text"].(string)
			if event, ok := e.Payload["event"].(map[string]any); ok {
				text, _ = event["text"].(string)
				thread, _ := event["thread_ts"].(string)
				text += " in " + thread
			}
			got = append(got, e.Type+": "+text)
			return map[string]any{"text": "fine"}
		})()
		w.act("send", at+"?as=deployer", "text", " /deploy staging  ")
		w.act("send", at+"?as=approver&thread="+ts, "text", "@Slipway status <b>", "thread", "1")
		want := []string{"slash_commands: staging", "events_api: <@U0SLIPWAY> status &lt;b&gt; in " + ts}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the app got %q, want %q", got, want)
		}
		has(t, w.seenBy("deployer"), "fine")
		hasNot(t, w.seenBy("approver"), "fine")
	})
}

const buttons = `[{"type": "actions", "block_id": "answers-1", "elements": [
	{"type": "button", "action_id": "approve", "value": "v1", "text": {"type": "plain_text", "text": "Approve"}}]}]`

func TestClick(t *testing.T) {
	inWorld(t, func(w *world) {
		ts := w.say("*backend*: approve?", "blocks", buttons)
		click := func(user, action string) string {
			return w.act("click", at+"?as="+user, "ts", ts, "action_id", action, "block_id", "answers-1", "value", "v1")
		}
		has(t, click("approver", "approve"), "Slipway did not react", "dispatch_failed")
		var by string
		defer w.connect(func(e envelope) map[string]any {
			user, _ := e.Payload["user"].(map[string]any)
			by, _ = user["name"].(string)
			return map[string]any{}
		})()
		if wrong := click("approver", "approve"); wrong != "" || by != "approver" {
			t.Errorf("%q, clicked by %q", wrong, by)
		}
		has(t, click("approver", "reject"), "not there any more")
	})
}

const form = `{"type": "modal", "title": {"type": "plain_text", "text": "Deploy"}, "submit": {"type": "plain_text", "text": "Go"}, "blocks": [
	{"type": "input", "block_id": "what", "label": {"type": "plain_text", "text": "Tag"}, "element": {"type": "plain_text_input", "action_id": "tag"}}]}`

// A modal opens for who asked for it; what is wrong stands under its input; then it closes.
func TestModal(t *testing.T) {
	inWorld(t, func(w *world) {
		ts := w.say("*backend*", "blocks", buttons)
		var trigger string
		answer := map[string]any{}
		defer w.connect(func(e envelope) map[string]any {
			trigger, _ = e.Payload["trigger_id"].(string)
			return answer
		})()
		w.act("click", at+"?as=deployer", "ts", ts, "action_id", "approve")
		opened, _ := w.api("views.open", "trigger_id", trigger, "view", form)["view"].(map[string]any)
		id, _ := opened["id"].(string)
		has(t, w.seenBy("deployer"), `data-view-id="`+id+`"`, "Deploy</h2>", `name="what/tag"`, ">Go</button>")
		hasNot(t, w.seenBy("approver"), id)

		submit := func(tag string) {
			w.act("submit", at+"?as=deployer", "view_id", id, "what/tag", tag)
		}
		submit("")
		has(t, w.seenBy("deployer"), "required field")
		answer = map[string]any{"response_action": "errors", "errors": map[string]string{"what": "There is no such tag."}}
		submit("v0")
		has(t, w.seenBy("deployer"), `<p class="field-error">There is no such tag.</p>`)
		hasNot(t, w.seenBy("deployer"), "required field")
		answer = map[string]any{}
		submit("v1")
		hasNot(t, w.seenBy("deployer"), id)
		has(t, w.act("submit", at+"?as=deployer", "view_id", id), "closed already")
	})
}

func TestCloseModal(t *testing.T) {
	inWorld(t, func(w *world) {
		ts := w.say("*backend*", "blocks", buttons)
		var trigger string
		defer w.connect(func(e envelope) map[string]any {
			trigger, _ = e.Payload["trigger_id"].(string)
			return map[string]any{}
		})()
		w.act("click", at+"?as=deployer", "ts", ts, "action_id", "approve")
		opened, _ := w.api("views.open", "trigger_id", trigger, "view", form)["view"].(map[string]any)
		id, _ := opened["id"].(string)
		if wrong := w.act("close", at+"?as=deployer", "view_id", id); wrong != "" {
			t.Error(wrong)
		}
		hasNot(t, w.seenBy("deployer"), id)
		if wrong := w.act("close", at+"?as=deployer", "view_id", id); wrong != "" {
			t.Errorf("closing twice: %s", wrong)
		}
	})
}

// Looking at the Home tab tells the app, which publishes it.
func TestHome(t *testing.T) {
	inWorld(t, func(w *world) {
		opened := make(chan string, 1)
		defer w.connect(func(e envelope) map[string]any {
			event, _ := e.Payload["event"].(map[string]any)
			kind, _ := event["type"].(string)
			opened <- kind
			return map[string]any{}
		})()
		s := w.open("/home?as=oncall")
		defer s.close()
		has(t, s.next().Set["home"], "no Home tab for you yet")
		if kind := <-opened; kind != "app_home_opened" {
			t.Errorf("the app got %q", kind)
		}
		w.api("views.publish", "user_id", "U0ONCALL", "view", `{"type": "home", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Nothing rolls out."}}]}`)
		_, html := s.until("home")
		has(t, html, "Nothing rolls out.", `data-view-id="VHOMEU0ONCALL"`)
	})
}

func TestCompletion(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, tt := range []struct {
			text, thread, want, not string
		}{
			{"/dep", "", `data-value="/deploy staging"`, "@slipway"},
			{"/deploy roll", "", `data-value="/deploy rollback staging/backend"`, "status"},
			{"@s", "", `data-value="@slipway status staging"`, "/deploy"},
			{"@", "1", `id="thread-complete-0"`, "/deploy"},
			{"hello", "", "", "<li"},
			{"/deploy", "1", "", "<li"},
			{"/deploy zzz", "", "", "<li"},
		} {
			html := w.page("/page/complete?" + url.Values{"text": {tt.text}, "thread": {tt.thread}}.Encode())
			has(t, html, tt.want)
			hasNot(t, html, tt.not)
		}
	})
}

func TestTrafficAndPanel(t *testing.T) {
	inWorld(t, func(w *world) {
		const name = "netra-backend-staging"
		s := w.open(at + "?as=deployer")
		defer s.close()
		s.next()
		for range 13 {
			s.until("svc-" + name)
			time.Sleep(time.Second)
		}
		_, html := s.until("svc-" + name)
		has(t, html, "requests/s, 72% errors", "100% of traffic", `<path class="errors"`)
		revision := w.Cloud.State().Services[0].Revisions[0].Name
		if wrong := w.act("traffic", at, "service", name, "revision", revision, "value", "25"); wrong != "" {
			t.Error(wrong)
		}
		w.act("traffic", at, "service", name, "value", "7")
		got := w.Cloud.State().Services[0]
		if got.RPS != 7 || got.Revisions[0].ErrorRate != 0.25 {
			t.Errorf("%v requests/s, %v errors", got.RPS, got.Revisions[0].ErrorRate)
		}
		for _, value := range []string{"", "-1", "501", "NaN"} {
			has(t, w.act("traffic", at, "service", name, "value", value), "is not a number from 0")
		}
		has(t, w.act("traffic", at, "service", name, "revision", revision, "value", "101"), "at most 1")
	})
}

func TestFaults(t *testing.T) {
	inWorld(t, func(w *world) {
		html := w.seenBy("deployer")
		for _, part := range strings.Split(html, `data-fault="`)[1:] {
			id, _, _ := strings.Cut(part, `"`)
			if wrong := w.act("fault", at, "fault", id); wrong != "" {
				t.Errorf("%s: %s", id, wrong)
			}
		}
		has(t, w.act("fault", at, "fault", "fire"), `there is no fault "fire"`)
		has(t, w.seenBy("deployer"), "Faults cleared", "Redis: Redis refuses")
		w.act("fault", at, "fault", "slack-applied")
		_, body := w.do(w.request(http.MethodPost, "/api/chat.postMessage", url.Values{
			"token": {w.App("").SlackBotToken}, "channel": {channel}, "text": {"posted"}}.Encode()))
		has(t, body, `"ok":false`)
		has(t, w.seenBy("deployer"), "posted")
		w.act("fault", at, "fault", "slack-429")
		w.act("fault", at, "fault", "clear")
		ts := w.say("again")
		w.api("chat.update", "channel", channel, "ts", ts, "text", "not refused")
	})
}

// Redis comes back by itself after ten seconds, and at once when the faults are cleared.
func TestRedisComesBack(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, end := range []func(){
			func() { time.Sleep(11 * time.Second) },
			func() { w.act("fault", at, "fault", "clear") },
		} {
			w.act("fault", at, "fault", "redis-refuses")
			if !w.redisRefuses() {
				t.Error("Redis does not refuse")
			}
			end()
			synctest.Wait()
			if w.redisRefuses() {
				t.Error("Redis does not come back")
			}
		}
	})
}

func (w *world) redisRefuses() bool {
	w.t.Helper()
	conn, err := w.App("").Dial(w.t.Context(), "tcp", "redis.sandbox:6379")
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		w.t.Fatal(err)
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer[:n][0] == '-'
}

// Two people with the same page open see their own answers.
func TestTwoPeople(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.open(at+"?as=deployer"), w.open(at+"?as=outsider")
		defer a.close()
		defer b.close()
		a.next()
		b.next()
		if _, err := w.Slack.Click(t.Context(), fakeslack.ClickRequest{}); err == nil {
			t.Error("a click on nothing works")
		}
		w.act("send", at+"?as=outsider", "text", "hello")
		u := b.next()
		for len(u.Lists["messages"]) == 0 {
			u = b.next()
		}
		has(t, u.Set[u.Lists["messages"][0]], "You wrote: hello")
		hasNot(t, w.seenBy("deployer"), "You wrote")
	})
}
