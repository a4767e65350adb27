package verdict

import (
	"fmt"
	"math"
	"time"
)

// Bucket is the requests that started in one closed slice of a window. The
// slices of a window are equally long, do not overlap, and come oldest first;
// those without requests may be left out, as they are no evidence.
type Bucket struct {
	At       time.Time `json:"at,omitzero"` // its start; zero where it is not known
	Requests int64     `json:"requests"`
	Errors   int64     `json:"errors"`
	Dropped  int64     `json:"dropped,omitempty"` // as Counts.Dropped
}

func (b Bucket) counts() Counts { return Counts{b.Requests, b.Errors, b.Dropped} }

// total adds buckets up. Its error says which bucket cannot be.
func total(buckets []Bucket) (Counts, error) {
	var sum Bucket
	var last time.Time
	for i, b := range buckets {
		if err := b.check(last); err != nil {
			return Counts{}, fmt.Errorf("bucket %s: %w", b.name(i), err)
		}
		if !b.At.IsZero() {
			last = b.At
		}
		if b.Requests > math.MaxInt64-sum.Requests || b.Dropped > math.MaxInt64-max(0, sum.Dropped) {
			return Counts{}, fmt.Errorf("bucket %s: more requests than can be counted", b.name(i))
		}
		sum.join(b)
	}
	return sum.counts(), nil
}

// join adds another bucket's counts. Of what nobody knows the sum is not known.
func (b *Bucket) join(other Bucket) {
	b.Requests += other.Requests
	b.Errors += other.Errors
	if b.Dropped == DroppedUnknown || other.Dropped == DroppedUnknown {
		b.Dropped = DroppedUnknown
	} else {
		b.Dropped += other.Dropped
	}
}

func (b Bucket) name(i int) string {
	if b.At.IsZero() {
		return fmt.Sprint(i + 1)
	}
	return fmt.Sprintf("%d (%s)", i+1, b.At.UTC().Format(time.RFC3339))
}

func (b Bucket) check(last time.Time) error {
	switch {
	case b.Errors < 0 || b.Errors > b.Requests:
		return fmt.Errorf("%d errors in %d requests: errors must be from 0 to the number of requests", b.Errors, b.Requests)
	case b.Dropped < DroppedUnknown:
		return fmt.Errorf("%d dropped entries: must be 0 or more, or %d where nobody knows how many", b.Dropped, DroppedUnknown)
	case !b.At.IsZero() && !last.IsZero() && !b.At.After(last):
		return fmt.Errorf("it does not start after the bucket before it (%s): sort them, and count each slice once", last.UTC().Format(time.RFC3339))
	}
	return nil
}
