package incident

import (
	"testing"
	"time"
)

// Going back from the metrics to the log, which is minutes ahead of them, leaves no request out and counts none, and
// no error, twice.
func TestBackToTheLog(t *testing.T) {
	w := newWatch(t, Rules{ErrorRate: 0.05})
	requests := int64(0)
	log := func(from, to time.Time) {
		for at := from; at.Before(to); at = at.Add(time.Second) {
			w.Add(requestAt(int(at.Unix()), at, 500))
			w.Add(textEntry(int(at.Unix()), at, "r", "KeyError: 'k'"))
		}
	}
	log(noon(), noon().Add(time.Minute))
	w.Measured(true)
	var minutes []Minute
	for at := noon().Add(2 * time.Minute); at.Before(noon().Add(10 * time.Minute)); at = at.Add(time.Minute) {
		minutes = append(minutes, Minute{At: at, Revision: "r", Requests: 60, Errors: 60})
	}
	log(noon().Add(time.Minute), noon().Add(15*time.Minute))
	w.Measure(minutes, noon().Add(10*time.Minute))
	w.Measured(false)
	from := w.From()
	if !from.After(noon().Add(5*time.Minute)) || from.After(noon().Add(10*time.Minute)) {
		t.Fatalf("the log is to be read from %v on", from)
	}
	if got := (&projectSource{}).from(w, noon().Add(15*time.Minute)); !got.Equal(from) {
		t.Errorf("it is read from %v on, want %v", got, from)
	}
	log(from, noon().Add(16*time.Minute))
	for _, m := range w.Minutes(from, noon().Add(16*time.Minute)) {
		requests += m.Requests
	}
	if want := int64(noon().Add(16 * time.Minute).Sub(from).Seconds()); requests != want {
		t.Errorf("%d requests, want %d", requests, want)
	}
	if got, want := w.groups.top(1, noSlice)[0].Count, int64(16*60); got != want {
		t.Errorf("%d errors, want %d", got, want)
	}
}
