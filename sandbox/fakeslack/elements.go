// The parts of blocks that have rules of their own: interactive elements
// (https://docs.slack.dev/reference/block-kit/block-elements), plans and charts.

package fakeslack

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// element checks an interactive element in a kind of block.
func (c *blockCheck) element(at string, e map[string]any, block string) {
	if !c.fits(at, e, block) {
		return
	}
	kind := str(e["type"])
	c.length(at+"/action_id", e["action_id"], 255)
	c.confirm(at+"/confirm", object(e["confirm"]))
	c.optionalText(at+"/placeholder", e["placeholder"], 150, "plain_text")
	c.atLeastOne(at+"/max_selected_items", e["max_selected_items"])
	switch {
	case kind == "button":
		c.button(at, e)
	case kind == "overflow":
		c.options(at, e, 5, "plain_text")
	case kind == "radio_buttons" || kind == "checkboxes":
		c.options(at, e, 10)
	case strings.HasSuffix(kind, "static_select"):
		c.selectOptions(at, e)
	case kind == "workflow_button" || kind == "icon_button":
		c.text(at+"/text", e["text"], 75, "plain_text")
	case kind == "feedback_buttons":
		c.feedback(at+"/positive_button", object(e["positive_button"]))
		c.feedback(at+"/negative_button", object(e["negative_button"]))
	default:
		c.entry(at, e)
	}
}

func (c *blockCheck) feedback(at string, b map[string]any) {
	c.only(at, b, "text accessibility_label value")
	c.text(at+"/text", b["text"], 75, "plain_text")
	c.required(at+"/value", b["value"], 2000)
	c.length(at+"/accessibility_label", b["accessibility_label"], 75)
}

// entry checks what a user writes or picks.
func (c *blockCheck) entry(at string, e map[string]any) {
	switch str(e["type"]) {
	case "plain_text_input":
		for _, key := range []string{"min_length", "max_length"} {
			if n, ok := number(e[key]); ok && (n < 0 || n > 3000) {
				c.bad(at+"/"+key, "must be less than 3001")
			}
		}
		c.atLeastOne(at+"/max_length", e["max_length"])
	case "file_input":
		if n, ok := number(e["max_files"]); ok && (n < 1 || n > 10) {
			c.bad(at+"/max_files", "must be between 1 and 10")
		}
	case "number_input":
		if e["is_decimal_allowed"] == nil {
			c.bad(at, "missing required field: is_decimal_allowed")
		}
	case "datepicker":
		c.form(at+"/initial_date", e["initial_date"], "2006-01-02")
	case "timepicker":
		c.form(at+"/initial_time", e["initial_time"], "15:04")
	}
}

func (c *blockCheck) atLeastOne(at string, value any) {
	if n, ok := number(value); ok && n < 1 {
		c.bad(at, "must be greater than 0")
	}
}

// form checks an optional date or time against its layout.
func (c *blockCheck) form(at string, value any, layout string) {
	if value == nil {
		return
	}
	if _, err := time.Parse(layout, str(value)); err != nil {
		c.bad(at, "invalid format: %s", str(value))
	}
}

func (c *blockCheck) button(at string, e map[string]any) {
	c.text(at+"/text", e["text"], 75, "plain_text")
	c.length(at+"/value", e["value"], 2000)
	c.length(at+"/url", e["url"], 3000)
	c.length(at+"/accessibility_label", e["accessibility_label"], 75)
	switch str(e["style"]) {
	case "", "primary", "danger":
	default:
		c.bad(at+"/style", "must be primary or danger")
	}
}

func (c *blockCheck) confirm(at string, d map[string]any) {
	if d == nil {
		return
	}
	c.only(at, d, confirmFields)
	c.optionalText(at+"/title", d["title"], 100, "plain_text")
	c.text(at+"/text", d["text"], 300)
	c.optionalText(at+"/confirm", d["confirm"], 30, "plain_text")
	c.optionalText(at+"/deny", d["deny"], 30, "plain_text")
}

func (c *blockCheck) selectOptions(at string, e map[string]any) {
	groups := list(e["option_groups"])
	if len(groups) == 0 {
		c.options(at, e, 100, "plain_text")
		return
	}
	c.count(at+"/option_groups", len(groups), 1, 100)
	for i, g := range groups {
		here := fmt.Sprintf("%s/option_groups/%d", at, i)
		c.only(here, object(g), optionGroupFields)
		c.text(here+"/label", object(g)["label"], 75, "plain_text")
		c.options(here, object(g), 100, "plain_text")
	}
}

// options checks a list of options with texts of the given kinds; any kind if
// none. Only those of an overflow menu may have a URL.
func (c *blockCheck) options(at string, e map[string]any, most int, kinds ...string) {
	options := list(e["options"])
	c.count(at+"/options", len(options), 1, most)
	fields := optionFields
	if str(e["type"]) == "overflow" {
		fields += " url"
	}
	for i, o := range options {
		here := fmt.Sprintf("%s/options/%d", at, i)
		c.only(here, object(o), fields)
		c.text(here+"/text", object(o)["text"], 75, kinds...)
		c.optionalText(here+"/description", object(o)["description"], 75, kinds...)
		c.required(here+"/value", object(o)["value"], 150)
		c.length(here+"/url", object(o)["url"], 3000)
	}
}

