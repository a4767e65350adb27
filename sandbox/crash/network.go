// Package crash kills a replica of Slipway between any two of its calls to the world, or lets it sleep
// there, inside one process: each replica has a line of its own to the workspace, and the line breaks.
package crash

import (
	"context"
	"net"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"slipway/app"
	"slipway/sandbox/memnet"
)

// Network is the lines between the replicas and one workspace, whose Cloud Run server has Intercept.
type Network struct {
	scripts map[string]string // names of Redis scripts by their SHA-1

	mu    sync.Mutex
	lines map[string]*Line
}

// NewNetwork returns a network without lines that knows the Redis scripts by their SHA-1.
func NewNetwork(scripts map[string]string) *Network {
	return &Network{scripts: scripts, lines: map[string]*Line{}}
}

// Plan says which call of a replica is its last, or where it sleeps.
type Plan struct {
	Call string // "redis commit"; "" is none
	Nth  int    // of the calls with this name, from 1
	How  How
}

// How a line breaks.
type How string

// The ways in which a line breaks.
const (
	Before How = "before" // the call never arrives
	After  How = "after"  // the call takes effect, and its answer never arrives
	Asleep How = "asleep" // the call, and all else, arrives only after Wake
	Noted  How = "noted"  // nothing breaks; Broken only says that it has come to this call
)

// Connect gives a replica a line of its own: the settings are those of the workspace, and those returned
// are to be used in their place.
func (n *Network) Connect(c app.Config, p Plan) (app.Config, *Line) {
	l := &Line{name: c.Owner, plan: p, scripts: n.scripts, dial: c.Dial, broken: make(chan struct{}), conns: map[*conn]bool{}, counts: map[string]int{}}
	n.mu.Lock()
	n.lines[c.Owner] = l
	n.mu.Unlock()
	l.redis, l.cloud = redisHost(c.RedisURL), c.GCPEndpoint
	c.Dial, c.GCPEndpoint = l.Dial, c.Owner+"."+c.GCPEndpoint
	return c, l
}

func redisHost(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// Intercept stands in the Cloud Run server and finds the line that a call came over by the name under
// which the server was dialed.
func (n *Network) Intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	name := ""
	if md, ok := metadata.FromIncomingContext(ctx); ok && len(md.Get(":authority")) > 0 {
		name, _, _ = strings.Cut(md.Get(":authority")[0], ".")
	}
	n.mu.Lock()
	l := n.lines[name]
	n.mu.Unlock()
	if l == nil {
		return handler(ctx, request)
	}
	call := cloudCall(path.Base(info.FullMethod))
	asleep, err := l.begin(call)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	if asleep != nil {
		<-asleep
		ctx = context.WithoutCancel(ctx)
	}
	response, err := handler(ctx, request)
	l.end(call)
	return response, err
}

// Line is all that connects one replica with the world.
type Line struct {
	name         string
	redis, cloud string // addresses
	plan         Plan
	scripts      map[string]string
	dial         func(ctx context.Context, network, addr string) (net.Conn, error)
	flushing     sync.WaitGroup

	mu     sync.Mutex
	calls  []*Call
	counts map[string]int // of calls by name
	dead   bool
	asleep chan struct{} // closed by Wake; nil while awake
	broken chan struct{} // closed when the plan comes true
	conns  map[*conn]bool
}

// Broken is closed when what the plan says has happened.
func (l *Line) Broken() <-chan struct{} { return l.broken }

// Calls returns what went over the line so far.
func (l *Line) Calls() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Call, len(l.calls))
	for i, c := range l.calls {
		list[i] = *c
	}
	return list
}

// room is what the connections of a replica that may sleep hold, in bytes and direction.
const room = 1 << 20

// Dial opens a connection over the line.
func (l *Line) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	dead, asleep := l.dead, l.asleep
	l.mu.Unlock()
	if dead {
		return nil, syscall.ECONNREFUSED
	}
	if asleep != nil {
		select {
		case <-asleep:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	raw, err := l.dial(ctx, network, strings.TrimPrefix(addr, l.name+"."))
	if err != nil {
		return nil, err
	}
	if l.plan.How == Asleep {
		raw = memnet.Buffered(raw, room, &l.flushing) // who writes to a replica that sleeps does not wait for it
	}
	c := &conn{Conn: raw, line: l, gone: make(chan struct{})}
	switch {
	case addr == l.redis:
		c.redis, c.reader = true, &redisTalk{scripts: l.scripts}
	case strings.TrimPrefix(addr, l.name+".") != l.cloud: // whose server has an interceptor
		c.reader = &webTalk{}
	}
	return c, l.add(c)
}

func (l *Line) add(c *conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		_ = c.Conn.Close()
		return syscall.ECONNREFUSED
	}
	l.conns[c] = true
	return nil
}

// begin is asked before a call goes out. With an error it must not; with a channel it may once that is
// closed.
func (l *Line) begin(c *Call) (asleep <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return nil, syscall.ECONNRESET
	}
	if c.Poll { // it counts once it has found something
		return l.asleep, nil
	}
	l.number(c)
	if !l.planned(c) {
		return l.asleep, nil
	}
	switch l.plan.How {
	case Before:
		l.cut()
		return nil, syscall.ECONNRESET
	case Asleep:
		l.asleep = make(chan struct{})
		close(l.broken)
	case Noted:
		close(l.broken)
	}
	return l.asleep, nil
}

// end is told that a call has had its effect, before its answer is delivered.
func (l *Line) end(c *Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return
	}
	if c.Poll && c.Found {
		l.number(c)
	}
	if l.planned(c) && l.plan.How == After {
		l.cut()
	}
}

func (l *Line) number(c *Call) {
	l.calls = append(l.calls, c)
	l.counts[c.Name]++
	c.Nth, c.At = l.counts[c.Name], time.Now()
}

func (l *Line) planned(c *Call) bool {
	return c.Nth > 0 && c.Name == l.plan.Call && c.Nth == l.plan.Nth
}

// cut ends everything at once; the caller holds the lock.
func (l *Line) cut() {
	l.dead = true
	for c := range l.conns {
		_ = c.Conn.Close()
	}
	close(l.broken)
}

// Wake lets everything through that was kept back while the replica slept, in its order.
func (l *Line) Wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.asleep)
	l.asleep = nil
	for c := range l.conns {
		kept, leaving := c.kept, c.leaving
		c.kept = nil
		if len(kept) > 0 || leaving {
			l.flushing.Go(func() { c.flush(kept, leaving) })
		}
	}
}

// Wait returns once everything has been let through.
func (l *Line) Wait() { l.flushing.Wait() }

// Names are the calls as text, for messages.
func Names(calls []Call) string {
	var names []string
	for _, c := range calls {
		names = append(names, c.Name)
	}
	return strings.Join(names, "\n")
}

// Points are the plans that break a line in every gap between two calls: behind each that has an effect,
// and before each that follows one without. So each effect is cut off in both ways, applied and not: the
// gap before it is the one behind the call before.
func Points(calls []Call) []Plan {
	var list []Plan
	covered := false
	for _, c := range calls {
		if !c.Poll && !covered {
			list = append(list, Plan{c.Name, c.Nth, Before})
		}
		if covered = c.Effect; covered {
			list = append(list, Plan{c.Name, c.Nth, After})
		}
	}
	return list
}
