// Package commands turns what people type after /deploy, and the buttons they press, into calls of
// the engine: parse, authorise, act, answer. It knows neither Block Kit nor Slack's escaping.
package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// Request is one command or one click of a person.
type Request struct {
	ID          string // idempotency key: a request that is delivered again has the same one
	Actor       rollout.Actor
	Channel     string // ID of the channel it came from
	ChannelName string
	Text        string // what stands after /deploy, with entities such as &amp; decoded
	Click       *Click // nil: a command
	At          time.Time
}

// Click is a button that was pressed. Version is that of the snapshot which the card showed; it goes
// to the log only: a snapshot ages with every bit of progress, and whether a click still applies is
// decided by the question that it answers.
type Click struct {
	Verb    rollout.Verb
	Rollout string
	Ask     string // "": the button stops the rollout and answers no question
	Version int64
}

// Reply is the answer to a request. Text is plain text in which people are written {@U123}, groups
// and handles {@@handle}, and times {t:UNIX}. Empty: no answer is needed.
type Reply struct {
	Text   string
	Public bool // else only the actor sees it
}

// Engine starts rollouts and passes on what people say to them; *rollout.Engine is one. Its errors
// of type *rollout.Refusal, *rollout.Failure and *rollout.LockedError are shown to people, the
// others only to the log.
type Engine interface {
	// Start begins a rollout. A repeated Token returns the rollout that the first request began.
	Start(ctx context.Context, req rollout.Request) (rollout.Rollout, error)
	// Tell applies what a person said, and returns the rollout as it is then.
	Tell(ctx context.Context, id string, e rollout.Event) (rollout.Rollout, error)
	// Load returns a snapshot; rollout.ErrNotFound if there is none.
	Load(ctx context.Context, id string) (rollout.Rollout, error)
	// Active returns the rollouts that have not ended, oldest first.
	Active(ctx context.Context) ([]rollout.Rollout, error)
}

// Directory knows who belongs to what.
type Directory interface {
	// Member reports whether a user is one of handles or in one of them: "@group", "@user" or IDs.
	// With no handles it is false.
	Member(ctx context.Context, userID string, handles []string) (bool, error)
}

// Config is what a Handler works with. All of it is required.
type Config struct {
	File      func() *plan.File // the deploy.yaml in force; never nil
	Engine    Engine
	Directory Directory
	Log       *slog.Logger
}

// Handler answers requests. It keeps no state and may be used by any number of goroutines.
type Handler struct{ Config }

// New returns a handler.
func New(c Config) *Handler { return &Handler{c} }

// How long the calls of one request may take. Starting resolves images and reads a baseline from the
// log; whoever typed the command waits for it.
const (
	startTime = 45 * time.Second
	callTime  = 10 * time.Second
)

// Handle does what the request asks for, if its actor may, and says how it went. Delivering a
// request again does nothing twice: a start finds its own rollout, and a click its own answer.
func (h *Handler) Handle(ctx context.Context, req Request) Reply {
	if req.Click != nil {
		return h.click(ctx, req)
	}
	cmd, err := Parse(req.Text)
	if err != nil {
		return Reply{Text: err.Error()}
	}
	switch cmd.Verb {
	case Deploy:
		return h.deploy(ctx, req, cmd)
	case Status:
		return h.status(ctx, req, cmd)
	case Abort:
		return h.abort(ctx, req, cmd)
	case Help:
		return Reply{Text: help(h.File())}
	}
	return Reply{Text: unsupported(cmd.Verb)}
}

// load, active and tell are the engine's, each with a deadline.
func (h *Handler) load(ctx context.Context, id string) (rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Engine.Load(ctx, id)
}

func (h *Handler) active(ctx context.Context) ([]rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Engine.Active(ctx)
}

func (h *Handler) tell(ctx context.Context, id string, e rollout.Event) (rollout.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Engine.Tell(ctx, id, e)
}

// refused answers a request that was not authorised.
func (h *Handler) refused(ctx context.Context, req Request, err error) Reply {
	var denied *Denied
	if errors.As(err, &denied) {
		h.Log.InfoContext(ctx, "request denied", "actor", req.Actor.ID, "request", req.ID, "reason", denied.Reason)
		return Reply{Text: denied.Reason}
	}
	h.Log.ErrorContext(ctx, "request not authorised", "actor", req.Actor.ID, "request", req.ID, "err", err)
	var unchecked *Unchecked
	if errors.As(err, &unchecked) {
		return Reply{Text: fmt.Sprintf("Could not check whether you are in %s. Nothing was done; try again.", mentions(unchecked.Who))}
	}
	return Reply{Text: "Could not check whether you may do this. Nothing was done; try again."}
}

// unread answers when the engine could not even say how things stand.
func (h *Handler) unread(ctx context.Context, req Request, err error) Reply {
	h.Log.ErrorContext(ctx, "cannot read rollouts", "actor", req.Actor.ID, "request", req.ID, "err", err)
	return Reply{Text: "Could not read which rollouts there are. Nothing was done; try again."}
}

// uncertain answers when the engine failed in a way that leaves open what has happened.
func (h *Handler) uncertain(ctx context.Context, req Request, id, what string, err error) Reply {
	h.Log.ErrorContext(ctx, "request failed", "actor", req.Actor.ID, "request", req.ID, "rollout", id, "err", err)
	return Reply{Text: fmt.Sprintf("Something failed while %s, and it is not certain whether it was done. Look with `/deploy status` before you try again.", what)}
}
