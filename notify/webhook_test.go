package notify

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/sandbox/fakepager"
)

// The vector of the specification's own libraries:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/go/webhook_test.go
func TestSignsAsStandardWebhooksDoes(t *testing.T) {
	r := receiver{}
	keys, err := r.keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	header := signed("msg_p5jXN8AQM9LWM0D4loKWxJek", []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0), keys)
	if got, want := header.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := header.Get("webhook-timestamp"); got != "1614265330" {
		t.Error(got)
	}
}

func (b *bench) received(want ...string) {
	b.Helper()
	var got []string
	for _, e := range b.pager.Events() {
		got = append(got, e.Type+" "+e.ID)
	}
	if !slices.Equal(got, want) {
		b.Errorf("%q, want %q", got, want)
	}
}

func TestTheReceiverKnowsWhoSigned(t *testing.T) {
	onBench(t, func(b *bench) {
		b.tell(toHook(hookAddress()), incident.Triggered, 1)
		b.env["WEBHOOK_SECRET"] = "whsec_bmV3IHNlY3JldCBvZiAyNCBieXRlcw== " + secret // it is being replaced
		b.tell(toHook(hookAddress()), incident.Taken, 2)
		b.env["WEBHOOK_SECRET"] = "whsec_bmV3IHNlY3JldCBvZiAyNCBieXRlcw=="
		if f := b.fails(b.Context(), toHook(hookAddress())); !f.Permanent() || !strings.Contains(f.Error(), "401 Unauthorized") {
			b.Errorf("permanent %v: %v", f.Permanent(), f)
		}
		unsigned := toHook(hookAddress())
		unsigned.Webhook.Secret = nil
		if f := b.fails(b.Context(), unsigned); !f.Permanent() || !strings.Contains(f.Error(), "401 Unauthorized") {
			b.Errorf("permanent %v: %v", f.Permanent(), f)
		}
		b.received("slipway.incident.triggered abc123/triggered/1", "slipway.incident.acknowledged abc123/acknowledged/2")
	})
}

// A try later has the same ID, and a timestamp of its own that the receiver does not find too old.
func TestAnEventIsKnownByItsID(t *testing.T) {
	onBench(t, func(b *bench) {
		b.pager.Fail(fakepager.Fault{Count: 1, Status: http.StatusServiceUnavailable, Applied: true})
		if f := b.fails(b.Context(), toHook(hookAddress())); f.Permanent() {
			b.Error(f)
		}
		time.Sleep(time.Hour)
		b.tell(toHook(hookAddress()), incident.Triggered, 1)
		b.tell(toHook(hookAddress()), incident.Recovered, 2)
		b.received("slipway.incident.triggered abc123/triggered/1", "slipway.incident.resolved abc123/resolved/2")
		if tries := b.pager.Events()[0].Tries; tries != 2 {
			b.Errorf("%d tries, want 2", tries)
		}
	})
}

func TestASecretThatIsNoBase64IsTheKey(t *testing.T) {
	r := receiver{}
	keys, err := r.keys(" first-secret\tsecond-secret\n")
	if err != nil || len(keys) != 2 || string(keys[0]) != "first-secret" || string(keys[1]) != "second-secret" {
		t.Errorf("%q, %v", keys, err)
	}
}

func TestUnsigned(t *testing.T) {
	sent := &transport{status: http.StatusNoContent}
	to := plan.Notify{Webhook: &plan.Webhook{URL: "https://hooks.test/in"}}
	if err := New(Config{HTTP: &http.Client{Transport: sent}}).Notify(t.Context(), to, notice(incident.Taken, 2)); err != nil {
		t.Fatal(err)
	}
	if _, signed := sent.header["Webhook-Signature"]; signed || sent.header.Get("webhook-id") != "abc123/acknowledged/2" {
		t.Errorf("%v", sent.header)
	}
	if got := sent.header.Get("Content-Type"); got != "application/cloudevents+json" {
		t.Error(got)
	}
}

// The source is a reference to a URI whatever the services are called.
func TestSourceOfAnEvent(t *testing.T) {
	for source, want := range map[string]string{
		"staging/backend": "/slipway/staging/backend", "staging": "/slipway/staging", "a b/ü?": "/slipway/a%20b/%C3%BC%3F",
	} {
		if got := cloudEventOf(incident.Notice{Source: source}).Source; got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}
