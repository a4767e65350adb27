package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"slipway/incident"
	"slipway/plan"
	"slipway/sandbox/fakepager"
	"slipway/sandbox/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	routingKey = "0123456789abcdef0123456789ABCDEF"
	secret     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// bench is a network with PagerDuty and a webhook's receiver on it, in a bubble.
type bench struct {
	*testing.T
	network  *memnet.Network
	pager    *fakepager.Server
	notifier *Notifier
	log      bytes.Buffer
	env      map[string]string
}

func onBench(t *testing.T, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{
			T: t, network: memnet.New(), pager: fakepager.New(fakepager.Config{RoutingKeys: []string{routingKey}, Secret: secret}),
			env: map[string]string{"PAGERDUTY_KEY": routingKey + "\n", "WEBHOOK_SECRET": secret},
		}
		transport := &http.Transport{DialContext: b.network.Dial}
		t.Cleanup(transport.CloseIdleConnections)
		b.notifier = New(Config{
			HTTP:   &http.Client{Transport: transport},
			Getenv: func(name string) string { return b.env[name] },
			Log:    slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		b.serve("pager.test:80", b.pager.Handler())
		test(b)
	})
}

func (b *bench) serve(address string, handler http.Handler) {
	b.Helper()
	l, err := b.network.Listen(address)
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	b.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
}

func toPager() plan.Notify {
	return plan.Notify{PagerDuty: &plan.PagerDuty{RoutingKey: plan.Value{Env: "PAGERDUTY_KEY"}, URL: "http://pager.test" + fakepager.EventsPath}}
}

func toHook(address string) plan.Notify {
	return plan.Notify{Webhook: &plan.Webhook{URL: address, Secret: &plan.Value{Env: "WEBHOOK_SECRET"}}}
}

func hookAddress() string { return "http://pager.test" + fakepager.WebhookPath }

// notice is one of a status, at a second of its case.
func notice(s incident.Status, second int64) incident.Notice {
	return incident.Notice{
		ID: fmt.Sprintf("abc123/%s/%d", s, second), Key: "abc123", Status: s, At: time.Unix(second, 0),
		Summary: "backend on staging: 72% errors since 14:02 UTC (limit 5%)", Source: "staging/backend", Class: "error_rate", Group: "staging",
		Details:  []string{"ModuleNotFoundError: No module named 'auth_service' — 1204 times since 14:02, new in backend-00042"},
		Revision: "backend-00042", Link: "https://team.slack.com/archives/C1/p1",
	}
}

func (b *bench) tell(to plan.Notify, s incident.Status, second int64) {
	b.Helper()
	if err := b.notifier.Notify(b.Context(), to, notice(s, second)); err != nil {
		b.Fatal(err)
	}
}

// fails tries to tell and returns why it failed, as the watch finds it.
func (b *bench) fails(ctx context.Context, to plan.Notify) incident.Undelivered {
	b.Helper()
	err := b.notifier.Notify(ctx, to, notice(incident.Triggered, 1))
	failure, ok := errors.AsType[incident.Undelivered](err)
	if !ok {
		b.Fatalf("%v is no incident.Undelivered", err)
	}
	return failure
}

func TestWhatPassesAndWhatDoesNot(t *testing.T) {
	at := func(hour, minute int) string { // a bubble begins at midnight
		return time.Date(2000, 1, 1, hour, minute, 0, 0, time.UTC).Format(http.TimeFormat)
	}
	tests := []struct {
		status     int
		retryAfter string
		permanent  bool
		after      time.Duration
	}{
		{http.StatusMovedPermanently, "", true, 0},
		{http.StatusTemporaryRedirect, "", true, 0},
		{http.StatusBadRequest, "", true, 0},
		{http.StatusUnauthorized, "", true, 0},
		{http.StatusForbidden, "60", true, 0},
		{http.StatusNotFound, "", true, 0},
		{http.StatusRequestTimeout, "", false, 0},
		{http.StatusGone, "", true, 0},
		{http.StatusRequestEntityTooLarge, "", true, 0},
		{http.StatusTooEarly, "", false, 0},
		{http.StatusTooManyRequests, "", false, 0},
		{http.StatusTooManyRequests, "120", false, 2 * time.Minute},
		{http.StatusTooManyRequests, at(0, 5), false, 5 * time.Minute},
		{http.StatusTooManyRequests, at(-1, 0), false, 0},
		{http.StatusTooManyRequests, at(2, 0), false, time.Hour},
		{http.StatusTooManyRequests, "999999999999", false, time.Hour},
		{http.StatusTooManyRequests, "-18446744073", false, 0},
		{http.StatusTooManyRequests, "soon", false, 0},
		{http.StatusInternalServerError, "", false, 0},
		{http.StatusBadGateway, "", false, 0},
		{http.StatusServiceUnavailable, "5", false, 5 * time.Second},
		{599, "", false, 0},
	}
	for _, tt := range tests {
		onBench(t, func(b *bench) {
			calls := 0
			b.serve("hooks.test:80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.Header().Set("Location", "http://hooks.test/elsewhere")
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.WriteHeader(tt.status)
			}))
			to := toHook("http://hooks.test/")
			f := b.fails(b.Context(), to)
			if f.Permanent() != tt.permanent || f.RetryAfter() != tt.after || calls != 1 {
				t.Errorf("%d, Retry-After %q, %d calls: permanent %v, after %v: %v", tt.status, tt.retryAfter, calls, f.Permanent(), f.RetryAfter(), f)
			}
			if want := fmt.Sprintf("%s answered %d", incident.Name(to), tt.status); !strings.HasPrefix(f.Error(), want) {
				t.Errorf("%q, want %q", f, want)
			}
		})
	}
}

