package fakegcp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	logtypepb "google.golang.org/genproto/googleapis/logging/type"
)

const (
	historySpan   = 15 * time.Minute
	shortestLag   = 300 * time.Millisecond // from a request's end to its log entry's receipt
	longestLag    = 1500 * time.Millisecond
	unauthorized1 = 50 // one login in this many is answered 401
)

// traffic is the simulated traffic of a service.
type traffic struct {
	rps         float64
	message     string // exception text in place of the image's own
	generatedTo time.Time
	rand        *rand.Rand
	carry       float64 // fraction of a request left over from the last tick
	logins      int
	urls        map[string]string // by path; hundreds of thousands of records share them,
	tracebacks  map[string]string // and these, by exception
}

func newTraffic(seed uint64) traffic {
	return traffic{rand: rand.New(rand.NewPCG(seed, 2)), urls: map[string]string{}, tracebacks: map[string]string{}}
}

// TrafficRequest changes the simulated traffic of a service.
type TrafficRequest struct {
	Service string   `json:"service"`
	RPS     *float64 `json:"rps,omitempty"` // requests a second; nil leaves it
	// ErrorRate sets shares of failing requests, 0 to 1, by revision; a negative one restores the image's own.
	ErrorRate map[string]float64 `json:"error_rate,omitempty"`
	Message   string             `json:"message,omitempty"` // exception of failing requests; empty leaves it
}

// Traffic applies the request from now on. Nothing is changed when it names an unknown service or revision.
func (c *Cloud) Traffic(req TrafficRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	svc := c.services[req.Service]
	if svc == nil {
		return fmt.Errorf("service %q does not exist", req.Service)
	}
	for name, rate := range req.ErrorRate {
		if svc.revision(name) == nil || !(rate <= 1) {
			return fmt.Errorf("error rate %v of %q: name a revision of %s and a rate of at most 1", rate, name, req.Service)
		}
	}
	svc.catchUp(time.Now())
	for name, rate := range req.ErrorRate {
		svc.revision(name).rate = rate
	}
	if req.RPS != nil {
		svc.rps = max(*req.RPS, 0)
	}
	if req.Message != "" {
		svc.message = req.Message
	}
	c.notify()
	return nil
}

func (c *Cloud) generateTraffic(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.done:
			return
		case now := <-ticker.C:
			c.tick(now)
		}
	}
}

func (c *Cloud) tick(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, svc := range sorted(c.services) {
		svc.catchUp(now)
	}
	c.logs.prune(now)
	c.prunePoints(now)
}

// catchUp generates the traffic that has come in since the last time.
func (s *service) catchUp(now time.Time) {
	if !s.cloud.started || !now.After(s.generatedTo) {
		return
	}
	s.generate(s.generatedTo, now)
	s.generatedTo = now
}

// generate spreads the requests of a span of time over it, one in each of as many equal slots.
func (s *service) generate(from, to time.Time) {
	s.carry += s.rps * to.Sub(from).Seconds()
	n := int(s.carry)
	s.carry -= float64(n)
	slot := float64(to.Sub(from)) / float64(max(n, 1))
	for i := range n {
		rev := s.pick()
		if rev == nil {
			return
		}
		s.simulate(rev, from.Add(time.Duration((float64(i)+s.rand.Float64())*slot)))
	}
}

// pick chooses the revision of the next request, so that after any number of requests each has had its
// percentage of them, give or take one (smooth weighted round robin).
func (s *service) pick() *revision {
	var best *route
	for _, r := range s.routes {
		r.credit += r.percent
		if r.percent > 0 && (best == nil || r.credit > best.credit) {
			best = r
		}
	}
	if best == nil {
		return nil
	}
	best.credit -= 100
	return best.revision
}

// calls are what simulated users do, in turn.
var calls = [...]struct{ method, path string }{
	{"POST", "/api/chat"}, {"GET", "/api/threads"}, {"POST", "/api/chat"}, {"POST", "/auth/login"}, {"POST", "/api/chat"},
	{"GET", "/api/threads"}, {"POST", "/api/chat"},
}

var agents = [...]string{
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
}

// simulate writes the log of one request that rev answered.
func (s *service) simulate(rev *revision, start time.Time) {
	rev.pattern.begin(start)
	call := calls[s.rand.IntN(len(calls))]
	req := &request{
		method: call.method, url: s.url(call.path), agent: agents[s.rand.IntN(len(agents))],
		remote: "203.0.113." + strconv.Itoa(1+s.rand.IntN(254)), status: 200, size: int64(200 + s.rand.IntN(1800)),
		latency: rev.requestLatency(s.rand),
	}
	fails := rev.countRequest(start)
	if took := rev.unusualLatency(fails); took > 0 {
		req.latency = took
	}
	switch {
	case fails:
		req.status = rev.errorStatus()
	case call.path == "/auth/login":
		if s.logins++; s.logins%unauthorized1 == 0 {
			req.status = 401
		}
	}
	s.record(rev, req, start, s.rand)
}

