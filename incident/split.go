package incident

import (
	"bufio"
	"errors"
	"io"
)

// mostBytes of one entry are read: four times what Cloud Logging takes
// (https://cloud.google.com/logging/quotas).
const mostBytes = 1 << 20

// brokenError says what made a part of the text no object; reading goes on behind it.
type brokenError struct{ why string }

func (e *brokenError) Error() string { return e.why }

// splitter cuts text into the objects at its outermost level, whatever stands between
// them, so that one array, one object a line and objects printed over several lines are
// read alike. Where an object does not end, the next one is taken to begin at a line with
// the same indentation.
type splitter struct {
	in   *bufio.Reader
	line int // from 1 on

	object           []byte
	began, indent    int // of the object: its line, and how many blanks were before it
	depth            int // of braces
	quoted, escaped  bool
	blanks           int  // at the beginning of the line
	text             bool // the line has more than blanks so far
	tooLong, garbage bool
}

// next returns the next object and the line on which it begins, or a brokenError. The
// object is valid until the next call.
func (s *splitter) next() (object []byte, line int, err error) {
	for {
		b, err := s.in.ReadByte()
		if errors.Is(err, io.EOF) && s.depth > 0 {
			return nil, s.abandon(), &brokenError{"the text ends in the middle of it"}
		}
		if err != nil {
			return nil, s.line, err
		}
		fresh := !s.text
		s.lay(b)
		switch {
		case s.depth == 0:
			if why := s.between(b); why != "" {
				return nil, s.line, &brokenError{why}
			}
		case b == '{' && fresh && s.blanks == s.indent && s.line > s.began:
			began := s.abandon()
			s.open()
			return nil, began, &brokenError{"it does not end"}
		case s.inside(b):
			if s.tooLong {
				return nil, s.began, &brokenError{"it is longer than any entry"}
			}
			return s.object, s.began, nil
		}
	}
}

// lay keeps account of lines and their indentation.
func (s *splitter) lay(b byte) {
	switch {
	case b == '\n':
		s.line++
		s.blanks, s.text, s.garbage = 0, false, false
		s.quoted, s.escaped = false, false // JSON has no line breaks in strings: it was not closed
	case s.text:
	case b == ' ' || b == '\t':
		s.blanks++
	default:
		s.text = true
	}
}

// between takes a byte that is in no object, and says once a line what has no place there.
func (s *splitter) between(b byte) string {
	switch b {
	case '{':
		s.open()
	case ' ', '\t', '\r', '\n', ',', '[', ']':
	default:
		if !s.garbage && b < 0x80 {
			s.garbage = true
			return "it is no JSON object"
		}
	}
	return ""
}

// inside takes a byte of the object, and reports whether it was the last one.
func (s *splitter) inside(b byte) bool {
	if s.tooLong = s.tooLong || len(s.object) >= mostBytes; !s.tooLong {
		s.object = append(s.object, b)
	}
	switch {
	case s.escaped:
		s.escaped = false
	case s.quoted && b == '\\':
		s.escaped = true
	case b == '"':
		s.quoted = !s.quoted
	case s.quoted:
	case b == '{':
		s.depth++
	case b == '}':
		s.depth--
	}
	return s.depth == 0
}

func (s *splitter) open() {
	s.object = append(s.object[:0], '{')
	s.began, s.indent, s.depth = s.line, s.blanks, 1
	s.quoted, s.escaped, s.tooLong = false, false, false
}

// abandon gives an object up and returns the line on which it began.
func (s *splitter) abandon() int {
	s.depth = 0
	return s.began
}
