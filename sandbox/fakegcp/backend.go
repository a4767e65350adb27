package fakegcp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"
)

const (
	largestBody    = 1 << 20
	headerTimeout  = 10 * time.Second
	socketsFailAt  = 0.5 // from this error rate on, WebSocket authentication fails
	usualUser      = "e2e"
	socketDeadline = 10 * time.Second // for a message to be taken by the client
)

// endpoint is a URL of a service or tag and the server behind it. Its fields belong to the Cloud's lock.
type endpoint struct {
	cloud   *Cloud
	base    string // "https://host" or where Listen put it
	pick    func() *revision
	server  *http.Server
	sockets map[int]context.CancelFunc // of open WebSockets
	opened  int
}

// openEndpoint serves host with the revision that pick chooses for each request. The caller holds the lock.
func (c *Cloud) openEndpoint(host string, pick func() *revision) (*endpoint, error) {
	ep := &endpoint{cloud: c, base: "https://" + host, pick: pick, sockets: map[int]context.CancelFunc{}}
	if c.cfg.Listen == nil || c.closed {
		return ep, nil
	}
	l, base, err := c.cfg.Listen(host)
	if err != nil {
		return nil, err
	}
	ep.base = strings.TrimSuffix(base, "/")
	ep.server = &http.Server{Handler: ep, ReadHeaderTimeout: headerTimeout, ErrorLog: log.New(io.Discard, "", 0)}
	c.work.Go(func() { ep.serve(l, host) })
	return ep, nil
}

func (e *endpoint) serve(l net.Listener, host string) {
	if err := e.server.Serve(l); err != http.ErrServerClosed {
		e.cloud.log.Error("service endpoint stopped", "host", host, "error", err)
	}
}

// close stops listening and cuts connections; what is being answered is waited for by the Cloud's Close.
func (e *endpoint) close() {
	if e == nil || e.server == nil {
		return
	}
	_ = e.server.Close()
	for cancel := range maps.Values(e.sockets) {
		cancel()
	}
}

func (s *service) closeEndpoints() {
	s.endpoint.close()
	for _, r := range s.routes {
		r.endpoint.close()
	}
}

// ServeHTTP answers as the chosen revision would, and logs the request.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rev := e.begin()
	if rev == nil {
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	}
	defer e.cloud.work.Done()
	start := time.Now()
	r.Body = http.MaxBytesReader(w, r.Body, largestBody)
	if r.URL.Path == "/ws" {
		e.log(rev, r, e.answerSocket(w, r, rev), 0, start)
		return
	}
	out := &countingWriter{ResponseWriter: w, status: http.StatusOK}
	e.answer(out, r, rev)
	e.log(rev, r, out.status, out.size, start)
}

// begin chooses the revision and registers the request; nil means that nothing serves.
func (e *endpoint) begin() *revision {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	if e.cloud.closed {
		return nil
	}
	rev := e.pick()
	if rev != nil {
		e.cloud.work.Add(1)
	}
	return rev
}

func (e *endpoint) answer(w http.ResponseWriter, r *http.Request, rev *revision) {
	if r.URL.Path == "/health" {
		reply(w, http.StatusOK, map[string]string{"status": "ok", "revision": rev.name})
		return
	}
	if exception, fails := e.fails(rev); fails {
		http.Error(w, traceback(exception), e.errorStatus(rev))
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /auth/login":
		e.login(w, r)
	case "POST /api/chat":
		e.chat(w, r)
	case "GET /api/threads":
		e.threads(w, r)
	default:
		reply(w, http.StatusNotFound, map[string]string{"detail": "Not Found"})
	}
}

// fails counts a request to rev, together with the simulated ones.
func (e *endpoint) fails(rev *revision) (exception string, fails bool) {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	fails = rev.countRequest(time.Now())
	return cmp.Or(rev.service.exception(rev), "RuntimeError: internal error"), fails
}

func (e *endpoint) errorStatus(rev *revision) int {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	return int(rev.errorStatus())
}

// login hands out a token for an email and a password, or for an email and the token of end-to-end checks.
func (e *endpoint) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ Email, Password string }
	checks := e.cloud.cfg.E2EToken != "" && r.Header.Get("X-E2E-Token") == e.cloud.cfg.E2EToken
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Email == "" || in.Password == "" && !checks {
		reply(w, http.StatusBadRequest, map[string]string{"detail": "email and password are required"})
		return
	}
	token := fmt.Sprintf("session-%016x", e.cloud.hash("login/"+in.Email))
	e.cloud.mu.Lock()
	e.cloud.tokens[token] = in.Email
	e.cloud.mu.Unlock()
	reply(w, http.StatusOK, map[string]string{"token": token})
}

