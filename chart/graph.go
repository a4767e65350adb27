// Package chart draws error rates over time as PNG images, made to be read at the width of a phone,
// and as rows of text for a terminal.
package chart

import "time"

// Graph is what is drawn. Rates are fractions 0–1; times are shown in UTC. What has no value is left
// out of the picture rather than drawn as zero.
type Graph struct {
	Title    string // the finding in numbers: "backend on staging: 72% → 0.9% errors"
	Subtitle string // what a point is: "share of failed requests, slices of 5 s, UTC"
	Series   []Series
	Limit    float64 // 0: no limit
	AtMost   *AtMost // nil: none is proven
	Bands    []Band
	Marks    []Mark
}

// Series is one line: a revision's error rate. Kind decides its colour and its dash, so that neither
// carries the meaning alone.
type Series struct {
	Name   string // stands at the line's end
	Kind   Kind
	Points []Point // ascending; a gap of more than Gap breaks the line
	Gap    time.Duration
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
