package blockkit

import (
	"strconv"
	"strings"
)

// kind says what a node is.
type kind int

const (
	isText kind = iota // its line breaks show
	isStyled
	isCode
	isPre
	isQuote
	isLink
	isMention
	isBroadcast
	isDate
	isEmoji
)

// node is a piece of formatted text: what mrkdwn and rich text have in common.
type node struct {
	kind     kind
	text     string // text; the name or fallback that came with a mention or a date; the emoji's short code
	tag      string // the HTML element of a style; the mark of a mention, "@" or "#"
	url      string // of a link or a date
	ref      string // a mention's ID
	unix     int64  // a date's time
	format   string // a date's format
	children []node
}

func (o *out) nodes(nodes []node) {
	for _, n := range nodes {
		o.node(n)
	}
}

func (o *out) node(n node) {
	inside := func() { o.nodes(n.children) }
	switch n.kind {
	case isText:
		o.lines(n.text)
	case isStyled:
		o.in(n.tag, nil, inside)
	case isCode:
		o.span("code", "bk-code", o.r.plain(n.children))
	case isPre:
		o.span("pre", "bk-pre", o.r.plain(n.children))
	case isQuote:
		o.in("blockquote", attrs{"class", "bk-quote"}, inside)
	case isLink:
		o.link("bk-link", n.url, inside)
	case isMention:
		o.mention(n)
	case isBroadcast:
		o.span("span", "bk-mention bk-mention-me", "@"+n.text)
	case isDate:
		o.date(n)
	case isEmoji:
		o.emoji(n.text)
	}
}

func (o *out) mention(n node) {
	name := o.r.name(n)
	class := "bk-mention"
	if name.Me {
		class += " bk-mention-me"
	}
	a := attrs{"class", class, "data-id", n.ref}
	if to, ok := ownURL(name.URL); ok {
		o.in("a", a.with("href", to), func() { o.text(name.Text) })
		return
	}
	o.in("span", a, func() { o.text(name.Text) })
}

// name is what a mention shows: what the workspace calls it, else the label
// that came with it, else its ID.
func (r Renderer) name(n node) Name {
	if r.Names != nil {
		if name, ok := r.Names(n.ref); ok {
			return name
		}
	}
	if n.text != "" {
		return Name{Text: n.tag + strings.TrimPrefix(n.text, n.tag)}
	}
	return Name{Text: n.tag + n.ref}
}

func (o *out) date(n node) {
	shown, ok := o.r.dateText(n)
	if !ok {
		o.text(shown)
		return
	}
	at := utc(n.unix)
	a := attrs{
		"class", "bk-date", "datetime", at.Format("2006-01-02T15:04:05Z"),
		"data-unix", strconv.FormatInt(n.unix, 10), "data-format", n.format,
		"title", at.Format("Monday, January 2, 2006 at 15:04:05 MST"),
	}
	write := func() { o.in("time", a, func() { o.text(shown) }) }
	if n.url == "" {
		write()
		return
	}
	o.link("bk-link", n.url, write)
}

func (o *out) emoji(code string) {
	char, ok := emoji(code)
	if !ok {
		o.text(":" + code + ":")
		return
	}
	label := strings.ReplaceAll(code, "_", " ")
	o.in("span", attrs{"class", "bk-emoji", "role", "img", "aria-label", label, "title", ":" + code + ":"}, func() { o.text(char) })
}

// plain is the text of nodes without their marks.
func (r Renderer) plain(nodes []node) string {
	var b strings.Builder
	for i, n := range nodes {
		own := n.kind == isPre || n.kind == isQuote // stands on lines of its own
		if own && b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(r.plainNode(n))
		if own && i+1 < len(nodes) && nodes[i+1].kind != isPre && nodes[i+1].kind != isQuote {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func (r Renderer) plainNode(n node) string {
	switch n.kind {
	case isText:
		return n.text
	case isMention:
		return r.name(n).Text
	case isBroadcast:
		return "@" + n.text
	case isDate:
		shown, _ := r.dateText(n)
		return shown
	case isEmoji:
		if char, ok := emoji(n.text); ok {
			return char
		}
		return ":" + n.text + ":"
	}
	return r.plain(n.children)
}