func TestNoAnswer(t *testing.T) {
	tests := []struct {
		name   string
		server http.HandlerFunc
		within time.Duration // of the caller's context
		took   time.Duration
		says   string
		cause  error
	}{
		{"silent", silent, time.Minute, tryTime, "no answer: nothing came in time", context.DeadlineExceeded},
		{"the caller has less time", silent, time.Second, time.Second, "no answer: nothing came in time", context.DeadlineExceeded},
		{"breaks off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, time.Minute, 0, "no answer: EOF", nil},
		{"drips", drip(http.StatusServiceUnavailable), time.Minute, tryTime, "answered 503 Service Unavailable: wait wait wait", nil},
	}
	for _, tt := range tests {
		onBench(t, func(b *bench) {
			b.serve("hooks.test:80", tt.server)
			ctx, cancel := context.WithTimeout(b.Context(), tt.within)
			defer cancel()
			began := time.Now()
			f := b.fails(ctx, toHook("http://hooks.test/"))
			if took := time.Since(began); took != tt.took {
				t.Errorf("%s: took %v, want %v", tt.name, took, tt.took)
			}
			if f.Permanent() || !strings.Contains(f.Error(), tt.says) || tt.cause != nil && !errors.Is(f, tt.cause) {
				t.Errorf("%s: permanent %v: %v", tt.name, f.Permanent(), f)
			}
		})
	}
}

// silent answers nothing until the client has gone, which a server notices once it has read the request.
func silent(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// drip never ends its answer.
func drip(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "wait ")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// Whoever says yes and goes on talking is not listened to.
func TestAYesIsEnough(t *testing.T) {
	onBench(t, func(b *bench) {
		b.serve("hooks.test:80", drip(http.StatusOK))
		began := time.Now()
		if err := b.notifier.Notify(b.Context(), toHook("http://hooks.test/"), notice(incident.Triggered, 1)); err != nil || time.Since(began) != 0 {
			b.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestBrokenOff(t *testing.T) {
	onBench(t, func(b *bench) {
		ctx, cancel := context.WithCancel(b.Context())
		b.serve("hooks.test:80", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			silent(nil, r)
		}))
		if f := b.fails(ctx, toHook("http://hooks.test/")); f.Permanent() || !errors.Is(f, context.Canceled) {
			b.Errorf("permanent %v: %v", f.Permanent(), f)
		}
	})
}

func TestNobodyThere(t *testing.T) {
	onBench(t, func(b *bench) {
		to := toHook("http://nobody.test/")
		f := b.fails(b.Context(), to)
		if want := incident.Name(to) + ": no answer: dial tcp nobody.test:80: connection refused"; f.Permanent() || f.Error() != want {
			b.Errorf("permanent %v: %v, want %s", f.Permanent(), f, want)
		}
	})
}

// What only people can change is found before any request, by Check too.
func TestWhatIsSetWrong(t *testing.T) {
	missing := plan.Notify{PagerDuty: &plan.PagerDuty{RoutingKey: plan.Value{Env: "NO_KEY"}}}
	unsigned := plan.Notify{Webhook: &plan.Webhook{URL: hookAddress(), Secret: &plan.Value{Env: "NO_SECRET"}}}
	secretIs := func(literal string) plan.Notify {
		return plan.Notify{Webhook: &plan.Webhook{URL: hookAddress(), Secret: &plan.Value{Literal: literal}}}
	}
	tests := []struct {
		to   plan.Notify
		says string
	}{
		{plan.Notify{}, "nobody: deploy.yaml names neither pagerduty nor a webhook"},
		{missing, "pagerduty NO_KEY: NO_KEY is not set in Slipway's environment"},
		{plan.Notify{PagerDuty: &plan.PagerDuty{}}, "it has no routing key"},
		{plan.Notify{PagerDuty: &plan.PagerDuty{RoutingKey: plan.Value{Literal: routingKey}, URL: "events"}}, "its URL is malformed"},
		{unsigned, "NO_SECRET is not set in Slipway's environment"},
		{secretIs(""), "its secret is empty"},
		{secretIs("whsec_" + routingKey + "!"), "after whsec_ its secret has to be base64"},
		{secretIs(secret + " whsec_"), "after whsec_ its secret has to be base64"},
		{toHook(""), "its URL is malformed"},
		{toHook("ftp://hooks.test/" + routingKey), "its URL is malformed"},
		{toHook("http://hooks.test/%zz" + routingKey), "its URL is malformed"},
		{toHook("http:///" + routingKey), "its URL is malformed"},
		{toHook("http://169.254.169.254/" + routingKey), "its host gives out Slipway's own credentials"},
		{toHook("http://metadata.google.internal./" + routingKey), "its host gives out Slipway's own credentials"},
	}
	for _, tt := range tests {
		onBench(t, func(b *bench) {
			f := b.fails(b.Context(), tt.to)
			if !f.Permanent() || !strings.Contains(f.Error(), tt.says) || strings.Contains(f.Error(), routingKey) {
				t.Errorf("permanent %v: %v, want %q", f.Permanent(), f, tt.says)
			}
			if err := b.notifier.Check(tt.to); err == nil || err.Error() != f.Error() {
				t.Errorf("Check says %v, Notify %v", err, f)
			}
		})
	}
	onBench(t, func(b *bench) {
		if err := errors.Join(b.notifier.Check(toPager()), b.notifier.Check(toHook(hookAddress()))); err != nil {
			t.Error(err)
		}
	})
}
