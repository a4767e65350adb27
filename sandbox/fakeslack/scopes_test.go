package fakeslack

import (
	"net/http"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

// TestScopesOfEachMethod takes the scopes of each method away, and gives them
// alone.
func TestScopesOfEachMethod(t *testing.T) {
	for name, m := range methods {
		if m.app || len(m.scopes) == 0 {
			continue
		}
		without, alone := testConfig(), testConfig()
		without.Scopes, alone.Scopes = []string{scopeCommands}, m.scopes
		args := arguments{"channel": deploys, "types": ""}
		_, err := New(without).call(name, botToken, args)
		refusal, _ := err.(*apiError) //nolint:errorlint // never wrapped
		if refusal == nil || refusal.Code != "missing_scope" || refusal.Provided != scopeCommands || !strings.Contains(strings.Join(m.scopes, ","), refusal.Needed) {
			t.Errorf("%s without its scopes: %+v", name, refusal)
		}
		if _, err := New(alone).call(name, botToken, args); err != nil && err.Error() == "missing_scope" {
			t.Errorf("%s with %v: %v", name, m.scopes, err)
		}
	}
}

func TestScopesByKindOfConversation(t *testing.T) {
	cfg := testConfig()
	cfg.Scopes = []string{"channels:history", "im:write", "channels:read", "mpim:read"}
	s := New(cfg)
	dm := s.directWith("U0DEPLOYER").ID
	for _, c := range []struct {
		method string
		args   arguments
		needed string
	}{
		{"conversations.history", arguments{"channel": deploys}, ""},
		{"conversations.history", arguments{"channel": dm}, "im:history"},
		{"conversations.open", arguments{"users": "U0DEPLOYER"}, ""},
		{"conversations.list", arguments{}, ""},
		{"conversations.list", arguments{"types": "public_channel,mpim"}, ""},
		{"conversations.list", arguments{"types": "public_channel,im"}, "im:read"},
		{"conversations.info", arguments{"channel": dm}, "im:read"},
	} {
		err := s.checkScopes(methods[c.method], c.args)
		refusal, _ := err.(*apiError) //nolint:errorlint // never wrapped
		if (refusal == nil) != (c.needed == "") || refusal != nil && refusal.Needed != c.needed {
			t.Errorf("%s %v: %+v, want %q", c.method, c.args, refusal, c.needed)
		}
	}
}

func TestScopesInTheHeaders(t *testing.T) {
	inBubble(t, func(c *Config) { c.Scopes = []string{"chat:write", "users:read"} }, func(t *testing.T, w *workspace) {
		ask := func(method, token string) http.Header {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, baseURL+"/api/"+method, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := w.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			return resp.Header
		}
		for _, c := range []struct{ method, token, has, takes string }{
			{"chat.postMessage", botToken, "chat:write,users:read", "chat:write"},
			{"auth.test", botToken, "chat:write,users:read", ""},
			{"apps.connections.open", appToken, "connections:write", "connections:write"},
			{"chat.postMessage", "xoxb-other", "", ""},
			{"pins.add", botToken, "", ""},
		} {
			h := ask(c.method, c.token)
			if h.Get("X-OAuth-Scopes") != c.has || h.Get("X-Accepted-OAuth-Scopes") != c.takes {
				t.Errorf("%s: %v", c.method, h)
			}
		}
	})
}

func TestRetiredMethod(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		out := w.raw(t, "files.upload", "application/json", `{"token":"`+botToken+`","content":"x"}`)
		if !strings.Contains(out, `"error":"method_deprecated"`) {
			t.Error(out)
		}
	})
}

func TestWithoutItsScopesAnAppHearsNothing(t *testing.T) {
	inBubble(t, func(c *Config) { c.Scopes = []string{"chat:write", scopePublic} }, func(t *testing.T, w *workspace) {
		w.connect(acker(0, nil))
		if _, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"}); err == nil || !strings.Contains(err.Error(), "commands") {
			t.Errorf("a command without its scope: %v", err)
		}
		ack, err := w.Mention(t.Context(), MentionRequest{User: "deployer", Channel: deploys, Text: "status"})
		if err != nil || ack.TS == "" || ack.EventID != "" || w.count(CallEnvelope, "events_api", "") != 0 {
			t.Errorf("a mention without its scope: %+v, %v", ack, err)
		}
		if _, _, err := w.api.PostMessage("C0PRIVATE", slack.MsgOptionText("x", false)); err != nil {
			t.Errorf("chat:write.public: %v", err)
		}
	})
}
