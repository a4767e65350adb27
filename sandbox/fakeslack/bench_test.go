package fakeslack

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// BenchmarkCommands sends 200 commands a second over loopback to two clients
// that ack at once, and reports how many got no ack. For 30 seconds of it:
//
//	go test -run '^$' -bench Commands -benchtime 30s ./sandbox/fakeslack
func BenchmarkCommands(b *testing.B) {
	const apart = time.Second / 200
	s := benchServer(b)
	for range 2 {
		ackEverything(b, s)
	}
	for len(s.Connections()) < 2 {
		<-s.Changed()
	}
	var mu sync.Mutex
	var took []time.Duration
	lost := 0
	var running sync.WaitGroup
	start := time.Now()
	for i := 0; b.Loop(); i++ {
		time.Sleep(time.Until(start.Add(time.Duration(i) * apart))) // and no pause when it is behind
		running.Go(func() {
			ack, err := s.Command(b.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy", Text: "status"})
			mu.Lock()
			defer mu.Unlock()
			took = append(took, ack.Elapsed)
			if err != nil {
				lost++
			}
		})
	}
	running.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(lost), "lost")
	b.ReportMetric(float64(len(took)-lost)/time.Since(start).Seconds(), "acks/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	if lost > 0 {
		b.Errorf("%d of %d commands got no ack", lost, len(took))
	}
}

func benchServer(b *testing.B) *Server {
	b.Helper()
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	cfg := testConfig()
	cfg.BaseURL = "http://" + listener.Addr().String()
	s := New(cfg)
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	b.Cleanup(func() {
		s.Close()
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	return s
}

// ackEverything opens a socket whose envelopes are acked at once, until the
// benchmark ends.
func ackEverything(b *testing.B, s *Server) {
	b.Helper()
	out, err := s.call("apps.connections.open", appToken, arguments{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	url, _ := out["url"].(string)
	conn, resp, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, raw, err := conn.Read(ctx)
			if err != nil {
				return
			}
			var e struct {
				ID string `json:"envelope_id"`
			}
			if json.Unmarshal(raw, &e) == nil && e.ID != "" {
				_ = conn.Write(ctx, websocket.MessageText, []byte(`{"envelope_id":"`+e.ID+`"}`))
			}
		}
	}()
	b.Cleanup(func() { cancel(); <-done; _ = conn.CloseNow() })
}
