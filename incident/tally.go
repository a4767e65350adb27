package incident

import (
	"encoding/json"
	"fmt"
	"math"
)

// hour is how many slices a tally can tell apart.
const hour = 360

// tally counts lines: all of them, and of the last hour how many in each slice, because
// only an alarm shows since when they were of interest.
type tally struct {
	total  int64
	newest int64
	ring   [hour]uint32
}

func (t *tally) add(slice int64) { t.addAll(slice, 1) }

func (t *tally) addAll(slice, n int64) {
	t.total += n
	if t.newest == 0 || slice-t.newest >= hour {
		t.ring, t.newest = [hour]uint32{}, slice
	}
	for t.newest < slice {
		t.newest++
		t.ring[t.newest%hour] = 0
	}
	if t.newest-slice < hour {
		t.ring[slice%hour] = uint32(min(int64(t.ring[slice%hour])+n, math.MaxUint32))
	}
}

// since is how many came in a slice and later, of those of the last hour.
func (t *tally) since(slice int64) int64 {
	var n int64
	for i := max(slice, t.newest-hour+1, 0); i <= t.newest; i++ {
		n += int64(t.ring[i%hour])
	}
	return n
}

// trim forgets what came after a slice.
func (t tally) trim(last int64) tally {
	t.total -= t.since(last + 1)
	for i := max(last+1, t.newest-hour+1, 0); i <= t.newest; i++ {
		t.ring[i%hour] = 0
	}
	return t
}

type tallyJSON struct {
	Total int64      `json:"total"`
	Rows  [][2]int64 `json:"slices,omitempty"`
}

// MarshalJSON keeps the slices with lines: when, and how many.
func (t tally) MarshalJSON() ([]byte, error) {
	kept := tallyJSON{Total: t.total}
	for i := max(t.newest-hour+1, 0); i <= t.newest; i++ {
		if n := t.ring[i%hour]; n > 0 {
			kept.Rows = append(kept.Rows, [2]int64{i, int64(n)})
		}
	}
	return json.Marshal(kept)
}

// UnmarshalJSON refuses what cannot have been counted.
func (t *tally) UnmarshalJSON(data []byte) error {
	var kept tallyJSON
	if err := json.Unmarshal(data, &kept); err != nil {
		return err
	}
	read := tally{total: kept.Total}
	for _, row := range kept.Rows {
		if row[0] <= read.newest || row[0] > math.MaxInt32 || row[1] <= 0 || row[1] > math.MaxUint32 {
			return fmt.Errorf("a slice of time with the lines %v cannot be", row)
		}
		read.add(row[0])
		read.ring[row[0]%hour] = uint32(row[1])
	}
	read.total = kept.Total
	*t = read
	return nil
}
