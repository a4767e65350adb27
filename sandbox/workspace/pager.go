package workspace

import (
	"encoding/base64"
	"os"

	"slipway/plan"
	"slipway/sandbox/fakepager"
)

// pagerKey is the routing key of the local PagerDuty, and hookSecret what its webhooks are signed with.
const pagerKey = "0123456789abcdef0123456789abcdef"

func hookSecret() string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte("sandbox, which has no secrets"))
}

// newPager returns the local pager. Whoever the plan file wants to be notified is in its place from now on: nobody
// is woken up because somebody plays.
func (w *Workspace) newPager() *fakepager.Server {
	w.secrets = map[string]string{}
	for _, e := range w.options.File.Environments {
		w.divert(e.Alerts)
		for _, s := range e.Services {
			w.divert(s.Alerts)
		}
	}
	return fakepager.New(fakepager.Config{RoutingKeys: []string{pagerKey}, Secret: hookSecret()})
}

// divert has those told here whom alerts notify, with secrets that are good here.
func (w *Workspace) divert(alerts *plan.Alerts) {
	if alerts == nil {
		return
	}
	for _, to := range alerts.Notify {
		switch {
		case to.PagerDuty != nil:
			to.PagerDuty.URL = w.slackURL + fakepager.EventsPath
			w.secrets[to.PagerDuty.RoutingKey.Env] = pagerKey
		case to.Webhook != nil:
			to.Webhook.URL = w.slackURL + fakepager.WebhookPath
			if to.Webhook.Secret == nil {
				to.Webhook.Secret = &plan.Value{Env: unsignedHook}
			}
			w.secrets[to.Webhook.Secret.Env] = hookSecret()
		}
	}
}

// unsignedHook is the variable of a webhook that the plan file leaves unsigned; the local one takes none such.
const unsignedHook = "SANDBOX_HOOK_SECRET"

// getenv adds what the plan's checks and those who are notified need to the real environment.
func (w *Workspace) getenv(name string) string {
	if name == "E2E_TOKEN" {
		return e2eToken
	}
	if secret, ok := w.secrets[name]; ok {
		return secret
	}
	return os.Getenv(name)
}
