package fakeslack

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
	"go.uber.org/goleak"

	"slipway/sandbox/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	appToken = "xapp-local"
	botToken = "xoxb-local"
	baseURL  = "http://slack.local"
	deploys  = "C0DEPLOYS"
)

// workspace is a server on an in-memory listener and clients for it.
type workspace struct {
	*Server
	t    *testing.T
	dial func(context.Context, string, string) (net.Conn, error)
	http *http.Client
	api  *slack.Client
}

func testConfig() Config {
	return Config{
		BaseURL: baseURL, AppToken: appToken, BotToken: botToken,
		Bot: User{ID: "U0BOT", Name: "slipway", RealName: "Slipway"},
		Users: []User{
			{ID: "U0DEPLOYER", Name: "deployer", RealName: "Deployer"},
			{ID: "U0APPROVER", Name: "approver", RealName: "Approver"},
			{ID: "U0OUTSIDER", Name: "outsider", RealName: "Outsider", Guest: true},
		},
		Groups: []Group{{ID: "S0RELEASE", Handle: "release-managers", Members: []string{"U0APPROVER"}}},
		Channels: []Channel{
			{ID: deploys, Name: "deploys-staging", Members: []string{"U0BOT", "U0DEPLOYER", "U0APPROVER"}},
			{ID: "C0GENERAL", Name: "general"},
			{ID: "C0PRIVATE", Name: "elsewhere", Members: []string{"U0OUTSIDER"}},
		},
	}
}

// inBubble runs a test with fake time and a server of its own.
func inBubble(t *testing.T, change func(*Config), run func(t *testing.T, w *workspace)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		if change != nil {
			change(&cfg)
		}
		run(t, serve(t, New(cfg)))
	})
}

func serve(t *testing.T, s *Server) *workspace {
	t.Helper()
	network := memnet.New()
	listener, err := network.Listen("slack.test:80")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.Handler())
	mux.Handle("/_control/", s.ControlHandler())
	server := &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	w := &workspace{Server: s, t: t}
	w.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return network.Dial(ctx, "tcp", "slack.test:80")
	}
	transport := &http.Transport{DialContext: w.dial}
	w.http = &http.Client{Transport: transport}
	w.api = w.client(botToken, appToken)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return w
}

func (w *workspace) client(bot, app string) *slack.Client {
	return slack.New(bot, slack.OptionAPIURL(baseURL+"/api/"), slack.OptionAppLevelToken(app), slack.OptionHTTPClient(w.http))
}

// app is a running Socket Mode client: everything it gets goes to handle.
type app struct {
	*socketmode.Client
	stop func()
}

type handler func(*socketmode.Client, socketmode.Event)

// connect runs a client until the test ends, and returns when its hello is in.
func (w *workspace) connect(handle handler) {
	before := len(w.Connections())
	w.run(handle)
	for len(w.Connections()) <= before {
		<-w.Changed()
	}
	synctest.Wait()
}

func (w *workspace) run(handle handler) *app {
	ctx, cancel := context.WithCancel(w.t.Context())
	c := socketmode.New(w.api, socketmode.OptionDialer(&websocket.Dialer{NetDialContext: w.dial}),
		socketmode.OptionLog(log.New(io.Discard, "", 0)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.RunContext(ctx)
	}()
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		for {
			select {
			case e := <-c.Events:
				handle(c, e)
			case <-done:
				return
			}
		}
	}()
	a := &app{Client: c, stop: func() { cancel(); <-done; <-handled }}
	w.t.Cleanup(a.stop)
	return a
}

// acker acks everything with the payload, after a while.
func acker(after time.Duration, payload any) handler {
	return func(c *socketmode.Client, e socketmode.Event) {
		if e.Request == nil || e.Request.EnvelopeID == "" {
			return
		}
		time.Sleep(after)
		_ = c.Ack(*e.Request, payload)
	}
}

// count returns how many lines of the journal are of a kind and outcome.
func (w *workspace) count(kind, method, outcome string) int {
	n := 0
	for _, c := range w.Journal() {
		if c.Kind == kind && c.Method == method && (outcome == "" || c.Outcome == outcome) {
			n++
		}
	}
	return n
}

func (w *workspace) post(options ...slack.MsgOption) string {
	w.t.Helper()
	_, ts, err := w.api.PostMessage(deploys, options...)
	if err != nil {
		w.t.Fatal(err)
	}
	return ts
}

// last returns the last message of the deploys channel.
func (w *workspace) last() Message {
	w.t.Helper()
	all := w.Messages(deploys)
	if len(all) == 0 {
		w.t.Fatal("no message in the channel")
	}
	return all[len(all)-1]
}

// wantCode fails unless the error is the one that Slack names so.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil || err.Error() != code {
		t.Errorf("error = %v, want %s", err, code)
	}
}

// pass lets time pass, and then what is under way come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