func (e *endpoint) chat(w http.ResponseWriter, r *http.Request) {
	if _, ok := e.user(r); !ok {
		reply(w, http.StatusUnauthorized, map[string]string{"detail": "invalid token"})
		return
	}
	var in struct{ Message string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Message == "" {
		reply(w, http.StatusBadRequest, map[string]string{"detail": "message is required"})
		return
	}
	reply(w, http.StatusOK, map[string]string{"response": aiReply(in.Message)})
}

func (e *endpoint) threads(w http.ResponseWriter, r *http.Request) {
	if _, ok := e.user(r); !ok {
		reply(w, http.StatusUnauthorized, map[string]string{"detail": "invalid token"})
		return
	}
	reply(w, http.StatusOK, map[string][]string{"threads": {}})
}

func aiReply(message string) string { return "Here is what I know about: " + message }

// user finds who a request's token belongs to, in the header or the query.
func (e *endpoint) user(r *http.Request) (string, bool) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = r.URL.Query().Get("token")
	}
	if token == "" {
		return "", false
	}
	if token == e.cloud.cfg.E2EToken {
		return usualUser, true
	}
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	user, ok := e.cloud.tokens[token]
	return user, ok
}

// answerSocket holds a WebSocket until either side ends it, and returns the status of its handshake.
func (e *endpoint) answerSocket(w http.ResponseWriter, r *http.Request, rev *revision) int {
	user, ok := e.user(r)
	if !ok {
		reply(w, http.StatusUnauthorized, map[string]string{"detail": "invalid token"})
		return http.StatusUnauthorized
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // any origin: there are no cookies here
	if err != nil {
		return http.StatusBadRequest
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, release, ok := e.hold(r.Context())
	if !ok {
		return http.StatusServiceUnavailable
	}
	defer release()
	if exception := e.socketFailure(rev); exception != "" {
		send(ctx, conn, map[string]string{"type": "auth", "status": "error", "error": exception})
		_ = conn.Close(websocket.StatusInternalError, "authentication failed")
		return http.StatusSwitchingProtocols
	}
	converse(ctx, conn, user)
	return http.StatusSwitchingProtocols
}

// hold registers a WebSocket with its endpoint, whose end cancels the context.
func (e *endpoint) hold(parent context.Context) (ctx context.Context, release func(), ok bool) {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	if e.cloud.closed {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancel(parent)
	id := e.opened
	e.opened++
	e.sockets[id] = cancel
	return ctx, func() {
		cancel()
		e.cloud.mu.Lock()
		defer e.cloud.mu.Unlock()
		delete(e.sockets, id)
	}, true
}

// socketFailure returns and logs the exception that authentication of a WebSocket meets, if it does.
func (e *endpoint) socketFailure(rev *revision) string {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	exception := rev.service.exception(rev)
	if rev.crashed && exception == "" {
		return "Service Unavailable"
	}
	if exception == "" || rev.errorRate(time.Now()) < socketsFailAt {
		return ""
	}
	e.cloud.logText(rev.source, stderrLog, logtypepb.LogSeverity_ERROR, time.Now(), traceback(exception))
	return exception
}

func converse(ctx context.Context, conn *websocket.Conn, user string) {
	if !send(ctx, conn, map[string]string{"type": "auth", "status": "ok", "user": user}) {
		return
	}
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if !send(ctx, conn, map[string]string{"type": "response", "response": aiReply(string(message))}) {
			return
		}
	}
}

func send(ctx context.Context, conn *websocket.Conn, message map[string]string) bool {
	ctx, cancel := context.WithTimeout(ctx, socketDeadline)
	defer cancel()
	return wsjson.Write(ctx, conn, message) == nil
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone is logged by its status alone
}

// log writes the request log of a real request. The token is no part of the logged URL.
func (e *endpoint) log(rev *revision, r *http.Request, status int, size int64, start time.Time) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	rev.service.record(rev, &request{
		method: r.Method, url: e.base + r.URL.Path, agent: r.UserAgent(), remote: host,
		status: int32(status), latency: time.Since(start), size: size,
	}, start, e.cloud.rand)
}

// countingWriter remembers what was answered.
type countingWriter struct {
	http.ResponseWriter
	status int
	size   int64
}

func (w *countingWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.size += int64(n)
	return n, err
}
