package bot

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway/commands"
	"slipway/sandbox/fakeslack"
)

func someForm() *commands.Form {
	return &commands.Form{
		Targets: []string{"staging", "production", "staging/backend"}, Target: "staging", Example: "develop-long-lived",
		Hint: "Leave it empty to deploy what the tag develop-long-lived points to now.",
	}
}

func someWindow() *commands.Window {
	return &commands.Window{Title: "Rollout abc234", Parts: []commands.Paragraph{
		{Text: "backend on staging (abc234): waiting for {@@release-managers} until {t:1795349400}."},
		{Text: "Deploy (3.1), failed: The <container> crashed.", Verbatim: "Traceback <most recent call last>:\n  File \"/app/main.py\" & more"},
	}}
}

func TestModalViews(t *testing.T) {
	golden(t, "form.json", indented(t, formView(*someForm(), originOf(Envelope{Channel: Channel{ID: "C0DEPLOYS", Name: "deploys-staging"}}))))
	empty := commands.Form{Targets: []string{"staging", strings.Repeat("x", 200)}}
	golden(t, "form_home.json", indented(t, formView(empty, originOf(Envelope{Home: true}))))
	golden(t, "window.json", indented(t, windowView(*someWindow(), written)))
}

// A window that is longer than Slack takes says how much is missing.
func TestALongWindowIsTaken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = func(commands.Request) commands.Reply {
			window := commands.Window{Title: strings.Repeat("long title ", 9)}
			for i := range 80 {
				window.Parts = append(window.Parts, commands.Paragraph{Text: fmt.Sprint(i, strings.Repeat("<&>", 2000)), Verbatim: strings.Repeat("<&>", 400)})
			}
			return commands.Reply{Text: "too long", Window: &window}
		}
		w.run(w.bot())
		pass(time.Second)
		_, _ = w.Command(t.Context(), deployCommand())
		pass(2 * time.Second)
		views := w.Views("deployer")
		if len(views) != 1 || !strings.Contains(string(views[0].Blocks), "more do not fit here") {
			t.Errorf("%d views, answers %q\n%s", len(views), w.answers(), w.log)
		}
	})
}

// opensForm answers an empty command and the button with a form, everything else with its text.
func opensForm(r commands.Request) commands.Reply {
	switch {
	case r.Show == commands.ShowHome:
		return commands.Reply{Home: &commands.Home{}}
	case r.Show == commands.ShowForm || r.Text == "":
		return commands.Reply{Text: "this is the help", Form: someForm()}
	}
	return commands.Reply{Text: fmt.Sprintf("Starting %s for {@%s}.", r.Text, r.Actor.ID)}
}

// orders are the requests that came from a form.
func (w *world) orders() (texts []string) {
	for _, r := range w.served.requests() {
		if r.Show == "" && r.Text != "" {
			texts = append(texts, r.Text)
		}
	}
	return texts
}

// openForm types /deploy alone and returns the form that opens.
func (w *world) openForm() fakeslack.View {
	w.t.Helper()
	command := deployCommand()
	command.Text = ""
	if _, err := w.Command(w.t.Context(), command); err != nil {
		w.t.Fatal(err)
	}
	pass(time.Second)
	views := w.Views("deployer")
	if len(views) != 1 {
		w.t.Fatalf("%d views, answers %q\n%s", len(views), w.answers(), w.log)
	}
	return views[0]
}

func filledIn(view fakeslack.View, target, what string) fakeslack.SubmitRequest {
	return fakeslack.SubmitRequest{User: "deployer", ViewID: view.ID, Values: map[string]map[string]any{
		"target": {"target": map[string]any{"type": "static_select", "selected_option": map[string]any{"value": target, "text": map[string]any{"type": "plain_text", "text": target}}}},
		"what":   {"what": map[string]any{"type": "plain_text_input", "value": what}},
	}}
}

// A form must be open within three seconds of the command, with a store that is far away and with all
// workers but one at work.
func TestTheFormOpensInTime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cfg.Inbox = slowInbox{w.store, 300 * time.Millisecond}
		w.served.reply = func(r commands.Request) commands.Reply {
			if r.Text != "" {
				time.Sleep(30 * time.Second)
			}
			return opensForm(r)
		}
		w.run(w.bot())
		pass(time.Second)
		for range workers - 1 {
			if _, err := w.Command(t.Context(), deployCommand()); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Second)
		began := time.Now()
		w.openForm()
		opened := w.calls("views.open")
		if len(opened) != 1 || opened[0].Outcome != "ok" || opened[0].Time.Sub(began) > 500*time.Millisecond {
			t.Errorf("opened %+v, from %v", opened, began)
		}
		if got := w.answers(); len(got) != 0 {
			t.Errorf("answers %q", got)
		}
		pass(time.Minute)
	})
}

