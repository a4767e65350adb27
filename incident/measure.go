package incident

import (
	"slices"
	"time"
)

// Measured says that from now on requests are counted by Measure, or that they are counted
// by Add again. What was judged stays. To go on by the log, which is minutes ahead of the
// metrics, it has to be read again from From on, as after the watch's JSON.
func (w *Watch) Measured(on bool) {
	if w.metered == on {
		return
	}
	w.rejudge()
	w.metered, w.floor = on, w.judged()
	times := float64(minute)
	if !on {
		times = 1 / times
		w.unread()
	}
	w.stretch(&w.armed, times)
	w.stretch(&w.settled, times)
	for i := range w.trail {
		w.stretch(&w.trail[i], times)
	}
}

// unread forgets what came after the last slice that is settled.
func (w *Watch) unread() {
	last := w.first - 1
	w.counts, w.groups, w.sightings, w.blames = w.counts.trim(last), w.groups.trim(last), w.sightings.trim(last), w.blames.trim(last)
	w.trail, w.floor, w.newest = w.trail[:0], w.first, time.Time{}
	w.names = newNames()
	w.names.advance(w.first)
}

// stretch has each slice be the only one in so many: the judges' patience is in slices.
func (w *Watch) stretch(judges *[rates]judge, times float64) {
	for rate := range judges {
		judges[rate].stretch(times)
	}
}

// Measure counts requests by the minute, as Cloud Monitoring has them, up to a time; of
// minutes that were counted before it takes no notice. A minute is one slice: its six would
// be no evidence independent of one another.
func (w *Watch) Measure(minutes []Minute, until time.Time) {
	if !w.metered || until.IsZero() {
		return
	}
	if w.first == 0 {
		w.advance(until.Add(-time.Hour))
	}
	from := max(w.floor, w.judged())
	for _, m := range minutes {
		at := slice(m.At)
		if at >= from && !m.At.Add(time.Minute).After(until) && !w.mutes.cover(m.Revision, m.At) {
			w.count(at, m.Revision, count{m.Requests, m.Errors, m.Slow})
		}
	}
	w.advance(until)
}

// Minutes are the requests that started in [from, to) by the minute, all revisions together.
func (w *Watch) Minutes(from, to time.Time) []Minute {
	var list []Minute
	for at := from.Truncate(time.Minute); at.Before(to); at = at.Add(time.Minute) {
		m := Minute{At: at.UTC()}
		for n := range int64(minute) {
			c := w.counts.get(slice(at) + n)
			m.Requests += c.requests
			m.Errors += c.errors
			m.Slow += c.slow
		}
		list = append(list, m)
	}
	return list
}

// logged is how many requests the log had that ended in each of the last minutes, whoever made them.
type logged struct {
	last int64 // the newest minute, since 1970
	n    [lookedBack]int64
}

// lookedBack is how many minutes can be compared with what Cloud Monitoring counted.
const lookedBack = 32

func (l *logged) note(e *Entry) {
	if e.Request == nil {
		return
	}
	minute := e.At.Add(e.Request.Latency).Unix() / 60
	if minute <= l.last-lookedBack {
		return
	}
	for l.last = max(l.last, minute-lookedBack); l.last < minute; {
		l.last++
		l.n[l.last%lookedBack] = 0
	}
	l.n[minute%lookedBack]++
}

// Lacks reports how many requests Cloud Monitoring counted in minutes of which the log was
// read, and how many of those the log had.
func (w *Watch) Lacks(minutes []Minute) (counted, had int64) {
	var seen []int64
	for _, m := range minutes {
		at := m.At.Unix() / 60
		if at <= w.logged.last-lookedBack {
			continue
		}
		counted += m.Requests
		if at <= w.logged.last && !slices.Contains(seen, at) {
			seen = append(seen, at)
			had += w.logged.n[at%lookedBack]
		}
	}
	return counted, had
}

// Next is from when on Measure needs to be told; zero: from any time.
func (w *Watch) Next() time.Time {
	if w.first == 0 {
		return time.Time{}
	}
	return began(max(w.floor, w.judged()))
}

// Newest is when the newest entry was received, or until when requests were measured; zero: never.
func (w *Watch) Newest() time.Time {
	if w.metered && w.first > 0 {
		return began(w.judged())
	}
	return w.newest
}
