package fakeslack

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

func mrkdwn(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject("mrkdwn", text, false, false)
}
func plainText(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject("plain_text", text, false, false)
}

func repeat[T any](n int, element func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = element(i)
	}
	return out
}

func xs(n int) string { return strings.Repeat("x", n) }

// TestBlockLimits tries each limit on both of its sides.
func TestBlockLimits(t *testing.T) {
	section := func(n int) []slack.Block { return []slack.Block{slack.NewSectionBlock(mrkdwn(xs(n)), nil, nil)} }
	buttons := func(n int) []slack.Block {
		return []slack.Block{slack.NewActionBlock("a", repeat(n, func(i int) slack.BlockElement { return button(fmt.Sprint("b", i), "", "x") })...)}
	}
	one := func(b *slack.ButtonBlockElement) []slack.Block { return []slack.Block{slack.NewActionBlock("a", b)} }
	task := func(status string) []slack.Block {
		return []slack.Block{slack.NewPlanBlock("plan").WithTasks(slack.NewTaskCardBlock("t1", "step").WithStatus(slack.TaskCardStatus(status)))}
	}
	selects := func(n int) []slack.Block {
		options := repeat(n, func(i int) *slack.OptionBlockObject {
			return slack.NewOptionBlockObject(fmt.Sprint(i), plainText("x"), nil)
		})
		return []slack.Block{slack.NewActionBlock("a", slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, nil, "s", options...))}
	}
	for _, c := range []struct {
		name  string
		good  []slack.Block
		bad   []slack.Block
		where string // of the bad one
	}{
		{"section text", section(3000), section(3001), "/blocks/0/text/text"},
		{"empty section", section(1), section(0), "/blocks/0/text/text"},
		{"blocks", repeat(50, func(int) slack.Block { return slack.NewDividerBlock() }), repeat(51, func(int) slack.Block { return slack.NewDividerBlock() }), "/blocks"},
		{"fields", []slack.Block{slack.NewSectionBlock(nil, repeat(10, func(int) *slack.TextBlockObject { return mrkdwn("x") }), nil)},
			[]slack.Block{slack.NewSectionBlock(nil, repeat(11, func(int) *slack.TextBlockObject { return mrkdwn("x") }), nil)}, "/blocks/0/fields"},
		{"header", []slack.Block{slack.NewHeaderBlock(plainText(xs(150)))}, []slack.Block{slack.NewHeaderBlock(plainText(xs(151)))}, "/blocks/0/text/text"},
		{"header kind", []slack.Block{slack.NewHeaderBlock(plainText("x"))}, []slack.Block{slack.NewHeaderBlock(mrkdwn("x"))}, "/blocks/0/text/type"},
		{"actions", buttons(25), buttons(26), "/blocks/0/elements"},
		{"same action_id", buttons(2), []slack.Block{slack.NewActionBlock("a", button("b", "", "x"), button("b", "", "y"))}, "/blocks/0/elements/1/action_id"},
		{"same block_id", []slack.Block{slack.NewActionBlock("a", button("b", "", "x"))},
			[]slack.Block{slack.NewActionBlock("a", button("b", "", "x")), slack.NewActionBlock("a", button("b", "", "x"))}, "/blocks/1/block_id"},
		{"button text", one(button("b", "", xs(75))), one(button("b", "", xs(76))), "/blocks/0/elements/0/text/text"},
		{"button value", one(button("b", xs(2000), "x")), one(button("b", xs(2001), "x")), "/blocks/0/elements/0/value"},
		{"action_id", one(button(xs(255), "", "x")), one(button(xs(256), "", "x")), "/blocks/0/elements/0/action_id"},
		{"context", []slack.Block{slack.NewContextBlock("", repeat(10, func(int) slack.MixedElement { return mrkdwn("x") })...)},
			[]slack.Block{slack.NewContextBlock("", repeat(11, func(int) slack.MixedElement { return mrkdwn("x") })...)}, "/blocks/0/elements"},
		{"alt text", []slack.Block{slack.NewImageBlock("http://x/y.png", "graph", "", nil)}, []slack.Block{slack.NewImageBlock("http://x/y.png", "", "", nil)}, "/blocks/0/alt_text"},
		{"task status", task("complete"), task("completed"), "/blocks/0/tasks/0/status"},
		{"task_card beside a plan", task("pending"), append(task("pending"), slack.NewTaskCardBlock("t2", "step")), "/blocks"},
		{"same task_id", task(""), []slack.Block{slack.NewPlanBlock("plan").WithTasks(slack.NewTaskCardBlock("t1", "a"), slack.NewTaskCardBlock("t1", "b"))}, "/blocks/0/tasks/1/task_id"},
		{"select options", selects(100), selects(101), "/blocks/0/elements/0/options"},
		{"rich text", task("error"), []slack.Block{slack.NewPlanBlock("plan").WithTasks(slack.NewTaskCardBlock("t1", "a").WithDetails(
			slack.NewRichTextBlock("", slack.NewRichTextSection(), slack.NewRichTextSection())))}, "/blocks/0/tasks/0/details/elements"},
		{"markdown", []slack.Block{slack.NewMarkdownBlock("", xs(12000))}, []slack.Block{slack.NewMarkdownBlock("", xs(12001))}, "/blocks/0/text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *workspace) {
				if _, _, err := w.api.PostMessage(deploys, slack.MsgOptionBlocks(c.good...)); err != nil {
					t.Errorf("allowed: %v", err)
				}
				_, _, err := w.api.PostMessage(deploys, slack.MsgOptionBlocks(c.bad...))
				wantCode(t, err, "invalid_blocks")
				slackErr, _ := errors.AsType[slack.SlackErrorResponse](err)
				if got := strings.Join(slackErr.ResponseMetadata.Messages, "\n"); !strings.Contains(got, "[json-pointer:"+c.where+"]") {
					t.Errorf("messages = %q, want one about %s", got, c.where)
				}
			})
		})
	}
}

