package chart

import (
	"cmp"
	"image/color"
	"math"
	"slices"
)

// free is true where no label is nearer than gap and the canvas goes on.
func (c *composer) free(b box, gap float64) bool {
	if b.left < 0 || b.top < 0 || b.right > canvasWidth || b.bottom > canvasHeight {
		return false
	}
	wide := box{b.left - gap, b.top, b.right + gap, b.bottom}
	return !slices.ContainsFunc(c.labels, func(l label) bool { return wide.overlaps(l.box) })
}

func (b box) overlaps(other box) bool {
	return b.left < other.right && other.left < b.right && b.top < other.bottom && other.top < b.bottom
}

// markRows is how many rows the marks' labels may take.
const markRows = 2

// stem is a mark with the row that its label found; -1: none.
type stem struct {
	x    float64
	row  int
	left float64 // of the label
	text string
}

// markLabels finds rooms for the marks' labels in rows above the frame, and lowers the frame by as
// many rows as were needed. The last mark is the verdict as a rule and the first the deploy, so they
// are served first, then the others, later ones before earlier ones.
func (c *composer) markLabels() {
	stems := make([]stem, len(c.graph.Marks))
	for i, m := range c.graph.Marks {
		stems[i] = stem{x: c.x(c.times.at(m.At)), row: -1}
	}
	rows := 0
	for _, i := range firstAndLast(len(stems)) {
		for _, width := range []float64{400, 200, 110} {
			stems[i].text = c.cut(c.graph.Marks[i].Label, width, markSize, false)
			if stems[i].text != "" && c.seat(stems, i) {
				break
			}
		}
		rows = max(rows, stems[i].row+1)
	}
	c.strip = c.frame.top + float64(rows)*rowHeight
	c.frame.top = c.strip
	if len(c.graph.Bands) > 0 {
		c.frame.top += rowHeight
	}
	c.frame.top += 8 // so that a line at the top is whole
	for _, s := range stems {
		if s.row >= 0 {
			c.write(s.text, s.left, c.rowTop(s.row), markSize, false, ink())
		}
	}
	c.stems(stems)
}

// rowTop is the top of the text in a row, counted upward from the frame.
func (c *composer) rowTop(row int) float64 { return c.strip - float64(row+1)*rowHeight }

// firstAndLast are the indices below n: the last, the first, then the others from behind.
func firstAndLast(n int) []int {
	var list []int
	for i := n - 1; i >= 0; i-- {
		list = append(list, i)
	}
	if n > 2 {
		list = slices.Insert(list[:n-1], 1, 0)
	}
	return list
}

// seat finds the label of stem i a place: above its line, right or left of it, in the lowest row in
// which it touches no other label and no other mark's line.
func (c *composer) seat(stems []stem, i int) bool {
	s := &stems[i]
	width := c.width(s.text, markSize, false)
	for row := range markRows {
		for _, left := range s.sides(stems, width) {
			left = min(canvasWidth-edge-width, max(edge, left))
			if c.fits(stems, i, row, left, width) {
				s.row, s.left = row, left
				return true
			}
		}
	}
	return false
}

// sides are where a label may begin, best first: in the middle, unless a mark on one side needs that
// side for its own.
func (s *stem) sides(stems []stem, width float64) []float64 {
	middle, right, left := s.x-width/2, s.x-4, s.x+4-width
	near := func(from, to float64) bool {
		return slices.ContainsFunc(stems, func(other stem) bool { return other.x > from && other.x < to })
	}
	switch before, behind := near(s.x-width, s.x), near(s.x, s.x+width); {
	case behind && !before:
		return []float64{left, middle, right}
	case before && !behind:
		return []float64{right, middle, left}
	}
	return []float64{middle, right, left}
}

func (c *composer) fits(stems []stem, i, row int, left, width float64) bool {
	const gap = 14
	for j, other := range stems {
		if j == i || other.row < 0 {
			continue
		}
		right := other.left + c.width(other.text, markSize, false)
		switch {
		case other.row == row && left < right+gap && other.left < left+width+gap,
			other.row < row && stems[i].x > other.left-gap/2 && stems[i].x < right+gap/2, // its line would cross the label below
			other.row > row && other.x > left-gap/2 && other.x < left+width+gap/2:
			return false
		}
	}
	return true
}

// stems draws the marks' lines from their labels down; a mark without a label has a thinner one, in the frame.
func (c *composer) stems(stems []stem) {
	for _, s := range stems {
		top, width := c.frame.top, 1.5
		if s.row >= 0 {
			top, width = c.rowTop(s.row)+markSize*1.1, 3
		}
		c.uprights = append(c.uprights, line{points: []point{{s.x, top}, {s.x, c.frame.bottom}}, width: width, ink: grey()})
	}
}

// marks adds the lines of the marks to the scene.
func (c *composer) marks() { c.lines = append(c.lines, c.uprights...) }

// name is what is written at the end of a line, of the limit or of a bound.
type name struct {
	text  string
	rate  float64
	at    float64 // where the line ends, 0–1
	ink   color.Color
	bold  bool
	order int // who has to be read goes first
}

// beside is where lines have to end to be named beside the frame.
const beside = 0.9

