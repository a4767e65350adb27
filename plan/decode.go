package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder walks the YAML tree itself, because the YAML package's own decoding stops at the first
// error and forgets where a duration or a percentage stood.
type decoder struct {
	name     string
	lines    []string
	anchors  map[string]ast.Node
	errors   []Error
	warnings []Error
	hidden   map[int]bool // lines that no message shows, because there may be a secret in them
	// at remembers where a value was read from: a pointer to the field → its node. What was filled in
	// by default or could not be read is not in it.
	at map[any]ast.Node
	// objects remembers each kind of object that was met and its fields, for the test that compares
	// them with the schema.
	objects map[string][]field
	// visits bounds how much aliases may multiply the file.
	visits   int
	overlays map[*Step]*approvalOverlay
	uses     []use
	step     *Step    // the step being read
	captured []string // what earlier requests of the chain being read have captured
}

func newDecoder(name string, src []byte) *decoder {
	return &decoder{
		name:     name,
		lines:    strings.Split(string(src), "\n"),
		anchors:  map[string]ast.Node{},
		at:       map[any]ast.Node{},
		objects:  map[string][]field{},
		overlays: map[*Step]*approvalOverlay{},
		hidden:   map[int]bool{},
	}
}

// use is a text with ${…} in it, and what it may refer to besides services.
type use struct {
	node     ast.Node
	step     *Step
	text     string
	captured []string
}

// maxVisits is far above what a file of maxSize can need without aliases of aliases.
const maxVisits = 200_000

// field is one key of an object and what reads its value.
type field struct {
	key      string
	required bool
	read     func(ast.Node)
}

// entry is one key of a mapping with its value.
type entry struct {
	key   string
	node  ast.Node // the key's node, for errors about it
	value ast.Node
}

func (d *decoder) errorf(n ast.Node, hint, format string, args ...any) {
	d.errors = append(d.errors, d.problem(n, hint, fmt.Sprintf(format, args...)))
}

func (d *decoder) warnf(n ast.Node, hint, format string, args ...any) {
	d.warnings = append(d.warnings, d.problem(n, hint, fmt.Sprintf(format, args...)))
}

func (d *decoder) problem(n ast.Node, hint, message string) Error {
	line, column := position(n)
	return d.problemAt(line, column, hint, message)
}

func (d *decoder) problemAt(line, column int, hint, message string) Error {
	e := Error{File: d.name, Line: max(line, 1), Column: max(column, 1), Message: message, Hint: hint}
	if e.Line <= len(d.lines) {
		e.Source = d.lines[e.Line-1]
	}
	return e
}

// position returns where a node begins. A block mapping's own token is the colon after its first
// key, so the key is asked instead.
func position(n ast.Node) (line, column int) {
	switch n := n.(type) {
	case nil:
		return 1, 1
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return position(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(n.Key)
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return t.Position.Line, t.Position.Column
}

// resolve looks through anchors, aliases and tags to the value itself.
func (d *decoder) resolve(n ast.Node) ast.Node {
	for range 32 {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		case *ast.AliasNode:
			name := v.Value.GetToken().Value
			target, ok := d.anchors[name]
			if !ok {
				d.errorf(v, "An alias needs its anchor, &"+name+", somewhere before it.", "unknown alias *%s", name)
				return nil
			}
			n = target
		default:
			if d.visits++; d.visits == maxVisits {
				d.errorf(n, "", "aliases make this file too large")
			}
			if d.visits >= maxVisits {
				return nil
			}
			return n
		}
	}
	d.errorf(n, "", "an alias points back at itself")
	return nil
}

// Visit implements ast.Visitor to collect the anchors of a document.
func (d *decoder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		d.anchors[a.Name.GetToken().Value] = a.Value
	}
	return d
}

