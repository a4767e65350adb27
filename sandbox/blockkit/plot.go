package blockkit

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// plot is the area inside a chart's axes, on the chart's grid.
type plot struct {
	chartData
	left, right, top, bottom float64
	ticks                    []float64 // of the y axis, ascending; first and last are its ends
}

// maxLabel is how many letters of a series' name stand at the end of its line.
const maxLabel = 14

func newPlot(d chartData) plot {
	p := plot{chartData: d, top: 22, bottom: chartHeight - 24, right: chartWidth - 8}
	if d.xLabel != "" {
		p.bottom -= 13
	}
	low, high := d.span()
	p.ticks = niceTicks(min(low, 0), high)
	widest := 0
	for _, tick := range p.ticks {
		widest = max(widest, len(short(tick)))
	}
	p.left = 8 + letter*float64(widest)
	if d.kind != "bar" {
		longest := 0
		for _, s := range d.series {
			longest = max(longest, min(len([]rune(s.name)), maxLabel))
		}
		p.right -= letter * float64(longest)
	}
	return p
}

// niceTicks are three to six round numbers that enclose the span.
func niceTicks(low, high float64) []float64 {
	if high <= low {
		high = low + 1
	}
	step := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	for _, times := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*times) <= 4 {
			step *= times
			break
		}
	}
	var ticks []float64
	for n := math.Floor(low / step); len(ticks) < 8; n++ {
		ticks = append(ticks, n*step)
		if n*step >= high {
			break
		}
	}
	return ticks
}

func (p plot) y(v float64) float64 {
	low, high := p.ticks[0], p.ticks[len(p.ticks)-1]
	return p.bottom - (v-low)/(high-low)*(p.bottom-p.top)
}

// x is where category i is: at points from edge to edge, or in the middle of
// its band for bars and for a single point.
func (p plot) x(i int) float64 {
	n := len(p.categories)
	if p.kind == "bar" || n == 1 {
		return p.left + (float64(i)+0.5)*p.band()
	}
	return p.left + float64(i)/float64(n-1)*(p.right-p.left)
}

func (p plot) band() float64 { return (p.right - p.left) / float64(len(p.categories)) }

func at(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// label writes text at a place; anchor is start, middle or end.
func (o *out) label(x, y float64, class, anchor, text string) {
	o.in("text", attrs{"class", class, "x", at(x), "y", at(y), "text-anchor", anchor}, func() { o.text(text) })
}

func (o *out) axes(p plot) {
	for _, tick := range p.ticks {
		y := at(p.y(tick))
		class := "bk-grid"
		if tick == 0 {
			class = "bk-axis"
		}
		o.void("line", attrs{"class", class, "x1", at(p.left), "y1", y, "x2", at(p.right), "y2", y})
		o.label(p.left-5, p.y(tick)+4, "bk-tick", "end", short(tick))
	}
	if p.yLabel != "" {
		o.label(2, 10, "bk-tick", "start", p.yLabel)
	}
	for _, i := range p.labelled() {
		o.label(p.x(i), p.bottom+15, "bk-tick", p.anchor(i), shorten(p.categories[i], 12))
	}
	if p.xLabel != "" {
		o.label((p.left+p.right)/2, chartHeight-5, "bk-tick", "middle", p.xLabel)
	}
}

// labelled are the categories that have room for their labels: evenly spread,
// the first among them.
func (p plot) labelled() []int {
	longest := 1
	for _, c := range p.categories {
		longest = max(longest, min(len([]rune(c)), 12))
	}
	n := len(p.categories)
	room := max(1, int((p.right-p.left)/(letter*float64(longest+1))))
	step := (n + room - 1) / room
	if room > 1 && n > room {
		for step < n-1 && (n-1)%step != 0 { // so that the last has one, too
			step++
		}
	}
	var shown []int
	for i := 0; i < n; i += step {
		shown = append(shown, i)
	}
	return shown
}

// anchor keeps the outermost labels inside the drawing.
func (p plot) anchor(i int) string {
	switch n := len(p.categories); {
	case p.kind == "bar" || n == 1:
		return "middle"
	case i == 0:
		return "start"
	case i == n-1:
		return "end"
	}
	return "middle"
}

// curves draws lines, or areas down to zero, with their names at their ends.
func (o *out) curves(p plot) {
	ends := make([]float64, len(p.series))
	for i, s := range p.series {
		ends[i] = math.NaN()
		for _, run := range runs(s.values) {
			o.curve(p, i, s.values, run)
			ends[i] = p.y(s.values[run[1]-1])
		}
	}
	for i, y := range spread(ends, 13, p.top, p.bottom) {
		if !math.IsNaN(y) {
			o.label(p.right+6, y+4, "bk-name "+seriesClass(i), "start", shorten(p.series[i].name, maxLabel))
		}
	}
}

// runs are the stretches [from, to) without a missing value.
func runs(values []float64) [][2]int {
	var found [][2]int
	for i, v := range values {
		switch {
		case math.IsNaN(v):
		case len(found) > 0 && found[len(found)-1][1] == i:
			found[len(found)-1][1]++
		default:
			found = append(found, [2]int{i, i + 1})
		}
	}
	return found
}

func (o *out) curve(p plot, i int, values []float64, run [2]int) {
	var points strings.Builder
	for j := run[0]; j < run[1]; j++ {
		points.WriteString(at(p.x(j)) + "," + at(p.y(values[j])) + " ")
	}
	line := strings.TrimSpace(points.String())
	if p.kind == "area" {
		zero := at(p.y(0))
		area := at(p.x(run[0])) + "," + zero + " " + line + " " + at(p.x(run[1]-1)) + "," + zero
		o.void("polygon", attrs{"class", "bk-area " + seriesClass(i), "points", area})
	}
	o.void("polyline", attrs{"class", "bk-line " + seriesClass(i), "points", line})
	last := run[1] - 1
	o.void("circle", attrs{"class", "bk-dot " + seriesClass(i), "cx", at(p.x(last)), "cy", at(p.y(values[last])), "r", "3"})
}

// bars draws the series side by side, each value on its bar where there is room.
func (o *out) bars(p plot) {
	width := p.band() * 0.8 / float64(max(1, len(p.series)))
	for i, s := range p.series {
		for j, v := range s.values {
			if math.IsNaN(v) {
				continue
			}
			x := p.x(j) - p.band()*0.4 + float64(i)*width
			top, bottom := min(p.y(v), p.y(0)), max(p.y(v), p.y(0))
			o.void("rect", attrs{"class", "bk-bar " + seriesClass(i), "x", at(x), "y", at(top), "width", at(max(width-1, 0.5)), "height", at(bottom - top)})
			if text := short(v); letter*float64(len(text)) < width+4 {
				o.label(x+width/2, top-3, "bk-value", "middle", text)
			}
		}
	}
}

// spread moves places apart until they are a gap away from each other, within
// limits as far as there is room. A missing place stays missing.
func spread(places []float64, gap, low, high float64) []float64 {
	var order []int
	for i, y := range places {
		if !math.IsNaN(y) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case places[a] < places[b]:
			return -1
		case places[a] > places[b]:
			return 1
		}
		return 0
	})
	moved := slices.Clone(places)
	next := low
	for _, i := range order {
		moved[i] = max(moved[i], next)
		next = moved[i] + gap
	}
	next = high
	for _, i := range slices.Backward(order) {
		moved[i] = min(moved[i], next)
		next = moved[i] - gap
	}
	return moved
}

