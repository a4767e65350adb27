package fakegcp

// Connections that a fault can cut, or leave open and silent.

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
)

// findable returns credentials without security whose connections the faults can find.
func findable() credentials.TransportCredentials {
	return findableCredentials{insecure.NewCredentials()}
}

type findableCredentials struct {
	credentials.TransportCredentials
}

func (t findableCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ServerHandshake(conn)
	w := &wire{Conn: conn, muted: make(chan struct{}), closed: make(chan struct{})}
	return w, connInfo{AuthInfo: info, wire: w}, err
}

func (t findableCredentials) Clone() credentials.TransportCredentials {
	return findableCredentials{t.TransportCredentials.Clone()}
}

type connInfo struct {
	credentials.AuthInfo
	wire *wire
}

// wire is a connection that can be muted: from then on it swallows what is sent and hears nothing, yet
// neither side is told.
type wire struct {
	net.Conn
	mute, end     sync.Once
	muted, closed chan struct{}
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	select {
	case <-w.muted:
		<-w.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (w *wire) Write(b []byte) (int, error) {
	select {
	case <-w.muted:
		return len(b), nil
	default:
		return w.Conn.Write(b)
	}
}

func (w *wire) Close() error {
	w.end.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

func wireOf(ctx context.Context) *wire {
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(connInfo); ok {
			return info.wire
		}
	}
	return nil
}

func cut(ctx context.Context) {
	if w := wireOf(ctx); w != nil {
		_ = w.Close()
	}
}

func mute(ctx context.Context) {
	if w := wireOf(ctx); w != nil {
		w.mute.Do(func() { close(w.muted) })
	}
}
