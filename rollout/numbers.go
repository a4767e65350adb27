package rollout

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Percent writes a fraction for people: 72%, 3.2%, 0.9%, 0.04%.
func Percent(fraction float64) string {
	return Trimmed(fraction*100, decimals(fraction)) + "%"
}

// PercentUp rounds a bound up, so that "at most" stays true, and as finely as it takes for a bound
// below the limit to look so.
func PercentUp(fraction, limit float64) string {
	for places := decimals(fraction); ; places++ {
		unit := math.Pow10(places)
		up := math.Ceil(fraction*100*unit-1e-9) / unit
		if fraction >= limit || up < limit*100-1e-9 || places >= 4 {
			return Trimmed(up, places) + "%"
		}
	}
}

func decimals(fraction float64) int {
	switch {
	case fraction >= 0.1 || fraction == 0:
		return 0
	case fraction >= 0.001:
		return 1
	}
	return 2
}

// Trimmed writes a value with at most so many places, without zeros at the end.
func Trimmed(value float64, places int) string {
	text := strconv.FormatFloat(value, 'f', places, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// PerSecond writes how often requests come: 2.8 requests/s, and where there are few 0.05 requests/s.
func PerSecond(requests float64) string {
	places := 1
	if requests < 1 {
		places = 2
	}
	return Trimmed(requests, places) + " requests/s"
}

// Count writes a number with separators: 1,204.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Counted writes "no errors", "1 error", "3 errors".
func Counted(n int64, word string) string {
	switch n {
	case 0:
		return "no " + word + "s"
	case 1:
		return "1 " + word
	}
	return Count(n) + " " + word + "s"
}

// Period writes how long something took, in its two largest units: 15 s, 2 min 10 s, 1 h 5 min.
func Period(d time.Duration) string {
	d = d.Round(time.Second)
	hours, minutes, seconds := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%d h", hours)
	case minutes > 0 && seconds > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	case minutes > 0:
		return fmt.Sprintf("%d min", minutes)
	}
	return fmt.Sprintf("%d s", seconds)
}

// Share is errors per request; 0 without requests.
func Share(errors, requests int64) float64 {
	if requests == 0 {
		return 0
	}
	return float64(errors) / float64(requests)
}
