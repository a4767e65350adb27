// Interactive elements outside of inputs:
// https://docs.slack.dev/reference/block-kit/block-elements. What a click needs
// is in data- attributes; the page's script sends it.

package blockkit

import (
	"encoding/json"
	"strings"
)

func (o *out) actions(b object) {
	o.in("div", attrs{"class", "bk-actions"}, func() { o.elements(b, b.objects("elements")) })
}

func (o *out) contextActions(b object) {
	o.in("div", attrs{"class", "bk-actions bk-context-actions"}, func() { o.elements(b, b.objects("elements")) })
}

func (o *out) elements(b object, elements []object) {
	for _, e := range elements {
		o.element(b, e)
	}
}

func (o *out) element(b, e object) {
	switch kind := e.str("type"); kind {
	case "image":
		o.image("bk-accessory-image", e)
	case "button", "workflow_button":
		o.button(b, e)
	case "icon_button":
		o.plainButton(o.r.action(b, e).with("data-value", e.str("value")), "bk-button bk-small", e)
	case "feedback_buttons":
		for _, key := range []string{"positive_button", "negative_button"} {
			one := e.object(key)
			o.plainButton(o.r.action(b, e).with("data-value", one.str("value")), "bk-button bk-small", one)
		}
	case "overflow":
		o.overflow(b, e)
	case "static_select", "external_select":
		o.selection(o.r.action(b, e), e)
	case "radio_buttons", "checkboxes":
		o.in("div", attrs{"class", "bk-choices", "role", "group", "aria-label", elementLabel(e)}, func() {
			o.choices(e, o.r.action(b, e), fieldName(b.str("block_id"), e.str("action_id")))
		})
	default:
		if kind := entryKind(kind); kind != "" {
			o.void("input", o.r.entry(e, kind, append(o.r.action(b, e), "aria-label", elementLabel(e))))
			return
		}
		o.note("An element that is not shown here: " + kind)
	}
}

// action says which element it is, as a click must name it.
func (r Renderer) action(b, e object) attrs {
	a := attrs{"data-type", e.str("type"), "data-action-id", e.str("action_id"), "data-block-id", b.str("block_id")}
	return a.with("data-confirm", r.confirmation(e.object("confirm")))
}

// confirmation is a dialog to show first, as JSON; empty for none.
func (r Renderer) confirmation(c object) string {
	if c == nil {
		return ""
	}
	or := func(key, otherwise string) string {
		if text := r.plainText(c.object(key)); text != "" {
			return text
		}
		return otherwise
	}
	raw, _ := json.Marshal(struct { // of strings only: cannot fail
		Title   string `json:"title"`
		Text    string `json:"text"`
		Confirm string `json:"confirm"`
		Deny    string `json:"deny"`
		Style   string `json:"style,omitempty"`
	}{or("title", "Are you sure?"), or("text", ""), or("confirm", "Yes"), or("deny", "Cancel"), c.str("style")})
	return string(raw)
}

func (o *out) button(b, e object) {
	class := "bk-button"
	if style := e.str("style"); style == "primary" || style == "danger" {
		class += " bk-" + style
	}
	a := append(o.r.action(b, e), "data-value", e.str("value"))
	if to, ok := safeURL(e.str("url")); ok {
		a = append(a, "class", class, "href", to, "target", "_blank", "rel", "noopener noreferrer")
		o.in("a", a.with("aria-label", e.str("accessibility_label")), func() { o.titleOf(e, "text") })
		return
	}
	o.plainButton(a, class, e)
}

func (o *out) plainButton(a attrs, class string, e object) {
	a = append(attrs{"type", "button", "class", class}, a...).with("aria-label", e.str("accessibility_label"))
	o.in("button", a, func() { o.titleOf(e, "text") })
}

func (o *out) overflow(b, e object) {
	o.in("details", attrs{"class", "bk-overflow"}, func() {
		o.in("summary", attrs{"class", "bk-button", "aria-label", "More actions"}, func() { o.text("⋯") })
		o.in("div", attrs{"class", "bk-menu"}, func() {
			for _, option := range e.objects("options") {
				one := object{"type": "overflow", "action_id": e["action_id"], "confirm": e["confirm"], "text": option["text"], "value": option["value"], "url": option["url"]}
				o.button(b, one)
			}
		})
	})
}

// selection is a menu. Its value is the chosen option's.
func (o *out) selection(a attrs, e object) {
	if !a.has("id") {
		a = append(a, "aria-label", elementLabel(e))
	}
	multiple := strings.HasPrefix(e.str("type"), "multi_")
	chosen := initialValues(e)
	o.in("select", append(a, "class", "bk-select").flag("multiple", multiple), func() {
		if !multiple {
			o.in("option", attrs{"value", ""}.flag("selected", len(chosen) == 0), func() { o.text(placeholder(e, "Select an item")) })
		}
		o.options(e.objects("options"), chosen)
		for _, g := range e.objects("option_groups") {
			o.in("optgroup", attrs{"label", g.words("label")}, func() { o.options(g.objects("options"), chosen) })
		}
	})
}

func (o *out) options(options []object, chosen map[string]bool) {
	for _, option := range options {
		value := option.str("value")
		o.in("option", attrs{"value", value}.flag("selected", chosen[value]), func() { o.text(o.r.plainText(option.object("text"))) })
	}
}

// initialValues are the values of the options that are chosen at first.
func initialValues(e object) map[string]bool {
	chosen := map[string]bool{}
	for _, option := range append(e.objects("initial_options"), e.object("initial_option")) {
		if option != nil {
			chosen[option.str("value")] = true
		}
	}
	return chosen
}

// choices are radio buttons or checkboxes, each with its label.
func (o *out) choices(e object, a attrs, name string) {
	kind := "checkbox"
	if e.str("type") == "radio_buttons" {
		kind = "radio"
	}
	chosen := initialValues(e)
	for _, option := range e.objects("options") {
		value := option.str("value")
		one := append(attrs{"type", kind, "name", name, "value", value}, a...).flag("checked", chosen[value])
		o.in("label", attrs{"class", "bk-choice"}, func() {
			o.void("input", one)
			o.in("span", nil, func() {
				o.text(o.r.plainText(option.object("text")))
				if about := o.r.plainText(option.object("description")); about != "" {
					o.span("span", "bk-choice-about", about)
				}
			})
		})
	}
}

func (a attrs) has(name string) bool {
	for i := 0; i+1 < len(a); i += 2 {
		if a[i] == name {
			return true
		}
	}
	return false
}

func placeholder(e object, otherwise string) string {
	if text := e.words("placeholder"); text != "" {
		return text
	}
	return otherwise
}

// elementLabel names an element that has no label of its own.
func elementLabel(e object) string {
	return placeholder(e, strings.ReplaceAll(e.str("type"), "_", " "))
}
