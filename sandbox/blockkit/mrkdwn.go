// Reading mrkdwn: https://docs.slack.dev/messaging/formatting-message-text.

package blockkit

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parseMrkdwn reads a whole text: first what is preformatted, then its lines.
func parseMrkdwn(text string) []node {
	const fence = "```"
	var nodes []node
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for {
		before, rest, opened := strings.Cut(text, fence)
		inside, after, closed := strings.Cut(rest, fence)
		if !opened || !closed || strings.TrimSpace(inside) == "" {
			return append(nodes, parseLines(text)...)
		}
		if before = strings.TrimSuffix(before, "\n"); before != "" {
			nodes = append(nodes, parseLines(before)...)
		}
		inside = strings.TrimSuffix(strings.TrimPrefix(inside, "\n"), "\n")
		nodes = append(nodes, node{kind: isPre, children: verbatim(inside)})
		if text = strings.TrimPrefix(after, "\n"); text == "" {
			return nodes
		}
	}
}

// parseLines reads lines, of which those that start with ">" are a quote, and
// everything after ">>>" is.
func parseLines(text string) []node {
	var nodes []node
	for lines := strings.Split(text, "\n"); len(lines) > 0; {
		if quoted := quotedLines(lines); len(quoted) > 0 {
			nodes = append(nodes, node{kind: isQuote, children: joinLines(quoted)})
			lines = lines[len(quoted):]
			continue
		}
		n := 1
		for n < len(lines) && len(quotedLines(lines[n:n+1])) == 0 {
			n++
		}
		nodes = append(nodes, joinLines(lines[:n])...)
		lines = lines[n:]
	}
	return nodes
}

// quotedLines returns the quoted lines that come first, without their marks.
func quotedLines(lines []string) []string {
	var quoted []string
	for i, line := range lines {
		if rest, ok := cutMarks(line, 3); ok {
			return append(append(quoted, rest), lines[i+1:]...)
		}
		rest, ok := cutMarks(line, 1)
		if !ok {
			break
		}
		quoted = append(quoted, rest)
	}
	return quoted
}

// cutMarks takes n quote marks off the start of a line, escaped or not.
func cutMarks(line string, n int) (string, bool) {
	for range n {
		rest, ok := strings.CutPrefix(line, "&gt;")
		if !ok {
			if rest, ok = strings.CutPrefix(line, ">"); !ok {
				return "", false
			}
		}
		line = rest
	}
	return strings.TrimPrefix(line, " "), true
}

func joinLines(lines []string) []node {
	var nodes []node
	for i, line := range lines {
		if i > 0 {
			nodes = append(nodes, node{kind: isText, text: "\n"})
		}
		nodes = append(nodes, parseSpans(line, "")...)
	}
	return nodes
}

// labelOnly is what parseSpans leaves alone in a link's label: all but emoji.
const labelOnly = "*_~`<h"

// parseSpans reads one line. The marks in off are plain characters: those of
// the spans it is in.
func parseSpans(s, off string) []node {
	var nodes []node
	start := 0
	for i := 0; i < len(s); {
		n, width := node{}, 0
		if strings.IndexByte(off, s[i]) < 0 {
			n, width = spanAt(s, i, off)
		}
		switch {
		case width > 0:
			nodes = append(plainNode(nodes, s[start:i]), n)
			i += width
			start = i
		case width < 0: // no later mark of this kind finds its end either
			off += s[i : i+1]
			i++
		default:
			i++
		}
	}
	return plainNode(nodes, s[start:])
}

func plainNode(nodes []node, s string) []node {
	if s == "" {
		return nodes
	}
	return append(nodes, node{kind: isText, text: unescape(s)})
}

// unescape undoes the three escapes that Slack has, each once.
func unescape(s string) string { return escapes.Replace(s) }

var escapes = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// spanAt reads what starts at s[i]. The width is 0 if nothing does, and -1 if
// the line has no end for a mark of this kind.
func spanAt(s string, i int, off string) (node, int) {
	switch c := s[i]; c {
	case '<':
		return controlAt(s[i:])
	case ':':
		return emojiAt(s[i:])
	case 'h':
		return addressAt(s, i)
	case '*', '_', '~', '`':
		if !opens(s, i) {
			return node{}, 0
		}
		end := closing(s, i)
		if end < 0 {
			return node{}, -1
		}
		inside := s[i+1 : end]
		if c == '`' {
			return node{kind: isCode, children: verbatim(inside)}, end + 1 - i
		}
		tag := map[byte]string{'*': "b", '_': "i", '~': "s"}[c]
		return node{kind: isStyled, tag: tag, children: parseSpans(inside, off+string(c))}, end + 1 - i
	}
	return node{}, 0
}

