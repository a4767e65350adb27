package fakepager

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Event is a CloudEvent that the webhook got.
type Event struct {
	ID      string          `json:"id"`
	Source  string          `json:"source"`
	Type    string          `json:"type"`
	Subject string          `json:"subject,omitempty"`
	Time    time.Time       `json:"time,omitzero"`
	Data    json.RawMessage `json:"data"`
	Tries   int             `json:"tries"` // how often it came
}

// receive takes an event; the caller holds the lock.
func (s *Server) receive(header http.Header, body []byte) (status int, says any) {
	if err := s.verify(header, body, time.Now()); err != nil {
		return http.StatusUnauthorized, map[string]string{"error": err.Error()}
	}
	if media, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || media != "application/cloudevents+json" {
		return http.StatusUnsupportedMediaType, map[string]string{"error": "an application/cloudevents+json is expected"}
	}
	e, err := cloudEvent(body)
	if err != nil {
		return http.StatusBadRequest, map[string]string{"error": err.Error()}
	}
	if at := slices.IndexFunc(s.events, func(known Event) bool { return known.ID == e.ID && known.Source == e.Source }); at >= 0 {
		s.events[at].Tries++
	} else {
		s.events = append(s.events, e)
	}
	return http.StatusNoContent, nil
}

// cloudEvent reads an event in JSON and checks what has to be there:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes
func cloudEvent(body []byte) (Event, error) {
	var e struct {
		Event
		SpecVersion string `json:"specversion"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return Event{}, fmt.Errorf("not a CloudEvent: %w", err)
	}
	_, err := url.Parse(e.Source)
	if e.SpecVersion != "1.0" || e.ID == "" || e.Type == "" || e.Source == "" || err != nil {
		return Event{}, fmt.Errorf("not a CloudEvent 1.0: specversion %q, id %q, source %q, type %q", e.SpecVersion, e.ID, e.Source, e.Type)
	}
	e.Tries = 1
	return e.Event, nil
}

// tolerance is how old a request may be, or how far ahead: as the libraries of Standard Webhooks have it.
const tolerance = 5 * time.Minute

// verify checks who sent a request, and when:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#verifying-signatures
func (s *Server) verify(header http.Header, body []byte, now time.Time) error {
	id, at := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if id == "" || err != nil {
		return fmt.Errorf("webhook-id %q or webhook-timestamp %q is no such thing", id, at)
	}
	if off := now.Sub(time.Unix(seconds, 0)).Abs(); off > tolerance {
		return fmt.Errorf("the request is off by %s", off)
	}
	if s.cfg.Secret == "" {
		return nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.cfg.Secret, "whsec_"))
	if err != nil {
		return fmt.Errorf("the secret is not base64: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for signature := range strings.FieldsSeq(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(signature), want) {
			return nil
		}
	}
	return errors.New("no signature is right")
}
