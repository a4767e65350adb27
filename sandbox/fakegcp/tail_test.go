package fakegcp_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"slipway/sandbox/fakegcp"
)

// session is one TailLogEntries and what it has answered.
type session struct {
	w      *world
	stream loggingpb.LoggingServiceV2_TailLogEntriesClient
	close  context.CancelFunc
}

func (w *world) tail(req *loggingpb.TailLogEntriesRequest) *session {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	stream, err := w.logs.TailLogEntries(ctx)
	w.must(err)
	req.ResourceNames = []string{"projects/" + project}
	if err := stream.Send(req); !errors.Is(err, io.EOF) { // which is one that has ended already; Recv says why
		w.must(err)
	}
	return &session{w: w, stream: stream, close: cancel}
}

// read returns the responses of a span of time.
func (s *session) read(span time.Duration) (out []*loggingpb.TailLogEntriesResponse) {
	s.w.t.Helper()
	for end := time.Now().Add(span); time.Now().Before(end); {
		res, err := s.stream.Recv()
		s.w.must(err)
		out = append(out, res)
	}
	return out
}

// refused is how the session ends.
func (s *session) refused() codes.Code {
	for {
		if _, err := s.stream.Recv(); err != nil {
			return codeOf(err)
		}
	}
}

func entriesOf(responses []*loggingpb.TailLogEntriesResponse) (out []*loggingpb.LogEntry) {
	for _, res := range responses {
		out = append(out, res.GetEntries()...)
	}
	return out
}

func suppressed(responses []*loggingpb.TailLogEntriesResponse, reason loggingpb.TailLogEntriesResponse_SuppressionInfo_Reason) (n int) {
	for _, res := range responses {
		for _, info := range res.GetSuppressionInfo() {
			if info.GetReason() == reason {
				n += int(info.GetSuppressedCount())
			}
		}
	}
	return n
}

func inOrder(entries []*loggingpb.LogEntry) bool {
	return slices.IsSortedFunc(entries, func(a, b *loggingpb.LogEntry) int {
		return a.GetTimestamp().AsTime().Compare(b.GetTimestamp().AsTime())
	})
}

func TestTailSendsWhatIsReceivedAndNothingElse(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		time.Sleep(10 * time.Second)
		opened := time.Now()
		s := w.tail(&loggingpb.TailLogEntriesRequest{Filter: requestsOf(stable)})
		got := entriesOf(s.read(60 * time.Second))
		s.close()
		time.Sleep(5 * time.Second)
		seen := map[string]bool{}
		for _, e := range got {
			if at := e.GetReceiveTimestamp().AsTime(); !at.After(opened) || seen[e.GetInsertId()] {
				t.Fatalf("entry %s, received %v after the session began, twice: %v", e.GetInsertId(), at.Sub(opened), seen[e.GetInsertId()])
			}
			seen[e.GetInsertId()] = true
		}
		last := opened.Add(55 * time.Second) // later ones may be in the buffer still
		for _, e := range w.entries(requestsOf(stable) + ` receiveTimestamp>"` + opened.Format(time.RFC3339Nano) + `" receiveTimestamp<"` + last.Format(time.RFC3339Nano) + `"`) {
			if !seen[e.GetInsertId()] {
				t.Fatalf("entry %s of %v was not sent", e.GetInsertId(), e.GetTimestamp().AsTime())
			}
		}
		if len(got) < 2000 {
			t.Errorf("%d entries in a minute at 40 a second", len(got))
		}
	})
}

func TestTailOrder(t *testing.T) {
	for _, tt := range []struct {
		name   string
		buffer time.Duration
		late   bool
		sorted bool
	}{
		{"buffered for longer than entries take", 10 * time.Second, false, true},
		{"not buffered", 0, false, false},
		{"later than the buffer waits", 4 * time.Second, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				if tt.late {
					w.must(w.cloud.Fault(fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLate, Seconds: 20, Distribution: fakegcp.Uniform, Share: 0.1, Count: -1}))
				}
				s := w.tail(&loggingpb.TailLogEntriesRequest{Filter: requestsOf(stable), BufferWindow: durationpb.New(tt.buffer)})
				responses := s.read(time.Minute)
				s.close()
				for _, res := range responses {
					if !inOrder(res.GetEntries()) {
						t.Fatalf("a response is out of order: %v", res)
					}
				}
				if got := inOrder(entriesOf(responses)); got != tt.sorted {
					t.Errorf("in order between responses: %v", got)
				}
			})
		})
	}
}

func TestTailRateIsCounted(t *testing.T) {
	inBubble(t, func(c *fakegcp.Config) { c.TailRate = 600 }, func(t *testing.T, w *world) {
		s := w.tail(&loggingpb.TailLogEntriesRequest{Filter: requestsOf(stable)})
		responses := s.read(3 * time.Minute)
		s.close()
		sent, left := len(entriesOf(responses)), suppressed(responses, loggingpb.TailLogEntriesResponse_SuppressionInfo_RATE_LIMIT)
		if sent < 1800 || sent > 2400 || sent+left < 7000 {
			t.Errorf("%d entries sent and %d suppressed in 3 minutes at 2400 a minute", sent, left)
		}
	})
}

// A client that does not read is told how much it missed; what waits for it does not grow for ever.
func TestTailNotConsumed(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.must(w.cloud.Traffic(fakegcp.TrafficRequest{Service: backend, RPS: new(400.0)}))
		s := w.tail(&loggingpb.TailLogEntriesRequest{Filter: requestsOf(stable)})
		time.Sleep(2 * time.Minute)
		responses := s.read(20 * time.Second)
		s.close()
		if n := suppressed(responses, loggingpb.TailLogEntriesResponse_SuppressionInfo_NOT_CONSUMED); n < 10_000 {
			t.Errorf("%d entries told as not consumed", n)
		}
		if e := entriesOf(responses); e[len(e)-1].GetTimestamp().AsTime().Before(time.Now().Add(-10 * time.Second)) {
			t.Error("the session does not catch up")
		}
	})
}

