package bot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gorilla/websocket"

	"slipway/chart"
	"slipway/commands"
	"slipway/rollout"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/memnet"
	"slipway/state"
)

const deploys = "C0DEPLOYS"

// world is the bot between a local Slack and the real store on an embedded Redis, all in memory.
type world struct {
	*fakeslack.Server
	t      *testing.T
	store  *state.Store
	redis  *miniredis.Miniredis
	cfg    Config
	log    *bytes.Buffer
	served handler
}

// handler answers every request with reply, and remembers it.
type handler struct {
	mu    sync.Mutex
	seen  []commands.Request
	reply func(commands.Request) commands.Reply
	check func(commands.Order, string) map[string]string
}

func (h *handler) Handle(_ context.Context, r commands.Request) commands.Reply {
	h.mu.Lock()
	h.seen = append(h.seen, r)
	reply := h.reply
	h.mu.Unlock()
	if reply == nil {
		return commands.Reply{}
	}
	return reply(r)
}

func (h *handler) Check(o commands.Order, channel string) map[string]string {
	if h.check == nil {
		return nil
	}
	return h.check(o, channel)
}

// Urgent knows no way back.
func (h *handler) Urgent(commands.Request) bool { return false }

func (h *handler) Rescue(context.Context, commands.Request, func(commands.Reply)) {}

func (h *handler) requests() []commands.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// inWorld runs a test in a bubble: time passes only when everything waits.
func inWorld(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, newWorld(t)) })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: &bytes.Buffer{}}
	w.Server = fakeslack.New(fakeslack.Config{
		BaseURL: "http://slack.test:80", AppToken: "xapp-local", BotToken: "xoxb-local",
		Bot: fakeslack.User{ID: "U0BOT", Name: "slipway", RealName: "Slipway"},
		Users: []fakeslack.User{
			{ID: "U0DEPLOYER", Name: "deployer"}, {ID: "U0APPROVER", Name: "approver"}, {ID: "U0OUTSIDER", Name: "outsider"},
		},
		Groups: []fakeslack.Group{
			{ID: "S0RELEASE", Handle: "release-managers", Members: []string{"U0APPROVER"}},
			{ID: "S0BACKEND", Handle: "backend", Members: []string{"U0DEPLOYER"}},
		},
		Channels: []fakeslack.Channel{{ID: deploys, Name: "deploys-staging"}},
	})
	network := memnet.New()
	client := w.serve(network)
	w.redis = miniredis.NewMiniRedis()
	w.redis.ClockTTL(true)
	dial := func(context.Context, string, string) (net.Conn, error) { return w.redis.Dial() }
	redis, err := state.Open(t.Context(), "redis://redis.test:6379", dial)
	if err != nil {
		t.Fatal(err)
	}
	w.store = state.New(redis, state.Options{})
	t.Cleanup(func() {
		if err := redis.Close(); err != nil {
			t.Error(err)
		}
		w.redis.Close()
	})
	w.cfg = Config{
		AppToken: "xapp-local", BotToken: "xoxb-local", APIURL: "http://slack.test:80/api/", HTTP: client,
		Dialer:  &websocket.Dialer{NetDialContext: network.Dial, HandshakeTimeout: 10 * time.Second},
		Handler: &w.served, Inbox: w.store, Cards: w.store, Budgets: w.store, Turns: w.store, Rollouts: w.store, Owner: "replica-1",
		Log: slog.New(slog.NewTextHandler(&locked{w: w.log}, nil)),
	}
	return w
}

// serve puts the local Slack on the network and returns a client that reaches it.
func (w *world) serve(network *memnet.Network) *http.Client {
	listener, err := network.Listen("slack.test:80")
	if err != nil {
		w.t.Fatal(err)
	}
	server := &http.Server{Handler: w.Handler(), ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: network.Dial}
	w.t.Cleanup(func() {
		transport.CloseIdleConnections()
		w.Close()
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			w.t.Error(err)
		}
	})
	return &http.Client{Transport: transport, Timeout: httpTimeout}
}

// locked makes a buffer fit for several goroutines.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (w *world) bot() *Bot {
	w.t.Helper()
	b, err := New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	b.poster.pictures.draw = sketch // drawing takes time that most tests need not spend
	return b
}

func sketch(g chart.Graph) ([]byte, error) { return []byte("a picture of " + g.Title), nil }

// run starts a bot and returns what ends it; the test ends it if nobody else does.
func (w *world) run(b *Bot) (stop func() error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	w.t.Cleanup(func() { _ = stop() })
	return stop
}

// pass lets d of the bubble's time pass, and everything that happens then come to rest.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// create stores a story's rollout; the story goes on with the bubble's clock.
func (w *world) create(s *story) {
	w.t.Helper()
	if _, err := w.store.Create(w.t.Context(), s.r, s.events); err != nil {
		w.t.Fatal(err)
	}
}

// commit stores what the story did since it stood at before.
func (w *world) commit(s *story, tell func()) {
	w.t.Helper()
	before := len(s.events)
	version := s.r.Version
	tell()
	s.r.Version = version + 1
	c := rollout.Commit{Rollout: s.r, Events: s.events[before:], Then: rollout.Hold}
	if err := w.store.Commit(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// channel are the messages that everybody sees in the channel, threads left out.
func (w *world) channel() (top, thread []fakeslack.Message) {
	for _, m := range w.Messages(deploys) {
		switch {
		case m.EphemeralTo != "" || m.Deleted:
		case m.ThreadTS == "":
			top = append(top, m)
		default:
			thread = append(thread, m)
		}
	}
	return top, thread
}

// calls counts what reached Slack's Web API.
func (w *world) calls(method string) (list []fakeslack.Call) {
	for _, c := range w.Journal() {
		if c.Kind == fakeslack.CallWeb && c.Method == method {
			list = append(list, c)
		}
	}
	return list
}
