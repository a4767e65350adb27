package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway/plan"
	"slipway/rollout"
)

// Turn is a button on the message that calls somebody out of the line: Deploy, or with Pass the other one.
type Turn struct {
	Lock  plan.Target // what is kept for them
	Fence int64       // of the lock by which it is
	For   plan.Target // what they want to deploy, and which version of it
	What  string
	Pass  bool
}

// behind says who or what keeps a rollout from starting, and how to get in line.
func (h *Handler) behind(ctx context.Context, req Request, lock rollout.Lock, target plan.Target, what string) Reply {
	advice, order := "Nothing was started. "+hint(lock), strings.TrimSpace(fmt.Sprintf("queue %s %s", target, what))
	if beyond(req, string(Queue)) != "" {
		order = ""
	} else {
		advice += fmt.Sprintf(" `/deploy %s` gets you in line.", order)
	}
	return Reply{Text: h.locked(ctx, req, lock, advice), Queue: order}
}

// queue puts somebody in line for a locked target. Whoever is in line and says nothing new is shown it.
func (h *Handler) queue(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return Reply{Text: unknown(file, "target", cmd.Target, nil)}
	}
	env := file.Environment(target.Environment)
	if err := Authorize(ctx, h.Directory, req.Actor, VerbDeploy, Subject{Environment: env, Target: target}); err != nil {
		return h.refused(ctx, req, err)
	}
	lock := env.LockTarget(target)
	line, err := h.lines(ctx)
	if err != nil {
		return h.unread(ctx, req, theLine, err)
	}
	if at := placeOf(line, lock, req.Actor); at >= 0 && (cmd.What == "" || cmd.What == line[at].Turn.What) {
		return Reply{Text: lineOf(line, lock, req), Done: true}
	}
	joining, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	wish := rollout.Lock{
		Target: lock, By: req.Actor, Since: req.At, Reason: "their turn in the queue",
		Turn: rollout.Turn{Target: target, What: cmd.What, Channel: channelOf(env, target, req.Channel)},
	}
	joined, err := h.Queue.Join(joining, req.ID, wish, rollout.TurnTime)
	if err != nil {
		return h.uncertain(ctx, req, "", "getting in line for "+target.String(), err)
	}
	h.Log.InfoContext(ctx, "queued", "env", target.Environment, "service", target.Service, "actor", req.Actor.ID, "position", joined.Position, "request", req.ID)
	return h.joined(req, wish, joined)
}

// joined says where somebody stands.
func (h *Handler) joined(req Request, wish rollout.Lock, at rollout.Joined) Reply {
	turn, order := wish.Turn, typedAs(wish.Turn.Target, wish.Turn.What)
	switch {
	case at.Free:
		return Reply{Text: fmt.Sprintf("%s is free, and nobody waits for it: `%s` starts the rollout. Nothing was done.", wish.Target, order)}
	case at.Turn != nil:
		return Reply{Done: true, Text: fmt.Sprintf("It is your turn: %s is kept for you until %s. `%s` starts the rollout.",
			wish.Target, clock(at.Turn.Expires), typedAs(at.Turn.Turn.Target, at.Turn.Turn.What))}
	case at.Position == 0:
		return Reply{Text: fmt.Sprintf("You were in line for %s, and your turn is over. `/deploy status %s` says how it stands.", wish.Target, wish.Target)}
	}
	where := ""
	if turn.Channel != req.Channel && turn.Channel != req.ChannelName {
		where = " in " + channelName(turn.Channel, turn.Target)
	}
	return Reply{Done: true, Text: fmt.Sprintf("%s You are called%s when it is your turn, and %s is kept for you then for %s. `/deploy unqueue %s` leaves the line.",
		standingAt(at.Position, wish.Target), where, wish.Target, rollout.Period(rollout.TurnTime), turn.Target)}
}

func standingAt(position int, target plan.Target) string {
	if position == 1 {
		return fmt.Sprintf("You are the next in line for %s.", target)
	}
	return fmt.Sprintf("You are number %d in line for %s.", position, target)
}

// unqueue takes somebody out of the line, or gives their turn to the next.
func (h *Handler) unqueue(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return Reply{Text: unknown(file, "target", cmd.Target, nil)}
	}
	return h.leave(ctx, req, file.Environment(target.Environment).LockTarget(target))
}

