package blockkit

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

func checkHTML(t *testing.T, html string) {
	t.Helper()
	if err := unsafeHTML(html); err != nil {
		t.Errorf("%v in %s", err, html)
	}
}

// unsafeHTML returns what is wrong with HTML that must be well-formed and must
// not do anything: no scripts, no handlers, no styles, no links but safe ones.
func unsafeHTML(html string) error {
	d := xml.NewDecoder(strings.NewReader("<div>" + html + "</div>"))
	for depth := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("not well-formed: %w", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			if err := unsafeElement(token); err != nil {
				return err
			}
		case xml.EndElement:
			if depth--; depth == 0 && d.InputOffset() < int64(len("<div>"+html+"</div>")) {
				return errors.New("an element closed too often")
			}
		case xml.Comment, xml.Directive, xml.ProcInst:
			return fmt.Errorf("neither element nor text: %v", token)
		}
	}
}

const elements = " a b blockquote br button caption circle code details div fieldset hr i img input label legend li line mark ol optgroup option p path polygon polyline pre rect s select span summary svg table tbody td text textarea th thead time title tr u ul "

func unsafeElement(e xml.StartElement) error {
	if !strings.Contains(elements, " "+e.Name.Local+" ") {
		return fmt.Errorf("element <%s>", e.Name.Local)
	}
	var seen []string
	for _, a := range e.Attr {
		name := a.Name.Local
		if slices.Contains(seen, name) {
			return fmt.Errorf("attribute %s twice", name)
		}
		seen = append(seen, name)
		if strings.HasPrefix(name, "on") || name == "style" || name == "srcdoc" || name == "formaction" {
			return fmt.Errorf("attribute %s", name)
		}
		if (name == "href" || name == "src") && !harmless(a.Value) {
			return fmt.Errorf("%s to %q", name, a.Value)
		}
	}
	return nil
}

func harmless(link string) bool {
	if strings.HasPrefix(link, "/") && !strings.HasPrefix(link, "//") {
		return true
	}
	u, err := url.Parse(link)
	return err == nil && slices.Contains([]string{"http", "https", "mailto"}, u.Scheme)
}

// The control arm: what the other tests rely on finds what it must.
func TestUnsafeHTMLIsFound(t *testing.T) {
	for _, html := range []string{
		"<script>x</script>", `<a onclick="x">y</a>`, `<a href="javascript:x">y</a>`, `<a href=" javascript:x">y</a>`, `<img src="//example.org" />`,
		`<img src="data:x" />`, "<b>", "</b>", "</div><div>", "<b><i></b></i>", `<a style="x">y</a>`, "a & b", "<!-- x -->", `<p class="a" class="b"></p>`, "\x01",
	} {
		if unsafeHTML(html) == nil {
			t.Errorf("%s passes", html)
		}
	}
	if err := unsafeHTML(`<a href="/x">a &amp; b</a>`); err != nil {
		t.Error(err)
	}
}

func FuzzMrkdwn(f *testing.F) {
	for _, text := range []string{
		"*a* _b_ ~c~ `d` ```e``` &lt;", "<javascript:alert(1)|x>", "<@U0DEPLOYER> <#C0FORGED|x> <!date^1^{ago}^javascript:x|y>",
		"&gt;&gt;&gt; *a", "<https://example.org/\"onload=x|y>", "*<https://x/*|*a*>* `<b>`", ":rocket: https://example.org/a?b=<c",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkHTML(t, string(testRenderer().Mrkdwn(text)))
		escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
		if html := string(testRenderer().Mrkdwn(escaped)); strings.Contains(html, "bk-mention") {
			t.Errorf("escaped text mentions somebody: %s", html)
		}
	})
}

func FuzzBlocks(f *testing.F) {
	for _, path := range []string{"testdata/every_block.json", "testdata/modal.json"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var blocks []json.RawMessage
		if err := json.Unmarshal(raw, &blocks); err != nil {
			f.Fatal(err)
		}
		for _, b := range blocks { // one by one: the fuzzer is slow on long input
			var short bytes.Buffer
			if err := json.Compact(&short, b); err != nil {
				f.Fatal(err)
			}
			f.Add("[" + short.String() + "]")
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		checkHTML(t, string(testRenderer().Blocks(json.RawMessage(raw))))
		Values(json.RawMessage(raw), url.Values{"b/a": {"x"}})
	})
}

func FuzzMarkdown(f *testing.F) {
	for _, text := range []string{"# a\n**b** [c](javascript:x) ![d](e) <f onclick=g>", "| a |\n|--:|\n| b |\n\n- [x] c\n\n<script>\nd", "<https://example.org> &#1; \\* ``a``", "1. a\n\n   b\n> c\n\n    d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, _ := json.Marshal([]any{map[string]any{"type": "markdown", "text": text}})
		checkHTML(t, string(testRenderer().Blocks(raw)))
	})
}
