package chart

import (
	"cmp"
	"image/color"
	"slices"
	"time"

	"gonum.org/v1/plot/vg"
)

// Sizes of text, in pixels of the canvas. None is below 26: on a phone it is shown at 40%.
const (
	titleSize  = 46
	titleLeast = 36 // a longer title is set smaller down to this, and cut from there on
	smallSize  = 26 // the subtitle, the axes, the phases
	markSize   = 28
	nameSize   = 32 // of the lines
)

// Distances, in pixels of the canvas.
const (
	edge      = 28 // between what is drawn and the canvas's edge
	rowHeight = 36 // of a row of labels
	leader    = 34 // from a line's end to its name
	widest    = 300
)

// The colours of Okabe and Ito (jfly.uni-koeln.de/color), which people who cannot tell red from green can tell apart,
// and greys.
func vermilion() color.Color { return color.RGBA{0xD5, 0x5E, 0x00, 0xFF} }
func blue() color.Color      { return color.RGBA{0x00, 0x72, 0xB2, 0xFF} }
func paleBlue() color.Color  { return color.RGBA{0xC9, 0xE1, 0xF0, 0xFF} }
func ink() color.Color       { return color.RGBA{0x1D, 0x1C, 0x1D, 0xFF} }
func grey() color.Color      { return color.RGBA{0x55, 0x55, 0x55, 0xFF} }
func faint() color.Color     { return color.RGBA{0xD4, 0xD4, 0xD4, 0xFF} }
func shade(i int) color.Color {
	return []color.Color{color.RGBA{0xEC, 0xEE, 0xF1, 0xFF}, color.RGBA{0xF7, 0xF8, 0xF9, 0xFF}}[i%2]
}

// look is how a line is drawn.
type look struct {
	ink    color.Color
	text   color.Color
	dashes []vg.Length
	square bool
}

// looks are those of the series, in their order.
func looks(series []Series) []look {
	others := []look{
		{ink: color.RGBA{0x00, 0x9E, 0x73, 0xFF}},
		{ink: color.RGBA{0xCC, 0x79, 0xA7, 0xFF}, dashes: []vg.Length{22, 8}, square: true},
		{ink: color.RGBA{0xE6, 0x9F, 0x00, 0xFF}, dashes: []vg.Length{6, 6}},
		{ink: color.RGBA{0x56, 0xB4, 0xE9, 0xFF}, dashes: []vg.Length{22, 6, 6, 6}, square: true},
	}
	list, n := make([]look, len(series)), 0
	for i, s := range series {
		switch s.Kind {
		case New:
			list[i] = look{ink: blue(), text: blue()}
		case Old:
			list[i] = look{ink: vermilion(), text: vermilion(), dashes: []vg.Length{16, 9}, square: true}
		default:
			list[i] = others[n%len(others)]
			list[i].text = ink() // these colours are too pale for letters
			n++
		}
	}
	return list
}

// composer makes a scene of a graph.
type composer struct {
	scene
	letters
	graph    Graph
	looks    []look
	rates    rateScale
	times    timeScale
	frame    box     // what the axes enclose
	strip    float64 // the top of the row of the phases' names, just above the frame
	track    []line  // the lines of the series, which labels should not cover
	uprights []line  // the lines of the marks
	levels   []line  // the grid and the limit, which they may cover if need be
}

// compose lays a graph out. What has the least room is placed first: what stands beside the frame
// decides how wide that is, and what stands above it how high.
func compose(g Graph) (scene, error) {
	g, err := tidy(g)
	if err != nil {
		return scene{}, err
	}
	c := &composer{letters: newLetters(), graph: g, looks: looks(g.Series), rates: newRateScale(g), times: newTimeScale(g)}
	c.frame = box{left: edge, top: c.heading(), right: canvasWidth - edge, bottom: canvasHeight - edge - smallSize - 4}
	ticks := c.rates.ticks(0.12)
	c.frame.left += c.widestTick(ticks) + 12
	names := c.names()
	c.frame.right = c.rightOf(names)
	c.markLabels()
	c.bands()
	c.axes(ticks)
	c.bound()
	c.limit()
	c.marks()
	c.series()
	c.nameBeside(names)
	c.nameInside(names)
	return c.scene, nil
}

// heading sets title and subtitle and returns where they end.
func (c *composer) heading() (bottom float64) {
	const room = canvasWidth - 2*edge
	size := float64(titleSize)
	for size > titleLeast && c.width(c.graph.Title, size, true) > room {
		size--
	}
	y := float64(edge) - 6
	if title := c.cut(c.graph.Title, room, size, true); title != "" {
		c.write(title, edge, y, size, true, ink())
		y += titleSize + 12
	}
	if subtitle := c.cut(c.graph.Subtitle, room, smallSize, false); subtitle != "" {
		c.write(subtitle, edge, y, smallSize, false, grey())
		y += smallSize + 12
	}
	return y + 6
}

// write adds a label whose box begins at left and top.
func (c *composer) write(text string, left, top, size float64, bold bool, ink color.Color) {
	c.labels = append(c.labels, c.label(text, left, top, size, bold, ink))
}

// label is text whose box begins at left and top. The box is as high as the letters with what
// descends below the line.
func (c *composer) label(text string, left, top, size float64, bold bool, ink color.Color) label {
	const ascent, height = 0.8, 1.05
	return label{
		text: text, size: size, bold: bold, ink: ink, start: point{left, top + ascent*size},
		box: box{left, top, left + c.width(text, size, bold), top + height*size},
	}
}

