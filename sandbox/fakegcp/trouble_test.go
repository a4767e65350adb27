package fakegcp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"slipway/sandbox/fakegcp"
)

func TestFaultsThatMakeNoSense(t *testing.T) {
	cloud := fakegcp.New(fakegcp.Config{Project: project})
	defer cloud.Close()
	for what, f := range map[string]fakegcp.Fault{
		"latency without a time":        {Kind: fakegcp.FaultLatency},
		"latency for a day":             {Kind: fakegcp.FaultLatency, Seconds: 86400},
		"a distribution nobody knows":   {Kind: fakegcp.FaultLatency, Seconds: 1, Distribution: "cauchy"},
		"uniform, upside down":          {Kind: fakegcp.FaultLatency, Seconds: 1, From: 2, Distribution: fakegcp.Uniform},
		"a share of two":                {Kind: fakegcp.FaultDrop, Share: 2},
		"late calls":                    {Kind: fakegcp.FaultLate, Seconds: 1, Method: "GetService"},
		"late entries of no log":        {Kind: fakegcp.FaultLate, Seconds: 1},
		"a log that is dropped":         {Kind: fakegcp.FaultDrop, Method: "Log"},
		"half a page of no list":        {Kind: fakegcp.FaultTruncated, Method: "GetService"},
		"a bad token of the registry":   {Kind: fakegcp.FaultBadToken, Method: "Registry"},
		"a registry that is half open":  {Kind: fakegcp.FaultHalfOpen, Method: "Registry"},
		"a crash of a read":             {Kind: fakegcp.FaultCrash, Method: "GetService", Seconds: 1},
		"a crash after no time":         {Kind: fakegcp.FaultCrash, Method: "UpdateService"},
		"a clock that is right":         {Kind: fakegcp.FaultSkew, Method: "Log"},
		"late by less than nothing":     {Kind: fakegcp.FaultLate, Method: "Log", Seconds: -1},
		"lost calls":                    {Kind: fakegcp.FaultLost, Method: "GetService"},
		"only some calls":               {Kind: fakegcp.FaultDrop, Method: "GetService", Only: fakegcp.OnlyErrors},
		"only what nobody knows":        {Kind: fakegcp.FaultLost, Method: "Log", Only: "warnings"},
		"lognormal with negative sigma": {Kind: fakegcp.FaultLatency, Seconds: 1, Distribution: fakegcp.Lognormal, Sigma: -1},
	} {
		if err := cloud.Fault(f); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	err := cloud.Fault(fakegcp.Fault{Kind: "fire"})
	for _, kind := range []string{"error", "429", "latency", "drop", "half_open", "truncated", "bad_token", "crash_after_ready", "duplicate", "late", "skew", "lost", "never_ends"} {
		if !strings.Contains(err.Error(), kind) {
			t.Errorf("%v does not name %s", err, kind)
		}
	}
}

func (w *world) timed(fault fakegcp.Fault, n int) []time.Duration {
	w.t.Helper()
	fault.Method, fault.Kind, fault.Count = "GetService", fakegcp.FaultLatency, n
	w.must(w.cloud.Fault(fault))
	var out []time.Duration
	for range n {
		start := time.Now()
		w.service()
		out = append(out, time.Since(start))
	}
	return out
}

func TestLatencyDistributions(t *testing.T) {
	measure := func(seed uint64, fault fakegcp.Fault) (out []time.Duration) {
		inBubble(t, func(c *fakegcp.Config) { c.Seed = seed }, func(_ *testing.T, w *world) { out = w.timed(fault, 201) })
		return out
	}
	fixed := measure(7, fakegcp.Fault{Seconds: 1.5})
	if slices.Min(fixed) != 1500*time.Millisecond || slices.Max(fixed) != 1500*time.Millisecond {
		t.Errorf("fixed: %v to %v", slices.Min(fixed), slices.Max(fixed))
	}
	uniform := measure(7, fakegcp.Fault{From: 1, Seconds: 3, Distribution: fakegcp.Uniform})
	if least, most := slices.Min(uniform), slices.Max(uniform); least < time.Second || least > 1200*time.Millisecond || most > 3*time.Second || most < 2800*time.Millisecond {
		t.Errorf("uniform: %v to %v", least, most)
	}
	if !slices.Equal(uniform, measure(7, fakegcp.Fault{From: 1, Seconds: 3, Distribution: fakegcp.Uniform})) {
		t.Error("the same seed gave other latencies")
	}
	if slices.Equal(uniform, measure(8, fakegcp.Fault{From: 1, Seconds: 3, Distribution: fakegcp.Uniform})) {
		t.Error("another seed gave the same latencies")
	}
	lognormal := slices.Sorted(slices.Values(measure(7, fakegcp.Fault{Seconds: 2, Sigma: 0.5, Distribution: fakegcp.Lognormal})))
	if median, p95 := lognormal[100], lognormal[190]; median < 1700*time.Millisecond || median > 2300*time.Millisecond || p95 < 3500*time.Millisecond || p95 > 6*time.Second {
		t.Errorf("lognormal: median %v, 95th percentile %v", median, p95)
	}
}

// A late answer is late only for its caller: what was asked for happened at once.
func TestLatencyComesAfterTheEffect(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.must(w.cloud.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultLatency, Seconds: 60}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := w.services.UpdateService(ctx, &runpb.UpdateServiceRequest{Service: &runpb.Service{Name: fullName, Description: "late", Template: w.service().GetTemplate()}})
		w.wantCode(err, codes.DeadlineExceeded)
		if got := w.service().GetDescription(); got != "late" {
			t.Errorf("description %q", got)
		}
	})
}

