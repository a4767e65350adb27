// Package blockkit renders Block Kit and mrkdwn as HTML, the way Slack shows
// them, and reads back what a person filled into a modal.
//
// Everything in a message is foreign: all text is escaped, links lead only to
// http, https and mailto, and no script, style or event handler can get in.
package blockkit

import (
	"bytes"
	"encoding/json"
	"html/template"
	"time"
)

// Name is what an ID is shown as.
type Name struct {
	Text string // with its mark: "@deployer", "#deploys-staging", "@release-managers"
	Me   bool   // the viewer is meant: highlighted
	URL  string // where a channel is shown, an http(s) URL or a path; may be empty
}

// Renderer turns what an app sends into what Slack shows. The zero Renderer
// shows IDs in place of names and no uploaded files.
type Renderer struct {
	Names func(id string) (Name, bool)               // of a user U…, a group S… or a channel C…
	File  func(idOrURL string) (url string, ok bool) // where a slack_file can be loaded from, an http(s) URL or a path
	Now   time.Time                                  // what {ago} and {date_pretty} count from; zero is the current time
}

// Mrkdwn renders text in Slack's markup
// (https://docs.slack.dev/messaging/formatting-message-text).
func (r Renderer) Mrkdwn(text string) template.HTML {
	o := out{r: r}
	o.nodes(parseMrkdwn(text))
	return o.html()
}

// Plain is mrkdwn without its marks, for titles and labels.
func (r Renderer) Plain(text string) string {
	return r.plain(parseMrkdwn(text))
}

// Blocks renders the blocks of a message, a modal or a Home tab. What is not a
// list of blocks, and a block of a type that is not known, becomes a visible
// note: nothing an app sends disappears.
func (r Renderer) Blocks(raw json.RawMessage) template.HTML {
	if len(bytes.TrimSpace(raw)) == 0 || string(bytes.TrimSpace(raw)) == "null" {
		return ""
	}
	o := out{r: r}
	blocks, err := readBlocks(raw)
	o.in("div", attrs{"class", "bk-blocks"}, func() {
		if err != nil {
			o.note("These blocks cannot be read: " + err.Error())
		}
		o.blocks(blocks, 0)
	})
	return o.html()
}

func (r Renderer) now() time.Time {
	if r.Now.IsZero() {
		return time.Now()
	}
	return r.Now
}

// maxDepth is how deep blocks may hold blocks: Slack has a container's children
// and a carousel's cards, one deep.
const maxDepth = 3

func (o *out) blocks(blocks []object, depth int) {
	for _, b := range blocks {
		if depth == maxDepth {
			o.note("A block nested too deep: " + b.str("type"))
			continue
		}
		o.block(b, depth)
	}
}

func (o *out) block(b object, depth int) {
	switch kind := b.str("type"); kind {
	case "section":
		o.section(b)
	case "header":
		o.header(b)
	case "context":
		o.context(b)
	case "divider":
		o.void("hr", attrs{"class", "bk-divider"})
	case "actions":
		o.actions(b)
	case "context_actions":
		o.contextActions(b)
	case "image":
		o.imageBlock(b)
	case "rich_text":
		o.in("div", attrs{"class", "bk-rich"}, func() { o.richText(b) })
	case "plan":
		o.plan(b)
	case "task_card":
		o.in("ul", attrs{"class", "bk-tasks"}, func() { o.task(b) })
	case "data_visualization":
		o.chart(b)
	case "table", "data_table":
		o.table(b)
	case "markdown":
		o.markdown(b.str("text"))
	case "alert":
		o.alert(b)
	case "card":
		o.card(b)
	case "carousel":
		o.in("div", attrs{"class", "bk-carousel"}, func() { o.blocks(b.objects("elements"), depth+1) })
	case "container":
		o.container(b, depth)
	case "input":
		o.input(b)
	default:
		o.note("A block that is not shown here: " + kind)
	}
}

// note tells the viewer about something that cannot be shown.
func (o *out) note(text string) {
	o.in("div", attrs{"class", "bk-note", "role", "note"}, func() { o.text(text) })
}
