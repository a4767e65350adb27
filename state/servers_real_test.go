//go:build services

package state

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func servers() []server { return []server{embedded(), process()} }

// process is a redis-server process of the test's own. Without the binary the tests fail.
func process() server {
	return server{"real", func(t *testing.T, test func(*testing.T, *bench)) {
		port := startRedis(t)
		dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		}
		b := newBench(t, dial, 250*time.Millisecond)
		b.pass = func(d time.Duration) { b.wait(t, d) }
		b.fault = func(f fault) { b.breakServer(t, f) }
		test(t, b)
	}}
}

// wait lets the server tell when a time is over: it blocks on a list that nobody fills.
func (b *bench) wait(t *testing.T, d time.Duration) {
	t.Helper()
	b.client.Do(t.Context(), "BLPOP", "{slipway}:nothing", fmt.Sprintf("%.3f", d.Seconds()))
}

func (b *bench) breakServer(t *testing.T, f fault) {
	t.Helper()
	command := map[fault][]any{
		readOnly: {"REPLICAOF", "127.0.0.1", "1"},
		full:     {"CONFIG", "SET", "maxmemory", "1"},
		down:     {"SHUTDOWN", "NOSAVE"},
	}[f]
	if err := b.client.Do(t.Context(), command...).Err(); err != nil && f != down { // which hangs up instead of an answer
		t.Fatal(err)
	}
}

// startRedis tries a few free ports, since another process may take one first.
func startRedis(t *testing.T, flags ...string) (port string) {
	t.Helper()
	for range 5 {
		port := freePort(t)
		flags := append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, flags...)
		if serve(t, flags) != nil {
			return port
		}
	}
	t.Fatal("redis-server did not start; is it installed (apt-get install redis-server)?")
	return ""
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// serve starts a redis-server that the test's end kills; nil if it did not come up.
func serve(t *testing.T, flags []string) *os.Process {
	t.Helper()
	cmd := exec.Command("redis-server", flags...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if up := lines.Text(); strings.Contains(up, "Ready to accept connections") || strings.Contains(up, "Sentinel ID is") {
				ready <- true
			}
		}
		close(ready)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	if !<-ready {
		return nil
	}
	return cmd.Process
}
