package incident

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"slipway/verdict"
)

// drawn is a slice of a service with so many requests a second, of which rate fail.
func drawn(r *rand.Rand, perSecond, rate float64) count {
	mean := perSecond * width.Seconds()
	c := count{requests: poisson(r, mean)}
	if mean > 200 { // the sum of so many is near enough to its limit
		spread := math.Sqrt(float64(c.requests) * rate * (1 - rate))
		c.errors = min(max(int64(math.Round(float64(c.requests)*rate+spread*r.NormFloat64())), 0), c.requests)
		return c
	}
	for range c.requests {
		if r.Float64() < rate {
			c.errors++
		}
	}
	return c
}

func poisson(r *rand.Rand, mean float64) int64 {
	if mean > 200 {
		return max(0, int64(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	n := int64(0)
	for at := r.ExpFloat64(); at < mean; at += r.ExpFloat64() {
		n++
	}
	return n
}

func seeded(a, b uint64) *rand.Rand { return rand.New(rand.NewPCG(a, b)) }

// simulation is a watch to which slices come as if from its log.
type simulation struct {
	*Watch
	at int64
}

func simulate(tb testing.TB, rules Rules) *simulation {
	tb.Helper()
	s := &simulation{newWatch(tb, rules), slice(noon())}
	s.newest = noon()
	s.advance(s.newest)
	return s
}

// add counts a slice and judges it at its end.
func (s *simulation) add(c count) {
	*s.counts.at(s.at) = c
	s.at++
	s.newest = began(s.at)
	s.advance(s.newest)
}

func (s *simulation) alarm(rate int) bool { return s.last()[rate].Alarm }

// minuteAbove is the usual rule: more than 5% of a minute's requests are errors. It looks
// every ten seconds.
type minuteAbove struct{ last [minute]count }

func (m *minuteAbove) add(c count) bool {
	copy(m.last[:], m.last[1:])
	m.last[minute-1] = c
	var sum count
	for _, l := range m.last {
		sum.add(l)
	}
	return float64(sum.errors) > 0.05*float64(sum.requests)
}

// TestDetectionDelay: the mean time from the beginning of a fault to the alarm, with half an
// hour of 0.5% before it, without a false alarm; and what multi-window burn rates of a 99.5%
// objective take.
func TestDetectionDelay(t *testing.T) {
	tests := []struct {
		perSecond, rate float64
		runs            int
		detector, burn  float64 // seconds
	}{
		{1, 0.72, 40, 57, 340}, {0.2, 0.20, 25, 506, 1240}, {1, 0.20, 40, 145, 1240}, {10, 0.20, 25, 107, 1240}, {100, 0.20, 10, 105, 1240},
	}
	for n, tt := range tests {
		detector, burn := 0.0, 0.0
		for run := range tt.runs {
			detected, burnt := fault(t, seeded(800+uint64(n), uint64(run)), tt.perSecond, tt.rate)
			detector += detected.Seconds() / float64(tt.runs)
			burn += burnt.Seconds() / float64(tt.runs)
		}
		if math.Abs(detector/tt.detector-1) > 0.15 {
			t.Errorf("%v of %v requests a second: alarm after %.0f s, want about %v", tt.rate, tt.perSecond, detector, tt.detector)
		}
		if math.Abs(burn/tt.burn-1) > 0.25 {
			t.Errorf("%v of %v requests a second: burn rates after %.0f s, want about %v", tt.rate, tt.perSecond, burn, tt.burn)
		}
	}
}

// fault is how long it takes until each of the two finds it. The six hours before are what
// the long windows look back at.
func fault(t *testing.T, r *rand.Rand, perSecond, rate float64) (detector, burn time.Duration) {
	t.Helper()
	byDetector, byBurn := simulate(t, Rules{ErrorRate: 0.05}), simulate(t, Rules{SLO: 0.995})
	for at := byBurn.at - kept + 180; at < byBurn.at; at++ {
		*byBurn.counts.at(at) = drawn(r, perSecond, 0.005)
	}
	for range 180 {
		c := drawn(r, perSecond, 0.005)
		byDetector.add(c)
		if byBurn.add(c); byDetector.alarm(errorRate) || byBurn.alarm(slowLeak) {
			t.Fatal("a false alarm")
		}
	}
	for !byDetector.alarm(errorRate) || !byBurn.alarm(slowLeak) {
		c := drawn(r, perSecond, rate)
		if !byDetector.alarm(errorRate) {
			byDetector.add(c)
			detector += width
		}
		if !byBurn.alarm(slowLeak) {
			byBurn.add(c)
			burn += width
		}
	}
	return detector, burn
}

// TestQuietMonth: in 30 days at 0.5%, with 20 s at 30% every six hours, the detector raises
// no alarm; "more than 5% in a minute" raises dozens.
func TestQuietMonth(t *testing.T) {
	r, s := seeded(900, 0), simulate(t, Rules{ErrorRate: 0.05})
	var usual minuteAbove
	above, usualAlarms := false, 0
	for i := range verdict.FalseAlarmBuckets {
		rate := 0.005
		if i%2160 < 2 {
			rate = 0.3
		}
		c := drawn(r, 1, rate)
		if s.add(c); s.alarm(errorRate) {
			t.Fatalf("a false alarm in slice %d", i)
		}
		was := above
		if above = usual.add(c); above && !was {
			usualAlarms++
		}
	}
	if usualAlarms < 60 || usualAlarms > 930 {
		t.Errorf("%d false alarms of one minute above 5%%, want 60 to 930", usualAlarms)
	}
}

// TestOutages: a full outage of 30 s or less never raises the alarm, and one of 50 s always
// does; its beginning and its end are found, within a minute or two.
func TestOutages(t *testing.T) {
	for run := range uint64(40) {
		r := seeded(901, run)
		for _, length := range []int64{1, 3, 5, 30} {
			s := simulate(t, Rules{ErrorRate: 0.05})
			alarm := false
			var was Evidence
			for i := range int64(240) {
				rate := 0.005
				if i >= 60 && i < 60+length {
					rate = 1
				}
				s.add(drawn(r, 2, rate))
				alarm = alarm || s.alarm(errorRate)
				was = s.last()[errorRate].Was
			}
			if alarm != (length >= 5) {
				t.Errorf("run %d: an outage of %d s: alarm %v", run, 10*length, alarm)
			}
			if began, ended := slice(noon())+60, slice(noon())+60+length; alarm && (s.alarm(errorRate) || slice(was.Since) < began-12 || slice(was.Since) > began || slice(was.Until) < ended || slice(was.Until) > ended+6 || was.Worst() < 0.7) {
				t.Errorf("run %d: an outage of %d s from slice %d: %+v", run, 10*length, began, was)
			}
		}
	}
}

// TestResolves about 66 clean slices after the end, whatever the outage was.
func TestResolves(t *testing.T) {
	for _, outage := range []int{6, 360} {
		s := simulate(t, Rules{ErrorRate: 0.05})
		for range 60 {
			s.add(count{requests: 10})
		}
		for range outage {
			s.add(count{requests: 10, errors: 7})
		}
		clean := 0
		for ; s.alarm(errorRate); clean++ {
			s.add(count{requests: 10})
		}
		if clean < 60 || clean > 67 {
			t.Errorf("after %d slices of outage: resolved after %d clean ones, want about 66", outage, clean)
		}
	}
}

// TestSlowLeak: 4% is below the limit of 5%, and burns the budget of a month in four days.
// An outage that the detector has told is no leak as well.
func TestSlowLeak(t *testing.T) {
	r, s := seeded(902, 0), simulate(t, Rules{ErrorRate: 0.05, SLO: 0.995})
	for range 360 {
		s.add(drawn(r, 10, 0.002))
	}
	for range 60 {
		s.add(drawn(r, 10, 0.72))
	}
	for range 720 {
		if s.add(drawn(r, 10, 0.002)); s.alarm(slowLeak) {
			t.Fatal("the outage is told twice")
		}
	}
	leaking := time.Duration(0)
	for ; !s.alarm(slowLeak); leaking += width {
		if s.add(drawn(r, 10, 0.042)); s.alarm(errorRate) {
			t.Fatal("the detector was as quick")
		}
	}
	if leaking < time.Hour || leaking > 6*time.Hour {
		t.Errorf("found after %v", leaking)
	}
	got := of(s.Look(s.newest), SlowLeak)
	if !got.Alarm || got.Limit.String() != "3%" || got.Evidence.Rate() < 0.035 || got.Evidence.Rate() > 0.05 {
		t.Errorf("%+v", got)
	}
}
