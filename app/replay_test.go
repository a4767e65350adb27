package app_test

import (
	"strings"
	"testing"
)

// TestReplayAsksForWhatItNeeds: a wrong question ends with status 2, and what cannot be read with 1.
func TestReplayAsksForWhatItNeeds(t *testing.T) {
	const service = `    project: p
    region: us-central1
    channel: deploys
    plan: simple
    deployers: ["@team"]
    services:
      backend: {cloud_run: backend, image: us-docker.pkg.dev/p/apps/backend, tag: main}
`
	two := file(t, "deploy.yaml", "version: 1\nenvironments:\n  staging:\n"+service+"  production:\n"+strings.ReplaceAll(service, "cloud_run: backend", "cloud_run: backend-live")+
		"plans:\n  simple:\n    phases:\n      - name: Deployment\n        steps:\n          - {name: Deploy, deploy: {service: backend}}\n")
	empty := file(t, "empty.json", "[]\n")
	tests := []struct {
		args string
		code int
		says string
	}{
		{empty, 0, ""},
		{empty + " --file " + two + " --env staging --json", 0, ""},
		{empty + " --file " + two, 2, "has 2 environments: say which with --env"},
		{empty + " --file " + two + " --env staging/backend", 2, "name the environment alone, staging"},
		{empty + " --file " + two + " --env prod", 2, "unknown environment prod"},
		{empty + " --file absent.yaml", 2, "absent.yaml"},
		{empty + " --limit 100%", 2, "error_rate: error rate limit 1: must be above 0 and below 1"},
		{empty + " --slo 100%", 2, "--slo 100%: no request may fail then"},
		{empty + " --slo 10%", 2, "slow_leak: "},
		{"absent.json", 1, "absent.json"},
		{t.TempDir(), 1, "is a directory"},
	}
	for _, tt := range tests {
		code, out, errs := slipway(t, strings.Fields("replay "+tt.args)...)
		if code != tt.code || !strings.Contains(errs, tt.says) || (out != "") != (code == 0) || (errs != "") != (code != 0) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", tt.args, code, tt.code, tt.says, out, errs)
		}
	}
	if _, out, _ := slipway(t, "replay", empty); out != "No incidents in no entries.\n" {
		t.Errorf("%q", out)
	}
}