// A submission whose ack is lost is sent again, and deploys once.
func TestAFormDeploysOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = opensForm
		w.run(w.bot())
		pass(time.Second)
		view := w.openForm()
		w.Fault(fakeslack.Fault{Method: "interactive", Kind: fakeslack.FaultTimeout, Count: 1})
		_, _ = w.Submit(t.Context(), filledIn(view, "staging/backend", " v1.2.3 "))
		pass(time.Minute)
		sent := 0
		for _, c := range w.Journal() {
			if c.Kind == fakeslack.CallEnvelope && c.Method == "interactive" {
				sent++
			}
		}
		if got := w.orders(); sent != 2 || len(got) != 1 || got[0] != "staging/backend v1.2.3" {
			t.Fatalf("sent %d times, handled %q", sent, got)
		}
		order := w.served.requests()[1]
		if order.Actor != deployer || order.Channel != deploys || order.ChannelName != "deploys-staging" || order.Mention || order.ID != "form/"+view.ID {
			t.Errorf("request %+v", order)
		}
		if got := w.answers(); len(got) != 1 || got[0] != "Starting staging/backend v1.2.3 for <@U0DEPLOYER>." {
			t.Errorf("answers %q", got)
		}
	})
}

// What is wrong with a form is shown in it, and nothing is stored.
func TestMistakesAreShownInTheForm(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = opensForm
		w.served.check = func(o commands.Order, channel string) map[string]string {
			if o.What != "v1" || channel != deploys {
				return map[string]string{commands.FieldWhat: "'" + o.What + "' is no tag."}
			}
			return nil
		}
		w.run(w.bot())
		pass(time.Second)
		view := w.openForm()
		stored := len(w.redis.Keys())
		ack, err := w.Submit(t.Context(), filledIn(view, "staging", "v 1"))
		pass(2 * time.Second)
		if err != nil || ack.Problem != "" || string(ack.Payload) != `{"response_action":"errors","errors":{"what":"'v 1' is no tag."}}` {
			t.Fatalf("ack %s %+v, %v", ack.Payload, ack, err)
		}
		if len(w.Views("deployer")) != 1 || len(w.orders()) != 0 || len(w.redis.Keys()) != stored {
			t.Errorf("%d views, handled %q, keys %q", len(w.Views("deployer")), w.orders(), w.redis.Keys())
		}
		ack, err = w.Submit(t.Context(), filledIn(view, "staging", "v1"))
		pass(2 * time.Second)
		if err != nil || len(w.Views("deployer")) != 0 || len(w.orders()) != 1 || len(w.redis.Keys()) == stored {
			t.Errorf("ack %s, %v; handled %q", ack.Payload, err, w.orders())
		}
	})
}

// A check that fails is no reason to lose a form: the handler meets the same mistake.
func TestAPanicOfTheCheckLosesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = opensForm
		w.served.check = func(commands.Order, string) map[string]string { panic("no file") }
		w.run(w.bot())
		pass(time.Second)
		view := w.openForm()
		if _, err := w.Submit(t.Context(), filledIn(view, "staging", "")); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if got := w.orders(); len(got) != 1 || got[0] != "staging" || !strings.Contains(w.log.String(), "no file") {
			t.Errorf("handled %q\n%s", got, w.log)
		}
	})
}

// Where no window can be opened there is the text: after the trigger's three seconds, when Slack does
// not take the view, and for whoever mentions the bot.
func TestWhatCannotBeOpenedIsSaid(t *testing.T) {
	tests := []struct {
		name  string
		late  time.Duration
		fault string
		calls int
	}{
		{"the trigger is over", 4 * time.Second, "", 0},
		{"the trigger runs out on the way", 0, "expired_trigger_id", 1},
		{"slack fails", 0, "500", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.served.reply = func(r commands.Request) commands.Reply {
					time.Sleep(tt.late)
					return opensForm(r)
				}
				if tt.fault != "" {
					w.Fault(fakeslack.Fault{Method: "views.open", Kind: fakeslack.FaultError, Code: tt.fault, Count: 9})
				}
				w.run(w.bot())
				pass(time.Second)
				command := deployCommand()
				command.Text = ""
				if _, err := w.Command(t.Context(), command); err != nil {
					t.Fatal(err)
				}
				pass(10 * time.Second)
				if got := w.answers(); len(got) != 1 || got[0] != "this is the help" || len(w.Views("deployer")) != 0 || len(w.calls("views.open")) != tt.calls {
					t.Errorf("answers %q, %d calls\n%s", got, len(w.calls("views.open")), w.log)
				}
			})
		})
	}
}

