package blockkit

import (
	"encoding/json"
	"encoding/xml"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// What a browser would post of a modal that nobody touched is what the modal
// started with.
func TestValuesRoundTrip(t *testing.T) {
	blocks := blocksOf(t, "testdata/modal.json")
	form := posted(t, string(testRenderer().Blocks(blocks)))
	got, err := json.Marshal(Values(blocks, form))
	if err != nil {
		t.Fatal(err)
	}
	option := func(text, value string) map[string]any {
		return map[string]any{"text": map[string]any{"type": "plain_text", "text": text}, "value": value}
	}
	both := []any{option("Traffic", "traffic"), option("Logs", "logs")}
	want := map[string]map[string]any{
		"reason":    {"text": map[string]any{"type": "plain_text_input", "value": "\nFirst line\n  <second> & \"last\""}},
		"title/a b": {"text?": map[string]any{"type": "plain_text_input", "value": "it's"}},
		"percent":   {"number": map[string]any{"type": "number_input", "value": "10"}},
		"env":       {"pick": map[string]any{"type": "static_select", "selected_option": option("Staging", "staging")}},
		"checks":    {"pick": map[string]any{"type": "multi_static_select", "selected_options": both}},
		"gates":     {"pick": map[string]any{"type": "checkboxes", "selected_options": both[1:]}},
		"way":       {"pick": map[string]any{"type": "radio_buttons", "selected_option": option("Logs", "logs")}},
		"day":       {"pick": map[string]any{"type": "datepicker", "selected_date": "2026-11-22"}},
		"hour":      {"pick": map[string]any{"type": "timepicker", "selected_time": "12:30"}},
		"moment":    {"pick": map[string]any{"type": "datetimepicker", "selected_date_time": 1795348800}},
		"person":    {"pick": map[string]any{"type": "users_select", "selected_user": "U0DEPLOYER"}},
		"people":    {"pick": map[string]any{"type": "multi_users_select", "selected_users": []any{"U0DEPLOYER", "U0APPROVER"}}},
		"note":      {"text": map[string]any{"type": "plain_text_input", "value": nil}},
		"extras":    {"pick": map[string]any{"type": "checkboxes", "selected_options": []any{}}},
		"inner":     {"text": map[string]any{"type": "url_text_input", "value": "https://example.org"}},
	}
	var back, wanted any
	raw, _ := json.Marshal(want)
	if json.Unmarshal(got, &back) != nil || json.Unmarshal(raw, &wanted) != nil || !reflect.DeepEqual(back, wanted) {
		t.Errorf("got %s\nwant %s", got, raw)
	}
}

// posted is the form that a browser makes of inputs nobody touched.
func posted(t *testing.T, html string) url.Values {
	t.Helper()
	form := url.Values{}
	d := xml.NewDecoder(strings.NewReader(html))
	var name, text string
	for {
		token, _ := d.Token()
		switch token := token.(type) {
		case nil:
			return form
		case xml.CharData:
			text += string(token)
		case xml.EndElement:
			if token.Name.Local == "textarea" { // HTML drops the first line break and sends CRLF
				form.Add(name, strings.ReplaceAll(strings.TrimPrefix(text, "\n"), "\n", "\r\n"))
			}
		case xml.StartElement:
			text = ""
			a := map[string]string{}
			for _, one := range token.Attr {
				a[one.Name.Local] = one.Value
			}
			_, checked := a["checked"]
			_, selected := a["selected"]
			switch token.Name.Local {
			case "textarea", "select":
				name = a["name"]
			case "option":
				if selected {
					form.Add(name, a["value"])
				}
			case "input":
				if choice := a["type"] == "radio" || a["type"] == "checkbox"; !choice || checked {
					form.Add(a["name"], a["value"])
				}
			}
		}
	}
}

func TestValues(t *testing.T) {
	const text = `{"type":"plain_text_input","action_id":"a"}`
	const pick = `{"type":"static_select","action_id":"a","option_groups":[{"options":[{"text":{"type":"plain_text","text":"X"},"value":"x"}]}]}`
	for name, tt := range map[string]struct {
		element  string
		optional bool
		given    []string
		want     string
	}{
		"required and empty":   {element: text, given: []string{""}, want: `{}`},
		"required and missing": {element: text, want: `{}`},
		"optional and empty":   {element: text, optional: true, given: []string{""}, want: `{"b":{"a":{"type":"plain_text_input","value":null}}}`},
		"line breaks":          {element: text, given: []string{"x\r\ny"}, want: `{"b":{"a":{"type":"plain_text_input","value":"x\ny"}}}`},
		"grouped":              {element: pick, given: []string{"x"}, want: `{"b":{"a":{"type":"static_select","selected_option":{"text":{"type":"plain_text","text":"X"},"value":"x"}}}}`},
		"no such option":       {element: pick, given: []string{"y"}, want: `{}`},
		"not chosen":           {element: pick, optional: true, given: []string{""}, want: `{"b":{"a":{"type":"static_select","selected_option":null}}}`},
		"bad time":             {element: `{"type":"datetimepicker","action_id":"a"}`, optional: true, given: []string{"soon"}, want: `{"b":{"a":{"type":"datetimepicker","selected_date_time":null}}}`},
		"rich text":            {element: `{"type":"rich_text_input","action_id":"a"}`, given: []string{"x"}, want: `{"b":{"a":{"type":"rich_text_input","rich_text_value":{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"x"}]}]}}}}`},
		"single channel":       {element: `{"type":"channels_select","action_id":"a"}`, given: []string{"C0STAGING"}, want: `{"b":{"a":{"type":"channels_select","selected_channel":"C0STAGING"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			optional, _ := json.Marshal(tt.optional)
			blocks := `[{"type":"input","block_id":"b","optional":` + string(optional) + `,"element":` + tt.element + `}]`
			raw, err := json.Marshal(Values(json.RawMessage(blocks), url.Values{"b/a": tt.given}))
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if json.Unmarshal(raw, &got) != nil || json.Unmarshal([]byte(tt.want), &want) != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %s, want %s", raw, tt.want)
			}
		})
	}
	if got := Values(json.RawMessage("{"), nil); len(got) != 0 {
		t.Errorf("unreadable blocks have values %v", got)
	}
}

// Every input has a label, and every label and hint belongs to an input.
func TestInputsAreLabelled(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(string(testRenderer().Blocks(blocksOf(t, "testdata/modal.json")))))
	ids, refs, fields := map[string]bool{}, map[string]bool{}, 0
	labelled := map[string]bool{}
	for {
		token, _ := d.Token()
		if token == nil {
			break
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		a := map[string]string{}
		for _, one := range e.Attr {
			a[one.Name.Local] = one.Value
		}
		if id := a["id"]; id != "" {
			if ids[id] || strings.ContainsAny(id, " \t") {
				t.Errorf("id %q is there twice or has spaces", id)
			}
			ids[id] = true
			if a["name"] != "" {
				fields++
			}
		}
		if a["for"] != "" {
			labelled[a["for"]] = true
		}
		if a["aria-describedby"] != "" {
			refs[a["aria-describedby"]] = true
		}
	}
	for ref := range labelled {
		refs[ref] = true
	}
	for ref := range refs {
		if !ids[ref] {
			t.Errorf("nothing has the id %q", ref)
		}
	}
	if fields == 0 || len(labelled) != fields {
		t.Errorf("%d labels for %d fields", len(labelled), fields)
	}
}
