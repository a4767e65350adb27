package fakeslack

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

func TestRateLimits(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		ts := w.post(slack.MsgOptionText("x", false))
		update := func() error {
			_, _, _, err := w.api.UpdateMessage(deploys, ts, slack.MsgOptionText("y", false))
			return err
		}
		for i := range 50 {
			if err := update(); err != nil {
				t.Fatalf("update %d: %v", i+1, err)
			}
		}
		pass(20 * time.Second)
		limited, ok := errors.AsType[*slack.RateLimitedError](update())
		if !ok || limited.RetryAfter != 40*time.Second {
			t.Fatalf("the 51st update in a minute: %v", limited)
		}
		pass(limited.RetryAfter)
		if err := update(); err != nil {
			t.Errorf("after Retry-After: %v", err)
		}
	})
}

func TestPostingIsLimitedByChannel(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		for range 5 {
			w.post(slack.MsgOptionText("x", false))
		}
		_, _, err := w.api.PostMessage(deploys, slack.MsgOptionText("x", false))
		if _, ok := errors.AsType[*slack.RateLimitedError](err); !ok {
			t.Errorf("the sixth in a burst: %v", err)
		}
		if _, _, err := w.api.PostMessage("C0GENERAL", slack.MsgOptionText("x", false)); err != nil {
			t.Errorf("another channel: %v", err)
		}
	})
}

func TestFaults(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		post := func() error {
			_, _, err := w.api.PostMessage(deploys, slack.MsgOptionText("x", false))
			return err
		}
		w.Fault(Fault{Method: "chat.postMessage", Kind: FaultRateLimit, RetryAfter: 7 * time.Second})
		if limited, ok := errors.AsType[*slack.RateLimitedError](post()); !ok || limited.RetryAfter != 7*time.Second {
			t.Errorf("429: %v", limited)
		}
		w.Fault(Fault{Method: "*", Kind: FaultError, Code: "edit_window_closed"})
		wantCode(t, post(), "edit_window_closed")
		w.Fault(Fault{Method: "chat.postMessage", Kind: FaultError, Code: "503"})
		if status, ok := errors.AsType[slack.StatusCodeError](post()); !ok || status.Code != http.StatusServiceUnavailable {
			t.Errorf("503: %v", status)
		}
		if n := len(w.Messages(deploys)); n != 0 {
			t.Errorf("%d messages after refusals", n)
		}
		w.Fault(Fault{Method: "chat.postMessage", Kind: FaultAppliedButError})
		wantCode(t, post(), "internal_error")
		if n := len(w.Messages(deploys)); n != 1 {
			t.Errorf("%d messages after applied_but_error, want 1", n)
		}
		w.Fault(Fault{Method: "*", Kind: FaultError, Count: 100})
		w.ClearFaults()
		w.Fault(Fault{Method: "chat.postMessage", Kind: FaultTimeout})
		w.http.Timeout = 5 * time.Second
		start := time.Now()
		if err := post(); err == nil || time.Since(start) != 5*time.Second {
			t.Errorf("timeout: %v after %v", err, time.Since(start))
		}
		if err := post(); err != nil {
			t.Errorf("after the faults: %v", err)
		}
		if n := len(w.Messages(deploys)); n != 2 {
			t.Errorf("%d messages, want 2", n)
		}
	})
}

func TestResponseURL(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		var responseURL string
		w.connect(func(c *socketmode.Client, e socketmode.Event) {
			if e.Type == socketmode.EventTypeSlashCommand {
				responseURL = e.Data.(slack.SlashCommand).ResponseURL
				_ = c.Ack(*e.Request)
			}
		})
		if _, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"}); err != nil {
			t.Fatal(err)
		}
		answer := func(kind string) error {
			_, _, err := w.api.PostMessage(deploys, slack.MsgOptionText("later", false), slack.MsgOptionResponseURL(responseURL, kind))
			return err
		}
		for range 4 {
			if err := answer(slack.ResponseTypeEphemeral); err != nil {
				t.Fatal(err)
			}
		}
		if m := w.last(); m.EphemeralTo != "U0DEPLOYER" {
			t.Errorf("ephemeral answer = %+v", m)
		}
		if err := answer(slack.ResponseTypeInChannel); err != nil {
			t.Errorf("fifth use: %v", err)
		}
		if m := w.last(); m.EphemeralTo != "" {
			t.Errorf("answer in the channel = %+v", m)
		}
		if err := answer(slack.ResponseTypeEphemeral); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("sixth use: %v", err)
		}
		if _, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"}); err != nil {
			t.Fatal(err)
		}
		pass(31 * time.Minute)
		if err := answer(slack.ResponseTypeEphemeral); err == nil {
			t.Error("a response URL worked after 31 minutes")
		}
		if n := len(w.Messages(deploys)); n != 5 {
			t.Errorf("%d messages, want 5", n)
		}
	})
}

func TestALongRunDoesNotGrow(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		use := func() (trigger string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.newResponseURL(w.channels[0], "U0DEPLOYER", nil)
			return w.newTrigger("U0DEPLOYER", nil)
		}
		for range 3 {
			for range mostTriggers * 2 / 5 {
				use()
			}
			pass(responseLife + time.Second)
		}
		live := use()
		w.mu.Lock()
		triggers, responses := len(w.triggers), len(w.responses)
		w.mu.Unlock()
		if triggers > mostTriggers || responses > mostResponses {
			t.Errorf("%d triggers and %d response URLs are kept", triggers, responses)
		}
		if _, err := w.api.OpenView(live, modal(reasonInput())); err != nil {
			t.Errorf("a new trigger: %v", err)
		}
	})
}
