// Package fakeslack is a local Slack: the Web API, Socket Mode, response URLs
// and file uploads of one workspace with one installed app, true enough that
// slack-go works against it unchanged.
//
// It enforces what the real service enforces and says so with the real error
// codes: token kinds, channel membership, block and text limits, rate limits,
// triggers that live three seconds, response URLs that live five uses. People
// are played by Command, Click, Submit and Mention; trouble by Fault.
//
// It keeps no global state and starts no goroutine it does not wait for in
// Close, so it runs on any net.Listener and inside a testing/synctest bubble.
package fakeslack

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Config describes the workspace. Zero values get workable defaults.
type Config struct {
	BaseURL    string   // scheme://host[:port] as clients see it; every URL the server hands out starts with it
	AppToken   string   // the xapp- token: Socket Mode only
	BotToken   string   // the xoxb- token: every other method
	Scopes     []string // that the bot token was granted; all that any method or event here needs, if empty
	AppID      string
	Team       Team
	Bot        User
	Users      []User
	Groups     []Group
	Channels   []Channel
	Seed       uint64        // which connection gets an envelope is drawn from it
	PingEvery  time.Duration // of the server's WebSocket pings; 10 s if zero
	Lifetime   time.Duration // of a connection, before Slack asks to refresh it; 18,060 s if zero
	RateLimits Switch        // on, unless Off
	Log        *slog.Logger
}

// Switch is a setting that is on unless it is turned off.
type Switch int

// The two positions of a Switch.
const (
	On Switch = iota
	Off
)

// Team is the workspace.
type Team struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain string `json:"domain"`
}

// User is a person, or the app's bot. A guest is a restricted member.
type User struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	RealName string `json:"real_name"`
	Title    string `json:"title,omitempty"`
	Guest    bool   `json:"guest,omitempty"`
}

// Group is a user group, mentioned as @Handle. Members are user IDs.
type Group struct {
	ID      string   `json:"id"`
	Handle  string   `json:"handle"`
	Members []string `json:"members"`
}

// Channel is a public channel. Members are user IDs; an empty list means
// everybody, the bot included.
type Channel struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Members []string `json:"members"`
}

// Server is the local Slack. Its methods may be called from any goroutine.
type Server struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // sockets, deliveries and held requests

	mu        sync.Mutex // guards everything below
	closed    bool
	changed   chan struct{}
	random    *rand.Rand
	lastTS    int64 // microseconds; every ts is unique
	lastID    int64
	channels  []*channel
	users     []User
	tickets   map[string]bool // ticket → still unused
	conns     []*connection
	pending   map[string]*delivery
	triggers  map[string]*trigger
	responses map[string]*responseURL
	views     map[string]*View
	files     map[string]*File
	faults    []*Fault
	skew      time.Duration // of Slack's clock
	held      chan struct{} // of an envelope that waits for the next one; nil if none does
	windows   map[string]*window
	journal   []Call
}

// New returns a server that is ready to be served with Handler.
func New(cfg Config) *Server {
	cfg = withDefaults(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, log: cfg.Log, ctx: ctx, cancel: cancel,
		changed:   make(chan struct{}),
		random:    rand.New(rand.NewPCG(cfg.Seed, 0x51ac)),
		users:     append([]User{cfg.Bot}, cfg.Users...),
		tickets:   map[string]bool{},
		pending:   map[string]*delivery{},
		triggers:  map[string]*trigger{},
		responses: map[string]*responseURL{},
		views:     map[string]*View{},
		files:     map[string]*File{},
		windows:   map[string]*window{},
	}
	for _, c := range cfg.Channels {
		s.channels = append(s.channels, &channel{Channel: c})
	}
	return s
}

func withDefaults(cfg Config) Config {
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	cfg.AppID = or(cfg.AppID, "A0SLIPWAY")
	cfg.Team.ID = or(cfg.Team.ID, "T0LOCAL")
	cfg.Team.Name = or(cfg.Team.Name, "Local")
	cfg.Team.Domain = or(cfg.Team.Domain, "local")
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = allScopes()
	}
	cfg.Bot.ID = or(cfg.Bot.ID, "U0SLIPWAY")
	cfg.Bot.Name = or(cfg.Bot.Name, "slipway")
	cfg.Bot.RealName = or(cfg.Bot.RealName, "Slipway")
	if cfg.PingEvery <= 0 {
		cfg.PingEvery = 10 * time.Second
	}
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = 18060 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// Handler serves everything a client of Slack reaches: the Web API under
// /api/, the socket at /link, and the URLs that replies of the API hand out.
// ControlHandler is apart, because no client of Slack may use it.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("GET /link", s.serveSocket)
	mux.HandleFunc("GET /link/", s.serveSocket)
	mux.HandleFunc("POST /upload/{id}", s.serveUpload)
	mux.HandleFunc("GET /files/{id}/{name}", s.serveFile)
	mux.HandleFunc("POST /response/{id}", s.serveResponse)
	mux.HandleFunc("GET /archives/{channel}/{message}", s.servePermalink)
	return mux
}

// Close ends every socket, delivery and held request, and waits for them. It
// may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// enter registers a goroutine that Close must wait for; it reports false when
// the server is closed already.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// Changed returns a channel that is closed at the next change of anything
// that people see: messages, reactions, views, connections. Take it before
// reading the state, so that no change is missed.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// touch wakes everyone who waits on Changed. The caller holds s.mu.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// botID is the B… ID that accompanies the bot user's U… ID in messages.
func (s *Server) botID() string { return "B" + strings.TrimLeft(s.cfg.Bot.ID, "UW") }