// record counts a request, and writes its entry and, if it failed with an exception, the traceback.
func (s *service) record(rev *revision, req *request, start time.Time, rnd *rand.Rand) {
	end := start.Add(req.latency)
	rev.points.add(end, req)
	trace := rnd.Uint64() | 1
	s.cloud.write(&record{
		at: start.UnixNano(), received: end.Add(lag(rnd)).UnixNano(), log: requestsLog, source: rev.source,
		severity: severityOf(req.status), request: req, trace: trace,
	})
	exception := s.exception(rev)
	if req.status < 500 || exception == "" {
		return
	}
	s.cloud.write(&record{
		at: end.UnixNano(), received: end.Add(lag(rnd)).UnixNano(), log: stderrLog, source: rev.source,
		severity: logtypepb.LogSeverity_ERROR, text: s.traceback(exception), trace: trace,
	})
}

func (s *service) url(path string) string {
	url, ok := s.urls[path]
	if !ok {
		url = s.endpoint.base + path
		s.urls[path] = url
	}
	return url
}

func (s *service) traceback(exception string) string {
	text, ok := s.tracebacks[exception]
	if !ok {
		text = traceback(exception)
		s.tracebacks[exception] = text
	}
	return text
}

func lag(rnd *rand.Rand) time.Duration {
	return shortestLag + time.Duration(rnd.Int64N(int64(longestLag-shortestLag)))
}

func severityOf(status int32) logtypepb.LogSeverity {
	switch {
	case status >= 500:
		return logtypepb.LogSeverity_ERROR
	case status >= 400:
		return logtypepb.LogSeverity_WARNING
	default:
		return logtypepb.LogSeverity_INFO
	}
}

func (s *service) exception(rev *revision) string {
	if s.message != "" {
		return s.message
	}
	return rev.behavior.Exception
}

// traceback is what Python writes for an exception that nobody catches.
func traceback(exception string) string {
	return "Traceback (most recent call last):\n" +
		"  File \"/app/netra_backend/app/main.py\", line 87, in handle\n" +
		"    response = await self.app(scope, receive, send)\n" +
		"  File \"/app/netra_backend/app/websocket_core/auth.py\", line 12, in <module>\n" +
		"    from auth_service.auth_core.core.token_validator import TokenValidator\n" +
		exception
}

// logStart writes what a container that starts well leaves: platform lines, and plain lines on stderr, which
// have no severity.
func (c *Cloud) logStart(rev *revision, now time.Time) {
	c.logText(rev.source, systemLog, logtypepb.LogSeverity_INFO, now,
		"Starting new instance. Reason: DEPLOYMENT_ROLLOUT - Instance started due to traffic shifting between revisions.")
	c.logText(rev.source, stderrLog, logtypepb.LogSeverity_DEFAULT, now, "[1] [INFO] Starting gunicorn 23.0.0")
	c.logText(rev.source, stderrLog, logtypepb.LogSeverity_DEFAULT, now, "[1] [INFO] Listening at: http://0.0.0.0:8080 (1)")
	c.logText(rev.source, systemLog, logtypepb.LogSeverity_INFO, now,
		`Default STARTUP TCP probe succeeded after 1 attempt for container "app" on port 8080.`)
}

func (c *Cloud) logFailedStart(rev *revision, now time.Time) {
	switch {
	case rev.behavior.WrongPlatform:
		c.logText(rev.source, systemLog, logtypepb.LogSeverity_ERROR, now,
			`terminated: Application failed to start: "failed to load /usr/local/bin/gunicorn: exec format error"`)
	case rev.behavior.CrashOnStart:
		c.logExit(rev, now)
	}
	c.logText(rev.source, systemLog, logtypepb.LogSeverity_ERROR, now,
		`Default STARTUP TCP probe failed 1 time consecutively for container "app" on port 8080. The instance was not started.`)
}

// logExit writes what a container leaves that dies of an exception.
func (c *Cloud) logExit(rev *revision, now time.Time) {
	exception := rev.behavior.Exception
	if exception == "" {
		exception = "RuntimeError: cannot start"
	}
	c.logText(rev.source, stderrLog, logtypepb.LogSeverity_ERROR, now, traceback(exception))
	c.logText(rev.source, systemLog, logtypepb.LogSeverity_WARNING, now, "Container called exit(1).")
}

func (c *Cloud) logText(src *source, log string, severity logtypepb.LogSeverity, at time.Time, text string) {
	c.logLabelled(src, log, severity, at, text, nil)
}

func (c *Cloud) logLabelled(src *source, log string, severity logtypepb.LogSeverity, at time.Time, text string, labels map[string]string) {
	c.write(&record{
		at: at.UnixNano(), received: at.Add(lag(c.rand)).UnixNano(), log: log, source: src,
		severity: severity, text: text, labels: labels,
	})
}
