package gcp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"slipway/incident"
	"slipway/plan"
	"slipway/sandbox/fakegcp"
)

// alerting is the service as a watch knows it.
func alerting() incident.Service {
	return incident.Service{
		Target:  plan.Target{Environment: "staging", Service: "backend"},
		Project: project, Region: region, CloudRun: cloudRun,
	}
}

// inWatch runs a test against a service and another one beside it, without a rollout.
func inWatch(t *testing.T, cfg fakegcp.Config, test func(ctx context.Context, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, cfg, fakegcp.Behavior{}, []fakegcp.RevisionSpec{{Name: earlierName, Image: repository + ":new"}})
		must(t, w.fake.AddService(fakegcp.ServiceSpec{Name: "other", Image: repository + ":old", RPS: 2}))
		test(t.Context(), w)
	})
}

func (w *world) entries(ctx context.Context, from, to time.Time) []incident.Entry {
	w.t.Helper()
	var all []incident.Entry
	err := w.cloud.Entries(ctx, project, []incident.Service{alerting()}, from, to, func(e *incident.Entry) { all = append(all, *e) })
	must(w.t, err)
	return all
}

// wantEach checks that entries are there once each.
func wantEach(t *testing.T, what string, got, want []incident.Entry) {
	t.Helper()
	ids := func(of []incident.Entry) []string {
		var list []string
		for _, e := range of {
			list = append(list, fmt.Sprint(e.ID, " ", e.At))
		}
		slices.Sort(list)
		return list
	}
	if g, w := ids(got), ids(want); !slices.Equal(g, w) || len(slices.Compact(w)) != len(want) {
		t.Errorf("%s: %d entries, want %d, once each", what, len(got), len(want))
	}
}

// What windows of reception bring is all there is, whatever comes late, twice, or with a clock that is off.
func TestEntriesByWindows(t *testing.T) {
	inWatch(t, fakegcp.Config{}, func(ctx context.Context, w *world) {
		for _, f := range []fakegcp.Fault{
			{Kind: fakegcp.FaultLate, Seconds: 40, Distribution: fakegcp.Uniform, Share: 0.1},
			{Kind: fakegcp.FaultDuplicate, Share: 0.1}, {Kind: fakegcp.FaultSkew, Seconds: -20, Share: 0.1},
		} {
			f.Method, f.Count = "Log", -1
			must(t, w.fake.Fault(f))
		}
		from := time.Now()
		var pieces []incident.Entry
		for range 4 {
			began := time.Now()
			time.Sleep(15 * time.Second)
			pieces = append(pieces, w.entries(ctx, began, time.Now())...)
			if began.Equal(from) {
				time.Sleep(5 * time.Second)
				wantEach(t, "a window again, later", w.entries(ctx, from, from.Add(15*time.Second)), pieces)
				pieces = append(pieces, w.entries(ctx, from.Add(15*time.Second), time.Now())...)
			}
		}
		whole := w.entries(ctx, from, time.Now())
		sorted := slices.IsSortedFunc(whole, func(a, b incident.Entry) int { return a.Received.Compare(b.Received) })
		if len(whole) < 1800 || !sorted { // 20 requests a second, and a traceback for three in four
			t.Errorf("%d entries, by reception: %v", len(whole), sorted)
		}
		edge := whole[len(whole)/2]
		wantEach(t, "a window of one", w.entries(ctx, edge.Received, edge.Received.Add(time.Nanosecond)), []incident.Entry{edge})
		if before := w.entries(ctx, edge.Received.Add(-time.Second), edge.Received); slices.ContainsFunc(before, func(e incident.Entry) bool { return e.ID == edge.ID }) {
			t.Error("a window has what was received at its end")
		}
		counts := map[string]int{}
		for _, e := range whole {
			if e.Received.Before(from) || e.Service != cloudRun || e.Revision != stableName || e.Location != region || e.Check() != nil {
				t.Fatalf("%+v", e)
			}
			if (e.Request != nil) != (e.Log == "run.googleapis.com/requests") || (e.Request == nil) != strings.HasPrefix(e.Text, "Traceback") {
				t.Fatalf("%+v", e)
			}
			counts[e.Log+" "+e.Severity]++
		}
		if counts["run.googleapis.com/requests INFO"] == 0 || counts["run.googleapis.com/requests ERROR"] == 0 || counts["run.googleapis.com/stderr ERROR"] == 0 {
			t.Errorf("%v", counts)
		}
		// A copy that is received in the next window cannot be known from here.
		slices.SortFunc(pieces, func(a, b incident.Entry) int { return strings.Compare(a.ID, b.ID) })
		pieces = slices.CompactFunc(pieces, func(a, b incident.Entry) bool { return a.ID == b.ID && a.At.Equal(b.At) })
		wantEach(t, "in pieces", pieces, whole)
	})
}

