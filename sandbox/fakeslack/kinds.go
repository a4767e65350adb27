// The kinds of blocks, elements and objects: the fields each has, and where
// Slack takes it. The surfaces of the blocks are those of
// https://docs.slack.dev/blocks.json; the surfaces of the elements, and all the
// fields, are on the kinds' own pages below
// https://docs.slack.dev/reference/block-kit.

package fakeslack

import (
	"maps"
	"slices"
	"strings"
)

// kind is what Slack knows about a type of block or element.
type kind struct {
	on     []surface
	in     []string // for elements: the blocks that hold it
	fields string   // besides type and its ID
}

var (
	everywhere  = []surface{surfaceMessage, surfaceModal, surfaceHome}
	messages    = []surface{surfaceMessage}
	modals      = []surface{surfaceModal}
	notInModals = []surface{surfaceMessage, surfaceHome}
	notInHome   = []surface{surfaceMessage, surfaceModal}
)

// blockKinds has every block that an app may send. A file block is not among
// them: Slack shows one, but takes none.
var blockKinds = map[string]kind{
	"actions":            {on: everywhere, fields: "elements"},
	"alert":              {on: modals, fields: "text level"},
	"call":               {on: messages, fields: "call_id call api_decoration_available"},
	"card":               {on: everywhere, fields: "hero_image icon slack_icon title subtitle body subtext actions"},
	"carousel":           {on: notInModals, fields: "elements"},
	"container":          {on: messages, fields: "title rich_text_title subtitle child_blocks width icon is_collapsible default_collapsed has_header_divider"},
	"context":            {on: everywhere, fields: "elements"},
	"context_actions":    {on: messages, fields: "elements"},
	"data_table":         {on: notInModals, fields: "rows caption page_size row_header_column_index"},
	"data_visualization": {on: messages, fields: "title chart"},
	"divider":            {on: everywhere},
	"header":             {on: everywhere, fields: "text level"},
	"image":              {on: everywhere, fields: "alt_text title image_url slack_file"},
	"input":              {on: everywhere, fields: "label element hint optional dispatch_action"},
	"markdown":           {on: messages, fields: "text"},
	"plan":               {on: messages, fields: "title tasks"},
	"rich_text":          {on: everywhere, fields: "elements"},
	"section":            {on: everywhere, fields: "text fields accessory expand"},
	"table":              {on: notInModals, fields: "rows column_settings"},
	"task_card":          {on: messages, fields: "task_id title status details output sources hide_title icon"},
	"video":              {on: everywhere, fields: "video_url thumbnail_url alt_text title title_url author_name provider_name provider_icon_url description"},
}

// The blocks that hold elements.
var (
	inSectionsAndActions = []string{"section", "actions"}
	inAll                = []string{"section", "actions", "input"}
	inActionsAndInputs   = []string{"actions", "input"}
	inInputs             = []string{"input"}
	inContextActions     = []string{"context_actions"}
)

