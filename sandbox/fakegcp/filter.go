package fakegcp

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	logtypepb "google.golang.org/genproto/googleapis/logging/type"
)

// filter is a parsed query in the language of https://cloud.google.com/logging/docs/view/logging-query-language,
// as far as entries of this package can be asked about.
type filter struct {
	match func(*record) bool
	since int64 // no record received before this Unix time in nanoseconds can match
}

// parseFilter parses a filter; an empty one matches everything. Errors say where and what.
func parseFilter(text, project string) (filter, error) {
	tokens, err := scan(text)
	if err != nil {
		return filter{}, err
	}
	p := &parser{tokens: tokens, project: project}
	if p.peek().kind == end {
		return filter{match: func(*record) bool { return true }, since: math.MinInt64}, nil
	}
	f, err := p.conjunction()
	if err != nil {
		return filter{}, err
	}
	if t := p.peek(); t.kind != end {
		return filter{}, fmt.Errorf("unexpected %q at offset %d", t.text, t.offset)
	}
	return f, nil
}

const deepest = 100 // parentheses and NOTs within each other

type parser struct {
	tokens  []token
	next    int
	depth   int
	project string
}

func (p *parser) peek() token { return p.tokens[p.next] }

func (p *parser) take() token {
	t := p.tokens[p.next]
	if t.kind != end {
		p.next++
	}
	return t
}

func (p *parser) takeIf(kind tokenKind, text string) bool {
	if t := p.peek(); t.kind != kind || t.text != text {
		return false
	}
	p.next++
	return true
}

// conjunction is the loosest: terms joined by AND or by nothing. OR binds tighter than AND in this language.
func (p *parser) conjunction() (filter, error) {
	out, err := p.disjunction()
	for err == nil {
		t := p.peek()
		if t.kind == end || (t.kind == symbol && t.text == ")") {
			break
		}
		p.takeIf(word, "AND")
		var right filter
		right, err = p.disjunction()
		left := out
		out = filter{
			match: func(r *record) bool { return left.match(r) && right.match(r) },
			since: max(left.since, right.since),
		}
	}
	return out, err
}

func (p *parser) disjunction() (filter, error) {
	out, err := p.negation()
	for err == nil && p.takeIf(word, "OR") {
		var right filter
		right, err = p.negation()
		left := out
		out = filter{
			match: func(r *record) bool { return left.match(r) || right.match(r) },
			since: min(left.since, right.since),
		}
	}
	return out, err
}

func (p *parser) negation() (filter, error) {
	if !p.takeIf(word, "NOT") && !p.takeIf(symbol, "-") {
		return p.term()
	}
	if p.depth++; p.depth > deepest {
		return filter{}, fmt.Errorf("nested deeper than %d", deepest)
	}
	inner, err := p.negation()
	p.depth--
	if err != nil {
		return filter{}, err
	}
	return filter{match: func(r *record) bool { return !inner.match(r) }, since: math.MinInt64}, nil
}

func (p *parser) term() (filter, error) {
	if p.takeIf(symbol, "(") {
		if p.depth++; p.depth > deepest {
			return filter{}, fmt.Errorf("nested deeper than %d", deepest)
		}
		inner, err := p.conjunction()
		p.depth--
		if err == nil && !p.takeIf(symbol, ")") {
			err = fmt.Errorf("missing ) at offset %d", p.peek().offset)
		}
		return inner, err
	}
	t := p.take()
	switch {
	case t.kind == quoted && p.peek().kind != operator && !p.at("."):
		return globalSearch(t.text), nil
	case t.kind == word && isKeyword(t.text), t.kind != word && t.kind != quoted:
		return filter{}, fmt.Errorf("expected a comparison at offset %d, got %q", t.offset, t.text)
	case t.kind == word && p.at("("):
		return p.function(t)
	}
	return p.comparison(t)
}

func (p *parser) at(sym string) bool { t := p.peek(); return t.kind == symbol && t.text == sym }

func isKeyword(text string) bool { return text == "AND" || text == "OR" || text == "NOT" }

func (p *parser) comparison(first token) (filter, error) {
	path, err := p.path(first)
	if err != nil {
		return filter{}, err
	}
	field, err := fieldAt(path, p.project)
	if err != nil {
		return filter{}, fmt.Errorf("offset %d: %w", first.offset, err)
	}
	op := p.take()
	if op.kind != operator {
		return filter{}, fmt.Errorf("offset %d: %s needs one of = != > >= < <= : =~ !~ and a value", op.offset, strings.Join(path, "."))
	}
	if p.takeIf(symbol, "(") {
		return p.anyOf(field, op.text)
	}
	return p.value(field, op.text)
}

