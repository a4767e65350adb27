package commands

import (
	"context"

	"slipway/incident"
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