// pie draws the segments clockwise from the top, each with its name beside it.
func (o *out) pie(d chartData) {
	const cx, cy, r = chartWidth / 2, chartHeight / 2, 72.0
	values := d.series[0].values
	total := 0.0
	for _, v := range values {
		total += v
	}
	sides := [2][]float64{}
	for side := range sides {
		sides[side] = slices.Repeat([]float64{math.NaN()}, len(values))
	}
	from := 0.0
	for i, v := range values {
		to := from + v/total
		o.slice(i, cx, cy, r, from, to)
		x, y := onCircle(cx, cy, r+10, (from+to)/2)
		side := 0
		if x < cx {
			side = 1
		}
		sides[side][i] = y
		from = to
	}
	for side, places := range sides {
		for i, y := range spread(places, 26, 14, chartHeight-20) {
			if math.IsNaN(y) {
				continue
			}
			x, anchor := cx+r+16, "start"
			if side == 1 {
				x, anchor = cx-r-16, "end"
			}
			o.label(x, y, "bk-name "+seriesClass(i), anchor, shorten(d.categories[i], maxLabel))
			o.label(x, y+12, "bk-tick", anchor, short(values[i])+" ("+short(math.Round(values[i]/total*100))+"%)")
		}
	}
}

// onCircle is the place on a circle at a part of a turn, clockwise from the top.
func onCircle(cx, cy, r, turn float64) (x, y float64) {
	return cx + r*math.Sin(2*math.Pi*turn), cy - r*math.Cos(2*math.Pi*turn)
}

func (o *out) slice(i int, cx, cy, r, from, to float64) {
	class := "bk-slice " + seriesClass(i)
	if to-from > 0.9999 {
		o.void("circle", attrs{"class", class, "cx", at(cx), "cy", at(cy), "r", at(r)})
		return
	}
	x1, y1 := onCircle(cx, cy, r, from)
	x2, y2 := onCircle(cx, cy, r, to)
	large := "0"
	if to-from > 0.5 {
		large = "1"
	}
	path := "M" + at(cx) + " " + at(cy) + "L" + at(x1) + " " + at(y1) + "A" + at(r) + " " + at(r) + " 0 " + large + " 1 " + at(x2) + " " + at(y2) + "Z"
	o.void("path", attrs{"class", class, "d", path})
}
