package incident

import (
	"time"

	"slipway/plan"
)

const (
	// lag is how long after its end a slice is looked at for the first time: Cloud Logging
	// has nearly all entries within seconds.
	lag = 10 * time.Second
	// open is how many slices are open to late entries, behind the lag: two minutes. When
	// one comes all slices from its own on are judged anew.
	open = int64(2 * time.Minute / width)
	// beyond is how much later than the newest entry it can be by this machine's clock,
	// which may be wrong; time in which nothing is received is no evidence anyway.
	beyond = time.Minute
	// places are the slices that are open, those within the lag, and two for clocks that
	// are not alike.
	places = open + int64(lag/width) + 3
)

// Watch watches one service: entries go in, in any order that Cloud Logging may have
// them, and Look says how things are. Its size does not grow with the traffic but for the
// names of the last two and a half minutes' entries. It is not safe for concurrent use.
//
// As JSON it keeps what is settled: whoever goes on from there reads the log again from
// From on, and counts each entry once.
type Watch struct {
	target plan.Target
	rules  Rules
	armed  [rates]judge

	counts  counts
	settled [rates]judge   // after the last slice before first
	first   int64          // the first slice that is open to late entries; 0: nothing came yet
	trail   [][rates]judge // after each slice from first on that was judged
	dirty   int64          // the first slice judged that an entry came late to; no slice: math.MaxInt64
	newest  time.Time      // when the newest entry was received
	names   names
	metered bool  // requests are counted by Measure, not by Add
	floor   int64 // slices before it were counted by the other of the two
	mutes   mutes
	logged  logged
	blames  blames

	groups    groups
	sightings sightings
	Stats     Stats
}

// Stats are the entries that were not counted.
type Stats struct {
	Late     int64 `json:"late"`            // received more than two minutes after their time, or dated later than that
	Repeated int64 `json:"repeated"`        // copies
	Probes   int64 `json:"probes"`          // requests of Slipway's own
	Muted    int64 `json:"muted,omitempty"` // entries of a revision that a rollout was judging
}

// NewWatch watches a service.
func NewWatch(target plan.Target, rules Rules) (*Watch, error) {
	armed, err := rules.judges()
	if err != nil {
		return nil, err
	}
	return &Watch{
		target: target, rules: rules, armed: armed, settled: armed, counts: newCounts(), names: newNames(), dirty: noSlice,
	}, nil
}

const noSlice = int64(1) << 62

// Add counts an entry of the service.
func (w *Watch) Add(e *Entry) {
	received := e.received()
	if w.newest = later(w.newest, received); !w.keepUp() {
		return
	}
	at := slice(e.At)
	if at < w.names.first || at > slice(received)+1 || at-w.names.first >= places {
		w.Stats.Late++
		w.logged.note(e)
		return
	}
	if !w.names.note(at, e) {
		w.Stats.Repeated++
		return
	}
	w.logged.note(e)
	switch {
	case w.mutes.cover(e.Revision, e.At):
		w.Stats.Muted++
		w.groups.Revisions = appear(w.groups.Revisions, e.Revision, e.At)
	case e.Request != nil:
		w.addRequest(at, e)
	default:
		w.addText(e)
	}
}

// keepUp makes place for an entry that was just received. It reports whether there is any.
func (w *Watch) keepUp() bool {
	if !w.metered {
		return w.advance(w.newest.Add(-lag))
	}
	w.names.advance(slice(w.newest.Add(-lag)) - open)
	return true
}

func (w *Watch) addRequest(at int64, e *Entry) {
	if e.Request.isProbe() {
		w.Stats.Probes++
		return
	}
	c := count{requests: 1}
	if e.Request.Failed() {
		c.errors = 1
	}
	if w.rules.Slow > 0 && e.Request.Latency > w.rules.Slow {
		c.slow = 1
	}
	w.groups.Revisions = appear(w.groups.Revisions, e.Revision, e.At)
	if !w.metered && at >= w.floor {
		w.count(at, e.Revision, c)
	}
}

// count adds requests of a revision to a slice that is open.
func (w *Watch) count(at int64, revision string, c count) {
	if bad := c.errors + c.slow; bad > 0 {
		w.blames.note(revision, at, bad)
	}
	if place := w.counts.at(at); place != nil {
		place.add(c)
	}
	if at < w.judged() {
		w.dirty = min(w.dirty, at)
	}
}

// judged is the first slice that was not judged yet.
func (w *Watch) judged() int64 { return w.first + int64(len(w.trail)) }

