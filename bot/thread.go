package bot

import (
	"fmt"
	"strings"

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
		if text := told(r, e, names); text != "" {
			broadcast := e.Kind == rollout.Finished && r.End != nil && concerns(r) || e.Kind == rollout.WatchOver
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
	return sentences(" ", say("%s: *%s* %s", who, subject(r), need(r, ask)), also(r, ask), until)
}

// need is what a question wants from people.
func need(r rollout.Rollout, ask rollout.Ask) mrkdwn {
	what := short(ask.Question, 1000)
	switch {
	case again(r, ask):
		return say("needs a decision. %s", what)
	case ask.Kind == rollout.AskManual:
		return say("waits for this to be done by hand: %s Then press Done.", strings.TrimSuffix(what, ".")+".")
	case ask.Kind == rollout.AskPause:
		return say("is paused. %s", what)
	}
	return say("needs a decision. %s", matter(r, ask))
}

// told is what an event is worth in the thread; "" for most.
func told(r rollout.Rollout, e rollout.Event, names Names) mrkdwn {
	switch e.Kind {
	case rollout.StepEnded:
		return stepTold(r, e)
	case rollout.StepDoubled:
		if s, _ := r.Step(e.Step); s != nil {
			return say("*%s*: %s", plain(s.Spec.Name, 150), short(e.Reason, 1000))
		}
	case rollout.Said:
		return said(r, e)
	case rollout.AskExpired:
		return expired(r, e)
	case rollout.Finished:
		return finished(r, names)
	case rollout.WatchOver:
		return failedLate(r, e)
	}
	return ""
}

// failedLate calls whoever started a rollout whose verdicts did not hold. That they held is no news.
func failedLate(r rollout.Rollout, e rollout.Event) mrkdwn {
	if e.Watch == nil || e.Watch.State != rollout.WatchFailed {
		return ""
	}
	return say("%s *%s: %s* %s The card above has the way back to %s.",
		mention(r.By.ID, r.By.Name), ending(r), subject(r), short(e.Watch.Note, 1000), old(r))
}

// stepTold tells verdicts and failures. What an abort or a sibling's failure cancelled is no news.
func stepTold(r rollout.Rollout, e rollout.Event) mrkdwn {
	s, _ := r.Step(e.Step)
	if s == nil {
		return ""
	}
	then := consequence(r, *s, e)
	if e.Outcome != nil && e.Outcome.Gate != nil && e.Outcome.State != rollout.Cancelled {
		return sentences(" ", say("*%s*: %s", plain(s.Spec.Name, 150), short(e.Outcome.Note, 1000)), then)
	}
	if e.Outcome != nil && e.Outcome.State == rollout.FailedState {
		return sentences(" ", say("*%s* failed: %s", plain(s.Spec.Name, 150), short(e.Outcome.Note, 1000)), then)
	}
	return ""
}

// consequence says what follows from a step's bad end.
func consequence(r rollout.Rollout, s rollout.Step, e rollout.Event) mrkdwn {
	switch {
	case e.Outcome == nil || e.Outcome.State != rollout.FailedState:
		return ""
	case e.Attempt <= s.Spec.Retries && (r.Stop == nil || r.Stop.At.After(e.At) || wayHome(r, s)):
		return "It is tried again."
	case s.Spec.ReportOnly:
		return "It is only reported; the rollout goes on."
	case r.Stop != nil && r.Stop.Step == s.ID && r.Stop.At.Equal(e.At) && r.Stop.Return:
		return say("Traffic goes back to %s.", old(r))
	}
	return ""
}

// wayHome reports whether the step brings traffic back.
func wayHome(r rollout.Rollout, s rollout.Step) bool {
	_, phase := r.Step(s.ID)
	return phase.Name == rollout.PhaseReturn
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
	case rollout.VerbConfirm:
		if ask := r.Ask(e.Ask); ask != nil && again(r, *ask) {
			return say("%s: deploy it again.", who)
		}
		return say("%s: done.", who)
	case rollout.VerbRetry:
		return say("%s: try again.", who)
	case rollout.VerbExtend:
		return say("%s: wait another %s for evidence.", who, rollout.Period(rollout.ExtraTime))
	case rollout.VerbProbe:
		return say("%s: send test requests, for %s at most.", who, rollout.Period(rollout.ExtraTime))
	case rollout.VerbContinue:
		return say("%s: ship without evidence.", who)
	case rollout.VerbPause:
		return say("%s paused the rollout.", who)
	case rollout.VerbResume:
		return say("%s: go on.", who)
	case rollout.VerbHold:
		return say("%s: stop here; %s.", who, staying(r))
	}
	return sentences(" ", leaving(e.Verb, who), wayBack(r, e))
}

func leaving(verb rollout.Verb, who mrkdwn) mrkdwn {
	switch verb {
	case rollout.VerbReject:
		return say("Rejected by %s.", who)
	case rollout.VerbRollback:
		return say("%s: roll back.", who)
	case rollout.VerbAbort:
		return say("%s stopped the rollout.", who)
	}
	return ""
}

// wayBack says what becomes of the traffic by what somebody said.
func wayBack(r rollout.Rollout, e rollout.Event) mrkdwn {
	stopped := r.Stop != nil && r.Stop.At.Equal(e.At)
	switch {
	case stopped && r.Stop.Return:
		return say("Traffic goes back to %s.", old(r))
	case !stopped && e.Verb == rollout.VerbAbort:
		return "The old revision is the worse one, so it is asked whether traffic goes back."
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
	return say("Nobody answered until %s. %s", clock(ask.Deadline), lapsed(r, *ask))
}

// concerns reports whether an end is news for the whole channel: what serves is not what should.
func concerns(r rollout.Rollout) bool {
	return r.Kind == rollout.Rollback || r.End.Result == rollout.RolledBack || r.End.Result == rollout.Failed ||
		r.End.Result == rollout.Aborted && trafficMoved(r)
}

// stuck reports whether traffic was to go back and did not.
func stuck(r rollout.Rollout) bool {
	if r.Kind == rollout.Rollback {
		return r.End.Result != rollout.Succeeded
	}
	return r.End.Result == rollout.Failed && r.Stop != nil && r.Stop.Return
}

// finished calls whoever started the rollout, and all who may help when its traffic could not be moved back.
func finished(r rollout.Rollout, names Names) mrkdwn {
	if r.End == nil {
		return ""
	}
	who := mention(r.By.ID, r.By.Name)
	if stuck(r) {
		who = sentences(", ", names.mentions(r.Environment.DeployersOf(r.Target)), who)
	}
	first := say("%s %s", who, headline(r))
	if r.End.Result == rollout.Succeeded && r.Kind == rollout.Deployment {
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
				lines = append(lines, say("Failed, only reported: %s. %s", plain(s.Spec.Name, 150), short(s.Note, 400)))
			}
		}
	}
	return sentences("\n", lines...)
}
