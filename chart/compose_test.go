package chart

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// failer is a test or a property.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkRules are those of every picture: labels neither touch one another nor leave the canvas, and
// can be read on a phone; nothing is drawn at a place that is no number.
func checkRules(t failer, s scene) {
	t.Helper()
	canvas := box{0, 0, canvasWidth, canvasHeight}
	for i, l := range s.labels {
		if l.size < 26 {
			t.Errorf("%q is only %g high", l.text, l.size)
		}
		if l.left < canvas.left || l.top < canvas.top || l.right > canvas.right || l.bottom > canvas.bottom || math.IsNaN(l.left+l.top) {
			t.Errorf("%q leaves the canvas: %+v", l.text, l.box)
		}
		for _, other := range s.labels[:i] {
			if l.overlaps(other.box) {
				t.Errorf("%q %+v and %q %+v overlap", l.text, l.box, other.text, other.box)
			}
		}
	}
	points := func(what string, list ...point) {
		for _, p := range list {
			if !(p.x >= 0 && p.x <= canvasWidth && p.y >= 0 && p.y <= canvasHeight) {
				t.Errorf("%s is at %v", what, p)
			}
		}
	}
	for _, l := range s.lines {
		points("a line", l.points...)
	}
	for _, d := range s.dots {
		points("a dot", d.point)
	}
	for _, a := range s.areas {
		points("an area", point{a.left, a.top}, point{a.right, a.bottom})
	}
}

func TestExamplesFollowTheRules(t *testing.T) {
	t.Parallel()
	for name, g := range examples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := compose(g)
			if err != nil {
				t.Fatal(err)
			}
			checkRules(t, s)
		})
	}
}

// report collects what a rule finds.
type report struct{ found []string }

func (*report) Helper()                          {}
func (r *report) Errorf(format string, _ ...any) { r.found = append(r.found, format) }

// The rules must not pass a picture that breaks them.
func TestRulesFindFaults(t *testing.T) {
	t.Parallel()
	c := composer{letters: newLetters()}
	for name, labels := range map[string][]label{
		"overlapping": {c.label("one", 10, 10, 30, false, ink()), c.label("two", 40, 30, 30, false, ink())},
		"outside":     {c.label("a long label", 1100, 10, 46, true, ink())},
		"small":       {c.label("small", 10, 10, 20, false, ink())},
	} {
		var r report
		if checkRules(&r, scene{labels: labels}); len(r.found) != 1 {
			t.Errorf("%s: found %q", name, r.found)
		}
	}
}

// What a reader needs is written.
func TestLabels(t *testing.T) {
	t.Parallel()
	all := examples()
	for name, wants := range map[string][]string{
		"fall":       {fall().Title, fall().Subtitle, "old 72%", "new 0.9%", "limit 5%", "at most 3.2%", "deploy", "passed", "10%", "100%", "0%", "80%", "12:00", "12:03"},
		"rise":       {"old 0.5%", "new 30%", "limit 5%", "failed, rolled back", "12:01:30"},
		"overview":   {"backend-00042", "auth-00017", "backend-00043", "chat 4%", "auth 1%", "backend 0.5%", "12:45"},
		"limit 0.1%": {"limit 0.1%", "new 100%"},
		"one point":  {"new", "12:00:00"},
		"all zero":   {"new 0%", "limit 5%"},
		"crowd":      {"new 0.9%", "limit 5%", "at most 3.2%", "passed", "deploy"},
		"gaps":       {"new 0.9%"},
	} {
		got := texts(t, all[name])
		for _, want := range wants {
			if !slices.Contains(got, want) {
				t.Errorf("%s: %q is not written: %q", name, want, got)
			}
		}
	}
	for _, text := range texts(t, all["all zero, no limit"]) {
		if strings.HasPrefix(text, "limit") {
			t.Errorf("there is no limit, but %q", text)
		}
	}
	if got := texts(t, all["crowd"]); !strings.HasSuffix(got[0], "…") || !strings.HasSuffix(got[1], "…") {
		t.Errorf("long titles are not cut: %q", got[:2])
	}
}