func (c *composer) x(share float64) float64 {
	return c.frame.left + share*(c.frame.right-c.frame.left)
}

func (c *composer) y(rate float64) float64 {
	return c.frame.bottom - c.rates.at(rate)*(c.frame.bottom-c.frame.top)
}

func (c *composer) place(p Point) point { return point{c.x(c.times.at(p.At)), c.y(p.rate())} }

func (c *composer) widestTick(ticks []float64) float64 {
	width := 0.0
	for _, t := range ticks {
		width = max(width, c.width(percent(t), smallSize, false))
	}
	return width
}

// axes draws the grid with its numbers.
func (c *composer) axes(ticks []float64) {
	for _, t := range ticks {
		y, text := c.y(t), percent(t)
		c.level(line{width: 1.5, ink: faint()}, y)
		c.write(text, c.frame.left-12-c.width(text, smallSize, false), y-smallSize*0.55, smallSize, false, grey())
	}
	c.lines = append(c.lines, line{points: []point{{c.frame.left, c.frame.bottom}, {c.frame.right, c.frame.bottom}}, width: 2.5, ink: grey()})
	for _, t := range c.times.ticks(c.roomForTimes()) {
		width := c.width(t.text, smallSize, false)
		x, top := c.x(t.at), c.frame.bottom+15
		left := min(canvasWidth-edge-width, max(edge, x-width/2))
		c.lines = append(c.lines, line{points: []point{{x, c.frame.bottom}, {x, c.frame.bottom + 8}}, width: 2.5, ink: grey()})
		if text := c.label(t.text, left, top, smallSize, false, grey()); c.free(text.box, 8) {
			c.labels = append(c.labels, text)
		}
	}
}

// roomForTimes is how many times can stand below the frame.
func (c *composer) roomForTimes() int {
	const most, apart = 7, 40
	width := c.width("30 Sep 2026", smallSize, false)
	if c.times.to-c.times.from < day {
		width = c.width("00:00:00", smallSize, false)
	}
	return max(1, min(most, int((c.frame.right-c.frame.left)/(width+apart))))
}

// bands shades the phases and names them in a row above the frame, as the heads of columns.
func (c *composer) bands() {
	for i, b := range c.graph.Bands {
		from, to := c.times.span(b.Since, b.Until)
		left, right := c.x(from), c.x(to)
		if right <= left {
			continue
		}
		c.areas = append(c.areas, area{box{left, c.strip, right, c.frame.bottom}, shade(i)})
		text := c.cut(b.Name, right-left-12, smallSize, false)
		if text == "" {
			continue
		}
		width := c.width(text, smallSize, false)
		starts := []float64{(left + right - width) / 2, left + 6, right - 6 - width}
		name := func(start float64) label { return c.label(text, start, c.strip+4, smallSize, false, grey()) }
		slices.SortStableFunc(starts, func(a, b float64) int {
			return cmp.Compare(crossings(name(a).box, c.uprights), crossings(name(b).box, c.uprights))
		})
		if best := name(starts[0]); c.free(best.box, 4) {
			c.labels = append(c.labels, best)
		}
	}
}

// bound shades what the rate is at most.
func (c *composer) bound() {
	b := c.graph.AtMost
	if b == nil {
		return
	}
	from, to := c.times.span(b.Since, b.Until)
	left, right, top := c.x(from), c.x(to), c.y(b.Rate)
	c.areas = append(c.areas, area{box{left, top, right, c.frame.bottom}, paleBlue()})
	c.lines = append(c.lines, line{points: []point{{left, top}, {right, top}}, width: 2, ink: blue()})
}

func (c *composer) limit() {
	if c.graph.Limit > 0 {
		c.level(line{width: 3.5, dashes: []vg.Length{26, 12}, ink: ink()}, c.y(c.graph.Limit))
	}
}

// level draws a line from one side of the frame to the other.
func (c *composer) level(l line, y float64) {
	l.points = []point{{c.frame.left, y}, {c.frame.right, y}}
	c.lines, c.levels = append(c.lines, l), append(c.levels, l)
}

// fewPoints are so many that each can be seen.
const fewPoints = 40

// series draws the lines, broken where there is nothing, and the points where they are few.
func (c *composer) series() {
	for i, s := range c.graph.Series {
		look := c.looks[i]
		for _, run := range runs(s) {
			l := line{width: 5, dashes: look.dashes, ink: look.ink}
			for _, p := range run {
				l.points = append(l.points, c.place(p))
			}
			if c.track = append(c.track, l); len(run) > 1 {
				c.lines = append(c.lines, l)
			}
			for _, p := range l.points {
				if len(s.Points) <= fewPoints || len(run) == 1 {
					c.dots = append(c.dots, dot{point: p, radius: 7, square: look.square, ink: look.ink})
				}
			}
		}
	}
}

// runs are the parts of a series without gaps.
func runs(s Series) [][]Point {
	var list [][]Point
	for i, p := range s.Points {
		if i == 0 || s.Gap > 0 && p.At.Sub(s.Points[i-1].At) > s.Gap {
			list = append(list, nil)
		}
		list[len(list)-1] = append(list[len(list)-1], p)
	}
	return list
}

// end is the last moment at which a series has a point.
func (s Series) end() time.Time { return s.Points[len(s.Points)-1].At }
