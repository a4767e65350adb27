package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"slipway/sandbox/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHTTPOverTheNetworkInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		l, err := network.Listen("slack.test:80")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour)
			_, _ = io.WriteString(w, r.Host)
		})}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		transport := &http.Transport{DialContext: network.Dial}
		client := &http.Client{Transport: transport}

		started := time.Now()
		res, err := client.Get("http://Slack.test/api")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != "Slack.test" {
			t.Fatalf("body %q, error %v", body, err)
		}
		res.Body.Close()
		if took := time.Since(started); took != time.Hour {
			t.Errorf("took %v of fake time, want 1h", took)
		}
		transport.CloseIdleConnections()
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve ended with %v", err)
		}
	})
}

func TestListen(t *testing.T) {
	network := memnet.New()
	first, err := network.Listen("a.test:0")
	if err != nil {
		t.Fatal(err)
	}
	second, err := network.Listen("a.test:0")
	if err != nil {
		t.Fatal(err)
	}
	if first.Addr().String() == second.Addr().String() {
		t.Errorf("two listeners share %s", first.Addr())
	}
	if _, _, err := net.SplitHostPort(first.Addr().String()); err != nil {
		t.Error(err)
	}
	if _, err := network.Listen(first.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener at one address: %v, want EADDRINUSE", err)
	}
	first.Close()
	again, err := network.Listen(first.Addr().String())
	if err != nil {
		t.Fatalf("address was not freed by Close: %v", err)
	}
	first.Close() // a second Close must not free the address of the one that followed
	if _, err := network.Listen(again.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a late Close freed another listener's address: %v", err)
	}
	for _, bad := range []string{"", "a.test", "a.test:http", "a.test:65536", "a.test:-1"} {
		if _, err := network.Listen(bad); err == nil {
			t.Errorf("Listen(%q) gave no error", bad)
		}
	}
}

func TestDialRefused(t *testing.T) {
	network := memnet.New()
	l, err := network.Listen("a.test:80")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, addr := range []string{"a.test:80", "b.test:80"} {
		if _, err := network.Dial(t.Context(), "tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial(%s): %v, want ECONNREFUSED", addr, err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v, want net.ErrClosed", err)
	}
}

func TestDialEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		l, err := network.Listen("a.test:80")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := network.Dial(ctx, "tcp", "a.test:80"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial without an accept: %v, want the context's end", err)
		}
		refused := make(chan error, 1)
		go func() {
			_, err := network.Dial(t.Context(), "tcp", "a.test:80")
			refused <- err
		}()
		synctest.Wait()
		l.Close()
		if err := <-refused; !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial while the listener closed: %v, want ECONNREFUSED", err)
		}
	})
}
