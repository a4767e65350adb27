package page

import (
	"fmt"
	"strings"
	"time"
)

// The size of a sparkline, in SVG units.
const (
	sparkWidth  = 240
	sparkHeight = 36
	// smoothing makes a line of counts that come in steps.
	smoothing = 5 * time.Second
)

// spark is a sparkline: the requests a second as an area, and the failing ones of them as another in front.
type spark struct {
	Requests, Errors string // SVG paths; "" with too few samples
	Top              string // what the upper edge stands for
}

func sparkOf(samples []sample) spark {
	if len(samples) < 3 {
		return spark{}
	}
	last := samples[len(samples)-1].at
	var xs, requests, errors []float64
	top := 1.0
	for i := 1; i < len(samples); i++ {
		r := rateOf(samples[:i+1], smoothing)
		xs = append(xs, sparkWidth*(1-float64(last.Sub(samples[i].at))/float64(sparkSpan)))
		requests, errors = append(requests, r.rps), append(errors, r.rps*r.errors)
		top = max(top, r.rps)
	}
	return spark{Requests: area(xs, requests, top), Errors: area(xs, errors, top), Top: number(top)}
}

// area is the path around what lies under a curve.
func area(xs, ys []float64, top float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "M%.1f %d", xs[0], sparkHeight)
	for i, x := range xs {
		fmt.Fprintf(&b, "L%.1f %.1f", x, sparkHeight*(1-ys[i]/top))
	}
	fmt.Fprintf(&b, "L%.1f %dZ", xs[len(xs)-1], sparkHeight)
	return b.String()
}
