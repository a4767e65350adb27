// Package chart draws error rates over time as PNG images, made to be read at the width of a phone,
// and as rows of text for a terminal.
package chart

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Graph is what is drawn. Rates are fractions 0–1; times are shown in UTC. What has no value is left
// out of the picture rather than drawn as zero. Every time in it widens the picture, save the zero
// Time, which stands for the picture's beginning or end.
type Graph struct {
	Title    string // the finding in numbers: "backend on staging: 72% → 0.9% errors"
	Subtitle string // what a point is: "share of failed requests, slices of 5 s, UTC"
	Series   []Series
	Limit    float64 // 0: no limit
	AtMost   *AtMost // nil: none is proven
	Bands    []Band
	Marks    []Mark // labels that find no room are left out: the last mark's goes first, then the first's
}

// Series is one line: a revision's error rate. Kind decides its colour and its dash, so that neither
// carries the meaning alone.
type Series struct {
	Name   string // stands at the line's end, so it may say the rate: "new 0.9%"
	Kind   Kind
	Points []Point       // in any order; those without requests are left out
	Gap    time.Duration // a longer one breaks the line; 0: none does
}

// Kind tells the lines apart.
type Kind int

// The kinds of lines: what served before, what is new, and others.
const (
	Old Kind = iota
	New
	Other
)

// Point is the requests that started in one slice of time.
type Point struct {
	At       time.Time // the slice's beginning
	Requests int64
	Errors   int64
}

// AtMost is what a verdict has proven about the rate, over the window it is about.
type AtMost struct {
	Rate         float64
	Label        string // "": "at most" and the rate, rounded up
	Since, Until time.Time
}

// Band is a phase of the rollout, shaded behind the lines.
type Band struct {
	Name         string // "10%"
	Since, Until time.Time
}

// Mark is a moment: a deploy, a verdict.
type Mark struct {
	At    time.Time
	Label string
}

// ErrEmpty is returned for a graph in which no series has a point with requests.
var ErrEmpty = errors.New("nothing to draw: no slice of any series has requests")

// rate is a point's share of errors.
func (p Point) rate() float64 {
	return min(1, max(0, float64(p.Errors)/float64(p.Requests)))
}

// longestText is how much of any text is looked at; nothing so long fits.
const longestText = 300

// tidy returns a copy that can be drawn as it is: points sorted and with requests, rates that are
// fractions, text in one line. ErrEmpty if there are no points.
func tidy(g Graph) (Graph, error) {
	g.Title, g.Subtitle, g.Limit = oneLine(g.Title), oneLine(g.Subtitle), fraction(g.Limit)
	var series []Series
	for _, s := range g.Series {
		s.Name = oneLine(s.Name)
		s.Points = slices.DeleteFunc(slices.Clone(s.Points), func(p Point) bool { return p.Requests <= 0 })
		slices.SortStableFunc(s.Points, func(a, b Point) int { return a.At.Compare(b.At) })
		if len(s.Points) > 0 {
			series = append(series, s)
		}
	}
	g.Series = series
	if len(series) == 0 {
		return g, ErrEmpty
	}
	g.Bands, g.Marks = slices.Clone(g.Bands), slices.Clone(g.Marks)
	for i := range g.Bands {
		g.Bands[i].Name = oneLine(g.Bands[i].Name)
	}
	for i := range g.Marks {
		g.Marks[i].Label = oneLine(g.Marks[i].Label)
	}
	slices.SortStableFunc(g.Marks, func(a, b Mark) int { return a.At.Compare(b.At) })
	g.AtMost = tidyBound(g.AtMost)
	return g, nil
}

func tidyBound(bound *AtMost) *AtMost {
	if bound == nil || fraction(bound.Rate) == 0 {
		return nil
	}
	tidied := *bound
	tidied.Rate = fraction(bound.Rate)
	tidied.Label = cmp.Or(oneLine(bound.Label), "at most "+percentUp(tidied.Rate))
	return &tidied
}

// fraction is a rate between 0 and 1; what is no number is 0.
func fraction(rate float64) float64 {
	if math.IsNaN(rate) {
		return 0
	}
	return min(1, max(0, rate))
}

// oneLine is text without line breaks and what else cannot be drawn.
func oneLine(s string) string {
	s = s[:min(len(s), 4*longestText)]
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	runes := []rune(strings.Join(strings.Fields(s), " "))
	return string(runes[:min(len(runes), longestText)])
}

// times calls f with every time that the graph names.
func (g Graph) times(f func(time.Time)) {
	for _, s := range g.Series {
		f(s.Points[0].At)
		f(s.Points[len(s.Points)-1].At)
	}
	for _, b := range g.Bands {
		f(b.Since)
		f(b.Until)
	}
	for _, m := range g.Marks {
		f(m.At)
	}
	if g.AtMost != nil {
		f(g.AtMost.Since)
		f(g.AtMost.Until)
	}
}
