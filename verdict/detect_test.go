package verdict

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func newDetector(tb testing.TB) Detector {
	tb.Helper()
	d, err := NewDetector(0.05, FalseAlarmBuckets)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func newResolver(tb testing.TB) Resolver {
	tb.Helper()
	r, err := NewResolver(0.05)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// TestDetectorGrows: the mean M after each of three buckets with 72 errors in 100
// requests, where a bucket weighs as much as it has requests.
func TestDetectorGrows(t *testing.T) {
	d := newDetector(t)
	for i, want := range []struct{ mean, unit float64 }{{7.5481, 1e-4}, {83.167, 1e-3}, {932.10, 1e-2}} {
		d.c.factor(failGain(0.05, 72, 28, 100))
		if got := math.Exp(d.c.log()); !near(got, want.mean, want.unit) {
			t.Errorf("after bucket %d: mean M = %.5f, want %v", i+1, got, want.mean)
		}
	}
}

// TestResolverNeeds66CleanBuckets, hardly fewer after an outage, however long it was:
// an outage leaves M near 0. What comes at half the pace counts for half.
func TestResolverNeeds66CleanBuckets(t *testing.T) {
	for _, outage := range []int{0, 1, 360, 10_000} {
		r := newResolver(t)
		for range outage {
			r.Add(Bucket{Requests: 100, Errors: 72})
		}
		clean := 0
		for ; !r.Resolved(); clean++ {
			r.Add(Bucket{Requests: 100})
		}
		if clean > 66 || clean < 63 || outage == 0 && clean != 66 {
			t.Errorf("after an outage of %d buckets: resolved after %d clean ones, want 66", outage, clean)
		}
	}
	r, clean := newResolver(t), 0
	for ; !r.Resolved(); clean++ {
		r.c.factor(passGain(0.05/0.95, 0, 100, 200))
	}
	if clean != 101 {
		t.Errorf("buckets of half the weight: resolved after %d, want 101", clean)
	}
}

// traffic draws a bucket of 10 s of a service with so many requests a second.
func traffic(r *rand.Rand, perSecond, rate float64) Bucket {
	var b Bucket
	for at := r.ExpFloat64(); at < 10*perSecond; at += r.ExpFloat64() {
		b.Requests++
		if r.Float64() < rate {
			b.Errors++
		}
	}
	return b
}

// TestDetectionDelay: the mean time from the beginning of a fault to the alarm at a
// request a second, with half an hour of 0.5% before it, and without a false alarm.
func TestDetectionDelay(t *testing.T) {
	const runs = 60
	for i, tt := range []struct{ perSecond, rate, want float64 }{{1, 0.72, 57}, {1, 0.20, 145}, {0.2, 0.20, 506}, {10, 0.20, 107}} {
		seconds := 0.0
		for n := range runs {
			r, d := seeded(500+uint64(i), uint64(n)), newDetector(t)
			for range 180 {
				if d.Add(traffic(r, tt.perSecond, 0.005)); d.Alarm() {
					t.Fatal("a false alarm")
				}
			}
			for !d.Alarm() {
				d.Add(traffic(r, tt.perSecond, tt.rate))
				seconds += 10
			}
		}
		if mean := seconds / runs; math.Abs(mean/tt.want-1) > 0.15 {
			t.Errorf("%v of %v requests a second: alarm after %.0f s, want about %v", tt.rate, tt.perSecond, mean, tt.want)
		}
	}
}

// TestQuietMonth: 30 days at 0.5%, with 20 s at 30% every six hours, raise no alarm;
// neither does a full outage of 30 s, and one of 50 s always does.
func TestQuietMonth(t *testing.T) {
	r, d := seeded(600, 0), newDetector(t)
	for i := range FalseAlarmBuckets {
		rate := 0.005
		if i%2160 < 2 {
			rate = 0.3
		}
		if d.Add(traffic(r, 1, rate)); d.Alarm() {
			t.Fatalf("a false alarm in bucket %d", i)
		}
	}
	for n := range uint64(60) {
		r := seeded(601, n)
		for _, seconds := range []int{10, 30, 50} {
			d, alarm := newDetector(t), false
			for i := range 120 {
				rate := 0.005
				if i >= 60 && i < 60+seconds/10 {
					rate = 1
				}
				d.Add(traffic(r, 2, rate))
				alarm = alarm || d.Alarm()
			}
			if alarm != (seconds >= 50) {
				t.Errorf("run %d: an outage of %d s: alarm %v", n, seconds, alarm)
			}
		}
	}
}

// TestWatchIsSeldomWrong: at the limit itself, a watch of 180 buckets alarms in at
// most α of the runs, and a resolver is wrong once in an hour at most.
func TestWatchIsSeldomWrong(t *testing.T) {
	const runs, alpha = 400, 0.2
	alarms, resolved, buckets := 0, 0, 0
	for n := range runs {
		r := seeded(700, uint64(n))
		d, err := NewWatch(0.05, 180, alpha)
		if err != nil {
			t.Fatal(err)
		}
		resolver, alarm := newResolver(t), false
		for range 180 {
			b := traffic(r, 1, 0.05)
			d.Add(b)
			alarm = alarm || d.Alarm()
			resolver.Add(b)
			if buckets++; resolver.Resolved() {
				resolved++
				resolver = newResolver(t)
			}
		}
		if alarm {
			alarms++
		}
	}
	if alarms == 0 || alarms > binomialCeiling(runs, alpha) {
		t.Errorf("%d of %d watches raise a false alarm, want some and at most %v of them", alarms, runs, alpha)
	}
	if resolved == 0 || buckets/resolved < resolvesAt {
		t.Errorf("resolved wrongly %d times in %d buckets, want some and at most once in %d", resolved, buckets, resolvesAt)
	}
}

// TestDetectorsGoOnAfterARestart: kept as JSON at any moment, they end as if nothing
// had happened.
func TestDetectorsGoOnAfterARestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Float64Range(1e-3, 0.9).Draw(t, "limit")
		d, err := NewDetector(limit, 100)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewResolver(limit)
		if err != nil {
			t.Fatal(err)
		}
		keptD, keptR := d, r
		for _, b := range drawBuckets(t) {
			if rapid.Bool().Draw(t, "restart") {
				keptD, keptR = restart(t, keptD), restart(t, keptR)
			}
			d.Add(b)
			r.Add(b)
			keptD.Add(b)
			keptR.Add(b)
		}
		if d != keptD || r != keptR {
			t.Fatalf("%+v\n%+v", d, keptD)
		}
	})
}

