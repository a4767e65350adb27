package fakegcp

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Limits of entries.tail, https://cloud.google.com/logging/quotas, and of this server.
const (
	mostTails     = 10     // sessions of a project at once
	googleRate    = 60_000 // entries a minute
	usualBuffer   = 2 * time.Second
	longestBuffer = time.Minute
	tailEvery     = 500 * time.Millisecond // between two responses
	tailPatience  = 10 * time.Second       // how long an entry waits for a client that does not read
)

// tailSession is one TailLogEntries. Its fields belong to the Cloud's lock.
type tailSession struct {
	cloud     *Cloud
	match     func(*record) bool
	opened    int64 // Unix time in nanoseconds; what was received before is not sent
	buffer    time.Duration
	waiting   releases
	overRate  int32 // entries left out since the last response
	unclaimed int32
	met       chan *Fault // the one that ends it; of more than one the first counts
}

// TailLogEntries streams what is received from now on, and nothing from before. Entries are in order within a
// response; between responses they are not, once one arrives later than the buffer waits.
func (s loggingServer) TailLogEntries(stream loggingpb.LoggingServiceV2_TailLogEntriesServer) error {
	req, err := stream.Recv()
	if err != nil {
		return err
	}
	asked(stream.Context(), req)
	session, hungUp, err := s.cloud.openTail(req, stream)
	if err != nil {
		return err
	}
	defer s.cloud.closeTail(session)
	return session.run(stream, hungUp)
}

// openTail starts a session. hungUp is closed when the client has nothing more to say.
func (c *Cloud) openTail(req *loggingpb.TailLogEntriesRequest, stream loggingpb.LoggingServiceV2_TailLogEntriesServer) (*tailSession, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, shuttingDown()
	}
	session, err := c.newTail(req, time.Now())
	if err != nil {
		return nil, nil, err
	}
	c.tails[session] = true
	hungUp := make(chan struct{})
	c.work.Go(func() { // ends with the stream, which ends with the session
		defer close(hungUp)
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
		}
	})
	return session, hungUp, nil
}

func (c *Cloud) newTail(req *loggingpb.TailLogEntriesRequest, now time.Time) (*tailSession, error) {
	if err := c.checkResources(req.GetResourceNames()); err != nil {
		return nil, err
	}
	parsed, err := c.parseLogFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	buffer := bufferWindow(req)
	if buffer < 0 || buffer > longestBuffer {
		return nil, status.Errorf(codes.InvalidArgument, "buffer_window %v: want 0s to %v", buffer, longestBuffer)
	}
	if len(c.tails) >= mostTails {
		return nil, status.Errorf(codes.ResourceExhausted, "Too many open live tailing sessions: a project may have %d.", mostTails)
	}
	session := &tailSession{cloud: c, match: parsed.match, opened: now.UnixNano(), buffer: buffer, met: make(chan *Fault, 1)}
	for _, r := range c.logs.records[c.logs.from(now.UnixNano()-c.logs.maxLag):] {
		session.offer(r) // some are written, and still under way
	}
	return session, nil
}

func bufferWindow(req *loggingpb.TailLogEntriesRequest) time.Duration {
	if req.GetBufferWindow() == nil {
		return usualBuffer
	}
	return req.GetBufferWindow().AsDuration()
}

func (c *Cloud) closeTail(session *tailSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tails, session)
}

// meetTails lets all open sessions meet a fault. The caller holds the lock.
func (c *Cloud) meetTails(f *Fault) {
	for session := range c.tails {
		select {
		case session.met <- f:
		default:
		}
	}
}

// run sends responses until the client, or the server, goes, or a fault ends the session.
func (t *tailSession) run(stream loggingpb.LoggingServiceV2_TailLogEntriesServer, hungUp <-chan struct{}) error {
	ticker := time.NewTicker(tailEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-hungUp:
			return ended(stream.Context())
		case f := <-t.met:
			return t.cloud.endBy(stream.Context(), f)
		case <-t.cloud.done:
			return shuttingDown()
		}
		if res := t.collect(time.Now()); res != nil {
			if err := stream.Send(res); err != nil {
				return err
			}
		}
	}
}

// ended tells a client that only stopped asking from one that is gone.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	return nil
}

