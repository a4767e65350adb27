package fakegcp_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/googleapis/gax-go/v2/apierror"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/sandbox/fakegcp"
)

func codeOf(err error) codes.Code { return status.Code(err) }

func TestHistory(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		entries := w.entries(requestsOf(stable))
		if n := len(entries); n < 35900 || n > 36000 { // the last ones are not received yet
			t.Fatalf("%d requests in 15 minutes at 40 a second", n)
		}
		if got := float64(failures(entries)) / float64(len(entries)); math.Abs(got-0.72) > 0.001 {
			t.Errorf("error rate %.4f, want 0.72", got)
		}
		for i, e := range entries[1:] {
			if e.GetTimestamp().AsTime().Before(entries[i].GetTimestamp().AsTime()) {
				t.Fatalf("entry %d is out of order", i+1)
			}
		}
		e := entries[0]
		if e.GetResource().GetLabels()["configuration_name"] != backend || e.GetLogName() != "projects/netra-staging/logs/run.googleapis.com%2Frequests" {
			t.Errorf("entry %v", e)
		}
		end := e.GetTimestamp().AsTime().Add(e.GetHttpRequest().GetLatency().AsDuration())
		if lag := e.GetReceiveTimestamp().AsTime().Sub(end); lag < 300*time.Millisecond || lag > 1500*time.Millisecond {
			t.Errorf("received %v after the end", lag)
		}
	})
}

func TestErrorRateAfterNRequests(t *testing.T) {
	for _, rate := range []float64{0, 0.009, 0.05, 0.3, 0.72, 1} {
		inBubble(t, nil, func(t *testing.T, w *world) {
			time.Sleep(5 * time.Second) // what was there before has been received
			start := time.Now()
			w.must(w.cloud.Traffic(fakegcp.TrafficRequest{Service: backend, RPS: new(10.0), ErrorRate: map[string]float64{stable: rate}}))
			time.Sleep(70 * time.Second)
			received := start.Add(65 * time.Second) // of what is later, some is still on its way
			entries := w.entries(requestsOf(stable) + ` timestamp>="` + start.Format(time.RFC3339Nano) + `" timestamp<"` + received.Format(time.RFC3339Nano) + `"`)
			for n := range entries {
				if got, want := failures(entries[:n]), rate*float64(n); math.Abs(float64(got)-want) > 1 {
					t.Fatalf("rate %v: %d failures in the first %d requests, want %.1f give or take one", rate, got, n, want)
				}
			}
			if len(entries) < 600 {
				t.Errorf("only %d entries", len(entries))
			}
		})
	}
}

func TestSameSeedSameLogs(t *testing.T) {
	read := func(seed uint64) string {
		var out strings.Builder
		inBubble(t, func(c *fakegcp.Config) { c.Seed = seed }, func(_ *testing.T, w *world) {
			time.Sleep(time.Minute)
			for _, e := range w.entries(`timestamp>="2000-01-01T00:00:50Z"`) {
				fmt.Fprintln(&out, e.GetInsertId(), e.GetTimestamp().AsTime(), e.GetReceiveTimestamp().AsTime(), e.GetTrace(),
					e.GetHttpRequest().GetStatus(), e.GetHttpRequest().GetRequestUrl(), e.GetTextPayload())
			}
		})
		return out.String()
	}
	first := read(3)
	if first != read(3) {
		t.Error("the same seed gave other logs")
	}
	if first == read(4) {
		t.Error("another seed gave the same logs")
	}
}

func TestTracebacks(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		time.Sleep(time.Minute)
		found := w.entries(`resource.labels.revision_name="` + stable + `" log_id("run.googleapis.com/stderr") textPayload:"modulenotfounderror" timestamp>="2000-01-01T00:00:10Z" timestamp<"2000-01-01T00:00:20Z"`)
		if n := len(found); n < 284 || n > 292 {
			t.Fatalf("%d tracebacks in 10 seconds, want about 288", n)
		}
		e := found[0]
		if e.GetSeverity() != logtypepb.LogSeverity_ERROR || !strings.HasSuffix(e.GetTextPayload(), "\n"+exception) || e.GetTrace() == "" {
			t.Errorf("entry %v", e)
		}
		w.must(w.cloud.Traffic(fakegcp.TrafficRequest{Service: backend, ErrorRate: map[string]float64{stable: 0}}))
		time.Sleep(5 * time.Second)
		start := time.Now()
		time.Sleep(10 * time.Second)
		if n := len(w.entries(`textPayload:"ModuleNotFoundError" timestamp>="` + start.Format(time.RFC3339Nano) + `"`)); n != 0 {
			t.Errorf("%d tracebacks though nothing fails", n)
		}
	})
}

