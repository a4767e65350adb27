package commands

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

// This file is what people do about incidents.

// treatment is what somebody does about the incidents of an ID.
type treatment struct {
	verb  rollout.Verb
	id    string // of an incident, or of the thread that several share; "": of the one that is open
	lasts time.Duration
}

// usualSilence is how long one lasts of which nothing else is said, such as by the button.
const usualSilence = time.Hour

// isIncident reports whether text can be an incident's ID at all; what a button sends may be forged.
func isIncident(text string) bool { return regexp.MustCompile(`^[0-9a-z]{1,6}$`).MatchString(text) }

// incidentClick is the press of a button on an incident's message. Every one is answered.
func (h *Handler) incidentClick(ctx context.Context, req Request) Reply {
	c := req.Click
	h.Log.DebugContext(ctx, "click", "incident", c.Incident, "verb", c.Verb, "actor", req.Actor.ID, "request", req.ID)
	switch {
	case !isIncident(c.Incident):
		return Reply{Text: noIncident(c.Incident)}
	case c.Verb == rollout.VerbRollback && c.Back != nil:
		return h.goBack(ctx, req)
	case c.Verb == VerbAcknowledge, c.Verb == VerbSilence, c.Verb == VerbResolve:
		return h.treat(ctx, req, treatment{verb: c.Verb, id: c.Incident, lasts: usualSilence})
	}
	return Reply{Text: "This button does not fit an incident. Nothing was done. `/deploy incidents` lists those that are open."}
}

func noIncident(id string) string {
	return fmt.Sprintf("Incident %s is not on record any more, or never was. Nothing was done. `/deploy incidents` lists those that are open.", plain(id))
}

// goBack is `/deploy rollback` to the revision on the button, with the incident for a reason.
func (h *Handler) goBack(ctx context.Context, req Request) Reply {
	id, back := req.Click.Incident, req.Click.Back
	cmd := Command{Verb: Rollback, Target: back.Target, Reason: "incident " + id}
	for _, revision := range back.Revisions {
		cmd.What = revision
	}
	if len(back.Revisions) != 1 || !isRevision(cmd.What) {
		return Reply{Text: "This button does not say where to go back to. Nothing was done. `/deploy rollback TARGET REVISION` goes back."}
	}
	cases, err := h.cases(ctx)
	if err != nil { // the way back does not depend on it
		h.Log.WarnContext(ctx, "rolling back without having read the incident", "incident", id, "request", req.ID, "err", err)
		return h.rollback(ctx, req, cmd)
	}
	about := concerned(cases, id)
	switch {
	case len(about) == 0:
		return Reply{Text: noIncident(id) + fmt.Sprintf(" `/deploy rollback %s %s` goes back all the same.", plain(back.Target), cmd.What)}
	case areOver(about):
		return Reply{Text: ended(about, req) + fmt.Sprintf(" `/deploy rollback %s %s` goes back all the same.", plain(back.Target), cmd.What)}
	}
	first := about[0]
	if at := slices.IndexFunc(about, func(i incident.Incident) bool { return i.Key.Target.String() == back.Target }); at >= 0 {
		first = about[at]
	}
	cmd.Reason = cut(cmd.Reason+": "+oneLine(first.Headline(req.At.UTC())), maxReason)
	return h.rollback(ctx, req, cmd)
}

// treat does something about incidents, if the actor may.
func (h *Handler) treat(ctx context.Context, req Request, t treatment) Reply {
	cases, err := h.cases(ctx)
	if err != nil {
		return h.unread(ctx, req, theIncidents, err)
	}
	if t.id == "" {
		open := openThreads(cases)
		if len(open) != 1 {
			return h.whichOne(ctx, req, len(open) > 1)
		}
		t.id = open[0]
	}
	about := concerned(cases, t.id)
	switch {
	case len(about) == 0:
		return Reply{Text: noIncident(t.id)}
	case areOver(about):
		return Reply{Text: ended(about, req), Done: t.verb == VerbResolve && about[0].By.ID == req.Actor.ID}
	}
	may, denied := h.mayTreat(ctx, req, t.verb, about)
	if len(may) == 0 {
		return h.refused(ctx, req, denied)
	}
	reply := h.act(ctx, req, t, about, may)
	if reply.Done && denied != nil {
		reply.Text += " The others were left alone: " + h.refused(ctx, req, denied).Text
	}
	return reply
}

// act does it about those of the targets that the actor may do it about.
func (h *Handler) act(ctx context.Context, req Request, t treatment, about []incident.Incident, may []plan.Target) Reply {
	acting, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := h.Incidents.Act(acting, t.id, func(i incident.Incident) (incident.Incident, error) {
		if !slices.Contains(may, i.Key.Target) {
			return i, incident.Refusal("it is not yours to decide about incident " + i.ID)
		}
		return t.to(i, req)
	})
	if refusal, ok := errors.AsType[incident.Refusal](err); ok {
		h.Log.InfoContext(ctx, "nothing was done about an incident", "incident", t.id, "verb", t.verb, "actor", req.Actor.ID, "request", req.ID, "err", err)
		return Reply{Text: upper(sentence(string(refusal))) + " Nothing was done."}
	}
	if err != nil {
		return h.uncertain(ctx, req, "", t.doing(), err)
	}
	h.Log.InfoContext(ctx, "something was done about an incident", "incident", t.id, "verb", t.verb, "actor", req.Actor.ID, "request", req.ID)
	return Reply{Text: t.done(about, may, req), Done: true}
}

