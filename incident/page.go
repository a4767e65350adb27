package incident

import (
	"context"
	"errors"
	"time"

	"slipway/plan"
)

const (
	notifyTime = 15 * time.Second
	// healPause is how long one is left alone whom only people can make listen.
	healPause = 5 * time.Minute
)

// notify tells others than the channel, each by itself.
func (s *shift) notify(ctx context.Context) {
	var all attempts
	defer all.work.Wait()
	s.rounds(ctx, nil, func(b Book, now time.Time) {
		for _, t := range b.Threads {
			c := s.m.caseOf(b, t)
			notice := c.Notice()
			for _, to := range t.Untold(s.others(c), notice.Status) {
				key := t.ID + " " + Name(to)
				if all.due(key, notice.ID, false, now) {
					all.work.Go(func() {
						again, err := s.notifyOne(ctx, t.ID, to, notice)
						all.ended(key, notice.ID, again, err, time.Now())
					})
				}
			}
		}
	})
}

// others are those who are to be told of a case beside the channel.
func (s *shift) others(c Case) []plan.Notify {
	var list []plan.Notify
	for _, i := range c.Incidents {
		if sub := s.of(i.Key.Target); sub != nil {
			list = append(list, sub.Alerts.Notify...)
		}
	}
	return list
}

// notifyOne tells one of them. again is how long to leave it alone after an error, at least.
func (s *shift) notifyOne(ctx context.Context, thread string, to plan.Notify, n Notice) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, notifyTime)
	defer cancel()
	if err := s.m.Notifier.Notify(ctx, to, n); err != nil {
		var undelivered Undelivered
		if errors.As(err, &undelivered) {
			if again = undelivered.RetryAfter(); undelivered.Permanent() {
				again = max(again, healPause)
			}
		}
		s.log.WarnContext(ctx, "somebody was not notified of an incident", "incident", thread, "to", Name(to), "status", n.Status, "err", err)
		return again, err
	}
	return 0, s.desk.change(ctx, func(b *Book) error {
		if t := b.Thread(thread); t != nil {
			t.Told(to, n.Status)
		}
		return nil
	})
}
