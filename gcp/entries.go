package gcp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"

	"slipway/incident"
	"slipway/plan"
)

// Entries implements incident.LogSource. A window of more entries than can be listed in listTime is an error,
// as is a listing that breaks off: then nothing is delivered.
func (c *Cloud) Entries(ctx context.Context, project string, services []incident.Service, from, to time.Time, each func(*incident.Entry)) error {
	filter := watchedLines(services) + startedSince(from.Add(-longestToLive)) +
		fmt.Sprintf(" receiveTimestamp>=%s receiveTimestamp<%s", stamp(from), stamp(to))
	in := newSieve(services)
	var entries []incident.Entry
	err := c.list(ctx, project, filter, "timestamp asc", 0, func(e *loggingpb.LogEntry) {
		if entry, ok := in.take(e); ok {
			entries = append(entries, entry)
		}
	})
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b incident.Entry) int {
		return cmp.Or(a.Received.Compare(b.Received), a.At.Compare(b.At), strings.Compare(a.ID, b.ID))
	})
	type once struct {
		id string
		at int64
	}
	seen := make(map[once]bool, len(entries))
	for i := range entries {
		if key := (once{entries[i].ID, entries[i].At.UnixNano()}); !seen[key] {
			seen[key] = true
			each(&entries[i])
		}
	}
	in.report(ctx, c, project)
	return nil
}

// mostFilter is how much of a filter may be taken up by what is watched, in characters: the whole of it may
// have 20,000 (https://cloud.google.com/logging/quotas).
const mostFilter = 19_000

// watchedLines filters what requests, programs and Cloud Run itself write about services. It lets more
// through: of a name all that bear it in one of the locations, and where the names are too many for a filter
// all services there. The requests of those that Cloud Monitoring counts are left out.
func watchedLines(services []incident.Service) string {
	var names, locations, measured []string
	for _, s := range services {
		names, locations = append(names, s.CloudRun), append(locations, s.Region)
		if s.Alerts.Source == plan.SourceMetrics {
			measured = append(measured, s.CloudRun)
		}
	}
	filter := `resource.type="cloud_run_revision" (log_id("run.googleapis.com/requests") OR log_id("run.googleapis.com/stderr")` +
		` OR log_id("run.googleapis.com/stdout") OR log_id("run.googleapis.com/varlog/system"))` +
		oneOf("resource.labels.location", locations)
	if len(measured) > 0 {
		filter += ` NOT (log_id("run.googleapis.com/requests")` + oneOf("resource.labels.service_name", measured) + `)`
	}
	if named := filter + oneOf("resource.labels.service_name", names); len(named) <= mostFilter {
		return named
	}
	return filter
}

// oneOf compares a field with several values.
func oneOf(field string, values []string) string {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	for i, v := range values {
		values[i] = quote(v)
	}
	return fmt.Sprintf(" %s=(%s)", field, strings.Join(values, " OR "))
}

// sieve turns entries into what a watch counts. What is of no service of it, or cannot be read, is left out.
type sieve struct {
	of     map[address]bool
	broken int   // entries that cannot be read
	first  error // why the first of them cannot
}

// address is a service by its name and its region.
type address struct{ name, region string }

func newSieve(services []incident.Service) *sieve {
	s := &sieve{of: make(map[address]bool, len(services))}
	for _, service := range services {
		s.of[address{service.CloudRun, service.Region}] = true
	}
	return s
}

func (s *sieve) take(e *loggingpb.LogEntry) (incident.Entry, bool) {
	entry := entryOf(e)
	if !s.of[address{entry.Service, entry.Location}] {
		return entry, false
	}
	if err := entry.Check(); err != nil {
		if s.broken++; s.first == nil {
			s.first = err
		}
		return entry, false
	}
	return entry, true
}

// report logs what could not be read.
func (s *sieve) report(ctx context.Context, c *Cloud, project string) {
	if s.broken > 0 {
		c.log.WarnContext(ctx, "log entries cannot be read", "project", project, "entries", s.broken, "err", s.first)
	}
}

// entryOf is an entry as incident.Decode reads it, whatever of it is missing; incident.Entry.Check says whether
// it can be used.
func entryOf(e *loggingpb.LogEntry) incident.Entry {
	labels := e.GetResource().GetLabels()
	entry := incident.Entry{
		ID: e.GetInsertId(), At: e.GetTimestamp().AsTime(), Log: incident.LogOf(e.GetLogName()),
		Service: labels["service_name"], Revision: labels["revision_name"], Location: labels["location"],
		Text: incident.TextOf(e.GetTextPayload(), func(field string) string {
			return e.GetJsonPayload().GetFields()[field].GetStringValue()
		}),
	}
	if e.GetReceiveTimestamp() != nil {
		entry.Received = e.GetReceiveTimestamp().AsTime()
	}
	if e.GetSeverity() != logtypepb.LogSeverity_DEFAULT {
		entry.Severity = e.GetSeverity().String()
	}
	if r := e.GetHttpRequest(); r != nil {
		entry.Request = &incident.Request{
			Status: int(r.GetStatus()), Latency: r.GetLatency().AsDuration(), UserAgent: r.GetUserAgent(), URL: r.GetRequestUrl(),
		}
	}
	return entry
}

var _ incident.LogSource = (*Cloud)(nil)