// openThreads are the IDs of what is open; what is told in one message counts as one.
func openThreads(cases []incident.Case) []string {
	var ids []string
	for _, c := range cases {
		if !areOver(c.Incidents) {
			ids = append(ids, c.Thread.ID)
		}
	}
	return ids
}

// whichOne shows what is open when it was not said what is meant.
func (h *Handler) whichOne(ctx context.Context, req Request, several bool) Reply {
	text := "Nothing was done."
	if several {
		text = "Nothing was done: say which incident is meant, by its ID."
	}
	return Reply{Text: text + "\n" + h.incidents(ctx, req, Command{Verb: ListIncidents}).Text}
}

// concerned are the incidents of an ID, as incident.Book.Act has it.
func concerned(cases []incident.Case, id string) []incident.Incident {
	for _, c := range cases {
		if c.Thread.ID == id {
			return c.Incidents
		}
		for _, i := range c.Incidents {
			if i.ID == id {
				return []incident.Incident{i}
			}
		}
	}
	return nil
}

func areOver(about []incident.Incident) bool {
	return !slices.ContainsFunc(about, func(i incident.Incident) bool { return i.State != incident.Resolved })
}

// ended says how incidents ended that are over.
func ended(about []incident.Incident, req Request) string {
	last := about[0]
	for _, i := range about {
		if i.Resolved.After(last.Resolved) {
			last = i
		}
	}
	switch {
	case last.By == (incident.Person{}):
		return fmt.Sprintf("Incident %s has resolved by itself, at %s. Nothing was done.", last.ID, moment(last.Resolved, req.At))
	case last.By.ID == req.Actor.ID:
		return fmt.Sprintf("You resolved incident %s at %s. Nothing else was done.", last.ID, moment(last.Resolved, req.At))
	}
	return fmt.Sprintf("Incident %s was resolved by %s at %s. Nothing was done.", last.ID, actor(rollout.Actor(last.By)), moment(last.Resolved, req.At))
}

// mayTreat are the targets of incidents that the actor may do something about; denied is why not the others.
func (h *Handler) mayTreat(ctx context.Context, req Request, verb rollout.Verb, about []incident.Incident) (may []plan.Target, denied error) {
	file, asked := h.File(), []plan.Target(nil)
	for _, i := range about {
		target := i.Key.Target
		if slices.Contains(asked, target) || i.State == incident.Resolved {
			continue
		}
		asked = append(asked, target)
		env := file.Environment(target.Environment)
		var err error
		if env == nil || env.Service(target.Service) == nil {
			err = &Denied{fmt.Sprintf("deploy.yaml does not have %s any more, and so nobody who may %s.", target, infinitive(verb, target, false))}
		} else {
			err = Authorize(ctx, h.Directory, req.Actor, verb, Subject{Environment: env, Target: target})
		}
		if err != nil {
			denied = err
			continue
		}
		may = append(may, target)
	}
	return may, denied
}

// to is what an incident becomes. Nothing becomes of it twice: a request that is delivered again finds what it
// has done, and does not undo what others did since.
func (t treatment) to(i incident.Incident, req Request) (incident.Incident, error) {
	switch by := incident.Person(req.Actor); {
	case t.did(i, req):
		return i, nil
	case i.ByAt.After(req.At):
		return i, incident.Refusal(fmt.Sprintf("%s has done something about incident %s since you asked", i.By.Name, i.ID))
	case t.verb == VerbSilence:
		return i.Silence(by, req.At.Add(t.lasts), req.At)
	case t.verb == VerbResolve:
		return i.Resolve(by, req.At)
	default:
		return i.Acknowledge(by, req.At)
	}
}

// did reports whether the actor has done this before. Who acknowledged something and was asked about it since
// acknowledges it anew.
func (t treatment) did(i incident.Incident, req Request) bool {
	if i.By.ID != req.Actor.ID {
		return false
	}
	switch t.verb {
	case VerbSilence:
		return i.State == incident.Silenced && i.Until.Equal(req.At.Add(t.lasts))
	case VerbResolve:
		return i.State == incident.Resolved
	}
	return i.State == incident.Acknowledged && !i.Said.Called.After(i.ByAt)
}

// doing says what was tried, as in "Something failed while …".
func (t treatment) doing() string {
	switch t.verb {
	case VerbSilence:
		return "silencing incident " + t.id
	case VerbResolve:
		return "resolving incident " + t.id
	}
	return "acknowledging incident " + t.id
}

// done says what happened, and what comes next.
func (t treatment) done(about []incident.Incident, may []plan.Target, req Request) string {
	var what []string
	again := true
	for _, i := range about {
		if i.State != incident.Resolved && slices.Contains(may, i.Key.Target) {
			what = append(what, headlineOf(i, req))
			again = again && t.did(i, req)
		}
	}
	list := strings.Join(what[:min(len(what), maxShown)], "; ")
	if more := len(what) - maxShown; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	switch {
	case t.verb == VerbSilence:
		return fmt.Sprintf("Silenced until %s: %s. Whoever is on call is called again if it still fails then.", moment(req.At.Add(t.lasts), req.At), list)
	case t.verb == VerbResolve:
		return fmt.Sprintf("Resolved, on your word: %s. It opens again if it stops and comes back, or if it still fails in half an hour.", list)
	case again:
		return fmt.Sprintf("You have it already: %s. It is asked about again in 2 h if it still fails.", list)
	}
	return fmt.Sprintf("You have it: %s. It is asked about again in 2 h if it still fails.", list)
}
