package notify

// What servers answer, and what of it is shown.

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/synctest"

	"slipway/incident"
	"slipway/plan"
)

// Whatever a server repeats of what it was sent, or has guessed, is not shown.
func TestSecretsStayOutOfErrorsAndLogs(t *testing.T) {
	const address = "http://us3rname:passw0rd@hooks.test/services/T0KEN%20PATH?sig=T0KEN%2FQUERY&v=2#fr4gment"
	inURL := []string{"us3rname", "passw0rd", "T0KEN%20PATH", "T0KEN PATH", "T0KEN%2FQUERY", "T0KEN/QUERY", "fr4gment"}
	tests := []struct {
		to      plan.Notify
		private []string
	}{
		{toHook(address), append(inURL, secret)},
		{plan.Notify{PagerDuty: &plan.PagerDuty{RoutingKey: plan.Value{Literal: routingKey}, URL: address}}, append(inURL, routingKey)},
	}
	for _, tt := range tests {
		servers := []http.HandlerFunc{
			silent, drip(http.StatusServiceUnavailable), dump(t),
			func(w http.ResponseWriter, _ *http.Request) {
				http.Redirect(w, &http.Request{}, address, http.StatusFound)
			},
		}
		for _, repeated := range append(tt.private, address) {
			servers = append(servers, says(http.StatusBadRequest, repeated), says(http.StatusInternalServerError, repeated), noHTTP(t, repeated))
		}
		for n, server := range servers {
			onBench(t, func(b *bench) {
				b.serve("hooks.test:80", server)
				shown := b.fails(b.Context(), tt.to).Error() + b.log.String()
				for _, private := range tt.private {
					if strings.Contains(shown, private) {
						t.Errorf("%s, server %d: %q is shown: %s", incident.Name(tt.to), n, private, shown)
					}
				}
			})
		}
	}
}

func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "no: %s, never", text)
	}
}

// dump repeats a whole request.
func dump(t *testing.T) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		request, err := httputil.DumpRequest(r, true)
		if err != nil {
			t.Error(err)
		}
		says(http.StatusBadRequest, string(request))(w, r)
	}
}

// noHTTP answers what the client quotes, for it is not an answer.
func noHTTP(t *testing.T, text string) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(conn, "%s is no HTTP\r\n\r\n", text)
		_ = conn.Close()
	}
}

func TestWhatLooksSecretIsMasked(t *testing.T) {
	onBench(t, func(b *bench) {
		b.serve("hooks.test:80", says(http.StatusBadRequest, "password=hunter22 of ann@example.com"))
		if text := b.fails(b.Context(), toHook("http://hooks.test/")).Error(); !strings.Contains(text, "no: password=<secret> of <email>, never") {
			t.Error(text)
		}
	})
}

func TestTheLogSaysWhoWasToldWithoutSecrets(t *testing.T) {
	onBench(t, func(b *bench) {
		b.tell(toPager(), incident.Triggered, 1)
		b.tell(toHook(hookAddress()+"?sig=T0KEN"), incident.Triggered, 1)
		shown := b.log.String()
		for _, want := range []string{"pagerduty PAGERDUTY_KEY", "webhook pager.test/", "incident=abc123", "status=triggered"} {
			if !strings.Contains(shown, want) {
				t.Errorf("%q is missing: %s", want, shown)
			}
		}
		if strings.Contains(shown, "T0KEN") || strings.Contains(shown, routingKey) {
			t.Error(shown)
		}
	})
}

func TestHostileAnswers(t *testing.T) {
	tests := []struct{ name, answer, says string }{
		{"control characters", "no\x00\x1b[31m\r\n\u202e\u2028 way\xff", "answered 400 Bad Request: no [31m way\uFFFD"},
		{"nothing", " \r\n\t ", "answered 400 Bad Request"},
	}
	for _, tt := range tests {
		onBench(t, func(b *bench) {
			b.serve("hooks.test:80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, tt.answer)
			}))
			text := b.fails(b.Context(), toHook("http://hooks.test/")).Error()
			if _, says, _ := strings.Cut(text, " answered"); !strings.HasPrefix("answered"+says, tt.says) || len(text) > 300 {
				t.Errorf("%s: %d bytes: %q, want %q", tt.name, len(text), text, tt.says)
			}
		})
	}
}

// Of an answer without an end no more is read than may be of use.
func TestLongAnswer(t *testing.T) {
	onBench(t, func(b *bench) {
		var taken int
		b.serve("hooks.test:80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			taken, _ = io.WriteString(w, strings.Repeat("no way. ", 1<<20))
		}))
		text := b.fails(b.Context(), toHook("http://hooks.test/")).Error()
		synctest.Wait()
		if taken > 1<<20 || len(text) > 300 || !strings.HasSuffix(text, "…") {
			t.Errorf("%d bytes taken: %s", taken, text)
		}
	})
}
