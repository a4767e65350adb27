// Rich text: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block.

package blockkit

import (
	"strconv"
	"strings"
)

// richText renders what is in a rich_text block or a rich_text table cell.
func (o *out) richText(b object) {
	for _, e := range b.objects("elements") {
		spans := richSpans(e.objects("elements"))
		switch kind := e.str("type"); kind {
		case "rich_text_section":
			o.in("div", attrs{"class", "bk-text"}, func() { o.nodes(spans) })
		case "rich_text_quote":
			o.node(node{kind: isQuote, children: spans})
		case "rich_text_preformatted":
			o.node(node{kind: isPre, children: spans})
		case "rich_text_list":
			o.richList(e)
		default:
			o.note("Text that is not shown here: " + kind)
		}
	}
}

// richList renders a list. Slack writes a nested list as the next list with a
// larger indent, so the indent is a class here and not an element inside.
func (o *out) richList(e object) {
	tag := "ul"
	a := attrs{"class", "bk-list bk-indent-" + strconv.Itoa(level(e, "indent"))}
	if e.str("style") == "ordered" {
		tag = "ol"
		if offset, _ := e.number("offset"); offset > 0 && offset < 1e6 {
			a = a.with("start", strconv.Itoa(int(offset)+1))
		}
	}
	o.in(tag, a, func() {
		for _, item := range e.objects("elements") {
			o.in("li", nil, func() { o.nodes(richSpans(item.objects("elements"))) })
		}
	})
}

// level is a small whole number: an indent.
func level(e object, key string) int {
	n, _ := e.number(key)
	return int(min(max(n, 0), 5))
}

func richSpans(elements []object) []node {
	nodes := make([]node, len(elements))
	for i, e := range elements {
		nodes[i] = styled(richSpan(e), e.object("style"))
	}
	return nodes
}

func richSpan(e object) node {
	switch kind := e.str("type"); kind {
	case "text":
		return node{text: e.str("text")}
	case "link":
		return richLink(e)
	case "user":
		return node{kind: isMention, tag: "@", ref: e.str("user_id")}
	case "usergroup":
		return node{kind: isMention, tag: "@", ref: e.str("usergroup_id")}
	case "channel":
		return node{kind: isMention, tag: "#", ref: e.str("channel_id")}
	case "broadcast":
		return node{kind: isBroadcast, text: e.str("range")}
	case "emoji":
		return richEmoji(e)
	case "date":
		unix, _ := e.number("timestamp")
		return node{kind: isDate, unix: int64(min(max(unix, -1), lastDate+1)), format: e.str("format"), url: e.str("url"), text: e.str("fallback")}
	case "color":
		return node{text: e.str("value")}
	default:
		if text := e.str("text"); text != "" { // references of many kinds have one
			return node{text: text}
		}
		return node{text: "[" + kind + "]"}
	}
}

func richLink(e object) node {
	text := e.str("text")
	if text == "" {
		text = e.str("url")
	}
	return node{kind: isLink, url: e.str("url"), children: []node{{text: text}}}
}

// richEmoji takes the character from Slack's own code points where the short
// code is not a common one.
func richEmoji(e object) node {
	name := e.str("name")
	if _, ok := emoji(name); ok {
		return node{kind: isEmoji, text: name}
	}
	var char strings.Builder
	for part := range strings.SplitSeq(e.str("unicode"), "-") {
		if point, err := strconv.ParseInt(part, 16, 32); err == nil {
			char.WriteRune(rune(point))
		}
	}
	if char.Len() == 0 {
		return node{kind: isEmoji, text: name}
	}
	return node{text: char.String()}
}

func styled(n node, style object) node {
	if style.is("code") {
		n = node{kind: isCode, children: []node{n}}
	}
	for _, s := range []struct{ name, tag string }{{"bold", "b"}, {"italic", "i"}, {"strike", "s"}, {"underline", "u"}, {"highlight", "mark"}} {
		if style.is(s.name) {
			n = node{kind: isStyled, tag: s.tag, children: []node{n}}
		}
	}
	return n
}