func (w *Watch) addText(e *Entry) {
	w.groups.Revisions = appear(w.groups.Revisions, e.Revision, e.At)
	if e.isError() {
		w.groups.add(e)
	}
	for _, pattern := range w.rules.matches(e.Text) {
		w.sightings.note(LogMatches, pattern, e)
	}
	if w.rules.CrashOnStart && e.crashed() {
		w.sightings.note(CrashOnStart, "", e)
	}
}

// advance judges the slices that have ended by a time. It reports whether there are any
// to count in.
func (w *Watch) advance(to time.Time) bool {
	if to.Unix() <= 0 {
		return false
	}
	end := slice(to)
	if w.first == 0 {
		w.first = end - open
		w.names.advance(w.first)
		for range open {
			w.trail = append(w.trail, w.settled)
		}
	}
	if w.judged() < end {
		w.rejudge()
	}
	for next := w.judged(); next < end; next++ {
		if end-next > 2*kept { // so long a time without an entry leaves nothing to judge
			w.skip(end - kept)
			next = w.first
		}
		w.trail = append(w.trail, w.after(next, w.last()))
		if int64(len(w.trail)) > open {
			w.settle()
		}
	}
	return true
}

// settle closes the first slice for good.
func (w *Watch) settle() {
	w.settled = w.trail[0]
	copy(w.trail, w.trail[1:])
	w.trail = w.trail[:len(w.trail)-1]
	w.first++
	if !w.metered {
		w.names.advance(w.first)
	}
}

// skip goes on at a slice as if nothing had come between.
func (w *Watch) skip(to int64) {
	w.settled = w.last()
	w.trail = w.trail[:0]
	w.first = to
	if !w.metered {
		w.names.advance(to)
	}
}

// last is what the judges know after the last slice judged.
func (w *Watch) last() [rates]judge {
	if len(w.trail) == 0 {
		return w.settled
	}
	return w.trail[len(w.trail)-1]
}

// rejudge judges the slices anew that late entries came to, and those after them.
func (w *Watch) rejudge() {
	if w.dirty == noSlice {
		return
	}
	before := w.settled
	for i := range w.trail {
		if at := w.first + int64(i); at >= w.dirty {
			w.trail[i] = w.after(at, before)
		}
		before = w.trail[i]
	}
	w.dirty = noSlice
}

// after is what the judges know after a slice, from what they did before it.
func (w *Watch) after(at int64, judges [rates]judge) [rates]judge {
	c := w.counts.get(at)
	judges[errorRate].add(&w.armed[errorRate], at, w.rules.shareOf(errorRate, c), false)
	judges[latencyRate].add(&w.armed[latencyRate], at, w.rules.shareOf(latencyRate, c), false)
	leak := &judges[slowLeak]
	if judges[errorRate].Alarm && !leak.Alarm { // one alarm for one fault
		leak.Excess = 0
		return judges
	}
	burning := !judges[errorRate].Alarm && w.counts.burns(at, float64(w.rules.SLO), &judges[errorRate].Told)
	leak.add(&w.armed[slowLeak], at, w.rules.shareOf(slowLeak, c), burning)
	return judges
}

// Look says how things are at a time, by this machine's clock: a reading of each rate that
// is watched, and of each sighting that is or was an alarm.
func (w *Watch) Look(now time.Time) []Reading {
	if !w.newest.IsZero() && !w.metered {
		w.advance(earlier(now, w.newest.Add(beyond)).Add(-lag))
	}
	w.rejudge()
	var readings []Reading
	var since time.Time
	for rate, j := range w.last() {
		if j.Limit == 0 {
			continue
		}
		r := Reading{Key: Key{Target: w.target, Kind: kindOf(rate)}, Alarm: j.Alarm, Evidence: j.Was, Limit: plan.Percent(j.Limit)}
		if j.Alarm {
			if r.Evidence = j.Evidence; since.IsZero() || r.Evidence.Since.Before(since) {
				since = r.Evidence.Since
			}
		}
		readings = append(readings, r)
	}
	w.groups.alarm(since)
	until := w.judged()
	if w.metered { // the log is ahead of the metrics by minutes
		until = noSlice
	}
	for i := range readings {
		if readings[i].Alarm {
			readings[i].Groups, readings[i].Revision = w.groups.top(shownGroups, until), w.blames.most(slice(readings[i].Evidence.Since))
		}
	}
	for _, s := range w.sightings {
		s.look(now)
		if s.Alarm || s.Over {
			readings = append(readings, s.reading(w.target))
		}
	}
	return readings
}

const shownGroups = 3

// Dropped is how many errors are in no group, because there were too many.
func (w *Watch) Dropped() int64 { return w.groups.Dropped }
