package verdict

import (
	"testing"
	"time"
)

// fault counts the requests of a window that ends so long after the rate went from
// 0.5% to rate, at 1,000 requests a second.
func fault(rate float64, since, window time.Duration) Counts {
	bad := min(since, window).Seconds()
	good := window.Seconds() - bad
	return Counts{Requests: int64(1000 * window.Seconds()), Errors: int64(1000 * (bad*rate + good*0.005))}
}

// TestBurnRates: how long after the beginning of a fault the first alert fires, for
// an objective of 99.5%, looking every 10 s.
func TestBurnRates(t *testing.T) {
	tests := []struct {
		rate   float64
		after  time.Duration
		firing float64 // which of the rates
	}{
		{0.72, 340 * time.Second, 14.4},
		{0.20, 1240 * time.Second, 14.4},
		{0.05, 12_010 * time.Second, 6}, // 5% never burns 14.4 times as fast
	}
	for _, tt := range tests {
		after, firing := firstBurn(tt.rate)
		if after != tt.after || firing != tt.firing {
			t.Errorf("at %v: after %v by the rate %v, want %v by %v", tt.rate, after, firing, tt.after, tt.firing)
		}
	}
	if after, _ := firstBurn(0.02); after != 0 {
		t.Errorf("at 2%%: after %v, want never: it burns 4 times as fast", after)
	}
}

func firstBurn(rate float64) (after time.Duration, firing float64) {
	for since := 10 * time.Second; since <= 24*time.Hour; since += 10 * time.Second {
		for _, b := range BurnRates() {
			if b.Fires(fault(rate, since, b.Long), fault(rate, since, b.Short), 0.995) {
				return since, b.Rate
			}
		}
	}
	return 0, 0
}

func TestBurnRateNeedsBothWindows(t *testing.T) {
	b := BurnRates()[0]
	bad, good := Counts{Requests: 1000, Errors: 100}, Counts{Requests: 1000}
	tests := []struct {
		name        string
		long, short Counts
		want        bool
	}{
		{"both", bad, bad, true},
		{"it is over", bad, good, false},
		{"it has just begun", good, bad, false},
		{"few requests", Counts{Requests: 9, Errors: 9}, bad, false},
		{"few errors", Counts{Requests: 10, Errors: 2}, bad, false},
		{"exactly at the limit", Counts{Requests: 1000, Errors: 72}, bad, false},
		{"lost entries may be successes", Counts{Requests: 1000, Errors: 100, Dropped: 1000}, bad, false},
		{"lost nobody knows how many", bad, Counts{Requests: 1000, Errors: 100, Dropped: DroppedUnknown}, false},
		{"counts that cannot be", bad, Counts{Requests: 5, Errors: 6}, false},
	}
	for _, tt := range tests {
		if got := b.Fires(tt.long, tt.short, 0.995); got != tt.want {
			t.Errorf("%s: fires %v, want %v", tt.name, got, tt.want)
		}
	}
	if b.Fires(bad, bad, 1) {
		t.Error("an objective of 100% has no budget to burn, and any error would fire")
	}
}
