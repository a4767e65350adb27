package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Percent is a share as a fraction 0–1. In deploy.yaml and in JSON it is written "5%".
type Percent float64

// String returns the share as people write it: 5%, 0.5%.
func (p Percent) String() string {
	return strconv.FormatFloat(float64(p)*100, 'g', 6, 64) + "%"
}

// MarshalText implements encoding.TextMarshaler.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads "5%". A number without the sign is refused: 5 could be 5% or 500%.
func (p *Percent) UnmarshalText(text []byte) error {
	number, ok := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	if !ok {
		return fmt.Errorf("%q is not a percentage; write it with the sign, as in 5%%", text)
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(f >= 0 && f <= 100) { // NaN fails too
		return fmt.Errorf("%q is not a percentage between 0%% and 100%%", text)
	}
	*p = Percent(f / 100)
	return nil
}

// Duration is a time.Duration that is written "30m" in deploy.yaml and in JSON.
type Duration time.Duration

// D returns the duration as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String returns the shortest form: 30m, not 30m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "30s", "30m", "1h30m". A bare number is refused: its unit would be a guess.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration; write it with its unit, as in 30s, 5m or 1h30m", text)
	}
	*d = Duration(v)
	return nil
}
