package bot

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

// The action_ids of an incident's buttons. Their value is the ID of its thread; that of the way back also says
// where to, as |TARGET SERVICE=REVISION, so that it works while nothing else can be read.
const (
	actionAcknowledge = "incident_acknowledge"
	actionSilence     = "incident_silence"
	actionResolve     = "incident_resolve"
	actionReturn      = "incident_rollback"
	actionLogs        = "incident_logs" // opens a page; Slack tells of the click all the same
)

// mostReturns is how many services have their way back on the message.
const mostReturns = 5

// incidentVerb is what a button of an incident does; ok is false for the others.
func incidentVerb(actionID string) (verb rollout.Verb, ok bool) {
	switch actionID {
	case actionAcknowledge:
		return commands.VerbAcknowledge, true
	case actionSilence:
		return commands.VerbSilence, true
	case actionResolve:
		return commands.VerbResolve, true
	case actionReturn:
		return rollout.VerbRollback, true
	}
	return "", false
}

// incidentClick reads a button of an incident back.
func incidentClick(verb rollout.Verb, value string) (commands.Click, error) {
	id, way, returning := strings.Cut(value, "|")
	if id == "" || returning != (verb == rollout.VerbRollback) {
		return commands.Click{}, fmt.Errorf("button value %q does not fit %s of an incident", cut(value, 80), verb)
	}
	click := commands.Click{Verb: verb, Incident: id}
	if returning {
		if click.Back = readBack(way); click.Back.Target == "" || len(click.Back.Revisions) != 1 {
			return commands.Click{}, fmt.Errorf("button value %q is not INCIDENT|TARGET SERVICE=REVISION", cut(value, 80))
		}
	}
	return click, nil
}

// controls are the buttons, if there are any.
func (a *alert) controls() []slack.Block {
	buttons := a.buttons()
	if len(buttons) == 0 {
		return nil
	}
	return []slack.Block{slack.NewActionBlock(a.id("controls"), buttons...)}
}

// buttons are what can be done about it and where to read on, in the order in which they are wanted: first
// that somebody has it, then what ends it, last what makes it quiet.
func (a *alert) buttons() []slack.BlockElement {
	var buttons []slack.BlockElement
	add := func(action, label string) *slack.ButtonBlockElement {
		b := slack.NewButtonBlockElement(action, a.Thread.ID, plainObject(label, maxButton))
		buttons = append(buttons, b)
		return b
	}
	if a.some(incident.Firing, incident.Flapping, incident.Silenced) {
		add(actionAcknowledge, "Acknowledge").WithStyle(slack.StylePrimary)
	}
	if ways := a.returning(); len(a.targets) == 1 && len(ways) == 1 {
		buttons = append(buttons, a.back(ways[0]))
	}
	if logs := a.logs(); logs != "" {
		buttons = append(buttons, slack.NewButtonBlockElement(actionLogs, "", plainObject("Logs", maxButton)).WithURL(logs))
	}
	if a.some(incident.Firing, incident.Flapping, incident.Acknowledged) {
		add(actionSilence, "Silence 1 h")
	}
	if !a.over() {
		add(actionResolve, "Resolve").WithConfirm(a.confirmResolve())
	}
	return buttons
}

// confirmResolve asks whether it is known to be over while it still fails: then nobody is called for as long
// as it takes to be told again.
func (a *alert) confirmResolve() *slack.ConfirmationBlockObject {
	if !slices.ContainsFunc(a.of, func(i incident.Incident) bool { return i.State != incident.Resolved && i.Alarm }) {
		return nil
	}
	return slack.NewConfirmationBlockObject(
		plainObject("Resolve, though it still fails?", maxDialogTitle),
		plainObject("It resolves by itself once it is over. If you resolve it now, it is told again only if it still fails in half an hour.", maxDialogText),
		plainObject("Resolve", maxDialogButton), plainObject("Not now", maxDialogButton),
	)
}

func (a *alert) some(states ...incident.State) bool {
	return slices.ContainsFunc(a.of, func(i incident.Incident) bool { return slices.Contains(states, i.State) })
}

// returning are the services whose traffic can go back from the revision that fails to the one before.
func (a *alert) returning() []plan.Target {
	var list []plan.Target
	for _, i := range a.of {
		t, s := i.Key.Target, a.About[i.Key.Target].Standing
		fails := i.State != incident.Resolved && i.Key.Kind != incident.Pinned && i.Revision == s.Serving
		if fails && s.Serving != "" && s.Back != "" && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list[:min(len(list), mostReturns)]
}

// back is the button that sends a service's traffic back. It asks whether it is meant: it stands between
// buttons that change nothing.
func (a *alert) back(t plan.Target) *slack.ButtonBlockElement {
	about := a.About[t]
	to := a.short(t, about.Standing.Back)
	value := fmt.Sprintf("%s|%s %s=%s", a.Thread.ID, t, t.Service, about.Standing.Back)
	b := slack.NewButtonBlockElement(actionReturn, value, plainObject("Roll back to "+to, maxButton)).WithStyle(slack.StyleDanger)
	return b.WithConfirm(slack.NewConfirmationBlockObject(
		plainObject(fmt.Sprintf("Roll back %s on %s?", t.Service, t.Environment), maxDialogTitle),
		plainObject(fmt.Sprintf("All traffic goes back to %s from %s, without an approval. Then nothing is deployed there until somebody unlocks it.",
			about.Standing.Back, about.Standing.Serving), maxDialogText),
		plainObject("Roll back", maxDialogButton), plainObject("Not now", maxDialogButton),
	).WithStyle(slack.StyleDanger))
}

// logs is the Logs Explorer with the entries of what fails, from the first minute on
// (https://docs.cloud.google.com/logging/docs/view/logs-explorer-interface and its query language,
// https://docs.cloud.google.com/logging/docs/view/logging-query-language). Of several services it shows those
// of one project. "": nothing is known of the service.
func (a *alert) logs() string {
	if len(a.of) == 0 {
		return ""
	}
	first := a.About[a.targets[0]].Service
	if first.CloudRun == "" || first.Project == "" {
		return ""
	}
	var names []string
	for _, t := range a.targets {
		if s := a.About[t].Service; s.Project == first.Project && s.CloudRun != "" && len(names) < mostServices {
			names = append(names, strconv.Quote(s.CloudRun))
		}
	}
	query := []string{
		`resource.type="cloud_run_revision"`,
		"resource.labels.service_name=(" + strings.Join(names, " OR ") + ")",
		`timestamp>="` + a.headline.Since.UTC().Format("2006-01-02T15:04:05Z") + `"`,
	}
	if revision := a.failing(a.targets[0]); len(names) == 1 && revision != "" {
		query = append(query, "resource.labels.revision_name="+strconv.Quote(revision))
	}
	if filter := entriesOf(a.of[0]); len(names) == 1 && filter != "" {
		query = append(query, filter)
	}
	escaped := strings.ReplaceAll(url.QueryEscape(strings.Join(query, "\n")), "+", "%20")
	return "https://console.cloud.google.com/logs/query;query=" + escaped + "?project=" + url.QueryEscape(first.Project)
}

// entriesOf are the entries that a fault shows in.
func entriesOf(i incident.Incident) string {
	switch i.Key.Kind {
	case incident.ErrorRate, incident.SlowLeak:
		return "severity>=ERROR"
	case incident.LogMatches:
		return strconv.Quote(cut(i.Match, 200))
	}
	return ""
}
