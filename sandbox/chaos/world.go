package main

import (
	"bytes"
	"context"
	_ "embed" // the plan
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"text/template"
	"time"

	"github.com/redis/go-redis/v9"

	"slipway/plan"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/workspace"
	"slipway/state"
)

//go:embed plan.tmpl
var planTemplate string

// environment is the one in plan.tmpl.
const environment = "staging"

// settings say what world to make.
type settings struct {
	seed     uint64
	services []string
	bots     int
	gate     time.Duration // how long each gate takes at least; 0: there is none
	strict   bool          // fences and preconditions are in place
}

// world is real bots and a real Redis, and the local Slack and Cloud Run in this process.
type world struct {
	settings
	dir      string // logs, and what Redis wrote
	redis    *redisServer
	ledger   *ledger
	servers  *workspace.Workspace
	client   redis.UniversalClient
	store    *state.Store
	replicas []*replica

	stop    context.CancelFunc
	running sync.WaitGroup
}

// newWorld starts everything. Its end is close.
func newWorld(ctx context.Context, s settings) (*world, error) {
	w := &world{settings: s, ledger: newLedger(), stop: func() {}}
	if err := w.start(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) start(ctx context.Context) error {
	var err error
	if w.dir, err = os.MkdirTemp("", "slipway-chaos-"); err != nil {
		return err
	}
	binary, err := build(ctx, w.dir, w.strict)
	if err != nil {
		return err
	}
	file, path, err := w.plan()
	if err != nil {
		return err
	}
	if w.redis, err = startRedis(ctx, w.dir); err != nil {
		return err
	}
	if w.client, err = state.Open(ctx, w.redis.url(), nil); err != nil {
		return err
	}
	w.store = state.New(w.client, state.Options{})
	if err := w.serve(ctx, file); err != nil {
		return err
	}
	return w.startBots(ctx, binary, path)
}

// plan writes the plan file for the world's services.
func (w *world) plan() (*plan.File, string, error) {
	t, err := template.New("plan").Parse(planTemplate)
	if err != nil {
		return nil, "", err
	}
	var text bytes.Buffer
	err = t.Execute(&text, struct {
		Services     []string
		Gate, Budget time.Duration
	}{w.services, w.gate, w.gate + time.Minute})
	if err != nil {
		return nil, "", err
	}
	path := filepath.Join(w.dir, "deploy.yaml")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		return nil, "", err
	}
	file, err := plan.LoadFile(path)
	return file, path, err
}

// serve starts the servers. Cloud Run works 20 times as fast as the real one, yet answers as late as a
// real one does, because what a replica is about to do when it is stopped is what matters here; and some
// of its answers to what changes something are lost.
func (w *world) serve(ctx context.Context, file *plan.File) error {
	healthy := fakegcp.Behavior{ErrorRate: 0.002}
	var err error
	w.servers, err = workspace.New(ctx, workspace.Options{
		File: file, Scenario: workspace.Scenario{RPS: 1, Old: healthy, New: healthy}, Seed: w.seed, Speed: 20,
		Listen: "127.0.0.1:0", GCP: "127.0.0.1:0", Redis: w.redis.url(), Unlimited: true,
		Intercept: w.ledger.intercept, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if !w.strict {
		w.servers.Cloud.IgnorePreconditions()
	}
	rps := 40.0
	for _, service := range w.services { // from now on; a quarter of an hour of it is past already, and takes its time to make
		if err := w.servers.Cloud.Traffic(fakegcp.TrafficRequest{Service: "shop-" + service, RPS: &rps}); err != nil {
			return err
		}
	}
	return errors.Join(
		w.servers.Cloud.Fault(fakegcp.Fault{Method: "*", Kind: fakegcp.FaultLatency, Count: -1, Distribution: fakegcp.Uniform, From: 0.01, Seconds: 0.3}),
		w.servers.Cloud.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultAppliedButError, Count: -1, Share: 0.1}),
		w.servers.Cloud.Fault(fakegcp.Fault{Method: "RunJob", Kind: fakegcp.FaultAppliedButError, Count: -1, Share: 0.1}),
	)
}

func (w *world) startBots(ctx context.Context, binary, path string) error {
	bots, stop := context.WithCancel(context.WithoutCancel(ctx)) // they end last, by close
	w.stop = stop
	env := append(os.Environ(), w.servers.Environment(path)...)
	for number := range w.bots {
		r, err := newReplica(number+1, binary, w.dir, env)
		if err != nil {
			return err
		}
		w.replicas = append(w.replicas, r)
		w.running.Go(func() { r.run(bots) })
	}
	return w.awaitBots(ctx)
}

const botStart = 30 * time.Second

// awaitBots waits until each replica has its socket to Slack.
func (w *world) awaitBots(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, botStart, errors.New("a bot did not connect"))
	defer cancel()
	for {
		changed := w.servers.Slack.Changed()
		if len(w.servers.Slack.Connections()) >= len(w.replicas) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("start the bots (logs are in %s): %w", w.dir, context.Cause(ctx))
		}
	}
}

// heal wakes whoever is frozen.
func (w *world) heal() {
	for _, r := range w.replicas {
		r.signal(syscall.SIGCONT)
	}
}

// close ends all of it and waits for it; a second call does nothing. What is in dir stays for whoever
// wants to know more.
func (w *world) close() {
	w.stop()
	w.running.Wait()
	if w.servers != nil {
		w.servers.Close()
	}
	if w.client != nil {
		_ = w.client.Close()
	}
	if w.redis != nil {
		w.redis.kill()
	}
}

// remove deletes what is left on disk.
func (w *world) remove() { _ = os.RemoveAll(w.dir) }
