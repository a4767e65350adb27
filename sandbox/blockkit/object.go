package blockkit

import (
	"encoding/json"
	"fmt"
	"math"
)

// object is a JSON object of which nothing is certain: what is missing or of
// another type reads as empty.
type object map[string]any

// readBlocks reads a list of blocks. An entry that is no object stays as a block
// without a type.
func readBlocks(raw json.RawMessage) ([]object, error) {
	var all []any
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("not a JSON list: %w", err)
	}
	return objects(all), nil
}

func objects(all []any) []object {
	found := make([]object, len(all))
	for i, one := range all {
		m, _ := one.(map[string]any)
		found[i] = m
	}
	return found
}

func (b object) str(key string) string {
	text, _ := b[key].(string)
	return text
}

func (b object) is(key string) bool {
	yes, _ := b[key].(bool)
	return yes
}

func (b object) object(key string) object {
	m, _ := b[key].(map[string]any)
	return m
}

func (b object) list(key string) []any {
	all, _ := b[key].([]any)
	return all
}

func (b object) objects(key string) []object { return objects(b.list(key)) }

// number returns a finite number.
func (b object) number(key string) (float64, bool) {
	n, ok := b[key].(float64)
	return n, ok && !math.IsInf(n, 0) && !math.IsNaN(n)
}

// words is the text of a text object, or a string where Slack takes that.
func (b object) words(key string) string {
	if text, ok := b[key].(string); ok {
		return text
	}
	return b.object(key).str("text")
}
