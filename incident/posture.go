package incident

import (
	"context"
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

// standEvery is how often Cloud Run is asked how a service stands.
const standEvery = time.Minute

// stand asks Cloud Run how the services stand of which that may be an alarm, and those that fail: their traffic
// may have gone back.
func (s *shift) stand(ctx context.Context) {
	for ctx.Err() == nil {
		b := s.desk.read()
		for _, sub := range s.watched {
			if sub.Alerts.NoReadyRevision || sub.Alerts.Pinned > 0 || b.failing(sub.Target) {
				s.askCloud(ctx, sub, callTime)
			}
		}
		sleep(ctx, standEvery)
	}
}

// askCloud notes how a service stands; what cannot be read stays as it was.
func (s *shift) askCloud(ctx context.Context, sub *subject, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	standing, err := s.m.Cloud.Standing(ctx, sub.Service)
	if err != nil {
		s.log.WarnContext(ctx, "cannot see how a service stands", "service", sub.Target.String(), "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.posture.see(standing, time.Now().UTC())
}
