package page

import (
	"strings"
	"testing"
	"time"

	"slipway/commands"
	"slipway/plan"
)

// Every line that is offered is a command of the app, and does what its description says.
func TestOffersAreCommands(t *testing.T) {
	file, err := plan.LoadFile("../../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range lines(file, "/deploy ") {
		got, err := commands.Parse(strings.TrimPrefix(o.Text, "/deploy "))
		if want := verbs()[i%len(verbs())]; i < len(verbs()) && (err != nil || got.Verb != want.does) {
			t.Errorf("%q is %q, want %q: %v", o.Text, got.Verb, want.does, err)
		} else if err != nil {
			t.Errorf("%q: %v", o.Text, err)
		}
	}
}

func TestRateOf(t *testing.T) {
	at := func(second int, requests, errors int64) sample {
		return sample{time.Unix(int64(second), 0), requests, errors}
	}
	for _, tt := range []struct {
		name    string
		samples []sample
		want    string
	}{
		{"none", nil, "counting …"},
		{"one", []sample{at(0, 9, 9)}, "counting …"},
		{"silent", []sample{at(0, 9, 9), at(1, 9, 9)}, "no requests"},
		{"all the span", []sample{at(0, 1000, 0), at(10, 1400, 4)}, "40 requests/s, 1.0% errors"},
		{"what is older does not count", []sample{at(0, 0, 0), at(5, 900, 900), at(15, 925, 900)}, "2.5 requests/s, 0% errors"},
	} {
		if got := rateOf(tt.samples, rateSpan).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestSparkOf(t *testing.T) {
	var samples []sample
	for i := range 120 {
		samples = append(samples, sample{time.Unix(int64(i), 0), int64(40 * i), int64(20 * i)})
	}
	s := sparkOf(samples)
	if s.Top != "40" || !strings.Contains(s.Errors, " 18.0L") || !strings.HasPrefix(s.Requests, "M4.0 36L4.0 0.0") {
		t.Errorf("%+v", s)
	}
	if short := sparkOf(samples[:2]); short.Requests != "" {
		t.Errorf("a line from one step: %+v", short)
	}
}

func TestShortImage(t *testing.T) {
	for image, want := range map[string]string{
		"us-docker.pkg.dev/p/apps/backend@sha256:0123456789abcdef": "backend @ 0123456",
		"us-docker.pkg.dev/p/apps/backend:before":                  "backend:before",
		"": "",
	} {
		if got := shortImage(image); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

func TestPermalinkTS(t *testing.T) {
	for message, want := range map[string]string{"p1795348800000001": "1795348800.000001", "p12": "", "": ""} {
		if got := permalinkTS(message); got != want {
			t.Errorf("%s: %s, want %s", message, got, want)
		}
	}
}

func TestDay(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for want, ago := range map[string]time.Duration{"Today": time.Hour, "Yesterday": 10 * time.Hour, "Friday, 20 November": 48 * time.Hour} {
		if got := day(now.Add(-ago), now); got != want {
			t.Errorf("%v ago is %s, want %s", ago, got, want)
		}
	}
}
