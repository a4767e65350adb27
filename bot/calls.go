package bot

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// gate is the HTTP client of the Web API. It paces apps.connections.open: slack-go dials again at
// once when a connection that was made is closed, so that a server which closes each one, as Slack
// does with "too_many_websockets", would be asked thousands of times a second.
type gate struct {
	next *http.Client

	mu     sync.Mutex
	opened time.Time     // when the last connection may be or was asked for
	pause  time.Duration // until the next one
}

const (
	firstPause = time.Second
	mostPause  = 30 * time.Second
	calm       = 10 * time.Second // a connection that lived so long was a good one
)

// Do implements slack-go's HTTP client.
func (g *gate) Do(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/apps.connections.open") {
		if err := sleep(req.Context(), g.turn(time.Now())); err != nil {
			return nil, err
		}
	}
	return g.next.Do(req)
}

// turn returns how long to wait before the next connection may be asked for, and books it.
func (g *gate) turn(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened.IsZero() || now.Sub(g.opened) > g.pause+calm {
		g.opened, g.pause = now, firstPause
		return 0
	}
	at := g.opened.Add(g.pause)
	if at.Before(now) {
		at = now
	}
	g.opened, g.pause = at, min(2*g.pause, mostPause)
	return at.Sub(now)
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// patiently makes a call of the Web API, and again after a 429 as soon as Slack allows it and while
// ctx lasts. Nothing else is repeated: a call that failed in another way may have been carried out.
func patiently(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	for {
		err := call(ctx)
		limited, ok := errors.AsType[*slack.RateLimitedError](err)
		if !ok {
			return err
		}
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < limited.RetryAfter {
			return err
		}
		if sleep(ctx, max(limited.RetryAfter, time.Second)) != nil {
			return err
		}
	}
}

// codeOf is Slack's error code; "" if the error did not come from Slack's own answer.
func codeOf(err error) string {
	if refused, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return refused.Err
	}
	return ""
}

// retryAfter is how long Slack asks to wait; ok is false if it does not.
func retryAfter(err error) (time.Duration, bool) {
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return max(limited.RetryAfter, time.Second), true
	}
	return time.Second, codeOf(err) == "ratelimited"
}

// mayHaveHappened reports whether a call that failed may have been carried out all the same: the
// answer was lost, or Slack failed in the middle.
func mayHaveHappened(err error) bool {
	if _, limited := retryAfter(err); limited || err == nil {
		return false
	}
	switch codeOf(err) {
	case "", "internal_error", "fatal_error", "request_timeout", "service_unavailable":
		return true
	}
	return false
}