func (h *Handler) leave(ctx context.Context, req Request, lock plan.Target) Reply {
	leaving, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	left, err := h.Queue.Leave(leaving, req.ID, lock, req.Actor)
	if err != nil {
		return h.uncertain(ctx, req, "", "leaving the line for "+lock.String(), err)
	}
	h.Log.InfoContext(ctx, "left the queue", "env", lock.Environment, "service", lock.Service, "actor", req.Actor.ID, "left", left, "request", req.ID)
	switch left {
	case rollout.LeftTurn:
		return Reply{Text: fmt.Sprintf("You passed: %s is the next one's, or free if nobody waits.", lock), Done: true}
	case rollout.LeftLine:
		return Reply{Text: fmt.Sprintf("You are not in line for %s any more.", lock), Done: true}
	}
	return Reply{Text: fmt.Sprintf("You are not in line for %s. Nothing was done.", lock), Done: true}
}

// turn is a click on the message that calls somebody. It is for that person, while the turn lasts.
func (h *Handler) turn(ctx context.Context, req Request) Reply {
	t := req.Turn
	lock, held, err := h.holder(ctx, t.Lock)
	again := held && lock.Rollout != "" && lock.Rollout == rollout.NewID(req.ID, 0) // this very click began it
	switch {
	case err != nil:
		return h.unread(ctx, req, theLocks, err)
	case again && !t.Pass:
	case !held || !lock.InLine() || lock.Fence != t.Fence:
		return Reply{Text: fmt.Sprintf("This turn is over. Nothing was done. `/deploy status %s` says how it stands.", t.Lock)}
	case !lock.TurnOf(req.Actor):
		order := strings.TrimSpace(fmt.Sprintf("queue %s", t.For))
		return Reply{Queue: order, Text: fmt.Sprintf("It is the turn of %s, until %s. Nothing was done. `/deploy %s` gets you in line.",
			actor(lock.By), clock(lock.Expires), order)}
	case t.Pass:
		return h.leave(ctx, req, t.Lock)
	}
	return h.deploy(ctx, req, Command{Verb: Deploy, Target: t.For.String(), What: t.What})
}

const theLine = "who is in line"

func (h *Handler) lines(ctx context.Context) ([]rollout.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Queue.Lines(ctx)
}

// placeOf is where somebody stands among all who are in line; -1 if they do not.
func placeOf(line []rollout.Lock, target plan.Target, who rollout.Actor) int {
	return slices.IndexFunc(line, func(l rollout.Lock) bool { return l.Target == target && l.By.ID == who.ID })
}

// lineOf lists who waits for a target or for what excludes it.
func lineOf(line []rollout.Lock, target plan.Target, req Request) string {
	var places []string
	for _, l := range line {
		if overlap(l.Target, target) {
			places = append(places, place(len(places)+1, l, target, req))
		}
	}
	if more := len(places) - maxShown; more > 0 {
		places = append(places[:maxShown], fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("In line for %s: %s.", target, strings.Join(places, "; "))
}

func place(number int, l rollout.Lock, target plan.Target, req Request) string {
	text := fmt.Sprintf("%d. %s since %s", number, person(l.By, req.Actor.ID), moment(l.Since, req.At))
	if l.Turn.Target != target {
		return fmt.Sprintf("%s (`%s`)", text, typedAs(l.Turn.Target, plain(l.Turn.What)))
	}
	if l.Turn.What != "" {
		return fmt.Sprintf("%s (%s)", text, plain(l.Turn.What))
	}
	return text
}

// linesOf describes the lines for what a status is about.
func (h *Handler) linesOf(ctx context.Context, req Request, concerns func(plan.Target) bool) []string {
	line, err := h.lines(ctx)
	if err != nil {
		return []string{h.unread(ctx, req, theLine, err).Text}
	}
	var texts []string
	var seen []plan.Target
	for _, l := range line {
		if concerns(l.Target) && !slices.Contains(seen, l.Target) {
			seen = append(seen, l.Target)
			texts = append(texts, lineOf(line, l.Target, req))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return []string{strings.Join(texts, "\n")}
}
