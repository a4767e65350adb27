package incident

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slipway/plan"
)

func target() plan.Target { return plan.Target{Environment: "staging", Service: "backend"} }

func newWatch(tb rapid.TB, rules Rules) *Watch {
	tb.Helper()
	w, err := NewWatch(target(), rules)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// requestAt is a request that was received a second after its start.
func requestAt(id int, at time.Time, status int) *Entry {
	return &Entry{
		ID: fmt.Sprint("r", id), At: at, Received: at.Add(time.Second), Service: "backend", Revision: "backend-00042",
		Log: "run.googleapis.com/requests", Request: &Request{Status: status, UserAgent: "curl"},
	}
}

// of returns the reading of a kind.
func of(readings []Reading, kind Kind) Reading {
	for _, r := range readings {
		if r.Key.Kind == kind {
			return r
		}
	}
	return Reading{}
}

func TestCounting(t *testing.T) {
	at := noon()
	late := requestAt(3, at.Add(-2*time.Minute), 500)
	late.Received = at.Add(5 * time.Second)
	tooLate := requestAt(4, at.Add(-10*time.Minute), 500)
	tooLate.Received = at.Add(5 * time.Second)
	early := requestAt(5, at.Add(time.Minute), 500)
	early.Received = at.Add(5 * time.Second)
	probe := requestAt(6, at, 500)
	probe.Request.UserAgent = "Slipway-Probe/1 (+x)"
	w := newWatch(t, Rules{ErrorRate: 0.05})
	for _, e := range []*Entry{requestAt(1, at, 200), requestAt(2, at, 503), requestAt(2, at, 503), requestAt(7, at, 499), late, tooLate, early, probe} {
		w.Add(e)
	}
	if got := w.counts.get(slice(at)); got != (count{requests: 3, errors: 1}) {
		t.Errorf("at its time: %+v", got)
	}
	if got := w.counts.get(slice(late.At)); got != (count{requests: 1, errors: 1}) {
		t.Errorf("late: %+v", got)
	}
	if w.Stats != (Stats{Late: 2, Repeated: 1, Probes: 1}) {
		t.Errorf("%+v", w.Stats)
	}
}

// TestAnyOrderGivesTheSame: out of order, up to two minutes late and twice, entries give the
// same counts, alarms and groups.
func TestAnyOrderGivesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(50, 400).Draw(t, "entries")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		start := noon()
		var entries []*Entry
		for i := range n {
			at := start.Add(time.Duration(i) * 500 * time.Millisecond)
			status := 200
			if i > n/2 && r.Float64() < 0.7 {
				status = 500
				entries = append(entries, textEntry(i, at, "backend-00042", fmt.Sprintf("KeyError: 'k%d'", i%5)))
			}
			entries = append(entries, requestAt(i, at, status))
		}
		end := start.Add(time.Duration(n)*500*time.Millisecond + time.Second)
		ordered, shuffled := newWatch(t, Rules{ErrorRate: 0.05}), newWatch(t, Rules{ErrorRate: 0.05})
		for _, e := range entries {
			ordered.Add(e)
		}
		mixed := slices.Concat(entries, entries[:n/3])
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		for i, e := range mixed {
			moved := *e
			moved.Received = e.At.Add(min(time.Duration(r.Int64N(int64(2*time.Minute))), end.Sub(e.At)))
			mixed[i] = &moved
		}
		slices.SortFunc(mixed, func(a, b *Entry) int { return a.Received.Compare(b.Received) })
		for _, e := range mixed {
			shuffled.Add(e)
			if r.IntN(20) == 0 {
				shuffled.Look(e.Received)
			}
		}
		later := end.Add(30 * time.Second)
		want, got := ordered.Look(later), shuffled.Look(later)
		if shuffled.Stats.Late != 0 || shuffled.Stats.Repeated != int64(n/3) {
			t.Fatalf("%+v", shuffled.Stats)
		}
		if a, b := inJSON(t, want), inJSON(t, got); a != b {
			t.Fatalf("in order %s\nshuffled %s", a, b)
		}
	})
}

