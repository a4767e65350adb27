package blockkit

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

// localTime is how HTML's datetime-local writes a time. It is read as UTC.
const localTime = "2006-01-02T15:04"

// Values reads a submitted modal's form into state.values, by block_id and
// action_id (https://docs.slack.dev/reference/views/view-payload). What is left
// empty has a null, or no options, as Slack sends it; a required input that is
// left empty is not there at all, for Slack would not let it be submitted.
// Blocks that cannot be read have no values.
func Values(blocks json.RawMessage, form url.Values) map[string]map[string]any {
	values := map[string]map[string]any{}
	all, err := readBlocks(blocks)
	if err != nil {
		return values
	}
	for _, b := range inputs(all, 0) {
		e := b.object("element")
		block, action := b.str("block_id"), e.str("action_id")
		state, filled := stateOf(e, form[fieldName(block, action)])
		if !filled && !b.is("optional") {
			continue
		}
		if values[block] == nil {
			values[block] = map[string]any{}
		}
		values[block][action] = state
	}
	return values
}

// inputs are the input blocks, those in containers included.
func inputs(blocks []object, depth int) []object {
	var found []object
	for _, b := range blocks {
		switch {
		case b.str("type") == "input":
			found = append(found, b)
		case depth < maxDepth:
			found = append(found, inputs(b.objects("child_blocks"), depth+1)...)
		}
	}
	return found
}

// stateOf is the state of an element that the form gives these values for, and
// whether there is anything in it.
func stateOf(e object, given []string) (state map[string]any, filled bool) {
	kind := e.str("type")
	key := stateKey(kind)
	state = map[string]any{"type": kind, key: nil}
	text := ""
	if len(given) > 0 {
		text = strings.ReplaceAll(given[0], "\r\n", "\n")
	}
	switch key {
	case "selected_options":
		chosen := chosenOptions(e, given)
		state[key] = chosen
		return state, len(chosen) > 0
	case "selected_option":
		if chosen := chosenOptions(e, given); len(chosen) > 0 {
			state[key] = chosen[0]
		}
	case "selected_users", "selected_channels", "selected_conversations":
		ids := strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' })
		state[key] = ids
		return state, len(ids) > 0
	case "selected_date_time":
		if at, err := time.Parse(localTime, text); err == nil {
			state[key] = at.Unix()
		}
	case "rich_text_value":
		if text != "" {
			state[key] = richValue(text)
		}
	default:
		if text != "" {
			state[key] = text
		}
	}
	return state, state[key] != nil
}

// stateKey is where the state of an element of this kind has its value.
func stateKey(kind string) string {
	multi := strings.HasPrefix(kind, "multi_")
	switch one := strings.TrimPrefix(kind, "multi_"); one {
	case "static_select", "external_select", "radio_buttons":
		if multi {
			return "selected_options"
		}
		return "selected_option"
	case "checkboxes":
		return "selected_options"
	case "users_select", "channels_select", "conversations_select":
		key := "selected_" + strings.TrimSuffix(one, "_select")
		if multi {
			return key
		}
		return strings.TrimSuffix(key, "s")
	case "datepicker":
		return "selected_date"
	case "timepicker":
		return "selected_time"
	case "datetimepicker":
		return "selected_date_time"
	case "rich_text_input":
		return "rich_text_value"
	}
	return "value"
}

// chosenOptions are the element's own options whose values were given, in its
// order. A value that no option has chooses nothing.
func chosenOptions(e object, given []string) []any {
	wanted := map[string]bool{}
	for _, value := range given {
		wanted[value] = true
	}
	options := slices.Clone(e.list("options"))
	for _, g := range e.objects("option_groups") {
		options = append(options, g.list("options")...)
	}
	chosen := []any{}
	for i, option := range objects(options) {
		if value := option.str("value"); value != "" && wanted[value] {
			chosen = append(chosen, options[i])
		}
	}
	return chosen
}

// richValue is text without formatting as a rich_text block.
func richValue(text string) map[string]any {
	return map[string]any{"type": "rich_text", "elements": []any{
		map[string]any{"type": "rich_text_section", "elements": []any{map[string]any{"type": "text", "text": text}}},
	}}
}
