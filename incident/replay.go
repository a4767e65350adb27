package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/plan"
)

// Subject is a service of Cloud Run in a log, and what it is watched for.
type Subject struct {
	Target   plan.Target
	CloudRun string
	Location string // "": any
	Rules    Rules
}

// Report is what a replay has found.
type Report struct {
	Entries   int64      `json:"entries"`
	Others    int64      `json:"others"` // not of a service that is watched
	Malformed Malformed  `json:"malformed"`
	Stats     Stats      `json:"not_counted"`
	Dropped   int64      `json:"ungrouped"`      // errors that are in no group, because there were too many
	From      time.Time  `json:"from,omitzero"`  // the first entry
	Until     time.Time  `json:"until,omitzero"` // the last
	Called    int64      `json:"called"`         // how often somebody would have been mentioned
	Incidents []Incident `json:"incidents"`      // those that people would have been told of, oldest first
}

// Subjects are the services that entries are of, each by its own name, and with the rules
// given.
func Subjects(entries []Entry, environment string, rules Rules) []Subject {
	var found []Subject
	seen := map[string]bool{}
	for i := range entries {
		if name := entries[i].Service; name != "" && !seen[name] {
			seen[name] = true
			found = append(found, Subject{Target: plan.Target{Environment: environment, Service: name}, CloudRun: name, Rules: rules})
		}
	}
	slices.SortFunc(found, func(a, b Subject) int { return strings.Compare(a.CloudRun, b.CloudRun) })
	for i := range found {
		found[i].Rules.Services = len(found)
	}
	return found
}

// Replay runs detection and grouping over entries in the order in which they were received,
// and sorts them so. Nobody acknowledges anything.
func Replay(entries []Entry, subjects []Subject) (Report, error) {
	var r replay
	for _, s := range subjects {
		w, err := NewWatch(s.Target, s.Rules)
		if err != nil {
			return Report{}, fmt.Errorf("%s: %w", s.Target, err)
		}
		r.watches = append(r.watches, watched{s, w})
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(a.received().Compare(b.received()), a.At.Compare(b.At), strings.Compare(a.ID, b.ID))
	})
	for i := range entries {
		r.take(&entries[i])
	}
	return r.end(), nil
}

type watched struct {
	Subject
	*Watch
}

// replay is a replay under way.
type replay struct {
	watches []watched
	book    Book
	ended   []Incident
	now     time.Time
	report  Report
}

// idleFor is how long after the last entry something may still be due by itself.
const idleFor = 70 * time.Minute

// take adds the next entry, after all looks that come before it.
func (r *replay) take(e *Entry) {
	at := e.received()
	if r.now.IsZero() {
		r.now = at.Truncate(width)
		r.report.From = e.At
	}
	for idle := r.now.Add(idleFor); r.now.Add(width).Before(at); {
		if r.now.After(idle) {
			r.now = at.Truncate(width)
			break
		}
		r.look()
	}
	r.report.Entries++
	r.report.From, r.report.Until = earlier(r.report.From, e.At), later(r.report.Until, e.At)
	i := slices.IndexFunc(r.watches, func(w watched) bool {
		return w.CloudRun == e.Service && (w.Location == "" || w.Location == e.Location)
	})
	if i < 0 {
		r.report.Others++
		return
	}
	r.watches[i].Add(e)
}

func (r *replay) look() {
	r.now = r.now.Add(width)
	for _, w := range r.watches {
		r.book.Observe(w.Target, w.Look(r.now), r.now)
	}
	for n := range r.book.Incidents {
		i := &r.book.Incidents[n]
		called := i.Said.Called
		if *i = i.Say(i.Due(r.now, 0), r.now); !i.Said.Called.Equal(called) {
			r.report.Called++
		}
	}
	r.ended = append(r.ended, r.book.Ended(r.now)...)
}

// end looks until what began in the last entries has been told.
func (r *replay) end() Report {
	for until := r.now.Add(beyond + groupWait + 2*width); !r.now.IsZero() && r.now.Before(until); {
		r.look()
	}
	for _, w := range r.watches {
		r.report.Stats.Late += w.Stats.Late
		r.report.Stats.Repeated += w.Stats.Repeated
		r.report.Stats.Probes += w.Stats.Probes
		r.report.Dropped += w.Dropped()
	}
	told := slices.DeleteFunc(append(r.ended, r.book.Incidents...), func(i Incident) bool { return i.Fired.IsZero() })
	slices.SortStableFunc(told, func(a, b Incident) int { return a.Opened.Compare(b.Opened) })
	r.report.Incidents = append([]Incident{}, told...)
	return r.report
}
