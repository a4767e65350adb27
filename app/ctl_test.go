package app_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/app"
	"slipway/plan"
)

// ctlEnv is a shell in which ctl finds a plan file with identities and a Redis that is not there.
func ctlEnv(t *testing.T) map[string]string {
	t.Helper()
	yaml, err := os.ReadFile("../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	path := filepath.Join(dir.Name(), "deploy.yaml")
	if err := dir.WriteFile("deploy.yaml", append(yaml, "\nidentities:\n  oncall@example.com: {slack: U0ONCALL}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"SLIPWAY_FILE": path, "SLIPWAY_GCP_ENDPOINT": "127.0.0.1:1", "SLIPWAY_IDENTITY": "oncall@example.com", "REDIS_URL": "redis://127.0.0.1:1/0",
	}
}

func ctl(t *testing.T, values map[string]string, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = app.Main(t.Context(), app.Process{Args: append([]string{"ctl"}, args...), Getenv: env(values), Stdout: &stdout, Stderr: &stderr})
	return code, stdout.String(), stderr.String()
}

// What was typed wrong is found before anybody is asked anything, and is told from what failed.
func TestCtlUsage(t *testing.T) {
	values := ctlEnv(t)
	tests := []struct {
		args string
		code int
		want string
	}{
		{"deploy", 2, `expected "<target>"`},
		{"deploy stagin", 2, "did you mean staging?"},
		{"deploy staging/bakend", 2, "did you mean backend?"},
		{"deploy backend", 2, "did you mean staging/backend?"},
		{"deploy sta'ging", 2, "is not a target"},
		{"deploy staging not:a:tag", 2, "neither a tag nor a digest"},
		{"deploy staging v1 v2", 2, "unexpected argument v2"},
		{"deploy staging --token " + strings.Repeat("x", 201), 2, "at most 200 characters"},
		{"deploy staging --timeout soon --wait", 2, "timeout"},
		{"lock staging for 99d", 2, "30 days at most"},
		{"unlock staging now", 2, "unexpected argument now"},
		{"approve stagin!", 2, "did you mean staging?"},
		{"approve staging --ask", 2, "expected string value"},
		{"rollback nowhere --direct", 2, "unknown environment nowhere"},
		{"status --all", 2, "unknown flag --all"},
		// These are right, and go as far as the Redis that is not there.
		{"deploy STAGING", 1, "Nothing was done"},
		{"deploy staging/backend v1.2.3 --wait --token 17 --json", 1, "Nothing was done"},
		{"plan staging status", 1, "Nothing was done"}, // a tag may be called so
		{"status", 1, "Nothing was done"},
		{"lock staging load test for 2h", 1, "Nothing was done"},
		{"abort staging it's too slow", 1, "Nothing was done"},
		{"ack {@U1}", 2, "is no incident's ID"},
		{"silence abc123 8d", 2, "up to 7 days"},
		{"incidents stagin", 2, "did you mean staging?"},
		{"incidents", 1, "Nothing was done"},
		{"silence abc123 for 2h", 1, "Nothing was done"},
		{"ack", 1, "Nothing was done"},
		{"approve abc234", 1, "Nothing was done"},
		{"hold staging --ask 3.3", 1, "Nothing was done"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, out, errs := ctl(t, values, strings.Fields(tt.args)...)
			if code != tt.code || !strings.Contains(errs, tt.want) || out != "" {
				t.Errorf("exit %d, want %d and %q:\n%s%s", code, tt.code, tt.want, out, errs)
			}
		})
	}
}

func TestCtlSettings(t *testing.T) {
	tests := []struct {
		name, value string
		want        string
	}{
		{"REDIS_URL", "", "REDIS_URL is not set"},
		{"SLIPWAY_GCP_ENDPOINT", "", "SLIPWAY_IDENTITY counts only with SLIPWAY_GCP_ENDPOINT"},
		{"SLIPWAY_GCP_ENDPOINT", "example.com:443", "is not on loopback"},
		{"SLACK_BOT_TOKEN", "xoxp-s3cret", "SLACK_BOT_TOKEN does not begin with xoxb-"},
		{"SLIPWAY_FILE", "absent.yaml", "absent.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			values := ctlEnv(t)
			values[tt.name] = tt.value
			code, _, errs := ctl(t, values, "status")
			if code != 1 || !strings.Contains(errs, tt.want) || strings.Contains(errs, "s3cret") {
				t.Errorf("exit %d:\n%s", code, errs)
			}
		})
	}
	names := func(list []app.Setting) (all []string) {
		for _, s := range list {
			all = append(all, s.Name)
		}
		return all
	}
	if got := names(app.CtlSettings()); slices.Contains(got, "SLACK_APP_TOKEN") || len(got) != len(app.Settings()) {
		t.Errorf("ctl reads %v", got)
	}
}

// What a robot may do is what ctl can do.
func TestCtlHasEveryAbility(t *testing.T) {
	_, help, _ := ctl(t, nil, "--help")
	for _, word := range plan.Abilities() {
		if !strings.Contains(help, "\n  ctl "+word+" ") {
			t.Errorf("deploy.yaml knows the ability %s, and ctl has no such command:\n%s", word, help)
		}
	}
}
