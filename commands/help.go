package commands

import (
	"fmt"
	"strings"

	"slipway/plan"
)

// supported are the words that a typo may have been meant for.
func supported() []string {
	return []string{string(Status), string(Abort), string(Help)}
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
		fmt.Sprintf("`/deploy %s`: roll out what the services' own tags point to", target),
		fmt.Sprintf("`/deploy %s 3f9a1c2`: roll out another tag, or a digest", target),
		fmt.Sprintf("`/deploy %s`: one service only", service),
		"`/deploy status`: what is rolling out, how far it is, and who is waited for",
		fmt.Sprintf("`/deploy status %s`: the same, there only", target),
		fmt.Sprintf("`/deploy abort %s too many errors`: stop, with a reason; traffic goes back to the old revision", target),
		"`/deploy help`: this",
		"Approving and deciding is done with the buttons on the card.",
	}
	if known := targets(file); len(known) > 0 {
		lines = append(lines, fmt.Sprintf("Targets: %s.", targetList(known)))
	}
	return strings.Join(lines, "\n")
}

// unsupported answers a verb that this version does not carry out.
func unsupported(v Verb) string {
	text := fmt.Sprintf("This version does not know '%s'. Nothing was done. It can: `/deploy TARGET`, `status`, `abort` and `help`.", v)
	switch v {
	case "approve", "reject", "retry", "promote", "resume":
		text += " Approving and deciding is done with the buttons on the card."
	case "rollback", "pause":
		text += " `/deploy abort TARGET` stops a rollout and returns its traffic to the old revision."
	}
	return text
}
