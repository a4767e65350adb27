package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"slipway/plan"
	"slipway/rollout"
)

// Home is what one person sees first of the app: what fails, what waits for them, and how each environment
// stands. Its texts are in Reply's notation.
type Home struct {
	Trouble string   // what could not be read; "" if all of it was
	Failing []string // the open incidents, a sentence or two each
	Waiting []Item   // questions that this person can answer, those of the oldest rollout first
	Places  []Place
	More    int // environments that are left out
}

// Place is an environment as it stands.
type Place struct {
	Environment string
	Running     []Item
	Locks       []string // of people
	Ended       []string // the last rollouts, the newest first
}

// Item is a sentence or two about a rollout.
type Item struct {
	Text    string
	Rollout string
	Channel string // name or ID of the channel that has the card
	Version int64  // of the snapshot that the text is about
}

// How much a Home shows. Slack's has room for 100 blocks.
const (
	maxPlaces  = 12
	maxEnded   = 3
	maxWaiting = 8
	maxItems   = 4 // rollouts under way, or locks, of one environment
)

// home reads how things stand from the store; no cloud is asked. Slack is asked for the members of the
// groups that open questions are for, each group once, as there are few such calls a minute and clicks
// need them too.
func (h *Handler) home(ctx context.Context, req Request) Reply {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	active, err := h.active(ctx)
	if err != nil {
		return h.blind(ctx, req, theRollouts, err)
	}
	locks, err := h.Locker.Locks(ctx)
	if err != nil {
		return h.blind(ctx, req, theLocks, err)
	}
	home := &Home{}
	names := places(h.File(), active, locks)
	home.More = max(0, len(names)-maxPlaces)
	for _, name := range names[:len(names)-home.More] {
		place, err := h.place(ctx, req, name, active, locks)
		if err != nil {
			return h.blind(ctx, req, theHistory, err)
		}
		home.Places = append(home.Places, place)
	}
	home.Waiting, home.Trouble = h.waitingFor(ctx, req, active)
	cases, err := h.cases(ctx)
	if err != nil { // all else is there
		home.Trouble = strings.TrimSpace(home.Trouble + " " + h.blind(ctx, req, theIncidents, err).Home.Trouble)
	}
	open, _ := inOrder(cases, func(plan.Target) bool { return true })
	home.Failing = accounts(open, req)
	return Reply{Home: home}
}

// blind is the Home of a store that does not answer. It does not say that nothing was done: what came
// before it, such as a deploy, may have been.
func (h *Handler) blind(ctx context.Context, req Request, what string, err error) Reply {
	h.Log.ErrorContext(ctx, "cannot read "+what, "actor", req.Actor.ID, "request", req.ID, "err", err)
	return Reply{Home: &Home{Trouble: fmt.Sprintf("Could not read %s.%s Press Refresh to try again.", what, cause(err))}}
}

// places names the environments: those of the file, then others about which there is something to say.
func places(file *plan.File, active []rollout.Rollout, locks []rollout.Lock) []string {
	var names []string
	for _, e := range file.Environments {
		names = append(names, e.Name)
	}
	for _, r := range active {
		names = append(names, r.Target.Environment)
	}
	for _, lock := range locks {
		names = append(names, lock.Target.Environment)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(name string) bool {
		before := seen[name]
		seen[name] = true
		return before
	})
}

func (h *Handler) place(ctx context.Context, req Request, environment string, active []rollout.Rollout, locks []rollout.Lock) (Place, error) {
	p := Place{Environment: environment}
	for _, r := range active {
		if r.Target.Environment == environment {
			p.Running = append(p.Running, item(&r, describe(&r)))
		}
	}
	if more := len(p.Running) - maxItems; more > 0 {
		p.Running = append(p.Running[:maxItems], Item{Text: fmt.Sprintf("And %d more: `/deploy status %s` shows them.", more, environment)})
	}
	for _, lock := range locks {
		if lock.Rollout == "" && lock.Target.Environment == environment {
			p.Locks = append(p.Locks, lockedSince(lock, req)+lockTerms(lock, req.At)+" "+hint(lock))
		}
	}
	if more := len(p.Locks) - maxItems; more > 0 {
		p.Locks = append(p.Locks[:maxItems], fmt.Sprintf("And %d more locks: `/deploy status %s` shows them.", more, environment))
	}
	past, err := h.Past.History(ctx, environment, maxEnded)
	for _, r := range past {
		p.Ended = append(p.Ended, account(&r))
	}
	return p, err
}

func item(r *rollout.Rollout, text string) Item {
	return Item{Text: text, Rollout: r.ID, Channel: r.Channel, Version: r.Version}
}

// waitingFor returns the open questions that the actor may answer and has not answered. trouble says
// that it is not known of all of them.
func (h *Handler) waitingFor(ctx context.Context, req Request, active []rollout.Rollout) (list []Item, trouble string) {
	dir := &remembering{Directory: h.Directory, known: map[string]membership{}}
	for _, r := range active {
		for _, a := range r.Asks {
			if a.Answer != nil || r.Stop != nil || len(a.Options) == 0 || stale(&r, said{verb: a.Options[0], ask: a.ID}, req.Actor.ID) != "" {
				continue
			}
			err := Authorize(ctx, dir, req.Actor, a.Options[0], subjectOf(&r, &a))
			_, denied := errors.AsType[*Denied](err)
			switch {
			case err == nil:
				list = append(list, item(&r, asks(&r, &a)))
			case !denied:
				h.Log.WarnContext(ctx, "cannot tell for whom a question is", "rollout", r.ID, "actor", req.Actor.ID, "request", req.ID, "err", err)
				trouble = "Could not check which questions wait for you. The cards name who is asked."
			}
		}
	}
	return list[:min(len(list), maxWaiting)], trouble
}

// asks puts a question to one who may answer it.
func asks(r *rollout.Rollout, a *rollout.Ask) string {
	if a.Kind != rollout.AskApproval {
		return fmt.Sprintf("%s: %s Your answer is asked until %s.", name(r), sentence(a.Question), clock(a.Deadline))
	}
	text := fmt.Sprintf("%s: your approval is asked until %s.", name(r), clock(a.Deadline))
	if a.Required > 1 {
		text += fmt.Sprintf(" %d of %d approvals are given.", len(a.Votes), a.Required)
	}
	return text + fmt.Sprintf(" Started by %s at %s.", actor(r.By), clock(r.Created))
}

// remembering asks its Directory about each group once.
type remembering struct {
	Directory
	known map[string]membership
}

type membership struct {
	is  bool
	err error
}

// Member implements Directory.
func (d *remembering) Member(ctx context.Context, user string, handles []string) (bool, error) {
	for _, handle := range handles {
		m, asked := d.known[handle]
		if !asked {
			m.is, m.err = d.Directory.Member(ctx, user, []string{handle})
			d.known[handle] = m
		}
		if m.is || m.err != nil {
			return m.is, m.err
		}
	}
	return false, nil
}
