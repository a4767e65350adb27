package verdict

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// tenOClock is when the traffic shift of the receipts here was.
func tenOClock(after time.Duration) time.Time {
	return time.Date(2026, 10, 21, 10, 0, 0, 0, time.UTC).Add(after)
}

// written is a receipt of a gate that passed on 3 errors in 334 requests, with a
// bucket that is empty.
func written(tb testing.TB) Receipt {
	tb.Helper()
	r := Receipt{
		Target: "staging/backend", Rollout: "pjur2h", Step: "3.3", Name: "Errors at 10%", Service: "backend", Revision: "backend-00042",
		Source: "logs", Query: `resource.type="cloud_run_revision"`,
		Since: tenOClock(30 * time.Second), Until: tenOClock(2 * time.Minute), Decided: tenOClock(2*time.Minute + 10*time.Second),
		WarmUpSeconds: 30, MinTimeSeconds: 60, MaxLatencySeconds: 10, BudgetSeconds: 1800,
		Rule: Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.025, BucketSeconds: 30, Old: &Window{Requests: 1672, Errors: 1204}},
		Late: 2, Result: Pass,
		Buckets: []Bucket{
			{At: tenOClock(30 * time.Second), Requests: 134, Errors: 1},
			{At: tenOClock(60 * time.Second)},
			{At: tenOClock(90 * time.Second), Requests: 200, Errors: 2},
		},
	}
	return sealed(tb, r)
}

