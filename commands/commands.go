// Package commands turns what people type after /deploy, and the buttons they press, into calls of
// the engine: parse, authorise, act, answer. It knows neither Block Kit nor Slack's escaping.
package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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
	Text        string   // what stands after /deploy or the mention, with entities such as &amp; decoded
	Mention     bool     // it was typed after the bot's name: the same commands, but for starting a rollout
	Click       *Click   // nil: a command
	Turn        *Turn    // nil: no click on a call out of the line
	Show        Show     // "": a command or a click
	May         []string // of a robot: all that it may do (plan.Abilities); nil: a person
	At          time.Time
}

// Show asks for something to look at instead of doing something.
type Show string

const (
	ShowHome Show = "home" // the app's Home tab
	ShowForm Show = "form" // the form that starts a rollout, with the target in Text chosen
)

// Click is a button that was pressed. Version is that of the snapshot which the card showed; it goes
// to the log only: a snapshot ages with every bit of progress, and whether a click still applies is
// decided by the question that it answers.
type Click struct {
	Verb    rollout.Verb
	Rollout string
	Ask     string // "": the button is about the rollout as a whole and answers no question
	Version int64
	Back    *Back // nil: the button sends no traffic back

	Incident string // the ID of the incident that the button is about; Rollout is "" then
}

// Reply is the answer to a request. Text is plain text in which people are written {@U123}, groups
// and handles {@@handle}, and times {t:UNIX}; what stands in backquotes is shown as code. Empty: no
// answer is needed.
type Reply struct {
	Text    string
	Public  bool   // else only the actor sees it
	Queue   string // what a button types for whoever reads this, which gets them in line; "": no button
	Done    bool   // what was asked for was done, or had been already
	Rollout string // the ID of the one that was started or told something; "": none was
	Chart   *Chart // nil: none

	// At most one of these is set. Form and Window are shown instead of Text where that is possible;
	// a Home has no Text.
	Form   *Form
	Window *Window
	Home   *Home
}

// Chart is a line chart in numbers: every series has one value for each label. It has at most 20
// labels, which are unique, and labels and names have at most 20 characters, as Slack's
// data_visualization block takes them.
type Chart struct {
	Title  string
	Labels []string
	Series []Series
	Alt    string // says what is to be seen, for those who do not see it
	Fine   *Fine  // nil: there is no more to know than the values
}

// Series is one line of a chart. Its values are in percent.
type Series struct {
	Name   string
	Values []float64
	Points []rollout.Point // the same finer, by Fine's slices; those without requests are left out
}

// Fine is what a picture has room for and a chart has not.
type Fine struct {
	Finding string // what is to be seen, in a few words and numbers
	Since   time.Time
	Slice   time.Duration
	Slices  int
	Limit   float64 // of the error rate, 0–1; 0: none is known
	Deploys []Moment
}

// Moment is when something happened.
type Moment struct {
	At   time.Time
	What string
}

// Config is what a Handler works with. All of it is required but Incidents.
type Config struct {
	File      func() *plan.File // the deploy.yaml in force; never nil
	Engine    Engine
	Directory Directory
	Locker    Locker
	Queue     Line
	Past      Past
	Traffic   Traffic
	Rescuer   Rescuer
	Incidents Incidents // nil: nothing is watched
	Log       *slog.Logger
}

// Handler answers requests. It keeps no state and may be used by any number of goroutines.
type Handler struct{ Config }

// New returns a handler.
func New(c Config) *Handler { return &Handler{c} }