func TestEntriesErrors(t *testing.T) {
	inWatch(t, fakegcp.Config{}, func(ctx context.Context, w *world) {
		time.Sleep(time.Minute)
		read := func() (n int, err error) {
			err = w.cloud.Entries(ctx, project, []incident.Service{alerting()}, time.Now().Add(-time.Minute), time.Now(), func(*incident.Entry) { n++ })
			return n, err
		}
		must(t, w.fake.Fault(fakegcp.Fault{Method: "ListLogEntries", Kind: fakegcp.FaultTruncated}))
		must(t, w.fake.Fault(fakegcp.Fault{Method: "ListLogEntries", Kind: fakegcp.FaultRateLimit}))
		if n, err := read(); n != 0 || err == nil || asFailure(err) != nil {
			t.Errorf("a listing that breaks off brings %d entries, %v; want a passing error and none", n, err)
		}
		w.fake.Deny("logging.logEntries.list")
		_, err := read()
		wantFailure(t, err, "permission_denied", "logging.logEntries.list", "roles/logging.viewer")
	})
}

// However many services there are, the filter is one that Cloud Logging takes, and lets none of them out.
func TestFilterOfManyServices(t *testing.T) {
	inWatch(t, fakegcp.Config{}, func(ctx context.Context, w *world) {
		from := time.Now()
		time.Sleep(5 * time.Second)
		for _, n := range []int{1, 50, 300, 1000} {
			services := []incident.Service{alerting()}
			for i := range n - 1 {
				services = append(services, incident.Service{CloudRun: fmt.Sprintf("a-service-with-a-name-of-usual-length-%d", i), Region: "europe-west1"})
			}
			got := 0
			must(t, w.cloud.Entries(ctx, project, services, from, time.Now(), func(e *incident.Entry) {
				if got++; e.Service != cloudRun {
					t.Fatalf("an entry of %s", e.Service)
				}
			}))
			if got < 100 {
				t.Errorf("%d entries of one among %d services", got, n)
			}
			if filter := watchedLines(services); len(filter) > mostFilter || n < 1000 != strings.Contains(filter, "service_name") {
				t.Errorf("a filter of %d characters for %d services", len(filter), n)
			}
		}
	})
}

// wantAsDecoded compares an entry with what incident.Decode makes of the same one as JSON, where there is such.
func wantAsDecoded(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, e *loggingpb.LogEntry,
) {
	t.Helper()
	got := entryOf(e)
	text, err := protojson.Marshal(e)
	if err != nil || strings.Trim(got.Severity, "-0123456789") == "" && got.Severity != "" {
		return // it has no JSON, or a severity without a name
	}
	var decoded []incident.Entry
	malformed, err := incident.Decode(strings.NewReader(string(text)), func(e incident.Entry) { decoded = append(decoded, e) })
	if err != nil || len(decoded)+int(malformed.Count) != 1 {
		t.Fatalf("%s: %d entries, %+v, %v", text, len(decoded), malformed, err)
	}
	if readable := got.Check() == nil; readable != (len(decoded) == 1) {
		t.Fatalf("%s can be read: %v; as JSON: %+v", text, readable, malformed)
	}
	if len(decoded) == 0 {
		return
	}
	want := decoded[0]
	if got.Request != nil && want.Request != nil {
		if off := got.Request.Latency - want.Request.Latency; off.Abs() > time.Microsecond { // JSON has it in seconds
			t.Fatalf("%s took %v, as JSON %v", text, got.Request.Latency, want.Request.Latency)
		}
		got.Request.Latency = want.Request.Latency
		if *got.Request != *want.Request {
			t.Fatalf("%s: %+v, as JSON %+v", text, got.Request, want.Request)
		}
		got.Request, want.Request = nil, nil
	}
	if got != want {
		t.Fatalf("%s: %+v, as JSON %+v", text, got, want)
	}
}

// An entry means the same whether it is read from the API or from what was exported.
func TestEntryIsAsExported(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { wantAsDecoded(t, drawEntry(t)) })
}

