package plan

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// version is the only one there is so far; a rename of a key makes the next.
const version = 1

// Bounds of a plan file, in bytes and in brackets or dashes that are open at once. The YAML parser's
// time grows with the square of both, and nobody reads a plan beyond them.
const (
	maxSize  = 128 << 10
	maxDepth = 64
)

// LoadFile loads the file at path. Its errors name the file by its base name.
func LoadFile(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the plan file: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the plan file: %w", err)
	}
	return Load(filepath.Base(path), src)
}

// Load reads a plan file, fills in every default, and checks what can be known without the cloud.
// A file with anything wrong gives no File but Errors, all of them; name is what they call the file.
// What is allowed yet deserves a word is in File.Warnings.
func Load(name string, src []byte) (*File, error) {
	d := newDecoder(name, src)
	file := d.load(src)
	if len(d.errors) > 0 {
		return nil, Errors(sorted(d.withoutHidden(d.errors)))
	}
	file.Warnings = sorted(d.withoutHidden(d.warnings))
	return file, nil
}

func (d *decoder) load(src []byte) *File {
	root, ok := d.parse(src)
	if !ok {
		return nil
	}
	ast.Walk(d, root)
	file := &File{overlays: d.overlays}
	d.file(root, file)
	for _, p := range file.Plans {
		d.fillJobs(p)
	}
	v := validator{decoder: d, file: file}
	v.validate()
	for _, p := range file.Plans {
		file.fillApprovals(p)
	}
	return file
}

// parse returns the root of the one document in src, or reports why there is none.
func (d *decoder) parse(src []byte) (ast.Node, bool) {
	switch {
	case len(src) > maxSize:
		d.errors = append(d.errors, d.problemAt(1, 1, "", fmt.Sprintf("the file is larger than %d KiB", maxSize>>10)))
		return nil, false
	case !utf8.Valid(src):
		line := 1 + bytes.Count(src[:invalidAt(src)], []byte("\n"))
		d.errors = append(d.errors, d.problemAt(line, 1, "Save the file as UTF-8.", "this line is not UTF-8 text"))
		return nil, false
	}
	docs, err := parseYAML(src)
	if err != nil {
		d.errors = append(d.errors, d.syntax(err))
		return nil, false
	}
	var roots []ast.Node
	for _, doc := range docs.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			roots = append(roots, doc.Body)
		}
	}
	switch len(roots) {
	case 0:
		d.errors = append(d.errors, d.problemAt(1, 1, "Begin with version: 1, environments and plans.", "the file is empty"))
		return nil, false
	case 1:
		return roots[0], true
	}
	d.errorf(roots[1], "Remove the --- line.", "there is a second document in this file")
	return nil, false
}

// syntax returns the parser's error as one of ours. The text of a yaml.SyntaxError is not asked for:
// it draws the lines around the place, which takes very long for long lines.
func (d *decoder) syntax(err error) Error {
	line, column := 1, 1
	var message string
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		message = syntax.Message
		if t := syntax.Token; t != nil && t.Position != nil {
			line, column = t.Position.Line, t.Position.Column
		}
	} else {
		message = err.Error()
	}
	return d.problemAt(line, column, "", "this is not YAML: "+message)
}

// parseYAML turns a panic of the parser into an error: a broken plan file must never end a bot that
// is told to reload it.
func parseYAML(src []byte) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	tokens := lexer.Tokenize(string(src))
	if t := tooDeep(tokens); t != nil {
		return nil, &yaml.SyntaxError{Message: fmt.Sprintf("more than %d levels", maxDepth), Token: t}
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// tooDeep returns the token that opens one level too many, or nil. Levels made by indentation need no
// count: each costs longer lines, so the file's size bounds them.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType:
			dashes++
		}
		if brackets > maxDepth || dashes > maxDepth {
			return t
		}
	}
	return nil
}

func invalidAt(src []byte) int {
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(src)
}