func TestEntriesShowOnceReceived(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for range 5 {
			time.Sleep(3 * time.Second)
			now := time.Now()
			for _, e := range w.entries(requestsOf(stable) + ` receiveTimestamp>="` + now.Add(-time.Second).Format(time.RFC3339Nano) + `"`) {
				if e.GetReceiveTimestamp().AsTime().After(now) {
					t.Fatalf("at %v an entry shows that is received at %v", now, e.GetReceiveTimestamp().AsTime())
				}
			}
		}
	})
}

func TestPages(t *testing.T) {
	for _, order := range []string{"", "timestamp asc", "timestamp desc"} {
		inBubble(t, nil, func(t *testing.T, w *world) {
			time.Sleep(10 * time.Second)
			req := &loggingpb.ListLogEntriesRequest{
				ResourceNames: []string{"projects/" + project}, PageSize: 100, OrderBy: order,
				Filter: requestsOf(stable) + ` timestamp>="2000-01-01T00:00:00Z" timestamp<"2000-01-01T00:00:05Z"`,
			}
			seen, empty := map[string]bool{}, 0
			for range 14 {
				clear(seen)
				var previous time.Time
				it := w.logs.ListLogEntries(t.Context(), req)
				for token := ""; ; {
					page, next, err := it.InternalFetch(100, token)
					w.must(err)
					for _, e := range page {
						at := e.GetTimestamp().AsTime()
						if seen[e.GetInsertId()] || (!previous.IsZero() && at.Before(previous) != (order == "timestamp desc") && !at.Equal(previous)) {
							t.Fatalf("%q: entry %s twice or out of order", order, e.GetInsertId())
						}
						seen[e.GetInsertId()], previous = true, at
					}
					if len(page) == 0 && next != "" {
						empty++
					}
					if token = next; token == "" {
						break
					}
				}
				if len(seen) != 200 {
					t.Fatalf("%q: %d entries, want 200", order, len(seen))
				}
				time.Sleep(10 * time.Second)
			}
			if empty == 0 {
				t.Errorf("%q: never an empty page with a token", order)
			}
		})
	}
}

func TestListRefused(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		list := func(req *loggingpb.ListLogEntriesRequest) error {
			_, err := w.logs.ListLogEntries(t.Context(), req).Next()
			return err
		}
		own := []string{"projects/" + project}
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{}), codes.InvalidArgument)
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{ResourceNames: []string{"projects/other"}}), codes.NotFound)
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{ResourceNames: own, Filter: `severity>=`}), codes.InvalidArgument)
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{ResourceNames: own, OrderBy: "severity"}), codes.InvalidArgument)
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{ResourceNames: own, PageToken: "bm9uZQ"}), codes.InvalidArgument)
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{ResourceNames: own, PageSize: 1001}), codes.InvalidArgument)
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{ResourceNames: own, PageSize: -1}), codes.InvalidArgument)
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{ResourceNames: own, Filter: strings.Repeat("x", 20001)}), codes.InvalidArgument)
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{ResourceNames: slices.Repeat(own, 101)}), codes.InvalidArgument)
		it := w.logs.ListLogEntries(t.Context(), &loggingpb.ListLogEntriesRequest{ResourceNames: own})
		_, token, err := it.InternalFetch(10, "")
		w.must(err)
		w.must(w.cloud.Traffic(fakegcp.TrafficRequest{Service: backend, RPS: new(0.0)}))
		time.Sleep(25 * time.Hour)
		w.wantCode(list(&loggingpb.ListLogEntriesRequest{ResourceNames: own, PageToken: token}), codes.InvalidArgument)
	})
}

