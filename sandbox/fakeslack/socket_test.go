package fakeslack

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

func TestCommandReachesTheAppAndItsAckIsPosted(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		var got slack.SlashCommand
		var hello *socketmode.Request
		w.connect(func(c *socketmode.Client, e socketmode.Event) {
			switch e.Type {
			case socketmode.EventTypeHello:
				hello = e.Request
			case socketmode.EventTypeSlashCommand:
				got = e.Data.(slack.SlashCommand)
				time.Sleep(40 * time.Millisecond)
				_ = c.Ack(*e.Request, map[string]any{"text": "queued"})
			}
		})
		ack, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: "#deploys-staging", Command: "/deploy", Text: "staging"})
		if err != nil {
			t.Fatal(err)
		}
		if hello == nil || hello.NumConnections != 1 || hello.ConnectionInfo.AppID == "" {
			t.Errorf("hello = %+v", hello)
		}
		if got.Command != "/deploy" || got.Text != "staging" || got.UserID != "U0DEPLOYER" || got.ChannelID != deploys ||
			got.ResponseURL == "" || got.TriggerID == "" || got.TeamID == "" || got.APIAppID == "" {
			t.Errorf("command = %+v", got)
		}
		if ack.Elapsed != 40*time.Millisecond || string(ack.Payload) != `{"text":"queued"}` {
			t.Errorf("ack = %v %s", ack.Elapsed, ack.Payload)
		}
		if m := w.last(); m.Text != "queued" || m.EphemeralTo != "U0DEPLOYER" {
			t.Errorf("posted %+v", m)
		}
	})
}

func TestCommandWithoutConnectionOrMembership(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		_, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"})
		if !errors.Is(err, ErrNoConnection) {
			t.Errorf("error = %v", err)
		}
		w.connect(acker(0, nil))
		if _, err := w.Command(t.Context(), CommandRequest{User: "outsider", Channel: deploys, Command: "/deploy"}); err == nil {
			t.Error("a user who is not in the channel used a command there")
		}
	})
}

func TestUnackedEnvelopeGoesToAnotherConnection(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		seen := make(chan string, 10)
		deaf := func(name string) handler {
			return func(_ *socketmode.Client, e socketmode.Event) {
				if e.Type == socketmode.EventTypeSlashCommand {
					seen <- name + " " + e.Request.EnvelopeID
				}
			}
		}
		w.connect(deaf("one"))
		w.connect(deaf("two"))
		start := time.Now()
		_, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"})
		if !errors.Is(err, ErrNotAcked) || time.Since(start) != 3*time.Second {
			t.Errorf("error = %v after %v", err, time.Since(start))
		}
		first, second := <-seen, <-seen
		if first[:3] == second[:3] || first[3:] != second[3:] {
			t.Errorf("sent to %q, then to %q", first, second)
		}
		pass(time.Hour)
		if len(seen) != 0 {
			t.Errorf("sent more than twice: %s", <-seen)
		}
	})
}

func TestLostAckMakesADuplicate(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		w.connect(acker(0, nil))
		w.Fault(Fault{Method: "slash_commands", Kind: FaultTimeout})
		_, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"})
		if !errors.Is(err, ErrNotAcked) {
			t.Errorf("error = %v", err)
		}
		pass(time.Second)
		if n := w.count(CallEnvelope, "slash_commands", ""); n != 2 {
			t.Errorf("sent %d times, want 2", n)
		}
		if n := w.count(CallAck, "slash_commands", "ok"); n != 1 {
			t.Errorf("acked %d times, want once", n)
		}
	})
}

func TestMentionIsRetriedLikeAnEvent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		var at []time.Duration
		var mention *slackevents.AppMentionEvent
		start := time.Now()
		w.connect(func(_ *socketmode.Client, e socketmode.Event) {
			if e.Type == socketmode.EventTypeEventsAPI {
				at = append(at, time.Since(start))
				mention, _ = e.Data.(slackevents.EventsAPIEvent).InnerEvent.Data.(*slackevents.AppMentionEvent)
			}
		})
		ack, err := w.Mention(t.Context(), MentionRequest{User: "deployer", Channel: deploys, Text: "status"})
		if !errors.Is(err, ErrNotAcked) || ack.EventID == "" {
			t.Errorf("ack = %+v, error = %v", ack, err)
		}
		pass(10 * time.Minute)
		if len(at) != 4 || at[1] != 3*time.Second || at[2] < time.Minute || at[3] < 6*time.Minute {
			t.Errorf("sent at %v", at)
		}
		if mention == nil || mention.Text != "<@U0BOT> status" || mention.TimeStamp != ack.TS || mention.User != "U0DEPLOYER" {
			t.Errorf("event = %+v", mention)
		}
	})
}

