package fakegcp

import (
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
)

// function parses log_id("…") or sample(field, fraction); there are no others.
func (p *parser) function(name token) (filter, error) {
	p.take() // the parenthesis
	argument := p.take()
	if name.text == "sample" {
		return p.sample(argument)
	}
	if name.text != "log_id" || argument.kind != quoted || !p.takeIf(symbol, ")") {
		return filter{}, fmt.Errorf(`function at offset %d: want log_id("…")`, name.offset)
	}
	return filter{match: func(r *record) bool { return r.log == argument.text }, since: math.MinInt64}, nil
}

// sample parses the rest of sample(insertId, 0.25): the same entries each time, chosen by a hash of the field.
func (p *parser) sample(first token) (filter, error) {
	path, err := p.path(first)
	if err != nil {
		return filter{}, err
	}
	f, err := fieldAt(path, p.project)
	if err != nil || f.text == nil || !p.takeIf(symbol, ",") {
		return filter{}, fmt.Errorf("sample at offset %d: want sample(field, fraction), the field a text", first.offset)
	}
	share := p.take()
	fraction, err := strconv.ParseFloat(share.text, 64)
	if err != nil || !(fraction >= 0 && fraction <= 1) || !p.takeIf(symbol, ")") {
		return filter{}, fmt.Errorf("sample at offset %d: %q is no fraction", first.offset, share.text)
	}
	return filter{since: math.MinInt64, match: func(r *record) bool {
		h := fnv.New64a()
		text, present := f.text(r)
		fmt.Fprint(h, text)
		return present && float64(h.Sum64()%1e6) < fraction*1e6
	}}, nil
}
