package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// lock keeps rollouts of a target from starting until its holder, or another deployer, unlocks it.
func (h *Handler) lock(ctx context.Context, req Request, cmd Command) Reply {
	target, no := h.mayLock(ctx, req, cmd, VerbLock)
	if no != nil {
		return *no
	}
	held, is, err := h.holder(ctx, target)
	switch {
	case err != nil:
		return h.unread(ctx, req, theLocks, err)
	case is && held.Rollout != "":
		return Reply{Text: h.locked(ctx, req, held, "Nothing was done. Lock it when that has ended.")}
	}
	lock := rollout.Lock{Target: target, By: req.Actor, Reason: cmd.Reason, Since: req.At}
	if cmd.For > 0 {
		lock.Expires = req.At.Add(cmd.For)
	}
	locking, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	got, err := h.Locker.Lock(locking, lock)
	if other, ok := errors.AsType[*rollout.LockedError](err); ok {
		return Reply{Text: h.locked(ctx, req, other.Lock, "Nothing was done. "+hint(other.Lock))}
	}
	if err != nil {
		return h.uncertain(ctx, req, "", "locking "+target.String(), err)
	}
	h.Log.InfoContext(ctx, "target locked", "env", target.Environment, "service", target.Service, "actor", req.Actor.ID, "expires", lock.Expires, "fence", got.Fence, "request", req.ID)
	return Reply{Public: true, Done: true, Text: fmt.Sprintf("%s locked %s%s Nothing rolls out there until `/deploy unlock %s`; rolling back still works.",
		actor(req.Actor), target, lockTerms(lock, req.At), target)}
}

// unlock ends a person's lock on exactly the target that was typed, whoever has it.
func (h *Handler) unlock(ctx context.Context, req Request, cmd Command) Reply {
	target, no := h.mayLock(ctx, req, cmd, VerbUnlock)
	if no != nil {
		return *no
	}
	lock, held, err := h.holder(ctx, target)
	switch {
	case err != nil:
		return h.unread(ctx, req, theLocks, err)
	case !held:
		return Reply{Text: fmt.Sprintf("%s is not locked.", target), Done: true}
	case lock.Rollout != "":
		advice := fmt.Sprintf("Nothing was done. This lock ends with the rollout; `/deploy abort %s` stops it.", lock.Target)
		return Reply{Text: h.locked(ctx, req, lock, advice)}
	case lock.Target != target:
		return Reply{Text: fmt.Sprintf("%s has no lock of its own. %s%s %s Nothing was done.", target, lockedSince(lock, req), lockTerms(lock, req.At), hint(lock))}
	}
	unlocking, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err = h.Locker.Unlock(unlocking, target, lock.Fence)
	if other, ok := errors.AsType[*rollout.LockedError](err); ok {
		return Reply{Text: h.locked(ctx, req, other.Lock, "Nothing was done. It is a newer lock than the one that you saw.")}
	}
	if err != nil {
		return h.uncertain(ctx, req, "", "unlocking "+target.String(), err)
	}
	h.Log.InfoContext(ctx, "target unlocked", "env", target.Environment, "service", target.Service, "actor", req.Actor.ID, "of", lock.By.ID, "fence", lock.Fence, "request", req.ID)
	return Reply{Public: true, Done: true, Text: unlocked(lock, req)}
}

// mayLock finds the target and authorises locking or unlocking it; no is the answer if that fails.
func (h *Handler) mayLock(ctx context.Context, req Request, cmd Command, verb rollout.Verb) (target plan.Target, no *Reply) {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return target, &Reply{Text: unknown(file, "target", cmd.Target, nil)}
	}
	if err := Authorize(ctx, h.Directory, req.Actor, verb, Subject{Environment: file.Environment(target.Environment), Target: target}); err != nil {
		reply := h.refused(ctx, req, err)
		return target, &reply
	}
	return target, nil
}

// unlocked tells the channel, and whose lock it was if it was someone else's.
func unlocked(lock rollout.Lock, req Request) string {
	text := fmt.Sprintf("%s unlocked %s.", actor(req.Actor), lock.Target)
	if lock.By.ID == req.Actor.ID {
		return text
	}
	return fmt.Sprintf("%s It was locked by %s since %s%s", text, actor(lock.By), moment(lock.Since, req.At), lockTerms(lock, req.At))
}

// hint says what can be done about a lock.
func hint(lock rollout.Lock) string {
	if lock.Rollout == "" {
		return fmt.Sprintf("`/deploy unlock %s` ends the lock.", lock.Target)
	}
	return fmt.Sprintf("`/deploy status %s` shows it, and `/deploy abort %s` stops it.", lock.Target, lock.Target)
}

// locked says that a lock is in the way, who holds it, since when, and what they are at. advice
// says what that means for the request and what can be done, and is left out when the rollout is over.
func (h *Handler) locked(ctx context.Context, req Request, lock rollout.Lock, advice string) string {
	head := lockedSince(lock, req)
	if lock.Rollout == "" {
		return head + lockTerms(lock, req.At) + " " + advice
	}
	at, over := h.lockedBy(ctx, req, lock.Rollout)
	if over {
		advice = "Nothing was done. Try again."
	}
	return fmt.Sprintf("%s: %s. %s", head, at, advice)
}

func lockedSince(lock rollout.Lock, req Request) string {
	return fmt.Sprintf("%s is locked by %s since %s", lock.Target, person(lock.By, req.Actor.ID), moment(lock.Since, req.At))
}

// lockedBy says what the rollout that holds a lock is at, as far as that can be read, and whether it
// is over.
func (h *Handler) lockedBy(ctx context.Context, req Request, id string) (text string, over bool) {
	text = "rollout " + id
	r, err := h.load(ctx, id)
	if err != nil {
		h.Log.WarnContext(ctx, "cannot load the lock's rollout", "rollout", id, "request", req.ID, "err", err)
		return text, false
	}
	switch at := position(&r); {
	case r.Status == rollout.Ended:
		return text + " has just ended", true
	case at != "":
		text += " is at " + at
	}
	if asks := waiting(&r); asks != "" {
		text += " (" + asks + ")"
	}
	return text, false
}

// lockTerms says why and until when a person holds a lock.
func lockTerms(lock rollout.Lock, now time.Time) string {
	until := ", with no end set"
	if !lock.Expires.IsZero() {
		until = ", until " + moment(lock.Expires, now)
	}
	if why := plain(lock.Reason); why != "" {
		return until + ": " + sentence(lock.Reason)
	}
	return until + "."
}
