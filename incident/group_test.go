package incident

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func noon() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }

type traceback struct{ name, text, title, frame string }

func tracebacks() []traceback {
	return []traceback{
		{"python", "Traceback (most recent call last):\n  File \"/app/main.py\", line 12, in handle\n    login()\n  File \"/app/auth.py\", line 3, in login\n    import auth_service\n" +
			"ModuleNotFoundError: No module named 'auth_service'\n", "ModuleNotFoundError: No module named 'auth_service'", "/app/auth.py login"},
		{"python, in a library", "Traceback (most recent call last):\n  File \"/app/db.py\", line 9, in query\n    cursor.execute(q)\n" +
			"  File \"/usr/local/lib/python3.12/site-packages/psycopg/cursor.py\", line 97, in execute\n    raise e\npsycopg.errors.UndefinedTableError: relation \"users\" does not exist",
			`psycopg.errors.UndefinedTableError: relation "users" does not exist`, "/app/db.py query"},
		{"python, during another", "Traceback (most recent call last):\n  File \"/app/a.py\", line 1, in first\n    x\nKeyError: 'id'\n\nDuring handling of the above exception, another exception occurred:\n\n" +
			"Traceback (most recent call last):\n  File \"/app/b.py\", line 2, in second\n    y\nValueError: no id", "ValueError: no id", "/app/b.py second"},
		{"go", "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nruntime.gopanic({0x1, 0x2})\n\t/usr/local/go/src/runtime/panic.go:770 +0x132\n" +
			"github.com/x/lib.Call(0x1)\n\t/go/pkg/mod/github.com/x/lib@v1/lib.go:10 +0x1\nmain.(*server).login(0xc000012345, {0x7f, 0x3})\n\t/app/main.go:42 +0x1d\nmain.main()\n\t/app/main.go:10 +0x2f",
			"panic: runtime error: index out of range [5] with length 3", "main.(*server).login"},
		{"java", "Exception in thread \"main\" java.lang.IllegalStateException: failed\n\tat com.acme.App.run(App.java:10)\nCaused by: java.lang.NullPointerException: user is null\n" +
			"\tat java.base/java.util.Objects.requireNonNull(Objects.java:233)\n\tat com.acme.Login.check(Login.java:31)\n\t... 3 more", "java.lang.NullPointerException: user is null", "com.acme.Login.check"},
		{"node", "TypeError: Cannot read properties of undefined (reading 'id')\n    at Object.get (/app/node_modules/x/index.js:1:1)\n    at async login (/app/src/login.js:10:5)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
			"TypeError: Cannot read properties of undefined (reading 'id')", "login /app/src/login.js"},
	}
}

func TestTracebacks(t *testing.T) {
	for _, tt := range tracebacks() {
		got, ok := parseTrace(tt.text)
		if !ok || got.title(tt.text) != tt.title || got.frame != tt.frame {
			t.Errorf("%s: %q in %q, want %q in %q", tt.name, got.title(tt.text), got.frame, tt.title, tt.frame)
		}
		if e := (Entry{Text: tt.text}); !e.isError() {
			t.Errorf("%s: on plain stderr it is no error", tt.name)
		}
		moved := strings.NewReplacer("line 3", "line 4", "main.go:42", "main.go:43", "Login.java:31", "Login.java:32", "js:10:5", "js:11:6").Replace(tt.text)
		var g groups
		if key, _ := g.fingerprint(tt.text); key == "" || key != second(g.fingerprint(moved)) {
			t.Errorf("%s: another line number is another group", tt.name)
		}
	}
	for _, plain := range []string{"listening on :8080", "Errors: 3", "no Error here: fine", "error: lower", "GET /Exception 200", ""} {
		if e := (Entry{Text: plain}); e.isError() {
			t.Errorf("%q is taken for an error", plain)
		}
		if e := (Entry{Text: plain, Severity: "ERROR"}); e.isError() != (plain != "") {
			t.Errorf("%q with the severity of an error", plain)
		}
	}
}

func second(key string, _ trace) string { return key }

