// The newer blocks: cards, containers, tables and what they hold.

package fakeslack

import (
	"fmt"
	"strings"
)

// alert checks https://docs.slack.dev/reference/block-kit/blocks/alert-block.
func (c *blockCheck) alert(at string, b map[string]any) {
	c.text(at+"/text", b["text"], 3000)
	c.oneOf(at+"/level", b["level"], "default", "info", "warning", "error", "success")
}

// card checks https://docs.slack.dev/reference/block-kit/blocks/card-block.
func (c *blockCheck) card(at string, b map[string]any) {
	if b["hero_image"] == nil && b["title"] == nil && b["actions"] == nil && b["body"] == nil {
		c.bad(at, "missing required field: hero_image, title, actions or body")
	}
	c.optionalText(at+"/title", b["title"], 150)
	c.optionalText(at+"/subtitle", b["subtitle"], 150)
	c.optionalText(at+"/body", b["body"], 200)
	for _, key := range []string{"hero_image", "icon"} {
		if o := object(b[key]); o != nil {
			c.imageElement(at+"/"+key, o)
		}
	}
	for i, e := range list(b["actions"]) {
		c.element(fmt.Sprintf("%s/actions/%d", at, i), object(e), "card")
	}
}

func (c *blockCheck) carousel(at string, b map[string]any) {
	cards := list(b["elements"])
	c.count(at+"/elements", len(cards), 1, 10)
	for i, card := range cards {
		c.child(fmt.Sprintf("%s/elements/%d", at, i), card, "card")
	}
}

// container checks https://docs.slack.dev/reference/block-kit/blocks/container-block.
func (c *blockCheck) container(at string, b map[string]any) {
	if b["title"] == nil && b["rich_text_title"] == nil {
		c.bad(at, "missing required field: title or rich_text_title")
	}
	c.optionalText(at+"/title", b["title"], 150, "plain_text")
	c.optionalText(at+"/subtitle", b["subtitle"], 150)
	c.oneOf(at+"/width", b["width"], "narrow", "standard", "wide", "full")
	children := list(b["child_blocks"])
	c.count(at+"/child_blocks", len(children), 1, 10)
	for i, child := range children {
		c.child(fmt.Sprintf("%s/child_blocks/%d", at, i), child,
			"actions", "context", "divider", "header", "image", "input", "rich_text", "section", "table", "video")
	}
}

// child checks a block inside another one, which takes only some kinds.
func (c *blockCheck) child(at string, value any, kinds ...string) {
	b := object(value)
	for _, k := range kinds {
		if str(b["type"]) == k {
			c.block(at, b)
			return
		}
	}
	c.bad(at+"/type", "unsupported type: %s", str(b["type"]))
}

func (c *blockCheck) contextActions(at string, b map[string]any) {
	elements := list(b["elements"])
	c.count(at+"/elements", len(elements), 1, 5)
	for i, e := range elements {
		c.element(fmt.Sprintf("%s/elements/%d", at, i), object(e), "context_actions")
	}
}

// video checks https://docs.slack.dev/reference/block-kit/blocks/video-block.
func (c *blockCheck) video(at string, b map[string]any) {
	c.text(at+"/title", b["title"], 199, "plain_text")
	c.optionalText(at+"/description", b["description"], 200, "plain_text")
	c.required(at+"/alt_text", b["alt_text"], 2000)
	c.required(at+"/thumbnail_url", b["thumbnail_url"], 3000)
	c.length(at+"/author_name", b["author_name"], 49)
	for _, key := range []string{"video_url", "title_url"} {
		if url := str(b[key]); !strings.HasPrefix(url, "https://") && (url != "" || key == "video_url") {
			c.bad(at+"/"+key, "must be an https URL")
		}
	}
}

// table checks https://docs.slack.dev/reference/block-kit/blocks/table-block.
func (c *blockCheck) table(at string, b map[string]any) {
	rows := list(b["rows"])
	c.count(at+"/rows", len(rows), 1, 100)
	c.count(at+"/column_settings", len(list(b["column_settings"])), 0, 20)
	c.cells(at+"/rows", rows)
}

// dataTable checks https://docs.slack.dev/reference/block-kit/blocks/data-table-block:
// a row of heads and up to 200 of data, all of the same length.
func (c *blockCheck) dataTable(at string, b map[string]any) {
	c.required(at+"/caption", b["caption"], 3000)
	rows := list(b["rows"])
	c.count(at+"/rows", len(rows), 2, 201)
	c.cells(at+"/rows", rows)
	if size, ok := number(b["page_size"]); b["page_size"] != nil && (!ok || size < 1 || size > 100) {
		c.bad(at+"/page_size", "must be between 1 and 100")
	}
	for i, row := range rows {
		if len(list(row)) != len(list(rows[0])) {
			c.bad(fmt.Sprintf("%s/rows/%d", at, i), "must have as many items as the first row")
		}
	}
}

func (c *blockCheck) cells(at string, rows []any) {
	for i, row := range rows {
		here := fmt.Sprintf("%s/%d", at, i)
		c.count(here, len(list(row)), 1, 20)
		for j, cell := range list(row) {
			switch kind := str(object(cell)["type"]); kind {
			case "rich_text":
				c.richText(fmt.Sprintf("%s/%d", here, j), object(cell))
			case "raw_text", "raw_number":
				c.required(fmt.Sprintf("%s/%d/text", here, j), object(cell)["text"], 10_000)
			case "action":
			default:
				c.bad(fmt.Sprintf("%s/%d/type", here, j), "unsupported type: %s", kind)
			}
		}
	}
}

// richTextParts are the parts of a rich text and their fields.
var richTextParts = map[string]string{
	"rich_text_section":      "type elements",
	"rich_text_list":         "type elements style indent border offset",
	"rich_text_preformatted": "type elements border language",
	"rich_text_quote":        "type elements border",
}

// richText checks https://docs.slack.dev/reference/block-kit/blocks/rich-text-block,
// but of the elements in its parts only that a text has a text.
func (c *blockCheck) richText(at string, b map[string]any) {
	c.only(at, b, "type block_id elements")
	if list(b["elements"]) == nil {
		c.bad(at, "missing required field: elements")
	}
	for i, part := range list(b["elements"]) {
		here := fmt.Sprintf("%s/elements/%d", at, i)
		fields, known := richTextParts[str(object(part)["type"])]
		if !known {
			c.bad(here+"/type", "unsupported type: %s", str(object(part)["type"]))
			continue
		}
		c.only(here, object(part), fields)
		for j, e := range list(object(part)["elements"]) {
			if str(object(e)["type"]) == "text" {
				c.required(fmt.Sprintf("%s/elements/%d/text", here, j), object(e)["text"], maxText)
			}
		}
	}
}

// oneOf checks an optional enumeration.
func (c *blockCheck) oneOf(at string, value any, values ...string) {
	if value == nil {
		return
	}
	for _, v := range values {
		if str(value) == v {
			return
		}
	}
	c.bad(at, "must be a valid enum value: %s", strings.Join(values, ", "))
}
