package chart

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	const want = `
 80% ○○○○○○○○○○○○                                   old 72%



     ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▓╌╌╌▓╌╌╌╌╌╌╌╌╌╌╌╌╌╌ limit 5%
  0%                   ▁▁▁█▁▁▁█▁█▇█▁█▁▁▁▁▁▁█▁▁▁▁▁▁▁ new 0.9%
     12:00:00                              12:03:54`
	if got := "\n" + strings.Join(Text(fall(), 60, 6), "\n"); got != want {
		t.Errorf("got%s\nwant%s", got, want)
	}
	if rows := Text(fall(), 15, 6); rows != nil {
		t.Errorf("drawn where there is no room: %q", rows)
	}
}

// A rate at or below the limit never reaches the limit's row, one above it does.
func TestTextSidesOfTheLimit(t *testing.T) {
	t.Parallel()
	for errors, above := range map[int64]bool{0: false, 49: false, 50: false, 51: true, 900: true} {
		g := Graph{Limit: 0.05, Series: []Series{
			{Name: "new", Kind: New, Points: []Point{{At: noon(), Requests: 1000, Errors: errors}}},
			{Name: "old", Kind: Old, Points: []Point{{At: noon(), Requests: 1000, Errors: 950}}},
		}}
		for _, row := range Text(g, 40, 6) {
			if strings.HasSuffix(row, "limit 5%") && strings.Contains(row, "▓") != above {
				t.Errorf("%d errors of 1000: %s", errors, row)
			}
		}
	}
}

// checkRows are the rules of every text: no row is too wide, and there are as many as were asked for.
func checkRows(t failer, g Graph) {
	t.Helper()
	const width, height = 60, 6
	rows := Text(g, width, height)
	if len(rows) != height+1 {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		if utf8.RuneCountInString(row) > width || strings.ContainsAny(row, "\n\t") {
			t.Errorf("a row of %d characters: %q", utf8.RuneCountInString(row), row)
		}
	}
}