func drawEntry(t *rapid.T) *loggingpb.LogEntry {
	stamps := rapid.Custom(func(t *rapid.T) *timestamppb.Timestamp {
		return rapid.SampledFrom([]*timestamppb.Timestamp{
			nil, {}, {Seconds: -62135596800}, {Seconds: 253402300799}, {Seconds: 1e18}, {Nanos: -5}, {Seconds: 1795900000, Nanos: 123456789},
			{Seconds: rapid.Int64Range(946684800, 7289654400).Draw(t, "seconds"), Nanos: rapid.Int32Range(0, 999_999_999).Draw(t, "nanos")},
		}).Draw(t, "at")
	})
	words := rapid.SampledFrom([]string{"", "a", "backend", "two\nlines", `"quoted" \`, "ünï", "projects/p/logs/run.googleapis.com%2Fstderr", "/logs/%zz", "x/logs/"})
	e := &loggingpb.LogEntry{
		InsertId: words.Draw(t, "id"), Timestamp: stamps.Draw(t, "timestamp"), ReceiveTimestamp: stamps.Draw(t, "received"), LogName: words.Draw(t, "log"),
		Severity: logtypepb.LogSeverity(rapid.SampledFrom([]int{0, 100, 200, 300, 400, 500, 600, 700, 800}).Draw(t, "severity")),
	}
	if rapid.Bool().Draw(t, "resource") {
		e.Resource = &monitoredres.MonitoredResource{Labels: map[string]string{
			"service_name": words.Draw(t, "service"), "revision_name": words.Draw(t, "revision"), "location": words.Draw(t, "location"),
		}}
	}
	if rapid.Bool().Draw(t, "request") {
		e.HttpRequest = &logtypepb.HttpRequest{Status: rapid.Int32().Draw(t, "status"), UserAgent: words.Draw(t, "agent"), RequestUrl: words.Draw(t, "url")}
		if rapid.Bool().Draw(t, "latency") {
			e.HttpRequest.Latency = durationpb.New(time.Duration(rapid.Int64Range(-1e9, 2e15).Draw(t, "took")))
		}
	}
	switch rapid.IntRange(0, 2).Draw(t, "payload") {
	case 1:
		e.Payload = &loggingpb.LogEntry_TextPayload{TextPayload: words.Draw(t, "text")}
	case 2:
		fields := map[string]*structpb.Value{}
		for _, name := range []string{"message", "exception", "stack_trace", "other"} {
			fields[name] = rapid.SampledFrom([]*structpb.Value{
				structpb.NewStringValue(words.Draw(t, name)), structpb.NewNullValue(), structpb.NewNumberValue(7), structpb.NewStructValue(&structpb.Struct{}),
			}).Draw(t, "field")
		}
		e.Payload = &loggingpb.LogEntry_JsonPayload{JsonPayload: &structpb.Struct{Fields: fields}}
	}
	return e
}

// FuzzEntry: whatever comes over the wire can be looked at.
func FuzzEntry(f *testing.F) {
	for _, e := range []*loggingpb.LogEntry{
		{}, {InsertId: "a", Timestamp: &timestamppb.Timestamp{Seconds: 1795900000}, HttpRequest: &logtypepb.HttpRequest{Status: 500}},
		{Timestamp: &timestamppb.Timestamp{Seconds: 1 << 62, Nanos: -1}, Severity: 7, HttpRequest: &logtypepb.HttpRequest{Latency: &durationpb.Duration{Seconds: 1 << 60}}},
		{Payload: &loggingpb.LogEntry_JsonPayload{JsonPayload: &structpb.Struct{Fields: map[string]*structpb.Value{"message": nil}}}},
	} {
		wire, err := proto.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		e := &loggingpb.LogEntry{}
		if proto.Unmarshal(wire, e) != nil {
			return
		}
		wantAsDecoded(t, e)
		newSieve([]incident.Service{{}}).take(e)
	})
}

func TestUnreadableEntriesAreLeftOut(t *testing.T) {
	in := newSieve([]incident.Service{alerting()})
	resource := &monitoredres.MonitoredResource{Labels: map[string]string{"service_name": cloudRun, "location": region}}
	at := &timestamppb.Timestamp{Seconds: 1795900000}
	taken := 0
	for _, e := range []*loggingpb.LogEntry{nil, {}, {Resource: resource, InsertId: "a"}, {Resource: resource, Timestamp: at}, {Resource: resource, InsertId: "a", Timestamp: at}} {
		if _, ok := in.take(e); ok {
			taken++
		}
	}
	if taken != 1 || in.broken != 2 || in.first == nil {
		t.Errorf("%d taken, %d cannot be read: %v", taken, in.broken, in.first)
	}
}
