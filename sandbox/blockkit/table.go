// Tables: https://docs.slack.dev/reference/block-kit/blocks/table-block.

package blockkit

import "strconv"

// table renders a table, whose first row is its head, in a scroller of its own.
func (o *out) table(b object) {
	label := b.str("caption")
	if label == "" {
		label = "Table"
	}
	o.in("div", attrs{"class", "bk-scroll", "role", "region", "aria-label", label, "tabindex", "0"}, func() {
		o.in("table", attrs{"class", "bk-table"}, func() {
			columns := b.objects("column_settings")
			rows := b.list("rows")
			if len(rows) == 0 {
				return
			}
			o.in("thead", nil, func() { o.row("th", rows[0], columns) })
			o.in("tbody", nil, func() {
				for _, row := range rows[1:] {
					o.row("td", row, columns)
				}
			})
		})
	})
}

func (o *out) row(tag string, row any, columns []object) {
	cells, _ := row.([]any)
	o.in("tr", nil, func() {
		for i, cell := range objects(cells) {
			class := ""
			if i < len(columns) {
				class = columnClass(columns[i])
			}
			a := attrs{}.with("class", class)
			if tag == "th" {
				a = a.with("scope", "col")
			}
			o.in(tag, a, func() { o.cell(cell) })
		}
	})
}

func columnClass(c object) string {
	class := ""
	switch c.str("align") {
	case "center", "right":
		class = "bk-" + c.str("align")
	}
	if c.is("is_wrapped") {
		class += " bk-wrapped"
	}
	return class
}

func (o *out) cell(c object) {
	switch c.str("type") {
	case "rich_text":
		o.richText(c)
	case "raw_number":
		n, ok := c.number("value")
		if text := c.str("text"); text != "" || !ok {
			o.text(text)
			return
		}
		o.text(strconv.FormatFloat(n, 'f', -1, 64))
	case "button":
		o.element(nil, c.object("element"))
	default:
		o.lines(c.str("text"))
	}
}