func restart[T any](t *rapid.T, before T) T {
	kept, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var after T
	if err := json.Unmarshal(kept, &after); err != nil {
		t.Fatalf("%s: %v", kept, err)
	}
	return after
}

func TestDetectorsThatWereNotMade(t *testing.T) {
	var d Detector
	var r Resolver
	for range 1000 {
		d.Add(Bucket{Requests: 100, Errors: 100})
		r.Add(Bucket{Requests: 100})
	}
	if d.Alarm() || r.Resolved() {
		t.Errorf("alarm %v, resolved %v", d.Alarm(), r.Resolved())
	}
	var d2 Detector
	if kept, err := json.Marshal(Detector{}); err != nil || json.Unmarshal(kept, &d2) != nil || d2 != (Detector{}) {
		t.Errorf("the zero detector comes back as %+v (%v)", d2, err)
	}
}

// TestNoEvidence: what is empty, cannot be, or lost nobody knows how much, adds nothing.
func TestNoEvidence(t *testing.T) {
	for _, b := range []Bucket{{}, {Requests: 3, Errors: 4}, {Requests: -1}, {Requests: 100, Errors: 100, Dropped: DroppedUnknown}} {
		d, r := newDetector(t), newResolver(t)
		d.Add(b)
		r.Add(b)
		if d != newDetector(t) || r != newResolver(t) {
			t.Errorf("%+v changes something", b)
		}
	}
	lost, all := newDetector(t), newDetector(t)
	for range 20 {
		lost.Add(Bucket{Requests: 100, Errors: 20, Dropped: 1000})
		all.Add(Bucket{Requests: 100, Errors: 20})
	}
	if lost.Alarm() || !all.Alarm() {
		t.Errorf("alarm %v although the lost entries may have been successes; without them %v", lost.Alarm(), all.Alarm())
	}
}

func TestDetectorsRefuse(t *testing.T) {
	for _, limit := range []float64{0, 1, -1, math.NaN()} {
		if _, err := NewDetector(limit, 100); err == nil || !strings.Contains(err.Error(), "limit") {
			t.Errorf("limit %v: %v", limit, err)
		}
		if _, err := NewResolver(limit); err == nil || !strings.Contains(err.Error(), "limit") {
			t.Errorf("limit %v: %v", limit, err)
		}
		if _, err := NewWatch(0.05, 180, limit); err == nil || !strings.Contains(err.Error(), "probability") {
			t.Errorf("alpha %v: %v", limit, err)
		}
	}
	for _, buckets := range []float64{0, 1, -5, math.NaN(), math.Inf(1)} {
		if _, err := NewDetector(0.05, buckets); err == nil || !strings.Contains(err.Error(), "false alarm") {
			t.Errorf("%v buckets: %v", buckets, err)
		}
	}
	logs := strings.Repeat(",0", gridPoints-1) + "]"
	for _, kept := range []string{
		`{"limit":2,"needs":100,"logs":[0` + logs + `}`,
		`{"limit":0.05,"needs":0.5,"logs":[0` + logs + `}`,
		`{"limit":0.05,"needs":100,"logs":[-1` + logs + `}`,
		`{"limit":0.05,"needs":100,"pace":{"mean":-1},"logs":[0` + logs + `}`,
		`{"limit":0.05,"needs":100,"pace":{"mean":1,"seen":31},"logs":[0` + logs + `}`,
		`[]`,
	} {
		d, r := newDetector(t), newResolver(t)
		if d.UnmarshalJSON([]byte(kept)) == nil || r.UnmarshalJSON([]byte(kept)) == nil || d != newDetector(t) || r != newResolver(t) {
			t.Errorf("%.40s is taken", kept)
		}
	}
}

func TestDetectorAllocatesNothing(t *testing.T) {
	d, r := newDetector(t), newResolver(t)
	b := Bucket{Requests: 100, Errors: 3}
	if n := testing.AllocsPerRun(100, func() { d.Add(b); d.Alarm(); r.Add(b); r.Resolved() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDetector(b *testing.B) {
	d := newDetector(b)
	b.ReportAllocs()
	for b.Loop() {
		d.Add(Bucket{Requests: 100, Errors: 3})
		d.Alarm()
	}
}

// A detector of minutes and one of ten seconds raise as many false alarms a day.
func TestStretch(t *testing.T) {
	slices, err := NewDetector(0.05, FalseAlarmBuckets)
	if err != nil {
		t.Fatal(err)
	}
	minutes, err := NewDetector(0.05, FalseAlarmBuckets/6)
	if err != nil {
		t.Fatal(err)
	}
	stretched := slices
	stretched.Stretch(6)
	if stretched != minutes {
		t.Errorf("%+v, want %+v", stretched, minutes)
	}
	stretched.Stretch(1.0 / 6)
	if diff := stretched.c.needs - slices.c.needs; diff > 1e-6 || diff < -1e-6 {
		t.Errorf("stretched there and back it needs %v", stretched.c.needs)
	}
}
