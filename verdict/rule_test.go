package verdict

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRuleByRequestsIsTheGate: by requests a rule looks at the sums alone.
func TestRuleByRequestsIsTheGate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, buckets := drawGate(t), drawBuckets(t)
		rule := Rule{Limit: g.Limit, AlphaPass: g.AlphaPass, AlphaFail: g.AlphaFail}
		f := judgedIn(t, rule, buckets)
		c := f.Counts()
		if want := (Counts{f.Requests, f.Errors, 0}); c != want {
			t.Fatalf("%+v, want %+v", c, want)
		}
		if f.Verdict != g.Judge(c).Verdict || f.AtMost != g.AtMost(c) || f.Needed != g.CleanNeeded(c) || f.NeededBuckets != 0 || f.Worse {
			t.Fatalf("%+v is not what the gate says of %+v", f, c)
		}
		rule.Evidence = ByRequests
		if named := judgedIn(t, rule, buckets); named != f {
			t.Fatalf("%+v, and by its name %+v", f, named)
		}
	})
}

// TestRuleCompares: an error rate far below the limit fails all the same where the
// old revision's was proven lower, and α is divided between the two reasons.
func TestRuleCompares(t *testing.T) {
	for _, evidence := range []Kind{ByRequests, ByBuckets} {
		rule := Rule{Limit: 0.5, AlphaPass: 0.05, AlphaFail: 0.05, Evidence: evidence, Expect: 10}
		compared := rule
		compared.Old = &Window{Requests: 10_000, Errors: 10}
		bad := same(Bucket{Requests: 10, Errors: 2}, 40)
		if f := judged(t, rule, bad); f.Verdict != Pass || f.Worse {
			t.Errorf("%s: 20%% at a limit of 50%%: %+v, want PASS", evidence, f)
		}
		if f := judged(t, compared, bad); f.Verdict != Fail || !f.Worse {
			t.Errorf("%s: 20%% after 0.1%%: %+v, want FAIL, worse than the old one", evidence, f)
		}
		if f := judged(t, compared, same(Bucket{Requests: 10}, 60)); f.Verdict != Pass || f.Worse {
			t.Errorf("%s: no error after 0.1%%: %+v, want PASS", evidence, f)
		}
		if f := judged(t, compared, same(Bucket{Requests: 10, Errors: 9}, 40)); f.Verdict != Fail || !f.Worse {
			t.Errorf("%s: above both: %+v, want FAIL, worse than the old one", evidence, f)
		}
		compared.Old = &Window{}
		if f := judged(t, compared, bad); f.Verdict != Pass || f.Worse {
			t.Errorf("%s: no old window: %+v, want PASS", evidence, f)
		}
		if f := judged(t, compared, same(Bucket{Requests: 10, Errors: 9}, 40)); f.Verdict != Fail || f.Worse {
			t.Errorf("%s: no old window, 90%%: %+v, want FAIL by the limit", evidence, f)
		}
	}
}

// TestRuleDividesAlpha finds the first errors in 60 requests that fail: with half
// of α for the limit it takes as many as a gate with half of it.
func TestRuleDividesAlpha(t *testing.T) {
	least := func(r Rule) int64 {
		for s := int64(0); ; s++ {
			if judged(t, r, []Bucket{{Requests: 60, Errors: s}}).Verdict == Fail {
				return s
			}
		}
	}
	rule := Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.01}
	half, compared := rule, rule
	half.AlphaFail, compared.Old = 0.005, &Window{} // which nothing is worse than
	if least(compared) != least(half) || least(half) == least(rule) {
		t.Errorf("FAIL from %d errors on, with half of α %d, compared %d: want the latter two equal", least(rule), least(half), least(compared))
	}
	worse, err := NewBaseline(100, 1000, rule.AlphaFail/2)
	if err != nil {
		t.Fatal(err)
	}
	lenient := Rule{Limit: 0.99, AlphaPass: 0.05, AlphaFail: rule.AlphaFail, Old: &Window{Requests: 1000, Errors: 100}}
	for s := range int64(61) {
		c := Counts{Requests: 60, Errors: s}
		if got := judged(t, lenient, []Bucket{{Requests: 60, Errors: s}}).Worse; got != worse.Worse(c) {
			t.Errorf("%d errors in 60: worse %v, the comparison says %v", s, got, worse.Worse(c))
		}
	}
}

