package rollout

import "time"

// maxPoints is what Slack's data_visualization block takes in one series
// (docs.slack.dev/reference/block-kit/blocks/data-visualization-block).
const maxPoints = 20

// SliceOf is how long the slices are into which the window [since, until) is divided: the whole of it
// in at most 20, and none shorter than the second that logs are counted by.
func SliceOf(since, until time.Time) time.Duration {
	return max(until.Sub(since)/maxPoints, time.Second)
}

// PointsOf sorts the slots of a window, which ascend, into its slices. Slices without requests are
// left out.
func PointsOf(since, until time.Time, slots []Slot) []Point {
	slice := SliceOf(since, until)
	var points []Point
	for _, s := range slots {
		if s.At.Before(since) || !s.At.Before(until) {
			continue
		}
		at := since.Add(time.Duration(min(int(s.At.Sub(since)/slice), maxPoints-1)) * slice)
		if n := len(points); n == 0 || points[n-1].At.Before(at) {
			points = append(points, Point{At: at})
		}
		last := &points[len(points)-1]
		last.Requests += s.Requests
		last.Errors += s.Errors
	}
	return points
}