// TestSameGroup: what differs from one occurrence to the next makes no group of its own,
// and the name of what is missing does.
func TestSameGroup(t *testing.T) {
	tests := []struct {
		a, b string
		same bool
	}{
		{"user 17 not found in 3ms", "user 9241 not found in 12.5ms", true},
		{"cannot reach 10.0.0.1:5432 for request 4be2d6f0-9f44-4a56-8c4d-0a9f2d1f8e11", "cannot reach 10.0.3.9:5432 for request 0b6f3c9a-11d2-4e38-a1b5-97f3d2c4e6a7", true},
		{"no file /var/data/a.txt for ann@x.example", "no file /tmp/b for bob@y.example", true},
		{"invalid token 'abc def' given", "invalid token 'xyz' given", true},
		{"ModuleNotFoundError: No module named 'auth_service'", "ModuleNotFoundError: No module named 'billing'", false},
		{"Error: Cannot find module 'express'", "Error: Cannot find module 'pg'", false},
		{"KeyError: 'id'", "KeyError: 'name'", false},
		{"ValueError: bad id 17", "ValueError: bad id 18", true},
		{"ValueError: bad id 17", "TypeError: bad id 17", false},
		{"connection refused by the database", "out of memory", false},
	}
	for _, tt := range tests {
		var g groups
		a, _ := g.fingerprint(tt.a)
		b, _ := g.fingerprint(tt.b)
		if a == "" || b == "" || (a == b) != tt.same {
			t.Errorf("%q and %q: %s, %s, want the same %v", tt.a, tt.b, a, b, tt.same)
		}
	}
}

