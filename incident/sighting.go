package incident

import (
	"slices"
	"time"

	"slipway/plan"
)

const (
	mostSightings = 128
	// A crash alone may be one request that took too much memory: two within crashWithin
	// are a revision that does not start.
	crashes     = 2
	crashWithin = 5 * time.Minute
	// quiet is for how long nothing more has to be seen before it is over.
	quiet = 15 * time.Minute
)

// sighting is something in the log that is one too much: a line with a pattern, or a
// container that ended with an error, of one revision.
type sighting struct {
	Kind     Kind      `json:"kind"`
	Match    string    `json:"match,omitempty"`
	Revision string    `json:"revision"`
	Example  string    `json:"example"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Tally    tally     `json:"tally"`
	Alarm    bool      `json:"alarm,omitempty"`
	Over     bool      `json:"over,omitempty"` // the pattern is known in this revision, and no alarm any more
}

type sightings []*sighting

// note counts one more.
func (s *sightings) note(kind Kind, match string, e *Entry) {
	i := slices.IndexFunc(*s, func(of *sighting) bool {
		return of.Kind == kind && of.Match == match && of.Revision == e.Revision
	})
	if i < 0 {
		if len(*s) >= mostSightings {
			oldest := slices.MinFunc(*s, func(a, b *sighting) int { return a.Last.Compare(b.Last) })
			*s = slices.DeleteFunc(*s, func(of *sighting) bool { return of == oldest })
		}
		i = len(*s)
		*s = append(*s, &sighting{Kind: kind, Match: match, Revision: e.Revision, Example: example(e.Text), First: e.At, Last: e.At})
	}
	(*s)[i].again(e.At)
}

func (s *sighting) again(at time.Time) {
	if s.Kind == CrashOnStart && !s.Alarm && at.Sub(s.Last) > crashWithin {
		s.First, s.Tally = at, tally{}
	}
	s.First, s.Last = earlier(s.First, at), later(s.Last, at)
	s.Tally.add(slice(at))
	switch s.Kind {
	case CrashOnStart:
		s.Alarm = s.Alarm || s.Tally.total >= crashes
	case LogMatches:
		s.Alarm = s.Alarm || !s.Over
	}
}

// look ends the alarm when nothing more was seen for long enough.
func (s *sighting) look(now time.Time) {
	if s.Alarm && now.Sub(s.Last) >= quiet {
		s.Alarm, s.Over = false, true
	}
}

func (s *sighting) reading(target plan.Target) Reading {
	e := Evidence{Since: s.First, Until: s.Last, Errors: s.Tally.total}
	key := Key{Target: target, Kind: s.Kind, Fingerprint: fingerprint(s.Match, s.Revision)}
	return Reading{Key: key, Alarm: s.Alarm, Evidence: e, Match: s.Match, Revision: s.Revision, Example: s.Example}
}

// trim forgets what came after a slice.
func (s sightings) trim(last int64) sightings {
	var kept sightings
	for _, of := range s {
		copied := *of
		if copied.Tally = of.Tally.trim(last); copied.Tally.total > 0 {
			kept = append(kept, &copied)
		}
	}
	return kept
}
