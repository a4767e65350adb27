package plan

import "testing"

func TestMatchHost(t *testing.T) {
	hosts := []string{"api.example.com", "*.partner.example", "10.0.0.7"}
	for host, want := range map[string]bool{
		"api.example.com":       true,
		"API.Example.com.":      true,
		"10.0.0.7":              true,
		"eu.partner.example":    true,
		"a.eu.partner.example":  true,
		"partner.example":       false,
		".partner.example":      false,
		"evilpartner.example":   false,
		"example.com":           false,
		"x.api.example.com":     false,
		"api.example.com.evil":  false,
		"api.example.com:8443":  false,
		"":                      false,
		"*.partner.example.com": false,
	} {
		if got := MatchHost(hosts, host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
	if MatchHost(nil, "api.example.com") {
		t.Error("no hosts allow one")
	}
}

func TestForbiddenHost(t *testing.T) {
	for host, want := range map[string]bool{
		"169.254.169.254":           true,
		"169.254.0.1":               true,
		"::ffff:169.254.169.254":    true,
		"fe80::1":                   true,
		"fe80::1%eth0":              true,
		"fd20:ce::254":              true,
		"metadata":                  true,
		"Metadata.Google.Internal.": true,
		"metadata.goog":             true,
		"127.0.0.1":                 false,
		"169.253.0.1":               false,
		"fd20:ce::255":              false,
		"metadata.example.com":      false,
		"":                          false,
	} {
		if got := ForbiddenHost(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}