func TestWords(t *testing.T) {
	for line, want := range map[string]string{
		"a 17 b":                          "a <n> b",
		"id=17, took 12.5ms":              "id=<n>, took <n>ms",
		"at 0x7ffe12 and deadbeef01":      "at <hex> and <hex>",
		"from 10.0.0.1:80 and fe80::1:2":  "from <ip> and <ip>",
		"read (/etc/x.conf) by a@b.org":   "read (<path>) by <email>",
		`can't parse "a b": it's 'x y'z`:  `can't parse <quoted>: it's 'x y'z`,
		"<n> is no number":                "<*> is no number",
		"first\nsecond":                   "first",
		"  \n led by blanks":              "led by blanks",
		strings.Repeat("w", mostWord+1):   "<*>",
		strings.Repeat("w ", mostWords+5): strings.TrimSpace(strings.Repeat("w ", mostWords)),
	} {
		if got := strings.Join(words(line), " "); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"Authorization: Bearer abcdef.ghi":                                       "Authorization: <secret> <token>",
		"sent bearer abcdef123":                                                  "sent bearer <token>",
		"password=hunter2&user=ann":                                              "password=<secret>&user=ann",
		`{"api_key": "k-123", "n": 1}`:                                           `{"api_key": <secret>, "n": 1}`,
		"postgres://ann:pw@db/x":                                                 "postgres://<secret>@db/x",
		"mail to ann.b+c@mail.example.com now":                                   "mail to <email> now",
		"card 4111 1111 1111 1111, order 4111111111111112":                       "card <card>, order 4111111111111112",
		"jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2ln":                                     "jwt <token>",
		"key AIzaSyA1234567890abcdef":                                            "key <token>",
		"Set-Cookie: sid=1; Path=/":                                              "Set-Cookie: <secret>",
		"-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nx": "<private key>\nx",
		"No module named 'auth_service'":                                         "No module named 'auth_service'",
		"IBAN DE89 3704 0044 0532 0130 00":                                       "IBAN <iban>",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestNothingSecretIsKept: neither titles nor examples nor templates have what was masked.
func TestNothingSecretIsKept(t *testing.T) {
	w := newWatch(t, Rules{ErrorRate: 0.05, LogMatches: []string{"refused"}})
	for i, text := range []string{
		"login refused: password=hunter for ann@x.example", "login refused: password=hunter for bob@x.example",
		"KeyError: 'ann@x.example'", "call failed with bearer hunter-token in it",
		"ValueError: no\nTraceback (most recent call last):\n  File \"/home/ann@x.example/a.py\", line 1, in f\nValueError: token=hunter",
	} {
		w.Add(textEntry(i, noon(), "r1", text))
	}
	w.Add(textEntry(99, noon().Add(10*time.Minute), "r1", "x"))
	kept, err := w.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(kept); strings.Contains(text, "hunter") || strings.Contains(text, "x.example") || !strings.Contains(text, "refused") {
		t.Errorf("%s", text)
	}
}

func textEntry(id int, at time.Time, revision, text string) *Entry {
	return &Entry{ID: fmt.Sprint("t", id), At: at, Received: at.Add(time.Second), Severity: "ERROR", Service: "backend", Revision: revision, Log: "run.googleapis.com/stderr", Text: text}
}

// TestNewInARevision: an error is new when the revisions before it had it not for a week.
func TestNewInARevision(t *testing.T) {
	const old, fresh = "backend-00041", "backend-00042"
	day := 24 * time.Hour
	tests := []struct {
		name      string
		sightings []appearance // First only: what wrote the error, when
		others    []appearance // what wrote something else, when
		want      string
	}{
		{"in the new one only", []appearance{{Revision: fresh, First: noon()}}, []appearance{{Revision: old, First: noon().Add(-time.Hour)}}, fresh},
		{"in the old one too", []appearance{{Revision: old, First: noon().Add(-day)}, {Revision: fresh, First: noon()}}, nil, ""},
		{"in the old one eight days ago", []appearance{{Revision: old, First: noon().Add(-8 * day)}, {Revision: fresh, First: noon()}}, []appearance{{Revision: old, First: noon().Add(-time.Hour)}}, fresh},
		{"nothing older was seen", []appearance{{Revision: fresh, First: noon()}}, nil, ""},
		{"the older one was seen after it", []appearance{{Revision: fresh, First: noon()}}, []appearance{{Revision: old, First: noon().Add(time.Second)}}, ""},
	}
	for _, tt := range tests {
		var g groups
		for _, s := range append(tt.others, tt.sightings...) {
			g.Revisions = appear(g.Revisions, s.Revision, s.First)
		}
		for i, s := range tt.sightings {
			g.add(textEntry(i, s.First, s.Revision, "it broke"))
		}
		if got := g.top(1, noSlice)[0].New; got != tt.want {
			t.Errorf("%s: new in %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestGroupsAreBounded: what finds no place is counted, a flood drives nothing out, and what
// comes again gets in, for the rarest.
func TestGroupsAreBounded(t *testing.T) {
	var g groups
	n := 0
	add := func(text string) {
		g.add(textEntry(n, noon().Add(time.Duration(n)*time.Second), "r", text))
		n++
	}
	for i := range mostGroups {
		add(fmt.Sprintf("KeyError: 'k%d'", i))
	}
	for i := range mostGroups - 1 {
		add(fmt.Sprintf("KeyError: 'k%d'", i))
	}
	for i := range 3_000 {
		add(fmt.Sprintf("ImportError: m%d", i))
	}
	if len(g.Groups) != mostGroups || g.Dropped != 3_000 || g.Groups[mostGroups-1].Title != "KeyError: 'k199'" {
		t.Errorf("%d groups, %d dropped", len(g.Groups), g.Dropped)
	}
	for range 3 {
		add("KeyError: 'often'")
	}
	if last := g.Groups[mostGroups-1]; len(g.Groups) != mostGroups || last.Title != "KeyError: 'often'" || last.Tally.total != 2 || g.Dropped != 3_002 {
		t.Errorf("%d groups, %d dropped, the last %q", len(g.Groups), g.Dropped, last.Title)
	}
	for range 2 {
		add("KeyError: 'k199'")
	}
	if last := g.Groups[mostGroups-1]; last.Title != "KeyError: 'k199'" || !last.Known {
		t.Errorf("%q: known %v", last.Title, last.Known)
	}
	for i := range 20 * mostTemplates {
		g.add(textEntry(i, noon(), "r", strings.Repeat(string(rune('a'+i%26)), 1+i/26%50)+" "+strings.Repeat("x ", i%40)))
	}
	if len(g.Drain.Templates) > mostTemplates || len(g.Drain.leaves) > mostTemplates {
		t.Errorf("%d templates", len(g.Drain.Templates))
	}
}
