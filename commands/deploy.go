package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"slipway/plan"
	"slipway/rollout"
)

// deploy starts a rollout, or says who or what keeps it from starting.
func (h *Handler) deploy(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return Reply{Text: unknown(file, "command or target", cmd.Target, supported())}
	}
	env := file.Environment(target.Environment)
	steps, err := file.PlanFor(target)
	if err != nil {
		return Reply{Text: "Nothing was started: " + sentence(err.Error())}
	}
	if err := Authorize(ctx, h.Directory, req.Actor, VerbDeploy, Subject{Environment: env, Target: target}); err != nil {
		return h.refused(ctx, req, err)
	}
	channel := channelOf(env, target, req.Channel)
	starting, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	r, err := h.Engine.Start(starting, rollout.Request{
		Token: req.ID, Target: target, Environment: env, Plan: steps, What: cmd.What,
		By: req.Actor, Channel: channel, At: req.At,
	})
	if err != nil {
		return h.notStarted(ctx, req, target, err)
	}
	h.Log.InfoContext(ctx, "rollout started", "rollout", r.ID, "env", target.Environment, "actor", req.Actor.ID, "request", req.ID)
	if channel == req.Channel || channel == req.ChannelName {
		return Reply{Text: fmt.Sprintf("Starting %s.", name(&r))}
	}
	return Reply{Text: fmt.Sprintf("Starting %s: the card is in %s.", name(&r), channelName(channel, target))}
}

// channelOf returns where the card goes: the service's channel, the environment's, or the one in
// which the command was typed.
func channelOf(env *plan.Environment, target plan.Target, typedIn string) string {
	if s := env.Service(target.Service); s != nil && s.Channel != "" {
		return s.Channel
	}
	if env.Channel != "" {
		return env.Channel
	}
	return typedIn
}

// channelName writes a channel for people. IDs are capitals and digits, names are never capitals.
func channelName(channel string, target plan.Target) string {
	if channel == strings.ToUpper(channel) {
		return "the channel of " + target.String()
	}
	return "#" + channel
}

// notStarted answers a deploy that the engine did not start.
func (h *Handler) notStarted(ctx context.Context, req Request, target plan.Target, err error) Reply {
	var locked *rollout.LockedError
	if errors.As(err, &locked) {
		return Reply{Text: h.locked(ctx, req, target, locked.Lock)}
	}
	if reason, ok := safe(err); ok {
		h.Log.WarnContext(ctx, "rollout not started", "env", target.Environment, "actor", req.Actor.ID, "request", req.ID, "err", err)
		return Reply{Text: "Nothing was started. " + reason}
	}
	return h.uncertain(ctx, req, "", "starting "+target.String(), err)
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

// locked says who holds a lock, since when, and what they are at.
func (h *Handler) locked(ctx context.Context, req Request, target plan.Target, lock rollout.Lock) string {
	head := fmt.Sprintf("%s is locked by %s since %s", lock.Target, person(lock.By.ID, req.Actor.ID), clock(lock.Since))
	if lock.Rollout == "" {
		return head + lockTerms(lock) + " Nothing was started."
	}
	return fmt.Sprintf("%s: %s. Nothing was started. `/deploy status %s` shows it.", head, h.lockedBy(ctx, req, lock.Rollout), target.Environment)
}

// lockedBy says what the rollout that holds a lock is at, as far as that can be read.
func (h *Handler) lockedBy(ctx context.Context, req Request, id string) string {
	r, err := h.load(ctx, id)
	if err != nil {
		h.Log.WarnContext(ctx, "cannot load the lock's rollout", "rollout", id, "request", req.ID, "err", err)
		return "rollout " + id
	}
	text := "rollout " + id
	switch at := position(&r); {
	case r.Status == rollout.Ended:
		return text + " has just ended, so try again"
	case at != "":
		text += " is at " + at
	}
	if asks := waiting(&r); asks != "" {
		text += " (" + asks + ")"
	}
	return text
}

// lockTerms says why and until when a person holds a lock.
func lockTerms(lock rollout.Lock) string {
	until := ", with no end set"
	if !lock.Expires.IsZero() {
		until = ", until " + clock(lock.Expires)
	}
	if why := plain(lock.Reason); why != "" {
		return until + ": " + sentence(lock.Reason)
	}
	return until + "."
}
