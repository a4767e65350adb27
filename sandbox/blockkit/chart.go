// Charts: https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block.

package blockkit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxSeries is how many series or segments a chart has; there are as many
// colours and dashes.
const maxSeries = 6

// A chart is drawn on a grid of this size and scales with the page.
const (
	chartWidth  = 360.0
	chartHeight = 200.0
	letter      = 6.4 // about the width of one in the labels
)

// chart renders a chart as a drawing, with its numbers in a table that screen
// readers get; the table shows when there is nothing to draw.
func (o *out) chart(b object) {
	title := b.words("title")
	d := readChart(b.object("chart"))
	o.in("div", attrs{"class", "bk-chart"}, func() {
		o.in("div", attrs{"class", "bk-chart-title"}, func() { o.titleOf(b, "title") })
		drawn := d.drawable()
		if drawn {
			o.svg(title+": "+d.summary(), func() { o.draw(d) })
			if d.kind == "bar" && len(d.series) > 1 {
				o.legend(d)
			}
		}
		o.numbers(d, title, drawn)
	})
}

func (o *out) svg(label string, body func()) {
	size := fmt.Sprintf("0 0 %g %g", chartWidth, chartHeight)
	o.in("svg", attrs{"class", "bk-svg", "viewBox", size, "role", "img", "aria-label", label}, func() {
		o.in("title", nil, func() { o.text(label) })
		body()
	})
}

func (o *out) draw(d chartData) {
	if d.kind == "pie" {
		o.pie(d)
		return
	}
	p := newPlot(d)
	o.axes(p)
	switch d.kind {
	case "bar":
		o.bars(p)
	default:
		o.curves(p)
	}
}

// series is one line of a chart; a value that is missing is NaN.
type series struct {
	name   string
	values []float64
}

// chartData is what a chart shows. A pie is one series.
type chartData struct {
	kind       string
	categories []string
	xLabel     string
	yLabel     string
	series     []series
}

func readChart(c object) chartData {
	d := chartData{kind: c.str("type")}
	if d.kind == "pie" {
		one := series{name: "value"}
		for _, s := range firstOf(c.objects("segments"), maxSeries) {
			d.categories = append(d.categories, s.str("label"))
			one.values = append(one.values, valueOf(s))
		}
		d.series = []series{one}
		return d
	}
	axis := c.object("axis_config")
	d.xLabel, d.yLabel = axis.str("x_label"), axis.str("y_label")
	for _, name := range axis.list("categories") {
		text, _ := name.(string)
		d.categories = append(d.categories, text)
	}
	for _, s := range firstOf(c.objects("series"), maxSeries) {
		points := map[string]float64{}
		for _, p := range s.objects("data") {
			points[p.str("label")] = valueOf(p)
		}
		one := series{name: s.str("name")}
		for _, name := range d.categories {
			value, ok := points[name]
			if !ok {
				value = math.NaN()
			}
			one.values = append(one.values, value)
		}
		d.series = append(d.series, one)
	}
	return d
}

func firstOf(all []object, most int) []object { return all[:min(len(all), most)] }

func valueOf(p object) float64 {
	if n, ok := p.number("value"); ok && math.Abs(n) < 1e100 {
		return n
	}
	return math.NaN()
}

// drawable says whether the chart is of a known kind and has a number to show.
func (d chartData) drawable() bool {
	switch d.kind {
	case "pie":
		total := 0.0
		for _, v := range d.series[0].values {
			if !(v > 0) {
				return false
			}
			total += v
		}
		return total > 0
	case "line", "area", "bar":
		low, high := d.span()
		return low <= high
	}
	return false
}

// span is the smallest and the largest value; low > high if there is none.
func (d chartData) span() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, s := range d.series {
		for _, v := range s.values {
			if !math.IsNaN(v) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	return low, high
}

// summary says in words what is drawn.
func (d chartData) summary() string {
	var parts []string
	if d.kind == "pie" {
		for i, v := range d.series[0].values {
			parts = append(parts, d.categories[i]+" "+short(v))
		}
		return "pie chart. " + strings.Join(parts, ", ") + "."
	}
	for _, s := range d.series {
		if n := len(s.values); n > 0 {
			parts = append(parts, fmt.Sprintf("%s from %s to %s", s.name, short(s.values[0]), short(s.values[n-1])))
		}
	}
	text := d.kind + " chart"
	if d.yLabel != "" {
		text += " of " + d.yLabel
	}
	return text + ". " + strings.Join(parts, "; ") + "."
}

// short is a number as people write it.
func short(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

func (o *out) legend(d chartData) {
	o.in("div", attrs{"class", "bk-legend", "aria-hidden", "true"}, func() {
		for i, s := range d.series {
			o.in("span", attrs{"class", "bk-legend-item"}, func() {
				o.in("svg", attrs{"class", "bk-swatch", "viewBox", "0 0 16 12"}, func() {
					o.void("rect", attrs{"class", "bk-bar " + seriesClass(i), "x", "1", "y", "1", "width", "14", "height", "10"})
				})
				o.text(s.name)
			})
		}
	})
}

// numbers is the chart as a table.
func (o *out) numbers(d chartData, title string, unseen bool) {
	class := "bk-table"
	if unseen {
		class = "bk-unseen"
	}
	o.in("table", attrs{"class", class}, func() {
		o.in("caption", nil, func() { o.text(strings.TrimSpace(title + " " + d.yLabel)) })
		o.in("thead", nil, func() {
			o.in("tr", nil, func() {
				o.in("th", attrs{"scope", "col"}, func() { o.text(d.xLabel) })
				for _, s := range d.series {
					o.in("th", attrs{"scope", "col"}, func() { o.text(s.name) })
				}
			})
		})
		o.in("tbody", nil, func() {
			for i, name := range d.categories {
				o.in("tr", nil, func() {
					o.in("th", attrs{"scope", "row"}, func() { o.text(name) })
					for _, s := range d.series {
						o.in("td", nil, func() { o.text(short(s.values[i])) })
					}
				})
			}
		})
	})
}

func seriesClass(i int) string { return "bk-s" + strconv.Itoa(i%maxSeries) }

// shorten cuts a label to so many letters.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
