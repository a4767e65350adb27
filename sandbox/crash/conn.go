package crash

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// conn is one connection over a line.
type conn struct {
	net.Conn
	line    *Line
	reader  talk // nil: what passes is not looked at
	redis   bool
	gone    chan struct{}
	once    sync.Once
	kept    []byte // written while asleep; guarded by line.mu
	leaving bool   // closed while asleep; guarded by line.mu
}

// Write sends what makes up whole calls.
func (c *conn) Write(p []byte) (int, error) {
	if c.reader == nil {
		return c.send(p, len(p))
	}
	whole, calls := c.reader.written(p)
	for _, call := range calls {
		if _, err := c.line.begin(call); err != nil {
			return 0, err
		}
	}
	return c.send(whole, len(p))
}

// send sends p for a caller who wrote that many bytes. Of what fails it says that nothing was written, so
// that HTTP clients repeat it elsewhere, as they do when a server ends an idle connection.
func (c *conn) send(p []byte, wrote int) (int, error) {
	c.line.mu.Lock()
	if c.line.asleep != nil || len(c.kept) > 0 {
		c.kept = append(c.kept, p...)
		c.line.mu.Unlock()
		return wrote, nil
	}
	c.line.mu.Unlock()
	if _, err := c.Conn.Write(p); err != nil {
		return 0, err
	}
	return wrote, nil
}

// Read delivers an answer, unless the line broke by it.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.line.mu.Lock()
	asleep := c.line.asleep
	c.line.mu.Unlock()
	if asleep != nil {
		select {
		case <-asleep:
		case <-c.gone:
			return 0, net.ErrClosed
		}
	}
	if n > 0 && c.redis {
		// What polls once a second with a deadline of a second would else meet, in a bubble, the deadline
		// of the call before at the very moment of the next.
		_ = c.SetDeadline(time.Time{})
	}
	if n > 0 && c.reader != nil {
		if call := c.reader.read(p[:n]); call != nil {
			c.line.end(call)
		}
	}
	c.line.mu.Lock()
	defer c.line.mu.Unlock()
	if c.line.dead {
		return 0, syscall.ECONNRESET
	}
	return n, err
}

// Close waits for Wake if the line is asleep: what was written is on its way.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.gone) })
	c.line.mu.Lock()
	if c.line.asleep != nil {
		c.leaving = true
		c.line.mu.Unlock()
		return nil
	}
	delete(c.line.conns, c)
	c.line.mu.Unlock()
	return c.Conn.Close()
}

// lingering is how long a connection that its owner has closed stays open for what it still carries.
const lingering = 100 * time.Millisecond

func (c *conn) flush(kept []byte, leaving bool) {
	if leaving {
		c.line.flushing.Go(func() { _, _ = io.Copy(io.Discard, c.Conn) })
	}
	_, _ = c.Conn.Write(kept)
	if leaving {
		time.Sleep(lingering)
		_ = c.Close()
	}
}