func TestShareOfCalls(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.must(w.cloud.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultDrop, Share: 0.3, Count: -1}))
		dropped := 0
		for range 300 {
			_, err := w.update(&runpb.Service{Description: "x"}, "description")
			if codeOf(err) == codes.Unavailable {
				dropped++
			} else {
				w.must(err)
			}
		}
		if dropped < 60 || dropped > 120 {
			t.Errorf("%d of 300 calls were dropped, want about 90", dropped)
		}
		if got := w.service().GetGeneration(); got != int64(41+300-dropped) {
			t.Errorf("generation %d after %d updates that were not dropped", got, 300-dropped)
		}
	})
}

// On a half-open connection every call hangs, also those that no fault is left for; a new one works.
func TestHalfOpen(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		ask := func(client *run.ServicesClient) codes.Code {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := client.GetService(ctx, &runpb.GetServiceRequest{Name: fullName})
			return codeOf(err)
		}
		w.must(w.cloud.Fault(fakegcp.Fault{Method: "GetService", Kind: fakegcp.FaultHalfOpen}))
		for range 2 {
			start := time.Now()
			if got := ask(w.services); got != codes.DeadlineExceeded || time.Since(start) < 5*time.Second {
				t.Errorf("%v after %v", got, time.Since(start))
			}
		}
		other, err := run.NewServicesClient(t.Context(), w.options()...)
		w.must(err)
		defer other.Close()
		if got := ask(other); got != codes.OK {
			t.Errorf("a new connection: %v", got)
		}
	})
}

func TestTruncatedPages(t *testing.T) {
	inBubble(t, func(c *fakegcp.Config) { c.LogQuota = 2 }, func(t *testing.T, w *world) {
		for _, name := range []string{"backend-s1-1", "backend-s2-1", "backend-s3-1"} {
			_, _, err := w.deploy(w.good, name)
			w.must(err)
		}
		w.must(w.cloud.Fault(fakegcp.Fault{Method: "ListRevisions", Kind: fakegcp.FaultTruncated, Count: 3}))
		pages := 0
		it := w.revisions.ListRevisions(t.Context(), &runpb.ListRevisionsRequest{Parent: fullName})
		seen := map[string]bool{}
		for token := ""; pages == 0 || token != ""; pages++ {
			page, next, err := it.InternalFetch(0, token)
			w.must(err)
			for _, rev := range page {
				seen[rev.GetName()] = true
			}
			token = next
		}
		if len(seen) != 4 || pages < 3 {
			t.Errorf("%d revisions on %d pages", len(seen), pages)
		}
		w.must(w.cloud.Fault(fakegcp.Fault{Method: "ListLogEntries", Kind: fakegcp.FaultTruncated}))
		logs := w.logs.ListLogEntries(t.Context(), &loggingpb.ListLogEntriesRequest{ResourceNames: []string{"projects/" + project}})
		page, next, err := logs.InternalFetch(50, "")
		w.must(err)
		if len(page) != 25 || next == "" {
			t.Errorf("%d entries, token %q", len(page), next)
		}
		_, _, err = logs.InternalFetch(50, next) // one call of the quota is left: a truncated one counts once
		w.must(err)
	})
}

func TestBadToken(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.must(w.cloud.Fault(fakegcp.Fault{Method: "ListRevisions", Kind: fakegcp.FaultBadToken}))
		it := w.revisions.ListRevisions(t.Context(), &runpb.ListRevisionsRequest{Parent: fullName})
		_, next, err := it.InternalFetch(10, "")
		w.must(err)
		_, _, err = it.InternalFetch(10, next)
		w.wantCode(err, codes.InvalidArgument)
	})
}

func TestCrashOnDemand(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.must(w.cloud.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultCrash, Seconds: 30}))
		svc, _, err := w.deploy(w.good, "backend-s1-1")
		w.must(err)
		url := svc.GetTrafficStatuses()[1].GetUri() + "/api/threads"
		if code, _ := w.send("GET", url, "e2e-token", ""); code != http.StatusOK {
			t.Errorf("when it is ready: %d", code)
		}
		time.Sleep(30 * time.Second)
		if code, _ := w.send("GET", url, "e2e-token", ""); code != http.StatusServiceUnavailable {
			t.Errorf("30 s later: %d", code)
		}
		if w.service().GetTerminalCondition().GetState() != runpb.Condition_CONDITION_SUCCEEDED {
			t.Error("the revision is not ready any more")
		}
	})
}