func texts(t *testing.T, g Graph) []string {
	t.Helper()
	s, err := compose(g)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, l := range s.labels {
		list = append(list, l.text)
	}
	return list
}

// On the picture a phone shows, what is below the limit is seen to be: at 40% there are three pixels and
// more between 0.9%, 3.2% and 5%, beside a line at 72%.
func TestLimitIsApart(t *testing.T) {
	t.Parallel()
	const height, phone, apart = 380, 0.4, 3
	s := newRateScale(fall())
	rates := []float64{0, 0.009, 0.032, 0.05, 0.72}
	for i, rate := range rates[1:] {
		if got := (s.at(rate) - s.at(rates[i])) * height * phone; got < apart {
			t.Errorf("%s and %s are %.1f pixels apart", percent(rates[i]), percent(rate), got)
		}
	}
	if high := newRateScale(overview()); high.roots {
		t.Error("a limit at half the height needs no scale of roots")
	}
}

func TestRateTicks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		scale rateScale
		want  string
	}{
		{rateScale{top: 1}, "0% 20% 40% 60% 80% 100%"},
		{rateScale{top: 0.8}, "0% 20% 40% 60% 80%"},
		{rateScale{top: 0.06}, "0% 2% 4% 6%"},
		{rateScale{top: 0.05}, "0% 1% 2% 3% 4% 5%"},
		{rateScale{top: 0.002}, "0% 0.05% 0.1% 0.15% 0.2%"},
		{rateScale{top: 0.8, roots: true}, "0% 2% 10% 20% 50% 80%"},
		{rateScale{top: 1, roots: true}, "0% 2% 10% 20% 50% 100%"},
	} {
		var got []string
		for _, tick := range test.scale.ticks(0.12) {
			got = append(got, percent(tick))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%+v: got %q, want %s", test.scale, got, test.want)
		}
	}
}

func TestTimeTicks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		length time.Duration
		want   string
	}{
		{40 * time.Second, "12:00:00 12:00:10 12:00:20 12:00:30 12:00:40"},
		{4 * time.Minute, "12:00 12:01 12:02 12:03 12:04"},
		{time.Hour, "12:00 12:15 12:30 12:45 13:00"},
		{24 * time.Hour, "12:00 18:00 00:00 06:00 12:00"},
		{72 * time.Hour, "5 Mar 2026 6 Mar 2026 7 Mar 2026"},
	} {
		s := timeScale{from: seconds(noon()), to: seconds(after(test.length))}
		var got []string
		for _, tick := range s.ticks(5) {
			got = append(got, tick.text)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %q, want %s", test.length, got, test.want)
		}
	}
}

// A bound is never rounded down.
func TestPercentUp(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]string{0.032: "3.2%", 0.03186: "3.2%", 0.04802: "4.9%", 0.05: "5%", 0.00041: "0.041%", 1: "100%"} {
		if got := percentUp(rate); got != want {
			t.Errorf("%g: got %s, want %s", rate, got, want)
		}
	}
}

// A line is broken where there was nothing for longer than its gap.
func TestRuns(t *testing.T) {
	t.Parallel()
	at := func(seconds ...int) (list []Point) {
		for _, s := range seconds {
			list = append(list, Point{At: after(time.Duration(s) * time.Second), Requests: 1})
		}
		return list
	}
	for gap, want := range map[time.Duration][]int{0: {5}, 5 * time.Second: {3, 2}, 4 * time.Second: {1, 1, 1, 2}} {
		var got []int
		for _, run := range runs(Series{Points: at(0, 5, 10, 20, 21), Gap: gap}) {
			got = append(got, len(run))
		}
		if !slices.Equal(got, want) {
			t.Errorf("gap %s: got runs of %v, want %v", gap, got, want)
		}
	}
}
