package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/plan"
	"slipway/rollout"
)

// dryRun says what a rollout would do: it looks at everything that a start looks at, and makes the
// same snapshot, but keeps it to itself.
func (h *Handler) dryRun(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return Reply{Text: unknown(file, "target", cmd.Target, nil)}
	}
	env := file.Environment(target.Environment)
	steps, err := file.PlanFor(target)
	if err != nil {
		return Reply{Text: upper(sentence(err.Error()))}
	}
	looking, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	services, err := rollout.LookAtAll(looking, env, target, func(ctx context.Context, s plan.Service) (rollout.Service, error) {
		return h.Traffic.Inspect(ctx, s, cmd.What, req.At)
	})
	if err != nil {
		return h.unseen(ctx, req, target, err)
	}
	r, _ := rollout.New(rollout.Request{
		Token: req.ID, Target: target, Environment: env, Plan: steps, What: cmd.What, By: req.Actor, Channel: req.Channel, At: req.At,
	}, rollout.NewID(req.ID, 0), services)
	lines := []string{fmt.Sprintf("What `%s` would do, by the plan '%s'; nothing was started.", typedAs(target, cmd.What), plain(steps.Name))}
	lines = append(lines, h.inTheWay(ctx, req, env.LockTarget(target))...)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		lines = append(lines, change(services[name]))
	}
	lines = append(lines, phases(&r)...)
	lines = append(lines, onFailure(&r))
	return Reply{Text: strings.Join(append(lines, forecasts(&r)...), "\n"), Done: true}
}

// inTheWay is the lock that would keep a rollout from starting.
func (h *Handler) inTheWay(ctx context.Context, req Request, target plan.Target) []string {
	lock, held, err := h.holder(ctx, target)
	switch {
	case err != nil:
		h.Log.WarnContext(ctx, "cannot read the lock", "env", target.Environment, "request", req.ID, "err", err)
		return []string{"Whether it is locked could not be read."}
	case !held, lock.TurnOf(req.Actor):
		return nil
	case lock.Rollout == "":
		return []string{"It would not start now: " + lockedSince(lock, req) + lockTerms(lock, req.At)}
	}
	at, _ := h.lockedBy(ctx, req, lock.Rollout)
	return []string{fmt.Sprintf("It would not start now: %s: %s.", lockedSince(lock, req), at)}
}

// change is what a rollout would change in a service, and how the service does now.
func change(s rollout.Service) string {
	old, digest, _ := strings.Cut(s.OldImage, "@")
	was := image("", digest)
	if digest == "" {
		was = plain(old)
	}
	text := fmt.Sprintf("%s: %s → %s. %s serves now", s.Name, was, image(s.Image.Tag, s.Image.Digest), s.Stable.Name)
	if digest == s.Image.Digest {
		text = fmt.Sprintf("%s: %s is what %s serves already", s.Name, image(s.Image.Tag, s.Image.Digest), s.Stable.Name)
	}
	b := s.Baseline
	switch {
	case b == nil || b.Problem != "":
		return text + "; its error rate is unknown."
	case b.Requests == 0:
		return text + "; it got no requests lately."
	}
	return fmt.Sprintf("%s: errors %s, %s.", text, rate(b.Errors, b.Requests), rollout.PerSecond(b.PerSecond()))
}

// phases lists the steps by phase, and behind an approval who has to give it.
func phases(r *rollout.Rollout) []string {
	var lines []string
	for i, p := range r.Phases {
		names := make([]string, len(p.Steps))
		for j, s := range p.Steps {
			names[j] = plain(s.Spec.Name)
			if s.Spec.Approval != nil {
				names[j] += " (" + approvers(r, s.Spec.Approval) + ")"
			}
		}
		together := ""
		if p.Parallel && len(names) > 1 {
			together = ", all at once"
		}
		lines = append(lines, fmt.Sprintf("%d. %s%s: %s", i+1, plain(p.Name), together, strings.Join(names, " · ")))
	}
	return lines
}

// approvers says who must agree, and for how long they are asked.
func approvers(r *rollout.Rollout, a *plan.Approval) string {
	who := orElse(a.Approvers, r.Environment.DeployersOf(r.Target))
	text := fmt.Sprintf("%d of ", a.Required)
	if len(who) == 0 {
		text += "everyone"
	} else {
		text += mentions(who)
	}
	if !a.Self {
		text += ", not whoever starts it"
	}
	return text + ", within " + a.Expires.String()
}

func onFailure(r *rollout.Rollout) string {
	switch r.OnFailure {
	case plan.OnFailureRollback:
		return "If a step fails, traffic goes back to the old revision by itself, unless that one is known to be worse."
	case plan.OnFailureInsist:
		return "If a step fails, traffic goes back to the old revision by itself, even if that one is known to be worse."
	case plan.OnFailureAsk:
		return "If a step fails, everything stays as it is and whoever started it is asked."
	}
	return "If a step fails, everything stays as it is until someone decides."
}
