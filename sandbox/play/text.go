package play

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"slipway/chart"
	"slipway/rollout"
	"slipway/sandbox/fakeslack"
)

// block is as much of Block Kit as a terminal can show.
type block struct {
	Type     string    `json:"type"`
	Title    any       `json:"title"`
	Text     text      `json:"text"`
	Elements []element `json:"elements"`
	Tasks    []task    `json:"tasks"`
	Chart    lines     `json:"chart"`
	AltText  string    `json:"alt_text"`
}

type text struct {
	Text string `json:"text"`
}

// element is a button (its text is an object), a context element or a piece of rich text (a string).
type element struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"`
	Elements []element       `json:"elements"`
}

type task struct {
	Title   string `json:"title"`
	Status  string `json:"status"`
	Details struct {
		Elements []element `json:"elements"`
	} `json:"details"`
}

// lines is a line chart. All its series have the same labels: times of day.
type lines struct {
	Series []series `json:"series"`
}

type series struct {
	Name string  `json:"name"`
	Data []datum `json:"data"`
}

type datum struct {
	Label string  `json:"label"`
	Value float64 `json:"value"` // in percent
}

// names turns IDs of people and groups into what a reader knows.
type names map[string]string

// blocks is what a message is made of; nothing, if it is plain text.
func blocks(m fakeslack.Message) []block {
	var list []block
	if json.Unmarshal(m.Blocks, &list) != nil {
		return nil
	}
	return list
}

// lines is a message as a reader of a terminal sees it. The card of a rollout that is over ends with the
// picture of its chart.
func (n names) lines(m fakeslack.Message, chart block) []string {
	list := blocks(m)
	if len(list) == 0 {
		return split(n.plain(m.Text))
	}
	over := m.ThreadTS == "" && m.EphemeralTo == "" && anyEnd.MatchString(m.Text)
	var text []string
	for _, b := range list {
		if !over || b.Type != visualization {
			text = append(text, n.block(b)...)
		}
	}
	if over {
		text = append(text, chart.picture()...)
	}
	return text
}

// visualization is the type of the block that is a chart.
const visualization = "data_visualization"

func (n names) block(b block) []string {
	switch b.Type {
	case "section", "header":
		return split(n.plain(b.Text.Text))
	case "context":
		var parts []string
		for _, e := range b.Elements {
			parts = append(parts, n.plain(e.text()))
		}
		return split(strings.Join(parts, " "))
	case "actions":
		var buttons []string
		for _, e := range b.Elements {
			buttons = append(buttons, "["+e.text()+"]")
		}
		return []string{strings.Join(buttons, " ")}
	case "plan":
		lines := []string{fmt.Sprint(b.Title)}
		for _, t := range b.Tasks {
			lines = append(lines, n.task(t))
		}
		return lines
	case visualization:
		return append([]string{fmt.Sprint(b.Title)}, b.Chart.rows()...)
	case "image":
		return split(n.plain(b.AltText))
	}
	return nil
}

func (n names) task(t task) string {
	sign := map[string]string{"pending": "·", "in_progress": "▸", "complete": "✓", "error": "✗"}[t.Status]
	line := "  " + sign + " " + t.Title
	if note := n.plain(flat(t.Details.Elements)); note != "" {
		line += " – " + note
	}
	return line
}

// text is an element's text, be it an object or a string.
func (e element) text() string {
	var object text
	if json.Unmarshal(e.Text, &object) == nil && object.Text != "" {
		return object.Text
	}
	var s string
	if json.Unmarshal(e.Text, &s) != nil {
		return ""
	}
	return s
}

func flat(elements []element) string {
	var b strings.Builder
	for _, e := range elements {
		b.WriteString(e.text())
		b.WriteString(flat(e.Elements))
	}
	return b.String()
}

