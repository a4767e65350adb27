package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// chain reads the requests of an http step. What one captures, those after it may use.
func (d *decoder) chain(s *Step) func(ast.Node) {
	return func(n ast.Node) {
		d.captured = nil
		d.list(n, "requests",
			func(count int) {
				s.HTTP = make([]HTTP, count)
				if count == 0 {
					d.errorf(n, "Add a request, as in [{get: \"${backend.candidate.url}/health\"}].", "this chain has no request")
				}
			},
			func(i int, item ast.Node) {
				d.request(item, &s.HTTP[i])
				for name := range s.HTTP[i].Capture {
					d.captured = append(d.captured, name)
				}
				slices.Sort(d.captured)
			})
		d.captured = nil
	}
}

// shortMethods are the keys that give a request's method and URL in one.
func shortMethods() []string {
	return []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead}
}

func (d *decoder) request(n ast.Node, r *HTTP) {
	d.at[r] = n
	url := d.url(&r.URL, "http://", "https://")
	fields := []field{
		{"name", false, d.text(&r.Name)},
		{"method", false, choice(d, &r.Method, shortMethods()...)},
		{"url", false, url},
		{"headers", false, textMap(d, &r.Headers, "headers to values", d.value)},
		{"json", false, func(n ast.Node) { r.JSON = d.json(n) }},
		{"body", false, d.expandable(&r.Body)},
		{"status", false, d.integer(&r.Status)},
		{"expect", false, d.expandable(&r.Expect)},
		{"capture", false, textMap(d, &r.Capture, "names to paths", d.text)},
	}
	ways := 0
	for _, method := range shortMethods() {
		fields = append(fields, field{strings.ToLower(method), false, func(n ast.Node) {
			ways++
			r.Method = method
			url(n)
		}})
	}
	given := d.object(n, "http", fields)
	switch {
	case given == nil:
		return
	case given["url"] && ways == 0:
	case ways != 1 || given["url"] || given["method"]:
		d.errorf(n, "Write get: URL (or post, put, patch, delete, head), or method and url.", "this request needs one method and one URL")
	}
	if given["json"] && given["body"] {
		d.errorf(n, "Keep one of the two.", "this request has both json and body")
	}
	r.Method = cmp.Or(r.Method, http.MethodGet)
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	d.checkRequest(r)
}

// url reads an address that must begin with one of the schemes or with a reference.
func (d *decoder) url(to *string, schemes ...string) func(ast.Node) {
	return func(n ast.Node) {
		d.expandable(to)(n)
		begins := func(prefix string) bool { return strings.HasPrefix(*to, prefix) }
		if *to != "" && !slices.ContainsFunc(append(schemes, "${"), begins) {
			d.errorf(n, "Begin it with "+strings.Join(schemes, " or ")+", or with a reference such as ${backend.candidate.url}.",
				"%q is not a whole URL", *to)
		}
		if host, ok := literalHost(*to); ok && ForbiddenHost(host) {
			d.errorf(n, "Remove the request.", "%s gives out the bot's own credentials; no step may call it", host)
		}
	}
}

func (d *decoder) websocket(n ast.Node) *WebSocket {
	w := &WebSocket{}
	d.object(n, "websocket", []field{
		{"url", true, d.url(&w.URL, "ws://", "wss://")},
		{"token", false, func(n ast.Node) {
			w.Token = &Value{}
			d.value(w.Token)(n)
		}},
		{"send", false, d.expandable(&w.Send)},
		{"expect", true, d.expandable(&w.Expect)},
	})
	return w
}

// value reads text, or {env: NAME} for what must not stand in the file.
func (d *decoder) value(to *Value) func(ast.Node) {
	return func(n ast.Node) {
		if _, ok := d.resolve(n).(*ast.MappingNode); ok {
			d.object(n, "value", []field{{"env", true, d.variable(&to.Env)}})
			return
		}
		d.expandable(&to.Literal)(n)
	}
}

// variable reads the name of one of the bot's environment variables.
func (d *decoder) variable(to *string) func(ast.Node) {
	return func(n ast.Node) {
		d.text(to)(n)
		switch {
		case d.at[to] == nil:
		case !identifier().MatchString(*to):
			d.errorf(n, "Write the name of a variable only, as in E2E_TOKEN; its value stands in the bot's environment.",
				"this cannot be the name of an environment variable")
		case slices.Contains(ownVariables(), *to):
			d.errorf(n, "Take a variable of its own for this.", "%s is the bot's own secret and is never passed on", *to)
		}
	}
}

// ownVariables hold what opens Slack and Redis for the bot.
func ownVariables() []string { return []string{"SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "REDIS_URL"} }

// json turns any YAML into JSON text; its references stay for the step's start.
func (d *decoder) json(n ast.Node) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d.any(n, 0)); err != nil {
		d.errorf(n, "", "this cannot be written as JSON: %v", err)
		return ""
	}
	return strings.TrimSpace(b.String())
}

// maxNesting bounds how deep a request's body goes, aliases followed.
const maxNesting = 32

func (d *decoder) any(n ast.Node, depth int) any {
	if depth > maxNesting {
		d.errorf(n, "", "this is nested too deeply")
		return nil
	}
	switch v := d.resolve(n).(type) {
	case *ast.StringNode, *ast.LiteralNode:
		var s string
		d.expandable(&s)(n)
		return s
	case *ast.IntegerNode, *ast.FloatNode:
		return d.jsonNumber(n, v)
	case *ast.BoolNode:
		return v.Value
	case *ast.SequenceNode:
		list := make([]any, len(v.Values))
		for i, item := range v.Values {
			list[i] = d.any(item, depth+1)
		}
		return list
	case *ast.MappingNode, *ast.MappingValueNode:
		entries, _ := d.entries(n, "a mapping")
		object := make(map[string]any, len(entries))
		for _, e := range entries {
			object[e.key] = d.any(e.value, depth+1)
		}
		return object
	case nil, *ast.NullNode:
		return nil
	default:
		d.wrongType(n, v, "something that JSON has, too")
		return nil
	}
}

// jsonNumber keeps a number as it is written, where JSON writes it so too.
func (d *decoder) jsonNumber(at, n ast.Node) any {
	text := n.GetToken().Value
	if json.Valid([]byte(text)) {
		return json.Number(text)
	}
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return i
	}
	d.errorf(at, "Write it as JSON would, or put it in quotes.", "%s is not a number in JSON", text)
	return nil
}

// checkRequest reports what a single request cannot be.
func (d *decoder) checkRequest(r *HTTP) {
	if r.Status < 100 || r.Status > 599 {
		d.errorf(d.at[&r.Status], "Leave it out for 200.", "%d is not an HTTP status", r.Status)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Capture)) {
		if !identifier().MatchString(name) {
			d.errorf(d.at[&r.Capture], "Use letters, digits and _, as in token; it is then used as ${token}.",
				"%q cannot be the name of a captured value", name)
		}
	}
}

func identifier() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`) }
