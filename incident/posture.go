package incident

import (
	"time"

	"slipway/plan"
)

// posture is what was seen of how a service stands in Cloud Run.
type posture struct {
	Last     Standing  `json:"last"`
	Seen     time.Time `json:"seen,omitzero"`      // when that was; zero: never
	NotReady time.Time `json:"not_ready,omitzero"` // since when no revision can serve; zero: one can
}

// notReadyFor is how long nothing may be able to serve: Cloud Run's own restarts are shorter.
const notReadyFor = 30 * time.Second

func (p *posture) see(s Standing, now time.Time) {
	switch {
	case s.NotReady == "":
		p.NotReady = time.Time{}
	case p.NotReady.IsZero():
		p.NotReady = now
	}
	p.Last, p.Seen = s, now
}

// readings are the alarms that follow from it at a time.
func (p *posture) readings(t plan.Target, a plan.Alerts, now time.Time) []Reading {
	var list []Reading
	if a.NoReadyRevision && !p.NotReady.IsZero() && now.Sub(p.NotReady) >= notReadyFor {
		list = append(list, p.reading(Key{Target: t, Kind: NoReadyRevision}, p.NotReady, p.Last.Serving, p.Last.NotReady))
	}
	if a.Pinned > 0 && p.Last.Pinned != "" && now.Sub(p.Last.PinnedAt) >= a.Pinned.D() {
		who := "Changed last by an unknown account."
		if p.Last.PinnedBy != "" {
			who = "Changed last by " + p.Last.PinnedBy + "."
		}
		key := Key{Target: t, Kind: Pinned, Fingerprint: fingerprint(p.Last.Pinned)}
		list = append(list, p.reading(key, p.Last.PinnedAt, p.Last.Pinned, who))
	}
	return list
}

func (p *posture) reading(key Key, since time.Time, revision, why string) Reading {
	return Reading{Key: key, Alarm: true, Evidence: Evidence{Since: since, Until: p.Seen, Errors: 1}, Revision: revision, Example: why}
}
