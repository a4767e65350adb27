package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// rollback sends a target's traffic back to a revision that served before. Where a deployment runs,
// that is what stopping it does; else it is a rollout of its own, which asks nobody.
func (h *Handler) rollback(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return Reply{Text: unknown(file, "target", cmd.Target, nil)}
	}
	env := file.Environment(target.Environment)
	if cmd.What != "" && target.Service == "" && len(env.Services) > 1 {
		return Reply{Text: oneService(env, target, cmd.What)}
	}
	if err := Authorize(ctx, h.Directory, req.Actor, rollout.VerbRollback, Subject{Environment: env, Target: target}); err != nil {
		return h.refused(ctx, req, err)
	}
	active, err := h.active(ctx)
	if err != nil {
		return h.unread(ctx, req, theRollouts, err)
	}
	switch running := about(active, target); {
	case running == nil:
		return h.startRollback(ctx, req, cmd, env, target)
	case running.Kind == rollout.Rollback && running.Token == req.ID:
		return Reply{Text: rollingBack(req, running), Done: true, Rollout: running.ID}
	case running.Kind == rollout.Rollback:
		return Reply{Text: fmt.Sprintf("%s runs already, started by %s at %s. Nothing else was started. %s",
			upper(title(running)), person(running.By, req.Actor.ID), clock(running.Created), headline(running))}
	default:
		return h.stopInstead(ctx, req, cmd, running)
	}
}

// oneService says that a revision was named for several.
func oneService(env *plan.Environment, target plan.Target, revision string) string {
	return fmt.Sprintf("A revision belongs to one service: say which, as in `/deploy rollback %s/%s %s`. Nothing was done.",
		target, env.Services[0].Name, revision)
}

// stopInstead stops the deployment that runs: its traffic then goes back to what served before it.
func (h *Handler) stopInstead(ctx context.Context, req Request, cmd Command, r *rollout.Rollout) Reply {
	reply := h.answer(ctx, req, *r, said{verb: rollout.VerbAbort, reason: unmarked(cmd.Reason)})
	reply.Text = "A rollout runs there, so the way back is to stop it. " + reply.Text
	if cmd.What != "" {
		reply.Text += fmt.Sprintf(" For %s, type `/deploy rollback %s %[1]s` again when it has ended.", cmd.What, r.Target)
	}
	return reply
}

func (h *Handler) startRollback(ctx context.Context, req Request, cmd Command, env *plan.Environment, target plan.Target) Reply {
	past, err := h.ended(ctx, env.Name, historyLines)
	if err != nil && cmd.What == "" {
		return h.unread(ctx, req, theHistory, err)
	}
	if r := stoppedBy(past, req); r != nil && r.Target == target {
		return Reply{Text: next(r), Done: true, Rollout: r.ID}
	}
	starting, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if cmd.What != "" {
		serving, err := h.Traffic.InspectRevision(starting, *serviceOf(env, target), "", req.At)
		switch {
		case err != nil:
			return h.unseen(ctx, req, target, err)
		case isCalled(serving, cmd.What) && h.servesAll(starting, *serviceOf(env, target), cmd.What, req.At):
			return Reply{Text: fmt.Sprintf("%s serves %s already. Nothing was done.", serving.Stable.Name, serving.Name)}
		}
	}
	r, err := h.Engine.Rollback(starting, rollout.RollbackRequest{
		Token: req.ID, Target: target, Environment: env, Revision: cmd.What, Reason: unmarked(cmd.Reason),
		By: req.Actor, Channel: channelOf(env, target, req.Channel), At: req.At,
	})
	if err != nil {
		return h.notStarted(ctx, req, target, err)
	}
	h.Log.InfoContext(ctx, "rollback started", "rollout", r.ID, "env", target.Environment, "actor", req.Actor.ID, "request", req.ID)
	return Reply{Text: rollingBack(req, &r), Done: true, Rollout: r.ID}
}

// undo goes back from a rollout that succeeded and failed since, unless it is not what serves any more.
func (h *Handler) undo(ctx context.Context, req Request, r *rollout.Rollout) Reply {
	past, err := h.ended(ctx, r.Target.Environment, historySearch)
	if err != nil {
		return h.unread(ctx, req, theHistory, err)
	}
	for _, later := range past {
		if overlap(later.Target, r.Target) && later.Created.After(r.End.At) && later.Token != req.ID {
			return Reply{Text: fmt.Sprintf("%s came since, so this is not what serves now. Nothing was done. `/deploy rollback %s` goes back from that.",
				upper(title(&later)), r.Target)}
		}
	}
	cmd := Command{Verb: Rollback, Target: r.Target.String(), Reason: r.Watch.Outcome.Note}
	if len(r.Services) == 1 {
		for _, s := range r.Services {
			cmd.What = s.Stable.Name
		}
	}
	return h.rollback(ctx, req, cmd)
}

// stoppedBy finds the rollout that this very request has stopped when it was delivered before. Going
// back once more from what it led to would be a second rollback that nobody wants.
func stoppedBy(past []rollout.Rollout, req Request) *rollout.Rollout {
	for i, r := range past {
		if r.Stop != nil && r.Stop.By != nil && r.Stop.By.ID == req.Actor.ID && r.Stop.At.Equal(req.At) {
			return &past[i]
		}
	}
	return nil
}

// serviceOf is the one service that a target is about.
func serviceOf(env *plan.Environment, target plan.Target) *plan.Service {
	if target.Service == "" {
		return env.Services[0]
	}
	return env.Service(target.Service)
}

// isCalled reports whether the serving revision is the one that was typed, in full or as 00041.
func isCalled(s rollout.Service, typed string) bool {
	short := strings.TrimPrefix(s.Stable.Name, s.CloudRun+"-")
	return typed == s.Stable.Name || typed == short || strings.HasPrefix(short, typed+"-")
}

// servesAll reports whether a revision that serves gets all traffic already, so that there is no way to it.
func (h *Handler) servesAll(ctx context.Context, service plan.Service, name string, at time.Time) bool {
	_, err := h.Traffic.InspectRevision(ctx, service, name, at)
	_, refused := errors.AsType[*rollout.Failure](err)
	return refused
}

// rollingBack says that a rollback has begun, and what follows it.
func rollingBack(req Request, r *rollout.Rollout) string {
	var moves []string
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		s := r.Services[service]
		moves = append(moves, fmt.Sprintf("%s to %s from %s", service, s.Candidate.Name, s.Stable.Name))
	}
	return fmt.Sprintf("Rolling back %s on %s%s. When it is done, %s stays locked until `/deploy unlock %s`.",
		enumerate(moves, " and "), r.Target.Environment, cardIn(req, r.Channel, r.Target), r.Lock.Target, r.Lock.Target)
}
