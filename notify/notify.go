// Package notify tells others than the channel of incidents: PagerDuty, by its Events API v2, and webhooks, which
// get signed CloudEvents. One call is one try: whoever calls repeats it, and a *[Failure] says whether that helps.
//
// Routing keys, signing secrets, and all of a webhook's URL but its host stay out of errors and logs, also where
// the answer of a server repeats them.
package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway/incident"
	"slipway/plan"
)

const tryTime = 10 * time.Second // of one request, its answer included

// Config says what notices go out with.
type Config struct {
	HTTP   *http.Client             // nil: http.DefaultClient. Its redirects and cookies are not used
	Getenv func(name string) string // for the keys that deploy.yaml takes from the environment
	Log    *slog.Logger             // nil: nothing is logged
}

// Notifier tells others. It may be used by many at a time.
type Notifier struct {
	http   http.Client
	getenv func(name string) string
	log    *slog.Logger
}

// New returns a Notifier. It holds nothing that would have to be given back.
func New(cfg Config) *Notifier {
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	if cfg.Getenv == nil {
		cfg.Getenv = func(string) string { return "" }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	n := &Notifier{http: *cfg.HTTP, getenv: cfg.Getenv, log: cfg.Log}
	n.http.Jar = nil
	n.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return n
}

// Notify implements incident.Notifier with one request of 10 s at most. The error is a *Failure.
func (n *Notifier) Notify(ctx context.Context, to plan.Notify, notice incident.Notice) error {
	r, err := n.receiver(to)
	if err != nil {
		return err
	}
	body, err := r.body(notice)
	if err != nil {
		return r.refuse("the notice cannot be written: " + err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	if err := n.post(ctx, r, body, r.header(notice, body, time.Now())); err != nil {
		return err
	}
	n.log.DebugContext(ctx, "told of an incident", "to", r.name, "incident", notice.Key, "status", notice.Status)
	return nil
}

// Check finds without a request what Notify would refuse: a variable that is not set, a secret or URL that
// cannot be used. The error is a *Failure.
func (n *Notifier) Check(to plan.Notify) error {
	_, err := n.receiver(to)
	return err
}

// receiver is one that is told.
type receiver struct {
	name    string // incident.Name
	url     *url.URL
	body    func(incident.Notice) ([]byte, error)
	header  func(notice incident.Notice, body []byte, now time.Time) http.Header
	accepts func(status int) bool // whether an answer means that it was told
	secrets []string              // what may not be shown
}

func (n *Notifier) receiver(to plan.Notify) (receiver, error) {
	switch {
	case to.PagerDuty != nil:
		return n.pagerDuty(to)
	case to.Webhook != nil:
		return n.webhook(to)
	}
	r := receiver{name: incident.Name(to)}
	return r, r.refuse("deploy.yaml names neither pagerduty nor a webhook")
}

// at sets where the receiver is.
func (r *receiver) at(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return r.refuse("its URL is malformed; correct it in deploy.yaml")
	case plan.ForbiddenHost(u.Hostname()):
		return r.refuse("its host gives out Slipway's own credentials and is never called; correct it in deploy.yaml")
	}
	r.url = u
	r.secrets = append(r.secrets, private(u)...)
	return nil
}

// value is what a key or secret is.
func (n *Notifier) value(r *receiver, from plan.Value) (string, error) {
	if from.Env == "" {
		return strings.TrimSpace(from.Literal), nil
	}
	value := strings.TrimSpace(n.getenv(from.Env))
	if value == "" {
		return "", r.refuse(fmt.Sprintf("%s is not set in Slipway's environment", from.Env))
	}
	return value, nil
}
