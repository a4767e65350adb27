// Package probe carries out the steps that are no cloud calls: requests over HTTP and WebSocket to
// what is being rolled out.
//
// Both kinds do their work in Poll, within workTime a call: Start only marks the attempt as begun,
// so that the commit which says so is never late, and a replica that takes over asks again from the
// first request. What they send must therefore bear repeating (plan.Step.Repeatable).
package probe

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"slipway/plan"
	"slipway/rollout"
)

const (
	workTime    = 20 * time.Second // of one Poll: a whole chain, or one WebSocket conversation
	bodyLimit   = 1 << 20          // bytes of an answer that are read
	detailRunes = 200              // of an answer that are shown
)

// Config says what the probes reach out with.
type Config struct {
	HTTP   *http.Client             // nil: http.DefaultClient
	Getenv func(name string) string // for values that deploy.yaml takes from the environment
	Log    *slog.Logger
}

// Actions returns the step kinds http and websocket.
func Actions(cfg Config) map[plan.Kind]rollout.Action {
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := prober{cfg}
	return map[plan.Kind]rollout.Action{
		plan.KindHTTP:      action{p.chain},
		plan.KindWebSocket: action{p.converse},
	}
}

type prober struct{ Config }

// action is a probe as a step kind.
type action struct {
	work func(ctx context.Context, t rollout.Task) (rollout.Outcome, error)
}

// Find never finds anything: a probe leaves nothing behind.
func (a action) Find(context.Context, rollout.Task) (string, bool, error) { return "", false, nil }

// Start returns at once.
func (a action) Start(_ context.Context, t rollout.Task) (string, error) { return t.Key.String(), nil }

// Poll does the work. An answer that is late is a failed probe; only when the caller's own context
// ends is the probe undecided and worth another call.
func (a action) Poll(ctx context.Context, t rollout.Task, _ string) (rollout.Outcome, error) {
	work, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	outcome, err := a.work(work, t)
	if ctx.Err() != nil {
		return rollout.Outcome{}, fmt.Errorf("the probe was broken off: %w", ctx.Err())
	}
	return outcome, err
}

// Cancel has nothing to stop: nothing goes on after Poll.
func (a action) Cancel(context.Context, rollout.Task, string) error { return nil }

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
	if getenv == nil || getenv(from.Env) == "" {
		return "", fmt.Errorf("%s is not set in Slipway's environment", from.Env)
	}
	secret := getenv(from.Env)
	v.secrets = append(v.secrets, secret)
	return secret, nil
}

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
	for _, secret := range v.secrets {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	text = secretFields().ReplaceAllString(text, `${1}"`+hidden+`"`)
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	first := head(text)
	if last := text[strings.LastIndexByte(text, '\n')+1:]; first != text && last != text {
		return first + "\n" + head(last)
	}
	return first
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

// failed is the outcome of a probe that got another answer than it should have.
func failed(label, note, detail string) rollout.Outcome {
	return rollout.Outcome{State: rollout.FailedState, Note: note, Detail: detail, Label: label}
}

// agent is the User-Agent of an attempt's requests; gates do not count them.
func agent(key rollout.Key) string { return fmt.Sprintf("%s/1 (+%s)", rollout.ProbeAgent, key) }

func readBody(body io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(body, bodyLimit))
	return string(data), err
}

// lasted is a duration as people read it.
func lasted(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

var _ rollout.Action = action{}
