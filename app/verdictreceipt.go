package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway/plan"
	"slipway/rollout"
	"slipway/verdict"
)

// maxReceipt is far more than a gate writes, in bytes.
const maxReceipt = 8 << 20

// checked is what is said of one receipt.
type checked struct {
	File   string          `json:"file"`
	Holds  bool            `json:"holds"`
	Why    string          `json:"why,omitempty"` // it does not, or what Would is missing for
	Result verdict.Verdict `json:"result,omitempty"`
	Would  verdict.Verdict `json:"would,omitempty"` // by the gate of --gate
	Turned bool            `json:"turned,omitempty"`

	receipt verdict.Receipt
}

// receipts recomputes each file. One that cannot be read does not hold.
func (c verdictCmd) receipts(stdout io.Writer) error {
	var file *plan.File
	if c.Gate != "" {
		var err error
		if file, err = plan.LoadFile(c.Gate); err != nil {
			return err
		}
	}
	all, hold := []checked{}, true
	for _, name := range slices.Concat(c.Receipt, c.Files) {
		one := checkReceipt(name)
		if one.Holds && file != nil {
			one.rejudge(file)
		}
		all, hold = append(all, one), hold && one.Holds
	}
	if err := c.printReceipts(stdout, all); err != nil {
		return err
	}
	if !hold {
		return answered(exitFailed)
	}
	return nil
}

func checkReceipt(name string) checked {
	one := checked{File: name}
	data, err := readAtMost(name, maxReceipt)
	if err == nil {
		one.receipt, err = verdict.ParseReceipt(data)
	}
	if err == nil {
		one.Result = one.receipt.Result
		err = one.receipt.Check()
	}
	if err != nil {
		one.Why = err.Error()
	}
	one.Holds = err == nil
	return one
}

func readAtMost(name string, size int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, size+1))
	if err == nil && int64(len(data)) > size {
		err = fmt.Errorf("this is no receipt: it is larger than %d MiB", size>>20)
	}
	return data, err
}

// rejudge says what the gate of the same name and service in file would have said.
func (o *checked) rejudge(file *plan.File) {
	step, gates, err := gateOf(file, o.receipt)
	if err == nil {
		o.Would, err = o.receipt.Rejudge(ruleOf(step, gates, o.receipt.Rule), step.CountingGate().MinTime.D().Seconds())
	}
	if err != nil {
		o.Why = err.Error()
		return
	}
	o.Turned = o.Would != o.Result
}

// ruleOf is what a gate of deploy.yaml asks of the requests of a receipt, as one of so many gates of
// its plan: they share alpha_fail. What the old revision did is what the receipt knows of it.
func ruleOf(step *plan.Step, gates int, was verdict.Rule) verdict.Rule {
	gate := step.CountingGate()
	rule := verdict.Rule{
		Limit: float64(step.Limit()), AlphaPass: gate.AlphaPass, AlphaFail: gate.AlphaFail / float64(gates),
		Evidence: verdict.ByRequests, BucketSeconds: was.BucketSeconds, Expect: was.Expect,
	}
	if gate.Evidence == plan.EvidenceBuckets {
		rule.Evidence, rule.BucketSeconds = verdict.ByBuckets, int64(gate.Bucket.D()/time.Second)
		if was.BucketSeconds > 0 {
			rule.Expect *= float64(rule.BucketSeconds) / float64(was.BucketSeconds)
		}
	}
	if gate.Compare == plan.CompareOld {
		rule.Old = was.Old
	}
	if gate.Probes != nil { // they can fail the gate too
		rule.AlphaFail /= 2
	}
	return rule
}

// gateOf finds the step that a receipt is of, and how many gates its rollout has now.
func gateOf(file *plan.File, r verdict.Receipt) (step *plan.Step, gates int, err error) {
	target, err := plan.ParseTarget(file, r.Target)
	if err != nil {
		return nil, 0, err
	}
	p, err := file.PlanFor(target)
	if err != nil {
		return nil, 0, err
	}
	for _, phase := range p.Phases {
		for _, s := range phase.Steps {
			if s.CountingGate() == nil || target.Service != "" && s.Service() != target.Service {
				continue
			}
			gates++
			if s.Name == r.Name && s.Service() == r.Service {
				step = s
			}
		}
	}
	if step == nil {
		return nil, 0, fmt.Errorf("there is no step %q that counts requests of %s in the plan of %s", r.Name, r.Service, target)
	}
	return step, gates, nil
}

func (c verdictCmd) printReceipts(stdout io.Writer, all []checked) error {
	if c.JSON {
		return printIndented(stdout, all)
	}
	var b strings.Builder
	turned, broken := 0, 0
	for _, one := range all {
		fmt.Fprintf(&b, "%s: %s\n", one.File, one.text(filepath.Base(c.Gate)))
		if one.Turned {
			turned++
		}
		if !one.Holds {
			broken++
		}
	}
	if len(all) > 1 {
		fmt.Fprintf(&b, "%d of %d hold.\n", len(all)-broken, len(all))
	}
	if c.Gate != "" {
		fmt.Fprintf(&b, "%s would have turned %d of %d.\n", filepath.Base(c.Gate), turned, len(all))
	}
	_, err := io.WriteString(stdout, visibleText(b.String()))
	return err
}

func (o checked) text(gate string) string {
	if !o.Holds {
		return fmt.Sprintf("does not hold: %s.", strings.TrimSuffix(strings.ReplaceAll(o.Why, "\n", " "), "."))
	}
	r := o.receipt
	on := ""
	if r.Probes {
		on = " on test requests"
	}
	text := fmt.Sprintf("holds. %s of %s %s%s: %s, at most %s. Limit %s.", r.Name, r.Service, past(r.Result), on, seen(r.Finding),
		rollout.PercentUp(r.Finding.AtMost, r.Rule.Limit), plan.Percent(r.Rule.Limit))
	switch {
	case o.Why != "":
		return text + fmt.Sprintf(" What %s would say is not known: %s.", gate, o.Why)
	case o.Turned:
		return text + fmt.Sprintf(" By %s it %s.", gate, would(o.Would))
	case o.Would != "":
		return text + fmt.Sprintf(" By %s too.", gate)
	}
	return text
}

func past(v verdict.Verdict) string {
	if v == verdict.Inconclusive {
		return "was undecided"
	}
	return v.String()
}

func would(v verdict.Verdict) string {
	if v == verdict.Inconclusive {
		return "would have been undecided at that time"
	}
	return "would have " + v.String()
}
