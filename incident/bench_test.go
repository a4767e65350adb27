package incident

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// traffic is a service's log: 1,000 requests a second, of which 5 fail, each with a line of
// one of so many messages. Entries repeat after a second, but for their times and names.
type traffic struct {
	messages []string
	ids      []string
	n        int
	entry    Entry
	request  Request
}

func newTraffic(messages int) *traffic {
	t := &traffic{}
	for i := range messages {
		t.messages = append(t.messages, fmt.Sprintf("%s: request %d of user-%x failed at %s after %dms", word(i), i, i*7919, word(i/31), i%977))
	}
	for i := range 1 << 16 {
		t.ids = append(t.ids, fmt.Sprintf("65f0a1b2000c%06x", i))
	}
	return t
}

// word is one of 100,000 made of letters only, which no mask makes equal.
func word(i int) string {
	var letters [5]byte
	for n := range letters {
		letters[n], i = byte('a'+i%10), i/10
	}
	return string(letters[:])
}

// next is the following entry; every other one is a line of an error.
func (t *traffic) next() *Entry {
	at := noon().Add(time.Duration(t.n) * time.Millisecond)
	e := &t.entry
	*e = Entry{ID: t.ids[t.n%len(t.ids)], At: at, Received: at.Add(time.Second), Service: "backend", Revision: "backend-00042"}
	if t.n%2 == 0 || len(t.messages) == 0 {
		t.request = Request{Status: 200, UserAgent: "curl"}
		if t.n%200 == 0 {
			t.request.Status = 500
		}
		e.Request = &t.request
	} else {
		e.Severity, e.Text = "ERROR", t.messages[t.n/2%len(t.messages)]
	}
	t.n++
	return e
}

// BenchmarkEntries is the way of an entry through counting and grouping: half of them
// requests, half errors of 100,000 messages.
func BenchmarkEntries(b *testing.B) {
	w, log := newWatch(b, Rules{ErrorRate: 0.05, SLO: 0.995, CrashOnStart: true}), newTraffic(100_000)
	b.ReportAllocs()
	for b.Loop() {
		e := log.next()
		if w.Add(e); log.n%10_000 == 0 {
			w.Look(e.Received)
		}
	}
	b.ReportMetric(float64(log.n)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkRequests(b *testing.B) {
	w, log := newWatch(b, Rules{ErrorRate: 0.05, SLO: 0.995}), newTraffic(0)
	b.ReportAllocs()
	for b.Loop() {
		e := log.next()
		if w.Add(e); log.n%10_000 == 0 {
			w.Look(e.Received)
		}
	}
	b.ReportMetric(float64(log.n)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkTracebacks(b *testing.B) {
	w, traces := newWatch(b, Rules{ErrorRate: 0.05}), tracebacks()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		at := noon().Add(time.Duration(n) * time.Millisecond)
		w.Add(&Entry{ID: "t", At: at, Severity: "ERROR", Revision: "r", Text: traces[n%len(traces)].text})
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
}

// TestMemoryIsFlat: once the open slices are full, three times as many entries of 100,000
// distinct messages take no more memory, and what is in no group is counted.
func TestMemoryIsFlat(t *testing.T) {
	w, log := newWatch(t, Rules{ErrorRate: 0.05}), newTraffic(100_000)
	feed := func(entries int) uint64 {
		for range entries {
			w.Add(log.next())
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	early := feed(160_000) // the last of it are the two and a half minutes whose names are kept
	late := feed(300_000)
	if late > early+1<<20 {
		t.Errorf("%d KiB after 160,000 entries, %d after 460,000", early>>10, late>>10)
	}
	grouped := w.Dropped()
	for _, of := range w.groups.Groups {
		grouped += of.Tally.total
	}
	if len(w.groups.Groups) > mostGroups || grouped != 230_000 {
		t.Errorf("%d groups; %d errors are in one or counted, of 230,000", len(w.groups.Groups), grouped)
	}
}