// offer takes a record that matches. The buffer holds it until that long after its timestamp, so that those
// which were received in the meantime come in order. The caller holds the lock.
func (t *tailSession) offer(r *record) {
	if r.received <= t.opened || !t.match(r) {
		return
	}
	begun := min(r.at, r.received)
	heap.Push(&t.waiting, release{record: r, at: max(r.received, begun+int64(t.buffer))})
	t.forget(time.Now())
}

// forget drops what a client that does not read has let wait for too long.
func (t *tailSession) forget(now time.Time) {
	limit := now.Add(-tailPatience).UnixNano()
	for len(t.waiting) > 0 && t.waiting[0].at < limit {
		heap.Pop(&t.waiting)
		t.unclaimed++
	}
}

// collect returns what is due, or nil.
func (t *tailSession) collect(now time.Time) *loggingpb.TailLogEntriesResponse {
	c := t.cloud
	c.mu.Lock()
	defer c.mu.Unlock()
	t.forget(now)
	var due []*record
	for len(t.waiting) > 0 && t.waiting[0].at <= now.UnixNano() {
		due = append(due, heap.Pop(&t.waiting).(release).record)
	}
	allowed := c.tailed.take(len(due), cmp.Or(c.cfg.TailRate, googleRate), now)
	t.overRate += int32(len(due) - allowed)
	out := &loggingpb.TailLogEntriesResponse{SuppressionInfo: t.suppressed()}
	due = due[:allowed]
	slices.SortFunc(due, func(a, b *record) int { return a.compare(b.at, b.id) })
	for _, r := range due {
		out.Entries = append(out.Entries, c.entry(r))
	}
	if len(out.Entries)+len(out.SuppressionInfo) == 0 {
		return nil
	}
	return out
}

// suppressed counts what was left out since the last response, at most once a reason.
func (t *tailSession) suppressed() []*loggingpb.TailLogEntriesResponse_SuppressionInfo {
	var out []*loggingpb.TailLogEntriesResponse_SuppressionInfo
	add := func(reason loggingpb.TailLogEntriesResponse_SuppressionInfo_Reason, count int32) {
		if count > 0 {
			out = append(out, &loggingpb.TailLogEntriesResponse_SuppressionInfo{Reason: reason, SuppressedCount: count})
		}
	}
	add(loggingpb.TailLogEntriesResponse_SuppressionInfo_RATE_LIMIT, t.overRate)
	add(loggingpb.TailLogEntriesResponse_SuppressionInfo_NOT_CONSUMED, t.unclaimed)
	t.overRate, t.unclaimed = 0, 0
	return out
}

// allowance is how much of a minute's rate is used up.
type allowance struct {
	minute time.Time
	used   int
}

// take uses up to n of what is left of the minute; a negative rate has no end.
func (a *allowance) take(n, rate int, now time.Time) int {
	if rate < 0 {
		return n
	}
	if now.Sub(a.minute) >= time.Minute {
		*a = allowance{minute: now}
	}
	n = min(n, max(rate-a.used, 0))
	a.used += n
	return n
}

// release is a record and when it may be sent.
type release struct {
	record *record
	at     int64
}

// releases is a heap, the first due on top.
type releases []release

func (r releases) Len() int { return len(r) }
func (r releases) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(r[i].at, r[j].at), cmp.Compare(r[i].record.id, r[j].record.id)) < 0
}
func (r releases) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r *releases) Push(x any)   { *r = append(*r, x.(release)) }

func (r *releases) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// checkResources refuses names that are not of this cloud.
func (c *Cloud) checkResources(names []string) error {
	switch n := len(names); {
	case n == 0:
		return status.Error(codes.InvalidArgument, "resource_names: at least one is required")
	case n > mostResources:
		return status.Errorf(codes.InvalidArgument, "resource_names: %d are more than %d", n, mostResources)
	}
	for _, name := range names {
		if own := "projects/" + c.cfg.Project; name != own && !strings.HasPrefix(name, own+"/") {
			return status.Errorf(codes.NotFound, "resource_names: %q is not of this cloud, which is %s", name, own)
		}
	}
	return nil
}

func (c *Cloud) parseLogFilter(text string) (filter, error) {
	if len(text) > longestFilter {
		return filter{}, status.Errorf(codes.InvalidArgument, "filter: %d characters are more than %d", len(text), longestFilter)
	}
	parsed, err := parseFilter(text, c.cfg.Project)
	if err != nil {
		return filter{}, status.Errorf(codes.InvalidArgument, "Unparseable filter: %v", err)
	}
	return parsed, nil
}