// TestUnknownDropsDecideNothing, in whichever bucket they are.
func TestUnknownDropsDecideNothing(t *testing.T) {
	for _, evidence := range []Kind{ByRequests, ByBuckets} {
		rule := Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.05, Evidence: evidence}
		for _, errors := range []int64{0, 9} {
			buckets := same(Bucket{Requests: 10, Errors: errors}, 200)
			buckets[0].Dropped = 3
			buckets[7].Dropped = DroppedUnknown
			buckets[9].Dropped = 5
			f := judged(t, rule, buckets)
			if f.Verdict != Inconclusive || f.Dropped != DroppedUnknown || f.AtMost != 1 || f.Needed != math.MaxInt64 {
				t.Errorf("%s, %d errors: %+v, want that nothing is known", evidence, errors, f)
			}
		}
	}
}

func TestBucketFailNeedsThreeErrors(t *testing.T) {
	rule := Rule{Limit: 0.001, AlphaPass: 0.05, AlphaFail: 0.05, Evidence: ByBuckets}
	if f := judged(t, rule, []Bucket{{Requests: 5, Errors: 1}, {Requests: 5, Errors: 1}}); f.Verdict != Inconclusive {
		t.Errorf("2 errors: %+v, want it withheld", f)
	}
	if f := judged(t, rule, []Bucket{{Requests: 5, Errors: 2}, {Requests: 5, Errors: 1}}); f.Verdict != Fail {
		t.Errorf("3 errors: %+v, want FAIL", f)
	}
}

func TestJudgeRefuses(t *testing.T) {
	good := Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.05}
	noon := time.Date(2026, 10, 21, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		change  func(*Rule)
		buckets []Bucket
		says    string
	}{
		{"limit", func(r *Rule) { r.Limit = 5 }, nil, "limit 5"},
		{"alpha", func(r *Rule) { r.AlphaPass = 0 }, nil, "probabilities"},
		{"evidence", func(r *Rule) { r.Evidence = "vibes" }, nil, `evidence "vibes": must be requests or buckets`},
		{"bucket", func(r *Rule) { r.BucketSeconds = -1 }, nil, "-1 s"},
		{"expect", func(r *Rule) { r.Expect = math.NaN() }, nil, "expected in a bucket"},
		{"infinite", func(r *Rule) { r.Expect = math.Inf(1) }, nil, "expected in a bucket"},
		{"old", func(r *Rule) { r.Old = &Window{Requests: 1, Errors: 2} }, nil, "old window"},
		{"errors", nil, []Bucket{{}, {Requests: 3, Errors: 4}}, "bucket 2: 4 errors in 3 requests"},
		{"negative", nil, []Bucket{{Requests: -3, Errors: -4}}, "bucket 1: -4 errors"},
		{"dropped", nil, []Bucket{{Dropped: -2}}, "bucket 1: -2 dropped"},
		{"order", nil, []Bucket{{At: noon}, {}, {At: noon}}, "bucket 3 (2026-10-21T12:00:00Z): it does not start after"},
		{"sum", nil, []Bucket{{Requests: math.MaxInt64}, {Requests: 1}}, "bucket 2: more requests than can be counted"},
		{"dropped sum", nil, []Bucket{{Dropped: math.MaxInt64}, {Dropped: 1}}, "bucket 2: more requests"},
	}
	for _, tt := range tests {
		rule := good
		if tt.change != nil {
			tt.change(&rule)
		}
		if _, err := rule.Judge(tt.buckets); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
}

// TestRuleAsJSON: its keys are in receipts, and stay.
func TestRuleAsJSON(t *testing.T) {
	rule := byBuckets(7.5)
	rule.Old = &Window{Requests: 1672, Errors: 1204}
	got, err := json.Marshal(rule)
	const want = `{"limit":0.05,"alpha_pass":0.05,"alpha_fail":0.05,"evidence":"buckets","bucket_seconds":10,"expect":7.5,"old":{"requests":1672,"errors":1204}}`
	if err != nil || string(got) != want {
		t.Errorf("%s (%v), want %s", got, err, want)
	}
}

// TestComparedRuleIsSeldomWrong: a new revision that is as good as the old one, and
// below the limit, fails with at most α, whichever of the two reasons it is.
func TestComparedRuleIsSeldomWrong(t *testing.T) {
	const old, alpha, rate = 60, 0.1, 0.04
	fail := 0.0
	for k := range int64(old + 1) {
		weight := binomial(old, k, rate)
		if weight < 1e-6 {
			continue
		}
		j, err := Rule{Limit: 0.05, AlphaPass: 0.001, AlphaFail: alpha, Old: &Window{Requests: old, Errors: k}}.judge()
		if err != nil {
			t.Fatal(err)
		}
		got := run(ruleOf(func(c Counts) Verdict {
			if j.old.Worse(c) {
				return Fail
			}
			return j.gate.Judge(c).Verdict
		}), 1000, always(rate))
		fail += weight * got.fail
	}
	if fail == 0 || fail > alpha {
		t.Errorf("P(FAIL) = %.5f, want above 0 and at most %v", fail, alpha)
	}
}
