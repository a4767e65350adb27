package gcp

import (
	"math"

	"google.golang.org/genproto/googleapis/api/distribution"
)

// classBounds are the bounds [low, high) of a distribution's class i, whose first and last are open:
// google.api.Distribution.BucketOptions has the three ways of writing them. Without any, all of it is one.
func classBounds(o *distribution.Distribution_BucketOptions, i int) (low, high float64) {
	n, bound := boundsOf(o)
	low, high = math.Inf(-1), math.Inf(1)
	if i > 0 {
		low = bound(min(i, n) - 1)
	}
	if i < n {
		high = bound(i)
	}
	return low, high
}

// boundsOf are how many bounds there are and what each is, ascending from 0.
func boundsOf(o *distribution.Distribution_BucketOptions) (n int, bound func(i int) float64) {
	switch {
	case o.GetExponentialBuckets() != nil:
		e := o.GetExponentialBuckets()
		return int(e.GetNumFiniteBuckets()) + 1, func(i int) float64 { return e.GetScale() * math.Pow(e.GetGrowthFactor(), float64(i)) }
	case o.GetLinearBuckets() != nil:
		l := o.GetLinearBuckets()
		return int(l.GetNumFiniteBuckets()) + 1, func(i int) float64 { return l.GetOffset() + l.GetWidth()*float64(i) }
	case len(o.GetExplicitBuckets().GetBounds()) > 0:
		bounds := o.GetExplicitBuckets().GetBounds()
		return len(bounds), func(i int) float64 { return bounds[i] }
	}
	return 0, func(int) float64 { return math.Inf(-1) }
}
