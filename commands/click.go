package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"slipway/rollout"
)

// VerbDetails is the button that shows what the card has no room for. It is open to all who see the
// card, and does nothing to the rollout.
const VerbDetails rollout.Verb = "details"

// click passes the press of a button on to its rollout. Every click is answered, on old cards too.
func (h *Handler) click(ctx context.Context, req Request) Reply {
	c := req.Click
	if no := beyond(req, string(c.Verb)); no != "" {
		return Reply{Text: no}
	}
	if c.Incident != "" {
		return h.incidentClick(ctx, req)
	}
	h.Log.DebugContext(ctx, "click", "rollout", c.Rollout, "verb", c.Verb, "ask", c.Ask, "version", c.Version, "actor", req.Actor.ID, "request", req.ID)
	if !isID(c.Rollout) {
		return Reply{Text: gone(c.Rollout)}
	}
	r, err := h.load(ctx, c.Rollout)
	switch {
	case errors.Is(err, rollout.ErrNotFound):
		return Reply{Text: gone(c.Rollout)}
	case err != nil:
		return h.unread(ctx, req, theRollouts, err)
	case c.Verb == VerbDetails:
		return details(&r, req.At)
	case c.Verb == VerbWhy:
		return why(&r)
	case c.Verb == rollout.VerbRollback && c.Ask == "" && r.FailedLate():
		return h.undo(ctx, req, &r)
	}
	return h.answer(ctx, req, r, said{verb: c.Verb, ask: c.Ask})
}

// isID reports whether text can be a rollout's ID at all; what a button sends may be forged.
func isID(text string) bool {
	return len(text) == 6 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") == ""
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
		return fmt.Sprintf("%s is being stopped already, since %s. %s", upper(title(r)), clock(r.Stop.At), sentence(r.Stop.Reason))
	case s.ask == "" && !unasked(s.verb), s.ask != "" && ask == nil:
		return "This button does not fit the rollout any more. Nothing was done. " + next(r)
	case ask != nil && !slices.Contains(ask.Options, s.verb):
		return "This is not an answer to what is asked now. Nothing was done. " + next(r)
	case ask != nil && s.verb == rollout.VerbApprove:
		return voted(r, ask, reader)
	}
	return ""
}

// unasked reports whether people may do this to a rollout that asks nothing.
func unasked(v rollout.Verb) bool {
	return v == rollout.VerbAbort || v == rollout.VerbHold || v == rollout.VerbPause
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
		return fmt.Sprintf("Nobody answered in time: at %s %s.", clock(a.At), unanswered(a.Verb))
	}
	return upper(fmt.Sprintf("%s %s at %s.", person(*a.By, reader), past(a.Verb), clock(a.At)))
}

// unanswered says what became of a rollout about which nobody decided.
func unanswered(v rollout.Verb) string {
	switch v {
	case rollout.VerbRollback:
		return "it was stopped, for the old revision to get its traffic back"
	case rollout.VerbHold:
		return "it was stopped, with its traffic as it was"
	}
	return "the rollout was stopped"
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
	case rollout.VerbProbe:
		return "had test requests sent"
	case rollout.VerbContinue:
		return "decided to go on without the evidence"
	case rollout.VerbHold:
		return "decided to stop here"
	case rollout.VerbConfirm:
		return "confirmed this"
	case rollout.VerbResume:
		return "let it go on"
	}
	return "answered"
}

// next says how a rollout stands, and what can be done where that is not the card's to say.
func next(r *rollout.Rollout) string {
	if r.Status == rollout.Ended {
		return fmt.Sprintf("%s (%s) ended at %s: %s. `/deploy %s` starts a new one.", upper(title(r)), r.ID, clock(r.End.At), r.End.Result.Sentence(), r.Target)
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
		return fmt.Sprintf("Approved: %s goes on.", title(r))
	case rollout.VerbConfirm:
		return fmt.Sprintf("Confirmed: %s goes on.", title(r))
	case rollout.VerbRetry:
		return fmt.Sprintf("Trying again: %s goes on.", title(r))
	case rollout.VerbExtend:
		return fmt.Sprintf("%d more minutes for %s.", int(rollout.ExtraTime.Minutes()), name(r))
	case rollout.VerbProbe:
		return fmt.Sprintf("Test requests go to %s, for %d more minutes at most.", name(r), int(rollout.ExtraTime.Minutes()))
	case rollout.VerbContinue:
		return fmt.Sprintf("%s goes on without the evidence, on your word.", upper(title(r)))
	case rollout.VerbHold:
		return fmt.Sprintf("%s stops here; its traffic stays as it is.", upper(title(r)))
	case rollout.VerbPause:
		return paused(r)
	case rollout.VerbResume:
		return fmt.Sprintf("%s goes on.", upper(title(r)))
	}
	return left(r, s.verb)
}

// paused says what a pause means, and how it ends.
func paused(r *rollout.Rollout) string {
	text := fmt.Sprintf("Paused %s: what runs goes on, and nothing else starts. `/deploy resume %s` or the card's button lets it go on.", title(r), r.Target)
	for _, a := range r.Asks {
		if a.Answer == nil && a.Kind == rollout.AskPause {
			text += fmt.Sprintf(" If nobody does until %s, %s.", clock(a.Deadline), fallback(r, a.Default))
		}
	}
	return text
}

// fallback says what happens to r when a deadline passes.
func fallback(r *rollout.Rollout, v rollout.Verb) string {
	switch {
	case v == rollout.VerbHold:
		return "it stops there and its traffic stays as it is"
	case v == rollout.VerbRollback && anyOnNew(r):
		return "it stops and its traffic goes back to the old revision"
	}
	return "it stops"
}

func anyOnNew(r *rollout.Rollout) bool {
	for _, s := range r.Services {
		if s.Percent > 0 {
			return true
		}
	}
	return false
}

// left confirms an answer that leaves the plan.
func left(r *rollout.Rollout, verb rollout.Verb) string {
	head := "Stopping " + title(r)
	switch verb {
	case rollout.VerbReject:
		head = "Rejected: stopping " + title(r)
	case rollout.VerbRollback:
		head = "Rolling back " + name(r)
	}
	switch {
	case r.Stop == nil:
		return "The old revision is known to fail more often than the new one, so traffic stays as it is until someone decides on the card."
	case r.Stop.Return:
		return head + "; its traffic goes back to the old revision."
	case r.Kind == rollout.Rollback:
		return head + "; traffic stays where it is by now, which the card shows."
	}
	return head + "; no traffic had moved."
}
