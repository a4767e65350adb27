package commands

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

// What people do about incidents, by a button or typed.
const (
	VerbAcknowledge rollout.Verb = "acknowledge"
	VerbSilence     rollout.Verb = "silence" // of a button for an hour
	VerbResolve     rollout.Verb = "resolve"
)

// Incidents keeps the incidents; *incident.Monitor does.
type Incidents interface {
	// Cases returns the incidents that are open, and those that ended in the last half hour, oldest first.
	Cases(ctx context.Context) ([]incident.Case, error)
	// Act does something about the incidents of an ID, as incident.Book.Act does, and returns the case. An error
	// of type incident.Refusal is for people; with another nothing is known to have been done.
	Act(ctx context.Context, id string, act func(incident.Incident) (incident.Incident, error)) (incident.Case, error)
	// Sources says of each service that is watched where its numbers come from; one that nobody watches, as no
	// replica could yet or its log may not be read, is left out.
	Sources(ctx context.Context) ([]incident.Source, error)
}

const theIncidents = "the incidents"

func (h *Handler) cases(ctx context.Context) ([]incident.Case, error) {
	if h.Incidents == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Incidents.Cases(ctx)
}

func (h *Handler) sources(ctx context.Context) ([]incident.Source, error) {
	if h.Incidents == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return h.Incidents.Sources(ctx)
}

// incidents lists those that are open or have just ended, everywhere or of one target, and says what is watched:
// no news is good news only of that.
func (h *Handler) incidents(ctx context.Context, req Request, cmd Command) Reply {
	concerns, no := h.concerning(cmd.Target)
	if no != "" {
		return Reply{Text: no}
	}
	cases, err := h.cases(ctx)
	if err != nil {
		return h.unread(ctx, req, theIncidents, err)
	}
	sources, err := h.sources(ctx)
	if err != nil {
		return h.unread(ctx, req, theSources, err)
	}
	w := watching(h.File(), sources, concerns)
	open, over := inOrder(cases, concerns)
	var lines []string
	switch {
	case len(open) > 0:
		lines = append(accounts(open, req), howToAct(open[0]))
	case len(w.by) > 0:
		lines = []string{"No incident is open."}
	default:
		lines = []string{"No incident is known, and nobody is watching."}
	}
	lines = append(lines, accounts(over, req)...)
	return Reply{Text: strings.Join(append(lines, w.sentences(req)...), "\n"), Done: true}
}

// concerning reads a target; "" is everything. no says why there is none.
func (h *Handler) concerning(typed string) (concerns func(plan.Target) bool, no string) {
	if typed == "" {
		return func(plan.Target) bool { return true }, ""
	}
	target, ok := findTarget(h.File(), typed)
	if !ok {
		return nil, unknown(h.File(), "target", typed, nil)
	}
	return func(t plan.Target) bool { return overlap(t, target) }, ""
}

// inOrder are the incidents that people were told of: those that nobody has in front, the newest first.
func inOrder(cases []incident.Case, concerns func(plan.Target) bool) (open, over []incident.Incident) {
	for _, c := range cases {
		for _, i := range c.Incidents {
			switch {
			case !concerns(i.Key.Target):
			case i.State == incident.Resolved:
				over = append(over, i)
			default:
				open = append(open, i)
			}
		}
	}
	slices.SortStableFunc(open, func(a, b incident.Incident) int {
		return cmp.Or(cmp.Compare(gravity(a), gravity(b)), b.Fired.Compare(a.Fired))
	})
	slices.SortStableFunc(over, func(a, b incident.Incident) int { return b.Resolved.Compare(a.Resolved) })
	return open, over
}

func gravity(i incident.Incident) int {
	return slices.Index([]incident.State{incident.Firing, incident.Flapping, incident.Acknowledged, incident.Silenced}, i.State)
}

func accounts(list []incident.Incident, req Request) []string {
	var lines []string
	for _, i := range list {
		lines = append(lines, fmt.Sprintf("`%s` %s. %s", i.ID, headlineOf(i, req), stateOf(i, req)))
	}
	if more := len(lines) - maxShown; more > 0 {
		lines = append(lines[:maxShown], fmt.Sprintf("And %s more: `/deploy incidents TARGET` shows those of one target.", rollout.Counted(int64(more), "incident")))
	}
	return lines
}

// headlineOf is the first line of an incident's message. What comes out of logs is made harmless.
func headlineOf(i incident.Incident, req Request) string {
	i.Match, i.Revision = plain(i.Match), plain(i.Revision)
	h := incident.HeadlineOf([]incident.Incident{i})
	if h.Until.IsZero() {
		return h.Fault + " since " + moment(h.Since, req.At) + h.Rest
	}
	return h.Fault + " " + moment(h.Since, req.At) + "–" + moment(h.Until, req.At) + h.Rest
}

// stateOf says who has an incident, or what became of it.
func stateOf(i incident.Incident, req Request) string {
	by := person(rollout.Actor(i.By), req.Actor.ID)
	switch i.State {
	case incident.Acknowledged:
		if i.By.ID == req.Actor.ID {
			return fmt.Sprintf("You have had it since %s.", moment(i.ByAt, req.At))
		}
		return fmt.Sprintf("%s has had it since %s.", by, moment(i.ByAt, req.At))
	case incident.Silenced:
		if i.By == (incident.Person{}) {
			return fmt.Sprintf("Silenced until %s.", moment(i.Until, req.At))
		}
		return fmt.Sprintf("Silenced until %s by %s.", moment(i.Until, req.At), by)
	case incident.Flapping:
		return "It comes and goes."
	case incident.Resolved:
		if i.By == (incident.Person{}) {
			return fmt.Sprintf("By itself, at %s.", moment(i.Resolved, req.At))
		}
		return fmt.Sprintf("By %s, at %s.", by, moment(i.Resolved, req.At))
	}
	return "Nobody has it."
}

func howToAct(i incident.Incident) string {
	return fmt.Sprintf("`/deploy ack %s` says that you have it, `/deploy silence %[1]s 2h` keeps it quiet, `/deploy resolve %[1]s` ends it.", i.ID)
}

// openIn are the open incidents that a status is about.
func (h *Handler) openIn(ctx context.Context, req Request, concerns func(plan.Target) bool) []string {
	cases, err := h.cases(ctx)
	if err != nil {
		return []string{h.unread(ctx, req, theIncidents, err).Text}
	}
	open, _ := inOrder(cases, concerns)
	if len(open) == 0 {
		return nil
	}
	return []string{strings.Join(append([]string{"Open incidents:"}, accounts(open, req)...), "\n")}
}
