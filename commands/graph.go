package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// graph draws the error rate of what serves a target.
func (h *Handler) graph(ctx context.Context, req Request, cmd Command) Reply {
	file := h.File()
	target, ok := findTarget(file, cmd.Target)
	if !ok {
		return Reply{Text: unknown(file, "target", cmd.Target, nil)}
	}
	w := windowOf(req.At, cmd.For)
	looking, cancel := context.WithTimeout(ctx, graphTime)
	defer cancel()
	lines, err := h.series(looking, file.Environment(target.Environment), target, w, req.At)
	if err != nil && (looking.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
		h.Log.WarnContext(ctx, "a graph took too long", "env", target.Environment, "window", cmd.For, "request", req.ID, "err", err)
		return Reply{Text: fmt.Sprintf("Reading the log of %s took too long: there are many requests in %s. Try a shorter time, as in `/deploy graph %s 15m`.", target, rollout.Period(cmd.For), target)}
	}
	if err != nil {
		return h.unseen(ctx, req, target, err)
	}
	alt, some := describeSeries(lines, cmd.For)
	if !some {
		return Reply{Text: alt}
	}
	chart := draw(target, lines, w, alt)
	chart.Fine = &Fine{
		Finding: finding(target, lines, cmd.For), Since: w.since, Slice: w.slice, Slices: w.n,
		Limit: limit(file, target, lines), Deploys: h.deploys(ctx, target, lines, w),
	}
	// For all to see: Slack shows no uploaded picture in a message that only one person sees
	// (https://github.com/slackapi/node-slack-sdk/issues/1790).
	return Reply{Text: alt, Chart: chart, Public: true}
}

// window is the time that a graph shows, in slices of the same length, by which its points are made.
type window struct {
	since time.Time
	slice time.Duration
	n     int
}

// maxPoints and maxName are Slack's limits for a series of data_visualization
// (docs.slack.dev/reference/block-kit/blocks/data-visualization-block). A picture has room for finer
// slices, of which each point of the chart is so many.
const (
	maxPoints = 20
	maxName   = 20
	finer     = 3
)

func windowOf(until time.Time, length time.Duration) window {
	const n = maxPoints * finer
	return window{since: until.Add(-length).UTC(), slice: length / n, n: n}
}

func (w window) until() time.Time { return w.since.Add(time.Duration(w.n) * w.slice) }

// coarse is the same window in as many slices as a chart has points.
func (w window) coarse() window { return window{w.since, w.slice * finer, w.n / finer} }

// labels are the slices' beginnings, each its own word.
func (w window) labels() []string {
	format := "15:04"
	if w.slice < time.Minute {
		format = "15:04:05"
	}
	labels := make([]string, w.n)
	for i := range labels {
		labels[i] = w.since.Add(time.Duration(i) * w.slice).Format(format)
	}
	return labels
}

// line is one service's requests by the slices of a window.
type line struct {
	service  rollout.Service
	requests []int64
	errors   []int64
}

// count sorts requests into the slices.
func (w window) count(s rollout.Service, slots []rollout.Slot) line {
	l := line{service: s, requests: make([]int64, w.n), errors: make([]int64, w.n)}
	for _, slot := range slots {
		if i := int(slot.At.Sub(w.since) / w.slice); !slot.At.Before(w.since) && i < w.n {
			l.requests[i] += slot.Requests
			l.errors[i] += slot.Errors
		}
	}
	return l
}

// series reads what each service of target got in the window.
func (h *Handler) series(ctx context.Context, env *plan.Environment, target plan.Target, w window, now time.Time) ([]line, error) {
	var mu sync.Mutex
	lines := map[string]line{}
	_, err := rollout.LookAtAll(ctx, env, target, func(ctx context.Context, p plan.Service) (rollout.Service, error) {
		s, err := h.Traffic.InspectRevision(ctx, p, "", now)
		if err != nil {
			return s, err
		}
		requests, err := h.Traffic.Requests(ctx, rollout.Query{Service: s, Revision: s.Stable.Name, Since: w.since})
		if err != nil {
			return s, err
		}
		mu.Lock()
		defer mu.Unlock()
		lines[p.Name] = w.count(s, requests.Slots)
		return s, nil
	})
	var sorted []line
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		sorted = append(sorted, lines[name])
	}
	return sorted, err
}

// describeSeries says in words what a chart shows. some is false if there is nothing to draw.
func describeSeries(lines []line, length time.Duration) (text string, some bool) {
	var parts []string
	for _, l := range lines {
		requests, failed := sum(l.requests), sum(l.errors)
		if requests == 0 {
			parts = append(parts, fmt.Sprintf("%s (%s) got no requests in the last %s.", l.service.Name, l.service.Stable.Name, rollout.Period(length)))
			continue
		}
		some = true
		rates := l.coarse().rates()
		parts = append(parts, fmt.Sprintf("%s (%s) in the last %s: errors %s, %s. In slices of %s: at most %s errors, at the end %s.",
			l.service.Name, l.service.Stable.Name, rollout.Period(length), rate(failed, requests), rollout.PerSecond(float64(requests)/length.Seconds()),
			rollout.Period(length/maxPoints), rollout.Percent(slices.Max(rates)), rollout.Percent(rates[len(rates)-1])))
	}
	return strings.Join(parts, "\n"), some
}

// coarse is the same line by the slices of a chart.
func (l line) coarse() line {
	c := line{service: l.service, requests: make([]int64, len(l.requests)/finer), errors: make([]int64, len(l.errors)/finer)}
	for i := range c.requests {
		c.requests[i], c.errors[i] = sum(l.requests[i*finer:(i+1)*finer]), sum(l.errors[i*finer:(i+1)*finer])
	}
	return c
}

// points are the slices that got requests.
func (l line) points(w window) []rollout.Point {
	var points []rollout.Point
	for i, requests := range l.requests {
		if requests > 0 {
			points = append(points, rollout.Point{At: w.since.Add(time.Duration(i) * w.slice), Requests: requests, Errors: l.errors[i]})
		}
	}
	return points
}

// rates are the shares of errors by slice. A slice without requests has none; it takes the one
// before it, because every label needs a point.
func (l line) rates() []float64 {
	list := make([]float64, len(l.requests))
	for i := range list {
		switch {
		case l.requests[i] > 0:
			list[i] = rollout.Share(l.errors[i], l.requests[i])
		case i > 0:
			list[i] = list[i-1]
		}
	}
	return list
}

func sum(list []int64) int64 {
	var total int64
	for _, n := range list {
		total += n
	}
	return total
}

// draw makes the chart. Services without requests have no line.
func draw(target plan.Target, lines []line, w window, alt string) *Chart {
	chart := &Chart{Title: cut(fmt.Sprintf("Error rate of %s in %%", target), 50), Labels: w.coarse().labels(), Alt: alt}
	for _, l := range lines {
		if sum(l.requests) == 0 {
			continue
		}
		values := l.coarse().rates()
		for i := range values {
			values[i] = math.Round(values[i]*10000) / 100
		}
		chart.Series = append(chart.Series, Series{
			Name: seriesName(chart.Series, l.service.Name), Values: values, Points: l.points(w),
		})
	}
	return chart
}

// seriesName shortens a service's name to what a chart takes, and keeps it different from the others.
func seriesName(others []Series, name string) string {
	short := cut(name, maxName)
	for n := 2; slices.ContainsFunc(others, func(s Series) bool { return s.Name == short }); n++ {
		mark := []rune(fmt.Sprintf("…%d", n))
		runes := []rune(name)
		short = string(runes[:min(len(runes), maxName-len(mark))]) + string(mark)
	}
	return short
}