func TestTailRefused(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for name, req := range map[string]*loggingpb.TailLogEntriesRequest{
			"buffer too long": {BufferWindow: durationpb.New(61 * time.Second)},
			"buffer negative": {BufferWindow: durationpb.New(-time.Second)},
			"filter":          {Filter: "severity>="},
		} {
			if got := w.tail(req).refused(); got != codes.InvalidArgument {
				t.Errorf("%s: %v", name, got)
			}
		}
		var open []*session
		for range 10 {
			open = append(open, w.tail(&loggingpb.TailLogEntriesRequest{}))
		}
		time.Sleep(time.Second)
		if got := w.tail(&loggingpb.TailLogEntriesRequest{}).refused(); got != codes.ResourceExhausted {
			t.Errorf("an eleventh session: %v", got)
		}
		w.must(open[0].stream.CloseSend())
		for {
			if _, err := open[0].stream.Recv(); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("a session without more to ask ends with %v", err)
				}
				break
			}
		}
		again := w.tail(&loggingpb.TailLogEntriesRequest{})
		again.read(2 * time.Second)
		for _, s := range append(open, again) {
			s.close()
		}
		w.cloud.Deny("logging.logEntries.list")
		if got := w.tail(&loggingpb.TailLogEntriesRequest{}).refused(); got != codes.PermissionDenied {
			t.Errorf("without the right: %v", got)
		}
	})
}

func TestTailIsInTheJournal(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		s := w.tail(&loggingpb.TailLogEntriesRequest{Filter: "severity>=ERROR"})
		s.read(2 * time.Second)
		s.close()
		time.Sleep(time.Second)
		if calls := w.cloud.Journal(); len(calls) != 1 || calls[0].Method != "TailLogEntries" || calls[0].Summary != "tail severity>=ERROR, buffered for 2s" {
			t.Errorf("journal %+v", calls)
		}
	})
}

// A fault of the sessions that are open ends all of them, and no later one; the next calls can be refused
// beside it.
func TestTailBreaksOff(t *testing.T) {
	for _, tt := range []struct {
		fault fakegcp.Fault
		want  codes.Code
	}{
		{fakegcp.Fault{Kind: fakegcp.FaultError, Code: "INTERNAL"}, codes.Internal},
		{fakegcp.Fault{Kind: fakegcp.FaultRateLimit}, codes.ResourceExhausted},
		{fakegcp.Fault{Kind: fakegcp.FaultDrop}, codes.Unavailable},
		{fakegcp.Fault{Kind: fakegcp.FaultDisconnect}, codes.Unavailable},
	} {
		t.Run(tt.fault.Kind, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				tt.fault.Method, tt.fault.Open = "TailLogEntries", true
				w.must(w.cloud.Fault(tt.fault)) // of none
				open := []*session{w.tail(&loggingpb.TailLogEntriesRequest{}), w.tail(&loggingpb.TailLogEntriesRequest{})}
				for _, s := range open {
					s.read(5 * time.Second)
				}
				w.must(w.cloud.Fault(tt.fault))
				w.must(w.cloud.Fault(fakegcp.Fault{Method: "TailLogEntries", Kind: fakegcp.FaultError, Code: "PERMISSION_DENIED"}))
				for _, s := range open {
					if got := s.refused(); got != tt.want {
						t.Errorf("a session ends with %v, want %v", got, tt.want)
					}
				}
				if got := w.tail(&loggingpb.TailLogEntriesRequest{}).refused(); got != codes.PermissionDenied {
					t.Errorf("the next call: %v", got)
				}
				again := w.tail(&loggingpb.TailLogEntriesRequest{})
				if len(entriesOf(again.read(5*time.Second))) == 0 {
					t.Error("a later session is silent")
				}
				again.close()
				time.Sleep(time.Second)
				met := 0
				for _, call := range w.cloud.Journal() {
					if call.Fault == tt.fault.Kind && call.Summary != call.Method {
						met++
					}
				}
				if met == 0 { // a connection that one session cuts ends the others
					t.Error("the journal does not name the fault")
				}
			})
		})
	}
}

// A session can fall silent without an end: by the server's fault, or the connection's.
func TestTailFallsSilent(t *testing.T) {
	for _, kind := range []string{fakegcp.FaultTimeout, fakegcp.FaultHalfOpen} {
		t.Run(kind, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				s := w.tail(&loggingpb.TailLogEntriesRequest{})
				s.read(5 * time.Second)
				w.must(w.cloud.Fault(fakegcp.Fault{Method: "TailLogEntries", Kind: kind, Open: true}))
				time.AfterFunc(5*time.Minute, s.close)
				began := time.Now()
				if got := s.refused(); got != codes.Canceled || time.Since(began) < 5*time.Minute {
					t.Errorf("%v after %v", got, time.Since(began))
				}
			})
		})
	}
}

func TestOpenFaultsRefused(t *testing.T) {
	cloud := fakegcp.New(fakegcp.Config{Project: project})
	defer cloud.Close()
	for _, f := range []fakegcp.Fault{
		{Method: "ListLogEntries", Kind: fakegcp.FaultError, Open: true}, {Kind: fakegcp.FaultError, Open: true},
		{Method: "TailLogEntries", Kind: fakegcp.FaultLatency, Seconds: 1, Open: true},
		{Method: "TailLogEntries", Kind: fakegcp.FaultAppliedButError, Open: true},
	} {
		if err := cloud.Fault(f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}
