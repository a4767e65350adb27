package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"slipway/incident"
)

const (
	mostAnswer = 64 << 10  // bytes of an answer that are read
	mostQuoted = 200       // characters of it that are shown
	longestGap = time.Hour // that a server may ask for
)

// post makes the request. The error is a *Failure.
func (n *Notifier) post(ctx context.Context, r receiver, body []byte, header http.Header) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url.String(), bytes.NewReader(body))
	if err != nil {
		return r.refuse("its URL is malformed; correct it in deploy.yaml")
	}
	request.Header = header
	request.Header.Set("User-Agent", "Slipway")
	response, err := n.http.Do(request)
	if err != nil {
		return r.unreachable(err)
	}
	defer func() {
		if err := response.Body.Close(); err != nil {
			n.log.DebugContext(ctx, "closing an answer", "to", r.name, "err", r.quote(err.Error()))
		}
	}()
	if r.accepts(response.StatusCode) {
		return nil
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		n.log.DebugContext(ctx, "reading an answer", "to", r.name, "err", r.quote(err.Error())) // its status says enough
	}
	return r.answered(response.StatusCode, response.Header.Get("Retry-After"), string(answer))
}

// Failure is why somebody was not told. It implements incident.Undelivered.
type Failure struct {
	text      string
	permanent bool
	after     time.Duration
	cause     error
}

// Error is fit to be shown to people.
func (f *Failure) Error() string { return f.text }

// Permanent reports whether it stays so until people change something: deploy.yaml, a variable, the receiver.
func (f *Failure) Permanent() bool { return f.permanent }

// RetryAfter is how long the receiver wants to be left alone, an hour at most; 0: it did not say.
func (f *Failure) RetryAfter() time.Duration { return f.after }

// Unwrap returns context.DeadlineExceeded or context.Canceled if that was why. Another cause is not passed on,
// for its text may hold what must not be shown.
func (f *Failure) Unwrap() error { return f.cause }

func (r receiver) refuse(why string) error {
	return &Failure{text: r.name + ": " + why, permanent: true}
}

// unreachable is a request without an answer, or with one that broke off.
func (r receiver) unreachable(err error) error {
	f := &Failure{}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL
	}
	why := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		f.cause, why = context.DeadlineExceeded, "nothing came in time"
	case errors.Is(err, context.Canceled):
		f.cause, why = context.Canceled, "it was broken off"
	}
	f.text = r.name + ": no answer: " + r.quote(why)
	return f
}

// answered is an answer that is not a yes.
func (r receiver) answered(status int, retryAfter, answer string) error {
	f := &Failure{permanent: !passing(status)}
	f.text = fmt.Sprintf("%s answered %s", r.name, strings.TrimSpace(strconv.Itoa(status)+" "+http.StatusText(status)))
	if status >= 300 && status <= 399 {
		f.text += ", and redirects are not followed; write the URL that is meant in deploy.yaml"
		return f
	}
	if !f.permanent {
		f.after = wait(retryAfter, time.Now())
	}
	if quoted := r.quote(answer); quoted != "" {
		f.text += ": " + quoted
	}
	return f
}

// passing reports whether a status may be another one later. PagerDuty asks to repeat after 429 and 5xx, and not
// after 400.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// wait reads a Retry-After: seconds, or a time (RFC 9110, section 10.2.3).
func wait(retryAfter string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseInt(retryAfter, 10, 64); err == nil {
		d = time.Duration(min(max(seconds, 0), int64(longestGap/time.Second))) * time.Second
	} else if at, err := http.ParseTime(retryAfter); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), longestGap)
}

// quote is the beginning of what a server or a library said, on one line and without secrets.
func (r receiver) quote(text string) string {
	text = r.hide(strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || !unicode.IsPrint(c) }), " ")
	return shorten(incident.Redact(shorten(text, 10*mostQuoted)), mostQuoted)
}

const hidden = "•••"

// hide takes out the receiver's secrets, the longest first, for one may be a part of another.
func (r receiver) hide(text string) string {
	for _, secret := range slices.SortedFunc(slices.Values(r.secrets), func(a, b string) int { return len(b) - len(a) }) {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return text
}

// shortest is the length from which a part of a URL is hidden: "v2" is no secret, and hiding each would leave
// nothing to read.
const shortest = 6

// private are the parts of a URL that may be secret: the user and password, and what is in its path and query, as
// it is written and as it is meant.
func private(u *url.URL) []string {
	password, _ := u.User.Password()
	parts := []string{u.User.Username(), password, u.RawQuery, u.Fragment}
	parts = append(parts, strings.Split(u.Path, "/")...)
	parts = append(parts, strings.Split(u.EscapedPath(), "/")...)
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, raw, _ := strings.Cut(pair, "=")
		parts = append(parts, raw)
	}
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	return slices.DeleteFunc(parts, func(part string) bool { return len(part) < shortest })
}
