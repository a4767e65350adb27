// Package workspace is a whole local world for Slipway: a Slack team, a Cloud Run project with
// traffic, a registry and a Redis, on real sockets or, for tests, in memory.
package workspace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"google.golang.org/grpc"

	"slipway/app"
	"slipway/plan"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakepager"
	"slipway/sandbox/fakeslack"
	"slipway/sandbox/memnet"
	"slipway/sandbox/page"
)

// Options say what world to make.
type Options struct {
	File     *plan.File
	Scenario Scenario
	Seed     uint64  // of the simulated traffic
	Speed    float64 // cloud latencies are divided by it
	// Unlimited turns Slack's rate limits off. Apps that are restarted all the time would soon have used up
	// the ten connections that an app may open in ten minutes.
	Unlimited bool
	// Scopes are those of the app's bot token; none: all that Slack has.
	Scopes []string

	Listen string // Slack, registry and control; "127.0.0.1:0" picks a port
	GCP    string // Cloud Run and Logging
	Redis  string // URL of a real Redis; "" embeds one that forgets everything in the end
	// Memory is the network to use instead of real sockets; nil: real ones.
	Memory *memnet.Network
	// Intercept stands before every call of Cloud Run and Logging; nil: nothing does.
	Intercept grpc.UnaryServerInterceptor
	Log       *slog.Logger
}

// Workspace is the running world. End it with Close.
type Workspace struct {
	Slack *fakeslack.Server
	Cloud *fakegcp.Cloud
	Pager *fakepager.Server // is told in place of whomever the plan file wants to be notified

	options  Options
	slackURL string // scheme://host:port
	gcpAddr  string
	redisURL string
	secrets  map[string]string // of those who are notified, by variable
	embedded *miniredis.Miniredis
	serving  sync.WaitGroup
	closers  []func()
}

// Tokens of the local team. They open nothing else.
const (
	appToken = "xapp-1-sandbox"
	botToken = "xoxb-sandbox"
	e2eToken = "e2e-sandbox"
)

// headerTimeout bounds how long a client may take to say what it wants.
const headerTimeout = 10 * time.Second

// New starts a world.
func New(ctx context.Context, o Options) (*Workspace, error) {
	w := &Workspace{options: o}
	if err := w.start(ctx); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *Workspace) start(ctx context.Context) error {
	web, err := w.listen(w.options.Listen)
	if err != nil {
		return fmt.Errorf("open the Slack server's port: %w", err)
	}
	w.slackURL = "http://" + web.Addr().String()
	cloud, err := w.listen(w.options.GCP)
	if err != nil {
		return errors.Join(fmt.Errorf("open the Cloud Run server's port: %w", err), web.Close())
	}
	w.gcpAddr = cloud.Addr().String()

	w.Pager = w.newPager()
	w.Slack = fakeslack.New(team(w.options.File, w.slackURL, w.options))
	w.closers = append(w.closers, w.Slack.Close)
	w.Cloud = fakegcp.New(fakegcp.Config{
		Project: project(w.options.File), Region: region(w.options.File), Seed: w.options.Seed, Speed: w.options.Speed,
		Listen: w.listenService, Log: w.options.Log, RegistryHost: registryHost(w.options.File), E2EToken: e2eToken,
		Denied: w.options.Scenario.Denied, TailRate: w.options.Scenario.TailRate,
	})
	w.closers = append(w.closers, w.Cloud.Close)
	for _, f := range w.options.Scenario.Faults {
		if err := w.Cloud.Fault(f); err != nil {
			return errors.Join(err, web.Close(), cloud.Close())
		}
	}
	if err := populate(w.Cloud, w.options.File, w.options.Scenario); err != nil {
		return errors.Join(err, web.Close(), cloud.Close())
	}
	w.serveGRPC(cloud)
	if err := w.serveHTTP(web); err != nil {
		return errors.Join(err, web.Close())
	}
	w.Cloud.Start(ctx)
	return w.startRedis()
}

// listen opens a listener on the real loopback or in memory.
func (w *Workspace) listen(addr string) (net.Listener, error) {
	if w.options.Memory != nil {
		return w.options.Memory.Listen(addr)
	}
	return net.Listen("tcp", addr)
}

// listenService gives a Cloud Run host a port of its own on loopback, or its name in memory.
func (w *Workspace) listenService(host string) (net.Listener, string, error) {
	addr := "127.0.0.1:0"
	if w.options.Memory != nil {
		addr = host + ":80"
	}
	l, err := w.listen(addr)
	if err != nil {
		return nil, "", err
	}
	return l, "http://" + l.Addr().String(), nil
}

func (w *Workspace) serveGRPC(l net.Listener) {
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(16 << 20)}
	if w.options.Intercept != nil {
		options = append(options, grpc.ChainUnaryInterceptor(w.options.Intercept))
	}
	server := w.Cloud.Server(options...)
	w.serving.Go(func() {
		if err := server.Serve(l); err != nil {
			w.options.Log.Error("Cloud Run server", "err", err)
		}
	})
	w.closers = append(w.closers, server.Stop)
}

