package probe

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"slipway/plan"
	"slipway/rollout"
)

const detailRunes = 200 // of an answer that are shown

// values looks up ${…}, and remembers what must not be shown.
type values struct {
	services func(name string) (string, bool)
	captured map[string]string
	secrets  []string
}

func newValues(t rollout.Task) *values {
	return &values{services: rollout.Vars(t.Services), captured: map[string]string{}}
}

// expand fills in the ${…} of text. What earlier answers gave is passed through escape, because it
// comes from outside and may not break out of where it is put.
func (v *values) expand(text string, escape func(string) string) (string, error) {
	return plan.Expand(text, func(name string) (string, bool) {
		if value, ok := v.captured[name]; ok {
			return escape(value), true
		}
		return v.services(name)
	})
}

func asIs(s string) string { return s }

// value resolves a literal or the name of an environment variable.
func (v *values) value(from plan.Value, getenv func(string) string) (string, error) {
	if from.Env == "" {
		return v.expand(from.Literal, asIs)
	}
	return v.variable(from.Env, getenv)
}

// variable reads one of Slipway's environment variables. What is in it is never shown.
func (v *values) variable(name string, getenv func(string) string) (string, error) {
	value := getenv(name)
	if value == "" {
		return "", fmt.Errorf("%s is not set in Slipway's environment", name)
	}
	if len(value) >= shortest {
		v.secrets = append(v.secrets, value)
	}
	return value, nil
}

// shortest is the length from which a variable's content is hidden: "on" is no secret, and hiding
// each "on" would leave nothing to read.
const shortest = 4

// shortSecret is how long a captured value must be to count as one: a token is, an ID is not.
const shortSecret = 16

func (v *values) capture(name, value string) {
	v.captured[name] = value
	if len(value) >= shortSecret {
		v.secrets = append(v.secrets, value)
	}
}

// safe is the beginning of an answer, without the secrets in it. Of a longer one the last line is
// shown too: that is where a traceback says what happened.
func (v *values) safe(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(v.hide(text), "\uFFFD"))
	first := head(text)
	if last := text[strings.LastIndexByte(text, '\n')+1:]; first != text && last != text {
		return first + "\n" + head(last)
	}
	return first
}

// hide takes out what must not be shown.
func (v *values) hide(text string) string {
	longestFirst := func(a, b string) int { return len(b) - len(a) } // one may be a part of another
	for _, secret := range slices.SortedFunc(slices.Values(v.secrets), longestFirst) {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return secretFields().ReplaceAllString(text, `${1}"`+hidden+`"`)
}

const hidden = "•••"

// secretFields finds what JSON answers commonly hold that nobody should read in a channel.
func secretFields() *regexp.Regexp {
	return regexp.MustCompile(`(?i)("[^"]*(?:token|secret|password|cookie|api_?key)[^"]*"\s*:\s*)"[^"]+"`)
}

func head(text string) string {
	if utf8.RuneCountInString(text) <= detailRunes {
		return text
	}
	return string([]rune(text)[:detailRunes]) + "…"
}

// failed is the outcome of a probe that did not get what it should have.
func failed(label, note, detail string) rollout.Outcome {
	return rollout.Outcome{State: rollout.FailedState, Note: note, Detail: detail, Label: label}
}

// sentence makes an error one for people.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// lasted is a duration as people read it.
func lasted(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return plan.Duration(d.Round(time.Second)).String()
}