// rows draws each series as a row of bars, all on the scale of the largest value.
func (l lines) rows() []string {
	const bars = "▁▂▃▄▅▆▇█"
	top := 0.0
	for _, s := range l.Series {
		for _, d := range s.Data {
			top = max(top, d.Value)
		}
	}
	var rows []string
	for _, s := range l.Series {
		var row strings.Builder
		for _, d := range s.Data {
			i := 0
			if top > 0 {
				i = int(max(d.Value, 0) / top * 7.99)
			}
			row.WriteRune([]rune(bars)[i])
		}
		if n := len(s.Data); n > 0 {
			rows = append(rows, fmt.Sprintf("  %-6s %s %s%%", s.Name, row.String(), strconv.FormatFloat(s.Data[n-1].Value, 'f', -1, 64)))
		}
	}
	return rows
}

// The size of the picture that ends a rollout, in characters.
const (
	pictureWidth  = 60
	pictureHeight = 6
)

// picture draws a chart of a gate in several rows, as it was last seen. Nothing, if it is none.
func (b block) picture() []string {
	rows := chart.Text(b.Chart.graph(), pictureWidth, pictureHeight)
	if len(rows) == 0 {
		return nil
	}
	return append([]string{fmt.Sprint(b.Title) + ", UTC"}, rows...)
}

// graph reads the chart back: Slack has no word for a limit or for what is new but the series' names.
func (l lines) graph() chart.Graph {
	kinds := map[string]chart.Kind{"old": chart.Old, "new": chart.New}
	var g chart.Graph
	for _, s := range l.Series {
		if s.Name == "limit" && len(s.Data) > 0 {
			g.Limit = s.Data[0].Value / 100
			continue
		}
		line := chart.Series{Name: s.Name, Kind: chart.Other, Points: s.points()}
		if kind, known := kinds[s.Name]; known {
			line.Kind = kind
		}
		if s.Name == "old" && len(s.Data) > 0 { // a level: what it was over the whole time before
			line.Name += " " + rollout.Percent(s.Data[0].Value/100)
		}
		g.Series = append(g.Series, line)
	}
	return g
}

// points are a series' values with as many requests each as make them exact.
func (s series) points() []chart.Point {
	const requests = 10_000 // values have two places
	var points []chart.Point
	for _, d := range s.Data {
		at, err := clock(d.Label)
		if err != nil {
			return nil
		}
		if n := len(points); n > 0 && at.Before(points[n-1].At) { // past midnight
			at = at.Add(24 * time.Hour)
		}
		points = append(points, chart.Point{At: at, Requests: requests, Errors: int64(math.Round(d.Value / 100 * requests))})
	}
	return points
}

// clock reads a label, which is a time on some day.
func clock(label string) (time.Time, error) {
	at, err := time.Parse("15:04:05", label)
	if err != nil {
		at, err = time.Parse("15:04", label)
	}
	return at.AddDate(2000, 0, 0), err // a day that is not the zero Time
}

var (
	dates    = regexp.MustCompile(`<!date\^(\d+)\^[^|>]*(?:\|[^>]*)?>`)
	mentions = regexp.MustCompile(`<(?:@|#|!subteam\^)([A-Z0-9]+)(?:\|([^>]*))?>`)
	links    = regexp.MustCompile(`<(https?://[^|>]+)\|([^>]+)>`)
	bold     = regexp.MustCompile(`\*([^*\n]+)\*`)
)

// plain is Slack's mrkdwn without its marks.
func (n names) plain(s string) string {
	s = dates.ReplaceAllStringFunc(s, func(m string) string {
		unix, err := strconv.ParseInt(dates.FindStringSubmatch(m)[1], 10, 64)
		if err != nil {
			return m
		}
		return time.Unix(unix, 0).UTC().Format("15:04:05")
	})
	s = mentions.ReplaceAllStringFunc(s, func(m string) string {
		parts := mentions.FindStringSubmatch(m)
		if name := n[parts[1]]; name != "" {
			return name
		}
		return "@" + parts[2]
	})
	s = links.ReplaceAllString(s, "$2")
	s = bold.ReplaceAllString(s, "$1")
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
