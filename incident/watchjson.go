package incident

import (
	"encoding/json"
	"fmt"
	"time"

	"slipway/plan"
)

// From is the time from which the log has to be read by whoever goes on from the watch's
// JSON; zero: nothing came yet.
func (w *Watch) From() time.Time {
	if w.first == 0 {
		return time.Time{}
	}
	return began(w.first)
}

type watchJSON struct {
	Target    plan.Target  `json:"target"`
	Rules     Rules        `json:"rules"`
	First     int64        `json:"first"`
	Counts    counts       `json:"counts"`
	Judges    [rates]judge `json:"judges"`
	Groups    groups       `json:"groups"`
	Sightings sightings    `json:"sightings,omitempty"`
	Stats     Stats        `json:"stats"`
	Mutes     mutes        `json:"mutes,omitempty"`
	Metered   bool         `json:"metered,omitempty"`
	Blames    blames       `json:"blames,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (w *Watch) MarshalJSON() ([]byte, error) {
	last := w.first - 1
	return json.Marshal(watchJSON{w.target, w.rules, w.first, w.counts.trim(last), w.settled, w.groups.trim(last), w.sightings.trim(last), w.Stats, w.mutes, w.metered, w.blames.trim(last)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *Watch) UnmarshalJSON(data []byte) error {
	var j watchJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	read, err := NewWatch(j.Target, j.Rules)
	if err != nil {
		return fmt.Errorf("the rules of %s: %w", j.Target, err)
	}
	if j.Counts.ring == nil {
		j.Counts = newCounts()
	}
	read.keep(j.Judges)
	read.first, read.counts, read.groups, read.sightings, read.Stats = j.First, j.Counts, j.Groups, j.Sightings, j.Stats
	read.mutes, read.blames = j.Mutes, j.Blames
	read.goOn(j.Metered)
	read.names.advance(j.First)
	*w = *read
	return nil
}

// keep goes on with judges whose limits are still the same.
func (w *Watch) keep(judges [rates]judge) {
	for rate, kept := range judges {
		if kept.Limit == w.armed[rate].Limit {
			w.settled[rate] = kept
		}
	}
}

// goOn counts as the watch did whose judges were kept.
func (w *Watch) goOn(metered bool) {
	if w.metered = metered; metered {
		w.stretch(&w.armed, minute)
	}
}

// Follow goes on from the watch's settled state by other rules.
func (w *Watch) Follow(rules Rules) (*Watch, error) {
	next, err := NewWatch(w.target, rules)
	if err != nil {
		return nil, err
	}
	last := w.first - 1
	next.keep(w.settled)
	next.first, next.counts, next.groups, next.sightings, next.Stats = w.first, w.counts.trim(last), w.groups.trim(last), w.sightings.trim(last), w.Stats
	next.mutes, next.blames = w.mutes, w.blames.trim(last)
	next.goOn(w.metered)
	next.names.advance(w.first)
	return next, nil
}
