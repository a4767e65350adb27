package bot

import "slipway/rollout"

// This file words the questions to people: on the card, in the thread, and what became of them.

// openAsks lists the questions without an answer; none once the plan is left.
func (c *card) openAsks() []rollout.Ask {
	var open []rollout.Ask
	for _, ask := range c.r.Asks {
		if ask.Answer == nil && c.r.Status != rollout.Ended && c.r.Stop == nil {
			open = append(open, ask)
		}
	}
	return open
}

func firstOpen(r rollout.Rollout) *rollout.Ask {
	for i := range r.Asks {
		if r.Asks[i].Answer == nil {
			return &r.Asks[i]
		}
	}
	return nil
}

// question says what is waited for, by whom, until when, and what happens then.
func (c *card) question(ask rollout.Ask) mrkdwn {
	return sentences(" ", c.asked(ask), c.deadline(ask))
}

func (c *card) asked(ask rollout.Ask) mrkdwn {
	who := asked(c.r, ask, c.names)
	switch {
	case ask.Kind == rollout.AskApproval:
		return c.approval(ask, who)
	case again(c.r, ask):
		return say("*%s* %s decides.", short(ask.Question, 600), who)
	case ask.Kind == rollout.AskManual:
		return say("*To be done by hand: %s* %s does it and presses Done.", short(ask.Question, 600), who)
	case ask.Kind == rollout.AskPause:
		return sentences(" ", say("*Paused.* %s What runs goes on; nothing else starts.", short(ask.Question, 600)), caution(c.r), say("%s decides.", who))
	}
	return sentences(" ", say("*%s*", matter(c.r, ask)), also(c.r, ask), say("%s decides.", who))
}

func (c *card) approval(ask rollout.Ask, who mrkdwn) mrkdwn {
	text := say("*Waiting for approval* by %s", who)
	if !ask.Self {
		text += say(" (not %s, who started it)", mention(c.r.By.ID, c.r.By.Name))
	}
	if ask.Required > 1 {
		text += say(", %d of %d so far", len(ask.Votes), ask.Required)
	}
	return text + "."
}

// matter is what a decision is about. That a gate failed while the old revision is the worse one is
// said by both rates and by what was done about it, which is nothing.
func matter(r rollout.Rollout, ask rollout.Ask) string {
	s, _ := r.Step(ask.Step)
	if c, ok := worse(r); ok && s != nil && s.Gate != nil && s.Status == rollout.StepFailed {
		return c.String() + ": the old one is worse, so traffic stays."
	}
	return short(ask.Question, 600)
}

// also is what whoever decides has to know besides the matter.
func also(r rollout.Rollout, ask rollout.Ask) mrkdwn {
	c, bad := worse(r)
	s, _ := r.Step(ask.Step)
	switch {
	case ask.Kind != rollout.AskDecision:
		return ""
	case bad && s == nil: // the question says which one is worse
		return sentences(" ", say("%s.", c.String()), unsafe(r))
	case bad && s.Gate != nil && s.Status == rollout.StepFailed:
		return unsafe(r)
	}
	return caution(r)
}

// caution is why going back is no way out; "" if it is one.
func caution(r rollout.Rollout) mrkdwn {
	var rates mrkdwn
	if c, ok := worse(r); ok {
		rates = say("%s: the old one is worse.", c.String())
	}
	return sentences(" ", rates, unsafe(r))
}

// unsafe names the step that a way back does not undo.
func unsafe(r rollout.Rollout) mrkdwn {
	if name := r.Unsafe(); name != "" {
		return say("'%s' ran; going back does not undo it.", plain(name, 150))
	}
	return ""
}

// again reports whether a question is whether to deploy an image that failed before.
func again(r rollout.Rollout, ask rollout.Ask) bool {
	_, phase := r.Step(ask.Step)
	return phase != nil && phase.Added && phase.Name == rollout.PhaseAgain
}

func (c *card) deadline(ask rollout.Ask) mrkdwn {
	if !c.now.Before(ask.Deadline) {
		return "The time to answer is over."
	}
	return say("Until %s; without an answer %s.", clock(ask.Deadline), byDefault(c.r, ask))
}

// asked mentions who may answer.
func asked(r rollout.Rollout, ask rollout.Ask, names Names) mrkdwn {
	who := ask.Who
	if len(who) == 0 {
		who = r.Environment.Deployers
	}
	if len(who) == 0 {
		return mention(r.By.ID, r.By.Name)
	}
	return names.mentions(who)
}

// byDefault is what happens if nobody answers.
func byDefault(r rollout.Rollout, ask rollout.Ask) string {
	switch way := wayOut(r, ask); way {
	case refusing:
		return "it is rejected"
	case returning:
		return "traffic goes back to " + old(r)
	case holding:
		return "the rollout stops and " + staying(r)
	}
	return "the " + kind(r) + " stops"
}

// lapsed is what was done when nobody had answered.
func lapsed(r rollout.Rollout, ask rollout.Ask) mrkdwn {
	switch way := wayOut(r, ask); way {
	case refusing:
		return "It was rejected."
	case returning:
		return say("Traffic goes back to %s.", old(r))
	case holding:
		return say("The rollout was stopped; %s.", staying(r))
	}
	return say("The %s was stopped.", kind(r))
}

// way is what a question ends in that nobody answers.
type way int

const (
	stopping  way = iota // no traffic has moved
	refusing             // the same, of an approval
	returning            // traffic goes back
	holding              // traffic stays where it is
)

func wayOut(r rollout.Rollout, ask rollout.Ask) way {
	switch {
	case !trafficMoved(r) && ask.Kind == rollout.AskApproval:
		return refusing
	case !trafficMoved(r):
		return stopping
	case ask.Default == rollout.VerbHold:
		return holding
	}
	return returning
}

func kind(r rollout.Rollout) string {
	if r.Kind == rollout.Rollback {
		return "rollback"
	}
	return "rollout"
}