func inJSON(tb rapid.TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// TestGoesOnFromJSON: whoever takes over reads the log again from From on, and says what
// would have been said.
func TestGoesOnFromJSON(t *testing.T) {
	for cut := 30; cut < 700; cut += 67 {
		whole, taken := newWatch(t, Rules{ErrorRate: 0.05, CrashOnStart: true, SLO: 0.995}), newWatch(t, Rules{ErrorRate: 0.05, CrashOnStart: true, SLO: 0.995})
		var entries []*Entry
		for i := range 700 {
			at, status := noon().Add(time.Duration(i)*time.Second), 200
			if i > 300 && i%3 > 0 {
				status = 500
				entries = append(entries, textEntry(i, at, "r", "KeyError: 'id'"))
			}
			entries = append(entries, requestAt(i, at, status))
		}
		for i, e := range entries {
			whole.Add(e)
			taken.Add(e)
			if whole.Look(e.Received); i != cut {
				taken.Look(e.Received)
				continue
			}
			kept, err := json.Marshal(taken)
			if err != nil {
				t.Fatal(err)
			}
			from := taken.From()
			if taken = new(Watch); json.Unmarshal(kept, taken) != nil {
				t.Fatalf("%s", kept)
			}
			for _, again := range entries[:i+1] {
				if !again.At.Before(from) {
					taken.Add(again)
				}
			}
		}
		end := noon().Add(750 * time.Second)
		if a, b := inJSON(t, whole.Look(end)), inJSON(t, taken.Look(end)); a != b || !strings.Contains(a, `"alarm":true`) {
			t.Fatalf("cut at %d:\n%s\n%s", cut, a, b)
		}
	}
}

func TestJSONThatCannotBe(t *testing.T) {
	for _, text := range []string{
		`{"rules":{"error_rate":"100%"}}`, `{"counts":[[1,2,3,0]]}`, `{"counts":[[5,1,0,0],[5,1,0,0]]}`, `{"counts":[[9223372036854775807,1,0,0]]}`,
		`{"sightings":[{"tally":{"slices":[[1,-1]]}}]}`, `[]`,
	} {
		var w Watch
		if err := json.Unmarshal([]byte(text), &w); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	var w Watch
	if err := json.Unmarshal([]byte(`{"rules":{"error_rate":"5%"}}`), &w); err != nil {
		t.Fatal(err)
	}
	w.Add(requestAt(1, noon(), 200))
	if got := w.Look(noon().Add(time.Minute)); len(got) != 1 || got[0].Alarm {
		t.Errorf("%+v", got)
	}
}

// TestClockJumps: a clock of this machine that is hours off in either direction, for a
// while, makes no slice late and no alarm.
func TestClockJumps(t *testing.T) {
	w := newWatch(t, Rules{ErrorRate: 0.05})
	for i := range 1200 {
		at := noon().Add(time.Duration(i) * time.Second)
		w.Add(requestAt(i, at, 200))
		now := at.Add(time.Second)
		switch {
		case i > 300 && i < 400:
			now = now.Add(6 * time.Hour)
		case i > 700 && i < 800:
			now = now.Add(-6 * time.Hour)
		}
		if w.Look(now)[0].Alarm {
			t.Fatalf("an alarm at %v", now)
		}
	}
	if w.Stats.Late > 0 {
		t.Errorf("%+v", w.Stats)
	}
	w.Add(requestAt(2000, noon().Add(90*24*time.Hour), 200)) // and a service that slept for a season
	if w.Add(requestAt(2001, noon().Add(90*24*time.Hour), 200)); w.Stats.Late > 0 || w.counts.get(slice(noon().Add(90*24*time.Hour))).requests != 2 {
		t.Errorf("%+v", w.Stats)
	}
}

// TestLateSuccessesWithdrawAnAlarm that the failures, which came first, had raised.
func TestLateSuccessesWithdrawAnAlarm(t *testing.T) {
	w, id := newWatch(t, Rules{ErrorRate: 0.05}), 0
	add := func(at, received time.Time, status, n int) {
		for range n {
			e := requestAt(id, at, status)
			e.Received = received
			w.Add(e)
			id++
		}
	}
	for s := range 60 {
		at := noon().Add(time.Duration(s) * time.Second)
		add(at, at.Add(time.Second), 500, 1)
	}
	now := noon().Add(75 * time.Second)
	if !of(w.Look(now), ErrorRate).Alarm {
		t.Fatal("no alarm")
	}
	for s := range 60 {
		add(noon().Add(time.Duration(s)*time.Second), now, 200, 40)
	}
	if of(w.Look(now), ErrorRate).Alarm {
		t.Error("2.4% is still an alarm at a limit of 5%")
	}
}

func TestLatency(t *testing.T) {
	w := newWatch(t, Rules{Slow: time.Second, SlowRate: 0.05})
	for i := range 300 {
		e := requestAt(i, noon().Add(time.Duration(i)*time.Second), 200)
		if i > 100 && i%2 == 0 {
			e.Request.Latency = 1001 * time.Millisecond
		}
		w.Add(e)
	}
	got := w.Look(noon().Add(310 * time.Second))
	if r := of(got, Latency); len(got) != 1 || !r.Alarm || r.Limit != 0.05 || r.Evidence.Rate() < 0.4 || r.Evidence.Rate() > 0.6 {
		t.Errorf("%+v", got)
	}
}

func TestSightings(t *testing.T) {
	w := newWatch(t, Rules{LogMatches: []string{"OutOfMemory"}, CrashOnStart: true})
	system := func(id int, at time.Time, text string) *Entry {
		e := textEntry(id, at, "r2", text)
		e.Severity, e.Log = "WARNING", systemLog
		return e
	}
	w.Add(textEntry(1, noon(), "r1", "java.lang.outofmemoryerror: heap"))
	w.Add(system(2, noon(), "Container called exit(0)."))
	w.Add(system(3, noon(), "Container called exit(1)."))
	got := w.Look(noon().Add(10 * time.Second))
	if len(got) != 1 || !got[0].Alarm || got[0].Match != "OutOfMemory" || got[0].Revision != "r1" || got[0].Evidence.Errors != 1 {
		t.Fatalf("%+v", got)
	}
	w.Add(system(4, noon().Add(time.Minute), "Default STARTUP TCP probe failed 1 time consecutively for container \"x\" on port 8080."))
	got = w.Look(noon().Add(70 * time.Second))
	if r := of(got, CrashOnStart); !r.Alarm || r.Revision != "r2" || r.Evidence.Errors != 2 || !r.Evidence.Since.Equal(noon()) {
		t.Fatalf("%+v", got)
	}
	for _, r := range w.Look(noon().Add(time.Minute + quiet)) {
		if r.Alarm {
			t.Errorf("still an alarm: %+v", r)
		}
	}
	w.Add(textEntry(5, noon().Add(time.Hour), "r1", "OutOfMemory"))
	w.Add(textEntry(6, noon().Add(time.Hour), "r3", "OutOfMemory"))
	for _, r := range w.Look(noon().Add(time.Hour)) {
		if r.Alarm != (r.Revision == "r3") {
			t.Errorf("%s: alarm %v; it is no first appearance in r1", r.Revision, r.Alarm)
		}
	}
	for i := range 3 * mostSightings {
		w.Add(textEntry(100+i, noon().Add(time.Hour), fmt.Sprint("rev", i), "OutOfMemory"))
	}
	if len(w.sightings) > mostSightings {
		t.Errorf("%d sightings", len(w.sightings))
	}
}

func TestRulesThatCannotBe(t *testing.T) {
	for _, rules := range []Rules{{ErrorRate: 1}, {SlowRate: 1}, {SLO: 0.1}} {
		if _, err := NewWatch(target(), rules); err == nil {
			t.Errorf("%+v is taken", rules)
		}
	}
}
