package play

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"slipway/sandbox/fakeslack"
)

// block is as much of Block Kit as a terminal can show.
type block struct {
	Type     string    `json:"type"`
	Title    any       `json:"title"`
	Text     text      `json:"text"`
	Elements []element `json:"elements"`
	Tasks    []task    `json:"tasks"`
	Chart    chart     `json:"chart"`
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

type chart struct {
	Series []struct {
		Name string `json:"name"`
		Data []struct {
			Value float64 `json:"value"`
		} `json:"data"`
	} `json:"series"`
}

// names turns IDs of people and groups into what a reader knows.
type names map[string]string

// lines is a message as a reader of a terminal sees it.
func (n names) lines(m fakeslack.Message) []string {
	var blocks []block
	if err := json.Unmarshal(m.Blocks, &blocks); err != nil || len(blocks) == 0 {
		return split(n.plain(m.Text))
	}
	var lines []string
	for _, b := range blocks {
		lines = append(lines, n.block(b)...)
	}
	return lines
}

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
	case "data_visualization":
		return append([]string{fmt.Sprint(b.Title)}, b.Chart.lines()...)
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

// lines draws each series as a row of bars, all on the scale of the largest value.
func (c chart) lines() []string {
	const bars = "▁▂▃▄▅▆▇█"
	top := 0.0
	for _, s := range c.Series {
		for _, d := range s.Data {
			top = max(top, d.Value)
		}
	}
	var lines []string
	for _, s := range c.Series {
		var row strings.Builder
		for _, d := range s.Data {
			i := 0
			if top > 0 {
				i = int(d.Value / top * 7.99)
			}
			row.WriteRune([]rune(bars)[i])
		}
		if n := len(s.Data); n > 0 {
			lines = append(lines, fmt.Sprintf("  %-6s %s %s%%", s.Name, row.String(), strconv.FormatFloat(s.Data[n-1].Value, 'f', -1, 64)))
		}
	}
	return lines
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
