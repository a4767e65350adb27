package bot

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"<!channel>", "&lt;!channel&gt;"},
		{"<!here|here> <@U123>", "&lt;!here|here&gt; &lt;@U123&gt;"},
		{"<https://evil.example|https://good.example>", "&lt;https://evil.example|https://good.example&gt;"},
		{"a & b < c > d", "a &amp; b &lt; c &gt; d"},
		{"&lt;!channel&gt;", "&amp;lt;!channel&amp;gt;"},
		{"<!subteam^S1>\n<!everyone>", "&lt;!subteam^S1&gt;\n&lt;!everyone&gt;"},
	}
	for _, tt := range tests {
		if got := escape(tt.in); string(got) != tt.want {
			t.Errorf("escape(%q) = %q, want %q", tt.in, got, tt.want)
		}
		if got := unescape(string(escape(tt.in))); got != tt.in {
			t.Errorf("unescape(escape(%q)) = %q", tt.in, got)
		}
		if got := say("*%s*", tt.in); string(got) != "*"+tt.want+"*" {
			t.Errorf("say(%q) = %q", tt.in, got)
		}
	}
	if got := say("%s %s %d%%", mention("U123", ""), time.Minute, 5); got != "<@U123> 1m0s 5%" {
		t.Errorf("say leaves markup alone: %q", got)
	}
}

func TestMention(t *testing.T) {
	tests := []struct{ id, name, want string }{
		{"U0DEPLOYER", "deployer", "<@U0DEPLOYER>"},
		{"W12", "", "<@W12>"},
		{"ci@project.iam.gserviceaccount.com", "ci", "ci"},
		{"U1> <!channel", "", "U1&gt; &lt;!channel"},
		{"", "<b>", "&lt;b&gt;"},
	}
	for _, tt := range tests {
		if got := mention(tt.id, tt.name); string(got) != tt.want {
			t.Errorf("mention(%q, %q) = %q, want %q", tt.id, tt.name, got, tt.want)
		}
	}
}

func TestExpand(t *testing.T) {
	handle := func(h string) mrkdwn { return "[" + escape(h) + "]" }
	tests := []struct{ in, want string }{
		{"locked by {@U0DEPLOYER} since {t:1795348800}", "locked by <@U0DEPLOYER> since <!date^1795348800^{time}|12:00 UTC>"},
		{"only {@@release-managers} may", "only [@release-managers] may"},
		{"{@S0RELEASE}", "<!subteam^S0RELEASE>"},
		{"<!channel> {@U1x} {t:abc} {@@}", "&lt;!channel&gt; {@U1x} {t:abc} {@@}"},
		{"{@U1>}", "{@U1&gt;}"},
	}
	for _, tt := range tests {
		if got := expand(tt.in, handle); string(got) != tt.want {
			t.Errorf("expand(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestCut(t *testing.T) {
	if got := cut("short", 10); got != "short" {
		t.Errorf("cut = %q", got)
	}
	for most := 4; most < 40; most++ {
		text := cut("error: naïve café → ∞ "+strings.Repeat("é", 20), most)
		if len(text) > most || !utf8.ValidString(text) {
			t.Errorf("cut to %d = %q (%d bytes)", most, text, len(text))
		}
		markup := cutMarkup("a &amp; b <@U0DEPLOYER> c <!date^1^{time}|12:00 UTC> &lt;d&gt;", most)
		if len(markup) > most || strings.Count(string(markup), "<") != strings.Count(string(markup), ">") ||
			strings.Count(string(markup), "&") != strings.Count(string(markup), ";") {
			t.Errorf("cutMarkup to %d = %q", most, markup)
		}
	}
	if got := plain("two\nlines\t and\x00 more", 100); got != "two lines and more" {
		t.Errorf("plain = %q", got)
	}
}
