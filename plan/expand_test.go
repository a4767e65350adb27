package plan

import (
	"slices"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	vars := func(name string) (string, bool) {
		v, ok := map[string]string{"backend.url": "https://b.example", "token": "${backend.url}$"}[name]
		return v, ok
	}
	tests := []struct{ in, want, err string }{
		{"plain $5 {x} }", "plain $5 {x} }", ""},
		{"${backend.url}/a/${backend.url}", "https://b.example/a/https://b.example", ""},
		{"Bearer ${token}", "Bearer ${backend.url}$", ""}, // values are not expanded again
		{"echo $${HOME} ${backend.url}", "echo ${HOME} https://b.example", ""},
		{"é${backend.url}é", "éhttps://b.exampleé", ""},
		{"", "", ""},
		{"${backend.uri}", "", "nothing is known as ${backend.uri}"},
		{"${}", "", "nothing is known as ${}"},
		{"a ${backend.url", "", "is not closed"},
	}
	for _, test := range tests {
		got, err := Expand(test.in, vars)
		switch {
		case test.err == "" && (err != nil || got != test.want):
			t.Errorf("%q becomes %q, %v; want %q", test.in, got, err, test.want)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%q becomes %q, %v; want error %q", test.in, got, err, test.err)
		}
	}
}

func TestReferences(t *testing.T) {
	if got, want := References("${a.url}$${no}${b}/${a.url} ${open"), []string{"a.url", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
