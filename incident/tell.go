package incident

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"slipway/plan"
)

const (
	tellEvery = time.Second
	tellTime  = 30 * time.Second
	// aboutTime is how long the first word waits for what else there is to say.
	aboutTime = time.Second
	aboutFor  = time.Minute // so long it is good
	// graphFor is the time that is shown of a service.
	graphFor  = time.Hour
	firstWait = time.Second
	mostWait  = 30 * time.Second
)

// attempts are what is under way or has to wait, by what it is about.
type attempts struct {
	work sync.WaitGroup

	mu   sync.Mutex
	each map[string]*attempt
}

type attempt struct {
	busy  bool
	next  time.Time     // not before; of what is done: again then; zero: not by itself
	pause time.Duration // after the last failure; 0: there was none
	done  string        // what was done last
}

// due reports whether something has to be done now, and notes that it is.
func (a *attempts) due(key, what string, urgent bool, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.each == nil {
		a.each = map[string]*attempt{}
	}
	t := a.each[key]
	if t == nil {
		t = &attempt{}
		a.each[key] = t
	}
	again := !t.next.IsZero() && !now.Before(t.next)
	switch {
	case t.busy, t.pause > 0 && !again:
		return false
	case again, urgent, t.done != what:
		t.busy = true
		return true
	}
	return false
}

// ended notes how it went: an error is followed by a pause that grows.
func (a *attempts) ended(key, what string, again time.Duration, err error, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.each[key]
	t.busy, t.next = false, time.Time{}
	if err != nil {
		t.pause = min(max(2*t.pause, firstWait), mostWait)
		t.next = now.Add(max(t.pause, again))
		return
	}
	t.pause, t.done = 0, what
	if again > 0 {
		t.next = now.Add(again)
	}
}

// tell brings every thread up to date, each by itself: one that Slack holds up holds up no other.
func (s *shift) tell(ctx context.Context) {
	var all attempts
	defer all.work.Wait()
	s.rounds(ctx, s.news, func(b Book, now time.Time) {
		for _, t := range b.Threads {
			c := s.m.caseOf(b, t)
			c.News, c.Alone = news(c.Incidents, s.escalate, now), s.alone.Load()
			what := shows(c, s.standings(c))
			if all.due(t.ID, what, len(c.News) > 0 || t.InDoubt(t.Message), now) {
				all.work.Go(func() {
					again, err := s.tellOne(ctx, c)
					all.ended(t.ID, what, again, err, time.Now())
				})
			}
		}
	})
}

// standings are how the services of a case stand, as far as it is known.
func (s *shift) standings(c Case) []Standing {
	var list []Standing
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range c.Incidents {
		if sub := s.of(i.Key.Target); sub != nil {
			list = append(list, sub.posture.Last)
		}
	}
	return list
}

// shows is what a case's message depends on.
func shows(c Case, standings []Standing) string {
	incidents := make([]Incident, len(c.Incidents))
	for n, i := range c.Incidents {
		i.Said = Said{}
		incidents[n] = i
	}
	text, err := json.Marshal(struct {
		Incidents []Incident
		Standings []Standing
		Alone     bool
	}{incidents, standings, c.Alone})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// tellOne tells of one thread.
func (s *shift) tellOne(ctx context.Context, c Case) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	s.learn(ctx, &c)
	s.noteTold(c.Thread.ID)
	m := c.Thread.Message
	if c.Alone || c.Thread.InDoubt(m) { // another replica may have told of it: it is looked for first
		m.Posting = m.TS == ""
		if len(c.News) > 0 && m.Reply == "" {
			m.Reply = c.News[0].Key
		}
	}
	again, err = s.m.Teller.Tell(ctx, c, m, func(m Message) error {
		return s.desk.change(ctx, func(b *Book) error {
			if t := b.Thread(c.Thread.ID); t != nil {
				t.Message = m
			}
			return nil
		})
	})
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			s.log.WarnContext(ctx, "an incident was not told", "incident", c.Thread.ID, "err", err)
		}
		return again, err
	}
	return again, s.desk.change(ctx, func(b *Book) error {
		b.Told(c.Incidents, c.News, c.Now)
		return nil
	})
}

// noteTold remembers that this shift tells of a thread.
func (s *shift) noteTold(thread string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[thread] = true
}

// doubt says of what this shift has told that it may be there twice, or show something old: a post has no
// precondition in Slack, and another replica had the watch already. Whoever has it looks.
func (s *shift) doubt(ctx context.Context) {
	if len(s.told) == 0 {
		return
	}
	err := s.m.changeStored(ctx, s.project, func(b *Book) error {
		for id := range s.told {
			if t := b.Thread(id); t != nil {
				t.Doubts++
			}
		}
		return nil
	})
	if err != nil {
		s.log.ErrorContext(ctx, "what people were told of incidents may be there twice, or be old until it changes", "err", err)
	}
}

// learn adds to a case what its services say beside their incidents.
func (s *shift) learn(ctx context.Context, c *Case) {
	var asked sync.WaitGroup
	abouts := map[plan.Target]*About{}
	for _, i := range c.Incidents { // the first of a service says which revision it is about
		sub := s.of(i.Key.Target)
		if sub == nil || abouts[i.Key.Target] != nil {
			continue
		}
		about := c.About[i.Key.Target]
		abouts[i.Key.Target] = &about
		asked.Go(func() { s.explain(ctx, sub, i.Revision, &about) })
	}
	asked.Wait()
	for target, about := range abouts {
		c.About[target] = *about
	}
}

// explain fills in what is known of a service, without waiting for long.
func (s *shift) explain(ctx context.Context, sub *subject, revision string, about *About) {
	now := time.Now().UTC()
	s.mu.Lock()
	fresh := now.Sub(sub.posture.Seen) < aboutFor
	s.mu.Unlock()
	var both sync.WaitGroup
	if !fresh {
		both.Go(func() { s.askCloud(ctx, sub, aboutTime) })
	}
	both.Go(func() { about.Origin = s.origin(ctx, sub, revision) })
	both.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	about.Standing = sub.posture.Last
	about.Minutes = sub.watch.Minutes(now.Add(-graphFor), now)
}

// origin is the rollout that brought a revision; nil: none is known to.
func (s *shift) origin(ctx context.Context, sub *subject, revision string) *Origin {
	if revision == "" {
		return nil
	}
	s.mu.Lock()
	known, asked := sub.origins[revision]
	s.mu.Unlock()
	if asked {
		return known
	}
	ctx, cancel := context.WithTimeout(ctx, aboutTime)
	defer cancel()
	origin, found, err := s.m.Rollouts.Origin(ctx, sub.Target, revision)
	if err != nil {
		s.log.DebugContext(ctx, "which rollout brought a revision is not known", "revision", revision, "err", err)
		return nil
	}
	var of *Origin
	if found {
		of = &origin
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.origins[revision] = of
	return of
}
