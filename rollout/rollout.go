// Package rollout does what a plan says: Rollout is the whole state of one execution, Apply and Next
// are the pure functions that move it, and Engine is the loop that carries their decisions out
// through the ports declared in ports.go.
package rollout

import (
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// Schema is the version of the snapshot's JSON. A newer one is left alone by an older bot. An older bot of
// the same schema drops the fields that it does not know, so that one which must not get lost takes a new
// number; testdata keeps a snapshot of each.
const Schema = 2

// Rollout is a plain snapshot of one execution of a plan. Whoever holds it can render the card, go
// on with the work and recompute the verdicts. Times are UTC, rates are fractions 0–1.
type Rollout struct {
	Schema  int    `json:"schema"`
	Kind    Kind   `json:"kind,omitempty"`
	ID      string `json:"id"`      // six characters of [a-z2-7]; part of revision names
	Version int64  `json:"version"` // commits so far; the store's compare-and-swap is on it
	Token   string `json:"token"`   // idempotency key of the request that created it

	Target      plan.Target        `json:"target"`
	Environment plan.Environment   `json:"environment"` // frozen at the start, as are the phases
	PlanName    string             `json:"plan_name"`
	PlanDigest  string             `json:"plan_digest"`
	OnFailure   plan.OnFailure     `json:"on_failure"`
	Services    map[string]Service `json:"services"` // those being rolled out, by the name in deploy.yaml
	Phases      []Phase            `json:"phases"`   // the plan's, and those the rollout adds (hand over, return to stable)

	Channel string    `json:"channel"` // where the card is
	By      Actor     `json:"by"`
	Lock    Lock      `json:"lock"`
	Created time.Time `json:"created"`

	Status Status `json:"status"`
	Asks   []Ask  `json:"asks,omitempty"`
	Stop   *Stop  `json:"stop,omitempty"` // set once the plan is left: by a failure, a person or a deadline
	End    *End   `json:"end,omitempty"`

	WatchFor plan.Duration `json:"watch_for,omitempty"` // how long verdicts stay provisional after the end; 0: not at all
	Watch    *Watch        `json:"watch,omitempty"`     // set at the end of a rollout whose verdicts are provisional

	Events int64 `json:"events"` // how many events were applied; the last one's Seq
}

// Kind tells a deployment from a rollback that a person asked for.
type Kind string

const (
	Deployment Kind = ""
	Rollback   Kind = "rollback"
)

// Status is where a rollout stands.
type Status string

const (
	Running   Status = "running"
	Waiting   Status = "waiting"   // an ask is open and nothing else is under way
	Returning Status = "returning" // traffic goes back to stable
	Ended     Status = "ended"
)

// Result is how a rollout ended.
type Result string

const (
	Succeeded  Result = "succeeded"
	RolledBack Result = "rolled_back" // traffic was moved and is back on stable
	Failed     Result = "failed"      // a step failed; Stop says where and what became of the traffic
	Aborted    Result = "aborted"     // a person stopped it, rejected it, or nobody answered; traffic stays as it is
)

// Stop says why the plan was left.
type Stop struct {
	Cause  StopCause `json:"cause"`
	Step   string    `json:"step,omitempty"` // where, if a step was the cause
	By     *Actor    `json:"by,omitempty"`
	Reason string    `json:"reason"` // one safe sentence
	At     time.Time `json:"at"`
	Return bool      `json:"return"` // whether traffic has to go back to stable
}

// StopCause is what kind of thing made a rollout leave its plan.
type StopCause string

const (
	StopFailed   StopCause = "failed"
	StopAborted  StopCause = "aborted"
	StopRejected StopCause = "rejected"
	StopExpired  StopCause = "expired"
)

// End closes a rollout.
type End struct {
	Result Result    `json:"result"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Actor is a person, or a robot, who did something.
type Actor struct {
	ID   string `json:"id"`   // Slack user ID; for robots the principal of their credentials
	Name string `json:"name"` // for the terminal and the log; messages mention the ID
}

// Lock is a hold on a target: by a rollout (Rollout is set, no expiry) or by a person.
type Lock struct {
	Target  plan.Target `json:"target"`
	Rollout string      `json:"rollout,omitempty"`
	By      Actor       `json:"by"`
	Reason  string      `json:"reason,omitempty"`
	Since   time.Time   `json:"since"`
	Expires time.Time   `json:"expires,omitzero"`
	Fence   int64       `json:"fence"` // grows with every grant on any target
	Turn    Turn        `json:"turn,omitzero"`
}

// Service is what a rollout knows of one service.
type Service struct {
	Name     string `json:"name"`
	CloudRun string `json:"cloud_run"` // the Cloud Run service's name
	Project  string `json:"project"`
	Region   string `json:"region"`
	Image    Image  `json:"image"`     // what is being rolled out
	OldImage string `json:"old_image"` // reference of the stable revision's image
	URL      string `json:"url"`       // the service's own

	Stable    Revision  `json:"stable"`             // what served most of the traffic before
	Candidate Revision  `json:"candidate,omitzero"` // what is rolled out, once it exists
	Percent   int       `json:"percent"`            // of the traffic on the candidate, as the statuses prove
	ShiftedAt time.Time `json:"shifted_at,omitzero"`
	Baseline  *Baseline `json:"baseline,omitempty"` // of the stable revision, before the rollout; nil: unknown

	Source     string `json:"source,omitempty"`      // of the numbers: FromLogs, which "" is too, or FromMetrics
	SourceNote string `json:"source_note,omitempty"` // why it is not the logs, as a safe sentence
}

// Revision is one Cloud Run revision.
type Revision struct {
	Name string `json:"name"`
	URL  string `json:"url,omitempty"` // of its tag; "" for a revision without one
}

// Image is a container image by digest, and how people asked for it.
type Image struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty"`
	Digest     string `json:"digest"` // "sha256:…"
}

// Reference returns repository@digest.
func (i Image) Reference() string { return i.Repository + "@" + i.Digest }

// Baseline is the frozen window of the stable revision: its requests that started in [Since, Until).
type Baseline struct {
	Revision string    `json:"revision"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Requests int64     `json:"requests"`
	Errors   int64     `json:"errors"`
	// Problem is why nothing could be read, as a safe sentence; the counts are then 0.
	Problem string  `json:"problem,omitempty"`
	Points  []Point `json:"points,omitempty"` // at most 20, oldest first; none in snapshots of older versions
}

// Phase is a group of steps in progress.
type Phase struct {
	Name     string `json:"name"`
	Parallel bool   `json:"parallel,omitempty"`
	Steps    []Step `json:"steps"`
	Added    bool   `json:"added,omitempty"` // by the rollout itself, not from deploy.yaml
}

// Watch is what becomes of a rollout's verdicts after its end. The target is free meanwhile.
type Watch struct {
	Until   time.Time `json:"until"`             // the verdicts are provisional until then
	Outcome *WatchEnd `json:"outcome,omitempty"` // nil while it lasts
}

// WatchEnd is how a watch ended.
type WatchEnd struct {
	At    time.Time  `json:"at"`
	State WatchState `json:"state"`
	Note  string     `json:"note"` // one safe sentence
}

// WatchState says whether the verdicts held.
type WatchState string

const (
	WatchHeld    WatchState = "held"    // nothing came up that speaks against them
	WatchFailed  WatchState = "failed"  // errors came up, or entries that were late turned a verdict
	WatchUnknown WatchState = "unknown" // there was nothing to see, or it could not be read
	WatchLeft    WatchState = "left"    // another rollout began, which judges for itself
)

// Watched reports whether the rollout's verdicts are provisional still.
func (r *Rollout) Watched() bool { return r.Watch != nil && r.Watch.Outcome == nil }

// FailedLate reports whether its verdicts did not hold after it had succeeded.
func (r *Rollout) FailedLate() bool {
	return r.Watch != nil && r.Watch.Outcome != nil && r.Watch.Outcome.State == WatchFailed
}

// Step is one step in progress, with its frozen definition.
type Step struct {
	ID      string     `json:"id"` // "PHASE.STEP", from 1; steady over the rollout's life
	Spec    plan.Step  `json:"spec"`
	Status  StepStatus `json:"status"`
	Attempt int        `json:"attempt,omitempty"` // from 1; part of the idempotency key
	Fence   string     `json:"fence,omitempty"`   // the effect's precondition (Cloud Run's etag), read once before the attempt
	Handle  string     `json:"handle,omitempty"`  // what Action.Start or Find returned; "" until then
	Started time.Time  `json:"started,omitzero"`  // of the current attempt
	Ended   time.Time  `json:"ended,omitzero"`
	Note    string     `json:"note,omitempty"`   // one sentence on how it stands or ended
	Detail  string     `json:"detail,omitempty"` // more, for "Details": a log's tail
	Label   string     `json:"label,omitempty"`  // of the failure, for metrics: "image_missing"
	Gate    *Gate      `json:"gate,omitempty"`
	// Applied: an attempt went as far as its effect. One that its precondition refused did not.
	Applied bool `json:"applied,omitempty"`
	// Cancel: the attempt under way has to be cancelled; the status follows once it is.
	Cancel bool `json:"cancel,omitempty"`
	// Waived: it failed or stayed inconclusive, and WaivedBy decided to go on all the same.
	Waived   bool          `json:"waived,omitempty"`
	WaivedBy *Actor        `json:"waived_by,omitempty"`
	Extra    plan.Duration `json:"extra,omitempty"`   // by which people have extended a gate's budget
	Probing  bool          `json:"probing,omitempty"` // people had test requests sent to a gate that has none of its own
}

// StepStatus is where a step stands.
type StepStatus string

const (
	StepPending      StepStatus = "pending"
	StepRunning      StepStatus = "running"
	StepWaiting      StepStatus = "waiting" // for a person
	StepPassed       StepStatus = "passed"
	StepFailed       StepStatus = "failed"
	StepInconclusive StepStatus = "inconclusive"
	StepCancelled    StepStatus = "cancelled" // was under way when the plan was left
	StepSkipped      StepStatus = "skipped"   // never started
)

// Over reports whether the step will not change any more by itself.
func (s StepStatus) Over() bool {
	switch s {
	case StepPassed, StepFailed, StepInconclusive, StepCancelled, StepSkipped:
		return true
	}
	return false
}

// Gate is the evidence of a step that ends in a verdict.
type Gate struct {
	Revision string          `json:"revision"`
	Limit    plan.Percent    `json:"limit"`
	Since    time.Time       `json:"since"` // requests that started in [Since, Until) are counted
	Until    time.Time       `json:"until"`
	Counts   verdict.Counts  `json:"counts"` // of users' requests; for a latency step Errors are the slow ones
	Verdict  verdict.Verdict `json:"verdict"`
	AtMost   float64         `json:"at_most"`          // the rate is at most this, at the gate's α
	Needed   int64           `json:"needed"`           // further clean requests until PASS; 0 once passed
	PerSec   float64         `json:"per_sec"`          // counted requests a second
	Hits     int64           `json:"hits,omitempty"`   // no_logs: lines that match
	Sample   string          `json:"sample,omitempty"` // no_logs: the first of them, its first 200 characters
	Points   []Point         `json:"points,omitempty"` // at most 20, oldest first
	Source   string          `json:"source,omitempty"` // where the counts come from; "": logs

	Probes       *verdict.Counts  `json:"probes,omitempty"`        // of test requests; nil: none are sent
	ProbesNeeded int64            `json:"probes_needed,omitempty"` // further clean test requests until they would pass the gate; 0 if they cannot
	OnProbes     bool             `json:"on_probes,omitempty"`     // passed on test requests alone
	Receipt      *verdict.Receipt `json:"receipt,omitempty"`       // once it has ended: what the verdict can be recomputed from
}

// Point is the requests that started in one slice of a window.
type Point struct {
	At       time.Time `json:"at"` // the slice's start
	Requests int64     `json:"requests"`
	Errors   int64     `json:"errors"`
}

// Ask is a question to a person. It always ends: by an answer, or at its deadline.
type Ask struct {
	ID       string    `json:"id"` // the step's ID, or the kind if there is no step; with ".N" for the Nth such question
	Kind     AskKind   `json:"kind"`
	Step     string    `json:"step,omitempty"`
	Question string    `json:"question"`       // one sentence: what happened or is asked
	Who      []string  `json:"who"`            // handles that are mentioned and may answer; empty: Deployers
	Self     bool      `json:"self,omitempty"` // approval: who started the rollout may answer too
	Required int       `json:"required,omitempty"`
	Options  []Verb    `json:"options"` // the buttons, in order
	Opened   time.Time `json:"opened"`
	Deadline time.Time `json:"deadline"`
	Default  Verb      `json:"default"` // what happens at the deadline
	Votes    []Vote    `json:"votes,omitempty"`
	Answer   *Answer   `json:"answer,omitempty"` // nil while it is open
}

// AskKind tells questions apart.
type AskKind string

const (
	AskApproval AskKind = "approval"
	AskManual   AskKind = "manual"   // a person has to do something and say so
	AskDecision AskKind = "decision" // a step failed or stayed inconclusive, or the way back leads to a worse revision
	AskPause    AskKind = "pause"    // a person paused the rollout
)

// Vote is one approval.
type Vote struct {
	By Actor     `json:"by"`
	At time.Time `json:"at"`
}

// Answer closes an ask. By is nil when the deadline passed.
type Answer struct {
	Verb Verb      `json:"verb"`
	By   *Actor    `json:"by,omitempty"`
	At   time.Time `json:"at"`
}

// Verb is something a person can do to a rollout.
type Verb string

const (
	VerbApprove  Verb = "approve"
	VerbReject   Verb = "reject"
	VerbAbort    Verb = "abort"    // leave the plan; traffic returns to stable
	VerbRollback Verb = "rollback" // the same, as the answer to a decision
	VerbRetry    Verb = "retry"    // another attempt of the step asked about
	VerbExtend   Verb = "extend"   // a gate goes on for another 15 minutes, with the same counts
	VerbProbe    Verb = "probe"    // the same, with test requests of Slipway's
	VerbContinue Verb = "continue" // go on without the evidence
	VerbHold     Verb = "hold"     // leave the plan; traffic stays as it is
	VerbConfirm  Verb = "confirm"  // what a manual step asks for is done
	VerbPause    Verb = "pause"    // start no further step until VerbResume
	VerbResume   Verb = "resume"
)
