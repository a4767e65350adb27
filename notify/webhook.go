package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway/incident"
	"slipway/plan"
)

// webhook is a server that gets a POST with a CloudEvent in structured mode
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md), signed as in
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
//
// Every request has the headers webhook-id, the same in each try, and webhook-timestamp, the second of this try.
// With a secret it has webhook-signature: "v1," and the base64 of the HMAC-SHA256 of "ID.TIMESTAMP.BODY". A secret
// that begins with whsec_ is the base64 of the key, as that specification writes secrets; another one is the key.
// Two secrets with a space between them give two signatures, so that a secret can be replaced without a gap.
// Any answer of 200 to 299 means that it was taken.
func (n *Notifier) webhook(to plan.Notify) (receiver, error) {
	r := receiver{name: incident.Name(to)}
	if err := r.at(to.Webhook.URL); err != nil {
		return r, err
	}
	var keys [][]byte
	if to.Webhook.Secret != nil {
		secret, err := n.value(&r, *to.Webhook.Secret)
		if err != nil {
			return r, err
		}
		r.secrets = append(r.secrets, strings.Fields(secret)...)
		if keys, err = r.keys(secret); err != nil {
			return r, err
		}
	}
	r.body = func(notice incident.Notice) ([]byte, error) { return json.Marshal(cloudEventOf(notice)) }
	r.header = func(notice incident.Notice, body []byte, now time.Time) http.Header {
		return signed(notice.ID, body, now, keys)
	}
	r.accepts = func(status int) bool { return status >= 200 && status <= 299 }
	return r, nil
}

// cloudEvent is what a webhook gets: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
//
//	specversion      "1.0"
//	id               of the notice: KEY/STATUS/SECONDS. The same in each try, so that it is handled once
//	source           "/slipway/staging/backend", or "/slipway/staging" if several services fail
//	type             "slipway.incident.triggered", "….acknowledged" or "….resolved". There is no domain in front:
//	                 Slipway has none, and it would be a lie to use another's
//	subject          the incident's key: what is about one incident has the same
//	time             when the status changed
//	datacontenttype  "application/json"
//	data             what follows
//
// More fields may come to be in data; what is there keeps its meaning. Texts may be long, and are masked.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	Time            string    `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            eventData `json:"data"`
}

type eventData struct {
	Key         string   `json:"key"`     // as /deploy ack takes it
	Status      string   `json:"status"`  // triggered, acknowledged, resolved
	Summary     string   `json:"summary"` // one line
	Class       string   `json:"class"`   // incident.Kind: error_rate, latency, …
	Environment string   `json:"environment"`
	Service     string   `json:"service,omitempty"`  // left out if several fail
	Revision    string   `json:"revision,omitempty"` // the newest of the service
	By          string   `json:"by,omitempty"`       // who acknowledged or resolved it; left out: it went by itself
	Details     []string `json:"details,omitempty"`  // groups of errors, and what is new
	Link        string   `json:"link,omitempty"`     // to the message in Slack
}

func cloudEventOf(n incident.Notice) cloudEvent {
	_, service, _ := strings.Cut(n.Source, "/")
	return cloudEvent{
		SpecVersion: "1.0", ID: n.ID, Source: (&url.URL{Path: "/slipway/" + n.Source}).EscapedPath(),
		Type: "slipway.incident." + string(n.Status), Subject: n.Key,
		Time: n.At.UTC().Format(time.RFC3339), DataContentType: "application/json",
		Data: eventData{
			Key: n.Key, Status: string(n.Status), Summary: n.Summary, Class: n.Class, Environment: n.Group,
			Service: service, Revision: n.Revision, By: n.By, Details: n.Details, Link: n.Link,
		},
	}
}

// secretPrefix begins a secret as Standard Webhooks writes it.
const secretPrefix = "whsec_"

// keys are what to sign with.
func (r *receiver) keys(secrets string) ([][]byte, error) {
	var keys [][]byte
	for secret := range strings.FieldsSeq(secrets) {
		key := []byte(secret)
		if encoded, ok := strings.CutPrefix(secret, secretPrefix); ok {
			var err error
			if key, err = base64.StdEncoding.DecodeString(encoded); err != nil || len(key) == 0 {
				return nil, r.refuse("after whsec_ its secret has to be base64, as `openssl rand -base64 32` writes it")
			}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, r.refuse("its secret is empty; correct it in deploy.yaml")
	}
	return keys, nil
}

// signed are the headers of a request.
func signed(id string, body []byte, now time.Time, keys [][]byte) http.Header {
	at := strconv.FormatInt(now.Unix(), 10)
	header := http.Header{}
	header.Set("Content-Type", "application/cloudevents+json")
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", at)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	if len(keys) > 0 {
		header.Set("Webhook-Signature", strings.Join(signatures, " "))
	}
	return header
}
