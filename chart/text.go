package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Text draws a graph as rows of characters for a terminal with a font of equal widths: height rows of
// at most width characters, and one with the times. The new revision's rate is bars, the other lines
// are made of "○", the limit of dashes; each is named at its right end. A bar that does not reach the
// row of the limit is below it; one that does is "▓" there. Bands, marks and the bound are left to the
// picture. nil if there is nothing to draw, or no room.
func Text(g Graph, width, height int) []string {
	g, err := tidy(g)
	if err != nil {
		return nil
	}
	p := newPage(g, width, height)
	if p.columns < fewestColumns || height < fewestRows {
		return nil
	}
	bars := barSeries(g.Series)
	for i, s := range g.Series {
		if i != bars {
			p.levels(s)
		}
	}
	p.limit()
	if bars >= 0 {
		p.bars(g.Series[bars])
	}
	return p.rows()
}

const (
	fewestColumns = 8
	fewestRows    = 3
	left          = 5 // columns of the numbers at the axis, as in "100% "
	longestName   = 16
)

// page is what Text fills, row 0 at the bottom.
type page struct {
	graph   Graph
	rates   rateScale
	cells   [][]rune
	names   []string // at the right, by row
	columns int
	from    time.Time
	column  time.Duration // how long one is
}

func newPage(g Graph, width, height int) *page {
	for i := range g.Series {
		g.Series[i].Name = cutRunes(g.Series[i].Name, longestName)
	}
	p := &page{graph: g, rates: newRateScale(g), names: make([]string, max(height, 0))}
	widest := 0
	for _, s := range g.Series {
		widest = max(widest, utf8.RuneCountInString(s.Name))
	}
	if g.Limit > 0 {
		widest = max(widest, utf8.RuneCountInString(limitName(g)))
	}
	if p.columns = width - left - 1 - widest; p.columns < fewestColumns {
		return p
	}
	for range height {
		p.cells = append(p.cells, slices.Repeat([]rune{' '}, p.columns))
	}
	from, until := g.Series[0].Points[0].At, time.Time{}
	for _, s := range g.Series {
		if s.Points[0].At.Before(from) {
			from = s.Points[0].At
		}
		if end := s.end().Add(slice(s)); end.After(until) {
			until = end
		}
	}
	p.from, p.column = from, max(until.Sub(from)/time.Duration(p.columns), 1)
	return p
}

func cutRunes(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}

// slice is how long a series' points are: the least time between two of them.
func slice(s Series) time.Duration {
	least := time.Duration(math.MaxInt64)
	for i, p := range s.Points[1:] {
		if d := p.At.Sub(s.Points[i].At); d > 0 {
			least = min(least, d)
		}
	}
	if least == math.MaxInt64 {
		return time.Second
	}
	return least
}

// barSeries is the index of the line drawn as bars: the first new one, else the first that is not old;
// -1 if there is none.
func barSeries(series []Series) int {
	if i := slices.IndexFunc(series, func(s Series) bool { return s.Kind == New }); i >= 0 {
		return i
	}
	return slices.IndexFunc(series, func(s Series) bool { return s.Kind != Old })
}

func limitName(g Graph) string { return "limit " + percent(g.Limit) }

// row is the row in which a rate lies.
func (p *page) row(rate float64) int {
	return min(int(p.rates.at(rate)*float64(len(p.cells))), len(p.cells)-1)
}

// limitRow is the limit's row, which leaves one for what is below. -1 if there is no limit.
func (p *page) limitRow() int {
	if p.graph.Limit == 0 {
		return -1
	}
	return max(p.row(p.graph.Limit), 1)
}

func (p *page) levels(s Series) {
	for i, rate := range p.sampled(s) {
		if rate >= 0 {
			p.cells[p.besideLimit(rate)][i] = '○'
		}
	}
	last := s.Points[len(s.Points)-1].rate()
	p.name(p.besideLimit(last), s.Name)
}

// besideLimit is a rate's row, on the side of the limit's on which it belongs.
func (p *page) besideLimit(rate float64) int {
	row, limit := p.row(rate), p.limitRow()
	switch {
	case limit >= 0 && rate <= p.graph.Limit:
		return min(row, limit-1)
	case limit >= 0:
		return max(row, min(limit+1, len(p.cells)-1))
	}
	return row
}

func (p *page) limit() {
	row := p.limitRow()
	if row < 0 {
		return
	}
	for i := range p.cells[row] {
		if p.cells[row][i] == ' ' {
			p.cells[row][i] = '╌'
		}
	}
	p.name(row, limitName(p.graph))
}

// bars draws columns from the bottom, in eighths of a row.
func (p *page) bars(s Series) {
	const eighths = " ▁▂▃▄▅▆▇█"
	for i, rate := range p.sampled(s) {
		if rate < 0 {
			continue
		}
		height := max(1, int(math.Round(p.rates.at(rate)*float64(8*len(p.cells)))))
		if limit := p.limitRow(); limit >= 0 && rate <= p.graph.Limit {
			height = min(height, 8*limit)
		} else if limit >= 0 {
			height = max(height, 8*(limit+1))
		}
		for row := 0; row < len(p.cells) && height > 8*row; row++ {
			p.cells[row][i] = []rune(eighths)[min(8, height-8*row)]
			if row == p.limitRow() {
				p.cells[row][i] = '▓'
			}
		}
	}
	p.name(p.besideLimit(s.Points[len(s.Points)-1].rate()), s.Name)
}

// sampled are the rates of a series by column: what the points in a column have together, else the
// point whose slice lasts into it, else -1.
func (p *page) sampled(s Series) []float64 {
	list := make([]float64, p.columns)
	lasts, next := slice(s), 0
	for i := range list {
		begin := p.from.Add(time.Duration(i) * p.column)
		var sum Point
		for ; next < len(s.Points) && (s.Points[next].At.Before(begin.Add(p.column)) || i == len(list)-1); next++ {
			sum.Requests += s.Points[next].Requests
			sum.Errors += s.Points[next].Errors
		}
		if sum.Requests <= 0 && next > 0 && begin.Sub(s.Points[next-1].At) < lasts {
			sum = s.Points[next-1]
		}
		if list[i] = -1; sum.Requests > 0 {
			list[i] = sum.rate()
		}
	}
	return list
}

// name writes a name at the end of a row, or of the nearest that has none.
func (p *page) name(row int, name string) {
	for away := range len(p.names) {
		for _, r := range []int{row + away, row - away} {
			if r >= 0 && r < len(p.names) && p.names[r] == "" {
				p.names[r] = name
				return
			}
		}
	}
}

// rows puts numbers, cells and names together, the top row first, and the times below.
func (p *page) rows() []string {
	var list []string
	for row := len(p.cells) - 1; row >= 0; row-- {
		list = append(list, strings.TrimRight(fmt.Sprintf("%*s %s %s", left-1, p.number(row), string(p.cells[row]), p.names[row]), " "))
	}
	first, last := p.clock(0), p.clock(p.columns)
	if room := p.columns - len(first) - len(last); room > 0 {
		list = append(list, strings.Repeat(" ", left)+first+strings.Repeat(" ", room)+last)
	}
	return list
}

// number is what stands at the axis: the top, and zero. What is between has its name at the right.
func (p *page) number(row int) string {
	switch row {
	case len(p.cells) - 1:
		return percent(p.rates.top)
	case 0:
		return "0%"
	}
	return ""
}

func (p *page) clock(column int) string {
	return p.from.Add(time.Duration(column) * p.column).UTC().Format("15:04:05")
}
