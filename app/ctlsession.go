package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"slipway/bot"
	"slipway/commands"
	"slipway/gcp"
	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
	"slipway/state"
)

// session is one run of ctl: who it is for, what was ordered, and what it is connected to. It starts
// no work of its own: what it stores is done by the bots.
type session struct {
	Config
	cleanups
	order    order
	target   plan.Target
	known    bool // target is one; else it is the ID of a rollout, or nothing was said
	out      io.Writer
	aside    io.Writer // for what is told beside a JSON object
	terminal terminal

	account string         // of the credentials
	who     *plan.Identity // whom they stand for
	web     *http.Client
	cloud   *gcp.Cloud
	store   *state.Store
	engine  *rollout.Engine
	handler *commands.Handler
}

// ctlLog writes what goes wrong inside, in the form that people read; how it went is printed.
func ctlLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (s *session) run(ctx context.Context) error {
	s.web = webClient(s.Dial)
	s.onClose("http", func() error { s.web.CloseIdleConnections(); return nil })
	nobody := s.identify(ctx)
	if s.order.direct {
		return s.rescue(ctx, "As asked, this", nobody)
	}
	client, err := state.Open(ctx, s.RedisURL, s.Dial)
	switch {
	case err == nil:
		s.onClose("redis", client.Close)
		s.store = state.New(client, state.Options{Log: s.Log})
	case s.order.verb == "rollback":
		return s.rescue(ctx, whatIsWrong(err)+" So this", nobody)
	default:
		return fmt.Errorf("%s Nothing was done; rolling back works without Redis", whatIsWrong(err))
	}
	if nobody != nil {
		return nobody
	}
	if err := s.openCloud(ctx); err != nil {
		return err
	}
	if err := s.wire(); err != nil {
		return err
	}
	return s.carryOut(ctx)
}

// whatIsWrong with Redis, as a sentence.
func whatIsWrong(err error) string {
	if known, ok := errors.AsType[*state.Error](err); ok {
		return known.SafeReason()
	}
	return "Redis cannot be reached: " + err.Error() + "."
}

// identify finds out whom the credentials stand for.
func (s *session) identify(ctx context.Context) error {
	switch {
	case s.GCPEndpoint == "":
		// Not the client of probes, which refuses the addresses where machines get their credentials.
		account, err := gcp.Account(ctx, &http.Client{Timeout: lookTime})
		if err != nil {
			return fmt.Errorf("%w. Nothing was done", err)
		}
		s.account = account
	case s.Identity == "":
		return errors.New("SLIPWAY_GCP_ENDPOINT is a stand-in without accounts: say in SLIPWAY_IDENTITY whose credentials these would be. Nothing was done")
	default:
		s.account = s.Identity
	}
	if s.who = s.File.Identity(s.account); s.who == nil {
		return errors.New(unmapped(s.account))
	}
	s.terminal.reader = s.actor().ID
	return nil
}

// unmapped says how an account becomes somebody.
func unmapped(account string) string {
	line, hint := "{slack: U012AB3CD}", "your own Slack member ID: your profile, the three dots, Copy member ID"
	if strings.HasSuffix(account, ".gserviceaccount.com") {
		line, hint = `{robot: ci, may: [deploy, status], groups: ["@backend"]}`, "what it is to be called and may do, and one of the deployers' groups"
	}
	return fmt.Sprintf("%s is nobody in deploy.yaml, so it may do nothing. Nothing was done.\nAdd it, with %s:\n\nidentities:\n  %s: %s\n", account, hint, account, line)
}

// actor is whom the card and the history name. A person has the ID under which they act in Slack, so
// that they are the same one there and here.
func (s *session) actor() rollout.Actor {
	switch {
	case s.who == nil:
		return rollout.Actor{ID: s.account, Name: s.account}
	case s.who.Robot != "":
		return rollout.Actor{ID: s.who.Account, Name: s.who.Robot + " (robot)"}
	}
	return rollout.Actor{ID: s.who.Slack, Name: nameOf(s.who)}
}

// nameOf is what a person is called where Slack is not asked.
func nameOf(i *plan.Identity) string {
	name, _, _ := strings.Cut(i.Account, "@")
	return name
}

func (s *session) openCloud(ctx context.Context) error {
	cloud, err := gcp.Open(ctx, gcp.Config{Endpoint: s.GCPEndpoint, Registry: s.Registry, Dial: s.Dial, Log: s.Log})
	if err != nil {
		return err
	}
	s.onClose("google cloud", cloud.Close)
	s.cloud = cloud
	return nil
}

// wire makes what the bot has too, but for Slack's socket and the loops of the engine and of the monitor.
func (s *session) wire() error {
	incidents, err := incident.NewMonitor(incident.Config{
		Services: watched(s.File), Store: s.store.Incidents(), Rollouts: s.store, Owner: s.Owner, Log: s.Log,
	})
	if err != nil {
		return err
	}
	s.engine = rollout.NewEngine(rollout.Config{
		Store: s.store, Leases: s.store, Locks: s.store, Past: s.store, Inspector: s.cloud, Observer: nobodyWatches{},
		Owner: s.Owner, Log: s.Log,
	})
	members := membership{who: s.who}
	if s.SlackBotToken != "" {
		members.slack = bot.NewDirectory(s.SlackBotToken, s.SlackAPIURL, s.web)
	}
	s.handler = commands.New(commands.Config{
		File: func() *plan.File { return s.File }, Engine: s.engine, Directory: members,
		Locker: s.store, Queue: s.store, Past: s.store, Traffic: s.cloud, Rescuer: s.cloud, Incidents: incidents, Log: s.Log,
	})
	return nil
}

