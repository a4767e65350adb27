package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

// This file says what is watched while nobody deploys, and what is not although somebody may believe so.

const theSources = "what is watched"

// quiet is how old the newest entry of a service is when people should know.
const quiet = 10 * time.Minute

// watched is what a list of incidents or a status covers.
type watched struct {
	by      []incident.Source // where numbers come from
	missing []plan.Target     // should be watched, and nobody does
	without []plan.Target     // have no alerts
}

// watching compares what deploy.yaml wants watched with what is.
func watching(file *plan.File, sources []incident.Source, concerns func(plan.Target) bool) watched {
	var w watched
	for _, e := range file.Environments {
		for _, s := range e.Services {
			target := plan.Target{Environment: e.Name, Service: s.Name}
			at := slices.IndexFunc(sources, func(s incident.Source) bool { return s.Target == target })
			switch {
			case !concerns(target):
			case e.AlertsOf(s.Name) == nil:
				w.without = append(w.without, target)
			case at < 0:
				w.missing = append(w.missing, target)
			default:
				w.by = append(w.by, sources[at])
			}
		}
	}
	return w
}

// sentences say all of it, a line each.
func (w watched) sentences(req Request) []string {
	lines := w.brief(req)
	if len(w.without) > 0 {
		lines = append(lines, fmt.Sprintf("Without `alerts` in deploy.yaml: %s.", targetsIn(w.without)))
	}
	return lines
}

// brief leaves out what nobody wants watched.
func (w watched) brief(req Request) []string {
	var lines []string
	for _, from := range []struct {
		source plan.Source
		name   string
	}{{plan.SourceLogs, "the log"}, {plan.SourceMetrics, "Cloud Monitoring"}} {
		var list []string
		for _, s := range w.by {
			if s.From == from.source {
				list = append(list, sourceOf(s, req))
			}
		}
		if len(list) > 0 {
			lines = append(lines, fmt.Sprintf("Watched for incidents by %s: %s.", from.name, first(list)))
		}
	}
	if len(w.missing) > 0 {
		lines = append(lines, fmt.Sprintf("Not watched: %s. No replica reads the log there yet, or it may not be read; the bot's own log says why.", targetsIn(w.missing)))
	}
	return lines
}

// sourceOf says since when a service's numbers come from where they do, why, and how old they are if that is long.
func sourceOf(s incident.Source, req Request) string {
	text := "since " + moment(s.Since, req.At)
	switch age := req.At.Sub(s.Seen); {
	case s.Seen.IsZero() && req.At.Sub(s.Since) > quiet:
		text += ", nothing received yet"
	case !s.Seen.IsZero() && age > quiet:
		text += fmt.Sprintf(", nothing received for %s", rollout.Period(age.Round(time.Minute)))
	}
	if note := strings.TrimSuffix(sentence(s.Note), "."); note != "" {
		text += ": " + note
	}
	return fmt.Sprintf("%s (%s)", s.Target, text)
}

func targetsIn(list []plan.Target) string {
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = t.String()
	}
	return first(names)
}

// first lists things, of very many only the first.
func first(list []string) string {
	if more := len(list) - maxShown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:maxShown], ", "), more)
	}
	return enumerate(list, " and ")
}

// watchedIn says of what a status is about how it is watched, as far as anybody wants that.
func (h *Handler) watchedIn(ctx context.Context, req Request, concerns func(plan.Target) bool) []string {
	if h.Incidents == nil {
		return nil
	}
	sources, err := h.sources(ctx)
	if err != nil {
		return []string{h.unread(ctx, req, theSources, err).Text}
	}
	lines := watching(h.File(), sources, concerns).brief(req)
	if len(lines) == 0 {
		return nil
	}
	return []string{strings.Join(lines, "\n")}
}
