package incident

import (
	"fmt"
	"time"

	"slipway/plan"
)

// Saying is what is due to be said of an incident.
type Saying string

const (
	SayNothing      Saying = ""
	SayFiring       Saying = "firing"       // for the first time: it mentions whoever is on call
	SayReopened     Saying = "reopened"     // it is back, or its silence is over, and mentions them too
	SayAcknowledged Saying = "acknowledged" // by whom
	SaySilenced     Saying = "silenced"     // by whom, until when
	SayResolved     Saying = "resolved"     // by whom or by itself, after how long, with the evidence
	SayFlapping     Saying = "flapping"     // once, in place of all that follows
	SayUpdate       Saying = "update"       // the rate, while it changes
	SayRepeat       Saying = "repeat"       // nobody has it: whoever is on call is mentioned again
	SayAsk          Saying = "ask"          // whoever acknowledged it is asked how it stands
	SayEscalated    Saying = "escalated"    // nobody has acknowledged it: others are mentioned
)

const (
	groupInterval = 5 * time.Minute // between updates
	repeatAfter   = 4 * time.Hour
	askAfter      = 2 * time.Hour
)

// Said is what people know of an incident.
type Said struct {
	State  State     `json:"state,omitempty"` // "": nothing was said yet
	ByAt   time.Time `json:"by_at,omitzero"`  // which word of a person was passed on
	At     time.Time `json:"at,omitzero"`
	Called time.Time `json:"called,omitzero"` // when somebody was mentioned
	// Escalated is when others were, because nobody acknowledged it after they were called.
	Escalated time.Time `json:"escalated,omitzero"`
	Evidence  Evidence  `json:"evidence"`
}

// Due is what is to be said at a time; escalate is how long nobody may leave a call unanswered, 0: forever.
func (i Incident) Due(now time.Time, escalate time.Duration) Saying {
	switch {
	case i.Fired.IsZero():
		return SayNothing
	case i.State != i.Said.State || !i.ByAt.Equal(i.Said.ByAt):
		return i.news()
	case i.State == Firing && now.Sub(i.Said.Called) >= repeatAfter:
		return SayRepeat
	case i.State == Firing && escalate > 0 && i.Said.Escalated.Before(i.Said.Called) && now.Sub(i.Said.Called) >= escalate:
		return SayEscalated
	case i.State == Acknowledged && now.Sub(later(i.ByAt, i.Said.Called)) >= askAfter:
		return SayAsk
	case (i.State == Firing || i.State == Acknowledged) && now.Sub(i.Said.At) >= groupInterval && i.Evidence.Errors != i.Said.Evidence.Errors:
		return SayUpdate
	}
	return SayNothing
}

// news is what follows from the state.
func (i Incident) news() Saying {
	switch i.State {
	case Firing:
		if i.Said.State == "" {
			return SayFiring
		}
		return SayReopened
	case Acknowledged:
		return SayAcknowledged
	case Silenced:
		if i.By == (Person{}) { // it came back while it was silenced
			return SayNothing
		}
		return SaySilenced
	case Resolved:
		return SayResolved
	case Flapping:
		return SayFlapping
	}
	return SayNothing
}

// Say notes that something was said.
func (i Incident) Say(what Saying, now time.Time) Incident {
	called, escalated := i.Said.Called, i.Said.Escalated
	switch what {
	case SayNothing:
		return i
	case SayFiring, SayReopened, SayRepeat, SayAsk:
		called = now
	case SayEscalated:
		escalated = now
	}
	i.Said = Said{State: i.State, ByAt: i.ByAt, At: now, Called: called, Escalated: escalated, Evidence: i.Evidence}
	return i
}

// Headline is the first line, fit for a lock screen, with times in now's zone: "backend
// on staging: 72% errors since 14:02 UTC (limit 5%)".
func (i Incident) Headline(now time.Time) string { return i.headline().At(now) }

// what is the fault in a few words.
func (i Incident) what() string {
	switch i.Key.Kind {
	case SlowLeak:
		return rounded(i.Evidence.Rate()) + " errors, a slow leak,"
	case Latency:
		return rounded(i.Evidence.Rate()) + " slow requests"
	case LogMatches:
		return fmt.Sprintf("%q %s in %s", i.Match, times(i.Evidence.Errors), i.Revision)
	case CrashOnStart:
		return fmt.Sprintf("%s crashed %s", i.Revision, times(i.Evidence.Errors))
	case NoReadyRevision:
		return "no revision can serve"
	case Pinned:
		return "pinned to " + i.Revision
	}
	return rounded(i.Evidence.Rate()) + " errors"
}

func (i Incident) limit() string {
	if i.Limit == 0 {
		return ""
	}
	return fmt.Sprintf(" (limit %s)", i.Limit)
}

func where(t plan.Target) string {
	if t.Environment == "" {
		return t.Service
	}
	return t.Service + " on " + t.Environment
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// rounded writes a share as finely as anybody compares it: 72%, 5.4%, 0.04%.
func rounded(share float64) string {
	unit := 1e4
	switch {
	case share >= 0.1:
		unit = 1e2
	case share >= 0.001:
		unit = 1e3
	}
	return plan.Percent(float64(int64(share*unit+0.5)) / unit).String()
}

// clock is a time of day in now's zone, which it names, with the day where it is another than now's.
func clock(t, now time.Time) string { return bareClock(t, now) + now.Format(" MST") }

// bareClock is for where the zone is named by what follows.
func bareClock(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		return t.Format("2 Jan 15:04")
	}
	return t.Format("15:04")
}
