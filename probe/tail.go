package probe

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	tailBytes = 64 << 10 // of a program's output that are kept while it runs
	tailLines = 40       // of them that are shown, at most
	tailShown = 4 << 10  // bytes that are shown, at most
)

// tail keeps the end of what is written to it.
type tail struct {
	kept []byte
	cut  bool // something before kept is gone
}

// Write implements io.Writer; it never fails.
func (o *tail) Write(p []byte) (int, error) {
	o.kept = append(o.kept, p...)
	if len(o.kept) > 2*tailBytes {
		o.kept = append(o.kept[:0], o.kept[len(o.kept)-tailBytes:]...)
		o.cut = true
	}
	return len(p), nil
}

// text is the last lines for people: valid UTF-8 without terminal control and without secrets.
func (o *tail) text(v *values) string {
	raw := o.kept
	if o.cut { // a secret may have been cut in two there
		raw = raw[min(longest(v.secrets), len(raw)):]
	}
	text := strings.ToValidUTF8(v.hide(plain(string(raw))), "\uFFFD")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return last(strings.Join(lines[max(0, len(lines)-tailLines):], "\n"), tailShown)
}

// plain takes colours and other control out of a program's output. A progress bar's returns become
// new lines.
func plain(text string) string {
	text = strings.ReplaceAll(escapes().ReplaceAllString(text, ""), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case unicode.IsControl(r) && r != '\n' && r != '\t':
			return -1
		}
		return r
	}, text)
}

// escapes finds the control sequences of ECMA-48.
func escapes() *regexp.Regexp { return regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]") }

// last is the end of text, of at most limit bytes and beginning with a whole character.
func last(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	text = text[len(text)-limit+len("…"):]
	for !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return "…" + text
}

func longest(list []string) int {
	n := 0
	for _, s := range list {
		n = max(n, len(s))
	}
	return n
}
