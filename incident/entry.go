package incident

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Entry is what is used of an entry of Cloud Logging
// (https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry).
type Entry struct {
	ID       string    // insertId: of two entries with the same one and the same At, one is a copy
	At       time.Time // of a request its start
	Received time.Time // by Cloud Logging; zero: not known
	Severity string    // "": DEFAULT, which is what plain lines have
	Log      string    // without its project: run.googleapis.com/stderr

	Service, Revision, Location string // of Cloud Run; "" for what is not of a service

	Request *Request // nil in all logs but that of the requests
	Text    string   // the message, plain or structured
}

const longestLatency = 1e6 * time.Second

var errNoID = errors.New("it has no insertId")

// Check says what keeps an entry from being counted; nil: nothing does. Times of another age are none, or
// cannot be counted in nanoseconds.
func (e *Entry) Check() error {
	switch {
	case e.ID == "":
		return errNoID
	case !ofThisAge(e.At):
		return fmt.Errorf("its timestamp %s is not of this age", e.At.Format(time.RFC3339))
	case !e.Received.IsZero() && !ofThisAge(e.Received):
		return fmt.Errorf("its receiveTimestamp %s is not of this age", e.Received.Format(time.RFC3339))
	case e.Request != nil && (e.Request.Latency < 0 || e.Request.Latency >= longestLatency):
		return fmt.Errorf("its latency %s is none", e.Request.Latency)
	}
	return nil
}

func ofThisAge(at time.Time) bool { return at.Year() > 1970 && at.Year() <= 2200 }

// TextOf is an entry's message: the plain one, or else that of a structured payload, of which field returns the
// text in a field, "" if there is none. A stack trace has a field of its own there
// (https://cloud.google.com/error-reporting/docs/formatting-error-messages).
func TextOf(plain string, field func(name string) string) string {
	if plain != "" {
		return plain
	}
	for _, name := range []string{"stack_trace", "exception", "message"} {
		if text := field(name); text != "" {
			return text
		}
	}
	return ""
}

// LogOf is the log in projects/P/logs/run.googleapis.com%2Frequests.
func LogOf(name string) string {
	_, log, found := strings.Cut(name, "/logs/")
	if !found {
		return name
	}
	if plain, err := url.PathUnescape(log); err == nil {
		return plain
	}
	return log
}

// Request is an HTTP request that was answered.
type Request struct {
	Status    int
	Latency   time.Duration
	UserAgent string
	URL       string
}

// probeAgent begins the User-Agent of the requests that Slipway makes itself: they may be
// meant to fail, and say nothing about how users fare.
const probeAgent = "Slipway-Probe"

// Failed reports whether the request counts as an error.
func (r *Request) Failed() bool { return r.Status >= 500 }

func (r *Request) isProbe() bool { return strings.HasPrefix(r.UserAgent, probeAgent) }

// received is when Cloud Logging had the entry, as far as that is known.
func (e *Entry) received() time.Time {
	if e.Received.IsZero() {
		return e.At
	}
	return e.Received
}

// systemLog is where Cloud Run itself writes about a revision's containers.
const systemLog = "run.googleapis.com/varlog/system"

// isError reports whether the text is an error's. Plain lines on stderr have no
// severity, also where a program ends with a traceback: they are looked into.
func (e *Entry) isError() bool {
	switch e.Severity {
	case "ERROR", "CRITICAL", "ALERT", "EMERGENCY":
		return e.Text != ""
	case "", "DEFAULT":
		return raised(e.Text)
	}
	return false
}

// crashed reports whether Cloud Run says that a container ended with an error, or did
// not begin to listen: "Container called exit(1).", "Default STARTUP TCP probe failed 1
// time consecutively for container …", "The user-provided container failed to start …"
// (https://cloud.google.com/run/docs/troubleshooting).
func (e *Entry) crashed() bool {
	if e.Log != systemLog {
		return false
	}
	text := e.Text
	if _, status, ok := strings.Cut(text, "Container called exit("); ok {
		return !strings.HasPrefix(status, "0)")
	}
	return strings.Contains(text, "STARTUP") && strings.Contains(text, "probe failed") ||
		strings.Contains(text, "container failed to start") || strings.Contains(text, "HEALTH_CHECK_CONTAINER_ERROR")
}
