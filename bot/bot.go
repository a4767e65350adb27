// Package bot is the part of Slipway that talks to Slack, and the only importer of slack-go. What
// people do comes in over Socket Mode, goes through the inbox to package commands, and is answered.
// What rollouts do is rendered as one card each with a thread under it, and so are incidents.
package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"

	"slipway/chart"
	"slipway/commands"
	"slipway/rollout"
	"slipway/state"
)

// Handler does what a person asked for. It is given the same request again after a crash; the
// request's ID makes it happen once. *commands.Handler is one.
type Handler interface {
	Handle(ctx context.Context, r commands.Request) commands.Reply
	// Check says what is wrong with a form by field, in plain text. It does no I/O.
	Check(o commands.Order, channel string) map[string]string
	// Urgent reports whether a request asks for the way back, which does not wait for the inbox. It does no I/O.
	Urgent(r commands.Request) bool
	// Rescue does an urgent request without the store, and says how it begins and how it went.
	Rescue(ctx context.Context, r commands.Request, say func(commands.Reply))
}

// Inbox keeps envelopes from their ack until they are answered, each once, whichever replica got it.
type Inbox interface {
	// Accept stores an envelope unless one with the same ID was stored in the last hour.
	Accept(ctx context.Context, id string, body []byte) (fresh bool, err error)
	// Take hands out the oldest envelope that nobody works on, or whose lease ran out.
	Take(ctx context.Context, owner string, lease time.Duration) (id string, body []byte, ok bool, err error)
	// Hold makes an envelope stay with owner for lease from now, at least.
	Hold(ctx context.Context, id, owner string, lease time.Duration) error
	// Done removes an envelope that owner has taken.
	Done(ctx context.Context, id, owner string) error
}

// Cards says which cards are stale, and what of them is posted. A card belongs to whoever claimed it
// until it is released or its lease runs out; Save and Release then fail.
type Cards interface {
	ClaimCard(ctx context.Context, owner string, lease time.Duration) (state.Card, bool, error)
	SaveCard(ctx context.Context, owner string, c state.Card) error
	// HoldCard makes a claim last for lease from now, at least.
	HoldCard(ctx context.Context, owner, id string, lease time.Duration) error
	// DoubtCard makes a card stale whose message may show something old; its next claim has Version 0.
	DoubtCard(ctx context.Context, id string) error
	// ReleaseCard saves the card and gives it up. If it is behind its rollout it is due again after
	// again; otherwise at the next commit.
	ReleaseCard(ctx context.Context, owner string, c state.Card, again time.Duration) error
}

// Budgets are the limits that replicas keep together.
type Budgets interface {
	// Spend takes one from a budget if reserve others are left after it, and returns 0, or else how long
	// to wait.
	Spend(ctx context.Context, b state.Budget, reserve int) (wait time.Duration, err error)
	// Pause lets nobody spend for as long.
	Pause(ctx context.Context, b state.Budget, pause time.Duration) error
}

// Rollouts is where snapshots and their histories are read.
type Rollouts interface {
	Load(ctx context.Context, id string) (rollout.Rollout, error)
	// Events returns the events with a Seq above after, oldest first.
	Events(ctx context.Context, id string, after int64) ([]rollout.Event, error)
}

// Config is what a Bot needs. HTTP, Dialer, Draw and Log may be nil.
type Config struct {
	AppToken string // xapp-…, with connections:write
	BotToken string // xoxb-…
	APIURL   string // of another server than Slack's own; "" is Slack
	HTTP     *http.Client
	Dialer   *websocket.Dialer
	Handler  Handler
	Inbox    Inbox
	Cards    Cards
	Budgets  Budgets
	Turns    Turns
	Rollouts Rollouts
	Owner    string                            // names this process in leases; unique among replicas
	Draw     func(chart.Graph) ([]byte, error) // a PNG; chart.PNG if nil
	Log      *slog.Logger
}

// Bot is one process's connection to Slack.
type Bot struct {
	cfg       Config
	log       *slog.Logger
	api       *slack.Client
	directory *Directory
	speaker   *speaker
	arrived   chan struct{} // wakes a worker
	poster    *poster
	caller    *caller
	teller    *teller
}

// httpTimeout bounds every call of the Web API; slack-go's own client has no bound.
const httpTimeout = 10 * time.Second

