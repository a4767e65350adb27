package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/verdict"
)

// file writes a file of a test and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := dir.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir.Name(), name)
}

func TestVerdict(t *testing.T) {
	clean := file(t, "clean.csv", "requests,errors\n"+strings.Repeat("10,0\n", 138))
	few := file(t, "few.csv", "errors,requests,dropped\n1,118,0\n0,0,0\n")
	tests := []struct {
		args string
		code int
		out  string // all of it
	}{
		{"--limit 5% --requests 334 --errors 3", 0, "PASS\n334 requests, 3 errors (0.9%). The error rate is at most 3.2%. Limit 5%.\n"},
		{"--limit 5% --requests 118 --errors 1", 2, "INCONCLUSIVE\n118 requests, 1 error (0.8%). The error rate is at most 5.3%. Limit 5%.\n" +
			"It would take 6 more requests without an error to pass.\n"},
		{"--limit 5% --requests 123 --errors 1", 2, "INCONCLUSIVE\n123 requests, 1 error (0.8%). The error rate is at most 5.1%. Limit 5%.\n" +
			"It would take 1 more request without an error to pass.\n"},
		{"--limit 5% --requests 100 --errors 20", 1, "FAIL\n100 requests, 20 errors (20%). The error rate is at most 35%. Limit 5%.\n" +
			"It would take 641 more requests without an error to pass.\n"},
		{"--limit 5% --requests 0 --errors 0", 2, "INCONCLUSIVE\nNo requests. The error rate is at most 100%. Limit 5%.\n" +
			"It would take 70 more requests without an error to pass.\n"},
		{"--limit 5% --alpha 0.01 --requests 70 --errors 0", 2, "INCONCLUSIVE\n70 requests, no errors (0%). The error rate is at most 7.4%. Limit 5%.\n" +
			"It would take 35 more requests without an error to pass.\n"},
		{"--limit 0.0001% --requests 0 --errors 0", 2, "INCONCLUSIVE\nNo requests. The error rate is at most 100%. Limit 0.0001%.\n" +
			"It would take more than a million requests without an error to pass.\n"},
		{"--limit 5% --requests 334 --errors 6 --dropped 1", 2, "INCONCLUSIVE\n334 requests, 6 errors (1.8%). The error rate is at most 5.3%. Limit 5%.\n" +
			"1 log entry was lost, and counted as errors for a PASS and as successes for a FAIL.\n" +
			"It would take 20 more requests without an error to pass.\n"},
		{"--limit 5% --requests 5000 --errors 0 --dropped unknown", 2, "INCONCLUSIVE\n5,000 requests, no errors (0%). The error rate is at most 100%. Limit 5%.\n" +
			"Nobody knows how many log entries were lost, so nothing can be decided.\n"},
		{"--limit 50% --requests 100 --errors 20 --old-requests 1000 --old-errors 1", 1, "FAIL\n100 requests, 20 errors (20%). The error rate is at most 35%. Limit 50%.\n" +
			"It is worse than the old revision: 0.1% (1 of 1,000).\n"},
		{"--limit 5% --evidence buckets --csv " + clean, 0, "PASS\n1,380 requests, no errors (0%). The error rate is at most 4.94%. Limit 5%.\n"},
		{"--limit 5% --evidence buckets --csv " + few, 2, "INCONCLUSIVE\n118 requests, 1 error (0.8%). The error rate is at most 97%. Limit 5%.\n" +
			"It would take 136 more buckets without an error to pass, about 16,048 requests.\n"},
		{"--limit 5% --csv " + few, 2, "INCONCLUSIVE\n118 requests, 1 error (0.8%). The error rate is at most 5.3%. Limit 5%.\n" +
			"It would take 6 more requests without an error to pass.\n"},
	}
	for _, tt := range tests {
		code, out, errs := slipway(t, strings.Fields("verdict "+tt.args)...)
		if code != tt.code || out != tt.out || errs != "" {
			t.Errorf("%s: exit %d, want %d\n%s%s\nwant\n%s", tt.args, code, tt.code, out, errs, tt.out)
		}
	}
}

