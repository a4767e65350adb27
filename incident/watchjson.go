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
}

// MarshalJSON implements json.Marshaler.
func (w *Watch) MarshalJSON() ([]byte, error) {
	last := w.first - 1
	return json.Marshal(watchJSON{w.target, w.rules, w.first, w.counts.trim(last), w.settled, w.groups.trim(last), w.sightings.trim(last), w.Stats})
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
	for rate, kept := range j.Judges {
		if kept.Limit == read.armed[rate].Limit {
			read.settled[rate] = kept
		}
	}
	read.first, read.counts, read.groups, read.sightings, read.Stats = j.First, j.Counts, j.Groups, j.Sightings, j.Stats
	*w = *read
	return nil
}
