package gcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/api/iterator"

	"slipway/rollout"
)

const (
	pageSize  = 1000             // the most that entries.list gives, whose calls are limited to 60 a minute a project
	overlap   = 15 * time.Second // how far back each listing looks again: entries can show later than newer ones
	keepTally = time.Hour
	tailLines = 15
	tailAge   = time.Hour // how far back a log's end is looked for
)

// Requests implements rollout.RequestLog. It lists only what was received since the call before,
// with an overlap, so that a gate can ask every ten seconds.
func (c *Cloud) Requests(ctx context.Context, s rollout.Service, revision string, since time.Time) (rollout.Requests, error) {
	t := c.tallies.get(tallyKey{service: servicePath(s), revision: revision, since: since.UnixNano()}, since)
	if err := t.take(ctx); err != nil {
		return rollout.Requests{}, err
	}
	defer t.leave()
	if err := c.update(ctx, t, s, requestLines(s, revision)); err != nil {
		return rollout.Requests{}, err
	}
	return t.requests(), nil
}

// Lines implements rollout.RequestLog. Cloud Logging compares without regard to case.
func (c *Cloud) Lines(ctx context.Context, s rollout.Service, revision, match string, since time.Time) (rollout.Lines, error) {
	t := c.tallies.get(tallyKey{service: servicePath(s), revision: revision, match: match, since: since.UnixNano()}, since)
	if err := t.take(ctx); err != nil {
		return rollout.Lines{}, err
	}
	defer t.leave()
	filter := revisionLines(s, revision) + fmt.Sprintf(" (textPayload:%s OR jsonPayload.message:%[1]s)", quote(match))
	if err := c.update(ctx, t, s, filter); err != nil {
		return rollout.Lines{}, err
	}
	return rollout.Lines{Hits: t.hits, Sample: t.sample}, nil
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

// update adds what is new to a tally, whose lock the caller holds. When a listing breaks off, what it
// brought is kept and counted once: the next begins at the same place.
func (c *Cloud) update(ctx context.Context, t *tally, s rollout.Service, filter string) error {
	filter += fmt.Sprintf(" timestamp>=%s receiveTimestamp>=%s", stamp(t.since), stamp(t.from))
	if err := c.list(ctx, s.Project, filter, "timestamp asc", 0, t.add); err != nil {
		return err
	}
	t.advance()
	return nil
}

// list hands entries to each, page by page; limit 0 means all of them. An empty page with a token is
// not the end, which the client's iterator knows.
func (c *Cloud) list(ctx context.Context, project, filter, order string, limit int, each func(*loggingpb.LogEntry)) error {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	size := pageSize
	if limit > 0 {
		size = min(size, limit)
	}
	entries := c.logs.ListLogEntries(ctx, &loggingpb.ListLogEntriesRequest{
		ResourceNames: []string{"projects/" + project}, Filter: filter, OrderBy: order, PageSize: int32(size),
	})
	for n := 0; limit == 0 || n < limit; n++ {
		entry, err := entries.Next()
		if errors.Is(err, iterator.Done) {
			return nil
		}
		if err != nil {
			return explain(err, logsSubject(project))
		}
		each(entry)
	}
	return nil
}

// tail returns the last n lines of a log, oldest first.
func (c *Cloud) tail(ctx context.Context, project, filter string, n int) ([]string, error) {
	filter += " timestamp>=" + stamp(time.Now().Add(-tailAge))
	var lines []string
	err := c.list(ctx, project, filter, "timestamp desc", n, func(e *loggingpb.LogEntry) {
		of := strings.Split(strings.TrimRight(text(e), "\n"), "\n")
		slices.Reverse(of)
		lines = append(lines, of...)
	})
	slices.Reverse(lines)
	return lines[max(0, len(lines)-n):], err
}

// tallies are the counts in progress, by what is counted.
type tallies struct {
	mu    sync.Mutex
	byKey map[tallyKey]*tally
}

type tallyKey struct {
	service, revision, match string
	since                    int64
}

// get returns the tally of key and forgets those that nobody asked for in keepTally.
func (t *tallies) get(key tallyKey, since time.Time) *tally {
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
		found = newTally(since, key.match)
		t.byKey[key] = found
	}
	found.used = now
	return found
}

