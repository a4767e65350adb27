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
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Limits of entries.list, https://cloud.google.com/logging/quotas and
// https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list.
const (
	usualPage     = 50
	largestPage   = 1000
	mostResources = 100
	longestFilter = 20_000 // characters
	googleQuota   = 60     // calls a minute a project
	tokenLifetime = 24 * time.Hour
	emptyEvery    = 7 // one call in this many that starts a list returns no entries, only a token
)

type loggingServer struct {
	loggingpb.UnimplementedLoggingServiceV2Server
	cloud *Cloud
}

// ListLogEntries is entries.list: an entry shows from its receiveTimestamp on, and now and then a page is
// empty though the list goes on.
func (s loggingServer) ListLogEntries(ctx context.Context, req *loggingpb.ListLogEntriesRequest) (*loggingpb.ListLogEntriesResponse, error) {
	c := s.cloud
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !isAgain(ctx) {
		if err := c.spendQuota(now); err != nil {
			return nil, err
		}
	}
	query, err := c.logQuery(req, now)
	if err != nil {
		return nil, err
	}
	for _, svc := range sorted(c.services) {
		svc.catchUp(now)
	}
	if isAgain(ctx) {
		return c.listPage(query, now), nil
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
		return c.overQuota(quota)
	}
	c.listCalls = append(c.listCalls, now)
	return nil
}

// overQuota is the error as Cloud Logging writes it, for example in https://github.com/googleapis/java-logging/issues/1024
// and, with its details, in https://github.com/DefangLabs/defang/issues/1268.
func (c *Cloud) overQuota(quota int) error {
	const consumer = "1234567890"
	st := status.New(codes.ResourceExhausted, "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' "+
		"of service 'logging.googleapis.com' for consumer 'project_number:"+consumer+"'.")
	detailed, err := st.WithDetails(
		&errdetails.ErrorInfo{Reason: "RATE_LIMIT_EXCEEDED", Domain: "googleapis.com", Metadata: map[string]string{
			"consumer": "projects/" + consumer, "service": "logging.googleapis.com",
			"quota_metric": "logging.googleapis.com/read_requests", "quota_limit": "ReadRequestsPerMinutePerProject",
			"quota_limit_value": fmt.Sprint(quota), "quota_location": "global", "quota_unit": "1/min/{project}",
		}},
		&errdetails.Help{Links: []*errdetails.Help_Link{{
			Description: "Request a higher quota limit.", Url: "https://cloud.google.com/docs/quotas/help/request_increase",
		}}},
	)
	if err != nil {
		return st.Err()
	}
	return detailed.Err()
}

// logQuery is a list request, checked and parsed.
type logQuery struct {
	filter     filter
	size       int
	descending bool
	after      *position // where the page before ended; nil on the first
	asked      time.Time
	checksum   uint32 // of what must stay the same from page to page
}

// position is a place between records.
type position struct {
	at int64
	id uint64
}

func (c *Cloud) logQuery(req *loggingpb.ListLogEntriesRequest, now time.Time) (*logQuery, error) {
	if err := c.checkResources(req.GetResourceNames()); err != nil {
		return nil, err
	}
	parsed, err := c.parseLogFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	q := &logQuery{filter: parsed, size: cmp.Or(int(req.GetPageSize()), usualPage), asked: now}
	if q.size < 0 || q.size > largestPage {
		return nil, status.Errorf(codes.InvalidArgument, "page_size %d: want 1 to %d", q.size, largestPage)
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
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%08x.%d.%d.%d", q.checksum, q.asked.Unix(), p.at, p.id))
}

// resume reads the page token; it is good only for the request that got it, and for a day.
func (q *logQuery) resume(token string) error {
	if token == "" {
		return nil
	}
	var sum uint32
	var issued int64
	var p position
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%08x.%d.%d.%d", &sum, &issued, &p.at, &p.id)
	}
	if err != nil || sum != q.checksum {
		return status.Error(codes.InvalidArgument, "page_token doesn't match arguments from the request")
	}
	if q.asked.Sub(time.Unix(issued, 0)) > tokenLifetime {
		return status.Error(codes.InvalidArgument, "page_token has expired")
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
