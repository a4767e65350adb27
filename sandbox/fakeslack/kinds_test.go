package fakeslack

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

// TestKindsTakeWhatSlackGoSends: a field that another client of Slack has is
// one that Slack has.
func TestKindsTakeWhatSlackGoSends(t *testing.T) {
	for name, sent := range map[string]any{
		"actions": slack.ActionBlock{}, "alert": slack.AlertBlock{}, "call": slack.CallBlock{}, "card": slack.CardBlock{},
		"carousel": slack.CarouselBlock{}, "container": slack.ContainerBlock{}, "context": slack.ContextBlock{},
		"context_actions": slack.ContextActionsBlock{}, "data_table": slack.DataTableBlock{},
		"data_visualization": slack.DataVisualizationBlock{}, "divider": slack.DividerBlock{}, "header": slack.HeaderBlock{},
		"image": slack.ImageBlock{}, "input": slack.InputBlock{}, "markdown": slack.MarkdownBlock{}, "plan": slack.PlanBlock{},
		"rich_text": slack.RichTextBlock{}, "section": slack.SectionBlock{}, "table": slack.TableBlock{},
		"task_card": slack.TaskCardBlock{}, "video": slack.VideoBlock{},
	} {
		wantFields(t, name, "type block_id "+blockKinds[name].fields, sent)
	}
	for name, sent := range map[string]any{
		"button": slack.ButtonBlockElement{}, "checkboxes": slack.CheckboxGroupsBlockElement{},
		"datepicker": slack.DatePickerBlockElement{}, "datetimepicker": slack.DateTimePickerBlockElement{},
		"email_text_input": slack.EmailTextInputBlockElement{}, "feedback_buttons": slack.FeedbackButtonsBlockElement{},
		"file_input": slack.FileInputBlockElement{}, "icon_button": slack.IconButtonBlockElement{},
		"number_input": slack.NumberInputBlockElement{}, "overflow": slack.OverflowBlockElement{},
		"plain_text_input": slack.PlainTextInputBlockElement{}, "radio_buttons": slack.RadioButtonsBlockElement{},
		"rich_text_input": slack.RichTextInputBlockElement{}, "timepicker": slack.TimePickerBlockElement{},
		"url_text_input": slack.URLTextInputBlockElement{}, "workflow_button": slack.WorkflowButtonBlockElement{},
	} {
		wantFields(t, name, "type action_id "+elementKinds[name].fields, sent)
	}
	wantFields(t, "plain_text or mrkdwn", plainTextFields+" "+mrkdwnFields, slack.TextBlockObject{})
	wantFields(t, "option", optionFields+" url", slack.OptionBlockObject{})
	wantFields(t, "option group", optionGroupFields, slack.OptionGroupBlockObject{})
	wantFields(t, "confirm", confirmFields, slack.ConfirmationBlockObject{})
	wantFields(t, "image element", imageFields, slack.ImageBlockElement{})
	wantFields(t, "modal", modalFields, slack.ModalViewRequest{})
	wantFields(t, "home", homeFields, slack.HomeTabViewRequest{})
}

func wantFields(t *testing.T, name, fields string, sent any) {
	t.Helper()
	known := strings.Fields(fields)
	of := reflect.TypeOf(sent)
	for i := range of.NumField() {
		field, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if field != "" && field != "-" && !slices.Contains(known, field) {
			t.Errorf("%s: slack-go sends %q, which is refused here", name, field)
		}
	}
}

// TestSelectsTakeWhatSlackGoSends: slack-go has one type for all selects.
func TestSelectsTakeWhatSlackGoSends(t *testing.T) {
	var single, several string
	for name, k := range elementKinds {
		switch {
		case strings.HasPrefix(name, "multi_"):
			several += " " + k.fields
		case strings.HasSuffix(name, "_select"):
			single += " " + k.fields
		}
	}
	wantFields(t, "selects", "type action_id"+single, slack.SelectBlockElement{})
	wantFields(t, "multi-selects", "type action_id"+several, slack.MultiSelectBlockElement{})
}

func TestElementsStandOnlyWhereSlackTakesThem(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		where     string // of what is wrong
	}{
		{"an input in actions", `[{"type":"actions","elements":[{"type":"plain_text_input"}]}]`, "/blocks/0/elements/0/type"},
		{"a button in an input", `[{"type":"input","label":{"type":"plain_text","text":"x"},"element":{"type":"button"}}]`, "/blocks/0/element/type"},
		{"a date and time in a section", `[{"type":"section","text":{"type":"mrkdwn","text":"x"},"accessory":{"type":"datetimepicker"}}]`, "/blocks/0/accessory/type"},
		{"a file input in a message", `[{"type":"input","label":{"type":"plain_text","text":"x"},"element":{"type":"file_input"}}]`, "/blocks/0/element/type"},
		{"a select in a card", `[{"type":"card","actions":[{"type":"users_select"}]}]`, "/blocks/0/actions/0/type"},
		{"a button in context actions", `[{"type":"context_actions","elements":[{"type":"button"}]}]`, "/blocks/0/elements/0/type"},
		{"an alert in a message", `[{"type":"alert","text":{"type":"mrkdwn","text":"x"}}]`, "/blocks/0/type"},
		{"a file", `[{"type":"file","external_id":"x","source":"remote"}]`, "/blocks/0/type"},
		{"markdown in a container", `[{"type":"container","title":{"type":"plain_text","text":"x"},"child_blocks":[{"type":"markdown","text":"x"}]}]`, "/blocks/0/child_blocks/0/type"},
		{"a section in a carousel", `[{"type":"carousel","elements":[{"type":"section"}]}]`, "/blocks/0/elements/0/type"},
		{"an unknown part of rich text", `[{"type":"rich_text","elements":[{"type":"rich_text_table"}]}]`, "/blocks/0/elements/0/type"},
		{"an unknown cell", `[{"type":"table","rows":[[{"type":"mrkdwn","text":"x"}]]}]`, "/blocks/0/rows/0/0/type"},
		{"null", `[null]`, "/blocks/0/type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(testConfig()).checkBlocks(c.raw)
			wantProblem(t, err, "unsupported type", c.where)
		})
	}
}

