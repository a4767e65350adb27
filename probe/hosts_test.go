package probe

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"slipway/plan"
	"slipway/rollout"
)

// request and socket are steps that call one address.
func request(address string) plan.Step { return httpStep(plan.HTTP{URL: address}) }

func socket(address string) plan.Step {
	return plan.Step{Kind: plan.KindWebSocket, WebSocket: &plan.WebSocket{URL: address, Expect: "ok"}}
}

func TestOnlyAllowedHostsAreCalled(t *testing.T) {
	for _, arm := range []struct {
		name    string
		step    plan.Step
		refused string // the host; "": it is called
	}{
		{"the service", request("${app.url}/"), ""},
		{"the service, its address written out", request("http://APP.test:80/"), ""},
		{"the candidate", request("${app.candidate.url}/"), ""},
		{"the old revision's tag", request("http://old---app.test/"), ""},
		{"a host of the environment", request("http://api.partner.test/"), ""},
		{"another host", request("http://evil.test/?t=" + secret), "evil.test"},
		{"another port of the service", request("http://app.test:6379/"), "app.test"},
		{"another scheme's port", request("https://app.test/"), "app.test"},
		{"a user's name that looks like a host", request("http://app.test@evil.test/"), "evil.test"},
		{"a redirect to another host", request("${app.url}/to?http://evil.test/"), "evil.test"},
		{"a redirect to the metadata server", request("${app.url}/to?http://metadata.google.internal/"), "metadata.google.internal"},
		{"the metadata server", request("http://metadata.google.internal/"), "metadata.google.internal"},
		{"its address", request("http://169.254.169.254/"), "169.254.169.254"},
		{"its address as IPv6", request("http://[::ffff:a9fe:a9fe]/"), "::ffff:a9fe:a9fe"},
		{"a socket to another host", socket("ws://evil.test/"), "evil.test"},
		{"a socket to the metadata server", socket("ws://metadata.google.internal/"), "metadata.google.internal"},
		{"a socket's redirect to another host", socket("${app.ws_url}/to?http://evil.test/"), "evil.test"},
	} {
		t.Run(arm.name, func(t *testing.T) {
			onBench(t, func(b *bench) {
				b.hosts = []string{"*.partner.test", "metadata.google.internal", "169.254.169.254"}
				b.service.Candidate = rollout.Revision{Name: "new", URL: "http://candidate---app.test"}
				b.service.Stable = rollout.Revision{Name: "old", URL: "http://old---app.test"}
				var called []string
				answer := func(w http.ResponseWriter, r *http.Request) {
					called = append(called, r.Host)
					if r.URL.Path == "/to" {
						w.Header().Set("Location", r.URL.RawQuery)
						w.WriteHeader(http.StatusFound)
					}
				}
				for _, host := range []string{
					"app.test:80", "candidate---app.test:80", "old---app.test:80", "api.partner.test:80", "app.test:6379",
					"app.test:443", "evil.test:80", "metadata.google.internal:80", "169.254.169.254:80",
				} {
					b.serveAt(host, answer)
				}
				outcome := b.probe(arm.step)
				if arm.refused == "" {
					if outcome.State != rollout.Passed || len(called) != 1 {
						t.Errorf("%+v, called %v", outcome, called)
					}
					return
				}
				b.want(outcome, "host_refused", arm.refused)
				for _, host := range called {
					if host != "app.test" { // which sent it on
						t.Errorf("%s was called", host)
					}
				}
			})
		})
	}
}

func TestARedirectCanGoOnForSoLongOnly(t *testing.T) {
	onBench(t, func(b *bench) {
		b.serve(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) })
		b.want(b.probe(request("${app.url}/")), "http_unreachable", "redirected 10 times")
		b.want(b.probe(socket("${app.ws_url}/")), "websocket_unreachable", "redirected 10 times")
	})
}

func TestAMalformedSocketAddress(t *testing.T) {
	onBench(t, func(b *bench) {
		b.want(b.probe(socket("ws://%zz/")), "host_refused", "malformed")
	})
}

func TestRefuseForbidden(t *testing.T) {
	for address, want := range map[string]string{
		"169.254.169.254:80":  "credentials",
		"[fe80::1%eth0]:80":   "credentials",
		"[fd20:ce::254]:80":   "credentials",
		"169.254.169.254":     "connect to",
		"127.0.0.1:80":        "",
		"[2001:db8::1]:443":   "",
		"142.250.74.110:443":  "",
		"[::ffff:10.0.0.1]:1": "",
	} {
		err := RefuseForbidden("tcp", address, nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

// TestAnAllowedNameThatLeadsToTheMetadataServer: the connection is refused by its address.
func TestAnAllowedNameThatLeadsToTheMetadataServer(t *testing.T) {
	onBench(t, func(b *bench) {
		b.probes.HTTP.Transport = refusing{}
		b.want(b.probe(request("${app.url}/")), "host_refused", "169.254.169.254")
	})
}

// refusing is a transport whose dialer resolves every name to the metadata server.
type refusing struct{}

func (refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	return nil, RefuseForbidden("tcp", "169.254.169.254:80", nil)
}
