package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestErrorText(t *testing.T) {
	e := Error{File: "deploy.yaml", Line: 12, Column: 3, Message: "unknown key x", Hint: "Remove it.", Source: "\té: x  "}
	want := "deploy.yaml:12:3: unknown key x\n   12 | \té: x\n      | \t ^\n        Remove it.\n"
	if got := e.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestCaretStaysUnderItsColumn cuts long lines at every column.
func TestCaretStaysUnderItsColumn(t *testing.T) {
	line := strings.Repeat("0123456789", 40)
	for column := 1; column <= len(line); column++ {
		source, indent := excerpt(line, column)
		shown := []rune(source)
		if got, want := shown[len(indent)], rune(line[column-1]); got != want || len(shown) > excerptWidth+2 {
			t.Fatalf("column %d shows %c, want %c, in %q", column, got, want, source)
		}
	}
	if source, indent := excerpt("short", 99); source != "short" || len(indent) != 5 {
		t.Errorf("a column after the end gives %q and %d", source, len(indent))
	}
}

// TestHostileFiles: what could exhaust the parser or the walk gives an error, and within the test's time.
func TestHostileFiles(t *testing.T) {
	bomb := "version: 1\nx: &a0 [1]\n"
	for i := range 30 {
		bomb += fmt.Sprintf("x%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	bomb += "plans: {p: {phases: [{name: a, steps: [{name: b, http: [{post: 'https://x.example', json: *a30}]}]}]}}\n"
	tests := map[string]struct{ src, want string }{
		"aliases":           {bomb, "aliases make this file too large"},
		"itself":            {"version: 1\nplans: {p: {phases: [{name: a, steps: [{name: b, http: [{post: 'https://x.example', json: &j [*j]}]}]}]}}\n", "nested too deeply"},
		"merge":             {"version: 1\nplans: &p {<<: *p}\n", "aliases make this file too large"},
		"brackets":          {strings.Repeat("[", maxSize), "more than 64 levels"},
		"braces":            {strings.Repeat("{a: ", maxSize/4), "more than 64 levels"},
		"brackets in lines": {strings.Repeat("[\n", maxSize/2), "more than 64 levels"},
		"dashes":            {strings.Repeat("- ", maxSize/2), "more than 64 levels"},
		"too big":           {strings.Repeat(" ", maxSize+1), "larger than 128 KiB"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Load("deploy.yaml", []byte(test.src))
			list, ok := errors.AsType[Errors](err)
			if !ok || len(list) > 100 {
				t.Fatalf("%d errors: %.500v", len(list), err)
			}
			if want := test.want; !slices.ContainsFunc(list, func(e Error) bool { return strings.Contains(e.Message, want) }) {
				t.Errorf("no error says %q, but %.500v", want, err)
			}
		})
	}
}
