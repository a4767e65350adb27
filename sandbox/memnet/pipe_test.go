package memnet_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"slipway/sandbox/memnet"
)

func TestPipeIsAConnection(t *testing.T) {
	nettest.TestConn(t, func() (near, far net.Conn, stop func(), err error) {
		near, far = memnet.Pipe(64 << 10)
		return near, far, func() { near.Close(); far.Close() }, nil
	})
}

// An HTTP server that gives up a read sets a deadline in the past and takes it back at once. One that fires
// after it was taken back would end a connection that is well.
func TestDeadlineTakenBack(t *testing.T) {
	near, far := memnet.Pipe(8)
	defer far.Close()
	defer near.Close()
	for i := range 20_000 {
		_ = near.SetDeadline(time.Now().Add(time.Duration(i%3) * time.Microsecond))
		_ = near.SetDeadline(time.Time{})
		written := make(chan error, 1)
		go func() {
			_, err := far.Write([]byte("a"))
			written <- err
		}()
		if _, err := near.Read(make([]byte, 1)); err != nil {
			t.Fatalf("read %d: %v", i, err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
}

func TestPipeEnds(t *testing.T) {
	const room = 8
	pair := func() (net.Conn, net.Conn) { return memnet.Pipe(room) }
	read := func(c net.Conn) error {
		_, err := c.Read(make([]byte, 1))
		return err
	}
	write := func(c net.Conn, n int) error {
		_, err := io.WriteString(c, strings.Repeat("a", n))
		return err
	}
	for name, tt := range map[string]struct {
		do   func() error
		want error
	}{
		"read of a closed end":          {func() error { a, _ := pair(); a.Close(); return read(a) }, net.ErrClosed},
		"write to a closed end":         {func() error { a, _ := pair(); a.Close(); return write(a, 1) }, net.ErrClosed},
		"second close":                  {func() error { a, _ := pair(); a.Close(); return a.Close() }, nil},
		"read after the other's close":  {func() error { a, b := pair(); b.Close(); return read(a) }, io.EOF},
		"what was left is read":         {func() error { a, b := pair(); _ = write(b, 1); b.Close(); return read(a) }, nil},
		"write after the other's close": {func() error { a, b := pair(); b.Close(); return write(a, 1) }, syscall.EPIPE},
		"write while the other closes": {func() error {
			a, b := pair()
			time.AfterFunc(time.Second, func() { b.Close() })
			return write(a, room+1)
		}, syscall.EPIPE},
		"read while it closes":   {func() error { a, _ := pair(); time.AfterFunc(time.Second, func() { a.Close() }); return read(a) }, net.ErrClosed},
		"read past its deadline": {func() error { a, _ := pair(); _ = a.SetReadDeadline(time.Now().Add(time.Second)); return read(a) }, os.ErrDeadlineExceeded},
		"write past its deadline": {func() error {
			a, _ := pair()
			_ = a.SetWriteDeadline(time.Now().Add(time.Second))
			return write(a, room+1)
		}, os.ErrDeadlineExceeded},
		"write within the room": {func() error { a, _ := pair(); return write(a, room) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if err := tt.do(); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			})
		})
	}
}
