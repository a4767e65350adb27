package commands

import (
	"fmt"
	"slices"
	"strings"

	"slipway/plan"
)

// findTarget reads a target. Capitals are forgiven: phones write them by themselves.
func findTarget(file *plan.File, text string) (plan.Target, bool) {
	for _, spelling := range []string{text, strings.ToLower(text)} {
		if target, err := plan.ParseTarget(file, spelling); err == nil {
			return target, true
		}
	}
	return plan.Target{}, false
}

// unknown says that text is no what ("target"), and which of the targets or words may have been meant.
func unknown(file *plan.File, what, text string, words []string) string {
	known := targets(file)
	meant := homes(known, strings.ToLower(text))
	if near, ok := plan.Nearest(text, slices.Concat(known, words)); ok && len(meant) == 0 {
		meant = []string{near}
	}
	head := fmt.Sprintf("No %s '%s'.", what, plain(text))
	if len(meant) > 0 {
		return fmt.Sprintf("%s Did you mean %s?", head, or(meant))
	}
	return fmt.Sprintf("%s Targets are %s. `/deploy help` shows what can be typed.", head, targetList(known))
}

// targets lists all that a rollout can be about, environments first.
func targets(file *plan.File) []string {
	var list []string
	for _, e := range file.Environments {
		list = append(list, e.Name)
	}
	for _, e := range file.Environments {
		for _, s := range e.Services {
			list = append(list, plan.Target{Environment: e.Name, Service: s.Name}.String())
		}
	}
	return list
}

// homes returns the targets of a service that was typed without its environment.
func homes(known []string, service string) []string {
	var list []string
	for _, target := range known {
		if strings.HasSuffix(target, "/"+service) && !strings.Contains(service, "/") {
			list = append(list, target)
		}
	}
	return list
}

// targetList names targets for people; of very many only the first.
func targetList(known []string) string {
	const shown = 12
	if len(known) > shown {
		return strings.Join(known[:shown], ", ") + fmt.Sprintf(" and %d more", len(known)-shown)
	}
	return enumerate(known, " and ")
}