func TestQuota(t *testing.T) {
	quota := func(c *fakegcp.Config) { c.LogQuota = 3 }
	inBubble(t, quota, func(t *testing.T, w *world) {
		list := func() error {
			_, err := w.logs.ListLogEntries(t.Context(), &loggingpb.ListLogEntriesRequest{ResourceNames: []string{"projects/" + project}}).Next()
			return err
		}
		for range 3 {
			w.must(list())
		}
		err := list()
		w.wantCode(err, codes.ResourceExhausted)
		var told *apierror.APIError
		if !errors.As(err, &told) || told.Reason() != "RATE_LIMIT_EXCEEDED" || told.Metadata()["quota_limit_value"] != "3" {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
		w.must(list())
	})
}

func TestStartupLogs(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		_, _, err := w.deploy(w.good, "backend-s1-1")
		w.must(err)
		_, _, err = w.deploy(w.image("crash", fakegcp.Behavior{CrashOnStart: true, Exception: exception}), "backend-s2-1")
		w.wantCode(err, codes.FailedPrecondition)
		time.Sleep(5 * time.Second)
		plain := w.entries(`resource.labels.revision_name="backend-s1-1" log_id("run.googleapis.com/stderr")`)
		if len(plain) == 0 || plain[0].GetSeverity() != logtypepb.LogSeverity_DEFAULT {
			t.Errorf("plain stderr lines: %v", plain)
		}
		exit := w.entries(`resource.labels.revision_name="backend-s2-1" log_id("run.googleapis.com/varlog/system") textPayload:"exit(1)"`)
		if len(exit) != 1 || exit[0].GetSeverity() != logtypepb.LogSeverity_WARNING {
			t.Errorf("exit line: %v", exit)
		}
	})
}

func TestOldEntriesAreDropped(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.must(w.cloud.Traffic(fakegcp.TrafficRequest{Service: backend, RPS: new(2.0)}))
		before := func(age time.Duration) int {
			return len(w.entries(`timestamp<"` + time.Now().Add(-age).Format(time.RFC3339) + `"`))
		}
		time.Sleep(3 * time.Hour)
		if n := before(2*time.Hour + 10*time.Minute); n != 0 {
			t.Errorf("%d entries are older than they are kept", n)
		}
		if n := before(time.Hour + 55*time.Minute); n == 0 {
			t.Error("entries are dropped before their time")
		}
	})
}

func TestNoTrafficBeforeRevisionServes(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		_, _, err := w.deploy(w.good, "backend-s1-1")
		w.must(err)
		time.Sleep(time.Minute)
		if n := len(w.entries(requestsOf("backend-s1-1"))); n != 0 {
			t.Errorf("a candidate at 0%% has %d requests", n)
		}
		w.shift(&runpb.TrafficTarget{Type: byRevision, Revision: "backend-s1-1", Percent: 100})
		time.Sleep(time.Minute)
		if n := len(w.entries(requestsOf("backend-s1-1"))); n < 2300 {
			t.Errorf("a revision at 100%% has %d requests after a minute", n)
		}
	})
}

// BenchmarkHistory is the cost of 72,000 requests, as many as half an hour at 40 a second has.
func BenchmarkHistory(b *testing.B) {
	for b.Loop() {
		cloud := fakegcp.New(fakegcp.Config{Project: project, Region: "us-central1"})
		if _, err := cloud.AddImage(images+":bad", fakegcp.Behavior{ErrorRate: 0.72, Exception: exception}); err != nil {
			b.Fatal(err)
		}
		if err := cloud.AddService(fakegcp.ServiceSpec{Name: backend, Image: images + ":bad", RPS: 80}); err != nil { // 15 minutes of history
			b.Fatal(err)
		}
		cloud.Close()
	}
}

// A sample is the same entries each time, about so many of all.
func TestSampleOfEntries(t *testing.T) {
	inBubble(t, func(c *fakegcp.Config) { c.LogQuota = -1 }, func(t *testing.T, w *world) {
		until := ` timestamp<"` + time.Now().Format(time.RFC3339Nano) + `"`
		time.Sleep(3 * time.Second)
		all := w.entries(requestsOf(stable) + until)
		quarter := w.entries(requestsOf(stable) + until + " sample(insertId, 0.25)")
		if n := len(all) / 4; len(quarter) < n*95/100 || len(quarter) > n*105/100 {
			t.Errorf("%d of %d entries in a quarter", len(quarter), len(all))
		}
		again := w.entriesBy(100, requestsOf(stable)+until+" sample(insertId, 0.25)")
		if len(again) != len(quarter) || again[0].GetInsertId() != quarter[0].GetInsertId() {
			t.Error("the sample is another one when it is asked for again")
		}
	})
}