// opens says whether the mark at s[i] can start a span: Slack wants no letter
// before it and no space after it.
func opens(s string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	if i > 0 && (inWord(before) || s[i-1] == s[i]) || i+1 == len(s) || s[i+1] == s[i] {
		return false
	}
	return s[i] == '`' || s[i+1] != ' '
}

// closing returns where the span that starts at s[i] ends: at the same mark
// with no space before it and no letter after it, outside of links and code.
func closing(s string, i int) int {
	mark := s[i]
	code := mark != '`' // may be in between
	for j := i + 1; j < len(s); j++ {
		switch {
		case s[j] == '<' && mark != '`':
			if _, width := controlAt(s[j:]); width > 0 {
				j += width - 1
			}
		case s[j] == '`' && code && opens(s, j):
			if end := closing(s, j); end > 0 {
				j = end
			} else {
				code = false // nor will a later one end: do not look again
			}
		case s[j] == mark && j > i+1 && closes(s, j):
			return j
		}
	}
	return -1
}

func closes(s string, j int) bool {
	after, _ := utf8.DecodeRuneInString(s[j+1:])
	if j+1 < len(s) && (inWord(after) || s[j+1] == s[j]) {
		return false
	}
	return s[j] == '`' || s[j-1] != ' '
}

func inWord(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

// verbatim reads what is in code: names and links show as their text.
func verbatim(s string) []node {
	var nodes []node
	start := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '<' {
			continue
		}
		if n, width := controlAt(s[i:]); width > 0 {
			nodes = append(plainNode(nodes, s[start:i]), n)
			start = i + width
			i = start - 1
		}
	}
	return plainNode(nodes, s[start:])
}

// controlAt reads a link, a mention or a date in angle brackets.
func controlAt(s string) (node, int) {
	end := strings.IndexAny(s[1:], "<>\n") + 1
	if end < 2 || s[end] != '>' {
		return node{}, 0
	}
	body := s[1:end]
	target, label, _ := strings.Cut(body, "|")
	n := node{kind: isText, text: unescape(s[:end+1])}
	switch {
	case strings.HasPrefix(target, "@"), strings.HasPrefix(target, "#"):
		if isID(target[1:]) {
			n = node{kind: isMention, tag: target[:1], ref: target[1:], text: unescape(label)}
		}
	case strings.HasPrefix(target, "!"):
		if special, ok := specialNode(target[1:], unescape(label)); ok {
			n = special
		}
	default:
		if to, ok := safeURL(unescape(target)); ok {
			n = node{kind: isLink, url: to, children: parseSpans(label, labelOnly)}
			if label == "" {
				n.children = []node{{kind: isText, text: strings.TrimPrefix(unescape(target), "mailto:")}}
			}
		}
	}
	return n, end + 1
}

func isID(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// specialNode reads what stands behind "<!".
func specialNode(body, label string) (node, bool) {
	parts := strings.SplitN(body, "^", 4)
	switch {
	case body == "here" || body == "channel" || body == "everyone":
		return node{kind: isBroadcast, text: body}, true
	case parts[0] == "subteam" && len(parts) > 1 && isID(parts[1]):
		return node{kind: isMention, tag: "@", ref: parts[1], text: label}, true
	case parts[0] == "date" && len(parts) > 2:
		unix, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return node{kind: isText, text: label}, true
		}
		n := node{kind: isDate, unix: unix, format: unescape(parts[2]), text: label}
		if len(parts) == 4 {
			n.url = unescape(parts[3])
		}
		return n, true
	}
	return node{}, false
}

// maxShortCode is the most that a short code has between its colons.
const maxShortCode = 40

func emojiAt(s string) (node, int) {
	code, _, closed := strings.Cut(s[1:min(len(s), maxShortCode+2)], ":")
	if _, known := emoji(code); !closed || !known {
		return node{}, 0
	}
	return node{kind: isEmoji, text: code}, len(code) + len("::")
}

var address = regexp.MustCompile("^https?://[^\\s<>|`]+")

// maxAddress is how long an address Slack takes in a button; text has no longer
// ones either.
const maxAddress = 3000

// addressAt reads an address that was typed without brackets.
func addressAt(s string, i int) (node, int) {
	if before, _ := utf8.DecodeLastRuneInString(s[:i]); i > 0 && inWord(before) {
		return node{}, 0
	}
	found := address.FindString(s[i:min(len(s), i+maxAddress)])
	typed := strings.TrimRight(found, ".,;:!?)'\"*_~")
	shown := node{kind: isText, text: unescape(typed)}
	to, ok := safeURL(shown.text)
	if !ok || len(found) == maxAddress {
		return shown, len(typed)
	}
	return node{kind: isLink, url: to, children: []node{shown}}, len(typed)
}
