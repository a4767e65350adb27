package blockkit

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// lastDate is the end of year 9999: HTML has no later date.
const lastDate = 253402300799

func utc(unix int64) time.Time { return time.Unix(unix, 0).UTC() }

var (
	dateToken    = regexp.MustCompile(`\{[a-z_]+\}`)
	startsPretty = regexp.MustCompile(`^\{[a-z_]+_pretty\}`) // "today" starts the sentence
)

// dateText is a date as its format says
// (https://docs.slack.dev/messaging/formatting-message-text#date-formatting), in
// UTC and saying so; its fallback, and false, if it cannot be shown.
func (r Renderer) dateText(n node) (string, bool) {
	if n.unix < 0 || n.unix > lastDate {
		return n.text, false
	}
	at, known := utc(n.unix), true
	shown := dateToken.ReplaceAllStringFunc(n.format, func(token string) string {
		text, ok := r.dateToken(strings.Trim(token, "{}"), at)
		known = known && ok
		return text
	})
	if !known || strings.TrimSpace(shown) == "" {
		return n.text, false
	}
	if first := []rune(shown); startsPretty.MatchString(n.format) {
		return strings.ToUpper(string(first[0])) + string(first[1:]), true
	}
	return shown, true
}

func (r Renderer) dateToken(token string, at time.Time) (string, bool) {
	if base, pretty := strings.CutSuffix(token, "_pretty"); pretty {
		if day := nearDay(at, r.now().UTC()); day != "" {
			return day, true
		}
		if base == "day_divider" {
			base = "date_long"
		}
		token = base
	}
	switch token {
	case "ago":
		return ago(r.now().Sub(at)), true
	case "time":
		return at.Format("15:04 MST"), true
	case "time_secs":
		return at.Format("15:04:05 MST"), true
	case "date_num":
		return at.Format("2006-01-02"), true
	case "date_slash":
		return at.Format("02/01/2006"), true
	case "date_short":
		return at.Format("Jan 2, 2006"), true
	case "date_long_full":
		return at.Format("January 2, 2006"), true
	case "date":
		return at.Format("January ") + ordinal(at.Day()) + at.Format(", 2006"), true
	case "date_long":
		return at.Format("Monday, January ") + ordinal(at.Day()) + at.Format(", 2006"), true
	}
	return "", false
}

func ordinal(day int) string {
	suffix := "th"
	if day/10 != 1 {
		switch day % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(day, suffix)
}

func nearDay(at, now time.Time) string {
	const day = "2006-01-02"
	for i, word := range []string{"yesterday", "today", "tomorrow"} {
		if now.AddDate(0, 0, i-1).Format(day) == at.Format(day) {
			return word
		}
	}
	return ""
}

// ago is how long ago something was, in its largest unit.
func ago(passed time.Duration) string {
	format := "%s ago"
	if passed < 0 {
		passed, format = -passed, "in %s"
	}
	const day = 24 * time.Hour
	switch {
	case passed < time.Minute:
		return "just now"
	case passed < time.Hour:
		return fmt.Sprintf(format, count(passed/time.Minute, "minute"))
	case passed < day:
		return fmt.Sprintf(format, count(passed/time.Hour, "hour"))
	case passed < 30*day:
		return fmt.Sprintf(format, count(passed/day, "day"))
	case passed < 365*day:
		return fmt.Sprintf(format, count(passed/(30*day), "month"))
	}
	return fmt.Sprintf(format, count(passed/(365*day), "year"))
}

func count(n time.Duration, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
