package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Errors is everything that is wrong with one file, in the order of its lines. Load returns it, so
// that a file is mended in one go and not one error at a time.
type Errors []Error

// Error returns all of them, one after the other.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i := range e {
		texts[i] = e[i].Error()
	}
	return strings.Join(texts, "\n")
}

// Error is one thing that is wrong at one place of a file. Line and Column count from 1; Column
// counts characters, as editors do.
type Error struct {
	File    string
	Line    int
	Column  int
	Message string
	Hint    string // what to do; may be empty
	Source  string // the text of the line
}

// Error returns "deploy.yaml:12:7: message", the line, a caret under the column, and what to do.
func (e Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s\n", e.File, e.Line, e.Column, e.Message)
	if source, caret := excerpt(e.Source, e.Column); source != "" {
		fmt.Fprintf(&b, "%5d | %s\n", e.Line, source)
		fmt.Fprintf(&b, "      | %s^\n", caret)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "        %s\n", e.Hint)
	}
	return b.String()
}

// excerptWidth is how much of a line is shown; longer ones are cut around the column.
const excerptWidth = 110

// excerpt returns the part of a line to show and the white space that puts a caret under column.
// Tabs stay tabs in both, so that they line up however wide they are drawn.
func excerpt(line string, column int) (source, indent string) {
	runes := []rune(strings.TrimRight(line, " \t\r"))
	at := min(max(column-1, 0), len(runes))
	if from := at - excerptWidth*2/3; from > 0 && len(runes) > excerptWidth {
		runes = append([]rune("…"), runes[from:]...)
		at -= from - 1
	}
	if len(runes) > excerptWidth {
		runes = append(runes[:excerptWidth:excerptWidth], '…')
	}
	blank := func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}
	return string(runes), strings.Map(blank, string(runes[:at]))
}

// sorted puts errors in the order of the file and drops those that say the same twice.
func sorted(list []Error) []Error {
	slices.SortStableFunc(list, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(list)
}

// Nearest returns the word of known that word is most likely a misspelling of, and whether there is
// one near enough to be worth offering: at most one edit in three letters, or one the start of the other.
func Nearest(word string, known []string) (string, bool) {
	word = strings.ToLower(word)
	best, found := "", false
	bestDistance := max(1, utf8.RuneCountInString(word)/3) + 1
	for _, k := range known {
		d := distance(word, strings.ToLower(k))
		if d < bestDistance {
			best, bestDistance, found = k, d, true
		}
	}
	if found || len(word) < 3 {
		return best, found
	}
	for _, k := range known {
		if strings.HasPrefix(strings.ToLower(k), word) {
			return k, true
		}
	}
	return "", false
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b
// (optimal string alignment).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	var before []int
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := range s {
		next := make([]int, len(t)+1)
		next[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			next[j+1] = min(next[j]+1, row[j+1]+1, row[j]+cost)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(t)]
}

// didYouMean returns "; did you mean X?" if there is a near X, else "".
func didYouMean(word string, known []string) string {
	if near, ok := Nearest(word, known); ok {
		return "; did you mean " + near + "?"
	}
	return ""
}