// names are all of them, by rate from the top.
func (c *composer) names() []name {
	var list []name
	for i, s := range c.graph.Series {
		n := name{text: s.Name, rate: s.Points[len(s.Points)-1].rate(), at: c.times.at(s.end()), ink: c.looks[i].text, bold: true, order: 3}
		if s.Kind == New {
			n.order = 0
		}
		list = append(list, n)
	}
	if c.graph.Limit > 0 {
		list = append(list, name{text: "limit " + percent(c.graph.Limit), rate: c.graph.Limit, at: 1, ink: ink(), order: 1})
	}
	if b := c.graph.AtMost; b != nil {
		_, until := c.times.span(b.Since, b.Until)
		list = append(list, name{text: b.Label, rate: b.Rate, at: until, ink: blue(), order: 2})
	}
	for i := range list {
		list[i].text = c.cut(list[i].text, widest, nameSize, list[i].bold)
	}
	list = slices.DeleteFunc(list, func(n name) bool { return n.text == "" })
	slices.SortStableFunc(list, func(a, b name) int { return cmp.Compare(b.rate, a.rate) })
	return list
}

// rightOf is where the frame ends, so that the names beside it have room.
func (c *composer) rightOf(names []name) float64 {
	right := float64(canvasWidth - edge)
	for _, n := range names {
		if n.at >= beside {
			right = min(right, canvasWidth-edge-leader-c.width(n.text, nameSize, n.bold))
		}
	}
	return right
}

// nameBeside writes the names of what ends at the frame's right, each as near to its height as the
// others let it, with a thin line between.
func (c *composer) nameBeside(names []name) {
	const height = nameSize * 1.12
	top, bottom := c.frame.top-8, c.frame.bottom+14 // between the labels of the marks and of the times
	list := slices.DeleteFunc(slices.Clone(names), func(n name) bool { return n.at < beside })
	for float64(len(list))*height > bottom-top {
		last := slices.MaxFunc(list, func(a, b name) int { return cmp.Compare(a.order, b.order) })
		i := slices.IndexFunc(list, func(n name) bool { return n.order == last.order })
		list = slices.Delete(list, i, i+1)
	}
	middles := make([]float64, len(list))
	for i, n := range list {
		middles[i] = c.y(n.rate)
	}
	spread(middles, height, top, bottom)
	for i, n := range list {
		x, y := c.x(n.at), c.y(n.rate)
		c.lines = append(c.lines, line{points: []point{{x + 8, y}, {max(x, c.frame.right) + 10, y}, {c.frame.right + leader - 8, middles[i]}}, width: 1.5, ink: n.ink})
		c.write(n.text, c.frame.right+leader, middles[i]-nameSize*0.54, nameSize, n.bold, n.ink)
	}
}

// spread moves ascending middles apart, each by as little as it takes, so that intervals of the
// height lie one after the other between top and bottom.
func spread(middles []float64, height, top, bottom float64) {
	for i := range middles {
		low := top + height/2
		if i > 0 {
			low = middles[i-1] + height
		}
		middles[i] = max(middles[i], low)
	}
	high := bottom - height/2
	for i := len(middles) - 1; i >= 0; i-- {
		middles[i] = min(middles[i], high)
		high = middles[i] - height
	}
}

// nameInside writes the names of what ends before the frame does, where they cover no label and as
// little as possible of the lines, near to the end.
func (c *composer) nameInside(names []name) {
	for _, n := range names {
		if n.at >= beside {
			continue
		}
		end := point{c.x(n.at), c.y(n.rate)}
		if spot, ok := c.spot(end, c.label(n.text, 0, 0, nameSize, n.bold, n.ink)); ok {
			c.labels = append(c.labels, spot)
		}
	}
}

// spot moves a label to the cheapest free place near a point.
func (c *composer) spot(end point, l label) (label, bool) {
	const away, step = 14, 12
	width, height := l.right-l.left, l.bottom-l.top
	best, found := math.Inf(1), label{}
	for dy := -10; dy <= 10; dy++ {
		for _, left := range []float64{end.x + away, end.x - width/2, end.x - away - width} {
			b := box{left: left, top: end.y - height/2 + float64(dy)*step}
			b.right, b.bottom = b.left+width, b.top+height
			if b.left < c.frame.left || b.right > c.frame.right || b.top < c.frame.top-8 || b.bottom > c.frame.bottom || !c.free(b, 6) {
				continue
			}
			cost := math.Abs(float64(dy))*step + math.Abs(left-end.x-away)/4 + c.clutter(b)
			if cost < best {
				best, found = cost, l
				found.box, found.start = b, point{l.start.x + b.left, l.start.y + b.top}
			}
		}
	}
	return found, !math.IsInf(best, 1)
}

// clutter is the cost of what a box would cover.
func (c *composer) clutter(b box) float64 {
	const dots = 8 // as far as they reach beyond their lines
	wide := box{b.left - dots, b.top - dots, b.right + dots, b.bottom + dots}
	return float64(200*crossings(wide, c.track) + 200*crossings(b, c.uprights) + 15*crossings(b, c.levels))
}

// crossings counts the pieces of lines that a box would cover.
func crossings(b box, lines []line) int {
	n := 0
	for _, l := range lines {
		for i, p := range l.points {
			if b.crosses(l.points[max(i-1, 0)], p) {
				n++
			}
		}
	}
	return n
}

// crosses is true if a part of the straight line from p to q is in the box.
func (b box) crosses(p, q point) bool {
	from, to := 0.0, 1.0
	for _, side := range [][2]float64{{p.x - q.x, p.x - b.left}, {q.x - p.x, b.right - p.x}, {p.y - q.y, p.y - b.top}, {q.y - p.y, b.bottom - p.y}} {
		direction, distance := side[0], side[1]
		switch share := distance / direction; {
		case direction == 0:
			if distance < 0 {
				return false
			}
		case direction < 0:
			from = max(from, share)
		default:
			to = min(to, share)
		}
	}
	return from <= to
}
