// Package app wires Slipway together and runs it: New opens every connection, Run works until its
// context ends, Close gives everything back. The sandbox and the end-to-end tests run this very wiring.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"slipway/bot"
	"slipway/commands"
	"slipway/gcp"
	"slipway/incident"
	"slipway/notify"
	"slipway/plan"
	"slipway/probe"
	"slipway/rollout"
	"slipway/state"
)

// App is one replica.
type App struct {
	bot     *bot.Bot
	engine  *rollout.Engine
	monitor *incident.Monitor
	log     *slog.Logger
	cleanups
}

// cleanups give back what was opened.
type cleanups struct{ list []cleanup }

type cleanup struct {
	name string
	do   func() error
}

// New connects to Redis, Slack and Google Cloud and checks that each answers. Its error says which
// does not; a Redis that is away is no error, as people can be told. Whoever gets an App has to Close it.
func New(ctx context.Context, c Config) (*App, error) {
	a := &App{log: c.Log}
	if err := a.wire(ctx, c); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) wire(ctx context.Context, c Config) error {
	client, away, err := state.OpenLater(ctx, c.RedisURL, c.Dial)
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	a.onClose("redis", client.Close)
	if away != nil {
		a.log.Error("starting without Redis: people are told so, and it is tried again all the time; see REDIS_URL", "err", away)
	}
	store := state.New(client, state.Options{Log: c.Log})

	cloud, err := gcp.Open(ctx, gcp.Config{Endpoint: c.GCPEndpoint, Registry: c.Registry, Dial: c.Dial, Log: c.Log})
	if err != nil {
		return err
	}
	a.onClose("google cloud", cloud.Close)

	web := webClient(c.Dial)
	a.onClose("http", func() error { web.CloseIdleConnections(); return nil })
	actions := maps.Clone(cloud.Actions())
	probes := probe.New(probe.Config{HTTP: web, Getenv: c.Getenv, Log: c.Log})
	a.onClose("probes", probes.Close)
	maps.Copy(actions, probes.Actions())
	maps.Copy(actions, rollout.GateActions(cloud, probes))

	observer := &relay{}
	a.engine = rollout.NewEngine(rollout.Config{
		Store: store, Leases: store, Locks: store, Past: store, Inspector: cloud, Actions: actions, Requests: cloud,
		Observer: observer, Owner: c.Owner, Log: c.Log,
	})
	teller := &relay{}
	services := watched(c.File)
	notifier := notify.New(notify.Config{HTTP: web, Getenv: c.Getenv, Log: c.Log})
	for _, s := range services {
		for _, to := range s.Alerts.Notify {
			if err := notifier.Check(to); err != nil {
				return fmt.Errorf("alerts of %s: %w", s.Target, err)
			}
		}
	}
	a.monitor, err = incident.NewMonitor(incident.Config{
		Services: services, Logs: cloud, Metrics: cloud, Cloud: cloud, Rollouts: store, Store: store.Incidents(),
		Teller: teller, Notifier: notifier, Owner: c.Owner, Log: c.Log,
	})
	if err != nil {
		return err
	}
	directory := &relay{}
	handler := commands.New(commands.Config{
		File: func() *plan.File { return c.File }, Engine: a.engine, Directory: directory,
		Locker: store, Queue: store, Past: store, Traffic: cloud, Rescuer: cloud, Incidents: a.monitor, Log: c.Log,
	})
	a.bot, err = bot.New(bot.Config{
		AppToken: c.SlackAppToken, BotToken: c.SlackBotToken, APIURL: c.SlackAPIURL,
		HTTP: web, Dialer: &websocket.Dialer{NetDialContext: c.Dial, Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 10 * time.Second},
		Handler: handler, Inbox: store, Cards: store, Budgets: store, Turns: store, Rollouts: store, Owner: c.Owner, Draw: c.Draw, Log: c.Log,
	})
	if err != nil {
		return err
	}
	observer.bot, directory.bot, teller.bot = a.bot, a.bot, a.bot
	return a.bot.Check(ctx)
}

// relay closes the one circle of the wiring: the engine and the commands tell and ask the bot, which
// is made last because it calls them.
type relay struct{ bot *bot.Bot }

// Changed implements rollout.Observer.
func (r *relay) Changed(changed rollout.Rollout) { r.bot.Changed(changed) }

// Tell implements incident.Teller.
func (r *relay) Tell(ctx context.Context, c incident.Case, m incident.Message, keep func(incident.Message) error) (time.Duration, error) {
	return r.bot.Tell(ctx, c, m, keep)
}

// Member implements commands.Directory.
func (r *relay) Member(ctx context.Context, userID string, handles []string) (bool, error) {
	return r.bot.Directory().Member(ctx, userID, handles)
}

// Missing implements commands.Directory.
func (r *relay) Missing(ctx context.Context, channel string, handles []string) ([]string, error) {
	return r.bot.Directory().Missing(ctx, channel, handles)
}

// webClient is used for Slack and for the requests of http steps. Every caller sets its own, shorter
// deadline; the client's is the last resort.
func webClient(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second, Control: probe.RefuseForbidden}).DialContext
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = dial
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// Run works until ctx ends or Slack refuses the app for good. It then takes no new work, hands its
// leases over and returns when everything it started has ended.
func (a *App) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { a.engine.Run(ctx); return nil })
	g.Go(func() error { a.monitor.Run(ctx); return nil })
	g.Go(func() error { return a.bot.Run(ctx) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (c *cleanups) onClose(name string, do func() error) {
	c.list = append(c.list, cleanup{name, do})
}

// Close gives the connections back, the last one first. A second call does nothing.
func (c *cleanups) Close() error {
	var errs []error
	for i := len(c.list) - 1; i >= 0; i-- {
		if err := c.list[i].do(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", c.list[i].name, err))
		}
	}
	c.list = nil
	return errors.Join(errs...)
}

// watched are the services that deploy.yaml wants to be watched while nobody deploys.
func watched(file *plan.File) []incident.Service {
	var list []incident.Service
	for _, e := range file.Environments {
		for _, s := range e.Services {
			if alerts := e.AlertsOf(s.Name); alerts != nil {
				list = append(list, incident.Service{
					Target: plan.Target{Environment: e.Name, Service: s.Name}, Project: s.Project, Region: s.Region, CloudRun: s.CloudRun, Alerts: *alerts,
				})
			}
		}
	}
	return list
}