// drainTime is how long Run goes on with what is in hand after its context has ended.
const drainTime = 10 * time.Second

// New makes a Bot; nothing is sent yet. The error names every setting that is missing or cannot be.
func New(cfg Config) (*Bot, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: httpTimeout}
	}
	if cfg.Draw == nil {
		cfg.Draw = chart.PNG
	}
	b := &Bot{cfg: cfg, log: cfg.Log, api: client(cfg), arrived: make(chan struct{}, 1)}
	b.directory = newDirectory(b.api)
	graphs := &pictures{api: b.api, log: b.log, draw: cfg.Draw}
	b.speaker = &speaker{api: b.api, directory: b.directory, pictures: graphs, log: b.log}
	b.poster = newPoster(cfg, b.api, b.directory, graphs)
	b.caller = newCaller(cfg, b.api, b.directory)
	b.teller = newTeller(cfg, b.api, b.directory, graphs)
	return b, nil
}

func client(cfg Config) *slack.Client {
	options := []slack.Option{
		slack.OptionHTTPClient(&gate{next: cfg.HTTP}),
		slack.OptionAppLevelToken(cfg.AppToken),
	}
	if cfg.APIURL != "" {
		options = append(options, slack.OptionAPIURL(strings.TrimSuffix(cfg.APIURL, "/")+"/"))
	}
	return slack.New(cfg.BotToken, options...)
}

func (c Config) check() error {
	var problems []error
	if !strings.HasPrefix(c.AppToken, "xapp-") {
		problems = append(problems, errors.New("the Slack app token (SLACK_APP_TOKEN) has to begin with xapp-; "+
			"make one with the scope connections:write under Basic Information, App-Level Tokens"))
	}
	if !strings.HasPrefix(c.BotToken, "xoxb-") {
		problems = append(problems, errors.New("the Slack bot token (SLACK_BOT_TOKEN) has to begin with xoxb-; "+
			"copy it from OAuth & Permissions once the app is installed"))
	}
	if c.Handler == nil || c.Inbox == nil || c.Cards == nil || c.Budgets == nil || c.Turns == nil || c.Rollouts == nil || c.Owner == "" {
		problems = append(problems, errors.New("bot needs a handler, an inbox, cards, budgets, turns, rollouts and an owner"))
	}
	return errors.Join(problems...)
}

// Run works until ctx ends, then finishes what is in hand, for drainTime at most, and returns nil. An
// error means that Slack refuses the tokens for good.
func (b *Bot) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	hands, drop := context.WithCancel(context.WithoutCancel(ctx))
	defer drop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, drop) })()

	var running sync.WaitGroup
	poll := time.NewTicker(pollingTime)
	defer poll.Stop()
	for number := range workers {
		w := newWorker(b.cfg, number, b.speaker, b.arrived)
		running.Go(func() { w.run(ctx, hands, poll.C) })
	}
	running.Go(func() { b.poster.run(ctx, hands) })
	running.Go(func() { b.caller.run(ctx, hands) })
	err := b.listen(ctx, hands)
	stop()
	running.Wait()
	return err
}

// Changed tells the bot that a rollout was committed here, so that its card need not wait for the
// next poll, nor, when it began or ended, the call of whoever has or gets its target. It never blocks.
func (b *Bot) Changed(r rollout.Rollout) {
	wake(b.poster.hint)
	if r.Version == 1 || r.Status == rollout.Ended {
		wake(b.caller.hint)
	}
}

// Directory answers who belongs to which group.
func (b *Bot) Directory() *Directory { return b.directory }

// Check asks Slack whether the bot token is good. The app token is tried by Run only: each trial is
// one of the few connections an app may open.
func (b *Bot) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	_, err := b.api.AuthTestContext(ctx)
	if code := codeOf(err); code != "" {
		return fmt.Errorf("slack refuses the bot token (%s): check SLACK_BOT_TOKEN, and that the app is installed", code)
	}
	if err != nil {
		return fmt.Errorf("slack does not answer: %w", err)
	}
	return nil
}

// wake leaves a note for a loop that is busy or asleep; one is enough.
func wake(hint chan struct{}) {
	select {
	case hint <- struct{}{}:
	default:
	}
}
