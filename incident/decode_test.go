package incident

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/rollout"
)

const requestEntry = `{
    "insertId": "a1",
    "timestamp": "2026-11-28T14:02:00.5Z",
    "receiveTimestamp": "2026-11-28T14:02:02Z",
    "severity": "ERROR",
    "logName": "projects/p/logs/run.googleapis.com%2Frequests",
    "resource": {"type": "cloud_run_revision", "labels": {"service_name": "backend", "revision_name": "backend-00042", "location": "us-central1"}},
    "httpRequest": {"status": 500, "latency": "0.25s", "userAgent": "curl \"{\"", "requestUrl": "https://x/y"}
  }`

func decode(t *testing.T, text string) ([]Entry, Malformed) {
	t.Helper()
	var entries []Entry
	m, err := Decode(strings.NewReader(text), func(e Entry) { entries = append(entries, e) })
	if err != nil {
		t.Fatal(err)
	}
	return entries, m
}

func TestDecodeRequest(t *testing.T) {
	at := time.Date(2026, 11, 28, 14, 2, 0, 500_000_000, time.UTC)
	for name, text := range map[string]string{
		"one":           requestEntry,
		"an array":      "[\n  " + requestEntry + "\n]\n",
		"on one line":   strings.ReplaceAll(requestEntry, "\n", ""),
		"with a mark":   "\ufeff" + requestEntry,
		"an array of 1": "[" + strings.ReplaceAll(requestEntry, "\n", "") + "]",
	} {
		entries, m := decode(t, text)
		if len(entries) != 1 || m.Count != 0 {
			t.Fatalf("%s: %d entries, %+v", name, len(entries), m)
		}
		e := entries[0]
		r := *e.Request
		e.Request = nil
		want := Entry{
			ID: "a1", At: at, Received: at.Add(1500 * time.Millisecond), Severity: "ERROR", Log: "run.googleapis.com/requests",
			Service: "backend", Revision: "backend-00042", Location: "us-central1",
		}
		if e != want || r != (Request{500, 250 * time.Millisecond, `curl "{"`, "https://x/y"}) {
			t.Errorf("%s: %+v %+v", name, e, r)
		}
	}
}

func TestDecodeText(t *testing.T) {
	const head = `{"insertId":"b","timestamp":"2026-11-28T14:02:00Z",`
	for _, tt := range []struct{ payload, want string }{
		{`"textPayload":"said"`, "said"},
		{`"jsonPayload":{"message":"said"}`, "said"},
		{`"jsonPayload":{"message":"in short","stack_trace":"at length"}`, "at length"},
		{`"jsonPayload":{"message":{"deep":1},"n":2}`, ""},
		{`"protoPayload":{}`, ""},
	} {
		entries, m := decode(t, head+tt.payload+"}")
		if len(entries) != 1 || entries[0].Text != tt.want {
			t.Errorf("%s: %+v %+v", tt.payload, entries, m)
		}
	}
}

