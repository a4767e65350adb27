package fakeslack

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

func TestControl(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		w.connect(acker(20*time.Millisecond, map[string]string{"text": "ok", "response_type": "in_channel"}))
		control := func(path, body string) (int, string) {
			resp, err := w.http.Post(baseURL+"/_control/"+path, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			out, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(out)
		}
		status, out := control("command", `{"user":"deployer","channel":"deploys-staging","command":"/deploy","text":"staging"}`)
		var ack struct {
			Payload map[string]string
			AckMS   float64 `json:"ack_ms"`
		}
		if err := json.Unmarshal([]byte(out), &ack); err != nil || status != 200 || ack.AckMS != 20 || ack.Payload["text"] != "ok" {
			t.Errorf("command: %d %s", status, out)
		}
		for _, bad := range []string{`{"user":"nobody","channel":"general"}`, `{"usr":"deployer"}`, `{`} {
			if status, out := control("command", bad); status < 400 || !strings.Contains(out, "error") {
				t.Errorf("command %s: %d %s", bad, status, out)
			}
		}
		status, _ = control("fault", `{"target":"slack","method":"auth.test","kind":"429","retry_after":"1m"}`)
		_, err := w.api.AuthTest()
		if limited, ok := errors.AsType[*slack.RateLimitedError](err); !ok || status != 200 || limited.RetryAfter != time.Minute {
			t.Errorf("fault: %d, then %v", status, err)
		}
		for _, bad := range []string{`{"kind":"unknown"}`, `{"kind":"error"}`, `{"target":"gcp","kind":"429","method":"x"}`} {
			if status, _ := control("fault", bad); status != http.StatusBadRequest {
				t.Errorf("fault %s: %d", bad, status)
			}
		}
		var messages []Message
		if err := json.Unmarshal([]byte(w.control(t, "messages?channel=deploys-staging")), &messages); err != nil || len(messages) != 1 || messages[0].EphemeralTo != "" {
			t.Errorf("messages = %+v, %v", messages, err)
		}
		if state := w.control(t, "state"); !strings.Contains(state, `"connections":[{"id"`) {
			t.Errorf("state = %s", state)
		}
		if journal := w.control(t, "journal"); !strings.Contains(journal, `"ack_ms":20`) {
			t.Errorf("journal = %s", journal)
		}
	})
}

func (w *workspace) control(t *testing.T, path string) string {
	t.Helper()
	resp, err := w.http.Get(baseURL + "/_control/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
