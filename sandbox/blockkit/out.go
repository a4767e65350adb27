package blockkit

import (
	"html"
	"html/template"
	"net/url"
	"strings"
	"unicode/utf8"
)

// out is HTML being written. Elements are opened and closed in one place, and
// void ones end themselves, so the result is well-formed XML whatever goes in.
type out struct {
	b strings.Builder
	r Renderer
}

// attrs are names and values in turn.
type attrs []string

// with adds an attribute unless its value is empty.
func (a attrs) with(name, value string) attrs {
	if value == "" {
		return a
	}
	return append(a, name, value)
}

// flag adds a boolean attribute.
func (a attrs) flag(name string, on bool) attrs {
	if !on {
		return a
	}
	return append(a, name, name)
}

func (o *out) in(tag string, a attrs, body func()) {
	o.tag(tag, a, ">")
	body()
	o.b.WriteString("</" + tag + ">")
}

func (o *out) void(tag string, a attrs) { o.tag(tag, a, " />") }

func (o *out) tag(name string, a attrs, end string) {
	o.b.WriteString("<" + name)
	for i := 0; i+1 < len(a); i += 2 {
		o.b.WriteString(" " + a[i] + `="` + escape(a[i+1]) + `"`)
	}
	o.b.WriteString(end)
}

func (o *out) text(s string) { o.b.WriteString(escape(s)) }

// lines is text whose line breaks show.
func (o *out) lines(s string) {
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			o.void("br", nil)
		}
		o.text(line)
	}
}

// span is an element that holds text alone.
func (o *out) span(tag, class, text string) {
	o.in(tag, attrs{}.with("class", class), func() { o.text(text) })
}

// unseen is text for screen readers alone.
func (o *out) unseen(text string) { o.span("span", "bk-unseen", text) }

func (o *out) html() template.HTML {
	return template.HTML(o.b.String()) //nolint:gosec // every string in it went through escape
}

// escape is the one place where foreign text becomes HTML. Characters that HTML
// and XML do not have are dropped.
func escape(s string) string {
	return html.EscapeString(strings.Map(func(c rune) rune {
		switch {
		case c == '\t' || c == '\n' || c == '\r', c >= ' ' && c <= 0xD7FF && (c < 0x7F || c > 0x9F), c >= 0xE000 && c <= 0xFFFD, c >= 0x10000 && c <= utf8.MaxRune:
			return c
		}
		return -1
	}, s))
}

// safeURL returns a link that may be followed: to http, https or mailto.
func safeURL(raw string) (string, bool) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return "", false
	}
	switch u.Scheme {
	case "http", "https":
		return u.String(), u.Host != ""
	case "mailto":
		return u.String(), u.Opaque != ""
	}
	return "", false
}

// ownURL is safeURL for what the page itself names: it may be a path on the
// page's own host, too.
func ownURL(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(raw, "//") && !strings.Contains(raw, `\`) {
		return u.String(), true
	}
	return safeURL(raw)
}

// link writes a link that leads out of the page; text alone if it is not safe.
func (o *out) link(class, target string, body func()) {
	to, ok := safeURL(target)
	if !ok {
		body()
		return
	}
	o.in("a", attrs{"class", class, "href", to, "target", "_blank", "rel", "noopener noreferrer"}, body)
}
