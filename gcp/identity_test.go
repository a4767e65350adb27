package gcp

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// authority answers for Google in place of the network.
type authority func(*http.Request) (*http.Response, error)

func (g authority) RoundTrip(r *http.Request) (*http.Response, error) { return g(r) }

func answering(status int, body string) authority {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

const bearer = "ya29.s3cret/+&"

func TestAccountOf(t *testing.T) {
	tests := []struct {
		name       string
		authority  authority
		email, err string
	}{
		{"a service account", answering(200, `{"email":"ci@netra-staging.iam.gserviceaccount.com","verified_email":true}`), "ci@netra-staging.iam.gserviceaccount.com", ""},
		{"without the scope", answering(200, `{"audience":"1068"}`), "", "scope userinfo.email"},
		{"not verified", answering(200, `{"email":"a@example.com","verified_email":false}`), "", "has not verified"},
		{"an old token", answering(400, `{"error":"invalid_token"}`), "", "does not know the token"},
		{"Google is ill", answering(503, `oops`), "", "status 503"},
		{"no JSON", answering(200, `<html>`), "", "cannot be read"},
		{"no network", func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }, "", "no route"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			email, err := accountOf(t.Context(), &http.Client{Transport: tt.authority}, bearer)
			if email != tt.email || (err == nil) != (tt.err == "") {
				t.Fatalf("%q, %v", email, err)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.err) || leaks(err.Error())) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func leaks(text string) bool {
	return strings.Contains(text, "s3cret")
}

// The token is in the body: the address, which errors and proxies repeat, has nothing to hide.
func TestAccountOfKeepsTheTokenOutOfTheAddress(t *testing.T) {
	var asked *http.Request
	var body string
	listener := authority(func(r *http.Request) (*http.Response, error) {
		asked = r
		sent, err := io.ReadAll(r.Body)
		body = string(sent)
		return nil, err
	})
	if _, err := accountOf(t.Context(), &http.Client{Transport: listener}, bearer); err == nil {
		t.Fatal("no answer is no error")
	}
	values, err := url.ParseQuery(body)
	if err != nil || values.Get("access_token") != bearer || asked.Method != http.MethodPost {
		t.Errorf("sent %s %q: %v", asked.Method, body, err)
	}
	if leaks(asked.URL.String()) {
		t.Errorf("the token is in %s", asked.URL)
	}
}
