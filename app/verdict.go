package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

// exitNoVerdict is the status of slipway verdict when the question was wrong: 1 and 2 are verdicts
// there. It is EX_USAGE of sysexits.h.
const exitNoVerdict = 64

// Exit statuses that are verdicts.
const (
	exitPass         = exitOK
	exitFail         = 1
	exitInconclusive = 2
)

type verdictCmd struct {
	Limit plan.Percent `help:"The error rate has to be below this, as in 5%." placeholder:"5%"`
	Alpha float64      `help:"How probable a wrong PASS may be, and a wrong FAIL, however often one looks." default:"0.05"`

	Requests *int64 `help:"Requests that were counted." placeholder:"N"`
	Errors   *int64 `help:"How many of them failed." placeholder:"S"`
	Dropped  string `help:"Log entries known to be lost, or unknown." placeholder:"D" default:"0"`

	OldRequests *int64 `help:"Requests of the old revision: FAIL too when the new one is worse." placeholder:"M"`
	OldErrors   *int64 `help:"How many of those failed." placeholder:"K"`

	Evidence string `help:"What counts as one piece of evidence: requests, or buckets of them where they fail in bursts." enum:"requests,buckets" default:"requests"`
	CSV      string `name:"csv" help:"Take the counts from a file with the columns requests and errors, and maybe dropped and at." placeholder:"FILE"`

	Simulate bool   `help:"Print how often verdicts are wrong at some true error rates, here and by other tools' rules."`
	Seed     uint64 `help:"Seed of --simulate: the same one gives the same table." default:"1"`

	Receipt []string `help:"Recompute the receipts in these files, and say whether they hold." placeholder:"FILE" sep:"none"`
	Gate    string   `help:"With --receipt: say which verdicts the gates of this deploy.yaml would have turned." placeholder:"FILE"`
	Files   []string `arg:"" optional:"" completes:"file" help:"More receipts, after --receipt."`

	JSON bool `name:"json" help:"Print JSON."`
}

// Help is shown by --help.
func (verdictCmd) Help() string {
	return fmt.Sprintf(`Exit status: %d PASS, %d FAIL, %d INCONCLUSIVE, %d the question was wrong and there is no verdict.
With --receipt: 0 all of them hold, 1 otherwise.

A gate may be looked at as often as you like, and goes on with the same counts. In JSON, needed is
%d when no number of requests up to a million would do.

The file of --csv has a line for each equally long slice of time, oldest first, twice as long as the
longest burst of errors:

    at,requests,errors
    2026-10-21T10:00:00Z,118,1
    2026-10-21T10:00:10Z,97,0`, exitPass, exitFail, exitInconclusive, exitNoVerdict, math.MaxInt64)
}

// Run prints what was asked for. Whatever is no answer is misuse: a full disk is no FAIL.
func (c verdictCmd) Run(stdout io.Writer) error {
	err := c.run(stdout)
	var answer answered
	if err == nil || errors.As(err, &answer) {
		return err
	}
	return misuse(err.Error())
}

func (c verdictCmd) run(stdout io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case len(c.Receipt) > 0:
		return c.receipts(stdout)
	case c.Simulate:
		return simulate(stdout, c.rule(), c.Seed)
	default:
		return c.judge(stdout)
	}
}

// check refuses what does not go together.
func (c verdictCmd) check() error {
	counts := c.Requests != nil || c.Errors != nil || c.Dropped != "0"
	own := counts || c.CSV != "" || c.OldRequests != nil || c.OldErrors != nil || c.Evidence != string(verdict.ByRequests)
	switch {
	case len(c.Receipt) > 0 && (own || c.Simulate || c.Limit != 0):
		return errors.New("--receipt brings its own counts and rule: leave the others out")
	case len(c.Receipt) > 0:
		return nil
	case len(c.Files) > 0:
		return fmt.Errorf("unexpected argument %s: files follow --receipt", c.Files[0])
	case c.Gate != "":
		return errors.New("--gate says what to judge receipts by: add --receipt FILE")
	case c.Simulate && (own || c.JSON):
		return errors.New("--simulate draws its own requests and prints a table: leave counts, --evidence and --json out")
	case c.Simulate:
		return nil
	}
	return c.checkCounts(counts)
}

func (c verdictCmd) checkCounts(counts bool) error {
	switch {
	case c.Limit == 0:
		return errors.New("--limit is missing, as in --limit 5%")
	case c.CSV != "" && counts:
		return errors.New("--csv and --requests both bring counts: give one of them")
	case c.CSV == "" && c.Evidence == string(verdict.ByBuckets):
		return errors.New("--evidence buckets needs the buckets: add --csv FILE")
	case c.CSV == "" && (c.Requests == nil || c.Errors == nil):
		return errors.New("--requests and --errors are missing, or --csv FILE")
	case (c.OldRequests == nil) != (c.OldErrors == nil):
		return errors.New("--old-requests and --old-errors go together")
	}
	return nil
}

