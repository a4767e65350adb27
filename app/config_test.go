package app_test

import (
	"os"
	"strings"
	"testing"

	"slipway/app"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func good() map[string]string {
	return map[string]string{
		"SLACK_APP_TOKEN": "xapp-1-abc", "SLACK_BOT_TOKEN": "xoxb-abc", "REDIS_URL": "redis://localhost:6379/0", "SLIPWAY_FILE": "../deploy.yaml",
	}
}

func TestFromEnv(t *testing.T) {
	c, err := app.FromEnv(env(good()))
	if err != nil {
		t.Fatal(err)
	}
	if c.File.Environment("staging") == nil || c.Owner == "" {
		t.Errorf("incomplete: %+v", c)
	}
}

func TestFromEnvTakesEveryFormOfRedis(t *testing.T) {
	for _, address := range []string{"rediss://:p@r:6380/1", "redis+sentinel://a,b:26380/main", "rediss+cluster://u:p@a:1,b:2"} {
		values := good()
		values["REDIS_URL"] = address
		if _, err := app.FromEnv(env(values)); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Everything that is missing or wrong is said at once, a line each, and no secret is in it.
func TestFromEnvSaysAllAtOnce(t *testing.T) {
	tests := []struct {
		name   string
		change map[string]string
		want   []string
	}{
		{"nothing set", map[string]string{"SLACK_APP_TOKEN": "", "SLACK_BOT_TOKEN": "", "REDIS_URL": "", "SLIPWAY_FILE": "absent.yaml"}, []string{
			"SLACK_APP_TOKEN is not set: the app-level token", "SLACK_BOT_TOKEN is not set: the bot token",
			"REDIS_URL is not set: for example redis://localhost:6379/0", "absent.yaml",
		}},
		{"tokens swapped", map[string]string{"SLACK_APP_TOKEN": "xoxb-s3cret", "SLACK_BOT_TOKEN": "xapp-s3cret"}, []string{
			"SLACK_APP_TOKEN does not begin with xapp-", "SLACK_BOT_TOKEN does not begin with xoxb-",
		}},
		{"a line break in the secret", map[string]string{"SLACK_BOT_TOKEN": "xoxb-s3cret\n"}, []string{
			"SLACK_BOT_TOKEN begins or ends with white space",
		}},
		{"a Redis that is none", map[string]string{"REDIS_URL": "http://user:s3cret@localhost"}, []string{"REDIS_URL is not a redis://"}},
		{"a Redis of no kind we know", map[string]string{"REDIS_URL": "redis+proxy://user:s3cret@localhost"}, []string{"REDIS_URL is not a redis://"}},
		{"an API without scheme", map[string]string{"SLACK_API_URL": "127.0.0.1:8190"}, []string{"SLACK_API_URL is not an address like"}},
		{"stand-ins elsewhere", map[string]string{"SLIPWAY_GCP_ENDPOINT": "example.com:443", "SLIPWAY_REGISTRY": "10.0.0.1:80"}, []string{
			"SLIPWAY_GCP_ENDPOINT is not on loopback", "SLIPWAY_REGISTRY is not on loopback",
		}},
		{"a stand-in without port", map[string]string{"SLIPWAY_GCP_ENDPOINT": "localhost"}, []string{"SLIPWAY_GCP_ENDPOINT is not host:port"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			values := good()
			for k, v := range tt.change {
				values[k] = v
			}
			_, err := app.FromEnv(env(values))
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")
			for i, want := range tt.want {
				if i >= len(lines) || !strings.Contains(lines[i], want) {
					t.Errorf("line %d should have %q:\n%s", i+1, want, err)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("a secret is in it: %s", err)
			}
		})
	}
}

// A variable without which somebody could not be told of incidents is missed at the start, not at night.
func TestFromEnvMissesWhatTellsOfIncidents(t *testing.T) {
	raw, err := os.ReadFile("../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), "alerts: {error_rate: 5%, for: [backend]}", `alerts:
      error_rate: 5%
      notify: [{pagerduty: {routing_key: {env: PAGERDUTY_KEY}}}, {webhook: {url: "https://hooks.example.com/", secret: {env: HOOK_SECRET}}}]`, 1)
	values := good()
	values["SLIPWAY_FILE"], values["HOOK_SECRET"] = file(t, "deploy.yaml", text), "s3cret\n"
	_, err = app.FromEnv(env(values))
	want := "PAGERDUTY_KEY is not set: deploy.yaml names it as the routing key of PagerDuty for incidents of staging/backend\n" +
		"HOOK_SECRET begins or ends with white space (a line break at the end of the secret?): deploy.yaml names it as what signs the webhook for incidents of staging/backend"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v", err)
	}
	values["PAGERDUTY_KEY"], values["HOOK_SECRET"] = "key", "s3cret"
	if _, err := app.FromEnv(env(values)); err != nil {
		t.Errorf("with all of them: %v", err)
	}
}
