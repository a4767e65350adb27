// Block Kit as Slack checks it: https://docs.slack.dev/reference/block-kit/blocks
// and the pages below it. Errors name the place by JSON pointer, as Slack's do.

package fakeslack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// surface is where blocks are shown.
type surface string

const (
	surfaceMessage surface = "message"
	surfaceModal   surface = "modal"
	surfaceHome    surface = "home"
)

// maxBlocks is how many blocks a surface takes.
func (s surface) maxBlocks() int {
	if s == surfaceMessage {
		return 50
	}
	return 100
}

// A message's blocks together may hold about 13,300 characters, and each block
// counts for some more: measured in https://github.com/slackapi/bolt-js/issues/2509,
// where one more divider cost 125.
const (
	maxBlocksText = 13_422
	blockCost     = 125
)

// checkBlocks validates a message's blocks and returns them with a block_id and
// action_ids where they were missing. No blocks are nil. The caller holds s.mu.
func (s *Server) checkBlocks(raw string) (json.RawMessage, error) {
	if raw == "" || raw == "null" {
		return nil, nil
	}
	var blocks []map[string]any
	if err := decode(raw, &blocks); err != nil {
		return nil, failed("invalid_blocks_format")
	}
	if len(blocks) == 0 {
		return nil, nil
	}
	c := &blockCheck{surface: surfaceMessage, files: s.files}
	c.list("/blocks", blocks)
	if len(c.problems) > 0 {
		return nil, &apiError{Code: "invalid_blocks", Messages: c.problems}
	}
	if textSize(blocks)+blockCost*len(blocks) > maxBlocksText {
		return nil, failed("msg_blocks_too_long")
	}
	return s.withIDs(blocks), nil
}

// withIDs returns blocks as Slack stores them: each with its block_id, and each
// element with its action_id.
func (s *Server) withIDs(blocks []map[string]any) json.RawMessage {
	for _, b := range blocks {
		s.addIDs(b)
	}
	return encode(blocks)
}

// addIDs gives a block, and the interactive elements in it, the IDs they lack.
func (s *Server) addIDs(block map[string]any) {
	if str(block["block_id"]) == "" {
		block["block_id"] = s.newSecret()[:5]
	}
	eachElement(block, func(e map[string]any) {
		if str(e["action_id"]) == "" {
			e["action_id"] = s.newSecret()[:5]
		}
	})
}

// eachElement visits the interactive elements in a block, at any depth.
func eachElement(node any, visit func(map[string]any)) {
	switch n := node.(type) {
	case []any:
		for _, child := range n {
			eachElement(child, visit)
		}
	case map[string]any:
		if interactive(str(n["type"])) {
			visit(n)
			return
		}
		for _, key := range []string{"elements", "accessory", "element", "blocks", "child_blocks", "actions", "tasks", "cards"} {
			eachElement(n[key], visit)
		}
	}
}

func interactive(kind string) bool {
	switch kind {
	case "button", "workflow_button", "overflow", "radio_buttons", "checkboxes", "feedback_buttons", "icon_button":
		return true
	}
	return strings.HasSuffix(kind, "_select") || strings.HasSuffix(kind, "picker") || strings.HasSuffix(kind, "_input")
}

// textSize counts the characters of everything that is shown.
func textSize(node any) int {
	total := 0
	switch n := node.(type) {
	case string:
		return utf8.RuneCountInString(n)
	case []any:
		for _, child := range n {
			total += textSize(child)
		}
	case []map[string]any:
		for _, child := range n {
			total += textSize(child)
		}
	case map[string]any:
		for key, child := range n {
			if key != "type" && key != "style" && !strings.HasSuffix(key, "_id") {
				total += textSize(child)
			}
		}
	}
	return total
}

func str(value any) string {
	text, _ := value.(string)
	return text
}

func object(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

func list(value any) []any {
	l, _ := value.([]any)
	return l
}

// blockCheck collects what is wrong with a list of blocks.
type blockCheck struct {
	surface  surface
	files    map[string]*File
	markdown int // characters so far
	problems []string
}

func (c *blockCheck) bad(at, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("[ERROR] %s [json-pointer:%s]", fmt.Sprintf(format, args...), at))
}

func (c *blockCheck) list(root string, blocks []map[string]any) {
	if len(blocks) > c.surface.maxBlocks() {
		c.bad(root, "no more than %d items allowed", c.surface.maxBlocks())
	}
	ids := map[string]bool{}
	kinds := map[string]int{}
	for i, b := range blocks {
		at := fmt.Sprintf("%s/%d", root, i)
		kinds[str(b["type"])]++
		if id := str(b["block_id"]); id != "" {
			if ids[id] {
				c.bad(at+"/block_id", "`block_id` %q already exists", id)
			}
			ids[id] = true
		}
		c.block(at, b)
	}
	if kinds["plan"] > 0 && kinds["task_card"] > 0 {
		c.bad(root, "task_card blocks must be inside of the plan block")
	}
	if kinds["table"] > 1 {
		c.bad(root, "only one table allowed")
	}
	if c.markdown > maxMarkdown {
		c.bad(root, "markdown blocks must be less than %d characters together", maxMarkdown+1)
	}
}

// maxMarkdown is what all markdown blocks of a message may hold together
// (https://docs.slack.dev/reference/block-kit/blocks/markdown-block).
const maxMarkdown = 12_000

