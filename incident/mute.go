package incident

import (
	"context"
	"slices"
	"time"
)

// mostMuted is how long at most a rollout may keep its revision from raising an alarm.
const mostMuted = 15 * time.Minute

// mute is the time in which the entries of a revision are a rollout's to judge.
type mute struct {
	Revision string    `json:"revision"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
}

type mutes []mute

func (m mutes) cover(revision string, at time.Time) bool {
	for _, of := range m {
		if of.Revision == revision && !at.Before(of.From) && at.Before(of.Until) {
			return true
		}
	}
	return false
}

// Mute takes no notice of the revisions that rollouts judge at a time, each for 15 minutes
// at most, and of the others again.
func (w *Watch) Mute(judged []Verification, now time.Time) {
	for i := range w.mutes {
		m := &w.mutes[i]
		if now.Before(m.Until) && !slices.ContainsFunc(judged, func(v Verification) bool { return v.Revision == m.Revision }) {
			m.Until = now
		}
	}
	for _, v := range judged {
		if !slices.ContainsFunc(w.mutes, func(m mute) bool { return m.Revision == v.Revision && m.From.Equal(v.Since) }) {
			w.mutes = append(w.mutes, mute{v.Revision, v.Since, v.Since.Add(mostMuted)})
		}
	}
	w.mutes = slices.DeleteFunc(w.mutes, func(m mute) bool { return now.Sub(m.From) > 2*mostMuted })
}

// verifyEvery is how often it is asked which revisions rollouts judge.
const verifyEvery = 5 * time.Second

// verify learns which revisions rollouts are judging: their alarms are the rollouts' to raise.
func (s *shift) verify(ctx context.Context) {
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, storeTime)
		judged, err := s.m.Rollouts.Verifying(call)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.log.DebugContext(ctx, "whether rollouts judge revisions is not known", "err", err)
			judged = nil
		}
		now := time.Now().UTC()
		s.mu.Lock()
		for _, sub := range s.watched {
			sub.watch.Mute(slices.DeleteFunc(slices.Clone(judged), func(v Verification) bool { return v.Target != sub.Target }), now)
		}
		s.mu.Unlock()
		sleep(ctx, verifyEvery)
	}
}
