package incident_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"slipway/incident"
	"slipway/plan"
)

// traffic is requests that come evenly, and how their log is.
type traffic struct {
	began     time.Time
	perSecond int
	failing   func(service string, at time.Time) float64
	delay     func(random *rand.Rand) time.Duration // from a request to its entry; nil: none
	sampled   float64                               // share of the requests that the log lacks
	wrong     func(e *incident.Entry)               // makes of an entry what the log has in its place; nil: nothing

	mu       sync.Mutex
	opened   []time.Time   // sessions
	drops    time.Duration // how long a session lasts; 0: as long as it may
	rate     int           // entries a second that a session brings at most; 0: all
	unlisted error         // of each listing
	unread   error         // of the metrics
}

// of are the entries of a service's requests that were made in a second, as the log has them.
func (l *traffic) of(service string, second time.Time) []incident.Entry {
	random := rand.New(rand.NewPCG(uint64(second.Unix()), uint64(len(service))))
	failing := 0.0
	if l.failing != nil {
		failing = l.failing(service, second)
	}
	var list []incident.Entry
	for n := range l.perSecond {
		at := second.Add(time.Duration(n) * time.Second / time.Duration(l.perSecond))
		e := incident.Entry{
			ID: fmt.Sprintf("%s-%d-%d", service, second.Unix(), n), At: at, Received: at, Log: "run.googleapis.com/requests",
			Service: service, Revision: service + "-00042", Location: "r", Request: &incident.Request{Status: 200, Latency: 50 * time.Millisecond},
		}
		failed := (float64(second.Unix()%100)*float64(l.perSecond) + float64(n)) * failing
		if int(failed+failing) > int(failed) {
			e.Request.Status = 500
		}
		if l.delay != nil {
			e.Received = at.Add(l.delay(random))
		}
		if random.Float64() < l.sampled {
			continue
		}
		if l.wrong != nil {
			l.wrong(&e)
		}
		list = append(list, e)
	}
	return list
}

const mostDelay = 2 * time.Minute

// received are the entries that were received in [from, to), in that order.
func (l *traffic) received(services []incident.Service, from, to time.Time) []incident.Entry {
	var list []incident.Entry
	oldest := time.Second
	if l.delay != nil {
		oldest = mostDelay
	}
	for second := from.Add(-oldest).Truncate(time.Second); second.Before(to); second = second.Add(time.Second) {
		for _, s := range services {
			if s.Alerts.Source == plan.SourceMetrics {
				continue
			}
			for _, e := range l.of(s.CloudRun, second) {
				if !e.Received.Before(from) && e.Received.Before(to) {
					list = append(list, e)
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b incident.Entry) int { return a.Received.Compare(b.Received) })
	return list
}

// sessions is how many were opened.
func (l *traffic) sessions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.opened)
}

// forbid makes each listing an error; nil: none.
func (l *traffic) forbid(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlisted = err
}

// unmeasure makes each question for metrics an error.
func (l *traffic) unmeasure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unread = err
}

func (l *traffic) forbidden() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unlisted
}

var errDropped = errors.New("the session was dropped")

func (l *traffic) tail(ctx context.Context, services []incident.Service, each func(*incident.Entry), suppressed func(int64, string)) error {
	opened := time.Now()
	l.mu.Lock()
	l.opened = append(l.opened, opened)
	drops, rate := l.drops, l.rate
	l.mu.Unlock()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for from := opened; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := time.Now()
		if drops > 0 && now.Sub(opened) >= drops {
			return errDropped
		}
		entries := l.received(services, from, now)
		if rate > 0 && len(entries) > rate {
			suppressed(int64(len(entries)-rate), "rate limit")
			entries = entries[:rate]
		}
		for i := range entries {
			each(&entries[i])
		}
		from = now
	}
}

// minutes are the requests as Cloud Monitoring has them: all of them, three minutes later.
func (l *traffic) minutes(s incident.Service, from time.Time) ([]incident.Minute, time.Time, error) {
	l.mu.Lock()
	err := l.unread
	l.mu.Unlock()
	if err != nil {
		return nil, time.Time{}, err
	}
	whole := &traffic{began: l.began, perSecond: l.perSecond, failing: l.failing}
	until := time.Now().Add(-3 * time.Minute).Truncate(time.Minute).UTC()
	var list []incident.Minute
	for at := from.Add(time.Minute - 1).Truncate(time.Minute).UTC(); at.Before(until); at = at.Add(time.Minute) {
		m := incident.Minute{At: at, Revision: s.CloudRun + "-00042"}
		for n := range 60 {
			for _, e := range whole.of(s.CloudRun, at.Add(time.Duration(n)*time.Second)) {
				m.Requests++
				if e.Request.Failed() {
					m.Errors++
				}
			}
		}
		list = append(list, m)
	}
	return list, until, nil
}