// object reads a mapping with fixed keys into the fields. what is the object's name in the schema
// and in messages. The result is the keys that were given.
func (d *decoder) object(n ast.Node, what string, fields []field) (given map[string]bool) {
	d.objects[what] = fields
	entries, ok := d.entries(n, "a mapping of the keys of "+article(what))
	if !ok {
		return nil
	}
	given = map[string]bool{}
	for _, e := range entries {
		given[e.key] = true
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.key })
		if i < 0 {
			given[d.unknownKey(e, what, keys(fields))] = true
			continue
		}
		fields[i].read(e.value)
	}
	for _, f := range fields {
		if f.required && !given[f.key] {
			d.errorf(n, "Add it: "+f.key+": …", "%s is missing in this %s", f.key, words(what))
		}
	}
	return given
}

// unknownKey reports a key and returns which known one it is likely meant to be, or "".
func (d *decoder) unknownKey(e entry, what string, known []string) string {
	d.errorf(e.node, "Known in this "+words(what)+": "+strings.Join(known, ", ")+".",
		"unknown key %s%s", e.key, didYouMean(e.key, known))
	near, _ := Nearest(e.key, known)
	return near
}

// entries returns the keys and values of a mapping, merge keys (<<) filled in, or reports that n is
// none. Keys given twice are reported; the first one counts.
func (d *decoder) entries(n ast.Node, what string) ([]entry, bool) {
	var values []*ast.MappingValueNode
	switch v := d.resolve(n).(type) {
	case *ast.MappingNode:
		values = v.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{v}
	case nil:
		return nil, false
	default:
		d.wrongType(n, v, what)
		return nil, false
	}
	var list, merged []entry
	for _, v := range values {
		if v.Key.IsMergeKey() {
			below, _ := d.entries(v.Value, "a mapping to merge")
			merged = append(merged, below...)
			continue
		}
		e := entry{key: keyText(v.Key), node: v.Key, value: v.Value}
		if i := slices.IndexFunc(list, e.sameKey); i >= 0 {
			line, _ := position(list[i].node)
			d.errorf(e.node, "Keep one of the two.", "%s is here twice, first in line %d", e.key, line)
			continue
		}
		list = append(list, e)
	}
	for _, e := range merged {
		if !slices.ContainsFunc(list, e.sameKey) {
			list = append(list, e)
		}
	}
	return list, true
}

func (e entry) sameKey(other entry) bool { return e.key == other.key }

func keyText(n ast.MapKeyNode) string {
	if k, ok := n.(*ast.MappingKeyNode); ok && k.Value != nil {
		return k.Value.GetToken().Value
	}
	return n.GetToken().Value
}

// list reads a sequence, giving each item to read after alloc was told how many there are.
func (d *decoder) list(n ast.Node, what string, alloc func(count int), read func(i int, item ast.Node)) {
	seq, ok := d.resolve(n).(*ast.SequenceNode)
	if !ok {
		if v := d.resolve(n); v != nil {
			d.wrongType(n, v, "a list of "+what)
		}
		return
	}
	alloc(len(seq.Values))
	for i, item := range seq.Values {
		read(i, item)
	}
}

// wrongType reports that value, found at n, is not what is wanted.
func (d *decoder) wrongType(n, value ast.Node, want string) {
	hint := ""
	if _, null := value.(*ast.NullNode); null {
		hint = "Give it a value, or leave the key out. An unquoted # begins a comment in YAML."
	}
	d.errorf(n, hint, "this should be %s, but it is %s", want, typeName(value))
}

func typeName(n ast.Node) string {
	switch n.(type) {
	case *ast.NullNode:
		return "empty"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	}
	return "something else"
}

func keys(fields []field) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.key
	}
	return list
}

// words turns an object's name in the schema into what messages call it.
func words(object string) string {
	if object == "service_step" {
		return "step"
	}
	return strings.ReplaceAll(object, "_", " ")
}

func article(object string) string {
	if strings.ContainsAny(object[:1], "aeiou") {
		return "an " + words(object)
	}
	return "a " + words(object)
}

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
