package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"slipway/rollout"
)

// click passes the press of a button on to its rollout. Every click is answered, on old cards too.
func (h *Handler) click(ctx context.Context, req Request) Reply {
	c := req.Click
	h.Log.DebugContext(ctx, "click", "rollout", c.Rollout, "verb", c.Verb, "ask", c.Ask, "version", c.Version, "actor", req.Actor.ID, "request", req.ID)
	r, err := h.load(ctx, c.Rollout)
	switch {
	case errors.Is(err, rollout.ErrNotFound):
		return Reply{Text: gone(c.Rollout)}
	case err != nil:
		return h.unread(ctx, req, err)
	}
	return h.answer(ctx, req, r, said{verb: c.Verb, ask: c.Ask})
}

func gone(id string) string {
	return fmt.Sprintf("Rollout %s is not on record any more. Nothing was done. `/deploy status` shows what is rolling out.", plain(id))
}

// stale says why s comes too late for r: who decided, when, and how it goes on. It is "" if s is a
// proper answer still; the engine has the last word on that.
func stale(r *rollout.Rollout, s said, reader string) string {
	ask := r.Ask(s.ask)
	switch {
	case ask != nil && ask.Answer != nil:
		return decided(ask.Answer, reader) + " " + next(r)
	case r.Status == rollout.Ended:
		return next(r)
	case s.ask == "" && r.Stop != nil:
		return fmt.Sprintf("The rollout of %s is being stopped already, since %s. %s", name(r), clock(r.Stop.At), sentence(r.Stop.Reason))
	case s.ask == "" && s.verb != rollout.VerbAbort, s.ask != "" && ask == nil:
		return "This button does not fit the rollout any more. Nothing was done. " + next(r)
	case ask != nil && !slices.Contains(ask.Options, s.verb):
		return "This is not an answer to what is asked now. Nothing was done. " + next(r)
	case ask != nil && s.verb == rollout.VerbApprove:
		return voted(r, ask, reader)
	}
	return ""
}

// voted says that reader has approved already; "" if not.
func voted(r *rollout.Rollout, ask *rollout.Ask, reader string) string {
	for _, v := range ask.Votes {
		if v.By.ID == reader {
			return fmt.Sprintf("You approved this at %s. %s", clock(v.At), missing(r, ask))
		}
	}
	return ""
}

// missing says how many approvals an ask still needs.
func missing(r *rollout.Rollout, ask *rollout.Ask) string {
	return fmt.Sprintf("%d of %d approvals given; still waiting for %s until %s.",
		len(ask.Votes), ask.Required, askedOf(r, ask), clock(ask.Deadline))
}

// decided says who closed an ask, how and when.
func decided(a *rollout.Answer, reader string) string {
	if a.By == nil {
		return fmt.Sprintf("Nobody answered in time: at %s the rollout was stopped.", clock(a.At))
	}
	return upper(fmt.Sprintf("%s %s at %s.", person(a.By.ID, reader), past(a.Verb), clock(a.At)))
}

// past says what somebody did who answered with a verb.
func past(v rollout.Verb) string {
	switch v {
	case rollout.VerbApprove:
		return "approved this"
	case rollout.VerbReject:
		return "rejected this"
	case rollout.VerbAbort:
		return "stopped the rollout"
	case rollout.VerbRollback:
		return "decided to roll back"
	case rollout.VerbRetry:
		return "decided to try again"
	case rollout.VerbExtend:
		return "gave it more time"
	case rollout.VerbContinue:
		return "decided to go on without the evidence"
	case rollout.VerbHold:
		return "decided to stop here"
	}
	return "answered"
}

// next says how a rollout stands, and what can be done where that is not the card's to say.
func next(r *rollout.Rollout) string {
	if r.Status == rollout.Ended {
		return fmt.Sprintf("The rollout of %s (%s) ended at %s: %s. `/deploy %s` starts a new one.", name(r), r.ID, clock(r.End.At), r.End.Result.Sentence(), r.Target)
	}
	return headline(r)
}

// done confirms what a person said, as r is now.
func done(r *rollout.Rollout, s said) string {
	ask := r.Ask(s.ask)
	switch s.verb {
	case rollout.VerbApprove:
		if ask != nil && ask.Answer == nil {
			return "Your approval counts. " + missing(r, ask)
		}
		return fmt.Sprintf("Approved: the rollout of %s goes on.", name(r))
	case rollout.VerbRetry:
		return fmt.Sprintf("Trying again: the rollout of %s goes on.", name(r))
	case rollout.VerbExtend:
		return fmt.Sprintf("%d more minutes for %s.", int(rollout.ExtraTime.Minutes()), name(r))
	case rollout.VerbContinue:
		return fmt.Sprintf("The rollout of %s goes on without the evidence, on your word.", name(r))
	case rollout.VerbHold:
		return fmt.Sprintf("The rollout of %s stops here; its traffic stays as it is.", name(r))
	}
	head := "Stopping the rollout of"
	switch s.verb {
	case rollout.VerbReject:
		head = "Rejected: stopping the rollout of"
	case rollout.VerbRollback:
		head = "Rolling back"
	}
	if r.Stop != nil && r.Stop.Return {
		return fmt.Sprintf("%s %s; its traffic goes back to the old revision.", head, name(r))
	}
	return fmt.Sprintf("%s %s; no traffic had moved.", head, name(r))
}
