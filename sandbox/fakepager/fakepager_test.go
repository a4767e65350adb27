package fakepager_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"slipway/sandbox/fakepager"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	routingKey = "0123456789abcdef0123456789abcdef"
	secret     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

func newServer() *fakepager.Server {
	return fakepager.New(fakepager.Config{RoutingKeys: []string{routingKey}, Secret: secret})
}

func post(s *fakepager.Server, path, body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestRulesOfPagerDuty(t *testing.T) {
	const (
		head    = `{"routing_key": "` + routingKey + `", "dedup_key": "k", "event_action": `
		payload = `"payload": {"summary": "s", "source": "o", "severity": "error"}}`
	)
	tests := []struct {
		event string
		says  string // "": it is taken
	}{
		{`{`, "malformed"},
		{`{"event_action": "trigger", ` + payload, "'routing_key'"},
		{`{"routing_key": "other", "event_action": "trigger", ` + payload, "'routing_key'"},
		{head + `"open", ` + payload, "'event_action'"},
		{head + `"trigger"}`, "'payload.summary' is missing"},
		{head + `"trigger", ` + strings.ReplaceAll(payload, `"error"`, `"bad"`), "'payload.severity'"},
		{head + `"trigger", ` + strings.ReplaceAll(payload, `"s"`, `"`+strings.Repeat("s", 1025)+`"`), "'payload.summary' is too long"},
		{head + `"trigger", ` + strings.ReplaceAll(payload, `"o"`, `""`), "'payload.source'"},
		{`{"routing_key": "` + routingKey + `", "event_action": "resolve"}`, "'dedup_key' is missing"},
		{`{"dedup_key": "` + strings.Repeat("k", 256) + `", "event_action": "resolve"}`, "'dedup_key' is too long"},
		{head + `"resolve"}`, ""},
		{head + `"trigger", ` + payload, ""},
	}
	s := newServer()
	for _, tt := range tests {
		w := post(s, fakepager.EventsPath, tt.event, nil)
		if taken := w.Code == http.StatusAccepted; taken != (tt.says == "") || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%.120s: %d %s, want %q", tt.event, w.Code, w.Body, tt.says)
		}
	}
	if alerts := s.Alerts(); len(alerts) != 1 || alerts[0].Status != "triggered" {
		t.Errorf("%+v: a resolve before any trigger is dropped", alerts)
	}
	if got := s.Actions("k"); !slices.Equal(got, []string{"resolve", "trigger"}) {
		t.Errorf("%v: what is dropped was sent all the same", got)
	}
	if w := post(s, fakepager.EventsPath, strings.Repeat(" ", 512<<10+1), nil); w.Code != http.StatusRequestEntityTooLarge {
		t.Error(w.Code)
	}
}

const cloudEvent = `{"specversion": "1.0", "id": "e1", "source": "/s", "type": "t", "data": {"n": 1}}`

func headers(at time.Time, body string) http.Header {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("e1." + seconds + "." + body))
	h := http.Header{}
	h.Set("Content-Type", "application/cloudevents+json; charset=UTF-8")
	h.Set("webhook-id", "e1")
	h.Set("webhook-timestamp", seconds)
	h.Set("webhook-signature", "v1,AAAA v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}

func TestRulesOfTheWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with := func(name, value string) http.Header {
			h := headers(time.Now(), cloudEvent)
			h.Set(name, value)
			return h
		}
		noType := strings.ReplaceAll(cloudEvent, `"t"`, `""`)
		tests := []struct {
			name   string
			header http.Header
			body   string
			want   int
		}{
			{"right", headers(time.Now(), cloudEvent), cloudEvent, http.StatusNoContent},
			{"again", headers(time.Now().Add(-5*time.Minute), cloudEvent), cloudEvent, http.StatusNoContent},
			{"too old", headers(time.Now().Add(-301*time.Second), cloudEvent), cloudEvent, http.StatusUnauthorized},
			{"too new", headers(time.Now().Add(301*time.Second), cloudEvent), cloudEvent, http.StatusUnauthorized},
			{"another body", headers(time.Now(), cloudEvent+" "), cloudEvent, http.StatusUnauthorized},
			{"another ID", with("webhook-id", "e2"), cloudEvent, http.StatusUnauthorized},
			{"no ID", with("webhook-id", ""), cloudEvent, http.StatusUnauthorized},
			{"no signature", with("webhook-signature", ""), cloudEvent, http.StatusUnauthorized},
			{"another kind of signature", with("webhook-signature", "v1a,AAAA"), cloudEvent, http.StatusUnauthorized},
			{"plain JSON", with("Content-Type", "application/json"), cloudEvent, http.StatusUnsupportedMediaType},
			{"no type", headers(time.Now(), noType), noType, http.StatusBadRequest},
			{"no JSON", headers(time.Now(), "{"), "{", http.StatusBadRequest},
		}
		s := newServer()
		for _, tt := range tests {
			if w := post(s, fakepager.WebhookPath, tt.body, tt.header); w.Code != tt.want {
				t.Errorf("%s: %d %s, want %d", tt.name, w.Code, w.Body, tt.want)
			}
		}
		if events := s.Events(); len(events) != 1 || events[0].Tries != 2 || string(events[0].Data) != `{"n": 1}` {
			t.Errorf("%+v", events)
		}
	})
}

func TestFaultsAndWhatIsSeen(t *testing.T) {
	s := newServer()
	s.Fail(fakepager.Fault{Count: 2, Status: http.StatusTooManyRequests, RetryAfter: 5 * time.Second})
	s.Fail(fakepager.Fault{Count: 1, Status: http.StatusBadGateway, Applied: true})
	send := func() *httptest.ResponseRecorder {
		return post(s, fakepager.WebhookPath, cloudEvent, headers(time.Now(), cloudEvent))
	}
	for n, want := range []struct {
		code       int
		retryAfter string
		events     int
	}{{429, "5", 0}, {429, "5", 0}, {502, "", 1}, {204, "", 1}} {
		if w := send(); w.Code != want.code || w.Header().Get("Retry-After") != want.retryAfter || len(s.Events()) != want.events {
			t.Errorf("request %d: %d, Retry-After %q, %d events, want %+v", n, w.Code, w.Header().Get("Retry-After"), len(s.Events()), want)
		}
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/_control/notices", nil))
	var seen struct {
		Alerts []fakepager.Alert `json:"alerts"`
		Events []fakepager.Event `json:"events"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &seen); err != nil || seen.Alerts == nil || len(seen.Events) != 1 || seen.Events[0].Tries != 2 {
		t.Errorf("%v: %s", err, w.Body)
	}
}
