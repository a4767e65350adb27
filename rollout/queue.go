package rollout

import (
	"time"

	"slipway/plan"
)

// TurnTime is how long a target waits for the one whose turn it is.
const TurnTime = 15 * time.Minute

// Turn is what somebody in the line of a target is there for. It makes a Lock the wish of one who
// waits, and then, once it is granted, the hold that keeps the target for them until it ends.
type Turn struct {
	Target  plan.Target `json:"target"` // what they want to deploy; the lock may be on more
	What    string      `json:"what,omitempty"`
	Channel string      `json:"channel"` // where they are called
}

// InLine reports whether the lock came, or will come, from the line.
func (l Lock) InLine() bool { return l.Turn != Turn{} }

// TurnOf reports whether the lock is the turn of that very person, which does not keep them from starting.
func (l Lock) TurnOf(who Actor) bool { return l.InLine() && l.By.ID == who.ID }

// Joined is where somebody stands who asked to get in line.
type Joined struct {
	Position int   // 1 is the next; 0: not in line
	Turn     *Lock // it is their turn already; nil: it is not
	Free     bool  // nothing is in the way, so there is no line to get into
}

// Left is what somebody gave up who left a line.
type Left string

// What can be given up.
const (
	LeftLine Left = "left"
	LeftTurn Left = "passed"
	LeftNone Left = "none" // they had neither
)
