package incident

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"slipway/verdict"
)

const (
	// width is how much time a slice counts: twice as long as the longest burst of
	// requests that fail together.
	width = 10 * time.Second
	// kept is how many slices are looked back at: the six hours of the longest burn rate.
	kept = int64(6 * time.Hour / width)
)

// count is the requests that started in one slice.
type count struct{ requests, errors, slow int64 }

func (c *count) add(other count) {
	c.requests += other.requests
	c.errors += other.errors
	c.slow += other.slow
}

// slice is the number of the slice, since 1970, into which a time falls.
func slice(t time.Time) int64 {
	seconds := t.Unix()
	return (seconds - ((seconds%10)+10)%10) / 10
}

// began is when a slice begins.
func began(slice int64) time.Time { return time.Unix(slice*10, 0).UTC() }

// counts are the requests of the last six hours by slices, in a ring of fixed size.
type counts struct {
	ring   []count
	newest int64 // the last slice there is a place for; 0: none yet
}

func newCounts() counts { return counts{ring: make([]count, kept)} }

// at is the place of a slice, nil when it is too old. Newer ones than newest take the
// places of the oldest.
func (c *counts) at(slice int64) *count {
	n := int64(len(c.ring))
	if c.newest == 0 {
		c.newest = slice
	}
	if slice-c.newest >= n {
		clear(c.ring)
		c.newest = slice
	}
	for c.newest < slice {
		c.newest++
		c.ring[c.newest%n] = count{}
	}
	if c.newest-slice >= n {
		return nil
	}
	return &c.ring[slice%n]
}

// get is what is in a slice; nothing in those that are not kept.
func (c *counts) get(slice int64) count {
	n := int64(len(c.ring))
	if slice < 0 || slice > c.newest || c.newest-slice >= n {
		return count{}
	}
	return c.ring[slice%n]
}

// window adds up the slices that end with last. Errors of which people were told already
// count as successes.
func (c *counts) window(last int64, length time.Duration, told *[mostTold]span) verdict.Counts {
	var sum verdict.Counts
	for i := last - int64(length/width) + 1; i <= last; i++ {
		n := c.get(i)
		sum.Requests += n.requests
		if n.errors > 0 && !slices.ContainsFunc(told[:], func(s span) bool { return s.holds(i) }) {
			sum.Errors += n.errors
		}
	}
	return sum
}

// burns reports whether one of the burn rates fires at the end of a slice.
func (c *counts) burns(last int64, slo float64, told *[mostTold]span) bool {
	if slo == 0 {
		return false
	}
	for _, b := range verdict.BurnRates() {
		short := c.window(last, b.Short, told)
		if float64(short.Errors) <= b.Rate*(1-slo)*float64(short.Requests) {
			continue // the long one, which costs more to add up, would not change it
		}
		long := c.window(last, b.Long, told)
		if long.Requests > short.Requests && b.Fires(long, short, slo) { // else nothing is known of the time before
			return true
		}
	}
	return false
}

// trim forgets what came after a slice.
func (c counts) trim(last int64) counts {
	settled := newCounts()
	for i := max(last-kept+1, c.newest-kept+1); i <= min(last, c.newest); i++ {
		if n := c.get(i); n != (count{}) {
			*settled.at(i) = n
		}
	}
	return settled
}

// MarshalJSON keeps the slices with requests: when, requests, errors and slow ones.
func (c counts) MarshalJSON() ([]byte, error) {
	rows := [][4]int64{}
	for i := c.newest - int64(len(c.ring)) + 1; i <= c.newest; i++ {
		if n := c.get(i); n.requests > 0 {
			rows = append(rows, [4]int64{i, n.requests, n.errors, n.slow})
		}
	}
	return json.Marshal(rows)
}

// UnmarshalJSON refuses what cannot have been counted.
func (c *counts) UnmarshalJSON(data []byte) error {
	var rows [][4]int64
	if err := json.Unmarshal(data, &rows); err != nil {
		return err
	}
	read, last := newCounts(), int64(0)
	for _, row := range rows {
		if row[0] <= last || row[0] > math.MaxInt32 || row[2] < 0 || row[3] < 0 || row[1] < max(row[2], row[3]) {
			return fmt.Errorf("a slice of time with the counts %v cannot be", row)
		}
		last = row[0]
		*read.at(last) = count{row[1], row[2], row[3]}
	}
	*c = read
	return nil
}
