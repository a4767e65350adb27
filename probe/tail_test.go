package probe

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTail(t *testing.T) {
	var many []string
	for i := range 10 + tailLines {
		many = append(many, fmt.Sprint(i))
	}
	for _, arm := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"colours", "\x1b[31;1mFAILED\x1b[0m test_\x1b[Ka\n", "FAILED test_a"},
		{"a progress bar", "10%\r20%\r\ndone\r\n", "10%\n20%\ndone"},
		{"other control", "a\x00b\x07c\td\x1b", "abc\td"},
		{"not UTF-8", "a\xffb", "a\uFFFDb"},
		{"a secret", "x " + secret + "y", "x •••y"},
		{"many lines", strings.Join(many, "\n"), strings.Join(many[10:], "\n")},
	} {
		t.Run(arm.name, func(t *testing.T) {
			o := &tail{}
			fmt.Fprint(o, arm.in)
			if got := o.text(&values{secrets: []string{secret}}); got != arm.want {
				t.Errorf("%q, want %q", got, arm.want)
			}
		})
	}
}

// FuzzTail writes in pieces: whatever comes is shown as a short, valid text without the secret.
func FuzzTail(f *testing.F) {
	f.Add("a "+secret+" b\xff\x1b[3", 3, 10)
	f.Add(strings.Repeat("é", 100), 7, 2000)
	f.Add(secret, 20, 10_000)
	f.Fuzz(func(t *testing.T, piece string, cut, times int) {
		if cut < 0 || cut > len(piece) || times < 0 || times*len(piece) > 8*tailBytes {
			return
		}
		o, v := &tail{}, &values{secrets: []string{secret}}
		for range times {
			fmt.Fprint(o, piece[:cut])
			fmt.Fprint(o, piece[cut:])
		}
		text := o.text(v)
		if len(text) > tailShown || !utf8.ValidString(text) || strings.Count(text, "\n") >= tailLines || strings.Contains(text, secret) {
			t.Fatalf("%d bytes: %q", len(text), text)
		}
		if len(o.kept) > 2*tailBytes {
			t.Fatalf("%d bytes are kept", len(o.kept))
		}
	})
}

func TestSecretsThatContainEachOther(t *testing.T) {
	v := &values{secrets: []string{"abcd", "abcdefgh"}}
	if got := v.hide("abcdefgh abcd"); got != "••• •••" {
		t.Error(got)
	}
}
