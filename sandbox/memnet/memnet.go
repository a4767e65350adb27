// Package memnet is a network in memory: names, ports, listeners and dialers without a socket.
//
// Servers and clients that take a net.Listener and a dial function run over it unchanged. Nothing in it
// waits on the operating system, so that a whole system can run inside a testing/synctest bubble, where
// real sockets would keep the fake clock from moving.
package memnet

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

const (
	bufferSize    = 64 << 10 // bytes in flight in each direction of a connection
	firstFreePort = 49152    // the start of the dynamic range, RFC 6335
	lastPort      = 65535
)

// Network connects listeners and dialers by "host:port". Host names are made up by whoever listens and are
// compared without regard to case. The zero value is not usable; see New. All methods may be called at the
// same time.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	nextPort  int
}

// New returns an empty network.
func New() *Network {
	return &Network{listeners: map[string]*listener{}, nextPort: firstFreePort}
}

// Listen announces addr, for example "slack.test:80"; port 0 picks a free one. The listener's
// Addr().String() is the address to dial. An address that is taken gives EADDRINUSE, as a socket would.
func (n *Network) Listen(addr string) (net.Listener, error) {
	host, port, err := split(addr)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: address(addr), Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == 0 {
		port = n.freePort(host)
	}
	key := join(host, port)
	if _, taken := n.listeners[key]; taken || port == 0 {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: address(key), Err: syscall.EADDRINUSE}
	}
	l := &listener{network: n, addr: address(key), dialed: make(chan *end), closed: make(chan struct{})}
	n.listeners[key] = l
	return l, nil
}

// Dial connects to whoever listens at addr and waits until it is accepted or ctx ends. With nobody there the
// error is ECONNREFUSED. The network argument is there for the shape of net.Dialer.DialContext.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := n.dial(ctx, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: address(addr), Err: err}
	}
	return conn, nil
}

func (n *Network) dial(ctx context.Context, addr string) (net.Conn, error) {
	host, port, err := split(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.listeners[join(host, port)]
	local := address(join("client.invalid", n.takePort()))
	n.mu.Unlock()
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	near, far := pipe(bufferSize, local, l.addr)
	select {
	case l.dialed <- far:
		return near, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// takePort hands out the dynamic ports in turn; the caller holds the lock.
func (n *Network) takePort() int {
	port := n.nextPort
	if n.nextPort++; n.nextPort > lastPort {
		n.nextPort = firstFreePort
	}
	return port
}

// freePort returns a port nobody listens on at host, or 0 when all are taken.
func (n *Network) freePort(host string) int {
	for range lastPort - firstFreePort + 1 {
		port := n.takePort()
		if _, taken := n.listeners[join(host, port)]; !taken {
			return port
		}
	}
	return 0
}

func (n *Network) remove(l *listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[l.addr.String()] == l {
		delete(n.listeners, l.addr.String())
	}
}

func split(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q: give a number from 0 to %d", text, lastPort)
	}
	return strings.ToLower(host), int(number), nil
}

func join(host string, port int) string {
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// listener is one announced address.
type listener struct {
	network *Network
	addr    address
	dialed  chan *end
	closing sync.Once
	closed  chan struct{}
}

// Accept waits for a dialer; after Close the error is net.ErrClosed, which servers take for an orderly end.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.dialed:
		return conn, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
}

// Close frees the address. Connections that were accepted stay open, as with sockets.
func (l *listener) Close() error {
	l.network.remove(l)
	l.closing.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
