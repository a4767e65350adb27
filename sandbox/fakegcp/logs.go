package fakegcp

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	retention  = 2 * time.Hour
	pruneSlack = 5 * time.Minute // entries past retention are dropped in batches

	requestsLog = "run.googleapis.com/requests"
	stdoutLog   = "run.googleapis.com/stdout"
	stderrLog   = "run.googleapis.com/stderr"
	systemLog   = "run.googleapis.com/varlog/system"
)

// logStore keeps records in the order of their timestamps. Its fields belong to the Cloud's lock.
type logStore struct {
	records []*record
	nextID  uint64
	maxLag  int64 // the longest time, in nanoseconds, from a record's timestamp to its receipt
}

// record is a log entry in small: half an hour of traffic is some hundred thousand of them.
type record struct {
	at, received int64 // Unix time in nanoseconds
	id           uint64
	insert       uint64 // of the entry that this one repeats; 0: it repeats none
	log          string
	source       *source
	severity     logtypepb.LogSeverity
	text         string
	request      *request
	labels       map[string]string // shared between records
	trace        uint64            // joins a request and its traceback; 0 if there is none
}

// source is the monitored resource that writes.
type source struct {
	kind   string
	labels map[string]string
}

// request is the httpRequest part of a record.
type request struct {
	method, url, agent, remote string
	status                     int32
	latency                    time.Duration
	size                       int64
}

// add stores a record at its place and gives it its identifier.
func (l *logStore) add(r *record) {
	l.nextID++
	r.id = l.nextID
	l.maxLag = max(l.maxLag, r.received-r.at)
	i := len(l.records)
	for i > 0 && l.records[i-1].at > r.at { // new records belong near the end
		i--
	}
	l.records = slices.Insert(l.records, i, r)
}

// prune drops what is past retention.
func (l *logStore) prune(now time.Time) {
	limit := now.Add(-retention).UnixNano()
	if len(l.records) == 0 || l.records[0].at > limit-int64(pruneSlack) {
		return
	}
	l.records = slices.Clone(l.records[l.from(limit):])
}

// from returns the index of the first record at or after the time.
func (l *logStore) from(at int64) int {
	return sort.Search(len(l.records), func(i int) bool { return l.records[i].at >= at })
}

// compare orders records as entries.list does: by timestamp, then by insertId.
func (r *record) compare(at int64, id uint64) int {
	return cmp.Or(cmp.Compare(r.at, at), cmp.Compare(r.id, id))
}

// insertID ascends with the order of writing; it is unique but for entries that come twice.
func (r *record) insertID() string {
	n := cmp.Or(r.insert, r.id)
	return fmt.Sprintf("%016x%08x", n, uint32(n*2654435761))
}

func (c *Cloud) logName(log string) string {
	return "projects/" + c.cfg.Project + "/logs/" + url.PathEscape(log)
}

func (c *Cloud) entry(r *record) *loggingpb.LogEntry {
	out := &loggingpb.LogEntry{
		LogName:          c.logName(r.log),
		Resource:         &monitoredres.MonitoredResource{Type: r.source.kind, Labels: r.source.labels},
		Timestamp:        timestamppb.New(time.Unix(0, r.at)),
		ReceiveTimestamp: timestamppb.New(time.Unix(0, r.received)),
		Severity:         r.severity,
		InsertId:         r.insertID(),
		Labels:           r.labels,
	}
	if r.trace != 0 {
		out.Trace = fmt.Sprintf("projects/%s/traces/%032x", c.cfg.Project, r.trace)
	}
	if r.request != nil {
		out.HttpRequest = r.request.proto()
		return out
	}
	out.Payload = &loggingpb.LogEntry_TextPayload{TextPayload: r.text}
	return out
}

func (r *request) proto() *logtypepb.HttpRequest {
	return &logtypepb.HttpRequest{
		RequestMethod: r.method, RequestUrl: r.url, UserAgent: r.agent, RemoteIp: r.remote, ServerIp: "198.51.100.20",
		Status: r.status, Latency: durationpb.New(r.latency), RequestSize: 412, ResponseSize: r.size, Protocol: "HTTP/1.1",
	}
}
