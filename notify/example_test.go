package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"slipway/incident"
	"slipway/notify"
	"slipway/plan"
)

// show is a transport that prints what is sent, and answers that it was taken.
type show struct{}

func (show) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, body, "", "  "); err != nil {
		return nil, err
	}
	fmt.Printf("%s %s\n%s\n", r.Method, r.URL, &indented)
	return &http.Response{StatusCode: http.StatusAccepted, Body: http.NoBody}, nil
}

func example() (*notify.Notifier, incident.Notice) {
	at := time.Date(2026, 11, 28, 14, 2, 40, 0, time.UTC)
	return notify.New(notify.Config{HTTP: &http.Client{Transport: show{}}}), incident.Notice{
		ID: "q3v9k1/triggered/1795874560", Key: "q3v9k1", Status: incident.Triggered, At: at,
		Summary: "backend on staging: 72% errors since 14:02 UTC (limit 5%)", Source: "staging/backend",
		Class: "error_rate", Group: "staging", Revision: "netra-backend-staging-00042",
		Details: []string{"ModuleNotFoundError: No module named 'auth_service' — 1204 times since 14:02 UTC, new in netra-backend-staging-00042"},
		Link:    "https://example.slack.com/archives/C042/p1795874562000100",
	}
}

// What a webhook gets.
func ExampleNotifier_webhook() {
	notifier, notice := example()
	to := plan.Notify{Webhook: &plan.Webhook{URL: "https://hooks.example.com/slipway"}}
	fmt.Println(notifier.Notify(context.Background(), to, notice))
	// Output:
	// POST https://hooks.example.com/slipway
	// {
	//   "specversion": "1.0",
	//   "id": "q3v9k1/triggered/1795874560",
	//   "source": "/slipway/staging/backend",
	//   "type": "slipway.incident.triggered",
	//   "subject": "q3v9k1",
	//   "time": "2026-11-28T14:02:40Z",
	//   "datacontenttype": "application/json",
	//   "data": {
	//     "key": "q3v9k1",
	//     "status": "triggered",
	//     "summary": "backend on staging: 72% errors since 14:02 UTC (limit 5%)",
	//     "class": "error_rate",
	//     "environment": "staging",
	//     "service": "backend",
	//     "revision": "netra-backend-staging-00042",
	//     "details": [
	//       "ModuleNotFoundError: No module named 'auth_service' — 1204 times since 14:02 UTC, new in netra-backend-staging-00042"
	//     ],
	//     "link": "https://example.slack.com/archives/C042/p1795874562000100"
	//   }
	// }
	// <nil>
}

// What PagerDuty gets.
func ExampleNotifier_pagerDuty() {
	notifier, notice := example()
	to := plan.Notify{PagerDuty: &plan.PagerDuty{RoutingKey: plan.Value{Literal: "the routing key"}}}
	fmt.Println(notifier.Notify(context.Background(), to, notice))
	// Output:
	// POST https://events.pagerduty.com/v2/enqueue
	// {
	//   "routing_key": "the routing key",
	//   "event_action": "trigger",
	//   "dedup_key": "slipway-q3v9k1",
	//   "payload": {
	//     "summary": "backend on staging: 72% errors since 14:02 UTC (limit 5%)",
	//     "source": "staging/backend",
	//     "severity": "critical",
	//     "timestamp": "2026-11-28T14:02:40Z",
	//     "component": "backend",
	//     "group": "staging",
	//     "class": "error_rate",
	//     "custom_details": {
	//       "incident": "q3v9k1",
	//       "revision": "netra-backend-staging-00042",
	//       "details": [
	//         "ModuleNotFoundError: No module named 'auth_service' — 1204 times since 14:02 UTC, new in netra-backend-staging-00042"
	//       ]
	//     }
	//   },
	//   "links": [
	//     {
	//       "href": "https://example.slack.com/archives/C042/p1795874562000100",
	//       "text": "The message in Slack"
	//     }
	//   ],
	//   "client": "Slipway",
	//   "client_url": "https://example.slack.com/archives/C042/p1795874562000100"
	// }
	// <nil>
}
