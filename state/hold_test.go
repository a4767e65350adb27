package state

import (
	"errors"
	"testing"
	"time"

	"slipway/rollout"
)

// Whoever holds on to an envelope keeps it beyond its lease, and holding never shortens it.
func TestHold(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.accept(t, "a", true)
		b.take(t, "one", "a")
		b.pass(2 * b.unit)
		for _, lease := range []time.Duration{4 * b.unit, b.unit} {
			if err := b.Hold(t.Context(), "a", "one", lease); err != nil {
				t.Fatal(err)
			}
		}
		b.pass(2 * b.unit)
		b.take(t, "two", "")
		b.pass(3 * b.unit)
		b.take(t, "two", "a")
		if err := b.Hold(t.Context(), "a", "one", b.unit); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("one holds on to what two took over: %v", err)
		}
		if err := b.Done(t.Context(), "a", "two"); err != nil {
			t.Fatal(err)
		}
		if err := b.Hold(t.Context(), "a", "two", b.unit); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("two holds on to what is done: %v", err)
		}
	})
}

// A card in doubt is claimed again as if it showed nothing, also if somebody gives it up meanwhile.
func TestDoubtedCard(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		c := b.claimCard(t, "one", "aaaaaa")
		if err := b.HoldCard(t.Context(), "one", "aaaaaa", 6*b.unit); err != nil {
			t.Fatal(err)
		}
		b.pass(4 * b.unit)
		b.claimCard(t, "two", "")
		if err := b.DoubtCard(t.Context(), "aaaaaa"); err != nil {
			t.Fatal(err)
		}
		c.TS, c.Version, c.Cursor = "1700000000.000100", r.Version, r.Events
		if err := b.ReleaseCard(t.Context(), "one", c, 0); err != nil {
			t.Fatal(err)
		}
		if err := b.HoldCard(t.Context(), "two", "aaaaaa", b.unit); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("two holds on to a card that it has not claimed: %v", err)
		}
		if again := b.claimCard(t, "two", "aaaaaa"); again.Version != 0 || again.TS != c.TS {
			t.Errorf("the card in doubt is %+v", again)
		}
		if err := b.ReleaseCard(t.Context(), "two", c, 0); err != nil {
			t.Fatal(err)
		}
		b.claimCard(t, "one", "")
		if err := b.DoubtCard(t.Context(), "zzzzzz"); err != nil { // no such rollout: nothing to show
			t.Fatal(err)
		}
		b.claimCard(t, "one", "")
	})
}
