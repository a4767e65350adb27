package gcp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"
	"google.golang.org/protobuf/types/known/timestamppb"

	"slipway/rollout"
)

const keepTally = time.Hour

// tallies are the counts in progress, by what is counted.
type tallies struct {
	mu    sync.Mutex
	byKey map[tallyKey]*tally
}

type tallyKey struct {
	service, revision, match, ignore string
	since                            int64
	slow, late                       time.Duration
}

func requestsKey(q rollout.Query) tallyKey {
	return tallyKey{
		service: servicePath(q.Service), revision: q.Revision, ignore: strings.Join(q.Ignore, "\n"),
		since: q.Since.UnixNano(), slow: q.Slow, late: q.Late,
	}
}

// get returns the tally of key, a fresh one if there is none, and forgets those that nobody asked for
// in keepTally.
func (t *tallies) get(key tallyKey, fresh func() *tally) *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for k, old := range t.byKey {
		if now.Sub(old.used) > keepTally {
			delete(t.byKey, k)
		}
	}
	found := t.byKey[key]
	if found == nil {
		found = fresh()
		t.byKey[key] = found
	}
	found.used = now
	return found
}

// tally counts log entries once each. What it keeps does not grow with the traffic: a slot for each
// second, and the identifiers of what the next listing can bring again.
type tally struct {
	used time.Time // guarded by tallies.mu

	listing chan struct{} // full while entries are listed, so that two callers do not list the same
	since   time.Time
	from    time.Time        // entries received earlier are counted
	seen    map[string]int64 // insertId → when it was received, in Unix nanoseconds, of those received since from
	newest  int64            // when the newest entry was received, in Unix nanoseconds; 0: none was

	slow, late    time.Duration
	ignore        []string
	users, probes slots
	ended         map[int64]int64 // all of them, by the Unix time at which the minute begins in which they ended
	dropped       int64           // how many are missing, as Cloud Monitoring told when it was asked last
	asked         time.Time       // when that was

	match    string
	hits     int64
	sample   string
	sampleAt time.Time
}

// newTally counts requests.
func newTally(q rollout.Query) *tally {
	t := newLineTally(q.Since, "")
	t.slow, t.late, t.ignore = q.Slow, q.Late, slices.Clone(q.Ignore)
	t.users, t.probes, t.ended = slots{}, slots{}, map[int64]int64{}
	return t
}

// newLineTally counts lines that contain match.
func newLineTally(since time.Time, match string) *tally {
	return &tally{listing: make(chan struct{}, 1), match: match, since: since, from: since, seen: map[string]int64{}}
}

// take waits until nobody else lists entries, at most as long as the caller may.
func (t *tally) take(ctx context.Context) error {
	select {
	case t.listing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for others who read the same log: %w", ctx.Err())
	}
}

func (t *tally) leave() { <-t.listing }

func (t *tally) add(e *loggingpb.LogEntry) {
	if _, counted := t.seen[e.GetInsertId()]; counted {
		return
	}
	received := e.GetReceiveTimestamp().GetSeconds()*int64(time.Second) + int64(e.GetReceiveTimestamp().GetNanos())
	t.seen[e.GetInsertId()] = received
	t.newest = max(t.newest, received)
	if request := e.GetHttpRequest(); request != nil {
		t.addRequest(request, e.GetTimestamp(), received)
		return
	}
	t.hits++
	if at := e.GetTimestamp().AsTime(); t.sample == "" || at.Before(t.sampleAt) {
		t.sample, t.sampleAt = matching(text(e), t.match), at
	}
}

// addRequest counts a request in the second in which it started: however late it is logged, that is where
// it belongs. What is ignored still shows that the log is not behind. received is in Unix nanoseconds.
func (t *tally) addRequest(request *logtypepb.HttpRequest, start *timestamppb.Timestamp, received int64) {
	took := request.GetLatency().AsDuration()
	t.ended[minuteOf(start, took)]++
	into := t.users
	if isTest(request) {
		into = t.probes
	} else if isProbe(request) || ignored(t.ignore, request.GetRequestUrl()) {
		return
	}
	slot := into.at(start.GetSeconds())
	slot.Requests++
	if failed(request) {
		slot.Errors++
	}
	if t.slow > 0 && took > t.slow {
		slot.Slow++
	}
	if waited := received - start.GetSeconds()*int64(time.Second) - int64(start.GetNanos()); t.late > 0 && waited > int64(t.late) {
		slot.Late++
	}
}

// minuteOf is the Unix time at which the minute begins in which a request ended.
func minuteOf(start *timestamppb.Timestamp, took time.Duration) int64 {
	end := start.GetSeconds() + int64((time.Duration(start.GetNanos())+took)/time.Second)
	return end - end%int64(metricsEvery/time.Second)
}

// advance moves the window on after a listing that came to its end.
func (t *tally) advance() {
	if from := time.Unix(0, t.newest).UTC().Add(-overlap); from.After(t.from) {
		t.from = from
	}
	from := t.from.UnixNano()
	for id, received := range t.seen {
		if received < from {
			delete(t.seen, id)
		}
	}
}

func (t *tally) requests() rollout.Requests {
	r := rollout.Requests{Slots: t.users.sorted(), Probes: t.probes.sorted(), Every: time.Second, Dropped: t.dropped, Source: rollout.FromLogs}
	if t.newest > 0 {
		r.Watermark = time.Unix(0, t.newest).UTC()
	}
	return r
}

// slots are requests by the second, since 1970, in which they started.
type slots map[int64]*rollout.Slot

// at returns the slot of a second, a fresh one if it has none yet.
func (s slots) at(second int64) *rollout.Slot {
	slot := s[second]
	if slot == nil {
		slot = &rollout.Slot{At: time.Unix(second, 0).UTC()}
		s[second] = slot
	}
	return slot
}

func (s slots) sorted() []rollout.Slot {
	if len(s) == 0 {
		return nil
	}
	list := make([]rollout.Slot, 0, len(s))
	for _, slot := range s {
		list = append(list, *slot)
	}
	slices.SortFunc(list, func(a, b rollout.Slot) int { return a.At.Compare(b.At) })
	return list
}

// isTest reports whether a gate made the request, to see how it is answered.
func isTest(r *logtypepb.HttpRequest) bool {
	return strings.HasPrefix(r.GetUserAgent(), rollout.GateAgent)
}

// isProbe reports whether Slipway made it, which may be meant to fail.
func isProbe(r *logtypepb.HttpRequest) bool {
	return strings.HasPrefix(r.GetUserAgent(), rollout.ProbeAgent)
}

func failed(r *logtypepb.HttpRequest) bool { return r.GetStatus() >= 500 }

// ignored says whether the path of url is one of those given, or begins as one that ends in *.
func ignored(paths []string, url string) bool {
	if len(paths) == 0 {
		return false
	}
	path := pathOf(url)
	return slices.ContainsFunc(paths, func(p string) bool {
		start, open := strings.CutSuffix(p, "*")
		return path == p || open && strings.HasPrefix(path, start)
	})
}

// pathOf is the path of a URL as Cloud Run logs it, "https://host/path?query", without parsing the rest
// of it: a log has a million of them. The root's path is "/", written or not.
func pathOf(url string) string {
	if scheme := strings.Index(url, "://"); scheme >= 0 {
		url = url[scheme+len("://"):]
		url = url[len(upTo(url, '/')):]
	}
	return cmp.Or(upTo(url, '?'), "/")
}

// upTo is what comes before a byte; all of s, if it is not there.
func upTo(s string, b byte) string {
	if i := strings.IndexByte(s, b); i >= 0 {
		return s[:i]
	}
	return s
}