// serveHTTP serves Slack, the registry, control and the page. Who has no token, as the page and control
// have none, is answered on loopback only.
func (w *Workspace) serveHTTP(l net.Listener) error {
	people, err := w.newPage(l.Addr().String())
	if err != nil {
		return err
	}
	w.closers = append(w.closers, people.Close)
	mux := people.Site(w.control())
	mux.Handle("/v2/", w.Cloud.RegistryHandler())
	mux.Handle(fakepager.EventsPath, w.Pager.Handler())
	mux.Handle(fakepager.WebhookPath, w.Pager.Handler())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(w.options.Log.Handler(), slog.LevelWarn)}
	w.serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			w.options.Log.Error("Slack server", "err", err)
		}
	})
	w.closers = append(w.closers, func() { _ = server.Close() })
	return nil
}

func (w *Workspace) newPage(host string) (*page.Page, error) {
	c := page.Config{
		Slack: w.Slack, Cloud: w.Cloud, File: w.options.File, Host: host, Log: w.options.Log,
		About: w.options.Scenario.About, Denied: w.options.Scenario.Denied,
	}
	if w.options.Redis == "" {
		c.RefuseRedis = w.RefuseRedis
	}
	return page.New(c)
}

func (w *Workspace) startRedis() error {
	if w.redisURL = w.options.Redis; w.redisURL != "" {
		return nil
	}
	w.embedded = miniredis.NewMiniRedis()
	w.embedded.ClockTTL(true) // without it nothing ever expires
	w.closers = append(w.closers, w.embedded.Close)
	if w.options.Memory != nil {
		w.redisURL = "redis://" + memoryRedis + "/0"
		return nil
	}
	if err := w.embedded.StartAddr("127.0.0.1:0"); err != nil {
		return fmt.Errorf("start the embedded Redis: %w", err)
	}
	w.redisURL = "redis://" + w.embedded.Addr() + "/0"
	return nil
}

const memoryRedis = "redis.sandbox:6379"

// dial opens the app's connections in memory; nil on real sockets.
func (w *Workspace) dial() func(ctx context.Context, network, addr string) (net.Conn, error) {
	if w.options.Memory == nil {
		return nil
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == memoryRedis {
			return w.dialRedis()
		}
		return w.options.Memory.Dial(ctx, network, addr)
	}
}

// dialRedis opens a connection to the embedded Redis that has room for its answers, as a socket has: over
// its own pipes it hangs, and a bubble with it, when it writes to a client that does not read just then.
func (w *Workspace) dialRedis() (net.Conn, error) {
	far, err := w.embedded.Dial()
	if err != nil {
		return nil, err
	}
	return memnet.Buffered(far, redisRoom, &w.serving), nil
}

const redisRoom = 4 << 20 // bytes

// RefuseRedis makes the embedded Redis answer every command with the error, until it is called with
// "". It does nothing to a real one.
func (w *Workspace) RefuseRedis(message string) {
	if w.embedded != nil {
		w.embedded.SetError(message)
	}
}

// ForgetRedis makes the embedded Redis lose all that it has. It does nothing to a real one.
func (w *Workspace) ForgetRedis() {
	if w.embedded != nil {
		w.embedded.FlushAll()
	}
}

// RedisCommands is how many commands the embedded Redis has carried out, those of scripts among them.
func (w *Workspace) RedisCommands() int {
	if w.embedded == nil {
		return 0
	}
	return w.embedded.CommandCount()
}

// Close ends the world and waits for all of it.
func (w *Workspace) Close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
	w.closers = nil
	w.serving.Wait()
}

// SlackURL is where the local Slack is: its page, API and control.
func (w *Workspace) SlackURL() string { return w.slackURL }

// App is the configuration of an app in this world.
func (w *Workspace) App(owner string) app.Config {
	return app.Config{
		SlackAppToken: appToken, SlackBotToken: botToken, SlackAPIURL: w.slackURL + "/api/",
		RedisURL: w.redisURL, GCPEndpoint: w.gcpAddr, Registry: strings.TrimPrefix(w.slackURL, "http://"),
		File: w.options.File, Dial: w.dial(), Getenv: w.getenv, Owner: owner, Log: w.options.Log,
	}
}

// Environment is what `go run .` needs to run in this world, as NAME=value.
func (w *Workspace) Environment(file string) []string {
	c := w.App("")
	return []string{
		"SLACK_APP_TOKEN=" + c.SlackAppToken, "SLACK_BOT_TOKEN=" + c.SlackBotToken, "SLACK_API_URL=" + c.SlackAPIURL,
		"REDIS_URL=" + c.RedisURL, "SLIPWAY_GCP_ENDPOINT=" + c.GCPEndpoint, "SLIPWAY_REGISTRY=" + c.Registry,
		"SLIPWAY_FILE=" + file, "E2E_TOKEN=" + e2eToken,
	}
}

// WaitConnected waits until an app has its socket open, so that what people do reaches it.
func (w *Workspace) WaitConnected(ctx context.Context) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for len(w.Slack.Connections()) == 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("no app connected: %w", context.Cause(ctx))
		}
	}
	return nil
}