// wantProblem checks that blocks are refused for a reason and that the place is
// named.
func wantProblem(t *testing.T, err error, why, where string) {
	t.Helper()
	wantCode(t, err, "invalid_blocks")
	refusal, _ := err.(*apiError) //nolint:errorlint // checkBlocks returns nothing else
	if refusal == nil || !slices.ContainsFunc(refusal.Messages, func(m string) bool {
		return strings.Contains(m, why) && strings.HasSuffix(m, "[json-pointer:"+where+"]")
	}) {
		t.Errorf("refused with %+v, want %q at %s", refusal, why, where)
	}
}

func TestWhatABlockMustHave(t *testing.T) {
	for _, c := range []struct{ name, raw, why, where string }{
		{"only the fields it has", `[{"type":"divider","text":"x"}]`, "invalid additional property: text", "/blocks/0"},
		{"only the fields it has, below too", `[{"type":"actions","elements":[{"type":"users_select","block_id":"x"}]}]`, "invalid additional property: block_id", "/blocks/0/elements/0"},
		{"an empty card", `[{"type":"card"}]`, "missing required field", "/blocks/0"},
		{"a container without a title", `[{"type":"container","child_blocks":[{"type":"divider"}]}]`, "missing required field", "/blocks/0"},
		{"a container of another width", `[{"type":"container","title":{"type":"plain_text","text":"x"},"child_blocks":[{"type":"divider"}],"width":"huge"}]`, "valid enum value", "/blocks/0/width"},
		{"a data table without a caption", `[{"type":"data_table","rows":[[{"type":"raw_text","text":"x"}],[{"type":"raw_text","text":"x"}]]}]`, "more than 0", "/blocks/0/caption"},
		{"a data table of heads alone", `[{"type":"data_table","caption":"c","rows":[[{"type":"raw_text","text":"x"}]]}]`, "at least 2", "/blocks/0/rows"},
		{"a data table with long pages", `[{"type":"data_table","caption":"c","page_size":101,"rows":[[{"type":"raw_text","text":"x"}],[{"type":"raw_text","text":"x"}]]}]`, "between 1 and 100", "/blocks/0/page_size"},
		{"a video over http", `[{"type":"video","video_url":"http://x","thumbnail_url":"https://x","alt_text":"x","title":{"type":"plain_text","text":"x"}}]`, "https", "/blocks/0/video_url"},
		{"an image from two places", `[{"type":"image","alt_text":"x","image_url":"https://x","slack_file":{"url":"https://y"}}]`, "only one of", "/blocks/0"},
		{"feedback without a value", `[{"type":"context_actions","elements":[{"type":"feedback_buttons","positive_button":{"text":{"type":"plain_text","text":"x"}},"negative_button":{"text":{"type":"plain_text","text":"x"},"value":"n"}}]}]`, "more than 0", "/blocks/0/elements/0/positive_button/value"},
		{"a date in another form", `[{"type":"actions","elements":[{"type":"datepicker","initial_date":"22.11.2026"}]}]`, "invalid format", "/blocks/0/elements/0/initial_date"},
		{"a time in another form", `[{"type":"actions","elements":[{"type":"timepicker","initial_time":"9"}]}]`, "invalid format", "/blocks/0/elements/0/initial_time"},
		{"no items to select", `[{"type":"actions","elements":[{"type":"multi_users_select","max_selected_items":0}]}]`, "greater than 0", "/blocks/0/elements/0/max_selected_items"},
		{"a long input", `[{"type":"input","label":{"type":"plain_text","text":"x"},"element":{"type":"plain_text_input","max_length":3001}}]`, "less than 3001", "/blocks/0/element/max_length"},
		{"an empty text in rich text", `[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":""}]}]}]`, "more than 0", "/blocks/0/elements/0/elements/0/text"},
		{"mrkdwn in a select", `[{"type":"actions","elements":[{"type":"static_select","options":[{"text":{"type":"mrkdwn","text":"x"},"value":"x"}]}]}]`, "must be plain_text", "/blocks/0/elements/0/options/0/text/type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(testConfig()).checkBlocks(c.raw)
			wantProblem(t, err, c.why, c.where)
		})
	}
}

func TestModalsAndHomesHaveTheirOwnElements(t *testing.T) {
	s := New(testConfig())
	for _, c := range []struct {
		kind, element string
		taken         bool
	}{
		{"modal", "number_input", true}, {"home", "number_input", false},
		{"modal", "file_input", true}, {"home", "file_input", false},
		{"modal", "datetimepicker", true}, {"home", "datetimepicker", false},
		{"modal", "rich_text_input", true}, {"home", "rich_text_input", true},
	} {
		view := `{"type":"` + c.kind + `","blocks":[{"type":"input","label":{"type":"plain_text","text":"x"},"element":{"type":"` + c.element + `","is_decimal_allowed":true}}]`
		if c.element != "number_input" {
			view = strings.Replace(view, `,"is_decimal_allowed":true`, "", 1)
		}
		if c.kind == "modal" {
			view += `,"title":{"type":"plain_text","text":"x"},"submit":{"type":"plain_text","text":"x"}`
		}
		if _, err := s.readView(view+"}", "", c.kind); (err == nil) != c.taken {
			t.Errorf("%s in a %s: %v", c.element, c.kind, err)
		}
	}
}
