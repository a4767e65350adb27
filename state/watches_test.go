package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"slipway/incident"
	"slipway/plan"
)

// wantWatches checks what was counted; "" is nothing yet.
func (b *bench) wantWatches(t *testing.T, want string) {
	t.Helper()
	got, err := b.Incidents().Watches(t.Context(), acme)
	if string(got) != want || (got == nil) != (want == "") || err != nil {
		t.Fatalf("%d bytes were counted (%.50q), %v; want %d (%.50q)", len(got), got, err, len(want), want)
	}
}

func (b *bench) saveWatches(t *testing.T, owner, watches string) {
	t.Helper()
	if err := b.Incidents().SaveWatches(t.Context(), acme, owner, []byte(watches)); err != nil {
		t.Fatal(err)
	}
}

func TestWatches(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.wantWatches(t, "")
		if err := b.Incidents().SaveWatches(t.Context(), acme, "one", []byte("1")); !errors.Is(err, incident.ErrFenced) {
			t.Errorf("saved without the watch: %v", err)
		}
		b.holds(t, "one", true)
		b.saveWatches(t, "one", "1")
		if err := b.Incidents().SaveWatches(t.Context(), acme, "two", []byte("2")); !errors.Is(err, incident.ErrFenced) {
			t.Errorf("saved while another has the watch: %v", err)
		}
		b.wantWatches(t, "1")
		b.yields(t, "one")
		b.holds(t, "two", true)
		b.wantWatches(t, "1") // which two goes on from
		b.saveWatches(t, "two", "2")
		b.wantWatches(t, "2")
		if ttl := b.client.TTL(t.Context(), slipway.watches(acme)).Val(); ttl < 89*24*time.Hour || ttl > 90*24*time.Hour {
			t.Errorf("they expire in %s, want 90 days", ttl)
		}
		if err := b.client.Set(t.Context(), slipway.watches(acme), "no gzip", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Incidents().Watches(t.Context(), acme); got != nil || err == nil {
			t.Errorf("what is not packed was read as %q", got)
		}
	})
}

// What a few services leave behind after a bad morning is stored in a fraction of its size, and comes back as it was.
func TestWatchesAreCompressed(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		counted := afterSixHours(t, 4)
		b.holds(t, "one", true)
		b.saveWatches(t, "one", counted)
		b.wantWatches(t, counted)
		stored := b.client.StrLen(t.Context(), slipway.watches(acme)).Val()
		t.Logf("%d bytes are stored as %d", len(counted), stored)
		if len(counted) < 400_000 || 4*stored > int64(len(counted)) {
			t.Errorf("%d bytes are stored as %d, want less than a quarter of what is no small thing", len(counted), stored)
		}
	})
}

// afterSixHours is the JSON of watches with six hours of a request a second, of which a few fail, and with errors of
// sixty kinds in the log.
func afterSixHours(t *testing.T, services int) string {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var watches []*incident.Watch
	for n := range services {
		target := plan.Target{Environment: "prod", Service: fmt.Sprint("service", n)}
		w, err := incident.NewWatch(target, incident.Rules{ErrorRate: 0.05, SLO: 0.995, LogMatches: []string{"route7.py"}, CrashOnStart: true})
		if err != nil {
			t.Fatal(err)
		}
		for second := range 6 * 60 * 60 {
			w.Add(logged(r, second))
		}
		watches = append(watches, w)
	}
	counted, err := json.Marshal(watches)
	if err != nil {
		t.Fatal(err)
	}
	return string(counted)
}

func logged(r *rand.Rand, second int) *incident.Entry {
	at := began.Add(time.Duration(second) * time.Second)
	e := &incident.Entry{
		ID: fmt.Sprintf("65f0a1b2000c%06x", second), At: at, Received: at.Add(time.Second),
		Service: "backend", Revision: fmt.Sprintf("backend-%05d", 41+second/10_000),
	}
	if r.IntN(20) == 0 {
		e.Log, e.Severity, e.Text = "run.googleapis.com/stderr", "ERROR", traceback(r.IntN(60), r)
		return e
	}
	e.Log, e.Request = "run.googleapis.com/requests", &incident.Request{Status: 200, UserAgent: "curl"}
	if r.IntN(50) == 0 {
		e.Request.Status = 500
	}
	return e
}

// traceback is an error of a kind, with what changes from one to the next.
func traceback(kind int, r *rand.Rand) string {
	upstream := []string{"billing", "auth", "search"}[kind%3]
	return fmt.Sprintf("Traceback (most recent call last):\n"+
		"  File \"/app/handlers/route%d.py\", line %d, in handle\n    return self.call(request, user=%d)\n"+
		"  File \"/app/services/%s%d.py\", line %d, in call\n    raise UpstreamError(f\"{name} was reset by peer after {took} ms\")\n"+
		"app.errors.UpstreamError: connection %x to %s was reset by peer after %d ms\n",
		kind, 10+kind*7, r.IntN(100_000), upstream, kind, 20+kind*3, r.Uint64(), upstream, r.IntN(5000))
}
