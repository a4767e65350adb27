package gcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/api/iterator"

	"slipway/rollout"
)

const (
	pageSize  = 1000             // the most that entries.list gives, whose calls are limited to 60 a minute a project
	overlap   = 15 * time.Second // how far back each listing looks again: entries can show later than newer ones
	tailLines = 15
	tailAge   = time.Hour // how far back a log's end is looked for
)

// requestsFromLogs lists only what was received since the call before, with an overlap, so that a
// gate can ask every ten seconds.
func (c *Cloud) requestsFromLogs(ctx context.Context, q rollout.Query) (rollout.Requests, error) {
	t := c.tallies.get(requestsKey(q), func() *tally { return newTally(q) })
	if err := t.take(ctx); err != nil {
		return rollout.Requests{}, err
	}
	defer t.leave()
	filter := requestLines(q.Service, q.Revision)
	if err := c.update(ctx, t, q.Service, filter); err != nil {
		return rollout.Requests{}, err
	}
	if q.Revision == q.Service.Candidate.Name {
		c.lookForDropped(ctx, t, q)
	}
	r := t.requests()
	r.Query = filter + startedSince(q.Since)
	return r, nil
}

// Lines implements rollout.RequestLog. Cloud Logging compares without regard to case.
func (c *Cloud) Lines(ctx context.Context, s rollout.Service, revision, match string, since time.Time) (rollout.Lines, error) {
	key := tallyKey{service: servicePath(s), revision: revision, match: match, since: since.UnixNano()}
	t := c.tallies.get(key, func() *tally { return newLineTally(since, match) })
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

// update adds what is new to a tally, whose lock the caller holds. When a listing breaks off, what it
// brought is kept and counted once: the next begins at the same place.
func (c *Cloud) update(ctx context.Context, t *tally, s rollout.Service, filter string) error {
	filter += startedSince(t.since) + " receiveTimestamp>=" + stamp(t.from)
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

// lastLines returns the last n lines of a log, oldest first.
func (c *Cloud) lastLines(ctx context.Context, project, filter string, n int) ([]string, error) {
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

func startedSince(t time.Time) string { return " timestamp>=" + stamp(t) }

// quote writes a string of the Logging query language.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func stamp(t time.Time) string { return quote(t.UTC().Format(time.RFC3339Nano)) }
