package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway/plan"
	"slipway/rollout"
)

// Subject is what somebody wants to act upon.
type Subject struct {
	Environment *plan.Environment // of a rollout: the one frozen in it
	Target      plan.Target
	Starter     rollout.Actor // who started the rollout; zero for a deploy
	Ask         *rollout.Ask  // the question that is answered; nil: none is
}

// subjectOf is the rollout as a subject, with the question ask, which may be nil.
func subjectOf(r *rollout.Rollout, ask *rollout.Ask) Subject {
	return Subject{Environment: &r.Environment, Target: r.Target, Starter: r.By, Ask: ask}
}

// The verbs under which what is no answer to a rollout is authorised.
const (
	VerbDeploy rollout.Verb = "deploy"
	VerbLock   rollout.Verb = "lock"
	VerbUnlock rollout.Verb = "unlock"
)

// Denied says that the actor may not. Reason is a sentence for the actor, in Reply's notation.
type Denied struct{ Reason string }

func (d *Denied) Error() string { return d.Reason }

// Unchecked says that it is not known whether the actor belongs to Who.
type Unchecked struct {
	Who []string
	Err error
}

func (u *Unchecked) Error() string {
	return "check membership of " + strings.Join(u.Who, ", ") + ": " + u.Err.Error()
}

func (u *Unchecked) Unwrap() error { return u.Err }

// Authorize returns nil if actor may do verb to s, a *Denied if not, and an *Unchecked if dir
// could not say.
//
//   - Deploying, rolling back, locking and unlocking, and stopping or pausing a rollout: the
//     environment's deployers, else the owners of its services, else everyone.
//   - Approving: those whom the approval asks; who started the rollout only if it says so.
//   - Rejecting: the same, and always who started it.
//   - Doing something about an incident: whoever may deploy, the owners of the service, and all who are called.
//   - Answering another question: those whom it asks, else as deploying. What ends in the old
//     revision is open to whoever may stop the rollout as well.
func Authorize(ctx context.Context, dir Directory, actor rollout.Actor, verb rollout.Verb, s Subject) error {
	who := s.Environment.DeployersOf(s.Target)
	if verb == VerbAcknowledge || verb == VerbSilence || verb == VerbResolve {
		who = union(onCall(s.Environment, s.Target.Service), who)
	}
	if s.Ask != nil {
		starter := actor.ID == s.Starter.ID
		asked := s.Ask.Who
		switch {
		case verb == rollout.VerbReject && starter:
			return nil
		case verb == rollout.VerbApprove && starter && !s.Ask.Self:
			return &Denied{ownApproval(orElse(asked, who))}
		case len(asked) > 0 && (verb == rollout.VerbRollback || verb == rollout.VerbAbort):
			who = union(asked, who)
		case len(asked) > 0:
			who = asked
		}
	}
	if len(who) == 0 || slices.Contains(who, actor.ID) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	ok, err := dir.Member(ctx, actor.ID, who)
	switch {
	case err != nil:
		return &Unchecked{Who: who, Err: err}
	case !ok:
		return &Denied{notAmong(who, verb, s)}
	}
	return nil
}

// beyond says that a robot wants to do what deploy.yaml does not let it; "" if it may, or is a person.
// Whether the target's rules allow it as well is for Authorize.
func beyond(req Request, verb string) string {
	if req.May == nil || slices.Contains(req.May, verb) {
		return ""
	}
	return fmt.Sprintf("%s may not do `%s`: `may` of %s in deploy.yaml has %s only. Nothing was done.",
		actor(req.Actor), verb, plain(req.Actor.ID), enumerate(req.May, " and "))
}

// robotsGroups is what a robot that was denied needs to know besides, behind a space.
func robotsGroups(req Request) string {
	if req.May == nil {
		return ""
	}
	return fmt.Sprintf(" A robot belongs to the `groups` of %s in deploy.yaml and to no others.", plain(req.Actor.ID))
}

// union returns both lists in one; empty if the second one is, because that means everyone.
func union(asked, deployers []string) []string {
	if len(deployers) == 0 {
		return nil
	}
	all := slices.Clone(asked)
	for _, d := range deployers {
		if !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

// onCall are the owners of a service and those who are called about it.
func onCall(e *plan.Environment, service string) []string {
	var all []string
	if s := e.Service(service); s != nil {
		all = append(all, s.Owners...)
	}
	if a := e.AlertsOf(service); a != nil {
		all = append(all, a.Mention...)
		if a.Escalate != nil {
			all = append(all, a.Escalate.To...)
		}
	}
	var once []string
	for _, who := range all {
		if !slices.Contains(once, who) {
			once = append(once, who)
		}
	}
	return once
}

func orElse(list, otherwise []string) []string {
	if len(list) > 0 {
		return list
	}
	return otherwise
}

func ownApproval(approvers []string) string {
	of := ""
	if len(approvers) > 0 {
		of = " of " + mentions(approvers)
	}
	return fmt.Sprintf("You started this rollout; someone else%s must approve it.", of)
}

func notAmong(who []string, verb rollout.Verb, s Subject) string {
	among := "you are not in it"
	if len(who) > 1 {
		among = "you are none of them"
	} else if !strings.HasPrefix(who[0], "@") && !strings.HasPrefix(who[0], "S") {
		among = "you are someone else"
	}
	return fmt.Sprintf("Only %s may %s; %s.", mentions(who), infinitive(verb, s.Target, s.Ask != nil), among)
}

// infinitive says what was to be done, as in "Only … may approve this".
func infinitive(verb rollout.Verb, target plan.Target, asked bool) string {
	switch {
	case verb == VerbDeploy:
		return "deploy to " + target.String()
	case verb == VerbLock, verb == VerbUnlock:
		return string(verb) + " " + target.String()
	case verb == VerbAcknowledge, verb == VerbSilence, verb == VerbResolve:
		return string(verb) + " incidents of " + target.String()
	case verb == rollout.VerbAbort, verb == rollout.VerbHold && !asked:
		return "stop rollouts of " + target.String()
	case verb == rollout.VerbPause:
		return "pause rollouts of " + target.String()
	case verb == rollout.VerbRollback && !asked:
		return "roll back " + target.String()
	case verb == rollout.VerbApprove, verb == rollout.VerbReject, verb == rollout.VerbConfirm:
		return string(verb) + " this"
	}
	return "decide about this"
}