// plan checks https://docs.slack.dev/reference/block-kit/blocks/plan-block.
func (c *blockCheck) plan(at string, b map[string]any) {
	c.required(at+"/title", b["title"], 3000)
	tasks := list(b["tasks"])
	c.count(at+"/tasks", len(tasks), 0, 50)
	ids := map[string]bool{}
	for i, t := range tasks {
		here := fmt.Sprintf("%s/tasks/%d", at, i)
		task := object(t)
		c.task(here, task)
		if id := str(task["task_id"]); ids[id] {
			c.bad(here+"/task_id", "`task_id` %q already exists", id)
		} else {
			ids[id] = true
		}
	}
}

// task checks https://docs.slack.dev/reference/block-kit/blocks/task-card-block.
func (c *blockCheck) task(at string, t map[string]any) {
	if kind := str(t["type"]); kind != "task_card" && kind != "" {
		c.bad(at+"/type", "unsupported type: %s", kind)
	}
	c.only(at, t, "type block_id "+blockKinds["task_card"].fields)
	c.required(at+"/task_id", t["task_id"], 255)
	c.required(at+"/title", t["title"], 3000)
	switch status := str(t["status"]); status {
	case "", "pending", "in_progress", "complete", "error":
	default:
		c.bad(at+"/status", "must be a valid enum value: %s", status)
	}
	for _, key := range []string{"details", "output"} {
		c.taskText(at+"/"+key, object(t[key]))
	}
	for i, source := range list(t["sources"]) {
		here := fmt.Sprintf("%s/sources/%d", at, i)
		c.required(here+"/url", object(source)["url"], 3000)
		c.required(here+"/text", object(source)["text"], 3000)
	}
}

func (c *blockCheck) taskText(at string, b map[string]any) {
	if b == nil {
		return
	}
	if str(b["type"]) != "rich_text" {
		c.bad(at+"/type", "must be rich_text")
		return
	}
	c.richText(at, b)
	c.count(at+"/elements", len(list(b["elements"])), 1, 1)
}

// chart checks https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block.
func (c *blockCheck) chart(at string, b map[string]any) {
	c.required(at+"/title", b["title"], 50)
	chart := object(b["chart"])
	switch kind := str(chart["type"]); kind {
	case "pie":
		c.pie(at+"/chart", chart)
	case "bar", "area", "line":
		c.series(at+"/chart", chart)
	default:
		c.bad(at+"/chart/type", "unsupported type: %s", kind)
	}
}

func (c *blockCheck) pie(at string, chart map[string]any) {
	segments := list(chart["segments"])
	c.count(at+"/segments", len(segments), 1, 6)
	for i, s := range segments {
		here := fmt.Sprintf("%s/segments/%d", at, i)
		c.required(here+"/label", object(s)["label"], 20)
		if value, ok := number(object(s)["value"]); !ok || value <= 0 {
			c.bad(here+"/value", "must be greater than 0")
		}
	}
}

func (c *blockCheck) series(at string, chart map[string]any) {
	axis := object(chart["axis_config"])
	categories := map[string]bool{}
	for i, name := range list(axis["categories"]) {
		here := fmt.Sprintf("%s/axis_config/categories/%d", at, i)
		c.required(here, name, 20)
		c.unique(here, categories, str(name))
	}
	c.count(at+"/axis_config/categories", len(categories), 1, 20)
	c.length(at+"/axis_config/x_label", axis["x_label"], 50)
	c.length(at+"/axis_config/y_label", axis["y_label"], 50)

	all := list(chart["series"])
	c.count(at+"/series", len(all), 1, 6)
	names := map[string]bool{}
	for i, s := range all {
		here := fmt.Sprintf("%s/series/%d", at, i)
		c.required(here+"/name", object(s)["name"], 20)
		c.unique(here+"/name", names, str(object(s)["name"]))
		c.points(here+"/data", list(object(s)["data"]), categories)
	}
}

// points checks that a series has exactly one point for each category.
func (c *blockCheck) points(at string, points []any, categories map[string]bool) {
	c.count(at, len(points), 1, 20)
	if len(points) != len(categories) {
		c.bad(at, "must contain exactly one point for every category")
	}
	labels := map[string]bool{}
	for i, p := range points {
		here := fmt.Sprintf("%s/%d", at, i)
		label := str(object(p)["label"])
		if !categories[label] {
			c.bad(here+"/label", "must match axis_config.categories")
		}
		c.unique(here+"/label", labels, label)
		if _, ok := number(object(p)["value"]); !ok {
			c.bad(here+"/value", "must be a number")
		}
	}
}

func (c *blockCheck) unique(at string, seen map[string]bool, name string) {
	if seen[name] {
		c.bad(at, "duplicate: %s", name)
	}
	seen[name] = true
}

func number(value any) (float64, bool) {
	n, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}
