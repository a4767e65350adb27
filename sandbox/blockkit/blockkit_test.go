package blockkit

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testRenderer knows the people of the card goldens and has a fixed clock.
func testRenderer() Renderer {
	names := map[string]Name{
		"U0DEPLOYER": {Text: "@deployer"},
		"U0APPROVER": {Text: "@approver", Me: true},
		"S0MANAGERS": {Text: "@release-managers", Me: true},
		"C0STAGING":  {Text: "#deploys-staging", URL: "/channels/C0STAGING"},
		"C0FORGED":   {Text: "#forged", URL: "javascript:alert(1)"},
	}
	files := map[string]string{"F0MISSING": "", "F0FORGED": "javascript:alert(1)", "F0OTHER": "//example.org/x"}
	return Renderer{
		Names: func(id string) (Name, bool) { name, ok := names[id]; return name, ok },
		File: func(id string) (string, bool) {
			if where, ok := files[id]; ok {
				return where, where != ""
			}
			return "/files/" + id, true
		},
		Now: time.Unix(1795348800, 0).Add(130 * time.Second),
	}
}

// blocksOf reads the blocks of a card golden, or a file that is a list of them.
func blocksOf(t *testing.T, path string) json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var card struct{ Blocks json.RawMessage }
	if json.Unmarshal(raw, &card) == nil {
		return card.Blocks
	}
	return raw
}

func TestGoldens(t *testing.T) {
	for _, path := range []string{
		"../../bot/testdata/gate_at_10.json", "../../bot/testdata/gate_at_10_classic.json", "../../bot/testdata/waiting_for_approval.json",
		"../../bot/testdata/rolled_back.json", "../../bot/testdata/answer_chart.json", "../../bot/testdata/incident_firing.json", "../../bot/testdata/incident_joined.json", "testdata/every_block.json", "testdata/modal.json",
	} {
		name := strings.TrimSuffix(filepath.Base(path), ".json") + ".html"
		t.Run(name, func(t *testing.T) {
			got := string(testRenderer().Blocks(blocksOf(t, path)))
			checkHTML(t, got)
			got = strings.ReplaceAll(got, "><", ">\n<") + "\n" // so that a change is a readable diff
			golden := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s changed; look at it, then run with -update:\n%s", golden, got)
			}
		})
	}
}

// Everything the bot sends is shown, and none of it as a note or a bare ID.
func TestEveryCardIsShown(t *testing.T) {
	cards, err := filepath.Glob("../../bot/testdata/*.json")
	if err != nil || len(cards) < 10 {
		t.Fatalf("only %d cards: %v", len(cards), err)
	}
	for _, path := range cards {
		blocks := blocksOf(t, path)
		got := string(testRenderer().Blocks(blocks))
		checkHTML(t, got)
		if len(blocks) > len("null") && got == "" || strings.Contains(got, "bk-note") || strings.Contains(got, "bk-missing") {
			t.Errorf("%s: something is not shown: %s", path, got)
		}
	}
}

func TestBlocks(t *testing.T) {
	for name, tt := range map[string]struct{ blocks, want, not string }{
		"no blocks":         {blocks: ` null `, want: ""},
		"unreadable":        {blocks: `{`, want: "These blocks cannot be read"},
		"not objects":       {blocks: `[1, null]`, want: "A block that is not shown here: "},
		"unknown":           {blocks: `[{"type":"hologram"}]`, want: "A block that is not shown here: hologram"},
		"plain is no mark":  {blocks: `[{"type":"section","text":{"type":"plain_text","text":"*a* &lt; <b>"}}]`, want: "*a* &amp;lt; &lt;b&gt;", not: "<b>"},
		"plain has emoji":   {blocks: `[{"type":"header","text":{"type":"plain_text","text":"go :rocket:"}}]`, want: "🚀"},
		"url button":        {blocks: `[{"type":"actions","block_id":"b","elements":[{"type":"button","action_id":"a","url":"https://example.org","text":{"type":"plain_text","text":"Open"}}]}]`, want: `<a data-type="button" data-action-id="a" data-block-id="b" data-value="" class="bk-button" href="https://example.org"`},
		"forged url button": {blocks: `[{"type":"actions","elements":[{"type":"button","url":"javascript:alert(1)","text":{"type":"plain_text","text":"Open"}}]}]`, want: `<button type="button" class="bk-button"`, not: "href"},
		"unknown element":   {blocks: `[{"type":"actions","elements":[{"type":"dial"}]}]`, want: "An element that is not shown here: dial"},
		"uploaded file":     {blocks: `[{"type":"image","slack_file":{"id":"F0CHART"},"alt_text":"errors"}]`, want: `src="/files/F0CHART" alt="errors"`},
		"forged file":       {blocks: `[{"type":"image","slack_file":{"id":"F0FORGED"},"alt_text":"errors"}]`, want: "Image: errors", not: "<img"},
		"file elsewhere":    {blocks: `[{"type":"image","slack_file":{"id":"F0OTHER"},"alt_text":"errors"}]`, want: "Image: errors", not: "<img"},
		"missing file":      {blocks: `[{"type":"image","slack_file":{"id":"F0MISSING"},"alt_text":"errors"}]`, want: "Image: errors", not: "<img"},
		"forged image":      {blocks: `[{"type":"image","image_url":"data:image/svg+xml,x","alt_text":"errors"}]`, want: "Image: errors", not: "<img"},
		"html in markdown":  {blocks: `[{"type":"markdown","text":"a <img src=x onerror=alert(1)> **b**"}]`, want: "&lt;img src=x onerror=alert(1)&gt; <b>b</b>", not: "<img"},
		"markdown link":     {blocks: `[{"type":"markdown","text":"[a](javascript:alert(1)) [b](https://example.org)"}]`, want: `href="https://example.org"`, not: "javascript"},
		"too deep":          {blocks: `[{"type":"container","child_blocks":[{"type":"container","child_blocks":[{"type":"container","child_blocks":[{"type":"divider"}]}]}]}]`, want: "A block nested too deep: divider"},
		"status word":       {blocks: `[{"type":"plan","title":"p","tasks":[{"title":"t","status":"error"}]}]`, want: `<span class="bk-unseen">Error: </span>`},
		"unknown status":    {blocks: `[{"type":"plan","title":"p","tasks":[{"title":"t","status":"completed"}]}]`, want: `<span class="bk-unseen">Pending: </span>`},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(testRenderer().Blocks(json.RawMessage(tt.blocks)))
			checkHTML(t, got)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s in it", got, tt.want)
			}
			if tt.not != "" && strings.Contains(got, tt.not) {
				t.Errorf("got %s, do not want %s in it", got, tt.not)
			}
		})
	}
}

func TestConfirmation(t *testing.T) {
	r := testRenderer()
	e := object{"title": map[string]any{"text": "Stop?"}, "text": map[string]any{"type": "mrkdwn", "text": "*<@U0DEPLOYER>* started &lt;it&gt;"}, "style": "danger"}
	want := `{"title":"Stop?","text":"@deployer started \u003cit\u003e","confirm":"Yes","deny":"Cancel","style":"danger"}`
	if got := r.confirmation(e); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := r.confirmation(nil); got != "" {
		t.Errorf("a button without a dialog has %q", got)
	}
}
