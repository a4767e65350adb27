package verdict

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// receiptVersion is the only one there is so far.
const receiptVersion = 1

// Receipt is one verdict with everything that it was made of, so that anybody can
// recompute it later, without the logs. Times are in UTC; Rule and Buckets make
// Finding, and Result may be less than that (a gate withholds a PASS before its
// minimum time), never more.
type Receipt struct {
	Version  int    `json:"version"`
	Target   string `json:"target,omitempty"` // what was rolled out to: staging, or staging/backend
	Rollout  string `json:"rollout"`
	Step     string `json:"step"` // its ID in the rollout
	Name     string `json:"name"` // what deploy.yaml calls the step
	Service  string `json:"service"`
	Revision string `json:"revision"`

	Source string `json:"source"` // where the counts come from: logs, metrics
	Query  string `json:"query"`  // as it was asked there
	Probes bool   `json:"probes"` // the requests are Slipway's own, not users'

	Since   time.Time `json:"since"` // requests that started in [Since, Until) are counted
	Until   time.Time `json:"until"`
	Decided time.Time `json:"decided"`

	WarmUpSeconds     float64 `json:"warm_up_seconds"`     // before Since, from the traffic shift on
	MinTimeSeconds    float64 `json:"min_time_seconds"`    // no PASS sooner after the shift
	MaxLatencySeconds float64 `json:"max_latency_seconds"` // a window closes so long after its end
	BudgetSeconds     float64 `json:"budget_seconds"`      // undecided for so long: INCONCLUSIVE

	Rule    Rule     `json:"rule"`
	Buckets []Bucket `json:"buckets"` // those with requests or dropped entries
	Late    int64    `json:"late"`    // entries that came after their window had closed; they are counted

	Finding Finding `json:"finding"`
	Result  Verdict `json:"result"`

	// Digest is the SHA-256, in hex, of the receipt's JSON without it. It finds what
	// was changed by mistake or in passing; it is no signature.
	Digest string `json:"digest,omitempty"`
}

// Seal returns the receipt with its version, its finding and its digest, and
// without the buckets that are empty. The error says what cannot be in it.
func (r Receipt) Seal() (Receipt, error) {
	r.Version = receiptVersion
	r.Since, r.Until, r.Decided = r.Since.UTC(), r.Until.UTC(), r.Decided.UTC()
	r.Buckets = slices.DeleteFunc(slices.Clone(r.Buckets), func(b Bucket) bool { return b.Requests == 0 && b.Errors == 0 && b.Dropped == 0 })
	for i := range r.Buckets {
		r.Buckets[i].At = r.Buckets[i].At.UTC()
	}
	var err error
	if r.Finding, err = r.Rule.Judge(r.Buckets); err != nil {
		return Receipt{}, err
	}
	r.Digest, err = r.digest()
	return r, err
}

func (r Receipt) digest() (string, error) {
	r.Digest = ""
	canonical, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("a receipt cannot hold this: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// ParseReceipt reads one receipt. What it does not know is an error, as a digest
// says nothing about it.
func ParseReceipt(data []byte) (Receipt, error) {
	var r Receipt
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Receipt{}, fmt.Errorf("this is no receipt: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Receipt{}, errors.New("this is no receipt: there is something after it")
	}
	return r, nil
}

// Check recomputes the receipt and says in one sentence what does not hold.
func (r Receipt) Check() error {
	if r.Version != receiptVersion {
		return fmt.Errorf("version %d of receipts is not known here, only %d", r.Version, receiptVersion)
	}
	f, err := r.Rule.Judge(r.Buckets)
	if err != nil {
		return err
	}
	switch said := r.Finding; {
	case f.Counts() != said.Counts():
		return fmt.Errorf("the buckets hold %s, but it says %s", f.Counts().text(), said.Counts().text())
	case f.Verdict != said.Verdict:
		return fmt.Errorf("by its rule and its counts the verdict is %q, but it says %q", f.Verdict, said.Verdict)
	case !said.agrees(f):
		return fmt.Errorf("by its rule and its counts %s, but it says that %s", f.text(), said.text())
	}
	if err := r.checkResult(); err != nil {
		return err
	}
	digest, err := r.digest()
	if err != nil {
		return err
	}
	if digest != r.Digest {
		return errors.New("something in it was changed since it was written: its digest is another")
	}
	return nil
}

func (r Receipt) checkResult() error {
	switch {
	case r.Result == Inconclusive:
		return nil // whatever was found, it may have been withheld
	case r.Result != r.Finding.Verdict:
		return fmt.Errorf("its result is %q, but its counts say %q", r.Result, r.Finding.Verdict)
	case r.Result == Pass && r.early(r.MinTimeSeconds):
		return fmt.Errorf("it passed at %s, before its minimum time of %v s", r.Decided.Format(time.RFC3339), r.MinTimeSeconds)
	}
	return nil
}

// early reports whether it was decided before so long had passed since the shift.
func (r Receipt) early(minTimeSeconds float64) bool {
	shifted := r.Since.Add(-time.Duration(r.WarmUpSeconds * float64(time.Second)))
	return r.Decided.Sub(shifted).Seconds() < minTimeSeconds
}

// Rejudge is what another rule makes of the same requests at the same moment, with
// a minimum time of its own. The warm-up and the time after which a window closes
// are in the counts already and stay as they were. The error says why it cannot be
// told: buckets cannot be made of longer slices.
func (r Receipt) Rejudge(rule Rule, minTimeSeconds float64) (Verdict, error) {
	buckets := r.Buckets
	if rule.Evidence == ByBuckets {
		var err error
		if buckets, err = regroup(buckets, r.Rule.BucketSeconds, rule.BucketSeconds); err != nil {
			return "", err
		}
	}
	f, err := rule.Judge(buckets)
	if err != nil {
		return "", err
	}
	if f.Verdict == Pass && r.early(minTimeSeconds) {
		return Inconclusive, nil
	}
	return f.Verdict, nil
}

// regroup makes buckets of so many seconds out of shorter ones.
func regroup(buckets []Bucket, from, to int64) ([]Bucket, error) {
	if from == to {
		return buckets, nil
	}
	cannot := fmt.Errorf("its counts are in slices of %d s, which do not make buckets of %d s", from, to)
	if from <= 0 || to <= 0 || to%from != 0 {
		return nil, cannot
	}
	var longer []Bucket
	for _, b := range buckets {
		if b.At.IsZero() {
			return nil, cannot
		}
		b.At = b.At.Truncate(time.Duration(to) * time.Second)
		if last := len(longer) - 1; last < 0 || !longer[last].At.Equal(b.At) {
			longer = append(longer, b)
		} else {
			longer[last].join(b)
		}
	}
	return longer, nil
}

// agrees compares findings; their bound may differ by what processors round.
func (f Finding) agrees(g Finding) bool {
	near := math.Abs(f.AtMost-g.AtMost) <= 1e-9
	f.AtMost = g.AtMost
	return near && f == g
}

func (f Finding) text() string {
	text := fmt.Sprintf("the rate is at most %.4g%%, with %d requests in %d buckets to go", 100*f.AtMost, f.Needed, f.NeededBuckets)
	if f.Worse {
		return text + ", and worse than the old one"
	}
	return text
}

// text is the counts for a sentence.
func (c Counts) text() string {
	text := fmt.Sprintf("%d requests with %d errors", c.Requests, c.Errors)
	switch {
	case c.Dropped == DroppedUnknown:
		return text + " and an unknown number of dropped entries"
	case c.Dropped > 0:
		return fmt.Sprintf("%s and %d dropped entries", text, c.Dropped)
	}
	return text
}
