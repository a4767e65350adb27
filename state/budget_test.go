package state

import (
	"testing"
	"time"
)

func (b *bench) spend(t *testing.T, budget Budget, reserve int) time.Duration {
	t.Helper()
	wait, err := b.Spend(t.Context(), budget, reserve)
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

func TestBudget(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		budget := Budget{Name: "updates", Every: 2 * b.unit, Burst: 3}
		if wait := b.spend(t, budget, 0); wait != 0 {
			t.Errorf("the first had to wait %s", wait)
		}
		if wait := b.spend(t, budget, 2); wait <= 0 || wait > 2*b.unit {
			t.Errorf("with a reserve of 2 of the 2 that are left: wait %s", wait)
		}
		for range 2 {
			if wait := b.spend(t, budget, 0); wait != 0 {
				t.Errorf("the burst is over too early: wait %s", wait)
			}
		}
		wait := b.spend(t, budget, 0)
		if wait <= 0 || wait > 2*b.unit {
			t.Fatalf("the burst is over: wait %s", wait)
		}
		b.pass(wait)
		if wait := b.spend(t, budget, 0); wait != 0 {
			t.Errorf("after the wait: wait %s", wait)
		}
		if wait := b.spend(t, Budget{Name: "others", Every: time.Hour, Burst: 1}, 0); wait != 0 {
			t.Errorf("another budget: wait %s", wait)
		}
	})
}

// In the long run no more is spent than the rate and one burst, however many replicas ask.
func TestBudgetRate(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		budget := Budget{Name: "updates", Every: b.unit / 5, Burst: 2}
		spent, began := 0, time.Now()
		for spent < 8 {
			wait := b.spend(t, budget, 0)
			if wait == 0 {
				spent++
				continue
			}
			b.pass(wait)
		}
		if took := time.Since(began); took < 6*budget.Every {
			t.Errorf("8 were spent in %s, at one in %s", took, budget.Every)
		}
	})
}

func TestPausedBudget(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		budget := Budget{Name: "updates", Every: b.unit / 5, Burst: 2}
		for _, pause := range []time.Duration{2 * b.unit, b.unit} { // the longer one counts
			if err := b.Pause(t.Context(), budget, pause); err != nil {
				t.Fatal(err)
			}
		}
		wait := b.spend(t, budget, 0)
		if wait <= b.unit || wait > 2*b.unit {
			t.Errorf("paused: wait %s", wait)
		}
		b.pass(wait)
		if wait := b.spend(t, budget, 0); wait != 0 {
			t.Errorf("open again: wait %s", wait)
		}
	})
}