// Handle does what the request asks for, if its actor may, and says how it went. Delivering a
// request again does nothing twice: a start finds its own rollout, and a click its own answer.
func (h *Handler) Handle(ctx context.Context, req Request) Reply {
	switch {
	case req.Show == ShowHome:
		return h.home(ctx, req)
	case req.Show == ShowForm:
		return h.form(req, formClosed)
	case req.Click != nil:
		return h.click(ctx, req)
	case req.Turn != nil:
		return h.turn(ctx, req)
	case strings.TrimSpace(req.Text) == "" && !req.Mention:
		return h.form(req, help(h.File()))
	}
	cmd, err := Parse(req.Text)
	if err != nil {
		return Reply{Text: err.Error()}
	}
	if no := beyond(req, string(cmd.Verb)); no != "" && cmd.Verb != Help {
		return Reply{Text: no}
	}
	switch cmd.Verb {
	case Deploy:
		return h.deploy(ctx, req, cmd)
	case Status:
		return h.status(ctx, req, cmd)
	case Abort, Pause, Resume, Retry:
		return h.speak(ctx, req, cmd)
	case Rollback:
		return h.rollback(ctx, req, cmd)
	case Lock:
		return h.lock(ctx, req, cmd)
	case Unlock:
		return h.unlock(ctx, req, cmd)
	case Queue:
		return h.queue(ctx, req, cmd)
	case Unqueue:
		return h.unqueue(ctx, req, cmd)
	case History:
		return h.history(ctx, req, cmd)
	case Plan:
		return h.dryRun(ctx, req, cmd)
	case Graph:
		return h.graph(ctx, req, cmd)
	case ListIncidents:
		return h.incidents(ctx, req, cmd)
	case Acknowledge:
		return h.treat(ctx, req, treatment{verb: VerbAcknowledge, id: cmd.What})
	case Silence:
		return h.treat(ctx, req, treatment{verb: VerbSilence, id: cmd.What, lasts: cmd.For})
	case Resolve:
		return h.treat(ctx, req, treatment{verb: VerbResolve, id: cmd.What})
	case Help:
		return Reply{Text: help(h.File()), Done: true}
	}
	return Reply{Text: unsupported(cmd.Verb)}
}

// refused answers a request that was not authorised.
func (h *Handler) refused(ctx context.Context, req Request, err error) Reply {
	var denied *Denied
	if errors.As(err, &denied) {
		h.Log.InfoContext(ctx, "request denied", "actor", req.Actor.ID, "request", req.ID, "reason", denied.Reason)
		return Reply{Text: denied.Reason + robotsGroups(req)}
	}
	h.Log.ErrorContext(ctx, "request not authorised", "actor", req.Actor.ID, "request", req.ID, "err", err)
	var unchecked *Unchecked
	if errors.As(err, &unchecked) {
		return Reply{Text: fmt.Sprintf("Could not check whether you are in %s.%s Nothing was done; try again.", mentions(unchecked.Who), cause(unchecked.Err))}
	}
	return Reply{Text: "Could not check whether you may do this. Nothing was done; try again."}
}

// What unread can be about.
const (
	theRollouts = "which rollouts there are"
	theLocks    = "the locks"
	theHistory  = "the history"
)

// unread answers when it could not even be read how things stand.
func (h *Handler) unread(ctx context.Context, req Request, what string, err error) Reply {
	h.Log.ErrorContext(ctx, "cannot read "+what, "actor", req.Actor.ID, "request", req.ID, "err", err)
	return Reply{Text: fmt.Sprintf("Could not read %s.%s Nothing was done; try again.", what, cause(err))}
}

// unseen answers when a service could not be looked at, and nothing has been done yet.
func (h *Handler) unseen(ctx context.Context, req Request, target plan.Target, err error) Reply {
	h.Log.WarnContext(ctx, "cannot look at the target", "env", target.Environment, "actor", req.Actor.ID, "request", req.ID, "err", err)
	if reason, ok := safe(err); ok {
		return Reply{Text: reason + " Nothing was done."}
	}
	return Reply{Text: fmt.Sprintf("Could not look at %s: Google Cloud did not answer as it should. Nothing was done; try again.", target)}
}

// uncertain answers when a call failed in a way that leaves open what has happened.
func (h *Handler) uncertain(ctx context.Context, req Request, id, what string, err error) Reply {
	h.Log.ErrorContext(ctx, "request failed", "actor", req.Actor.ID, "request", req.ID, "rollout", id, "err", err)
	return Reply{Text: fmt.Sprintf("Something failed while %s, and it is not certain whether it was done.%s Look with `/deploy status` before you try again.", what, cause(err))}
}

// cause is what the store or the directory says of its own failure, behind a space; "" if it says nothing.
func cause(err error) string {
	var failed interface {
		error
		SafeReason() string
	}
	if !errors.As(err, &failed) {
		return ""
	}
	return " " + failed.SafeReason()
}

// safe returns what an error of the engine says to people, if it is made for them.
func safe(err error) (string, bool) {
	if failure, ok := errors.AsType[*rollout.Failure](err); ok {
		return upper(sentence(failure.Reason)), true
	}
	if refusal, ok := errors.AsType[*rollout.Refusal](err); ok {
		return upper(sentence(refusal.Reason)), true
	}
	return "", false
}
