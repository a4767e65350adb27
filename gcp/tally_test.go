package gcp

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/logging/apiv2/loggingpb"
	logtypepb "google.golang.org/genproto/googleapis/logging/type"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

// Requests that are logged long after they started, as failing ones often are, are counted in the second of
// their start, however often the log was read before they came.
func TestLateEntriesAreCountedWhereTheyBelong(t *testing.T) {
	for _, late := range []time.Duration{30 * time.Second, 2 * time.Minute} {
		t.Run(late.String(), func(t *testing.T) {
			inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
				must(t, w.fake.Fault(fakegcp.Fault{Method: "Log", Kind: fakegcp.FaultLate, Only: fakegcp.OnlyErrors, Seconds: late.Seconds(), Count: -1}))
				since := time.Now()
				ask := func(since time.Time) []rollout.Slot {
					got, err := patiently(func() (rollout.Requests, error) { return w.cloud.Requests(ctx, w.query(since)) })
					must(t, err)
					return got.Slots
				}
				time.Sleep(20 * time.Second)
				if _, errs := sum(rollout.Requests{Slots: ask(since)}, time.Now()); errs != 0 {
					t.Fatalf("%d errors are there already", errs)
				}
				for range 18 {
					time.Sleep(10 * time.Second)
					ask(since)
				}
				closed := time.Now().Add(-late - 5*time.Second)
				inPieces, atOnce := before(ask(since), closed), before(ask(since.Add(time.Nanosecond)), closed)
				if !slices.Equal(inPieces, atOnce) {
					t.Error("counted in pieces the slots differ from those counted at once")
				}
				requests, errs := sum(rollout.Requests{Slots: inPieces}, closed)
				if rate := float64(errs) / float64(requests); requests < 1000 || rate < 0.71 || rate > 0.73 {
					t.Errorf("%d errors of %d requests, want 72%%", errs, requests)
				}
			})
		})
	}
}

// before are the slots from the second one on (the first is cut by when the count began) to a time.
func before(slots []rollout.Slot, until time.Time) []rollout.Slot {
	return slices.DeleteFunc(slices.Clone(slots[1:]), func(s rollout.Slot) bool { return !s.At.Before(until) })
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
	t.Run("a step's requests count as time only", func(t *testing.T) {
		tally := newTally(rollout.Query{Since: began})
		tally.add(entry("1", began, 500, rollout.ProbeAgent+"/1 (+abc/1.1/1)"))
		if got := tally.requests(); len(got.Slots)+len(got.Probes) != 0 || !got.Watermark.Equal(began.Add(2*time.Second)) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("test requests count as time and apart, not as requests", func(t *testing.T) {
		tally := newTally(rollout.Query{Since: began, Ignore: []string{"/*"}})
		tally.add(entry("1", began, 500, rollout.GateAgent+"/1"))
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
	t.Run("late ones are logged after their time has closed", func(t *testing.T) {
		tally := newTally(rollout.Query{Since: began, Late: 10 * time.Second})
		for i, after := range []time.Duration{0, 10 * time.Second, 10*time.Second + 1, time.Minute} {
			e := entry(fmt.Sprint(i), began.Add(time.Millisecond), 200, "curl")
			e.ReceiveTimestamp = timestamppb.New(e.GetTimestamp().AsTime().Add(after))
			tally.add(e)
		}
		if want := []rollout.Slot{{At: began, Requests: 4, Late: 2}}; !slices.Equal(tally.requests().Slots, want) {
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

// What a tally keeps does not grow with the traffic.
func TestTallyIsFlat(t *testing.T) {
	tally := newTally(rollout.Query{})
	for _, page := range busy(200_000, 0) {
		for _, e := range page {
			tally.add(e)
		}
		tally.advance()
	}
	if kept, most := len(tally.seen), perSecond*int((overlap+time.Second)/time.Second); kept > most {
		t.Errorf("%d identifiers are kept, want at most %d", kept, most)
	}
	if got := len(tally.users); got != 200_000/perSecond {
		t.Errorf("%d slots", got)
	}
}

const (
	perSecond = 500 // the most that is counted from a log
	pageOf    = 12_500
)

// busy is n entries of a busy log, in listings as a gate makes them; of each the first `again` come twice.
func busy(n, again int) [][]*loggingpb.LogEntry {
	began := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var pages [][]*loggingpb.LogEntry
	for i := range n {
		if i%pageOf == 0 {
			var page []*loggingpb.LogEntry
			if i > 0 {
				last := pages[len(pages)-1]
				page = append(page, last[len(last)-again:]...)
			}
			pages = append(pages, page)
		}
		at := began.Add(time.Duration(i) * time.Second / perSecond)
		e := &loggingpb.LogEntry{
			InsertId: fmt.Sprintf("%016x%08x", i, uint32(i*2654435761)), Timestamp: timestamppb.New(at),
			ReceiveTimestamp: timestamppb.New(at.Add(time.Duration(300+i%1200) * time.Millisecond)),
			HttpRequest: &logtypepb.HttpRequest{
				RequestMethod: "POST", RequestUrl: "https://netra-backend-staging-1234567890.us-central1.run.app/api/chat?session=1",
				UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", Status: 200,
				Latency: durationpb.New(time.Duration(40+i%80) * time.Millisecond),
			},
		}
		if i%50 == 0 {
			e.HttpRequest.Status = 500
		}
		pages[len(pages)-1] = append(pages[len(pages)-1], e)
	}
	return pages
}

// BenchmarkTally counts a million entries as gates read them: in listings of ten seconds and the overlap, of
// which three in five were seen before.
func BenchmarkTally(b *testing.B) {
	const entries = 1_000_000
	pages := busy(entries, int(overlap/time.Second)*perSecond)
	read := 0
	for _, page := range pages {
		read += len(page)
	}
	q := rollout.Query{Slow: 100 * time.Millisecond, Ignore: []string{"/health", "/internal/*"}}
	b.ResetTimer()
	for b.Loop() {
		tally := newTally(q)
		for _, page := range pages {
			for _, e := range page {
				tally.add(e)
			}
			tally.advance()
		}
		if got := tally.requests(); len(got.Slots) != entries/perSecond || got.Slots[0].Requests != perSecond {
			b.Fatalf("%d slots", len(got.Slots))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(read), "ns/entry")
}