// tally counts log entries once each.
type tally struct {
	used time.Time // guarded by tallies.mu

	listing chan struct{} // full while entries are listed, so that two callers do not list the same
	match   string
	since   time.Time
	from    time.Time            // entries received earlier are counted
	seen    map[string]time.Time // insertId → when it was received, of those received since from
	newest  time.Time            // when the newest entry was received
	seconds map[int64]rollout.Second

	hits     int64
	sample   string
	sampleAt time.Time
}

func newTally(since time.Time, match string) *tally {
	return &tally{listing: make(chan struct{}, 1), match: match, since: since, from: since, seen: map[string]time.Time{}, seconds: map[int64]rollout.Second{}}
}

func (t *tally) add(e *loggingpb.LogEntry) {
	if _, counted := t.seen[e.GetInsertId()]; counted {
		return
	}
	received := e.GetReceiveTimestamp().AsTime()
	t.seen[e.GetInsertId()] = received
	if received.After(t.newest) {
		t.newest = received
	}
	if e.GetHttpRequest() != nil {
		t.addRequest(e)
		return
	}
	t.hits++
	if at := e.GetTimestamp().AsTime(); t.sample == "" || at.Before(t.sampleAt) {
		t.sample, t.sampleAt = matching(text(e), t.match), at
	}
}

// addRequest counts a request in the second in which it started. A probe of our own says something
// about time, not about errors.
func (t *tally) addRequest(e *loggingpb.LogEntry) {
	if isProbe(e) {
		return
	}
	at := e.GetTimestamp().AsTime().Truncate(time.Second)
	second := t.seconds[at.Unix()]
	second.At = at
	second.Requests++
	if failed(e) {
		second.Errors++
	}
	t.seconds[at.Unix()] = second
}

// advance moves the window on after a listing that came to its end.
func (t *tally) advance() {
	if from := t.newest.Add(-overlap); from.After(t.from) {
		t.from = from
	}
	for id, received := range t.seen {
		if received.Before(t.from) {
			delete(t.seen, id)
		}
	}
}

func (t *tally) requests() rollout.Requests {
	r := rollout.Requests{Watermark: t.newest}
	for _, second := range t.seconds {
		r.Seconds = append(r.Seconds, second)
	}
	slices.SortFunc(r.Seconds, func(a, b rollout.Second) int { return a.At.Compare(b.At) })
	return r
}

func isProbe(e *loggingpb.LogEntry) bool {
	return strings.HasPrefix(e.GetHttpRequest().GetUserAgent(), rollout.ProbeAgent)
}

func failed(e *loggingpb.LogEntry) bool { return e.GetHttpRequest().GetStatus() >= 500 }

// text is an entry's message, whether plain or structured.
func text(e *loggingpb.LogEntry) string {
	if e.GetTextPayload() != "" {
		return e.GetTextPayload()
	}
	return e.GetJsonPayload().GetFields()["message"].GetStringValue()
}

// matching returns the line of a message that contains match: a traceback is one entry, and its last
// line says what happened.
func matching(message, match string) string {
	for line := range strings.Lines(message) {
		if strings.Contains(strings.ToLower(line), strings.ToLower(match)) {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(message)
}

// requestLines filters the requests of a revision, as in
// https://cloud.google.com/run/docs/logging#run_request_logs.
func requestLines(s rollout.Service, revision string) string {
	return ofRevision(s, revision) + ` log_id("run.googleapis.com/requests")`
}

// revisionLines filters what a revision and Cloud Run write about it, requests aside.
func revisionLines(s rollout.Service, revision string) string {
	return ofRevision(s, revision) + ` (log_id("run.googleapis.com/stderr") OR log_id("run.googleapis.com/stdout")` +
		` OR log_id("run.googleapis.com/varlog/system"))`
}

func ofRevision(s rollout.Service, revision string) string {
	return fmt.Sprintf(`resource.type="cloud_run_revision" resource.labels.service_name=%s`+
		` resource.labels.location=%s resource.labels.revision_name=%s`, quote(s.CloudRun), quote(s.Region), quote(revision))
}

// quote writes a string of the Logging query language.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func stamp(t time.Time) string { return quote(t.UTC().Format(time.RFC3339Nano)) }

var _ rollout.RequestLog = (*Cloud)(nil)