// TestNoVerdict: a wrong question has a status that is no verdict.
func TestNoVerdict(t *testing.T) {
	csv := file(t, "buckets.csv", "requests,errors\n1,2\n")
	receipt := file(t, "receipt.json", "{}")
	tests := []struct{ args, says string }{
		{"", "--limit is missing, as in --limit 5%"},
		{"--limit 5 --requests 1 --errors 0", "write it with the sign"},
		{"--limit 100% --requests 1 --errors 0", "error rate limit 1: must be above 0 and below 1"},
		{"--limit 5%", "--requests and --errors are missing"},
		{"--limit 5% --requests 1", "--requests and --errors are missing"},
		{"--limit 5% --requests 1 --errors 2", "2 errors in 1 requests"},
		{"--limit 5% --requests x --errors 2", "--requests"},
		{"--limit 5% --requests 2 --errors 0 --dropped many", "--dropped many: must be a number from 0 on, or unknown"},
		{"--limit 5% --requests 2 --errors 0 --dropped=-1", "--dropped -1: must be"},
		{"--limit 5% --requests 2 --errors 0 --alpha 5", "error probabilities 5"},
		{"--limit 5% --requests 2 --errors 0 --old-errors 1", "go together"},
		{"--limit 5% --requests 2 --errors 0 --old-requests 1 --old-errors 2", "old window of 2 errors in 1 requests"},
		{"--limit 5% --requests 2 --errors 0 --evidence buckets", "add --csv FILE"},
		{"--limit 5% --requests 2 --errors 0 --evidence vibes", "must be one of"},
		{"--limit 5% --requests 2 --errors 0 --csv " + csv, "give one of them"},
		{"--limit 5% --csv absent.csv", "absent.csv"},
		{"--limit 5% --csv " + csv, "buckets.csv:2:3: 2 errors in 1 requests"},
		{"--nope", "unknown flag --nope"},
		{"more.json", "unexpected argument more.json: files follow --receipt"},
		{"--gate ../deploy.yaml", "add --receipt FILE"},
		{"--receipt " + receipt + " --limit 5%", "leave the others out"},
		{"--receipt " + receipt + " --simulate", "leave the others out"},
		{"--receipt " + receipt + " --evidence buckets --csv " + csv, "leave the others out"},
		{"--receipt " + receipt + " --gate absent.yaml", "absent.yaml"},
		{"--simulate --requests 1", "draws its own requests"},
		{"--simulate --json", "draws its own requests"},
		{"--simulate --alpha 2", "error probabilities 2"},
	}
	for _, tt := range tests {
		code, out, errs := slipway(t, strings.Fields("verdict "+tt.args)...)
		if code != 64 || out != "" || !strings.Contains(errs, tt.says) {
			t.Errorf("%s: exit %d, want 64 and %q\n%s%s", tt.args, code, tt.says, out, errs)
		}
	}
}

