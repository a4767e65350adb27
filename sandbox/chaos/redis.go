package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// redisServer is a real Redis that can be killed and comes back with what it had written.
//
// It writes with appendfsync always: each write is on the disk before its reply is sent, so that after a
// kill nothing may be missing that a bot was told had happened, and the judge need forgive nothing. With
// everysec, Redis' default, up to a second of writes may be gone
// (https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/).
type redisServer struct {
	port, dir string

	mu  sync.Mutex // one change at a time
	cmd *exec.Cmd
}

const redisStart = 10 * time.Second

// startRedis starts a server on a free port, with its files in dir.
func startRedis(ctx context.Context, dir string) (*redisServer, error) {
	var err error
	const tries = 5 // another process may take a free port first
	for range tries {
		r := &redisServer{dir: dir}
		if r.port, err = freePort(ctx); err != nil {
			return nil, err
		}
		if err = r.start(ctx); err == nil {
			return r, nil
		}
	}
	return nil, err
}

func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

func (r *redisServer) url() string { return "redis://127.0.0.1:" + r.port + "/0" }

// start returns once the server answers; it does nothing if it does so already.
func (r *redisServer) start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		return nil
	}
	cmd := exec.Command("redis-server", //nolint:gosec // on a port and in a directory of its own
		"--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start redis-server (apt-get install redis-server): %w", err)
	}
	ready := make(chan struct{})
	go func() { // ends with the server's output
		lines := bufio.NewScanner(out)
		var once sync.Once
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Ready to accept connections") {
				once.Do(func() { close(ready) })
			}
		}
	}()
	r.cmd = cmd
	timer := time.NewTimer(redisStart)
	defer timer.Stop()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	r.stop()
	return errors.New("redis-server did not become ready")
}

// kill ends the server without a word; it returns once it is gone.
func (r *redisServer) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
}

func (r *redisServer) stop() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}
