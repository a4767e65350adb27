package plan

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPercent(t *testing.T) {
	tests := []struct {
		text string
		want Percent
		back string
	}{
		{"5%", 0.05, "5%"}, {"0.5%", 0.005, "0.5%"}, {" 12.5 % ", 0.125, "12.5%"}, {"0%", 0, "0%"}, {"100%", 1, "100%"},
	}
	for _, test := range tests {
		var p Percent
		if err := p.UnmarshalText([]byte(test.text)); err != nil || p != test.want || p.String() != test.back {
			t.Errorf("%q is %v (%s), %v; want %v (%s)", test.text, float64(p), p, err, float64(test.want), test.back)
		}
	}
	for _, bad := range []string{"", "5", "%", "-1%", "101%", "NaN%", "Inf%", "five%", "5%%"} {
		var p Percent
		if err := p.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken as %s", bad, p)
		}
	}
}

func TestDuration(t *testing.T) {
	tests := map[string]string{"30s": "30s", "30m": "30m", "90m": "1h30m", "2h": "2h", "1h0m5s": "1h0m5s", "10m": "10m", "0s": "0s", "1500ms": "1.5s"}
	for text, back := range tests {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != back {
			t.Errorf("%q is %s, %v; want %s", text, d, err, back)
		}
	}
	for _, bad := range []string{"", "30", "-5m", "5 minutes", "m"} {
		var d Duration
		if err := d.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken as %s", bad, d)
		}
	}
}

func TestUnitsRoundTrip(t *testing.T) {
	type units struct {
		P Percent
		D Duration
	}
	rapid.Check(t, func(t *rapid.T) {
		want := units{
			P: Percent(float64(rapid.IntRange(0, 100_000).Draw(t, "thousandths of a percent")) / 1000 / 100),
			D: Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "duration")),
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got units
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatalf("%+v became %+v over %s, %v", want, got, text, err)
		}
	})
}
