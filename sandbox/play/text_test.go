package play

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"slipway/sandbox/fakeslack"
)

// drawn is a card's chart in Slack's own form: two slices across midnight, with the old level and the limit.
const drawn = `{"type":"data_visualization","title":"Error rate of backend in %","chart":{"type":"line","series":[
	{"name":"new","data":[{"label":"23:59:55","value":0},{"label":"00:00:00","value":1.25}]},
	{"name":"old","data":[{"label":"23:59:55","value":72.05},{"label":"00:00:00","value":72.05}]},
	{"name":"limit","data":[{"label":"23:59:55","value":5},{"label":"00:00:00","value":5}]}]}}`

// picture is what is drawn of it in the end.
const picture = `Error rate of backend in %, UTC
 80% ○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○○ old 72%



     ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ limit 5%
  0% ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆ new
     23:59:55                              00:00:04`

func card(text string, list ...string) fakeslack.Message {
	return fakeslack.Message{Text: text, Blocks: json.RawMessage("[" + strings.Join(list, ",") + "]")}
}

// While a rollout moves its chart is a row of bars a line; in the end it is a picture, also when the card
// has an image in its place by then.
func TestTextOfTheChart(t *testing.T) {
	moving := card("backend on staging: phase 3 of 4", drawn)
	image := `{"type":"image","alt_text":"Errors fell from 72% to 0.9%: passed.","slack_file":{"id":"F1"}}`
	over, last := card("*Deployed: backend on staging*", image), lastChart(moving, block{})
	for name, arm := range map[string]struct {
		message fakeslack.Message
		has     []string
		lacks   string
	}{
		"moving":               {moving, []string{"Error rate of backend in %", "  new    ▁▁ 1.25%", "  old    ██ 72.05%"}, "╌"},
		"over, with its chart": {card("*Rolled back: backend on staging*", drawn), []string{picture}, "▁▁ 1.25%"},
		"over, with an image":  {over, []string{"Errors fell from 72% to 0.9%: passed.\n" + picture}, "▁▁ 1.25%"},
		"a reply":              {fakeslack.Message{Text: over.Text, Blocks: over.Blocks, ThreadTS: "1.1"}, []string{"passed."}, "╌"},
		"seen by one only":     {fakeslack.Message{Text: over.Text, Blocks: over.Blocks, EphemeralTo: "U1"}, []string{"passed."}, "╌"},
	} {
		got := strings.Join(names{}.lines(arm.message, lastChart(arm.message, last)), "\n")
		for _, want := range arm.has {
			if !strings.Contains(got, want) {
				t.Errorf("%s: does not have\n%s\nbut is\n%s", name, want, got)
			}
		}
		if strings.Contains(got, arm.lacks) {
			t.Errorf("%s: has %q:\n%s", name, arm.lacks, got)
		}
	}
}

// What is no chart of times ends with its words alone.
func TestTextWithoutAChart(t *testing.T) {
	numbered := strings.ReplaceAll(strings.ReplaceAll(drawn, "23:59:55", "first"), "00:00:00", "second")
	for _, m := range []fakeslack.Message{card("*Failed: backend on staging*", numbered), card("*Failed: backend on staging*", `{"type":"section","text":{"text":"Failed"}}`)} {
		if got := (names{}).lines(m, lastChart(m, block{})); slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, "UTC") }) {
			t.Errorf("drew a picture of nothing: %q", got)
		}
	}
}
