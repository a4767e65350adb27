// Package page is the web page of the local workspace: the channel as Slack shows it, and beside it
// what the cloud does. Without a cloud and a plan it is the page of a local Slack for any app.
//
// The server renders all HTML. A page that is open holds one stream of server-sent events, which
// carries the elements that changed, each by its id; static/app.js swaps them in and sends what
// people do as forms. Where a page is stands in its address:
//
//	/channel/ID?as=USER&thread=TS     a channel, with a thread beside it
//	/archives/ID/pTS?thread_ts=TS     a permalink: the channel at one message
//	/home?as=USER                     the Home tab of the app
//
// as is who looks and acts; two tabs can be two people. Tests and scripts can rely on these:
//
//	#people a[data-user]              the switch of users; the current one has aria-current
//	#channels a                       the channels and the Home tab
//	#messages > li#m-TS[data-ts]      a message (its ts with - for .); li.ephemeral only the viewer sees;
//	                                  li.target is the one that a permalink names
//	li [data-action-id]               its buttons and selects, as package blockkit renders them
//	li a.replies                      opens its thread
//	#thread, #thread-messages > li#t-TS, #thread-close
//	#composer-text, #thread-text      what is typed, sent with Enter; #complete, #thread-complete its listbox
//	#hint                             what to do next; #hint button[data-dismiss] puts it away
//	#home                             the Home tab
//	#confirm                          Slack's confirm dialog: #confirm-yes, #confirm-no
//	#modals dialog[data-view-id]      the modals, the last on top: button[data-close-view], button[type=submit], .field-error
//	#services > li#svc-NAME           a service; li[data-revision] in it; input[data-traffic] its sliders
//	#faults button[data-fault]        trouble to make; data-fault="clear" ends it; #fault-log what was made.
//	                                  Without a cloud it is behind #show-cloud, and there are no #services
//	#toast                            what could not be done
//	body[data-live=yes]               the stream is open and the page up to date
package page

import (
	"context"
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"slipway/plan"
	"slipway/sandbox/blockkit"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
)

// Config says what the page shows.
type Config struct {
	Slack *fakeslack.Server
	Cloud *fakegcp.Cloud // nil: there is none
	File  *plan.File     // who may do what, and what can be typed; nil: another app's, of which nothing is known
	About string         // one sentence about the scenario, for the beginning of the channel
	// Environment is what an app needs to find this Slack, as NAME=value; shown, without a File, while none is connected.
	Environment []string
	// Host is the host:port of the page's listener; requests for another host that is not loopback are refused.
	Host string
	// RefuseRedis makes Redis answer with an error until it is called with ""; nil: it cannot be made to.
	RefuseRedis func(message string)
	// Denied are the permissions that are taken away when nothing else is: the scenario's.
	Denied []string
	Log    *slog.Logger
}

// Page is the page. End it with Close.
type Page struct {
	cfg       Config
	templates *template.Template
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	work      sync.WaitGroup // streams, samples and what waits for an end

	mu        sync.Mutex // guards everything below
	closed    bool
	changed   chan struct{}
	notes     []note
	errors    map[string]map[string]string // of a view's inputs, by view and block
	dismissed map[string]bool              // users who put the hint away
	made      []made                       // faults, newest first
	redis     *time.Timer                  // gives Redis back
	watchers  int
	unwatch   context.CancelFunc // ends the sampling
	samples   map[string][]sample
}

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// New returns a page that is ready to be served with Handler.
func New(cfg Config) (*Page, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	templates, err := template.New("page").ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Page{
		cfg: cfg, templates: templates, ctx: ctx, cancel: cancel, changed: make(chan struct{}),
		errors: map[string]map[string]string{}, dismissed: map[string]bool{}, samples: map[string][]sample{},
	}, nil
}

// Site serves the page together with the Slack that it shows, and /_control/, at one address. The app's
// requests have a token; the page and control have none, and are guarded.
func (p *Page) Site(control http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	slack := p.cfg.Slack.Handler()
	for _, path := range []string{"/api/", "/link", "/link/", "/upload/", "/files/", "/response/"} {
		mux.Handle(path, slack)
	}
	mux.Handle("/_control/", p.Guard(control))
	mux.Handle("/", p.Handler())
	return mux
}

// Handler serves the page, guarded.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"GET /{$}", "GET /channel/{channel}", "GET /archives/{channel}/{message}", "GET /home"} {
		mux.HandleFunc(path, p.serveWhole)
	}
	mux.HandleFunc("GET /page/events", p.serveEvents)
	mux.HandleFunc("GET /page/complete", p.serveCompletion)
	mux.HandleFunc("GET /page/file/{id}", p.serveFile)
	mux.HandleFunc("GET /page/style.css", serveStyle)
	mux.HandleFunc("GET /page/app.js", serveStatic("static/app.js"))
	mux.HandleFunc("GET /page/icon.svg", serveStatic("static/icon.svg"))
	actions := map[string]action{
		"send": p.send, "click": p.click, "submit": p.submit, "close": p.closeView, "fault": p.fault, "dismiss": p.dismiss,
	}
	if p.cfg.Cloud != nil {
		actions["traffic"] = p.traffic
	}
	for name, act := range actions {
		mux.HandleFunc("POST /page/"+name, p.act(act))
	}
	return p.Guard(mux)
}

// Close ends every stream and waits for it. It may be called more than once.
func (p *Page) Close() {
	p.mu.Lock()
	p.closed = true
	if p.redis != nil {
		p.redis.Stop()
	}
	p.mu.Unlock()
	p.cancel()
	p.work.Wait()
}

// enter registers work that Close must wait for; it reports false when the page is closed already.
func (p *Page) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.work.Add(1)
	return true
}

// touch wakes the streams. The caller holds p.mu.
func (p *Page) touch() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Page) changes() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Guard refuses what a foreign web site can make a browser send here: requests under its own name
// for this address (DNS rebinding), and posts from its pages.
func (p *Page) Guard(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.local(r.Host) {
			http.Error(w, "this page answers on loopback only: open it as http://"+p.cfg.Host, http.StatusForbidden)
			return
		}
		if err := sameOrigin.Check(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// local reports whether a Host header names this machine's loopback or the listener.
func (p *Page) local(host string) bool {
	if strings.EqualFold(host, p.cfg.Host) {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && ip.IsLoopback()
}

func serveStyle(w http.ResponseWriter, r *http.Request) {
	own, err := fs.ReadFile(staticFiles, "static/style.css")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.ServeContent(w, r, "style.css", time.Time{}, strings.NewReader(blockkit.Stylesheet()+"\n"+string(own)))
}

func serveStatic(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, staticFiles, name)
	}
}

// serveFile serves an uploaded file, which url_private would give to the bot alone. Nothing but
// images is shown; other files are saved, so that none of them can run here.
func (p *Page) serveFile(w http.ResponseWriter, r *http.Request) {
	content, kind, ok := p.cfg.Slack.File(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	header.Set("Content-Type", kind)
	if !shown(kind) {
		header.Set("Content-Disposition", "attachment")
	}
	_, _ = w.Write(content) //nolint:gosec // G705: only images are shown, in a sandbox without scripts
}

// shown reports whether files of the type are shown in the channel.
func shown(mimetype string) bool {
	return strings.HasPrefix(mimetype, "image/") && mimetype != "image/svg+xml"
}
