package bot

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/commands"
	"slipway/rollout"
	"slipway/sandbox/fakeslack"
	"slipway/state"
)

func deployCommand() fakeslack.CommandRequest {
	return fakeslack.CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy", Text: "staging a&b"}
}

// answers are the messages that only one person saw.
func (w *world) answers() (texts []string) {
	for _, m := range w.Messages(deploys) {
		if m.EphemeralTo != "" {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// slowInbox takes as long as a store that is far away.
type slowInbox struct {
	Inbox
	d time.Duration
}

func (i slowInbox) Accept(ctx context.Context, id string, body []byte) (bool, error) {
	if err := sleep(ctx, i.d); err != nil {
		return false, err
	}
	return i.Inbox.Accept(ctx, id, body)
}

// A handler that takes 5 s holds up no ack: only the store stands before it.
func TestOnlyTheInboxStandsBeforeTheAck(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cfg.Inbox = slowInbox{w.store, 20 * time.Millisecond}
		w.served.reply = func(commands.Request) commands.Reply {
			time.Sleep(5 * time.Second) // of the bubble's time
			return commands.Reply{Text: "done for {@U0DEPLOYER} & <b>"}
		}
		w.run(w.bot())
		pass(time.Second)
		var took []time.Duration
		for range 9 {
			ack, err := w.Command(t.Context(), deployCommand())
			if err != nil {
				t.Fatal(err)
			}
			took = append(took, ack.Elapsed)
		}
		slices.Sort(took)
		if median := took[len(took)/2]; median > 50*time.Millisecond {
			t.Errorf("median ack after %v", median)
		}
		pass(30 * time.Second)
		if seen := w.served.requests(); len(seen) != 9 || seen[0].Text != "staging a&b" || seen[0].Actor.ID != "U0DEPLOYER" {
			t.Errorf("handled %d: %+v", len(seen), seen)
		}
		if got := w.answers(); len(got) != 9 || got[0] != "done for <@U0DEPLOYER> &amp; &lt;b&gt;" {
			t.Errorf("answers %q", got)
		}
	})
}

// Slack sends an envelope again when the ack is lost; the command happens once.
func TestResentEnvelopesHappenOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Fault(fakeslack.Fault{Method: "slash_commands", Kind: fakeslack.FaultTimeout, Count: 1})
		w.run(w.bot())
		pass(time.Second)
		_, _ = w.Command(t.Context(), deployCommand()) // the first ack is lost, so Slack may report a failure
		pass(30 * time.Second)
		sent := 0
		for _, c := range w.Journal() {
			if c.Kind == fakeslack.CallEnvelope && c.Method == "slash_commands" {
				sent++
			}
		}
		if seen := w.served.requests(); sent < 2 || len(seen) != 1 {
			t.Errorf("sent %d times, handled %d times", sent, len(seen))
		}
	})
}

// downInbox is a store without its Redis. With slow it does not even refuse.
type downInbox struct {
	Inbox
	slow bool
}

func (i downInbox) Accept(ctx context.Context, _ string, _ []byte) (bool, error) {
	if i.slow {
		<-ctx.Done()
		return false, &state.Error{Op: "accept", Reason: "Redis did not answer in time", Err: ctx.Err()}
	}
	return false, &state.Error{Op: "accept", Reason: "Redis cannot be reached", Err: syscall.ECONNREFUSED, Unwritten: true}
}

// Without Redis the ack says that nothing was done, if that is certain.
func TestAckWithoutRedis(t *testing.T) {
	for _, slow := range []bool{false, true} {
		says := "Nothing was done:"
		if slow {
			says = "Slipway's store (Redis) does not answer now, so it is not known yet whether this will be done."
		}
		inWorld(t, func(t *testing.T, w *world) {
			w.cfg.Inbox = downInbox{w.store, slow}
			w.run(w.bot())
			s := newStory(t)
			w.create(s)
			w.commit(s, func() { s.toApproval() })
			pass(5 * time.Second)
			ack, err := w.Command(t.Context(), deployCommand())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(ack.Payload), `"response_type":"ephemeral"`) || !strings.Contains(string(ack.Payload), says) || ack.Elapsed > 2*time.Second {
				t.Errorf("ack after %v: %s", ack.Elapsed, ack.Payload)
			}
			top, _ := w.channel()
			click := fakeslack.ClickRequest{User: "approver", Channel: deploys, TS: top[0].TS, ActionID: "approve"}
			if ack, err := w.Click(t.Context(), click); err != nil || ack.Elapsed > 2*time.Second {
				t.Errorf("click: %+v, %v", ack, err)
			}
			pass(2 * time.Second)
			if got := w.answers(); len(got) != 2 || !strings.HasPrefix(got[1], says) {
				t.Errorf("answers %q", got)
			}
			if seen := w.served.requests(); len(seen) != 0 {
				t.Errorf("handled %+v", seen)
			}
		})
	}
}

// lostReply stores and then fails, the first time.
type lostReply struct {
	Inbox
	lost *bool
}

func (i lostReply) Accept(ctx context.Context, id string, body []byte) (bool, error) {
	fresh, err := i.Inbox.Accept(ctx, id, body)
	if err == nil && !*i.lost {
		*i.lost = true
		return false, errors.New("connection reset")
	}
	return fresh, err
}

func TestALostReplyOfTheInboxIsNoFailure(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		lost := false
		w.cfg.Inbox = lostReply{w.store, &lost}
		w.run(w.bot())
		pass(time.Second)
		ack, err := w.Command(t.Context(), deployCommand())
		pass(2 * time.Second)
		if err != nil || len(ack.Payload) > 2 || len(w.served.requests()) != 1 || !lost {
			t.Errorf("ack %s, %v; handled %d times", ack.Payload, err, len(w.served.requests()))
		}
	})
}