func TestAllBlocksTogether(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		sections := func(n int) slack.MsgOption {
			return slack.MsgOptionBlocks(repeat(n, func(int) slack.Block { return slack.NewSectionBlock(mrkdwn(xs(3000)), nil, nil) })...)
		}
		if _, _, err := w.api.PostMessage(deploys, sections(4)); err != nil {
			t.Errorf("12,000 characters: %v", err)
		}
		_, _, err := w.api.PostMessage(deploys, sections(5))
		wantCode(t, err, "msg_blocks_too_long")
	})
}

// TestChartsLikeSlackGo holds the chart rules against slack-go's own.
func TestChartsLikeSlackGo(t *testing.T) {
	points := func(labels ...string) []slack.DataVisualizationDataPoint {
		return repeat(len(labels), func(i int) slack.DataVisualizationDataPoint {
			return slack.NewDataVisualizationDataPoint(labels[i], float64(i))
		})
	}
	line := func(categories []string, series ...slack.DataVisualizationDataSeries) slack.DataVisualizationChart {
		return slack.NewDataVisualizationLineChart(slack.NewDataVisualizationAxisConfig(categories...), series...)
	}
	series := func(name string, labels ...string) slack.DataVisualizationDataSeries {
		return slack.NewDataVisualizationDataSeries(name, points(labels...)...)
	}
	many := func(n int) []string { return repeat(n, func(i int) string { return fmt.Sprint(i) }) }
	charts := map[string]slack.DataVisualizationChart{
		"fine":             line([]string{"a", "b"}, series("new", "a", "b")),
		"twenty points":    line(many(20), series("new", many(20)...)),
		"too many points":  line(many(21), series("new", many(21)...)),
		"a point missing":  line([]string{"a", "b"}, series("new", "a")),
		"another category": line([]string{"a", "b"}, series("new", "a", "c")),
		"a point twice":    line([]string{"a", "b"}, series("new", "a", "a")),
		"long label":       line([]string{xs(21)}, series("new", xs(21))),
		"long name":        line([]string{"a"}, series(xs(21), "a")),
		"no name":          line([]string{"a"}, series("", "a")),
		"same name":        line([]string{"a"}, series("new", "a"), series("new", "a")),
		"six series":       line([]string{"a"}, repeat(6, func(i int) slack.DataVisualizationDataSeries { return series(fmt.Sprint(i), "a") })...),
		"seven series":     line([]string{"a"}, repeat(7, func(i int) slack.DataVisualizationDataSeries { return series(fmt.Sprint(i), "a") })...),
		"no series":        line([]string{"a"}),
		"pie":              slack.NewDataVisualizationPieChart(slack.NewDataVisualizationSegment("ok", 1)),
		"pie of nothing":   slack.NewDataVisualizationPieChart(slack.NewDataVisualizationSegment("ok", 0)),
		"empty pie":        slack.NewDataVisualizationPieChart(),
	}
	for name, chart := range charts {
		t.Run(name, func(t *testing.T) {
			block := slack.DataVisualizationBlock{Type: slack.MBTDataVisualization, Title: "Errors", Chart: chart}
			raw, err := json.Marshal([]any{block})
			if err != nil {
				t.Fatal(err)
			}
			_, got := New(testConfig()).checkBlocks(string(raw))
			if want := block.Validate(); (got == nil) != (want == nil) {
				t.Errorf("here %v, slack-go %v", got, want)
			}
		})
	}
}

// FuzzBlocks: whatever blocks are given, the answer is an error or blocks that
// pass again, each with its block_id.
func FuzzBlocks(f *testing.F) {
	f.Add(`[{"type":"section","text":{"type":"mrkdwn","text":"x"},"accessory":{"type":"button","text":{"type":"plain_text","text":"x"}}}]`)
	f.Add(`[{"type":"plan","title":"p","tasks":[{"task_id":"t","title":"x"}]}]`)
	f.Add(`[{"type":"data_visualization","title":"p","chart":{"type":"line","series":[null],"axis_config":[]}}]`)
	f.Add(`[null,{"type":7,"elements":{}}]`)
	f.Fuzz(func(t *testing.T, raw string) {
		s := New(testConfig())
		out, err := s.checkBlocks(raw)
		if err != nil || out == nil {
			return
		}
		again, err := s.checkBlocks(string(out))
		if err != nil || string(again) != string(out) {
			t.Errorf("%s\nbecame %s\nthen %s, %v", raw, out, again, err)
		}
	})
}
