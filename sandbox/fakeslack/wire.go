// What a bad network does: it is late, it hangs up, it swallows.

package fakeslack

import (
	"bufio"
	"errors"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// The distributions of latency.
const (
	fixed     = "fixed"
	uniform   = "uniform"
	lognormal = "lognormal"
)

// latency draws how late a call or an envelope is. The caller holds s.mu.
func (s *Server) latency(name string) time.Duration {
	f := s.takeFault(name, FaultLatency)
	if f == nil {
		return 0
	}
	return f.delay()
}

// delay draws from the distribution.
func (f *Fault) delay() time.Duration {
	switch f.Distribution {
	case uniform:
		return f.Least + time.Duration(f.random.Float64()*float64(f.Delay-f.Least))
	case lognormal:
		sigma := f.Sigma
		if sigma == 0 {
			sigma = 1
		}
		return time.Duration(float64(f.Delay) * math.Exp(sigma*f.random.NormFloat64()))
	default:
		return f.Delay
	}
}

// wire is the network connection below a socket. When it is dead it stays open,
// but what is written to it is lost and what arrives is not read.
type wire struct {
	net.Conn
	dead atomic.Bool
}

func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := w.Conn.Read(p)
		if err != nil || !w.dead.Load() {
			return n, err
		}
	}
}

func (w *wire) Write(p []byte) (int, error) {
	if w.dead.Load() {
		return len(p), nil
	}
	return w.Conn.Write(p)
}

// hangUp closes the connection without a word of the protocol above it.
func (w *wire) hangUp() { _ = w.Close() }

// wired is a response whose connection, once it is hijacked, is a wire.
type wired struct {
	http.ResponseWriter
	wire *wire
}

func (w *wired) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	hijacker, ok := w.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, errors.New("the connection cannot become a socket: serve it with HTTP/1.1")
	}
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.wire.Conn = conn
	return w.wire, bufio.NewReadWriter(buffered.Reader, bufio.NewWriter(w.wire)), nil
}