func TestAClickReachesTheHandlerAndIsAnswered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = func(commands.Request) commands.Reply {
			return commands.Reply{Text: "Only {@@release-managers} may approve this; you are not in it."}
		}
		w.run(w.bot())
		s := newStory(t)
		w.create(s)
		w.commit(s, func() { s.toApproval() })
		pass(5 * time.Second)
		top, _ := w.channel()
		if _, err := w.Click(t.Context(), fakeslack.ClickRequest{User: "outsider", Channel: deploys, TS: top[0].TS, ActionID: "approve"}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		seen := w.served.requests()
		want := commands.Click{Verb: rollout.VerbApprove, Rollout: s.r.ID, Ask: "2.1", Version: s.r.Version}
		if len(seen) != 1 || seen[0].Click == nil || *seen[0].Click != want {
			t.Errorf("handled %+v", seen)
		}
		if got := w.answers(); len(got) != 1 || got[0] != "Only <!subteam^S0RELEASE> may approve this; you are not in it." {
			t.Errorf("answers %q", got)
		}
	})
}

func TestAPanicIsAnswered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = func(commands.Request) commands.Reply { panic("secret detail") }
		w.run(w.bot())
		pass(time.Second)
		if _, err := w.Command(t.Context(), deployCommand()); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Minute)
		if got := w.answers(); len(got) != 1 || !strings.Contains(got[0], "failed") || strings.Contains(got[0], "secret") {
			t.Errorf("answers %q", got)
		}
		if len(w.served.requests()) != 1 || !strings.Contains(w.log.String(), "secret detail") {
			t.Errorf("handled %d times; log %s", len(w.served.requests()), w.log)
		}
	})
}

// slack-go alone asks for thousands of connections in this case.
func TestAReconnectStormIsPaced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Fault(fakeslack.Fault{Kind: fakeslack.FaultDisconnect, Reason: "too_many_websockets", Count: 8})
		w.run(w.bot())
		pass(time.Minute)
		opens := w.calls("apps.connections.open")
		if len(opens) < 3 || len(opens) > 10 {
			t.Errorf("%d connections asked for in a minute", len(opens))
		}
		for i := 1; i < len(opens); i++ {
			if gap := opens[i].Time.Sub(opens[i-1].Time); gap < time.Second {
				t.Errorf("connection %d was asked for %v after the one before", i, gap)
			}
		}
	})
}

func TestARefreshedConnectionIsBackAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.run(w.bot())
		pass(time.Minute)
		w.Fault(fakeslack.Fault{Kind: fakeslack.FaultDisconnect, Reason: "refresh_requested"})
		pass(time.Second)
		if _, err := w.Command(t.Context(), deployCommand()); err != nil {
			t.Error(err)
		}
	})
}

func TestDrain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = func(commands.Request) commands.Reply {
			time.Sleep(3 * time.Second)
			return commands.Reply{Text: "finished"}
		}
		stop := w.run(w.bot())
		pass(time.Second)
		if _, err := w.Command(t.Context(), deployCommand()); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > drainTime || len(w.answers()) != 1 || len(w.Connections()) != 0 {
			t.Errorf("ended after %v with %d answers and %d connections", took, len(w.answers()), len(w.Connections()))
		}
	})
}

// What will not end is given up, and happens elsewhere when its lease is over.
func TestDrainIsBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		stuck := true
		w.served.reply = func(commands.Request) commands.Reply {
			if stuck {
				time.Sleep(time.Hour)
			}
			return commands.Reply{}
		}
		w.cfg.Handler = obedient{&w.served}
		stop := w.run(w.bot())
		pass(time.Second)
		if _, err := w.Command(t.Context(), deployCommand()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := stop(); err != nil || time.Since(began) > drainTime+2*time.Second {
			t.Errorf("ended after %v: %v", time.Since(began), err)
		}
		pass(time.Hour)
	})
}

// obedient gives up with its context, as the engine's calls do.
type obedient struct{ *handler }

func (o obedient) Handle(ctx context.Context, r commands.Request) commands.Reply {
	done := make(chan commands.Reply, 1)
	go func() { done <- o.handler.Handle(ctx, r) }()
	select {
	case reply := <-done:
		return reply
	case <-ctx.Done():
		return commands.Reply{}
	}
}

func TestWrongTokensEndTheRun(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cfg.AppToken, w.cfg.BotToken = "xapp-wrong", "xoxb-wrong"
		b := w.bot()
		if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "SLACK_BOT_TOKEN") || strings.Contains(err.Error(), "xoxb-wrong") {
			t.Errorf("Check: %v", err)
		}
		if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "SLACK_APP_TOKEN") {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestAMissingScopeIsSurfaced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Fault(fakeslack.Fault{Method: "apps.connections.open", Kind: fakeslack.FaultError, Code: "missing_scope", Count: 2})
		w.run(w.bot())
		pass(time.Minute)
		if !strings.Contains(w.log.String(), "missing_scope") {
			t.Errorf("log: %s", w.log)
		}
		if _, err := w.Command(t.Context(), deployCommand()); err != nil {
			t.Errorf("not connected after the scope was granted: %v", err)
		}
	})
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	_, err := New(Config{AppToken: "xoxb-swapped", BotToken: "xapp-swapped", HTTP: &http.Client{}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "an inbox"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "swapped") {
		t.Errorf("%q shows a token", err)
	}
}
