package commands

import (
	"fmt"
	"strings"

	"slipway/plan"
)

// supported are the verbs that are carried out, and the words that a typo may have been meant for.
func supported() []string {
	var words []string
	for _, v := range []Verb{Plan, Status, Graph, History, Abort, Pause, Resume, Retry, Rollback, Lock, Unlock, Queue, Unqueue, ListIncidents, Acknowledge, Silence, Resolve, Help} {
		words = append(words, string(v))
	}
	return words
}

// help shows the commands on the targets of file, so that its lines can be typed as they are.
func help(file *plan.File) string {
	target, service := "TARGET", "TARGET/SERVICE"
	if len(file.Environments) > 0 {
		env := file.Environments[0]
		target = env.Name
		if len(env.Services) > 0 {
			service = plan.Target{Environment: env.Name, Service: env.Services[0].Name}.String()
		}
	}
	lines := []string{
		"Slipway deploys to Cloud Run step by step, and keeps one card per rollout in the channel.",
		"`/deploy`: choose in a form what to roll out",
		fmt.Sprintf("`/deploy %s`: roll out what the services' own tags point to", target),
		fmt.Sprintf("`/deploy %s 3f9a1c2`: roll out another tag, or a digest", target),
		fmt.Sprintf("`/deploy %s`: one service only", service),
		fmt.Sprintf("`/deploy plan %s`: what a rollout would do and how long its verdicts would take; nothing is started", target),
		fmt.Sprintf("`/deploy status [%s]`: what is rolling out, who is waited for, and what is locked", target),
		fmt.Sprintf("`/deploy graph %s 1h`: the error rate of what serves", target),
		fmt.Sprintf("`/deploy history %s`: the last rollouts and how they ended", target),
		fmt.Sprintf("`/deploy pause %s lunch`, `/deploy resume %s`: start no further step for a while", target, target),
		fmt.Sprintf("`/deploy retry %s`: try the failed step again", target),
		fmt.Sprintf("`/deploy abort %s too many errors`: stop, with a reason; traffic goes back to the old revision", target),
		fmt.Sprintf("`/deploy rollback %s 00041 logins fail`: all traffic to that revision, or without one to the last that passed; needs no approval", service),
		fmt.Sprintf("`/deploy lock %s load test for 2h`, `/deploy unlock %s`: keep rollouts from starting", target, target),
		fmt.Sprintf("`/deploy queue %s 3f9a1c2`, `/deploy unqueue %s`: get in line for a locked target; you are called when it is your turn", target, target),
		fmt.Sprintf("`/deploy incidents [%s]`: what fails while nobody deploys, who has it, and what is watched", target),
		"`/deploy ack ID`, `/deploy silence ID 2h`, `/deploy resolve ID`: you have an incident, want no word of it for a while, or it is over",
		"`/deploy help`: this",
		"Approving and deciding is done with the buttons on the card. In a thread, `@slipway status` and the like do the same.",
	}
	if known := targets(file); len(known) > 0 {
		lines = append(lines, fmt.Sprintf("Targets: %s.", targetList(known)))
	}
	return strings.Join(lines, "\n")
}

// unsupported answers a verb that this version does not carry out.
func unsupported(v Verb) string {
	text := fmt.Sprintf("This version does not know '%s'. Nothing was done. `/deploy help` lists what it can do.", v)
	switch v {
	case "approve", "reject", "promote":
		text += " Approving and deciding is done with the buttons on the card."
	case "steal":
		text += " `/deploy unlock TARGET` ends the lock of someone else, too."
	}
	return text
}
