package blockkit

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMrkdwn(t *testing.T) {
	link := func(to, body string) string {
		return `<a class="bk-link" href="` + to + `" target="_blank" rel="noopener noreferrer">` + body + `</a>`
	}
	when := func(format, shown string) string {
		return `<time class="bk-date" datetime="2026-11-22T12:00:00Z" data-unix="1795348800" data-format="` + format +
			`" title="Sunday, November 22, 2026 at 12:00:00 UTC">` + shown + `</time>`
	}
	for name, tt := range map[string]struct{ in, want string }{
		"empty":               {"", ""},
		"bold":                {"*a b* c", "<b>a b</b> c"},
		"italic":              {"_a_", "<i>a</i>"},
		"strike":              {"~a~", "<s>a</s>"},
		"nested":              {"*_~a~_*", "<b><i><s>a</s></i></b>"},
		"around a name":       {"*<@U0DEPLOYER> did*", `<b><span class="bk-mention" data-id="U0DEPLOYER">@deployer</span> did</b>`},
		"mark in a link":      {"*<https://example.org/*|x>*", "<b>" + link("https://example.org/*", "x") + "</b>"},
		"mark in code":        {"*a `*` b*", `<b>a <code class="bk-code">*</code> b</b>`},
		"code is verbatim":    {"`*a* :rocket: &lt;b&gt; <@U0DEPLOYER>`", `<code class="bk-code">*a* :rocket: &lt;b&gt; @deployer</code>`},
		"words":               {"a_b_c 2*3*4 a~b~c", "a_b_c 2*3*4 a~b~c"},
		"spaces":              {"5 * 3 * 2 and * a*", "5 * 3 * 2 and * a*"},
		"doubled":             {"**a** __init__", "**a** __init__"},
		"not across lines":    {"*a\nb*", "*a<br />b*"},
		"unclosed":            {"*a _b_", "*a <i>b</i>"},
		"punctuation":         {"(*a*), *b*.", "(<b>a</b>), <b>b</b>."},
		"entities once":       {"&amp;lt; &lt;b&gt; &amp; &quot;", "&amp;lt; &lt;b&gt; &amp; &amp;quot;"},
		"html":                {`<b onclick="x">'`, "&lt;b onclick=&#34;x&#34;&gt;&#39;"},
		"control characters":  {"a\x00\x01\xffb", "a\uFFFDb"},
		"link":                {"<https://example.org/?a=1&amp;b=2|a &amp; b>", link("https://example.org/?a=1&amp;b=2", "a &amp; b")},
		"bare link":           {"<https://example.org>", link("https://example.org", "https://example.org")},
		"mail":                {"<mailto:oncall@example.org|oncall>", link("mailto:oncall@example.org", "oncall")},
		"forged link":         {"<javascript:alert(1)|go>", "&lt;javascript:alert(1)|go&gt;"},
		"link label is plain": {"<https://example.org|*a* :rocket:>", link("https://example.org", `*a* <span class="bk-emoji" role="img" aria-label="rocket" title=":rocket:">🚀</span>`)},
		"typed address":       {"see https://example.org/a_b_c.", "see " + link("https://example.org/a_b_c", "https://example.org/a_b_c") + "."},
		"me":                  {"<@U0APPROVER>", `<span class="bk-mention bk-mention-me" data-id="U0APPROVER">@approver</span>`},
		"unknown user":        {"<@U9> <@U9|ann>", `<span class="bk-mention" data-id="U9">@U9</span> <span class="bk-mention" data-id="U9">@ann</span>`},
		"no ID":               {"<@u&amp;9>", "&lt;@u&amp;9&gt;"},
		"channel":             {"<#C0STAGING|x>", `<a class="bk-mention" data-id="C0STAGING" href="/channels/C0STAGING">#deploys-staging</a>`},
		"forged channel":      {"<#C0FORGED>", `<span class="bk-mention" data-id="C0FORGED">#forged</span>`},
		"group":               {"<!subteam^S0MANAGERS>", `<span class="bk-mention bk-mention-me" data-id="S0MANAGERS">@release-managers</span>`},
		"here":                {"<!here>", `<span class="bk-mention bk-mention-me">@here</span>`},
		"unknown special":     {"<!nope>", "&lt;!nope&gt;"},
		"ago":                 {"<!date^1795348800^{ago}|12:00>", when("{ago}", "2 minutes ago")},
		"time":                {"<!date^1795348800^at {time}|12:00>", when("at {time}", "at 12:00 UTC")},
		"pretty":              {"<!date^1795348800^{date_short_pretty} at {time_secs}|x>", when("{date_short_pretty} at {time_secs}", "Today at 12:00:00 UTC")},
		"linked date":         {"<!date^1795348800^{date}^https://example.org|x>", link("https://example.org", when("{date}", "November 22nd, 2026"))},
		"unknown date format": {"<!date^1795348800^{era}|noon>", "noon"},
		"date out of range":   {"<!date^99999999999999^{time}|later>", "later"},
		"no date":             {"<!date^soon^{time}|a &lt; b>", "a &lt; b"},
		"emoji":               {":tada::nope: 12:00:05", `<span class="bk-emoji" role="img" aria-label="tada" title=":tada:">🎉</span>:nope: 12:00:05`},
		"quote":               {"a\n&gt; b\n&gt;c\nd", `a<blockquote class="bk-quote">b<br />c</blockquote>d`},
		"quote to the end":    {"&gt;&gt;&gt; a\nb", `<blockquote class="bk-quote">a<br />b</blockquote>`},
		"preformatted":        {"a\n```\n*b*\n  &lt;c&gt;\n```\nd", "a<pre class=\"bk-pre\">*b*\n  &lt;c&gt;</pre>d"},
		"unclosed fence":      {"```a", "```a"},
		"typed list":          {"• a\n• b", "• a<br />• b"},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(testRenderer().Mrkdwn(tt.in))
			checkHTML(t, got)
			if got != tt.want {
				t.Errorf("%q\n got %s\nwant %s", tt.in, got, tt.want)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"*a* _b_ `c` &lt;d&gt;": "a b c <d>",
		"<@U0DEPLOYER> in <#C0STAGING>: <https://example.org|x>, <!here>": "@deployer in #deploys-staging: x, @here",
		":tada: <!date^1795348800^{time}|x>":                              "🎉 12:00 UTC",
		"a\n&gt; b\nc\n```d```":                                           "a\nb\nc\nd",
	} {
		if got := testRenderer().Plain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestDates(t *testing.T) {
	for token, want := range map[string]string{
		"date_num": "2026-11-22", "date_slash": "22/11/2026", "date_short": "Nov 22, 2026", "date_long_full": "November 22, 2026",
		"date_long": "Sunday, November 22nd, 2026", "date_pretty": "today", "day_divider_pretty": "today", "time_secs": "12:00:00 UTC",
	} {
		if got, ok := testRenderer().dateToken(token, time.Unix(1795348800, 0).UTC()); !ok || got != want {
			t.Errorf("{%s}: got %q, want %q", token, got, want)
		}
	}
	for day, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 31: "31st"} {
		if got := ordinal(day); got != want {
			t.Errorf("day %d: got %s", day, got)
		}
	}
	for passed, want := range map[time.Duration]string{
		0: "just now", 59 * time.Second: "just now", time.Minute: "1 minute ago", 3 * time.Hour: "3 hours ago", -2 * time.Hour: "in 2 hours",
		49 * time.Hour: "2 days ago", 65 * 24 * time.Hour: "2 months ago", 800 * 24 * time.Hour: "2 years ago",
	} {
		if got := ago(passed); got != want {
			t.Errorf("%v: got %q, want %q", passed, got, want)
		}
	}
}

// Hostile text must not take time that grows with its square: the nanoseconds a byte are those of a tenth of
// the text.
func BenchmarkHostileMrkdwn(b *testing.B) {
	for _, unit := range []string{" *a", " `a", "<", " *_~`", "<@U0DEPLOYER", "> ", "```", ":a", " *`a", ".https://%z", "http"} {
		for _, size := range []int{10_000, 100_000} {
			b.Run(fmt.Sprintf("%q/%d", unit, size), func(b *testing.B) {
				text := strings.Repeat(unit, size/len(unit))
				for b.Loop() {
					testRenderer().Mrkdwn(text)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(text)), "ns/byte")
			})
		}
	}
}
