package notify

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/sandbox/fakepager"
)

func (b *bench) alerts(want ...fakepager.Alert) {
	b.Helper()
	got := b.pager.Alerts()
	if !slices.EqualFunc(got, want, func(a, b fakepager.Alert) bool {
		return a.Key == b.Key && a.Status == b.Status && a.Triggers == b.Triggers && a.Severity == b.Severity
	}) {
		b.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestOneIncidentIsOneAlert(t *testing.T) {
	onBench(t, func(b *bench) {
		alert := fakepager.Alert{Key: "slipway-abc123", Status: "triggered", Triggers: 1, Severity: "critical"}
		b.tell(toPager(), incident.Triggered, 1)
		b.alerts(alert)
		b.tell(toPager(), incident.Triggered, 1) // a repetition
		alert.Triggers = 2
		b.alerts(alert)
		b.tell(toPager(), incident.Taken, 2)
		alert.Status = "acknowledged"
		b.alerts(alert)
		b.tell(toPager(), incident.Recovered, 3)
		alert.Status = "resolved"
		b.alerts(alert)
		b.tell(toPager(), incident.Recovered, 3)
		b.alerts(alert)
		b.tell(toPager(), incident.Triggered, 4) // it is back
		b.alerts(alert, fakepager.Alert{Key: "slipway-abc123", Status: "triggered", Triggers: 1, Severity: "critical"})
	})
}

// The event arrived, the answer did not: the next try changes nothing.
func TestAnEventThatArrivedIsSentAgain(t *testing.T) {
	onBench(t, func(b *bench) {
		b.pager.Fail(fakepager.Fault{Count: 1, Status: http.StatusBadGateway, RetryAfter: 7 * time.Second, Applied: true})
		if f := b.fails(b.Context(), toPager()); f.Permanent() || f.RetryAfter() != 7*time.Second {
			b.Errorf("permanent %v, after %v: %v", f.Permanent(), f.RetryAfter(), f)
		}
		b.tell(toPager(), incident.Triggered, 1)
		b.alerts(fakepager.Alert{Key: "slipway-abc123", Status: "triggered", Triggers: 2, Severity: "critical"})
	})
}

func TestPagerDutySaysWhatIsWrong(t *testing.T) {
	onBench(t, func(b *bench) {
		b.env["PAGERDUTY_KEY"] = "another key"
		f := b.fails(b.Context(), toPager())
		want := `pagerduty PAGERDUTY_KEY answered 400 Bad Request: {"errors":["'routing_key' is invalid: \"•••\""],` +
			`"message":"Event object is invalid","status":"invalid event"}`
		if !f.Permanent() || f.Error() != want {
			b.Errorf("permanent %v: %v, want %s", f.Permanent(), f, want)
		}
	})
}

// Something else than PagerDuty answers there, for example the page of a proxy.
func TestOnly202IsPagerDutysYes(t *testing.T) {
	onBench(t, func(b *bench) {
		b.pager.Fail(fakepager.Fault{Count: 1, Status: http.StatusOK})
		if f := b.fails(b.Context(), toPager()); !f.Permanent() || !strings.Contains(f.Error(), "answered 200 OK") {
			b.Errorf("permanent %v: %v", f.Permanent(), f)
		}
	})
}

func TestLimitsOfPagerDuty(t *testing.T) {
	onBench(t, func(b *bench) {
		long := notice(incident.Triggered, 1)
		long.Key, long.Summary = strings.Repeat("k", 300), strings.Repeat("ü", 2000)
		for range 2 {
			if err := b.notifier.Notify(b.Context(), toPager(), long); err != nil {
				b.Fatal(err)
			}
		}
		if got := b.pager.Alerts(); len(got) != 1 || got[0].Summary != strings.Repeat("ü", 1023)+"…" {
			b.Errorf("%+v", got)
		}
	})
}

func TestSeverity(t *testing.T) {
	for kind, want := range map[incident.Kind]string{
		incident.NoReadyRevision: "critical", incident.ErrorRate: "critical", incident.CrashOnStart: "critical",
		incident.SlowLeak: "error", incident.Latency: "error", incident.LogMatches: "error", incident.Pinned: "warning",
	} {
		if got := severity(kind); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

// transport answers every request with a status, and keeps the last.
type transport struct {
	status int
	url    string
	header http.Header
	body   map[string]any
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.url, t.header, t.body = r.URL.String(), r.Header, nil
	return &http.Response{StatusCode: t.status, Body: http.NoBody}, json.NewDecoder(r.Body).Decode(&t.body)
}

func TestPagerDutysOwnAddress(t *testing.T) {
	to := plan.Notify{PagerDuty: &plan.PagerDuty{RoutingKey: plan.Value{Literal: routingKey}}}
	for address, want := range map[string]string{
		"": "https://events.pagerduty.com/v2/enqueue", "https://events.eu.pagerduty.com/v2/enqueue": "https://events.eu.pagerduty.com/v2/enqueue",
	} {
		to.PagerDuty.URL = address
		sent := &transport{status: http.StatusAccepted}
		if err := New(Config{HTTP: &http.Client{Transport: sent}}).Notify(t.Context(), to, notice(incident.Recovered, 1)); err != nil {
			t.Fatal(err)
		}
		if sent.url != want || len(sent.body) != 3 || sent.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s of %s to %s, want %s", sent.body, sent.header.Get("Content-Type"), sent.url, want)
		}
	}
}
