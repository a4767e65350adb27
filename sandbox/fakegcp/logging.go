package fakegcp

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	usualPage   = 50
	largestPage = 1000
	googleQuota = 60 // entries.list calls a minute a project
	emptyEvery  = 7  // one list call in this many that starts a list returns no entries, only a token
)

type loggingServer struct {
	loggingpb.UnimplementedLoggingServiceV2Server
	cloud *Cloud
}

// ListLogEntries is entries.list: an entry shows from its receiveTimestamp on, and now and then a page is
// empty though the list goes on.
func (s loggingServer) ListLogEntries(_ context.Context, req *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
	c := s.cloud
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if err := c.spendQuota(now); err != nil {
		return nil, err
	}
	query, err := c.logQuery(req)
	if err != nil {
		return nil, err
	}
	for _, svc := range sorted(c.services) {
		svc.catchUp(now)
	}
	c.listed++
	if query.after == nil && c.listed%emptyEvery == 0 {
		return &loggingpb.ListLogEntriesResponse{NextPageToken: query.token(query.start())}, nil
	}
	return c.listPage(query, now), nil
}

func (c *Cloud) spendQuota(now time.Time) error {
	quota := cmp.Or(c.cfg.LogQuota, googleQuota)
	if quota < 0 {
		return nil
	}
	c.listCalls = slices.DeleteFunc(c.listCalls, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(c.listCalls) >= quota {
		return status.Error(codes.ResourceExhausted,
			"Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service 'logging.googleapis.com'")
	}
	c.listCalls = append(c.listCalls, now)
	return nil
}

// logQuery is a list request, checked and parsed.
type logQuery struct {
	filter     filter
	size       int
	descending bool
	after      *position // where the page before ended; nil on the first
	checksum   uint32    // of what must stay the same from page to page
}

// position is a place between records.
type position struct {
	at int64
	id uint64
}

func (c *Cloud) logQuery(req *loggingpb.ListLogEntriesRequest) (*logQuery, error) {
	if len(req.GetResourceNames()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "resource_names: at least one is required")
	}
	for _, name := range req.GetResourceNames() {
		if own := "projects/" + c.cfg.Project; name != own && !strings.HasPrefix(name, own+"/") {
			return nil, status.Errorf(codes.NotFound, "resource_names: %q is not of this cloud, which is %s", name, own)
		}
	}
	parsed, err := parseFilter(req.GetFilter(), c.cfg.Project)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "Unparseable filter: %v", err)
	}
	q := &logQuery{filter: parsed, size: min(int(req.GetPageSize()), largestPage)}
	switch {
	case q.size < 0:
		return nil, status.Error(codes.InvalidArgument, "page_size must not be negative")
	case q.size == 0:
		q.size = usualPage
	}
	switch strings.TrimSpace(req.GetOrderBy()) {
	case "", "timestamp", "timestamp asc":
	case "timestamp desc":
		q.descending = true
	default:
		return nil, status.Errorf(codes.InvalidArgument, "order_by %q: want %q or %q", req.GetOrderBy(), "timestamp asc", "timestamp desc")
	}
	h := fnv.New32a()
	fmt.Fprint(h, req.GetFilter(), q.descending, req.GetResourceNames())
	q.checksum = h.Sum32()
	return q, q.resume(req.GetPageToken())
}

func (q *logQuery) token(p position) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%08x.%d.%d", q.checksum, p.at, p.id))
}

// resume reads the page token; it is good only for the request that got it.
func (q *logQuery) resume(token string) error {
	if token == "" {
		return nil
	}
	var sum uint32
	var p position
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%08x.%d.%d", &sum, &p.at, &p.id)
	}
	if err != nil || sum != q.checksum {
		return status.Error(codes.InvalidArgument, "page_token does not match the request")
	}
	q.after = &p
	return nil
}

// start is the position before the first record.
func (q *logQuery) start() position {
	if q.descending {
		return position{at: 1<<63 - 1}
	}
	return position{at: -1 << 63}
}

func (c *Cloud) listPage(q *logQuery, now time.Time) *loggingpb.ListLogEntriesResponse {
	out := &loggingpb.ListLogEntriesResponse{}
	var last position
	more := false
	for r := range c.logs.visible(q, now.UnixNano()) {
		if len(out.Entries) == q.size {
			more = true
			break
		}
		out.Entries = append(out.Entries, c.entry(r))
		last = position{at: r.at, id: r.id}
	}
	if more {
		out.NextPageToken = q.token(last)
	}
	return out
}

// visible yields the records of a query that have been received, in its order.
func (l *logStore) visible(q *logQuery, now int64) func(yield func(*record) bool) {
	low, high := 0, len(l.records)
	if q.filter.since > -1<<62 { // received at or after since, hence begun at most maxLag before
		low = l.from(q.filter.since - l.maxLag)
	}
	if q.after != nil && !q.descending {
		low = max(low, l.after(*q.after))
	}
	if q.after != nil && q.descending {
		high = l.before(*q.after)
	}
	return func(yield func(*record) bool) {
		for i := range high - low {
			r := l.records[low+i]
			if q.descending {
				r = l.records[high-1-i]
			}
			if r.received <= now && q.filter.match(r) && !yield(r) {
				return
			}
		}
	}
}

func (l *logStore) after(p position) int {
	i, found := slices.BinarySearchFunc(l.records, p, func(r *record, p position) int { return r.compare(p.at, p.id) })
	if found {
		i++
	}
	return i
}

func (l *logStore) before(p position) int {
	i, _ := slices.BinarySearchFunc(l.records, p, func(r *record, p position) int { return r.compare(p.at, p.id) })
	return i
}
