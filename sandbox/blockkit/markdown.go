// Standard Markdown: https://docs.slack.dev/reference/block-kit/blocks/markdown-block.
// It is written from goldmark's tree and not by goldmark, so that it goes
// through the same escapes as all else; HTML in it shows as it is typed.

package blockkit

import (
	"strconv"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	tables "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

func (o *out) markdown(source string) {
	raw := []byte(source)
	tree := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList)).Parser().Parse(text.NewReader(raw))
	m := markdown{o, raw}
	o.in("div", attrs{"class", "bk-markdown"}, func() { m.children(tree) })
}

type markdown struct {
	*out
	source []byte
}

func (m markdown) children(n ast.Node) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		m.write(c)
	}
}

func (m markdown) write(n ast.Node) {
	inside := func() { m.children(n) }
	switch n := n.(type) {
	case *ast.Heading:
		m.in("div", attrs{"class", "bk-heading bk-heading-" + strconv.Itoa(n.Level), "role", "heading", "aria-level", strconv.Itoa(min(n.Level+2, 6))}, inside)
	case *ast.Paragraph:
		m.in("p", nil, inside)
	case *ast.TextBlock:
		inside()
	case *ast.Blockquote:
		m.in("blockquote", attrs{"class", "bk-quote"}, inside)
	case *ast.List:
		m.list(n, inside)
	case *ast.ListItem:
		m.in("li", nil, inside)
	case *ast.ThematicBreak:
		m.void("hr", attrs{"class", "bk-divider"})
	case *ast.CodeBlock, *ast.FencedCodeBlock:
		m.span("pre", "bk-pre", m.raw(n))
	case *ast.HTMLBlock:
		m.htmlBlock(n)
	default:
		m.writeInline(n, inside)
	}
}

func (m markdown) list(n *ast.List, inside func()) {
	if !n.IsOrdered() {
		m.in("ul", attrs{"class", "bk-list"}, inside)
		return
	}
	m.in("ol", attrs{"class", "bk-list", "start", strconv.Itoa(n.Start)}, inside)
}

func (m markdown) writeInline(n ast.Node, inside func()) {
	switch n := n.(type) {
	case *ast.Text:
		m.textOf(n)
	case *ast.String:
		m.text(string(n.Value))
	case *ast.Emphasis:
		m.in([]string{"i", "b"}[min(n.Level, 2)-1], nil, inside)
	case *tables.Strikethrough:
		m.in("s", nil, inside)
	case *ast.CodeSpan:
		m.in("code", attrs{"class", "bk-code"}, inside)
	case *ast.Link:
		m.link("bk-link", string(n.Destination), inside)
	case *ast.Image: // Slack shows a link to it
		m.link("bk-link", string(n.Destination), inside)
	case *ast.AutoLink:
		m.autoLink(n)
	case *ast.RawHTML:
		m.text(string(n.Segments.Value(m.source)))
	case *tables.TaskCheckBox:
		box := map[bool]string{true: "☑ ", false: "☐ "}[n.IsChecked]
		m.text(box)
	default:
		m.tablePart(n, inside)
	}
}

func (m markdown) textOf(n *ast.Text) {
	value := n.Value(m.source)
	if !n.IsRaw() {
		value = unescapeMarkdown(value)
	}
	m.nodes(plainNodes(string(value)))
	switch {
	case n.HardLineBreak():
		m.void("br", nil)
	case n.SoftLineBreak():
		m.b.WriteByte('\n')
	}
}

func (m markdown) autoLink(n *ast.AutoLink) {
	to := string(n.URL(m.source))
	if n.AutoLinkType == ast.AutoLinkEmail {
		to = "mailto:" + to
	}
	m.link("bk-link", to, func() { m.text(string(n.Label(m.source))) })
}

// raw is the text of a block as it is typed.
func (m markdown) raw(n ast.Node) string {
	return string(n.Lines().Value(m.source))
}

func (m markdown) htmlBlock(n *ast.HTMLBlock) {
	source := m.raw(n)
	if n.HasClosure() {
		source += string(n.ClosureLine.Value(m.source))
	}
	m.in("p", nil, func() { m.text(source) })
}

func (m markdown) tablePart(n ast.Node, inside func()) {
	switch n := n.(type) {
	case *tables.Table:
		m.in("div", attrs{"class", "bk-scroll", "role", "region", "aria-label", "Table", "tabindex", "0"}, func() {
			m.in("table", attrs{"class", "bk-table"}, inside)
		})
	case *tables.TableHeader:
		m.in("thead", nil, func() { m.in("tr", nil, inside) })
	case *tables.TableRow:
		m.in("tr", nil, inside)
	case *tables.TableCell:
		m.tableCell(n, inside)
	default:
		inside()
	}
}

func (m markdown) tableCell(n *tables.TableCell, inside func()) {
	a := attrs{}
	if n.Alignment == tables.AlignCenter || n.Alignment == tables.AlignRight {
		a = a.with("class", "bk-"+n.Alignment.String())
	}
	if _, head := n.Parent().(*tables.TableHeader); head {
		m.in("th", a.with("scope", "col"), inside)
		return
	}
	m.in("td", a, inside)
}

// unescapeMarkdown takes away the backslashes and entities that goldmark leaves
// in its tree.
func unescapeMarkdown(value []byte) []byte {
	return util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(value)))
}
