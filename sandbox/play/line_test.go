package play_test

import (
	"context"
	"net"
	"sync"
	"syscall"

	"slipway/app"
)

// line is all that connects a replica with the world, and can be cut, as it is when the machine is gone.
type line struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

// connect gives a replica a line of its own.
func connect(c app.Config) (app.Config, *line) {
	l := &line{dial: c.Dial}
	c.Dial = l.Dial
	return c, l
}

// Dial opens a connection over the line.
func (l *line) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := l.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		_ = conn.Close()
		return nil, syscall.ECONNREFUSED
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

// cut ends everything at once: nothing more arrives on either side.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	for _, c := range l.conns {
		_ = c.Close()
	}
}
