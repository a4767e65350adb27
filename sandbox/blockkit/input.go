// Input blocks, which modals have:
// https://docs.slack.dev/reference/block-kit/blocks/input-block.

package blockkit

import (
	"net/url"
	"strconv"
	"strings"
)

// fieldName is the name of an input in a form: Values finds it by this.
func fieldName(blockID, actionID string) string {
	return url.PathEscape(blockID) + "/" + url.PathEscape(actionID)
}

func (o *out) input(b object) {
	e := b.object("element")
	name := fieldName(b.str("block_id"), e.str("action_id"))
	id := "bk-" + name
	a := attrs{"name", name, "data-action-id", e.str("action_id"), "data-block-id", b.str("block_id")}
	hint := b.words("hint")
	if hint != "" {
		a = append(a, "aria-describedby", id+"-hint")
	}
	required := !b.is("optional")
	group := e.str("type") == "radio_buttons" || e.str("type") == "checkboxes"
	tag, label := "div", "label"
	labelled := attrs{"class", "bk-label", "for", id}
	if group {
		tag, label, labelled = "fieldset", "legend", attrs{"class", "bk-label"}
	}
	o.in(tag, attrs{"class", "bk-input", "data-block-id", b.str("block_id")}, func() {
		o.in(label, labelled, func() {
			o.text(o.r.plainText(b.object("label")))
			if !required {
				o.span("span", "bk-optional", " (optional)")
			}
		})
		if group {
			o.choices(e, a[2:].flag("required", required && e.str("type") == "radio_buttons"), name)
		} else {
			o.field(e, append(a, "id", id).flag("required", required))
		}
		if hint != "" {
			o.in("div", attrs{"class", "bk-hint", "id", id + "-hint"}, func() { o.titleOf(b, "hint") })
		}
	})
}

// field renders the element of an input block that takes one value.
func (o *out) field(e object, a attrs) {
	switch kind := e.str("type"); {
	case kind == "rich_text_input", kind == "plain_text_input" && e.is("multiline"):
		a = o.r.entry(e, "", a)
		o.in("textarea", append(a, "rows", "4"), func() { o.text("\n" + e.str("initial_value")) })
	case strings.HasSuffix(kind, "static_select"), strings.HasSuffix(kind, "external_select"):
		o.selection(a, e)
	case entryKind(kind) != "":
		o.void("input", o.r.entry(e, entryKind(kind), a))
	default:
		o.note("An input that is not shown here: " + kind)
	}
}

// entryKind is the type of HTML's input for an element; empty if it is none. The
// selects of people and channels take IDs or names as text.
func entryKind(kind string) string {
	switch kind {
	case "plain_text_input":
		return "text"
	case "email_text_input":
		return "email"
	case "url_text_input":
		return "url"
	case "number_input":
		return "number"
	case "datepicker":
		return "date"
	case "timepicker":
		return "time"
	case "datetimepicker":
		return "datetime-local"
	}
	for _, of := range []string{"users", "channels", "conversations"} {
		if strings.TrimPrefix(kind, "multi_") == of+"_select" {
			return "text"
		}
	}
	return ""
}

// entry adds what an input of the given HTML type, or a textarea for none, says
// about its value.
func (r Renderer) entry(e object, kind string, a attrs) attrs {
	a = append(a, "class", "bk-entry").with("type", kind).with("placeholder", e.words("placeholder"))
	for _, limit := range []struct{ key, name string }{{"min_length", "minlength"}, {"max_length", "maxlength"}} {
		if n, ok := e.number(limit.key); ok && n >= 0 && n < 1e6 {
			a = append(a, limit.name, strconv.Itoa(int(n)))
		}
	}
	if kind == "" {
		return a
	}
	if kind == "number" {
		a = a.with("min", e.str("min_value")).with("max", e.str("max_value"))
		if e.is("is_decimal_allowed") {
			a = append(a, "step", "any")
		}
	}
	return a.with("value", r.initial(e))
}

// initial is what an input holds at first, as HTML writes it.
func (r Renderer) initial(e object) string {
	if unix, ok := e.number("initial_date_time"); ok && unix >= 0 && unix <= lastDate {
		return utc(int64(unix)).Format(localTime)
	}
	for _, key := range []string{"initial_value", "initial_date", "initial_time", "initial_user", "initial_channel", "initial_conversation"} {
		if text := e.str(key); text != "" {
			return text
		}
	}
	var all []string
	for _, key := range []string{"initial_users", "initial_channels", "initial_conversations"} {
		for _, one := range e.list(key) {
			if id, ok := one.(string); ok {
				all = append(all, id)
			}
		}
	}
	return strings.Join(all, ", ")
}
