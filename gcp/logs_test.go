package gcp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

func TestRequestsAreCountedOnce(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		since := time.Now()
		for range 12 { // two minutes, as a gate asks
			time.Sleep(10 * time.Second)
			if _, err := patiently(func() (rollout.Requests, error) { return w.cloud.Requests(ctx, w.query(since)) }); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second) // the cut: what started before has been received by then
		got, err := w.cloud.Requests(ctx, w.query(since))
		must(t, err)
		fresh, err := w.cloud.Requests(ctx, w.query(since.Add(time.Nanosecond)))
		must(t, err)
		total, errs := sum(got, since.Add(2*time.Minute))
		again, errsAgain := sum(fresh, since.Add(2*time.Minute))
		if total != again || errs != errsAgain {
			t.Errorf("%d requests, %d errors in pieces; %d and %d at once", total, errs, again, errsAgain)
		}
		if total < 2300 || total > 2500 { // 20 a second
			t.Errorf("%d requests in two minutes, want about 2400", total)
		}
		if rate := float64(errs) / float64(total); rate < 0.70 || rate > 0.74 {
			t.Errorf("error rate %v, want 72%%", rate)
		}
		if behind := time.Since(got.Watermark); behind < 0 || behind > 5*time.Second {
			t.Errorf("the watermark is %v behind", behind)
		}
		for i := 1; i < len(got.Slots); i++ {
			if !got.Slots[i-1].At.Before(got.Slots[i].At) {
				t.Fatal("slots are not in order")
			}
		}
	})
}

func sum(r rollout.Requests, until time.Time) (requests, errs int64) {
	for _, s := range r.Slots {
		if s.At.Before(until) {
			requests += s.Requests
			errs += s.Errors
		}
	}
	return requests, errs
}

func TestRequestsReadOnlyNews(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		since := time.Now().Add(-10 * time.Minute)
		_, err := w.cloud.Requests(ctx, w.query(since))
		must(t, err)
		before := w.calls("ListLogEntries")
		time.Sleep(10 * time.Second)
		_, err = w.cloud.Requests(ctx, w.query(since))
		must(t, err)
		if n := w.calls("ListLogEntries") - before; n > 2 { // one page, perhaps an empty one before it
			t.Errorf("%d pages for ten seconds' news", n)
		}
	})
}

func TestRequestsGoOnAfterAQuotaError(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		since := time.Now().Add(-5 * time.Minute)
		must(t, w.fake.Fault(fakegcp.Fault{Method: "ListLogEntries", Kind: fakegcp.FaultRateLimit}))
		_, err := w.cloud.Requests(ctx, w.query(since))
		if err == nil || asFailure(err) != nil {
			t.Fatalf("%v, want a passing error", err)
		}
		got, err := w.cloud.Requests(ctx, w.query(since))
		must(t, err)
		if total, _ := sum(got, time.Now()); total < 5000 {
			t.Errorf("%d requests of five minutes", total)
		}
	})
}

func TestLines(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		since := time.Now().Add(-time.Minute)
		got, err := w.cloud.Lines(ctx, w.service, stableName, "ModuleNotFoundError", since)
		must(t, err)
		if got.Hits == 0 || got.Sample != "ModuleNotFoundError: No module named 'auth_service'" {
			t.Errorf("%+v", got)
		}
		time.Sleep(10 * time.Second)
		later, err := w.cloud.Lines(ctx, w.service, stableName, "ModuleNotFoundError", since)
		must(t, err)
		if later.Hits <= got.Hits || later.Sample != got.Sample {
			t.Errorf("%+v after %+v", later, got)
		}
		none, err := w.cloud.Lines(ctx, w.service, stableName, `a "quoted" \ thing`, since)
		must(t, err)
		if none.Hits != 0 {
			t.Errorf("%+v of what nobody wrote", none)
		}
	})
}

func TestFilterNamesOneRevisionOnly(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		got, err := w.cloud.Requests(ctx, rollout.Query{Service: w.service, Revision: cloudRun + "-00099-zzz", Since: time.Now().Add(-time.Minute)})
		must(t, err)
		if len(got.Slots) != 0 || !got.Watermark.IsZero() {
			t.Errorf("requests of a revision that has none: %+v", got)
		}
	})
}

func entry(id string, at time.Time, code int32, agent string) *loggingpb.LogEntry {
	return &loggingpb.LogEntry{
		InsertId: id, Timestamp: timestamppb.New(at), ReceiveTimestamp: timestamppb.New(at.Add(2 * time.Second)),
		HttpRequest: &logtypepb.HttpRequest{Status: code, UserAgent: agent},
	}
}