func sealed(tb testing.TB, r Receipt) Receipt {
	tb.Helper()
	r, err := r.Seal()
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestReceiptHolds(t *testing.T) {
	r := written(t)
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	if f := r.Finding; f.Verdict != Pass || !near(f.AtMost, 0.03186, 1e-5) || f.Requests != 334 || f.Errors != 3 || len(r.Buckets) != 2 {
		t.Errorf("%+v, want 3 errors in 334, at most 3.186%%, in two buckets", r)
	}
	for _, indent := range []string{"", "  "} {
		text, err := json.MarshalIndent(r, "", indent)
		if err != nil {
			t.Fatal(err)
		}
		read, err := ParseReceipt(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Check(); err != nil {
			t.Errorf("indented by %q: %v", indent, err)
		}
	}
	there := r
	zone := time.FixedZone("", 7200)
	there.Since, there.Until, there.Decided = r.Since.In(zone), r.Until.In(zone), r.Decided.In(zone)
	there.Buckets = []Bucket{{At: r.Buckets[0].At.In(zone), Requests: 134, Errors: 1}, r.Buckets[1]}
	if again := sealed(t, there); again.Digest != r.Digest {
		t.Error("the same moments in another zone have another digest")
	}
}

// TestReceiptFindsEveryChange changes each value of the document, one at a time.
func TestReceiptFindsEveryChange(t *testing.T) {
	text, err := json.Marshal(written(t))
	if err != nil {
		t.Fatal(err)
	}
	leaves := 0
	for path := range changes(decoded(t, text)) {
		changed := decoded(t, text)
		change(changed, path)
		text, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		leaves++
		if r, err := ParseReceipt(text); err == nil && r.Check() == nil {
			t.Errorf("a changed %s is not found", path)
		}
	}
	if leaves < 35 {
		t.Errorf("only %d values were changed", leaves)
	}
}

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// changes are the paths of the values in a document: "buckets/0/errors".
func changes(v any) map[string]bool {
	paths := map[string]bool{}
	below := func(name string, v any) {
		for p := range changes(v) {
			paths[strings.TrimSuffix(name+"/"+p, "/")] = true
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			below(name, value)
		}
	case []any:
		for i, value := range v {
			below(string(rune('0'+i)), value)
		}
	default:
		paths[""] = true
	}
	return paths
}

func change(v any, path string) {
	name, rest, deeper := strings.Cut(path, "/")
	get, set := accessors(v, name)
	if deeper {
		change(get, rest)
		return
	}
	switch old := get.(type) {
	case float64:
		set(old + 1)
	case bool:
		set(!old)
	case string:
		if at, err := time.Parse(time.RFC3339, old); err == nil {
			set(at.Add(time.Second).Format(time.RFC3339))
		} else {
			set(old + "x")
		}
	}
}

func accessors(v any, name string) (any, func(any)) {
	if list, ok := v.([]any); ok {
		i := name[0] - '0'
		return list[i], func(to any) { list[i] = to }
	}
	object := v.(map[string]any)
	return object[name], func(to any) { object[name] = to }
}

// TestReceiptSaysWhatDoesNotHold: the first thing that a reader would want to know.
func TestReceiptSaysWhatDoesNotHold(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Receipt)
		seal   bool // with a digest that fits
		says   string
	}{
		{"a count", func(r *Receipt) { r.Buckets[0].Errors = 0 }, false, "the buckets hold 334 requests with 2 errors, but it says 334 requests with 3 errors"},
		{"a count, in both places", func(r *Receipt) { r.Buckets[0].Errors, r.Finding.Errors = 0, 2 }, false, "at most"},
		{"a drop", func(r *Receipt) { r.Finding.Dropped = 7 }, false, "but it says 334 requests with 3 errors and 7 dropped entries"},
		{"an unknown drop", func(r *Receipt) { r.Buckets[0].Dropped = DroppedUnknown }, false, "an unknown number of dropped entries, but"},
		{"the verdict", func(r *Receipt) { r.Finding.Verdict = Fail }, false, `the verdict is "passed", but it says "failed"`},
		{"the bound", func(r *Receipt) { r.Finding.AtMost = 0.01 }, false, "at most 3.186%"},
		{"the rule", func(r *Receipt) { r.Rule.Limit = 0.01 }, false, `the verdict is "inconclusive", but it says "passed"`},
		{"a rule that cannot be", func(r *Receipt) { r.Rule.Limit = 5 }, false, "limit 5"},
		{"the result", func(r *Receipt) { r.Result = Fail }, true, `its result is "failed", but its counts say "passed"`},
		{"an early pass", func(r *Receipt) { r.Decided = tenOClock(59 * time.Second) }, true, "it passed at 2026-10-21T10:00:59Z, before its minimum time of 60 s"},
		{"what decides nothing", func(r *Receipt) { r.Query = "" }, false, "its digest is another"},
		{"the version", func(r *Receipt) { r.Version = 2 }, false, "version 2 of receipts is not known here, only 1"},
		{"withheld", func(r *Receipt) { r.Result = Inconclusive }, true, ""},
		{"nothing", func(*Receipt) {}, true, ""},
	}
	for _, tt := range tests {
		r := written(t)
		tt.change(&r)
		if tt.seal {
			r = sealed(t, r)
		}
		err := r.Check()
		if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%s: more than a sentence: %v", tt.name, err)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	for name, change := range map[string]func(*Receipt){
		"a rule that cannot be":       func(r *Receipt) { r.Rule.AlphaPass = 0 },
		"counts that cannot be":       func(r *Receipt) { r.Buckets[0].Errors = 1000 },
		"a number JSON does not have": func(r *Receipt) { r.BudgetSeconds = math.Inf(1) },
	} {
		r := written(t)
		change(&r)
		if _, err := r.Seal(); err == nil {
			t.Errorf("%s is sealed", name)
		}
	}
}