// TestDecodeGoesOn: whatever a piece is, those around it are read, and its line is named.
func TestDecodeGoesOn(t *testing.T) {
	line := func(id string) string {
		return `{"insertId":"` + id + `","timestamp":"2026-11-28T14:02:00Z"}` + "\n"
	}
	tests := []struct{ piece, says string }{
		{"nonsense\n", "line 2: it is no JSON object"},
		{"17, null, [3]\n", "line 2: it is no JSON object"},
		{`{"insertId":"x"` + "\n", "line 2: it does not end"},
		{`{"insertId":"x` + "\n", "line 2: it does not end"},
		{"{}\n", "line 2: it has no insertId"},
		{`{"insertId":"x"}` + "\n", `line 2: its timestamp "" is no time`},
		{`{"insertId":"x","timestamp":"noon"}` + "\n", `line 2: its timestamp "noon" is no time`},
		{`{"insertId":"x","timestamp":"1066-10-14T09:00:00Z"}` + "\n", "is not of this age"},
		{`{"insertId":"x","timestamp":"2026-11-28T14:02:00Z","receiveTimestamp":"later"}` + "\n", `its receiveTimestamp "later" is no time`},
		{`{"insertId":7}` + "\n", "line 2: json: cannot unmarshal number"},
		{`{"insertId":"x","timestamp":"2026-11-28T14:02:00Z","httpRequest":{"latency":"soon"}}` + "\n", `its latency "soon" is no number of seconds`},
		{`{"a":` + strings.Repeat("1", mostBytes) + "}\n", "line 2: it is longer than any entry"},
	}
	for _, tt := range tests {
		entries, m := decode(t, line("a")+tt.piece+line("b"))
		if len(entries) != 2 || entries[1].ID != "b" || m.Count != 1 || !strings.Contains(m.First[0], tt.says) {
			t.Errorf("%.60q: %d entries, %+v, want %q", tt.piece, len(entries), m, tt.says)
		}
	}
	if _, m := decode(t, line("a")+`{"insertId":"x`); m.Count != 1 || m.First[0] != "line 2: the text ends in the middle of it" {
		t.Errorf("%+v", m)
	}
	if _, m := decode(t, strings.Repeat("x\n", 100)); m.Count != 100 || len(m.First) != namedMalformed {
		t.Errorf("%+v", m)
	}
	broken := "[\n  " + requestEntry[:80] + "\n  ,\n  " + requestEntry + "\n]"
	if entries, m := decode(t, broken); len(entries) != 1 || m.Count != 1 {
		t.Errorf("in an array: %d entries, %+v", len(entries), m)
	}
}

// TestProbesAreTheRollouts: both packages mean the same requests.
func TestProbesAreTheRollouts(t *testing.T) {
	if probeAgent != rollout.ProbeAgent {
		t.Errorf("%q, and a rollout's %q", probeAgent, rollout.ProbeAgent)
	}
}

// FuzzDecode: nothing fails or is read twice, and what is read can be watched.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("[" + requestEntry + "]"))
	f.Add([]byte(`{"insertId":"b","timestamp":"2026-11-28T14:02:00Z","severity":"ERROR","textPayload":"Traceback (most recent call last):\n  File \"/a.py\", line 1, in f\nKeyError: 'x'"}`))
	f.Add([]byte("{\"a\":\"\\\"}\"}\n{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var entries []Entry
		m, err := Decode(strings.NewReader(string(text)), func(e Entry) { entries = append(entries, e) })
		if err != nil || m.Count < int64(len(m.First)) {
			t.Fatalf("%v, %+v", err, m)
		}
		if n := int64(len(entries)) + m.Count; n > int64(len(text)) {
			t.Fatalf("%d pieces in %d bytes", n, len(text))
		}
		report, err := Replay(slices.Clone(entries), Subjects(entries, "staging", Rules{ErrorRate: 0.05, SLO: 0.995, CrashOnStart: true}))
		if err != nil {
			t.Fatal(err)
		}
		if report.Entries != int64(len(entries)) {
			t.Fatalf("%d entries replayed of %d", report.Entries, len(entries))
		}
		if _, err := json.Marshal(report); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzText: any text has one group, the same again, and a title without line breaks.
func FuzzText(f *testing.F) {
	for _, tt := range tracebacks() {
		f.Add(tt.text)
	}
	f.Add("panic: 0\n.)")
	f.Add("user 'a@b.example' paid with 4111 1111 1111 1111")
	f.Fuzz(func(t *testing.T, text string) {
		var g groups
		key, trace := g.fingerprint(text)
		again, _ := g.fingerprint(text)
		if key != again {
			t.Fatalf("%q, then %q", key, again)
		}
		if title := trace.title(text); len(title) > mostTitle || strings.Contains(title, "\n") {
			t.Fatalf("title %q", title)
		}
		if got := example(text); len(got) > mostExample {
			t.Fatalf("an example of %d bytes", len(got))
		}
		if _, err := json.Marshal(fmt.Sprint(words(text))); err != nil {
			t.Fatal(err)
		}
	})
}