func TestTally(t *testing.T) {
	began := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	t.Run("a second's requests, errors are 5xx", func(t *testing.T) {
		tally := newTally(rollout.Query{Since: began})
		for i, code := range []int32{200, 404, 499, 500, 503} {
			tally.add(entry(fmt.Sprint(i), began.Add(time.Duration(i)*time.Millisecond), code, "curl"))
		}
		got := tally.requests().Slots
		if len(got) != 1 || got[0].Requests != 5 || got[0].Errors != 2 || !got[0].At.Equal(began) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("probes count as time and apart, not as requests", func(t *testing.T) {
		tally := newTally(rollout.Query{Since: began, Ignore: []string{"/*"}})
		tally.add(entry("1", began, 500, rollout.ProbeAgent+"/1 (+abc/1.1/1)"))
		got := tally.requests()
		if len(got.Slots) != 0 || !got.Watermark.Equal(began.Add(2*time.Second)) {
			t.Errorf("%+v", got)
		}
		if want := []rollout.Slot{{At: began, Requests: 1, Errors: 1}}; !slices.Equal(got.Probes, want) {
			t.Errorf("probes %+v, want %+v", got.Probes, want)
		}
	})
	t.Run("slow ones take longer than the limit", func(t *testing.T) {
		tally := newTally(rollout.Query{Since: began, Slow: 800 * time.Millisecond})
		for i, took := range []time.Duration{0, 799 * time.Millisecond, 800 * time.Millisecond, 801 * time.Millisecond, time.Minute} {
			e := entry(fmt.Sprint(i), began, 200, "curl")
			e.HttpRequest.Latency = durationpb.New(took)
			tally.add(e)
		}
		if want := []rollout.Slot{{At: began, Requests: 5, Slow: 2}}; !slices.Equal(tally.requests().Slots, want) {
			t.Errorf("%+v", tally.requests().Slots)
		}
	})
	t.Run("what is ignored counts as time, not as requests", func(t *testing.T) {
		tally := newTally(rollout.Query{Since: began, Ignore: []string{"/health", "/internal/*"}})
		for i, path := range []string{"/health", "/health?deep=1", "/healthy", "/internal/x", "/internal", ""} {
			e := entry(fmt.Sprint(i), began.Add(time.Duration(i)*time.Second), 200, "curl")
			e.HttpRequest.RequestUrl = "https://backend.example" + path
			tally.add(e)
		}
		got := tally.requests()
		if total, _ := sum(got, began.Add(time.Minute)); total != 3 || !got.Watermark.Equal(began.Add(7*time.Second)) {
			t.Errorf("%d requests counted, watermark %v", total, got.Watermark)
		}
	})
	t.Run("late, out of order and twice", func(t *testing.T) {
		tally := newTally(rollout.Query{Since: began})
		for round := range 3 {
			tally.add(entry("b", began.Add(20*time.Second), 200, ""))
			tally.add(entry("a", began.Add(18*time.Second), 200, ""))
			tally.advance()
			if total, _ := sum(tally.requests(), began.Add(time.Hour)); total != 2 {
				t.Fatalf("round %d: %d requests", round, total)
			}
		}
		if !tally.from.Equal(began.Add(22*time.Second - overlap)) {
			t.Errorf("the next listing begins at %v", tally.from)
		}
		tally.add(entry("c", began.Add(time.Minute), 200, ""))
		tally.advance()
		if len(tally.seen) != 1 {
			t.Errorf("%d identifiers are kept, want those that can show again", len(tally.seen))
		}
	})
}

func TestIgnoredPaths(t *testing.T) {
	for url, want := range map[string]string{
		"https://host/a/b?c=/d": "/a/b", "https://host": "/", "https://host?x": "/", "https://host/": "/", "https://host/?x": "/",
		"/bare?x": "/bare", "": "/", "http://host:80/health": "/health",
	} {
		if got := pathOf(url); got != want {
			t.Errorf("%q of %q, want %q", got, url, want)
		}
	}
	if ignored(nil, "https://host/health") || !ignored([]string{"/"}, "https://host") || !ignored([]string{"*"}, "https://host/x") {
		t.Error("ignored the wrong one")
	}
}

func TestTalliesForget(t *testing.T) {
	fresh := func() *tally { return newTally(rollout.Query{}) }
	all := tallies{byKey: map[tallyKey]*tally{}}
	old := all.get(tallyKey{revision: "old"}, fresh)
	old.used = old.used.Add(-2 * keepTally)
	if all.get(tallyKey{revision: "new"}, fresh); len(all.byKey) != 1 {
		t.Errorf("%d tallies, want the old one forgotten", len(all.byKey))
	}
}

func TestText(t *testing.T) {
	payload, err := structpb.NewStruct(map[string]any{"message": "said"})
	must(t, err)
	structured := &loggingpb.LogEntry{Payload: &loggingpb.LogEntry_JsonPayload{JsonPayload: payload}}
	if got := text(structured); got != "said" {
		t.Errorf("%q", got)
	}
	if got := text(&loggingpb.LogEntry{}); got != "" {
		t.Errorf("%q of an empty entry", got)
	}
	if got := matching("Traceback\n  File x\nValueError: bad\n", "valueerror"); got != "ValueError: bad" {
		t.Errorf("%q", got)
	}
}

func FuzzQuote(f *testing.F) {
	f.Add(`a"b\c`)
	f.Add("two\nlines")
	f.Fuzz(func(t *testing.T, s string) {
		inside := strings.TrimSuffix(strings.TrimPrefix(quote(s), `"`), `"`)
		for i := 0; i < len(inside); i++ {
			switch inside[i] {
			case '\\':
				i++
			case '"', '\n':
				t.Fatalf("%q ends the string too soon: %s", s, quote(s))
			}
		}
	})
}