func TestParseReceiptRefuses(t *testing.T) {
	text, err := json.Marshal(written(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"a list":            "[]",
		"an unknown word":   strings.Replace(string(text), `"late"`, `"note":"fine","late"`, 1),
		"two receipts":      string(text) + string(text),
		"half a receipt":    string(text[:len(text)/2]),
		"a count as a word": strings.Replace(string(text), `"requests":134`, `"requests":"134"`, 1),
	} {
		if _, err := ParseReceipt([]byte(text)); err == nil || !strings.Contains(err.Error(), "this is no receipt") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRejudge: the same requests under other rules.
func TestRejudge(t *testing.T) {
	same := Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.025}
	tests := []struct {
		name    string
		change  func(*Rule)
		minTime float64
		want    Verdict
		says    string
	}{
		{"the same", func(*Rule) {}, 60, Pass, ""},
		{"a stricter limit", func(r *Rule) { r.Limit = 0.02 }, 60, Inconclusive, ""},
		{"a limit below what was seen", func(r *Rule) { r.Limit = 0.0005 }, 60, Fail, ""},
		{"a longer minimum time", func(*Rule) {}, 131, Inconclusive, ""},
		{"as long as it took", func(*Rule) {}, 130, Pass, ""},
		{"buckets as long as its slices", func(r *Rule) { r.Evidence, r.BucketSeconds = ByBuckets, 30 }, 60, Inconclusive, ""},
		{"longer buckets", func(r *Rule) { r.Evidence, r.BucketSeconds = ByBuckets, 60 }, 60, Inconclusive, ""},
		{"shorter buckets", func(r *Rule) { r.Evidence, r.BucketSeconds = ByBuckets, 10 }, 60, "", "slices of 30 s, which do not make buckets of 10 s"},
		{"buckets of another rhythm", func(r *Rule) { r.Evidence, r.BucketSeconds = ByBuckets, 45 }, 60, "", "slices of 30 s"},
		{"a rule that cannot be", func(r *Rule) { r.Limit = 2 }, 60, "", "limit 2"},
	}
	for _, tt := range tests {
		rule := same
		tt.change(&rule)
		got, err := written(t).Rejudge(rule, tt.minTime)
		if got != tt.want || (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %q (%v), want %q (%q)", tt.name, got, err, tt.want, tt.says)
		}
	}
	unknown := written(t)
	unknown.Buckets[0].At = time.Time{}
	if _, err := unknown.Rejudge(Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.05, Evidence: ByBuckets, BucketSeconds: 60}, 0); err == nil {
		t.Error("slices of unknown times are put together")
	}
}

func TestRegroup(t *testing.T) {
	minute := []Bucket{
		{At: tenOClock(0), Requests: 1}, {At: tenOClock(20 * time.Second), Requests: 2, Errors: 1},
		{At: tenOClock(30 * time.Second), Requests: 4, Dropped: 1}, {At: tenOClock(40 * time.Second), Requests: 8, Dropped: DroppedUnknown},
	}
	got, err := regroup(minute, 10, 30)
	want := []Bucket{{At: tenOClock(0), Requests: 3, Errors: 1}, {At: tenOClock(30 * time.Second), Requests: 12, Dropped: DroppedUnknown}}
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	if minute[0].Requests != 1 {
		t.Error("the buckets that were given are changed")
	}
}

// TestSealedReceiptsHold, whatever is in them, and after being written and read.
func TestSealedReceiptsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Receipt{
			Name: rapid.String().Draw(t, "name"), Query: rapid.String().Draw(t, "query"), Rule: drawBucketRule(t), Buckets: drawBuckets(t),
			Since: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "since"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")),
		}
		r.Decided, r.Result = r.Since.Add(time.Hour), judgedIn(t, r.Rule, r.Buckets).Verdict
		r, err := r.Seal()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		read, err := ParseReceipt(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Check(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	text, err := json.Marshal(written(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(strings.Replace(string(text), `"late"`, `"probes":true,"late"`, 1)))
	f.Add([]byte(`{"version":1,"rule":{"limit":0.05,"alpha_pass":1e-300,"alpha_fail":0.05,"evidence":"buckets"},"buckets":[{"requests":9223372036854775807}]}`))
	f.Add([]byte(`{"version":1,"since":"2026-10-21T10:00:00+02:00"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReceipt(data)
		if err != nil {
			return
		}
		checked := r.Check()
		again, err := r.Seal()
		if err != nil {
			if checked == nil {
				t.Fatalf("it holds, but cannot be sealed: %v", err)
			}
			return
		}
		if checked == nil && again.Finding.Verdict != r.Finding.Verdict {
			t.Fatalf("it holds as %q, but is sealed as %q", r.Finding.Verdict, again.Finding.Verdict)
		}
		again.Result = Inconclusive
		if again, err = again.Seal(); err != nil {
			t.Fatal(err)
		}
		if err := again.Check(); err != nil {
			t.Fatalf("sealed, but: %v", err)
		}
	})
}
