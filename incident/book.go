package incident

import (
	"slices"
	"time"

	"slipway/plan"
)

// Book holds the incidents that are open, and those that may continue, and what people were told of them.
type Book struct {
	Incidents []Incident `json:"incidents"`
	Threads   []Thread   `json:"threads,omitempty"`
	Sources   []Source   `json:"sources,omitempty"` // by service
	Observed  time.Time  `json:"observed,omitzero"` // the last time that was looked at
}

// Source says where the numbers of a service come from.
type Source struct {
	Target plan.Target `json:"target"`
	From   plan.Source `json:"from"`           // plan.SourceLogs or plan.SourceMetrics
	Note   string      `json:"note,omitempty"` // why not the log, as a sentence
	Since  time.Time   `json:"since"`
	Seen   time.Time   `json:"seen,omitzero"` // when the newest entry or minute was received
}

// Observe takes what was seen of a service at a time: its incidents are moved on, and what
// is new begins.
func (b *Book) Observe(target plan.Target, readings []Reading, now time.Time) {
	seen := map[Key]bool{}
	for n := range b.Incidents {
		i := &b.Incidents[n]
		if i.Key.Target != target {
			continue
		}
		seen[i.Key] = true
		r := Reading{Key: i.Key} // of what is no longer looked at nothing is wrong
		if at := slices.IndexFunc(readings, func(r Reading) bool { return r.Key == i.Key }); at >= 0 {
			r = readings[at]
		}
		*i = i.Read(r, now)
	}
	for _, r := range readings {
		if r.Alarm && !seen[r.Key] {
			b.Incidents = append(b.Incidents, Open(r, now))
		}
	}
}

// Ended takes out the incidents that nothing continues any more. Those that never fired
// are among them. Whoever has still to be told that it is over is told for a day.
func (b *Book) Ended(now time.Time) []Incident {
	var ended []Incident
	b.Incidents = slices.DeleteFunc(b.Incidents, func(i Incident) bool {
		if !i.Ended(now) || !i.Fired.IsZero() && now.Sub(i.Resolved) < mostOwed && b.owes(i) {
			return false
		}
		ended = append(ended, i)
		return true
	})
	b.Threads = slices.DeleteFunc(b.Threads, func(t Thread) bool { return b.threadOf(t.ID) == "" })
	return ended
}

// mostOwed is how long after its end people are still told of an incident's end, when they could not be before.
const mostOwed = 24 * time.Hour

// owes reports whether somebody was told of an incident and not of its end.
func (b *Book) owes(i Incident) bool {
	if i.Said.State != Resolved {
		return true
	}
	t := b.Thread(i.Thread)
	if t == nil {
		return false
	}
	for _, status := range t.Sent {
		if status != Recovered {
			return true
		}
	}
	return false
}

// failing reports whether a service has an incident that is not over.
func (b *Book) failing(target plan.Target) bool {
	return slices.ContainsFunc(b.Incidents, func(i Incident) bool { return i.Key.Target == target && i.State != Resolved })
}

// forget ends the incidents of services that are not watched any more.
func (b *Book) forget(watched func(plan.Target) bool, now time.Time) {
	for _, i := range b.Incidents {
		if !watched(i.Key.Target) {
			b.Observe(i.Key.Target, nil, now)
		}
	}
}
