package rollout

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However long the window: at most 20 slices, in order, at least a second apart, and nothing of the
// window is lost.
func TestPointsCoverTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		since := t0.Add(time.Duration(rapid.IntRange(0, 999).Draw(t, "fraction")) * time.Millisecond)
		until := since.Add(time.Duration(rapid.IntRange(0, 4*3600*1000).Draw(t, "window")) * time.Millisecond)
		var slots []Slot
		var want int64
		at := since.Truncate(time.Second)
		for range rapid.IntRange(0, 200).Draw(t, "seconds") {
			at = at.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "step")) * time.Second)
			slots = append(slots, Slot{At: at, Requests: 3, Errors: 1})
			if !at.Before(since) && at.Before(until) {
				want += 3
			}
		}
		points := PointsOf(since, until, slots)
		if len(points) > maxPoints {
			t.Fatalf("%d points", len(points))
		}
		var got int64
		for i, p := range points {
			got += p.Requests
			if p.Errors*3 != p.Requests || p.Requests == 0 {
				t.Fatalf("point %+v", p)
			}
			if i > 0 && p.At.Sub(points[i-1].At) < time.Second {
				t.Fatalf("points %v and %v cannot be told apart", points[i-1].At, p.At)
			}
		}
		if got != want {
			t.Fatalf("%d requests in the points, want %d", got, want)
		}
	})
}

// A snapshot of before there were points reads as one without, and one without is written as before.
func TestBaselineWithoutPoints(t *testing.T) {
	const old = `{"revision":"a","since":"2026-11-22T10:00:00Z","until":"2026-11-22T10:10:00Z","requests":3,"errors":1}`
	var b Baseline
	if err := json.Unmarshal([]byte(old), &b); err != nil || b.Points != nil {
		t.Fatalf("%+v, %v", b, err)
	}
	if raw, err := json.Marshal(b); err != nil || string(raw) != old {
		t.Errorf("%s, %v", raw, err)
	}
}
