package gcp

import (
	"context"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	"google.golang.org/protobuf/types/known/structpb"

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
