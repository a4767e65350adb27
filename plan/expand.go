package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Expand replaces each ${name} of s by what vars returns for it. "$${" stands for a plain "${", for
// text that is meant for somebody else. What vars returns is not expanded again, so that a value
// from outside can never smuggle a reference in. The error names the reference that is not known or
// not closed.
func Expand(s string, vars func(name string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		start := strings.Index(s, "${")
		if start < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if start > 0 && s[start-1] == '$' {
			b.WriteString(s[:start-1] + "${")
			s = s[start+2:]
			continue
		}
		end := strings.IndexByte(s[start:], '}')
		if end < 0 {
			return "", fmt.Errorf("%q is not closed; end it with }, or write $${ for a plain ${", s[start:])
		}
		name := s[start+2 : start+end]
		value, ok := vars(name)
		if !ok {
			return "", fmt.Errorf("nothing is known as ${%s}", name)
		}
		b.WriteString(s[:start] + value)
		s = s[start+end+1:]
	}
}

// References returns the names of the ${…} in s, each once, in the order in which they come first.
func References(s string) []string {
	var names []string
	// The error of an unclosed reference is the loader's to report; those before it count here.
	_, _ = Expand(s, func(name string) (string, bool) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		return "", true
	})
	return names
}

// serviceReferences are the forms ${SERVICE.…} and whether each exists only once the candidate was
// deployed.
func serviceReferences() map[string]bool {
	return map[string]bool{
		"url":              false,
		"ws_url":           false,
		"image":            false,
		"revision":         true,
		"candidate.url":    true,
		"candidate.ws_url": true,
	}
}
