package plan

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// alerted is a staging of three services, of which auth has owners and gateway nothing of its own, with
// alerts of the environment and of backend.
func alerted(t *testing.T, environment, backend string) *Environment {
	t.Helper()
	src := `version: 1
environments:
  staging:
    project: p
    region: us-central1
    channel: deploys
    plan: simple
    services:
      backend: {cloud_run: backend, image: us-docker.pkg.dev/p/a/backend, tag: main` + backend + `}
      auth: {cloud_run: auth, image: us-docker.pkg.dev/p/a/auth, tag: main, owners: ["@auth"], channel: auth}
      gateway: {cloud_run: gateway, image: us-docker.pkg.dev/p/a/gateway, tag: main}
` + environment + `
plans:
  simple: {phases: [{name: A, steps: [{name: Deploy, deploy: {service: backend}}, {name: Shift, traffic: {service: backend, percent: 100}}]}]}
`
	return mustLoad(t, src).Environment("staging")
}

func TestAlertsOf(t *testing.T) {
	deploys := func(a Alerts) *Alerts {
		a.Source, a.Channel = SourceAuto, "deploys"
		return &a
	}
	all := `    alerts: {error_rate: 5%, slo: 99.5%, latency: {below: 1s}, log_matches: [Traceback], pinned: true, channel: incidents, mention: ["@oncall"], ` +
		`source: logs, escalate: {after: 10m, to: ["@leads"]}, notify: [{pagerduty: {routing_key: {env: KEY}}}]}`
	everything := Alerts{
		ErrorRate: 0.05, SLO: 0.995, Latency: &SlowShare{0.95, Duration(time.Second)}, LogMatches: []string{"Traceback"}, Pinned: AWhile,
		Source: SourceLogs, Channel: "incidents", Mention: []string{"@oncall"}, Escalate: &Escalation{Duration(10 * time.Minute), []string{"@leads"}},
		Notify: []Notify{{PagerDuty: &PagerDuty{RoutingKey: Value{Env: "KEY"}, URL: PagerDutyEvents}}},
	}
	changed := func(change func(*Alerts)) *Alerts {
		a := everything
		change(&a)
		return &a
	}
	tests := []struct {
		name                 string
		environment, backend string
		service              string
		want                 *Alerts
	}{
		{"none", "", "", "backend", nil},
		{"a service that is not there", all, "", "frontend", nil},
		{"all services", "    alerts: {error_rate: 5%}", "", "gateway", deploys(Alerts{ErrorRate: 0.05})},
		{"those that are named", "    alerts: {error_rate: 5%, for: [backend]}", "", "backend", deploys(Alerts{ErrorRate: 0.05})},
		{"others than those that are named", "    alerts: {error_rate: 5%, for: [backend]}", "", "gateway", nil},
		{"the service's channel and owners", "    alerts: {error_rate: 5%}", "", "auth", &Alerts{ErrorRate: 0.05, Source: SourceAuto, Channel: "auth", Mention: []string{"@auth"}}},
		{"everything", all, "", "auth", &everything},
		{"a service alone", "", ", alerts: {crash_on_start: true}", "backend", deploys(Alerts{CrashOnStart: true})},
		{"beside a service alone", "", ", alerts: {crash_on_start: true}", "auth", nil},
		{"a service that is not in for", "    alerts: {error_rate: 5%, for: [auth]}", ", alerts: {crash_on_start: true}", "backend", deploys(Alerts{ErrorRate: 0.05, CrashOnStart: true})},
		{"for nobody, as a default", "    alerts: {channel: incidents, for: []}", ", alerts: {pinned: 1h}", "backend", &Alerts{Pinned: Duration(time.Hour), Source: SourceAuto, Channel: "incidents"}},
		{"a service's limits over the environment's", all, ", alerts: {error_rate: 10%, slo: 99%, latency: {percent: 99, below: 2s}, pinned: 1h, no_ready_revision: true}", "backend", changed(func(a *Alerts) {
			a.ErrorRate, a.SLO, a.Latency, a.Pinned, a.NoReadyRevision = 0.1, 0.99, &SlowShare{0.99, Duration(2 * time.Second)}, Duration(time.Hour), true
		})},
		{"a service's people over the environment's", all, `, alerts: {channel: backend, mention: ["@a"], escalate: {after: 1m, to: ["@b"]}, source: metrics}`, "backend", changed(func(a *Alerts) {
			a.Channel, a.Mention, a.Escalate, a.Source = "backend", []string{"@a"}, &Escalation{Duration(time.Minute), []string{"@b"}}, SourceMetrics
		})},
		{"a service without the environment's lists", all, `, alerts: {log_matches: [], mention: [], notify: []}`, "backend", changed(func(a *Alerts) {
			a.LogMatches, a.Mention, a.Notify = []string{}, []string{}, []Notify{}
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := alerted(t, tt.environment, tt.backend)
			for _, e := range []*Environment{e, roundTrip(t, e)} {
				if got := e.AlertsOf(tt.service); !reflect.DeepEqual(got, tt.want) {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
			}
		})
	}
}

// What the environment says is not changed by laying a service's keys over it.
func TestAlertsOfLeavesTheFileAlone(t *testing.T) {
	e := alerted(t, "    alerts: {error_rate: 5%, log_matches: [a]}", ", alerts: {error_rate: 1%, log_matches: [b], crash_on_start: true}")
	before := roundTrip(t, e)
	e.AlertsOf("backend")
	if !reflect.DeepEqual(e, before) {
		t.Errorf("%+v", e.Alerts)
	}
}

// No message has what may be a secret, whatever is wrong with it and wherever it stands.
func TestSecretsAreNotRepeated(t *testing.T) {
	src := read(t, "testdata/broken/alerts-notify.yaml")
	sources := []string{src, strings.ReplaceAll(src, "31337", "3.1337e5")}
	alias := "version: 1\nkey: &key s3cret\n" + strings.TrimPrefix(src, "version: 1\n")
	sources = append(sources, strings.Replace(alias, "s3cret-in-the-file", "*key", 1))
	for _, src := range sources {
		_, err := Load("deploy.yaml", []byte(src))
		list, ok := errors.AsType[Errors](err)
		if !ok || len(list) < 15 {
			t.Fatalf("%d errors", len(list))
		}
		for _, secret := range []string{"s3cret", "1337"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("a secret is in\n%s", err)
			}
		}
	}
	if _, err := Load("deploy.yaml", []byte(strings.Replace(alias, "s3cret-in-the-file", "*key", 1))); !strings.Contains(err.Error(), "deploy.yaml:15:36: a routing key does not belong") {
		t.Errorf("control: the alias is no error\n%s", err)
	}
}

func TestSecrets(t *testing.T) {
	f := mustLoad(t, read(t, "testdata/good/everything.yaml"))
	want := []Secret{
		{"PAGERDUTY_KEY", "the routing key of PagerDuty for incidents of staging/backend"},
		{"PAGERDUTY_EU", "the routing key of PagerDuty for incidents of staging/backend"},
		{"HOOK_SECRET", "what signs the webhook for incidents of staging/backend"},
	}
	if got := f.Secrets(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	f.Environment("staging").Alerts.For = []string{}
	f.Environment("production").Alerts = nil
	f.Environment("staging").Service("auth").Alerts = nil
	if got := f.Secrets(); len(got) != 0 {
		t.Errorf("of services that are not watched: %+v", got)
	}
}
