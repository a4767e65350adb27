package incident

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/plan"
)

const (
	// lookBack is how far back the log is read when nothing is known of the time before, and mostBack at most.
	lookBack = 15 * time.Minute
	mostBack = time.Hour
	// readAtOnce is the time of which the log is read at once to begin with. It is doubled while little comes, up to
	// mostAtOnce, and halved when much does: calls are limited, and what one brings is held in memory.
	readAtOnce = time.Minute
	mostAtOnce = 15 * time.Minute
	little     = 1_000 // entries, a page
	much       = 10_000
	readTime   = 30 * time.Second
	// overlap is how much of the log is read again when a session begins: entries are received in another order
	// than they show. Copies are known by their names.
	overlap = 30 * time.Second
	// afterwards is how long after a session began the log is read once more, for what came when it was not
	// open yet, or showed later.
	afterwards = 10 * time.Second
	mostPause  = 30 * time.Second
	// mostWaitingEntries are kept of a session while the log before it is read; what is more is read afterwards.
	mostWaitingEntries = 50_000
)

// errTurned ends a session because another source counts the requests now.
var errTurned = errors.New("the source of the numbers changes")

// read reads the log as long as the shift lasts. A session that breaks off is followed by another one, which
// begins where it ended.
func (s *shift) read(ctx context.Context) {
	pause := holdEvery
	for ctx.Err() == nil {
		began := time.Now()
		err := s.session(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errTurned):
			continue
		case time.Since(began) > afterwards:
			pause = holdEvery
		}
		s.log.WarnContext(ctx, "the log's session broke off", "err", err, "again_in", pause)
		s.brokeOff(err, time.Since(began) < time.Minute)
		sleep(ctx, pause)
		pause = min(2*pause, mostPause)
	}
}

// session follows the log from where it was read last until the session breaks off, and returns why.
func (s *shift) session(ctx context.Context) error {
	ctx, turn := context.WithCancelCause(ctx)
	defer turn(nil)
	opened := time.Now().UTC()
	from, services := s.beginSession(opened, turn)
	inlet := &inlet{each: s.add}
	both, work := errgroup.WithContext(ctx)
	both.Go(func() error {
		err := s.m.Logs.Tail(work, s.project.name, services, inlet.take, s.suppressed)
		if err == nil {
			err = errors.New("it ended without a reason")
		}
		return err
	})
	both.Go(func() error {
		if err := s.readUp(work, services, from, opened); err != nil {
			return fmt.Errorf("read the log since %s: %w", from.Format(time.TimeOnly), err)
		}
		inlet.open()
		s.upToDate(from)
		sleep(work, afterwards)
		return s.list(work, services, opened.Add(-overlap), time.Now().UTC(), s.add)
	})
	err := both.Wait()
	if cause := context.Cause(ctx); errors.Is(cause, errTurned) {
		return cause
	}
	return err
}

// beginSession says from when the log has to be read, of which services, and how the session is ended.
func (s *shift) beginSession(now time.Time, turn context.CancelCauseFunc) (from time.Time, services []Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source.turn, s.source.behind = turn, true
	from = now
	for _, sub := range s.watched {
		service := sub.Service
		if service.Alerts.Source = plan.SourceLogs; sub.watch.metered {
			service.Alerts.Source = plan.SourceMetrics // its request log is not needed
		}
		services = append(services, service)
		from = earlier(from, s.source.from(sub.watch, now))
	}
	return from, services
}

// readUp reads the log up to the session's beginning, and looks at each ten seconds of it.
func (s *shift) readUp(ctx context.Context, services []Service, from, to time.Time) error {
	next := from.Truncate(width).Add(width)
	for at := readAtOnce; from.Before(to); {
		until, entries := earlier(from.Add(at), to), 0
		err := s.list(ctx, services, from, until, func(e *Entry) {
			entries++
			for ; next.Before(e.received()); next = next.Add(width) {
				s.observeAgain(ctx, next)
			}
			s.add(e)
		})
		if err != nil {
			return err
		}
		from = until
		switch {
		case entries <= little:
			at = min(2*at, mostAtOnce)
		case entries >= much:
			at = max(at/2, width)
		}
	}
	return ctx.Err()
}

// observeAgain looks at a time that is over, unless that was done then.
func (s *shift) observeAgain(ctx context.Context, at time.Time) {
	if at.After(s.desk.read().Observed) {
		s.observe(ctx, at)
	}
}

func (s *shift) list(ctx context.Context, services []Service, from, to time.Time, each func(*Entry)) error {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	return s.m.Logs.Entries(ctx, s.project.name, services, from, to, each)
}

// add counts an entry.
func (s *shift) add(e *Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.watched {
		if sub.CloudRun == e.Service && sub.Region == e.Location {
			sub.watch.Add(e)
			s.source.count(e)
			return
		}
	}
}

// inlet keeps what a session delivers until the log before it has been read.
type inlet struct {
	each func(*Entry)

	mu      sync.Mutex
	opened  bool
	waiting []Entry
}

func (i *inlet) take(e *Entry) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.opened:
		i.each(e)
	case len(i.waiting) < mostWaitingEntries:
		i.waiting = append(i.waiting, *e)
	}
}

func (i *inlet) open() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := range i.waiting {
		i.each(&i.waiting[n])
	}
	i.waiting, i.opened = nil, true
}
