package bot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/rollout"
)

// This file is what whoever approves has to know: what changes, where the way back leads, and what the verdicts
// will take.

// facts are a line for each service and each gate.
func (c *card) facts() mrkdwn {
	var lines []mrkdwn
	for _, name := range slices.Sorted(maps.Keys(c.r.Services)) {
		lines = append(lines, change(c.r.Services[name]))
	}
	for _, f := range c.r.Forecasts() {
		lines = append(lines, say("• %s", plain(f.String(), 300)))
	}
	return sentences("\n", lines...)
}

// change is what becomes of a service, how it does now, and where going back leads.
func change(s rollout.Service) mrkdwn {
	was := "an unknown image"
	if _, digest, ok := strings.Cut(s.OldImage, "@"); ok {
		was = shortDigest(digest)
	}
	to := shortDigest(s.Image.Digest)
	if s.Image.Tag != "" {
		to = s.Image.Tag + " @ " + to
	}
	now := shortRevision(s, s.Stable)
	return sentences(" ",
		say("*%s*: %s → %s.", s.Name, was, cut(to, 100)),
		say("%s serves now%s; a rollback returns to it.", now, rateNow(s)),
		counted(s))
}

// counted says why it is not the log by which the service is counted, and what that means for whoever waits.
func counted(s rollout.Service) mrkdwn {
	if s.SourceNote == "" {
		return ""
	}
	return say("%s So Cloud Monitoring's counts decide, which come some minutes later.", s.SourceNote)
}

func rateNow(s rollout.Service) string {
	b := s.Baseline
	switch {
	case b == nil || b.Problem != "":
		return ", its errors are not known"
	case b.Requests == 0:
		return ", without requests lately"
	}
	return fmt.Sprintf(", %s errors (%s of %s)", rollout.Percent(b.Rate()), rollout.Count(b.Errors), rollout.Count(b.Requests))
}