// nobodyWatches implements rollout.Observer: the bots learn of a commit from Redis.
type nobodyWatches struct{}

// Changed implements rollout.Observer.
func (nobodyWatches) Changed(rollout.Rollout) {}

// carryOut does what was ordered and prints the answer.
func (s *session) carryOut(ctx context.Context) error {
	request := commands.Request{
		ID: s.requestID(), Actor: s.actor(), Text: s.order.text, May: s.who.May, At: time.Now().UTC(),
	}
	if s.order.answer != "" {
		click, no := s.click(ctx)
		if click == nil {
			return s.answered(ctx, commands.Reply{Text: no})
		}
		request.Click = click
	}
	reply := s.handler.Handle(ctx, request)
	if reply.Done && s.order.export != "" {
		if err := s.exportReceipts(ctx); err != nil {
			return err
		}
	}
	if !reply.Done && s.order.verb == "rollback" {
		reply.Text += " If it is Redis that is in the way: --direct goes straight to Cloud Run."
	}
	return s.answered(ctx, reply)
}

// requestID makes a repeated order the same one. It has the whole order in it: a job may use its run ID
// as the token of each of its commands.
func (s *session) requestID() string {
	return strings.Join([]string{"ctl", s.account, s.order.text, cmp.Or(s.order.Token, rand.Text())}, "/")
}

// click finds the question that an answer is for. no says why there is none.
func (s *session) click(ctx context.Context) (click *commands.Click, no string) {
	active, err := s.active(ctx)
	if err != nil {
		return nil, whatIsWrong(err) + " Nothing was done."
	}
	var near []string
	for _, r := range active {
		switch {
		case s.known && r.Target != s.target:
			near = append(near, r.Target.String())
		case s.known, r.ID == s.order.target:
			return question(&r, s.order)
		}
	}
	text := fmt.Sprintf("No rollout of %s is under way. Nothing was done.", s.order.target)
	if len(near) > 0 {
		text += " There is one of " + strings.Join(near, ", ") + "."
	}
	return nil, text
}

// question finds the open question of r to which the order is an answer.
func question(r *rollout.Rollout, o order) (click *commands.Click, no string) {
	var open []string
	for _, a := range r.Asks {
		if a.Answer == nil && slices.Contains(a.Options, o.answer) && (o.ask == "" || o.ask == a.ID) {
			open = append(open, a.ID)
		}
	}
	click = &commands.Click{Verb: o.answer, Rollout: r.ID, Version: r.Version}
	switch {
	case len(open) == 1:
		click.Ask = open[0]
	case len(open) > 1:
		return nil, fmt.Sprintf("%s asks several things: name one, as in --ask %s. Nothing was done.", r.Target, strings.Join(open, " or --ask "))
	case o.answer != rollout.VerbHold || o.ask != "":
		return nil, fmt.Sprintf("%s asks nothing to which %s is an answer. Nothing was done. `/deploy status %s` shows how it stands.", r.Target, o.answer, r.Target)
	}
	return click, ""
}

const lookTime = 10 * time.Second // of one look at the store

func (s *session) active(ctx context.Context) ([]rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return s.engine.Active(ctx)
}

// answered prints a reply, follows its rollout if that was asked for, and turns both into an error if
// it was no yes.
func (s *session) answered(ctx context.Context, reply commands.Reply) error {
	s.learnNames(ctx, reply.Text)
	fmt.Fprintln(s.printTo(), s.terminal.render(reply.Text))
	report := report{Done: reply.Done, Text: s.terminal.render(reply.Text)}
	var failed error
	if !reply.Done {
		failed = errAnswered
	}
	if reply.Rollout != "" {
		r, err := s.outcome(ctx, reply.Rollout)
		if err != nil {
			return err
		}
		summary := s.terminal.summarize(&r)
		report.Rollout = &summary
		if s.order.Wait && !well(&r, s.order.verb) {
			failed = errAnswered
		}
	}
	if err := s.printJSON(ctx, report); err != nil {
		return err
	}
	return failed
}

// outcome is the rollout as it is, or with --wait as it ended.
func (s *session) outcome(ctx context.Context, id string) (rollout.Rollout, error) {
	if !s.order.Wait {
		ctx, cancel := context.WithTimeout(ctx, lookTime)
		defer cancel()
		return s.engine.Load(ctx, id)
	}
	f := follower{from: s.store, id: id, terminal: s.terminal, out: s.printTo()}
	return f.follow(ctx, s.order.Timeout)
}

// printTo is where the course of things is told: beside a JSON object, not in it.
func (s *session) printTo() io.Writer {
	if s.order.JSON {
		return s.aside
	}
	return s.out
}

// learnNames finds out how the people are called whom a text mentions, as far as the store knows.
func (s *session) learnNames(ctx context.Context, text string) {
	if !mentionsPeople(text) {
		return
	}
	active, err := s.active(ctx)
	if err != nil {
		return // the answer says what is wrong with the store, if anything is
	}
	s.terminal.learn(active...)
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	for _, e := range s.File.Environments {
		past, err := s.store.History(ctx, e.Name, namesFrom)
		if err != nil {
			return
		}
		s.terminal.learn(past...)
	}
	if locks, err := s.store.Locks(ctx); err == nil {
		for _, l := range locks {
			s.terminal.name(l.By)
		}
	}
}

const namesFrom = 50 // rollouts of an environment's past