func (d *decoder) file(n ast.Node, f *File) {
	d.object(n, "file", []field{
		{"version", true, func(n ast.Node) {
			d.integer(&f.Version)(n)
			if d.at[&f.Version] != nil && f.Version != version {
				d.errorf(n, fmt.Sprintf("This Slipway reads version: %d.", version), "unknown version %d", f.Version)
			}
		}},
		{"environments", true, func(n ast.Node) {
			f.Environments = named(d, n, "environments by name", func(name string, n ast.Node) *Environment {
				return d.environment(name, n)
			})
		}},
		{"plans", true, func(n ast.Node) {
			f.Plans = named(d, n, "plans by name", func(name string, n ast.Node) *Plan { return d.plan(name, n) })
		}},
		{"identities", false, func(n ast.Node) {
			f.Identities = named(d, n, "identities by Google account", func(account string, n ast.Node) *Identity { return d.identity(account, n) })
		}},
	})
}

// named reads a mapping of names to objects into a list in the order of the file. read gets each
// name; where the name stands is remembered under the object itself.
func named[T any](d *decoder, n ast.Node, what string, read func(string, ast.Node) *T) []*T {
	entries, ok := d.entries(n, "a mapping of "+what)
	if ok && len(entries) == 0 {
		d.errorf(n, "Add at least one.", "there are no %s", what)
	}
	var list []*T
	for _, e := range entries {
		item := read(e.key, e.value)
		d.at[item] = e.node
		list = append(list, item)
	}
	return list
}

func (d *decoder) environment(name string, n ast.Node) *Environment {
	e := &Environment{Name: name, Lock: LockEnvironment, TrafficAfter: TrafficLatest}
	d.object(n, "environment", []field{
		{"project", true, d.text(&e.Project)},
		{"region", true, d.text(&e.Region)},
		{"channel", true, d.text(&e.Channel)},
		{"plan", true, d.text(&e.Plan)},
		{"services", true, func(n ast.Node) {
			e.Services = named(d, n, "services by name", func(name string, n ast.Node) *Service { return d.service(name, n) })
		}},
		{"lock", false, choice(d, &e.Lock, LockEnvironment, LockService)},
		{"deployers", false, d.texts(&e.Deployers, "people or groups")},
		{"approval", false, func(n ast.Node) {
			e.Approval = d.approval(n).over(nil)
			d.at[e.Approval] = n
		}},
		{"traffic_after", false, choice(d, &e.TrafficAfter, TrafficLatest, TrafficPinned)},
		{"alerts", false, func(n ast.Node) { e.Alerts = d.alerts(n) }},
		{"production", false, d.boolean(&e.Production)},
		{"hosts", false, d.texts(&e.Hosts, "hosts")},
	})
	e.inherit()
	return e
}

// inherit fills in what services did not say themselves.
func (e *Environment) inherit() {
	for _, s := range e.Services {
		s.Project = cmp.Or(s.Project, e.Project)
		s.Region = cmp.Or(s.Region, e.Region)
		s.Channel = cmp.Or(s.Channel, e.Channel)
		s.Plan = cmp.Or(s.Plan, e.Plan)
	}
	if e.Alerts != nil && e.Alerts.For == nil {
		e.Alerts.For = e.serviceNames()
	}
}

func (d *decoder) service(name string, n ast.Node) *Service {
	s := &Service{Name: name}
	d.object(n, "service", []field{
		{"cloud_run", true, d.text(&s.CloudRun)},
		{"image", true, d.text(&s.Image)},
		{"tag", true, d.text(&s.Tag)},
		{"owners", false, d.texts(&s.Owners, "people or groups")},
		{"project", false, d.text(&s.Project)},
		{"region", false, d.text(&s.Region)},
		{"channel", false, d.text(&s.Channel)},
		{"plan", false, d.text(&s.Plan)},
		{"alerts", false, func(n ast.Node) { s.Alerts = d.alerts(n) }},
	})
	return s
}
