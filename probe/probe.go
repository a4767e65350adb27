// Package probe carries out the steps that are no cloud calls: programs that Slipway's own image
// carries, and requests over HTTP and WebSocket to what is being rolled out.
//
// An attempt of any of these kinds runs in a goroutine of its own that Start launches and Close waits
// for; Poll waits for it a little and says how it stands. It leaves no trace outside this process: a
// replica that takes over can only begin it again, or, if the step says repeatable: false, say that
// nobody knows how it ended.
package probe

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

const (
	workTime    = 20 * time.Second // of a whole chain of requests, or of one WebSocket conversation
	pollTime    = 10 * time.Second // for which Poll waits for the end
	graceTime   = 5 * time.Second  // between asking a program to end and killing it
	rememberFor = time.Hour        // how long the outcome of an attempt is known after its end
)

// Config says what the probes reach out with.
type Config struct {
	HTTP   *http.Client             // nil: http.DefaultClient
	Getenv func(name string) string // for what programs get, and for values that deploy.yaml takes from the environment
	Log    *slog.Logger             // nil: nothing is logged
}

// Probes are the attempts that this process makes or has made of late.
type Probes struct {
	Config
	grace time.Duration

	mu     sync.Mutex
	runs   map[rollout.Key]*run
	closed bool
	work   sync.WaitGroup
}

// New returns probes of which nothing runs yet. Whoever gets them has to Close them.
func New(cfg Config) *Probes {
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Getenv == nil {
		cfg.Getenv = func(string) string { return "" }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Probes{Config: cfg, grace: graceTime, runs: map[rollout.Key]*run{}}
}

// Actions returns the step kinds command, http and websocket.
func (p *Probes) Actions() map[plan.Kind]rollout.Action {
	return map[plan.Kind]rollout.Action{
		plan.KindCommand:   action{p, p.command},
		plan.KindHTTP:      action{p, p.chain},
		plan.KindWebSocket: action{p, p.converse},
	}
}

// Close breaks off what runs, programs included, and returns when all of it has ended: after a
// program's grace of 5 s at most. Nothing can be started afterwards. The error is always nil.
func (p *Probes) Close() error {
	p.mu.Lock()
	p.closed = true
	for _, r := range p.runs {
		r.stop()
	}
	p.mu.Unlock()
	p.work.Wait()
	return nil
}

var errClosed = errors.New("slipway is ending and starts nothing any more")
