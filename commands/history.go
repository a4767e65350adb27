package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/rollout"
)

// How many ended rollouts a history shows, and how many it looks through for those of one service.
const (
	historyLines  = 10
	historySearch = 50
)

// history lists the last rollouts that concerned a target, a line each.
func (h *Handler) history(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return Reply{Text: unknown(file, "target", cmd.Target, nil)}
	}
	past, err := h.ended(ctx, target.Environment, historySearch)
	if err != nil {
		return h.unread(ctx, req, theHistory, err)
	}
	var lines []string
	for _, r := range past {
		if overlap(r.Target, target) && len(lines) < historyLines {
			lines = append(lines, account(&r))
		}
	}
	if len(lines) == 0 {
		return Reply{Text: fmt.Sprintf("Nothing has been rolled out to %s yet.", target), Done: true}
	}
	return Reply{Text: strings.Join(lines, "\n"), Done: true}
}

// account is one line about a rollout that has ended: when, what, who, how it went, and why.
func account(r *rollout.Rollout) string {
	text := fmt.Sprintf("%s: %s by %s: %s", day(r.Created), deed(r), actor(r.By), strings.TrimPrefix(r.End.Result.Sentence(), "it "))
	if r.Kind == rollout.Deployment {
		text += measured(r)
	}
	if r.FailedLate() {
		text += ". Then it failed: " + plain(r.Watch.Outcome.Note)
	}
	if why := plain(r.End.Reason); why != "" {
		text += ". " + why
	}
	return dotted(text)
}

// deed is what a rollout was to bring about: backend main@3f9a1c2, or backend back to 00041.
func deed(r *rollout.Rollout) string {
	var parts []string
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		s := r.Services[service]
		if r.Kind == rollout.Rollback {
			parts = append(parts, service+" back to "+s.Candidate.Name)
		} else {
			parts = append(parts, service+" "+image(s.Image.Tag, s.Image.Digest))
		}
	}
	return enumerate(parts, " and ")
}

// measured is what the gates of a rollout found, old → new.
func measured(r *rollout.Rollout) string {
	var text string
	for _, service := range slices.Sorted(maps.Keys(r.Services)) {
		if lastGate(r, service) == nil {
			continue
		}
		text += ", "
		if len(r.Services) > 1 {
			text += service + " "
		}
		text += rates(r, service)
	}
	return text
}

// image is how people know an image: main@3f9a1c2, the digest's first seven digits.
func image(tag, digest string) string {
	const digits = 7
	_, hex, found := strings.Cut(digest, ":")
	if !found {
		hex = digest
	}
	hex = hex[:min(digits, len(hex))]
	if tag == "" || tag == digest {
		return hex
	}
	return plain(tag) + "@" + hex
}