// block checks one block.
func (c *blockCheck) block(at string, b map[string]any) {
	if !c.placed(at, b) {
		return
	}
	c.length(at+"/block_id", b["block_id"], 255)
	switch str(b["type"]) {
	case "section":
		c.section(at, b)
	case "header":
		c.text(at+"/text", b["text"], 150, "plain_text")
	case "image":
		c.image(at, b)
		c.optionalText(at+"/title", b["title"], 2000, "plain_text")
	case "actions":
		c.actions(at, b)
	case "context":
		c.context(at, b)
	case "input":
		c.input(at, b)
	case "rich_text":
		c.richText(at, b)
	default:
		c.newer(at, b)
	}
}

// newer checks the blocks that came after the first ones. A divider and a call
// have no rules beyond their fields.
func (c *blockCheck) newer(at string, b map[string]any) {
	switch str(b["type"]) {
	case "markdown":
		c.required(at+"/text", b["text"], maxMarkdown)
		c.markdown += utf8.RuneCountInString(str(b["text"]))
	case "table":
		c.table(at, b)
	case "plan":
		c.plan(at, b)
	case "task_card":
		c.task(at, b)
	case "data_visualization":
		c.chart(at, b)
	case "alert":
		c.alert(at, b)
	case "card":
		c.card(at, b)
	case "carousel":
		c.carousel(at, b)
	case "container":
		c.container(at, b)
	case "context_actions":
		c.contextActions(at, b)
	case "data_table":
		c.dataTable(at, b)
	case "video":
		c.video(at, b)
	}
}

func (c *blockCheck) section(at string, b map[string]any) {
	fields := list(b["fields"])
	if b["text"] == nil && len(fields) == 0 {
		c.bad(at, "missing required field: text or fields")
	}
	c.optionalText(at+"/text", b["text"], 3000)
	if len(fields) > 10 {
		c.bad(at+"/fields", "no more than 10 items allowed")
	}
	for i, f := range fields {
		c.text(fmt.Sprintf("%s/fields/%d", at, i), f, 2000)
	}
	if accessory := object(b["accessory"]); accessory != nil {
		if str(accessory["type"]) == "image" {
			c.imageElement(at+"/accessory", accessory)
		} else {
			c.element(at+"/accessory", accessory, "section")
		}
	}
}

func (c *blockCheck) image(at string, b map[string]any) {
	file := object(b["slack_file"])
	if str(b["image_url"]) == "" && file == nil {
		c.bad(at, "missing required field: image_url or slack_file")
	}
	if id := str(file["id"]); file != nil && id != "" && (c.files[id] == nil || !c.files[id].complete) {
		c.bad(at+"/slack_file", "invalid slack file")
	}
	if str(b["image_url"]) != "" && file != nil {
		c.bad(at, "only one of image_url and slack_file allowed")
	}
	c.length(at+"/image_url", b["image_url"], 3000)
	c.required(at+"/alt_text", b["alt_text"], 2000)
}

// imageElement checks an image inside of a block, which has no title.
func (c *blockCheck) imageElement(at string, e map[string]any) {
	c.only(at, e, imageFields)
	c.image(at, e)
}

func (c *blockCheck) input(at string, b map[string]any) {
	c.text(at+"/label", b["label"], 2000, "plain_text")
	c.optionalText(at+"/hint", b["hint"], 2000, "plain_text")
	c.element(at+"/element", object(b["element"]), "input")
}

func (c *blockCheck) actions(at string, b map[string]any) {
	elements := list(b["elements"])
	c.count(at+"/elements", len(elements), 1, 25)
	ids := map[string]bool{}
	for i, e := range elements {
		here := fmt.Sprintf("%s/elements/%d", at, i)
		c.element(here, object(e), "actions")
		id := str(object(e)["action_id"])
		if id != "" && ids[id] {
			c.bad(here+"/action_id", "`action_id` %q already exists for another element", id)
		}
		ids[id] = true
	}
}

func (c *blockCheck) context(at string, b map[string]any) {
	elements := list(b["elements"])
	c.count(at+"/elements", len(elements), 1, 10)
	for i, e := range elements {
		here := fmt.Sprintf("%s/elements/%d", at, i)
		if str(object(e)["type"]) == "image" {
			c.imageElement(here, object(e))
		} else {
			c.text(here, e, 2000)
		}
	}
}

// text checks a text object of one of the given kinds; any kind if none.
func (c *blockCheck) text(at string, value any, most int, kinds ...string) {
	t := object(value)
	if t == nil {
		c.bad(at, "missing required field: text")
		return
	}
	if len(kinds) == 0 {
		kinds = []string{"plain_text", "mrkdwn"}
	}
	if !slices.Contains(kinds, str(t["type"])) {
		c.bad(at+"/type", "must be %s", strings.Join(kinds, " or "))
	} else if str(t["type"]) == "mrkdwn" {
		c.only(at, t, mrkdwnFields)
	} else {
		c.only(at, t, plainTextFields)
	}
	c.required(at+"/text", t["text"], most)
}

func (c *blockCheck) optionalText(at string, value any, most int, kinds ...string) {
	if value != nil {
		c.text(at, value, most, kinds...)
	}
}

func (c *blockCheck) required(at string, value any, most int) {
	if str(value) == "" {
		c.bad(at, "must be more than 0 characters")
	}
	c.length(at, value, most)
}

func (c *blockCheck) length(at string, value any, most int) {
	if utf8.RuneCountInString(str(value)) > most {
		c.bad(at, "must be less than %d characters", most+1)
	}
}

func (c *blockCheck) count(at string, n, least, most int) {
	if n < least {
		c.bad(at, "must have at least %d items", least)
	}
	if n > most {
		c.bad(at, "no more than %d items allowed", most)
	}
}