func TestVerdictAsJSON(t *testing.T) {
	code, out, _ := slipway(t, strings.Fields("verdict --json --limit 5% --requests 334 --errors 3 --old-requests 1672 --old-errors 1204")...)
	const want = `{
  "verdict": "pass",
  "requests": 334,
  "errors": 3,
  "at_most": 0.031855`
	if code != 0 || !strings.HasPrefix(out, want) || !strings.Contains(out, `"old": {
      "requests": 1672,
      "errors": 1204
    }`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	var f verdict.Finding
	if err := json.Unmarshal([]byte(out), &f); err != nil || f.Verdict != verdict.Pass || f.Needed != 0 {
		t.Errorf("%+v (%v)", f, err)
	}
}

// TestSimulate: the same seed gives the same table, and Slipway's part of it keeps what it says.
func TestSimulate(t *testing.T) {
	code, out, errs := slipway(t, "verdict", "--simulate", "--seed", "7")
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if _, again, _ := slipway(t, "verdict", "--simulate", "--seed=7"); again != out {
		t.Errorf("another table:\n%s\n%s", out, again)
	}
	if _, other, _ := slipway(t, "verdict", "--simulate"); other == out {
		t.Error("another seed, and the same table")
	}
	rows := map[string][]string{}
	for line := range strings.Lines(out) {
		var wrong []string
		for _, field := range strings.Fields(line) {
			if !strings.HasPrefix(field, "(") {
				wrong = append(wrong, field)
			}
		}
		if len(wrong) == 6 && strings.HasSuffix(wrong[0], "%") {
			rows[wrong[0]] = wrong[1:]
		}
	}
	if len(rows) != 11 || !strings.Contains(out, "seed 7") || !strings.Contains(out, "limit of 5%") {
		t.Fatalf("%d rows in\n%s", len(rows), out)
	}
	percent := func(rate string, column int) float64 {
		p := json.Number(strings.TrimSuffix(rows[rate][column], "%"))
		f, err := p.Float64()
		if err != nil {
			t.Fatalf("%s: %v", rate, rows[rate])
		}
		return f
	}
	for rate := range rows {
		if p := percent(rate, 1); p > 5.9 {
			t.Errorf("at %s Slipway is wrong in %v%%", rate, p)
		}
	}
	// What is wrong with rules on a window: they fail good releases, and pass bad ones.
	for _, tt := range []struct {
		rate   string
		column int
		want   float64
	}{{"3%", 2, 19}, {"7%", 2, 28}, {"3%", 3, 83}, {"5.5%", 4, 13}, {"4.5%", 4, 18}} {
		if p := percent(tt.rate, tt.column); p < tt.want-2.5 || p > tt.want+2.5 {
			t.Errorf("at %s column %d is wrong in %v%%, want about %v%%:\n%s", tt.rate, tt.column, p, tt.want, out)
		}
	}
}

// receiptOf is a receipt of the gate "Errors at 10%" of ../deploy.yaml, as a file.
func receiptOf(t *testing.T, change func(*verdict.Receipt), tamper ...string) string {
	t.Helper()
	shift := time.Date(2026, 10, 21, 10, 0, 0, 0, time.UTC)
	r := verdict.Receipt{
		Target: "staging", Rollout: "pjur2h", Step: "3.3", Name: "Errors at 10%", Service: "backend", Revision: "backend-00042", Source: "logs",
		Since: shift.Add(30 * time.Second), Until: shift.Add(2 * time.Minute), Decided: shift.Add(130 * time.Second),
		WarmUpSeconds: 30, MinTimeSeconds: 60, MaxLatencySeconds: 10, BudgetSeconds: 1800,
		Rule:    verdict.Rule{Limit: 0.05, AlphaPass: 0.05, AlphaFail: 0.025, BucketSeconds: 30},
		Buckets: []verdict.Bucket{{At: shift.Add(30 * time.Second), Requests: 134, Errors: 1}, {At: shift.Add(90 * time.Second), Requests: 200, Errors: 2}},
		Result:  verdict.Pass,
	}
	change(&r)
	r, err := r.Seal()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "receipt.json", strings.NewReplacer(tamper...).Replace(string(text)))
}

