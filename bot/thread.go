package bot

import (
	"fmt"

	"slipway/plan"
	"slipway/rollout"
)

// reply is a message in the thread under the card. An edit of the card notifies nobody, so whatever
// needs a person, and each end, is said here as well.
type reply struct {
	Key       string // what makes it be posted once; part of its metadata
	Text      string
	Broadcast bool // shown in the channel too
}

// replies are what the thread has to say for the open questions and the events, oldest first. It is
// pure; the caller leaves out the keys that are posted already.
func replies(r rollout.Rollout, events []rollout.Event, names Names) []reply {
	var list []reply
	for _, e := range events {
		if text := told(r, e); text != "" {
			broadcast := e.Kind == rollout.Finished && r.End != nil &&
				(r.End.Result == rollout.RolledBack || r.End.Result == rollout.Failed)
			list = append(list, reply{fmt.Sprintf("event-%d", e.Seq), string(cutMarkup(text, maxText)), broadcast})
		}
	}
	c := card{r: r, names: names}
	for _, ask := range c.openAsks() {
		list = append(list, reply{Key: "ask-" + ask.ID, Text: string(cutMarkup(summons(r, ask, names), maxText))})
	}
	return list
}

// summons calls those who have to answer a question.
func summons(r rollout.Rollout, ask rollout.Ask, names Names) mrkdwn {
	until := say("Until %s; without an answer %s. The buttons are on the card above.", clock(ask.Deadline), byDefault(r, ask))
	who := asked(r, ask, names)
	if ask.Kind == rollout.AskApproval {
		return say("%s: please approve *%s* (%s, started by %s). %s",
			who, subject(r), version(r), mention(r.By.ID, r.By.Name), until)
	}
	if starter := mention(r.By.ID, r.By.Name); starter != who {
		who = sentences(", ", who, starter)
	}
	return say("%s: *%s* needs a decision. %s %s", who, subject(r), plain(ask.Question, 1000), until)
}

// told is what an event is worth in the thread; "" for most.
func told(r rollout.Rollout, e rollout.Event) mrkdwn {
	switch e.Kind {
	case rollout.StepEnded:
		return stepTold(r, e)
	case rollout.Said:
		return said(r, e)
	case rollout.AskExpired:
		return expired(r, e)
	case rollout.Finished:
		return finished(r)
	}
	return ""
}

// stepTold tells verdicts and failures. What an abort or a sibling's failure cancelled is no news.
func stepTold(r rollout.Rollout, e rollout.Event) mrkdwn {
	s, _ := r.Step(e.Step)
	if s == nil {
		return ""
	}
	then := consequence(r, *s, e)
	if e.Outcome != nil && e.Outcome.Gate != nil && e.Outcome.State != rollout.Cancelled {
		return sentences(" ", say("*%s*: %s", plain(s.Spec.Name, 150), plain(e.Outcome.Note, 1000)), then)
	}
	if e.Outcome != nil && e.Outcome.State == rollout.FailedState {
		return sentences(" ", say("*%s* failed: %s", plain(s.Spec.Name, 150), plain(e.Outcome.Note, 1000)), then)
	}
	return ""
}

// consequence says what follows from a step's bad end.
func consequence(r rollout.Rollout, s rollout.Step, e rollout.Event) mrkdwn {
	switch {
	case e.Outcome == nil || e.Outcome.State != rollout.FailedState:
		return ""
	case e.Attempt <= s.Spec.Retries && (r.Stop == nil || r.Stop.At.After(e.At)):
		return "It is tried again."
	case s.Spec.ReportOnly:
		return "It is only reported; the rollout goes on."
	case r.Stop != nil && r.Stop.Step == s.ID && r.Stop.At.Equal(e.At) && r.Stop.Return:
		return say("Traffic goes back to %s.", old(r))
	}
	return ""
}

// said tells what a person did.
func said(r rollout.Rollout, e rollout.Event) mrkdwn {
	if e.By == nil {
		return ""
	}
	who := mention(e.By.ID, e.By.Name)
	var reason mrkdwn
	if e.Reason != "" {
		reason = say("Reason: %s", plain(e.Reason, 1000))
	}
	return sentences(" ", deed(r, e, who), reason)
}

func deed(r rollout.Rollout, e rollout.Event, who mrkdwn) mrkdwn {
	switch e.Verb {
	case rollout.VerbApprove:
		return approved(r, e, who)
	case rollout.VerbReject:
		return say("Rejected by %s.", who)
	case rollout.VerbRetry:
		return say("%s: try again.", who)
	case rollout.VerbExtend:
		return say("%s: wait another %s for evidence.", who, rollout.Period(rollout.ExtraTime))
	case rollout.VerbContinue:
		return say("%s: ship without evidence.", who)
	case rollout.VerbHold:
		return say("%s: stop here; traffic stays as it is.", who)
	case rollout.VerbRollback:
		return say("%s: roll back.", who)
	case rollout.VerbAbort:
		if trafficMoved(r) {
			return say("%s stopped the rollout. Traffic goes back to %s.", who, old(r))
		}
		return say("%s stopped the rollout.", who)
	}
	return ""
}

// approved counts the votes when more than one is needed.
func approved(r rollout.Rollout, e rollout.Event, who mrkdwn) mrkdwn {
	ask := r.Ask(e.Ask)
	if ask == nil || ask.Required < 2 {
		return say("Approved by %s.", who)
	}
	votes := 0
	for _, vote := range ask.Votes {
		if !vote.At.After(e.At) {
			votes++
		}
	}
	return say("Approved by %s (%d of %d).", who, votes, ask.Required)
}

func expired(r rollout.Rollout, e rollout.Event) mrkdwn {
	ask := r.Ask(e.Ask)
	if ask == nil {
		return ""
	}
	return say("Nobody answered in time: %s.", byDefault(r, *ask))
}

// finished calls whoever started the rollout.
func finished(r rollout.Rollout) mrkdwn {
	if r.End == nil {
		return ""
	}
	first := say("%s %s", mention(r.By.ID, r.By.Name), headline(r))
	if r.End.Result == rollout.Succeeded {
		first += say(" (%s)", version(r))
	}
	return sentences("\n", first, outcome(r), reportedOnly(r))
}

// reportedOnly names the steps that failed without stopping the rollout, such as handing the traffic over.
func reportedOnly(r rollout.Rollout) mrkdwn {
	var lines []mrkdwn
	for _, phase := range r.Phases {
		for _, s := range phase.Steps {
			if s.Spec.ReportOnly && s.Status == rollout.StepFailed && s.Spec.Kind != plan.KindDone {
				lines = append(lines, say("Failed, only reported: %s. %s", plain(s.Spec.Name, 150), plain(s.Note, 400)))
			}
		}
	}
	return sentences("\n", lines...)
}
