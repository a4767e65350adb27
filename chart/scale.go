package chart

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rateScale maps rates to the height of the picture. When the limit would lie at its very bottom, the
// scale is that of square roots: a line that is below the limit has to be seen to be below it, also
// beside one at 72%. The numbers at the axis then stand at uneven distances.
type rateScale struct {
	top   float64
	roots bool
}

const (
	squeezed = 0.2  // the share of the height below which a limit cannot be told from zero
	leastTop = 1e-4 // of a scale
)

func newRateScale(g Graph) rateScale {
	most := g.Limit * 1.4
	if g.AtMost != nil {
		most = max(most, g.AtMost.Rate*1.2)
	}
	for _, s := range g.Series {
		for _, p := range s.Points {
			most = max(most, p.rate())
		}
	}
	if most == 0 {
		most = 0.05
	}
	s := rateScale{top: roundUp(max(most, leastTop))}
	s.roots = g.Limit > 0 && g.Limit/s.top < squeezed
	return s
}

// roundUp returns the next number that makes a scale of round steps, 1 at most.
func roundUp(rate float64) float64 {
	unit := math.Pow10(int(math.Floor(math.Log10(rate))))
	for _, n := range []float64{1, 2, 3, 4, 5, 6, 8} {
		if rate <= n*unit*(1+1e-9) {
			return min(1, n*unit)
		}
	}
	return min(1, 10*unit)
}

// at is the height of a rate: 0 is the bottom, 1 the top.
func (s rateScale) at(rate float64) float64 {
	share := min(1, max(0, rate/s.top))
	if s.roots {
		return math.Sqrt(share)
	}
	return share
}

// ticks are the rates written at the axis, ascending from 0, no two closer than apart of the height.
func (s rateScale) ticks(apart float64) []float64 {
	if !s.roots {
		return s.even()
	}
	list := []float64{s.top}
	for unit := 1.0; unit > s.top*1e-4; unit /= 10 {
		for _, n := range []float64{0.5, 0.2, 0.1} {
			rate := n * unit
			if rate < s.top && s.at(list[len(list)-1])-s.at(rate) >= apart && s.at(rate) >= apart {
				list = append(list, rate)
			}
		}
	}
	list = append(list, 0)
	slices.Reverse(list)
	return list
}

// even are four to six ticks in equal steps.
func (s rateScale) even() []float64 {
	unit := math.Pow10(int(math.Floor(math.Log10(s.top * (1 + 1e-9)))))
	steps := 5 // 0.5, 1 and 10
	switch n := int(math.Round(s.top / unit)); n {
	case 2, 4, 8:
		steps = 4
	case 3, 6:
		steps = 3
	}
	list := make([]float64, steps+1)
	for i := range list {
		list[i] = s.top * float64(i) / float64(steps)
	}
	return list
}

// percent writes a rate with as many places as it has.
func percent(rate float64) string { return trimmed(rate*100, 4) + "%" }

// percentUp rounds a bound up, so that "at most" stays true.
func percentUp(rate float64) string {
	places := 1
	if rate < 0.001 {
		places = 3
	}
	unit := math.Pow10(places)
	return trimmed(math.Ceil(rate*100*unit-1e-9)/unit, places) + "%"
}

func trimmed(value float64, places int) string {
	text := strconv.FormatFloat(value, 'f', places, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// timeScale maps times to the width of the picture.
type timeScale struct{ from, to float64 } // seconds since 1970

// shortest is the least a picture shows: with one point, that lies in the middle.
const shortest = 30 * time.Second

func newTimeScale(g Graph) timeScale {
	s := timeScale{from: math.Inf(1), to: math.Inf(-1)}
	g.times(func(at time.Time) {
		if !at.IsZero() {
			s.from, s.to = min(s.from, seconds(at)), max(s.to, seconds(at))
		}
	})
	if s.from > s.to { // every point is at the zero Time
		s.from, s.to = seconds(time.Time{}), seconds(time.Time{})
	}
	if missing := shortest.Seconds() - (s.to - s.from); missing > 0 {
		s.from, s.to = s.from-missing/2, s.to+missing/2
	}
	return s
}

func seconds(t time.Time) float64 { return float64(t.Unix()) + float64(t.Nanosecond())/1e9 }

// at is the place of a moment: 0 is the left end, 1 the right one.
func (s timeScale) at(t time.Time) float64 {
	return min(1, max(0, (seconds(t)-s.from)/(s.to-s.from)))
}

// span is the places of two moments, of which a zero one is the end of the picture that it is next to.
func (s timeScale) span(since, until time.Time) (from, to float64) {
	from, to = 0, 1
	if !since.IsZero() {
		from = s.at(since)
	}
	if !until.IsZero() {
		to = s.at(until)
	}
	return from, to
}

// tick is a moment written at the axis.
type tick struct {
	at   float64 // 0–1
	text string
}

// ticks are at most n round moments in UTC.
func (s timeScale) ticks(n int) []tick {
	step := roundStep((s.to - s.from) / float64(n))
	format := "15:04"
	switch {
	case step >= day:
		format = "2 Jan 2006"
	case step < minute:
		format = "15:04:05"
	}
	var list []tick
	for i := math.Ceil(s.from / step); i*step <= s.to && len(list) < n; i++ {
		at := i * step
		list = append(list, tick{at: (at - s.from) / (s.to - s.from), text: time.Unix(int64(at), 0).UTC().Format(format)})
	}
	return list
}

// Lengths in seconds.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

// roundStep is the next length, in seconds, of which clocks and calendars are made.
func roundStep(least float64) float64 {
	for _, step := range []float64{1, 2, 5, 10, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute,
		hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day} {
		if step >= least {
			return step
		}
	}
	step := float64(day)
	for step < least {
		step *= 2
	}
	return step
}