func TestReceipts(t *testing.T) {
	as := func(*verdict.Receipt) {}
	good := receiptOf(t, as)
	changed := receiptOf(t, as, `"requests":134`, `"requests":135`)
	probes := receiptOf(t, func(r *verdict.Receipt) { r.Probes = true })
	undecided := receiptOf(t, func(r *verdict.Receipt) { r.Result = verdict.Inconclusive })
	code, out, errs := slipway(t, "verdict", "--receipt", good, probes, undecided)
	want := good + ": holds. Errors at 10% of backend passed: 334 requests, 3 errors (0.9%), at most 3.2%. Limit 5%.\n" +
		probes + ": holds. Errors at 10% of backend passed on test requests: 334 requests, 3 errors (0.9%), at most 3.2%. Limit 5%.\n" +
		undecided + ": holds. Errors at 10% of backend was undecided: 334 requests, 3 errors (0.9%), at most 3.2%. Limit 5%.\n3 of 3 hold.\n"
	if code != 0 || out != want || errs != "" {
		t.Errorf("exit %d\n%s%s\nwant\n%s", code, out, errs, want)
	}
	code, out, errs = slipway(t, "verdict", "--receipt", good, "--receipt", changed, "absent.json", "../deploy.yaml")
	for _, says := range []string{
		good + ": holds.", changed + ": does not hold: the buckets hold 335 requests with 3 errors, but it says 334 requests with 3 errors.\n",
		"absent.json: does not hold: open absent.json: no such file or directory.\n", "../deploy.yaml: does not hold: this is no receipt: ", "1 of 4 hold.",
	} {
		if !strings.Contains(out, says) {
			t.Errorf("%q is missing in\n%s", says, out)
		}
	}
	if code != 1 || errs != "" {
		t.Errorf("exit %d, want 1: %s", code, errs)
	}
	code, out, _ = slipway(t, "verdict", "--json", "--receipt", good, changed)
	var all []struct {
		File, Why, Result string
		Holds             bool
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil || code != 1 || len(all) != 2 {
		t.Fatalf("exit %d (%v)\n%s", code, err, out)
	}
	if !all[0].Holds || all[0].Why != "" || all[1].Holds || all[1].Why == "" || all[1].File != changed || all[0].Result != "pass" {
		t.Errorf("%+v", all)
	}
}

// TestReceiptsByAnotherGate changes the gate in deploy.yaml and asks which verdicts would have turned.
func TestReceiptsByAnotherGate(t *testing.T) {
	text, err := os.ReadFile("../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const gate = "below: 5%, warm_up: 5s, min_time: 20s"
	if strings.Count(string(text), gate) != 2 {
		t.Fatalf("deploy.yaml should have two gates with %s", gate)
	}
	by := func(changed string) string {
		return file(t, "deploy.yaml", strings.Replace(string(text), gate, changed, 1))
	}
	receipt := receiptOf(t, func(*verdict.Receipt) {})
	tests := []struct {
		name, gate, receipt, says string
		turned                    string
	}{
		{"the same", by(gate), receipt, " By deploy.yaml too.\n", "0 of 1"},
		{"stricter", by("below: 2%"), receipt, " By deploy.yaml it would have been undecided at that time.\n", "1 of 1"},
		{"far stricter", by("below: 0.05%"), receipt, " By deploy.yaml it would have failed.\n", "1 of 1"},
		{"longer", by("below: 5%, min_time: 3m"), receipt, " By deploy.yaml it would have been undecided at that time.\n", "1 of 1"},
		{"by buckets", by("below: 5%, evidence: buckets, bucket: 30s"), receipt, " By deploy.yaml it would have been undecided at that time.\n", "1 of 1"},
		{"one service", by(gate), receiptOf(t, func(r *verdict.Receipt) { r.Target = "staging/backend" }), " By deploy.yaml too.\n", "0 of 1"},
		{"no such step", by(gate), receiptOf(t, func(r *verdict.Receipt) { r.Name = "Errors" }),
			` What deploy.yaml would say is not known: there is no step "Errors" that counts requests of backend in the plan of staging.`, "0 of 1"},
		{"no such place", by(gate), receiptOf(t, func(r *verdict.Receipt) { r.Target = "moon" }),
			" What deploy.yaml would say is not known: unknown environment moon", "0 of 1"},
		{"broken", by(gate), receiptOf(t, func(*verdict.Receipt) {}, `"late":0`, `"late":9`), ": does not hold: something in it was changed", "0 of 1"},
	}
	for _, tt := range tests {
		code, out, errs := slipway(t, "verdict", "--receipt", tt.receipt, "--gate", tt.gate)
		if want := map[bool]int{false: 0, true: 1}[tt.name == "broken"]; code != want || errs != "" {
			t.Errorf("%s: exit %d: %s", tt.name, code, errs)
		}
		if !strings.Contains(out, tt.says) || !strings.HasSuffix(out, "deploy.yaml would have turned "+tt.turned+".\n") {
			t.Errorf("%s: %q and %q are missing in\n%s", tt.name, tt.says, tt.turned, out)
		}
	}
}