func (c verdictCmd) rule() verdict.Rule {
	r := verdict.Rule{Limit: float64(c.Limit), AlphaPass: c.Alpha, AlphaFail: c.Alpha, Evidence: verdict.Kind(c.Evidence)}
	if c.OldRequests != nil {
		r.Old = &verdict.Window{Requests: *c.OldRequests, Errors: *c.OldErrors}
	}
	return r
}

// counted are the counts that were given, as one bucket if they are in no file.
func (c verdictCmd) counted() ([]verdict.Bucket, error) {
	if c.CSV != "" {
		f, err := os.Open(c.CSV)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readBuckets(c.CSV, f)
	}
	b := verdict.Bucket{Requests: *c.Requests, Errors: *c.Errors, Dropped: verdict.DroppedUnknown}
	if c.Dropped == "unknown" {
		return []verdict.Bucket{b}, nil
	}
	var err error
	if b.Dropped, err = strconv.ParseInt(c.Dropped, 10, 64); err != nil || b.Dropped < 0 {
		return nil, fmt.Errorf("--dropped %s: must be a number from 0 on, or unknown", c.Dropped)
	}
	return []verdict.Bucket{b}, nil
}

func (c verdictCmd) judge(stdout io.Writer) error {
	buckets, err := c.counted()
	if err != nil {
		return err
	}
	rule := c.rule()
	f, err := rule.Judge(buckets)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printIndented(stdout, struct {
			verdict.Finding
			Rule verdict.Rule `json:"rule"`
		}{f, rule})
	} else {
		_, err = io.WriteString(stdout, explain(rule, f))
	}
	if err != nil {
		return err
	}
	switch f.Verdict {
	case verdict.Pass:
		return nil
	case verdict.Fail:
		return answered(exitFail)
	default:
		return answered(exitInconclusive)
	}
}

// answered is the exit status of an answer that was printed.
type answered int

func (a answered) Error() string { return fmt.Sprintf("exit status %d", int(a)) }

func printIndented(stdout io.Writer, v any) error {
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// explain says what was found to whoever has to decide something.
func explain(rule verdict.Rule, f verdict.Finding) string {
	limit := plan.Percent(rule.Limit)
	lines := []string{
		strings.ToUpper(string(f.Verdict)),
		fmt.Sprintf("%s. The error rate is at most %s. Limit %s.", seen(f), rollout.PercentUp(f.AtMost, rule.Limit), limit),
	}
	switch {
	case f.Dropped == verdict.DroppedUnknown:
		lines = append(lines, "Nobody knows how many log entries were lost, so nothing can be decided.")
	case f.Dropped > 0:
		lines = append(lines, were(f.Dropped)+" lost, and counted as errors for a PASS and as successes for a FAIL.")
	}
	if old := rule.Old; f.Worse {
		rate := rollout.Percent(float64(old.Errors) / float64(old.Requests))
		lines = append(lines, fmt.Sprintf("It is worse than the old revision: %s (%s of %s).", rate, rollout.Count(old.Errors), rollout.Count(old.Requests)))
	}
	if f.Verdict != verdict.Pass && f.Needed > 0 && f.Dropped != verdict.DroppedUnknown {
		lines = append(lines, needs(f))
	}
	return strings.Join(lines, "\n") + "\n"
}

func were(lost int64) string {
	if lost == 1 {
		return "1 log entry was"
	}
	return rollout.Count(lost) + " log entries were"
}

// seen is "334 requests, 3 errors (0.9%)".
func seen(f verdict.Finding) string {
	if f.Requests == 0 {
		return "No requests"
	}
	return fmt.Sprintf("%s, %s (%s)", rollout.Counted(f.Requests, "request"), rollout.Counted(f.Errors, "error"),
		rollout.Percent(float64(f.Errors)/float64(f.Requests)))
}

func needs(f verdict.Finding) string {
	switch {
	case f.Needed == math.MaxInt64 || f.NeededBuckets == math.MaxInt64:
		return "It would take more than a million requests without an error to pass."
	case f.NeededBuckets > 0:
		return fmt.Sprintf("It would take %s without an error to pass, about %s.", more(f.NeededBuckets, "bucket"), rollout.Counted(f.Needed, "request"))
	}
	return fmt.Sprintf("It would take %s without an error to pass.", more(f.Needed, "request"))
}

// more is "1 more request", "6 more requests".
func more(n int64, word string) string {
	if n == 1 {
		return "1 more " + word
	}
	return rollout.Count(n) + " more " + word + "s"
}
