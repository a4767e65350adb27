package fakegcp

import (
	"fmt"
	"strings"
)

type tokenKind int

const (
	end tokenKind = iota
	word
	quoted
	operator
	symbol // ( ) . , -
)

type token struct {
	kind   tokenKind
	text   string
	offset int
}

// scan cuts a filter into tokens; the last one is always end.
func scan(text string) ([]token, error) {
	var out []token
	for i := 0; i < len(text); {
		t, width, err := scanOne(text[i:], out)
		if err != nil {
			return nil, fmt.Errorf("offset %d: %w", i, err)
		}
		if t.kind != end {
			t.offset = i
			out = append(out, t)
		}
		i += width
	}
	return append(out, token{kind: end, text: "end of filter", offset: len(text)}), nil
}

// scanOne reads the token that text starts with; white space and comments give a token of kind end.
func scanOne(text string, before []token) (t token, width int, err error) {
	switch c := text[0]; {
	case strings.IndexByte(" \t\r\n", c) >= 0:
		return token{}, 1, nil
	case strings.HasPrefix(text, "--"):
		line, _, _ := strings.Cut(text, "\n")
		return token{}, len(line), nil
	case c == '"':
		return scanQuoted(text)
	case c == '(' || c == ')' || c == '.' || c == ',':
		return token{kind: symbol, text: text[:1]}, 1, nil
	case c == '-' && (len(before) == 0 || before[len(before)-1].kind != operator):
		return token{kind: symbol, text: "-"}, 1, nil
	}
	for _, op := range []string{">=", "<=", "!=", "=~", "!~", "=", ">", "<", ":"} {
		if strings.HasPrefix(text, op) {
			return token{kind: operator, text: op}, len(op), nil
		}
	}
	return scanWord(text, len(before) > 0 && before[len(before)-1].precedesValue())
}

func (t token) precedesValue() bool { return t.kind == operator || t.kind == symbol && t.text == "," }

// scanWord reads a bare word. As a value it may be a time, which has colons; as a field name it may not.
func scanWord(text string, isValue bool) (t token, width int, err error) {
	for width < len(text) && wordByte(text[width], isValue) {
		width++
	}
	if width == 0 {
		return token{}, 0, fmt.Errorf("unexpected %q", text[0])
	}
	return token{kind: word, text: text[:width]}, width, nil
}

func wordByte(c byte, isValue bool) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c >= 0x80:
		return true
	case c == '.', c == '-', c == '+', c == '/', c == ':', c == '%', c == '@', c == '*':
		return isValue
	}
	return false
}

func scanQuoted(text string) (t token, width int, err error) {
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return token{kind: quoted, text: out.String()}, i + 1, nil
		case '\\':
			i++
			if i == len(text) {
				return token{}, 0, fmt.Errorf("the quoted text does not end")
			}
			out.WriteByte(unescaped(text[i]))
		default:
			out.WriteByte(c)
		}
	}
	return token{}, 0, fmt.Errorf("the quoted text does not end")
}

func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	default:
		return c
	}
}
