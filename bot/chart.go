package bot

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"slipway/rollout"
)

// picture is the graph if there is one, and else the chart; nil when there is nothing to draw.
func (c *card) picture() slack.Block {
	if c.look.Graph != "" {
		if g, alt, ok := graphOf(c.r, graphed(c.r)); ok {
			return imageBlock(c.look.Graph, c.id("graph"), g.Title, alt)
		}
	}
	return c.chart()
}

// imageBlock shows an uploaded file (docs.slack.dev/reference/block-kit/blocks/image-block).
func imageBlock(file, id, title, alt string) slack.Block {
	return slack.NewImageBlockSlackFile(&slack.SlackFileObject{ID: file}, alt, id, plainObject(title, maxTitle))
}

// chart draws the error rate of the gate that was started last, of those that have something to show:
// the new revision by time, and the old one and the limit as level lines.
func (c *card) chart() slack.Block {
	s := latest(c.r, "", func(s rollout.Step) bool { return s.Status != rollout.StepCancelled && len(s.Gate.Points) > 1 })
	if s == nil || c.detail < moreDetail {
		return nil
	}
	service := s.Spec.ErrorRate.Service
	title := plain("Error rate of "+service+" in %", 50)
	points := s.Gate.Points[max(0, len(s.Gate.Points)-20):]
	before := c.r.Services[service].Baseline
	if c.look.Classic {
		return c.context("chart", row(title, points, before, *s.Gate))
	}
	block := lines(title, points, before, *s.Gate)
	block.BlockID = c.id("chart")
	if block.Validate() != nil {
		return nil // two slices within one second cannot be told apart on the axis
	}
	return block
}

// lines is the native chart (docs.slack.dev/reference/block-kit/blocks/data-visualization-block).
func lines(title string, points []rollout.Point, before *rollout.Baseline, g rollout.Gate) *slack.DataVisualizationBlock {
	labels := make([]string, len(points))
	for i, p := range points {
		labels[i] = p.At.UTC().Format("15:04:05")
	}
	series := []slack.DataVisualizationDataSeries{slack.NewDataVisualizationDataSeries("new", along(labels, values(points))...)}
	if before != nil && before.Requests > 0 {
		series = append(series, level("old", labels, inPercent(before.Errors, before.Requests)))
	}
	series = append(series, level("limit", labels, rounded(float64(g.Limit)*100)))
	return drawn(title, labels, series)
}

// drawn is a line chart over times of day.
func drawn(title string, labels []string, series []slack.DataVisualizationDataSeries) *slack.DataVisualizationBlock {
	axis := slack.NewDataVisualizationAxisConfig(labels...).WithXLabel("UTC").WithYLabel("errors in %")
	return slack.NewDataVisualizationBlock(title, slack.NewDataVisualizationLineChart(axis, series...))
}

func along(labels []string, values []float64) []slack.DataVisualizationDataPoint {
	data := make([]slack.DataVisualizationDataPoint, len(labels))
	for i, label := range labels {
		data[i] = slack.NewDataVisualizationDataPoint(label, values[i])
	}
	return data
}

func level(name string, labels []string, value float64) slack.DataVisualizationDataSeries {
	return slack.NewDataVisualizationDataSeries(name, along(labels, slices.Repeat([]float64{value}, len(labels)))...)
}

// values are the slices' rates in percent. A slice without requests has no rate; it takes the one
// before it, because every label needs a point.
func values(points []rollout.Point) []float64 {
	list := make([]float64, len(points))
	for i, p := range points {
		switch {
		case p.Requests > 0:
			list[i] = inPercent(p.Errors, p.Requests)
		case i > 0:
			list[i] = list[i-1]
		}
	}
	return list
}

func inPercent(errors, requests int64) float64 { return rounded(rollout.Share(errors, requests) * 100) }

func rounded(value float64) float64 { return math.Round(value*100) / 100 }

// row is the chart as a line of numbers.
func row(title string, points []rollout.Point, before *rollout.Baseline, g rollout.Gate) mrkdwn {
	numbers := make([]string, len(points))
	for i, v := range values(points) {
		numbers[i] = rollout.Trimmed(v, 1)
	}
	text := fmt.Sprintf("%s: %s", title, strings.Join(numbers, " "))
	if before != nil && before.Requests > 0 {
		text += " · old " + rollout.Trimmed(inPercent(before.Errors, before.Requests), 1)
	}
	return say("%s · limit %s", text, rollout.Trimmed(float64(g.Limit)*100, 2))
}
