package plan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// text reads a string. A number or a yes is refused: YAML may have changed it already (1.10 is 1.1).
func (d *decoder) text(to *string) func(ast.Node) {
	return func(n ast.Node) {
		switch v := d.resolve(n).(type) {
		case nil:
			return
		case *ast.StringNode:
			*to = v.Value
		case *ast.LiteralNode:
			*to = v.Value.Value
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			d.errorf(n, fmt.Sprintf("Put it in quotes: %q.", v.GetToken().Value),
				"this should be text, but YAML reads it as %s", typeName(v))
			return
		default:
			d.wrongType(n, v, "text")
			return
		}
		if strings.TrimSpace(*to) == "" {
			d.errorf(n, "Give it a value, or leave the key out.", "this is empty")
			return
		}
		d.at[to] = n
	}
}

// scalar reads any single value as it is written: arguments and headers may well be numbers.
func (d *decoder) scalar(to *string) func(ast.Node) {
	return func(n ast.Node) {
		switch v := d.resolve(n).(type) {
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			d.at[to] = n
			*to = v.GetToken().Value
		case *ast.StringNode:
			d.at[to] = n
			*to = v.Value // empty is a value here
		default:
			d.text(to)(n)
		}
	}
}

// expandable reads a scalar in which ${…} is filled in when its step starts.
func (d *decoder) expandable(to *string) func(ast.Node) {
	return func(n ast.Node) {
		d.scalar(to)(n)
		d.use(n, *to)
	}
}

func (d *decoder) use(n ast.Node, text string) {
	if strings.Contains(text, "${") {
		d.uses = append(d.uses, use{n, d.step, text, slices.Clone(d.captured)})
	}
}

func (d *decoder) boolean(to *bool) func(ast.Node) {
	return func(n ast.Node) {
		switch v := d.resolve(n).(type) {
		case nil:
		case *ast.BoolNode:
			d.at[to] = n
			*to = v.Value
		default:
			d.wrongType(n, v, "true or false")
		}
	}
}

func (d *decoder) integer(to *int) func(ast.Node) {
	return func(n ast.Node) {
		v := d.resolve(n)
		if v == nil {
			return
		}
		if _, ok := v.(*ast.IntegerNode); !ok {
			hint := ""
			if s, is := v.(*ast.StringNode); is && strings.HasSuffix(s.Value, "%") {
				hint = "Write it without the sign: " + strings.TrimSuffix(s.Value, "%") + "."
			}
			d.errorf(n, hint, "this should be a whole number, but it is %s", typeName(v))
			return
		}
		i, err := strconv.Atoi(v.GetToken().Value)
		if err != nil {
			d.errorf(n, "", "%s is not a whole number that makes sense here", v.GetToken().Value)
			return
		}
		d.at[to] = n
		*to = i
	}
}

func (d *decoder) number(to *float64) func(ast.Node) {
	return func(n ast.Node) {
		switch v := d.resolve(n).(type) {
		case nil:
		case *ast.IntegerNode, *ast.FloatNode:
			f, err := strconv.ParseFloat(v.GetToken().Value, 64)
			if err != nil || math.IsInf(f, 0) {
				d.errorf(n, "Write it as in 0.05.", "%s is not a number that makes sense here", v.GetToken().Value)
				return
			}
			d.at[to] = n
			*to = f
		default:
			if s, is := v.(*ast.StringNode); is && strings.HasSuffix(s.Value, "%") {
				d.errorf(n, "Write it without the sign: "+strings.TrimSuffix(s.Value, "%")+".", "this should be a number, but it is text")
				return
			}
			d.wrongType(n, v, "a number")
		}
	}
}

// unit reads what has its unit with it: 5%, 30m.
func (d *decoder) unit(to interface{ UnmarshalText([]byte) error }) func(ast.Node) {
	return func(n ast.Node) {
		switch v := d.resolve(n).(type) {
		case nil:
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
			if err := to.UnmarshalText([]byte(v.GetToken().Value)); err != nil {
				message, hint, _ := strings.Cut(err.Error(), "; ")
				d.errorf(n, sentence(hint), "%s", message)
				return
			}
			d.at[to] = n
		default:
			d.wrongType(n, v, "a value with its unit, such as 30s or 5%")
		}
	}
}

// choice reads one of a few words.
func choice[T ~string](d *decoder, to *T, known ...T) func(ast.Node) {
	return func(n ast.Node) {
		word := ""
		d.text(&word)(n)
		if d.at[&word] == nil {
			return
		}
		if !slices.Contains(known, T(word)) {
			names := make([]string, len(known))
			for i, k := range known {
				names[i] = string(k)
			}
			d.errorf(n, "Possible: "+strings.Join(names, ", ")+".", "unknown value %s%s", word, didYouMean(word, names))
			return
		}
		d.at[to] = n
		*to = T(word)
	}
}

func (d *decoder) texts(to *[]string, what string) func(ast.Node) {
	return d.strings(to, what, d.text)
}

func (d *decoder) strings(to *[]string, what string, one func(*string) func(ast.Node)) func(ast.Node) {
	return func(n ast.Node) {
		d.list(n, what,
			func(count int) {
				d.at[to] = n
				*to = make([]string, count)
			},
			func(i int, item ast.Node) { one(&(*to)[i])(item) })
	}
}

// textMap reads a mapping of names of one's own choice to values.
func textMap[T any](d *decoder, to *map[string]T, what string, one func(*T) func(ast.Node)) func(ast.Node) {
	return func(n ast.Node) {
		d.at[to] = n
		entries, _ := d.entries(n, "a mapping of "+what)
		*to = make(map[string]T, len(entries))
		for _, e := range entries {
			var v T
			one(&v)(e.value)
			(*to)[e.key] = v
		}
	}
}
