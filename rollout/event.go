package rollout

import "time"

// EventKind says what happened.
type EventKind string

const (
	Created      EventKind = "created"
	StepStarted  EventKind = "step_started"  // written before the effect: Step, Attempt, Fence
	StepHandled  EventKind = "step_handled"  // the effect was applied or found: Handle
	StepProgress EventKind = "step_progress" // Outcome.State is StillRunning; kept out of the history
	StepEnded    EventKind = "step_ended"    // Outcome says how
	StepDoubled  EventKind = "step_doubled"  // the effect was there twice, found after the attempt's end; Reason is a sentence about it
	Said         EventKind = "said"          // a person's Verb: on the ask in Ask, or on the rollout (abort)
	AskExpired   EventKind = "ask_expired"   // the deadline of Ask passed
	Finished     EventKind = "finished"
	WatchOver    EventKind = "watch_over" // after Finished: Watch says whether the verdicts held
)

// Event is what happened to a rollout. The store keeps every event but progress as the history that
// people and auditors read; it is never replayed.
type Event struct {
	Seq     int64     `json:"seq"` // given by Apply: 1, 2, 3 …
	At      time.Time `json:"at"`
	Kind    EventKind `json:"kind"`
	Step    string    `json:"step,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	Fence   string    `json:"fence,omitempty"`
	Handle  string    `json:"handle,omitempty"`
	Outcome *Outcome  `json:"outcome,omitempty"`
	Ask     string    `json:"ask,omitempty"`
	Verb    Verb      `json:"verb,omitempty"`
	By      *Actor    `json:"by,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Watch   *WatchEnd `json:"watch,omitempty"`
}

// Outcome is what an Action knows of an attempt.
type Outcome struct {
	State  OutcomeState   `json:"state"`
	Note   string         `json:"note,omitempty"`   // one safe sentence for the card
	Detail string         `json:"detail,omitempty"` // safe, longer; shown behind "Details"
	Label  string         `json:"label,omitempty"`  // of a failure, for metrics: "image_missing"
	Change *ServiceChange `json:"change,omitempty"`
	Gate   *Gate          `json:"gate,omitempty"`
	// Again is when the engine asks next while the attempt is StillRunning; 0 means its default.
	Again time.Duration `json:"-"`
}

// OutcomeState is how an attempt stands.
type OutcomeState string

const (
	StillRunning OutcomeState = "running"
	Passed       OutcomeState = "passed"
	FailedState  OutcomeState = "failed"
	Inconclusive OutcomeState = "inconclusive"
	Cancelled    OutcomeState = "cancelled" // given by the engine after Action.Cancel
)

// ServiceChange is what an attempt changed in, or learned of, one service. Nil fields stay.
type ServiceChange struct {
	Service   string     `json:"service"`
	Candidate *Revision  `json:"candidate,omitempty"`
	Percent   *int       `json:"percent,omitempty"`
	ShiftedAt *time.Time `json:"shifted_at,omitempty"`
}
