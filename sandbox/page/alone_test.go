package page_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/page"
)

// alone is a page of a Slack without a cloud and without a plan, on a real socket: another app's.
type alone struct {
	*httptest.Server
	t     *testing.T
	slack *fakeslack.Server
}

func newAlone(t *testing.T) *alone {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	host := server.Listener.Addr().String()
	slack := fakeslack.New(fakeslack.Config{
		BaseURL: "http://" + host, AppToken: "xapp-1", BotToken: "xoxb-1", Bot: fakeslack.User{ID: "U0APP", Name: "app", RealName: "app"},
		Users:    []fakeslack.User{{ID: "U0MEMBER", Name: "member"}, {ID: "U0GUEST", Name: "guest", Guest: true}},
		Channels: []fakeslack.Channel{{ID: "C0GENERAL", Name: "general"}, {ID: "C0RANDOM", Name: "random"}},
	})
	p, err := page.New(page.Config{Slack: slack, Host: host, Environment: []string{"SLACK_API_URL=http://" + host + "/api/"}})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = p.Site(slack.ControlHandler())
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		p.Close()
		slack.Close()
		server.Close()
	})
	return &alone{server, t, slack}
}

func (a *alone) get(path string) string {
	a.t.Helper()
	return a.read(a.Client().Get(a.URL + path))
}

func (a *alone) act(what, at string, fields ...string) string {
	a.t.Helper()
	form := formOf(fields)
	form.Set("at", at)
	return a.read(a.Client().PostForm(a.URL+"/page/"+what, form))
}

func (a *alone) read(response *http.Response, err error) string {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(body)
}

// connect opens the app's socket, waits for its hello, before which nothing is sent to it, and acks the first envelope that it gets, which it returns.
func (a *alone) connect() (got <-chan envelope) {
	a.t.Helper()
	var opened struct{ URL string }
	answer := a.read(a.Client().PostForm(a.URL+"/api/apps.connections.open", url.Values{"token": {"xapp-1"}}))
	if err := json.Unmarshal([]byte(answer), &opened); err != nil {
		a.t.Fatal(err)
	}
	conn, _, err := websocket.Dial(a.t.Context(), opened.URL, nil) //nolint:bodyclose // the library's own
	if err != nil {
		a.t.Fatal(err)
	}
	if _, hello, err := conn.Read(a.t.Context()); err != nil || !strings.Contains(string(hello), `"hello"`) {
		a.t.Fatalf("%s, %v, in place of the hello", hello, err)
	}
	out := make(chan envelope, 1)
	go func() {
		defer close(out)
		defer func() { _ = conn.CloseNow() }()
		for {
			_, data, err := conn.Read(a.t.Context())
			var e envelope
			if err != nil || json.Unmarshal(data, &e) != nil {
				return
			}
			if e.ID != "" {
				_ = conn.Write(a.t.Context(), websocket.MessageText, []byte(`{"envelope_id": "`+e.ID+`", "payload": {"text": "Hello!"}}`))
				out <- e
				_, _, _ = conn.Read(a.t.Context()) // stays until the end
				return
			}
		}
	}()
	return out
}

// Without a cloud and a plan nothing on the page speaks of either.
func TestPageOfASlackAlone(t *testing.T) {
	a := newAlone(t)
	html := a.get("/")
	has(t, html, `data-user="member" data-channel="C0GENERAL"`, "#general", "No app is connected", "SLACK_API_URL="+a.URL+"/api/", "is_restricted")
	for _, of := range []string{"What the cloud does", "Google", "Redis", "Slipway", "/deploy", "deploy.yaml", "may only look", `id="services"`, `title=""`} {
		if strings.Contains(html, of) {
			t.Errorf("the page says %q", of)
		}
	}
	if !strings.Contains(html, `<body data-cloud="no">`) || !strings.Contains(html, `data-fault="slack-429"`) {
		t.Errorf("no room is given to the channel, or there is no trouble to make:\n%s", html)
	}
	for _, typed := range []string{"/", "/h", "@a"} {
		if options := a.get("/page/complete?text=" + url.QueryEscape(typed)); options != "" {
			t.Errorf("%q is completed to %s", typed, options)
		}
	}
}

// Any command reaches the app that is there; the hint leads to it and goes.
func TestCommandOfAnyApp(t *testing.T) {
	a := newAlone(t)
	a.act("send", "/", "text", "/hello")
	has(t, a.get("/"), "dispatch_failed", "No app is connected")
	const there = "/channel/random?as=guest"
	got := a.connect()
	has(t, a.get(there), "Your app is connected", "@app hello")
	a.act("send", there, "text", "/hello big world")
	e := <-got
	if e.Payload["command"] != "/hello" || e.Payload["text"] != "big world" || e.Payload["user_name"] != "guest" || e.Payload["channel_id"] != "C0RANDOM" {
		t.Errorf("the app got %v", e.Payload)
	}
	has(t, a.get(there), "Hello!", "Only visible to you", `<section class="hint" id="hint" aria-label="What to do next" hidden>`)
	hasNot(t, a.get("/channel/random?as=member"), "Hello!")
}

func TestWhatIsTypedToAnyApp(t *testing.T) {
	a := newAlone(t)
	for _, tt := range []struct{ thread, text, want string }{
		{"", "hello", "Only app listens in this workspace: begin with <code class=\"bk-code\">/</code>"},
		{"", "@app hello", "Nobody heard that"},
		{"1795348800.000001", "/hello", "Mentions do: begin with"},
	} {
		at := "/channel/general?as=member&thread=" + tt.thread
		a.act("send", at, "text", tt.text, "thread", tt.thread)
		has(t, a.get(at), tt.want)
	}
}

// What only a cloud has is not there to be asked for; Slack's trouble is.
func TestFaultsOfASlackAlone(t *testing.T) {
	a := newAlone(t)
	has(t, a.act("fault", "/", "fault", "gcp-touch"), `there is no fault "gcp-touch"`)
	has(t, a.act("traffic", "/", "service", "a", "value", "1"), "page not found")
	for _, id := range []string{"slack-applied", "clear"} {
		if wrong := a.act("fault", "/", "fault", id); wrong != "" {
			t.Errorf("%s: %s", id, wrong)
		}
	}
	has(t, a.get("/"), "Faults cleared")
}

// The stream lives without a cloud to watch: it tells what changes in Slack.
func TestStreamOfASlackAlone(t *testing.T) {
	a := newAlone(t)
	response, err := a.Client().Get(a.URL + "/page/events?at=" + url.QueryEscape("/channel/general?as=member"))
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{bufio.NewReader(response.Body), t, response.Body}
	defer s.close()
	first := s.next()
	if _, panel := first.Lists["services"]; panel || first.Set["faults"] == "" {
		t.Errorf("the first update has the lists %v, and as faults %q", first.Lists, first.Set["faults"])
	}
	a.read(a.Client().PostForm(a.URL+"/api/chat.postMessage", url.Values{"token": {"xoxb-1"}, "channel": {"C0GENERAL"}, "text": {"news"}}))
	u := s.next()
	for len(u.Lists["messages"]) == 0 {
		u = s.next()
	}
	has(t, u.Set[u.Lists["messages"][0]], "news")
}