func TestTroubledLog(t *testing.T) {
	const since = ` receiveTimestamp>="2000-01-01T00:00:00Z" receiveTimestamp<"2000-01-01T00:01:00Z"`
	tests := map[string]struct {
		fault fakegcp.Fault
		check func(t *testing.T, e []*loggingpb.LogEntry)
	}{
		"duplicates": {fakegcp.Fault{Kind: fakegcp.FaultDuplicate, Count: 30}, func(t *testing.T, entries []*loggingpb.LogEntry) {
			seen, twice := map[string]time.Time{}, 0
			for _, e := range entries {
				if at, ok := seen[e.GetInsertId()]; ok {
					twice++
					if !at.Equal(e.GetTimestamp().AsTime()) {
						t.Errorf("twins of %v and %v", at, e.GetTimestamp().AsTime())
					}
				}
				seen[e.GetInsertId()] = e.GetTimestamp().AsTime()
			}
			if twice != 30 {
				t.Errorf("%d entries come twice, want 30", twice)
			}
		}},
		"late": {fakegcp.Fault{Kind: fakegcp.FaultLate, Seconds: 30, Count: 30}, func(t *testing.T, entries []*loggingpb.LogEntry) {
			if n := count(entries, func(e *loggingpb.LogEntry) bool { return lagOf(e) > 30*time.Second }); n != 30 {
				t.Errorf("%d entries are late, want 30", n)
			}
		}},
		"skew": {fakegcp.Fault{Kind: fakegcp.FaultSkew, Seconds: 90, Count: 30}, func(t *testing.T, entries []*loggingpb.LogEntry) {
			if n := count(entries, func(e *loggingpb.LogEntry) bool { return lagOf(e) < -80*time.Second }); n != 30 {
				t.Errorf("%d entries are from the future, want 30", n)
			}
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(c *fakegcp.Config) { c.LogQuota = -1 }, func(t *testing.T, w *world) {
				tt.fault.Method = "Log"
				w.must(w.cloud.Fault(tt.fault))
				time.Sleep(3 * time.Minute)
				tt.check(t, w.entries(`resource.labels.service_name="backend" `+since))
				tt.check(t, w.entriesBy(7, `resource.labels.service_name="backend" `+since)) // nothing is lost between pages
			})
		})
	}
}

func lagOf(e *loggingpb.LogEntry) time.Duration {
	return e.GetReceiveTimestamp().AsTime().Sub(e.GetTimestamp().AsTime())
}

func count(entries []*loggingpb.LogEntry, is func(*loggingpb.LogEntry) bool) (n int) {
	for _, e := range entries {
		if is(e) {
			n++
		}
	}
	return n
}

func TestMethodsThatAreNotEmulated(t *testing.T) {
	var log strings.Builder
	named := func(c *fakegcp.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }
	inBubble(t, named, func(t *testing.T, w *world) {
		_, err := w.services.DeleteService(t.Context(), &runpb.DeleteServiceRequest{Name: fullName})
		w.wantCode(err, codes.Unimplemented)
		pools, err := run.NewWorkerPoolsClient(t.Context(), w.options()...)
		w.must(err)
		defer pools.Close()
		_, err = pools.GetWorkerPool(t.Context(), &runpb.GetWorkerPoolRequest{Name: place + "/workerPools/x"})
		w.wantCode(err, codes.Unimplemented)
	})
	for _, method := range []string{"google.cloud.run.v2.Services/DeleteService", "google.cloud.run.v2.WorkerPools/GetWorkerPool"} {
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), method) {
			t.Errorf("the log does not name %s: %s", method, log.String())
		}
	}
}

func TestHalfABodyFromTheRegistry(t *testing.T) {
	cloud := fakegcp.New(fakegcp.Config{Project: project})
	defer cloud.Close()
	server := httptest.NewServer(cloud.RegistryHandler())
	defer server.Close()
	read := func() error {
		res, err := server.Client().Get(server.URL + "/v2/nobody/manifests/latest")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.ReadAll(res.Body)
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	if err := cloud.Fault(fakegcp.Fault{Method: "Registry", Kind: fakegcp.FaultTruncated}); err != nil {
		t.Fatal(err)
	}
	if err := read(); err == nil {
		t.Error("a truncated body was read to its end")
	}
}

// options are those of a client with a connection of its own.
func (w *world) options() []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint("passthrough:///gcp.test:443"), option.WithoutAuthentication(), option.WithTelemetryDisabled(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithContextDialer(w.dial)),
	}
}