func TestEachEnvelopeGoesToOneConnection(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		w.connect(acker(0, nil))
		w.connect(acker(0, nil))
		for range 40 {
			if _, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"}); err != nil {
				t.Fatal(err)
			}
		}
		c := w.Connections()
		if c[0].Sent+c[1].Sent != 40 || c[0].Sent < 5 || c[1].Sent < 5 || c[0].Acked != c[0].Sent {
			t.Errorf("connections = %+v", c)
		}
	})
}

func TestDisconnectAndReconnect(t *testing.T) {
	for _, reason := range []string{"", reasonWarning, "link_disabled"} {
		t.Run("reason "+reason, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *workspace) {
				w.connect(acker(0, nil))
				first := w.Connections()[0].ID
				w.Fault(Fault{Kind: FaultDisconnect, Reason: reason})
				pass(time.Second)
				now := w.Connections()
				if len(now) != 1 || now[0].ID == first {
					t.Errorf("connections = %+v, want a new one in place of %s", now, first)
				}
				if _, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestConnectionEndsAfterItsLifetime(t *testing.T) {
	inBubble(t, func(c *Config) { c.Lifetime = time.Minute }, func(t *testing.T, w *workspace) {
		conn := w.rawSocket(t)
		var reasons []string
		start := time.Now()
		for {
			var m struct{ Type, Reason string }
			if err := conn.ReadJSON(&m); err != nil {
				break
			}
			reasons = append(reasons, m.Type+" "+m.Reason)
		}
		want := []string{"hello ", "disconnect warning", "disconnect refresh_requested"}
		if len(reasons) != 3 || reasons[0] != want[0] || reasons[1] != want[1] || reasons[2] != want[2] {
			t.Errorf("got %q, want %q", reasons, want)
		}
		if lived := time.Since(start); lived != time.Minute+leaveGrace {
			t.Errorf("closed after %v", lived)
		}
	})
}

// rawSocket opens a socket without slack-go, which hides what it is told.
func (w *workspace) rawSocket(t *testing.T) *websocket.Conn {
	t.Helper()
	_, url, err := w.api.StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := w.dialSocket(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (w *workspace) dialSocket(url string) (*websocket.Conn, error) {
	conn, resp, err := (&websocket.Dialer{NetDialContext: w.dial}).Dial(url, nil)
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	return conn, err
}

func TestTicketIsGoodOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		_, url, err := w.api.StartSocketModeContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := w.dialSocket(url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if again, err := w.dialSocket(url); err == nil {
			_ = again.Close()
			t.Error("a ticket opened two connections")
		}
	})
}

func TestEleventhConnectionIsTooMany(t *testing.T) {
	inBubble(t, func(c *Config) { c.RateLimits = Off }, func(t *testing.T, w *workspace) {
		for range 10 {
			var hello map[string]any
			if err := w.rawSocket(t).ReadJSON(&hello); err != nil || hello["type"] != "hello" {
				t.Fatalf("hello = %v, %v", hello, err)
			}
		}
		conn := w.rawSocket(t)
		var m struct{ Type, Reason string }
		if err := conn.ReadJSON(&m); err != nil || m.Reason != reasonTooMany {
			t.Errorf("eleventh got %+v, %v", m, err)
		}
		if err := conn.ReadJSON(&m); err == nil {
			t.Error("the eleventh connection stayed open")
		}
		if n := len(w.Connections()); n != 10 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestPingsKeepAConnectionAndTheirLackEndsIt(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		w.connect(acker(0, nil))
		first := w.Connections()[0].ID
		pass(10 * time.Minute)
		if now := w.Connections(); len(now) != 1 || now[0].ID != first {
			t.Fatalf("connections = %+v, want the first still", now)
		}
		w.Fault(Fault{Kind: FaultNoPing})
		pass(2 * time.Minute)
		if now := w.Connections(); len(now) != 1 || now[0].ID == first {
			t.Errorf("connections = %+v, want a new one after 30 s without a ping", now)
		}
	})
}

func TestAcksThatSlackDrops(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		conn := w.rawSocket(t)
		var hello map[string]any
		if err := conn.ReadJSON(&hello); err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				var e struct {
					ID string `json:"envelope_id"`
				}
				if conn.ReadJSON(&e) != nil {
					return
				}
				big, _ := json.Marshal(map[string]any{"envelope_id": e.ID, "payload": map[string]string{"text": string(make([]byte, maxAck))}})
				_ = conn.WriteMessage(websocket.TextMessage, big)
			}
		}()
		_, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"})
		if !errors.Is(err, ErrNotAcked) {
			t.Errorf("error = %v, want the 20 KB ack dropped", err)
		}
	})
}