// elementKinds has every interactive element.
var elementKinds = map[string]kind{
	"button": {on: everywhere, in: []string{"section", "actions", "card"},
		fields: "text url value style confirm accessibility_label agent_prompt agent_prompt_display visible_to_user_ids"},
	"checkboxes":       {on: everywhere, in: inAll, fields: "options initial_options confirm focus_on_load visible_to_user_ids"},
	"datepicker":       {on: everywhere, in: inAll, fields: "initial_date confirm focus_on_load placeholder"},
	"datetimepicker":   {on: notInHome, in: inActionsAndInputs, fields: "initial_date_time confirm focus_on_load"},
	"email_text_input": {on: modals, in: inInputs, fields: "initial_value dispatch_action_config focus_on_load placeholder"},
	"feedback_buttons": {on: messages, in: inContextActions, fields: "positive_button negative_button"},
	"file_input":       {on: modals, in: inInputs, fields: "filetypes max_files"},
	"icon_button":      {on: messages, in: inContextActions, fields: "icon text confirm accessibility_label value visible_to_user_ids"},
	"number_input":     {on: modals, in: inInputs, fields: "is_decimal_allowed initial_value min_value max_value dispatch_action_config focus_on_load placeholder"},
	"overflow":         {on: everywhere, in: inSectionsAndActions, fields: "options confirm"},
	"plain_text_input": {on: everywhere, in: inInputs, fields: "initial_value multiline min_length max_length dispatch_action_config focus_on_load placeholder"},
	"radio_buttons":    {on: everywhere, in: inAll, fields: "options initial_option confirm focus_on_load"},
	"rich_text_input":  {on: []surface{surfaceModal, surfaceHome}, in: inActionsAndInputs, fields: "initial_value dispatch_action_config focus_on_load placeholder min_lines max_lines"},
	"timepicker":       {on: everywhere, in: inAll, fields: "initial_time timezone confirm focus_on_load placeholder"},
	"url_text_input":   {on: modals, in: inInputs, fields: "initial_value dispatch_action_config focus_on_load placeholder"},
	"workflow_button":  {on: messages, in: inSectionsAndActions, fields: "text workflow style accessibility_label"},

	"static_select":        {on: everywhere, in: inAll, fields: selectFields + "options option_groups initial_option"},
	"external_select":      {on: everywhere, in: inAll, fields: selectFields + "initial_option min_query_length"},
	"users_select":         {on: everywhere, in: inAll, fields: selectFields + "initial_user"},
	"conversations_select": {on: everywhere, in: inAll, fields: selectFields + "initial_conversation default_to_current_conversation response_url_enabled filter"},
	"channels_select":      {on: everywhere, in: inAll, fields: selectFields + "initial_channel response_url_enabled"},

	"multi_static_select":        {on: everywhere, in: inAll, fields: selectFields + "max_selected_items options option_groups initial_options"},
	"multi_external_select":      {on: everywhere, in: inAll, fields: selectFields + "max_selected_items initial_options min_query_length"},
	"multi_users_select":         {on: everywhere, in: inAll, fields: selectFields + "max_selected_items initial_users"},
	"multi_conversations_select": {on: everywhere, in: inAll, fields: selectFields + "max_selected_items initial_conversations default_to_current_conversation filter"},
	"multi_channels_select":      {on: everywhere, in: inAll, fields: selectFields + "max_selected_items initial_channels"},
}

const selectFields = "placeholder confirm focus_on_load "

// The fields of what is neither block nor element.
const (
	plainTextFields   = "type text emoji"
	mrkdwnFields      = "type text verbatim"
	optionFields      = "text value description"
	optionGroupFields = "label options"
	confirmFields     = "title text confirm deny style"
	imageFields       = "type alt_text image_url slack_file"
	modalFields       = "type title blocks close submit private_metadata callback_id clear_on_close notify_on_close external_id submit_disabled"
	homeFields        = "type blocks private_metadata callback_id external_id"
)

// only refuses fields that a kind does not have.
func (c *blockCheck) only(at string, o map[string]any, fields string) {
	known := strings.Fields(fields)
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains(known, key) {
			c.bad(at, "invalid additional property: %s", key)
		}
	}
}

// placed checks a block's type, its fields and its surface; it reports false
// when the block is none that may stand there.
func (c *blockCheck) placed(at string, b map[string]any) bool {
	k, known := blockKinds[str(b["type"])]
	if !known || !slices.Contains(k.on, c.surface) {
		c.bad(at+"/type", "unsupported type: %s", str(b["type"]))
		return false
	}
	c.only(at, b, "type block_id "+k.fields)
	return true
}

// fits is placed for an element in a block.
func (c *blockCheck) fits(at string, e map[string]any, block string) bool {
	k, known := elementKinds[str(e["type"])]
	if !known || !slices.Contains(k.on, c.surface) || !slices.Contains(k.in, block) {
		c.bad(at+"/type", "unsupported type: %s", str(e["type"]))
		return false
	}
	c.only(at, e, "type action_id "+k.fields)
	return true
}
