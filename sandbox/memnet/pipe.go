package memnet

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Pipe returns the two ends of a connection that carries up to room bytes in each direction before a writer
// waits for the reader. They fail as a socket's do: os.ErrDeadlineExceeded once a deadline has passed,
// net.ErrClosed after one's own Close, io.EOF and EPIPE after the other's. A deadline that is moved before it
// passed never fires.
func Pipe(room int) (net.Conn, net.Conn) {
	return pipe(room, address("near.invalid:0"), address("far.invalid:0"))
}

// Buffered gives a connection room bytes in each direction before a writer waits, as a socket has them. What
// is copied for it ends with the connection, and can be waited for.
func Buffered(raw net.Conn, room int, copying *sync.WaitGroup) net.Conn {
	near, far := Pipe(room)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_, _ = to.Close(), from.Close()
	}
	copying.Go(func() { pass(far, raw) })
	copying.Go(func() { pass(raw, far) })
	return near
}

func pipe(room int, near, far address) (*end, *end) {
	out, back := newStream(room), newStream(room)
	return &end{in: back, out: out, local: near, remote: far}, &end{in: out, out: back, local: far, remote: near}
}

// end is one end of a connection.
type end struct {
	in, out       *stream
	local, remote address
}

func (e *end) Read(p []byte) (int, error)  { return e.in.read(p, e) }
func (e *end) Write(p []byte) (int, error) { return e.out.write(p, e) }
func (e *end) LocalAddr() net.Addr         { return e.local }
func (e *end) RemoteAddr() net.Addr        { return e.remote }

// Close ends both directions. What the other end has not read yet it still can. A second Close does nothing:
// who cuts a connection closes it under its owner.
func (e *end) Close() error {
	e.in.close(&e.in.readerGone, &e.in.reading)
	e.out.close(&e.out.writerGone, &e.out.writing)
	return nil
}

func (e *end) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.limit(&e.in.reading, t)
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.out.limit(&e.out.writing, t)
	return nil
}

func (e *end) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: e.local, Addr: e.remote, Err: err}
}

// stream is one direction of a connection.
type stream struct {
	room int

	mu                     sync.Mutex
	changed                sync.Cond
	held                   bytes.Buffer
	reading, writing       deadline
	readerGone, writerGone bool
}

func newStream(room int) *stream {
	s := &stream{room: room}
	s.changed.L = &s.mu
	return s
}

func (s *stream) read(p []byte, e *end) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readerGone:
			return 0, e.fail("read", net.ErrClosed)
		case s.reading.passed:
			return 0, e.fail("read", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return 0, nil
		case s.held.Len() > 0:
			s.changed.Broadcast()
			return s.held.Read(p)
		case s.writerGone:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte, e *end) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch room := s.room - s.held.Len(); {
		case s.writerGone:
			return n, e.fail("write", net.ErrClosed)
		case s.writing.passed:
			return n, e.fail("write", os.ErrDeadlineExceeded)
		case s.readerGone:
			return n, e.fail("write", syscall.EPIPE)
		case n == len(p):
			return n, nil
		case room > 0:
			part := p[n:min(len(p), n+room)]
			s.held.Write(part)
			n += len(part)
			s.changed.Broadcast()
		default:
			s.changed.Wait()
		}
	}
}

// close marks the reader or the writer as gone.
func (s *stream) close(gone *bool, d *deadline) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*gone = true
	d.stop()
	s.changed.Broadcast()
}

// limit moves a deadline of the stream; the zero time is none.
func (s *stream) limit(d *deadline, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.stop()
	left := time.Until(t)
	d.passed = !t.IsZero() && left <= 0
	s.changed.Broadcast()
	if t.IsZero() || d.passed {
		return
	}
	set := d.moved
	d.timer = time.AfterFunc(left, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.moved == set {
			d.passed = true
			s.changed.Broadcast()
		}
	})
}

// deadline is one of a stream's two, guarded by its lock.
type deadline struct {
	timer  *time.Timer // nil: none was ever set
	moved  int         // tells a timer that fires whether it still counts
	passed bool
}

func (d *deadline) stop() {
	d.moved++
	if d.timer != nil {
		d.timer.Stop()
	}
}
