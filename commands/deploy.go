package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"slipway/plan"
	"slipway/rollout"
)

// deploy starts a rollout, or says who or what keeps it from starting.
func (h *Handler) deploy(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	switch {
	case !ok:
		return Reply{Text: unknown(file, "command or target", cmd.Target, supported())}
	case req.Mention:
		return Reply{Text: fmt.Sprintf("Rollouts are started with `%s`, so that nobody starts one by talking about it. Nothing was started. All other commands work here, too: `/deploy help` lists them.", typedAs(target, cmd.What))}
	}
	env := file.Environment(target.Environment)
	steps, err := file.PlanFor(target)
	if err != nil {
		return Reply{Text: "Nothing was started: " + sentence(err.Error())}
	}
	if err := Authorize(ctx, h.Directory, req.Actor, VerbDeploy, Subject{Environment: env, Target: target}); err != nil {
		return h.refused(ctx, req, err)
	}
	// A store that does not answer is found here, where it is certain that nothing was done yet.
	if lock, held, err := h.holder(ctx, env.LockTarget(target)); err != nil {
		return h.unread(ctx, req, theLocks, err)
	} else if held && lock.Rollout == "" && !lock.TurnOf(req.Actor) {
		return h.behind(ctx, req, lock, target, cmd.What)
	}
	channel := channelOf(env, target, req.Channel)
	if missing := h.missing(ctx, req, channel, asksOf(steps)); len(missing) > 0 {
		return Reply{Text: "Nothing was started. " + strings.Join(missing, " ")}
	}
	starting, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	r, err := h.Engine.Start(starting, rollout.Request{
		Token: req.ID, Target: target, Environment: env, Plan: steps, What: cmd.What,
		By: req.Actor, Channel: channel, At: req.At,
	})
	if locked, ok := errors.AsType[*rollout.LockedError](err); ok {
		return h.behind(ctx, req, locked.Lock, target, cmd.What)
	}
	if err != nil {
		return h.notStarted(ctx, req, target, err)
	}
	h.Log.InfoContext(ctx, "rollout started", "rollout", r.ID, "env", target.Environment, "actor", req.Actor.ID, "request", req.ID)
	return Reply{Text: fmt.Sprintf("Starting %s%s.%s", name(&r), cardIn(req, channel, target), failedBefore(&r)), Done: true, Rollout: r.ID}
}

// missing says what of Slack a rollout would need and not find: its card would be seen by nobody, or
// nobody could approve it. If Slack does not say, the rollout begins all the same.
func (h *Handler) missing(ctx context.Context, req Request, channel string, handles []string) []string {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	sentences, err := h.Directory.Missing(ctx, channel, handles)
	if err != nil {
		h.Log.WarnContext(ctx, "cannot check channel and groups", "request", req.ID, "err", err)
	}
	return sentences
}

// asksOf lists whom the plan's approval steps name.
func asksOf(p *plan.Plan) []string {
	var handles []string
	for _, phase := range p.Phases {
		for _, s := range phase.Steps {
			if s.Approval != nil {
				handles = append(handles, s.Approval.Approvers...)
			}
		}
	}
	return handles
}

// typedAs is the command that starts a rollout.
func typedAs(target plan.Target, what string) string {
	return strings.TrimSpace(fmt.Sprintf("/deploy %s %s", target, what))
}

// cardIn says where the card is, if that is not where the command was typed.
func cardIn(req Request, channel string, target plan.Target) string {
	if channel == req.Channel || channel == req.ChannelName {
		return ""
	}
	return ": the card is in " + channelName(channel, target)
}

// failedBefore mentions the question that a rollout of an image that has failed begins with.
func failedBefore(r *rollout.Rollout) string {
	if first := r.Phases[0]; !first.Added || first.Name != rollout.PhaseAgain {
		return ""
	}
	return " It asks on its card before it begins, because the last rollout of this image failed."
}

// channelOf returns where the card goes: the service's channel, the environment's, or the one in
// which the command was typed.
func channelOf(env *plan.Environment, target plan.Target, typedIn string) string {
	if s := env.Service(target.Service); s != nil && s.Channel != "" {
		return s.Channel
	}
	if env.Channel != "" {
		return env.Channel
	}
	return typedIn
}

// channelName writes a channel for people. IDs are capitals and digits, names are never capitals.
func channelName(channel string, target plan.Target) string {
	if channel == strings.ToUpper(channel) {
		return "the channel of " + target.String()
	}
	return "#" + channel
}

// notStarted answers a deploy or a rollback that the engine did not start.
func (h *Handler) notStarted(ctx context.Context, req Request, target plan.Target, err error) Reply {
	var locked *rollout.LockedError
	if errors.As(err, &locked) {
		return Reply{Text: h.locked(ctx, req, locked.Lock, "Nothing was started. "+hint(locked.Lock))}
	}
	if reason, ok := safe(err); ok {
		h.Log.WarnContext(ctx, "rollout not started", "env", target.Environment, "actor", req.Actor.ID, "request", req.ID, "err", err)
		return Reply{Text: "Nothing was started. " + reason + wayOut(err)}
	}
	return h.uncertain(ctx, req, "", "starting "+target.String(), err)
}

// wayOut is what a failure says besides, such as the commands that end it: a line each.
func wayOut(err error) string {
	failure, ok := errors.AsType[*rollout.Failure](err)
	if !ok || failure.Label != rollout.LabelLost {
		return ""
	}
	text := ""
	for line := range strings.SplitSeq(failure.Detail, "\n") {
		text += "\n" + unmarked(line)
	}
	return text
}