func TestDetailsOpenInAWindow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = func(commands.Request) commands.Reply {
			return commands.Reply{Text: "the details in short", Window: someWindow()}
		}
		w.run(w.bot())
		s := newStory(t)
		w.create(s)
		pass(5 * time.Second)
		top, _ := w.channel()
		click := fakeslack.ClickRequest{User: "outsider", Channel: deploys, TS: top[0].TS, ActionID: "details"}
		if _, err := w.Click(t.Context(), click); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		views := w.Views("outsider")
		if len(views) != 1 || views[0].Text("title") != "Rollout abc234" || !strings.Contains(string(views[0].Blocks), "<!subteam^S0RELEASE>") || len(w.answers()) != 0 {
			t.Fatalf("%+v, answers %q\n%s", views, w.answers(), w.log)
		}
		if _, err := w.CloseView(t.Context(), fakeslack.CloseRequest{User: "outsider", ViewID: views[0].ID}); err != nil {
			t.Fatal(err)
		}
		w.Fault(fakeslack.Fault{Method: "views.open", Kind: fakeslack.FaultError, Code: "500", Count: 1})
		if _, err := w.Click(t.Context(), click); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Mention(t.Context(), fakeslack.MentionRequest{User: "outsider", Channel: deploys, Text: "status"})
		pass(2 * time.Second)
		if got := w.answers(); len(got) != 2 || got[0] != "the details in short" || got[1] != got[0] || !strings.Contains(w.log.String(), "a window was not opened") {
			t.Errorf("answers %q\n%s", got, w.log)
		}
	})
}

// comesBack is a store whose Redis is away for a while.
type comesBack struct {
	Inbox
	down *bool
}

func (i comesBack) Accept(ctx context.Context, id string, body []byte) (bool, error) {
	if *i.down {
		return downInbox{}.Accept(ctx, id, body)
	}
	return i.Inbox.Accept(ctx, id, body)
}

// Without Redis the form says so and stays open, and can be submitted once it is back.
func TestWithoutRedisTheFormSaysThatNothingWasStarted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		down := false
		w.cfg.Inbox, w.served.reply = comesBack{w.store, &down}, opensForm
		w.run(w.bot())
		pass(time.Second)
		view := w.openForm()
		down = true
		ack, err := w.Submit(t.Context(), filledIn(view, "staging", ""))
		pass(time.Second)
		if err != nil || ack.Problem != "" || !strings.Contains(string(ack.Payload), `"target":"Nothing was started:`) || len(w.Views("deployer")) != 1 {
			t.Fatalf("ack %s %+v, %v", ack.Payload, ack, err)
		}
		down = false
		if _, err := w.Submit(t.Context(), filledIn(view, "staging", "")); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if got := w.orders(); len(got) != 1 || len(w.Views("deployer")) != 0 {
			t.Errorf("handled %q", got)
		}
	})
}

// From the Home tab there is no channel: the answer is on the Home and in the direct messages.
func TestAFormFromTheHome(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = opensForm
		w.run(w.bot())
		pass(time.Second)
		_, _ = w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "deployer"})
		pass(time.Second)
		home, _ := w.home("deployer")
		if _, err := w.Click(t.Context(), fakeslack.ClickRequest{User: "deployer", ViewID: home.ID, ActionID: "deploy"}); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		views := w.Views("deployer")
		if len(views) != 1 || views[0].Text("submit") != "Deploy" {
			t.Fatalf("%+v\n%s", views, w.log)
		}
		if again, text := w.home("deployer"); again.Hash == home.Hash || strings.Contains(text, "this is the help") {
			t.Errorf("Home %s", text)
		}
		if _, err := w.Submit(t.Context(), filledIn(views[0], "production", "v2")); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		const want = "Starting production v2 for <@U0DEPLOYER>."
		_, text := w.home("deployer")
		if direct := w.Messages("U0DEPLOYER"); !strings.Contains(text, want) || len(direct) != 1 || direct[0].Text != want || len(w.answers()) != 0 {
			t.Errorf("Home %s, direct messages %+v, answers %q", text, direct, w.answers())
		}
	})
}

// Who has left the channel since is told all the same.
func TestAnAnswerThatTheChannelDoesNotTake(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = opensForm
		w.run(w.bot())
		pass(time.Second)
		view := w.openForm()
		w.Fault(fakeslack.Fault{Method: "chat.postEphemeral", Kind: fakeslack.FaultError, Code: "user_not_in_channel", Count: 1})
		if _, err := w.Submit(t.Context(), filledIn(view, "staging", "")); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if direct := w.Messages("U0DEPLOYER"); len(direct) != 1 || direct[0].Text != "Starting staging for <@U0DEPLOYER>." {
			t.Errorf("direct messages %+v\n%s", direct, w.log)
		}
	})
}

// A form that is closed starts nothing.
func TestAClosedFormStartsNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = opensForm
		w.run(w.bot())
		pass(time.Second)
		view := w.openForm()
		if _, err := w.CloseView(t.Context(), fakeslack.CloseRequest{User: "deployer", ViewID: view.ID}); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if got := w.orders(); len(got) != 0 || len(w.Views("deployer")) != 0 {
			t.Errorf("handled %q", got)
		}
	})
}