// path reads the rest of a field's name; any part of it may be quoted.
func (p *parser) path(first token) ([]string, error) {
	path := pathParts(first)
	for p.takeIf(symbol, ".") {
		t := p.take()
		if t.kind != word && t.kind != quoted {
			return nil, fmt.Errorf("expected a field name at offset %d, got %q", t.offset, t.text)
		}
		path = append(path, pathParts(t)...)
	}
	return path, nil
}

func pathParts(t token) []string {
	if t.kind == quoted {
		return []string{t.text}
	}
	return strings.Split(strings.Trim(t.text, "."), ".")
}

// anyOf parses the rest of field=("a" OR "b").
func (p *parser) anyOf(field field, op string) (filter, error) {
	out, err := p.value(field, op)
	for err == nil && p.takeIf(word, "OR") {
		var right filter
		right, err = p.value(field, op)
		left := out
		out = filter{
			match: func(r *record) bool { return left.match(r) || right.match(r) },
			since: min(left.since, right.since),
		}
	}
	if err == nil && !p.takeIf(symbol, ")") {
		err = fmt.Errorf("missing ) at offset %d", p.peek().offset)
	}
	return out, err
}

func (p *parser) value(f field, op string) (filter, error) {
	t := p.take()
	if (t.kind != word && t.kind != quoted) || (t.kind == word && isKeyword(t.text)) {
		return filter{}, fmt.Errorf("expected a value at offset %d, got %q", t.offset, t.text)
	}
	out, err := f.compare(op, t.text)
	if err != nil {
		return filter{}, fmt.Errorf("offset %d: %w", t.offset, err)
	}
	return out, nil
}

// globalSearch finds text in any field that holds text.
func globalSearch(text string) filter {
	needle := strings.ToLower(text)
	return filter{since: math.MinInt64, match: func(r *record) bool {
		if strings.Contains(strings.ToLower(r.text), needle) || strings.Contains(r.log, needle) {
			return true
		}
		for _, label := range r.source.labels {
			if strings.Contains(label, needle) {
				return true
			}
		}
		return r.request != nil && strings.Contains(strings.ToLower(r.request.url+" "+r.request.agent), needle)
	}}
}

// field is one field of a log entry, as text or as a number, and how to read a value it is compared to.
type field struct {
	name   string
	text   func(*record) (value string, present bool)
	number func(*record) (value int64, present bool)
	parse  func(string) (int64, error)
	isTime bool
}

func (f field) compare(op, value string) (filter, error) {
	if f.text != nil {
		return f.compareText(op, value)
	}
	want, err := f.parse(value)
	if err != nil {
		return filter{}, fmt.Errorf("%s: %w", f.name, err)
	}
	var holds func(got int64) bool
	out := filter{since: math.MinInt64}
	switch op {
	case "=", ":":
		holds = func(got int64) bool { return got == want }
	case "!=":
		return filter{since: out.since, match: func(r *record) bool { got, ok := f.number(r); return !ok || got != want }}, nil
	case ">":
		holds = func(got int64) bool { return got > want }
	case ">=":
		holds = func(got int64) bool { return got >= want }
	case "<":
		holds = func(got int64) bool { return got < want }
	case "<=":
		holds = func(got int64) bool { return got <= want }
	default:
		return filter{}, fmt.Errorf("%s cannot be compared with %s", f.name, op)
	}
	if f.isTime && (op[0] == '>' || op == "=") {
		out.since = want
	}
	out.match = func(r *record) bool { got, ok := f.number(r); return ok && holds(got) }
	return out, nil
}

func (f field) compareText(op, value string) (filter, error) {
	var holds func(string) bool
	switch op {
	case "=", "!=":
		holds = func(got string) bool { return strings.EqualFold(got, value) }
	case ":":
		lower := strings.ToLower(value)
		holds = func(got string) bool { return strings.Contains(strings.ToLower(got), lower) }
	case "=~", "!~":
		re, err := regexp.Compile(value)
		if err != nil {
			return filter{}, fmt.Errorf("%s: %w", f.name, err)
		}
		holds = re.MatchString
	case ">", ">=", "<", "<=":
		return filter{}, fmt.Errorf("%s is text; %s needs a number or a time", f.name, op)
	}
	negated := op[0] == '!'
	return filter{since: math.MinInt64, match: func(r *record) bool {
		got, present := f.text(r)
		return (present && holds(got)) != negated
	}}, nil
}

func parseSeverity(text string) (int64, error) {
	if n, ok := logtypepb.LogSeverity_value[strings.ToUpper(text)]; ok {
		return int64(n), nil
	}
	return parseNumber(text)
}

func parseNumber(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return n, nil
}

func parseTime(text string) (int64, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixNano(), nil
		}
	}
	return 0, fmt.Errorf("%q is no time; write it as 2006-01-02T15:04:05Z", text)
}

func parseLatency(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration; write it as 1.5s", text)
	}
	return int64(d), nil
}
