package bot

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/sandbox/fakeslack"
)

// written is the notation of replies turned into markup with the tests' names.
func written(text string) mrkdwn { return expand(text, names.mention) }

func someHome() commands.Home {
	card := commands.Item{
		Text:    "backend on staging (abc234): waiting for approval, phase 2 of 4, Approval. Waiting for {@@release-managers} until {t:1795349400}. Started by {@U0DEPLOYER} at {t:1795347600}.",
		Rollout: "abc234", Channel: "deploys-staging", Version: 6,
	}
	question := card
	question.Text = "backend on staging: your approval is asked until {t:1795349400}. Started by {@U0DEPLOYER} at {t:1795347600}."
	return commands.Home{
		Failing: []string{"`1x2y3z` backend on staging: 72% errors since 14:02 (limit 5%), <example>. {@U0APPROVER} has had it since {t:1795347600}."},
		Waiting: []commands.Item{question},
		Places: []commands.Place{
			{Environment: "staging", Running: []commands.Item{card}, Ended: []string{
				"Nov 21 16:02 UTC: backend main@1234567 by {@U0DEPLOYER}: succeeded, errors 72% (1,204 of 1,672) → 0.9% (3 of 334).",
				"Nov 20 09:12 UTC: backend <main>@7654321 by {@U0APPROVER}: failed. The container & its logs.",
			}},
			{Environment: "production", Locks: []string{"production is locked by you since {t:1795347600}, with no end set: freeze <now>. `/deploy unlock production` ends the lock."}},
		},
		More: 3,
	}
}

func TestHomeView(t *testing.T) {
	link := func(string) mrkdwn { return "<#C0DEPLOYS>" }
	for name, view := range map[string]slack.HomeTabViewRequest{
		"home":         homeView(someHome(), "Starting backend on <staging>.", noon, written, link),
		"home_trouble": homeView(commands.Home{Trouble: "Could not read the locks. Press Refresh to try again."}, "", noon, written, link),
	} {
		golden(t, name+".json", indented(t, view))
	}
}

// A channel is a link if it can be looked up, else its name.
func TestHomeLinksToTheCardsChannel(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = func(commands.Request) commands.Reply {
			home := someHome()
			home.Places[0].Running[0].Channel = "<gone>"
			return commands.Reply{Home: &home}
		}
		w.run(w.bot())
		pass(time.Second)
		_, _ = w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "deployer"})
		pass(2 * time.Second)
		if _, text := w.home("deployer"); !strings.Contains(text, "card in <#"+deploys+">.") || !strings.Contains(text, "card is in #&lt;gone&gt;.") {
			t.Errorf("Home %s\n%s", text, w.log)
		}
	})
}

func indented(t *testing.T, view any) []byte {
	t.Helper()
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(view); err != nil {
		t.Fatal(err)
	}
	return []byte(out.String())
}

// home is what a person sees on the Home tab, as one text.
func (w *world) home(user string) (view fakeslack.View, text string) {
	w.t.Helper()
	view, ok := w.Home(user)
	if !ok {
		return view, ""
	}
	return view, string(view.Blocks)
}

func showsHome(r commands.Request) commands.Reply {
	if r.Show != commands.ShowHome {
		return commands.Reply{Text: "done: " + string(r.Show) + r.Text}
	}
	return commands.Reply{Home: &commands.Home{Waiting: []commands.Item{{Text: "for {@" + r.Actor.ID + "}"}}}}
}

func TestHomeIsPublishedAndRefreshed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = showsHome
		w.run(w.bot())
		pass(time.Second)
		began := time.Now()
		if _, err := w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "approver"}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		view, text := w.home("approver")
		if !strings.Contains(text, "<@U0APPROVER>") {
			t.Fatalf("Home %s\n%s", text, w.log)
		}
		if took := w.calls("views.publish")[0].Time.Sub(began); took > time.Second {
			t.Errorf("published after %v", took)
		}
		click := fakeslack.ClickRequest{User: "approver", ViewID: view.ID, ActionID: "refresh"}
		if _, err := w.Click(t.Context(), click); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if again, _ := w.home("approver"); again.Hash == view.Hash || len(w.served.requests()) != 2 {
			t.Errorf("not refreshed: handled %d times", len(w.served.requests()))
		}
		if _, other := w.home("outsider"); other != "" {
			t.Errorf("somebody else got %s", other)
		}
	})
}

func TestAnEventThatIsSentAgainPublishesOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = showsHome
		w.Fault(fakeslack.Fault{Method: "events_api", Kind: fakeslack.FaultTimeout, Count: 1})
		w.run(w.bot())
		pass(time.Second)
		_, _ = w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "approver"})
		pass(2 * time.Minute)
		if n := len(w.calls("views.publish")); n != 1 || len(w.served.requests()) != 1 {
			t.Errorf("published %d times, handled %d times", n, len(w.served.requests()))
		}
		_, _ = w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "approver", Tab: "messages"})
		pass(time.Minute)
		if len(w.served.requests()) != 1 {
			t.Error("the messages tab was taken for the Home")
		}
	})
}

// What is done on the Home is answered there, and so are buttons that nobody knows any more.
func TestClicksOnTheHomeAreAnsweredThere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = showsHome
		w.run(w.bot())
		pass(time.Second)
		_, _ = w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "approver"})
		pass(time.Second)
		view, _ := w.home("approver")
		for action, want := range map[string]string{"approve": "done: ", "promote": "This button is not known any more."} {
			click := fakeslack.ClickRequest{User: "approver", ViewID: view.ID, ActionID: action, Value: "abc234|2.1|6", Force: true}
			if _, err := w.Click(t.Context(), click); err != nil {
				t.Fatal(err)
			}
			pass(2 * time.Second)
			if _, text := w.home("approver"); !strings.Contains(text, want) || !strings.Contains(text, "for <@U0APPROVER>") {
				t.Errorf("%s: %s", action, text)
			}
		}
		if got := w.answers(); len(got) != 0 {
			t.Errorf("answers %q", got)
		}
	})
}

func TestWithoutRedisTheHomeSaysSo(t *testing.T) {
	for _, slow := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			w.cfg.Inbox = downInbox{w.store, slow}
			w.run(w.bot())
			pass(time.Second)
			ack, err := w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "deployer"})
			if err != nil || ack.Elapsed > 2*time.Second {
				t.Fatalf("%+v, %v", ack, err)
			}
			pass(2 * time.Second)
			view, text := w.home("deployer")
			if !strings.Contains(text, "cannot reach its store (Redis)") {
				t.Fatalf("Home %s", text)
			}
			if _, err := w.Click(t.Context(), fakeslack.ClickRequest{User: "deployer", ViewID: view.ID, ActionID: "refresh"}); err != nil {
				t.Fatal(err)
			}
			pass(2 * time.Second)
			if again, text := w.home("deployer"); again.Hash == view.Hash || !strings.Contains(text, "cannot reach its store (Redis)") {
				t.Errorf("Home %s", text)
			}
		})
	}
}

func TestAPanicIsShownOnTheHome(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = func(commands.Request) commands.Reply { panic("secret detail") }
		w.run(w.bot())
		pass(time.Second)
		_, _ = w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "deployer"})
		pass(time.Minute)
		if _, text := w.home("deployer"); !strings.Contains(text, "Slipway failed at this") || strings.Contains(text, "secret") || len(w.served.requests()) != 1 {
			t.Errorf("handled %d times, Home %s", len(w.served.requests()), text)
		}
	})
}

// What Slack does not take on the Home is said in the direct messages.
func TestAHomeThatIsRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = showsHome
		w.run(w.bot())
		pass(time.Second)
		_, _ = w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "deployer"})
		pass(time.Second)
		view, _ := w.home("deployer")
		w.Fault(fakeslack.Fault{Method: "views.publish", Kind: fakeslack.FaultError, Code: "not_enabled", Count: 1})
		click := fakeslack.ClickRequest{User: "deployer", ViewID: view.ID, ActionID: "abort", Value: "abc234||6", Force: true}
		if _, err := w.Click(t.Context(), click); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if got := w.Messages("U0DEPLOYER"); len(got) != 1 || got[0].Text != "done: " || !strings.Contains(w.log.String(), "not_enabled") {
			t.Errorf("direct messages %+v\n%s", got, w.log)
		}
	})
}

// However much there is to say, Slack takes it, and what is left out is counted.
func TestAFullHomeIsTaken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		long := commands.Item{Text: strings.Repeat("<long> {@U0DEPLOYER} ", 400), Rollout: "abc234", Channel: "deploys-staging"}
		w.served.reply = func(commands.Request) commands.Reply {
			home := commands.Home{Trouble: long.Text}
			for range 8 {
				home.Waiting = append(home.Waiting, long)
			}
			for i := range 12 {
				place := commands.Place{Environment: fmt.Sprint(i, long.Text)}
				for range 5 {
					place.Running, place.Locks, place.Ended = append(place.Running, long), append(place.Locks, long.Text), append(place.Ended, long.Text)
				}
				home.Places = append(home.Places, place)
			}
			return commands.Reply{Home: &home}
		}
		w.run(w.bot())
		pass(time.Second)
		_, _ = w.AppHome(t.Context(), fakeslack.AppHomeRequest{User: "deployer"})
		pass(2 * time.Second)
		_, text := w.home("deployer")
		var blocks []any
		if err := json.Unmarshal([]byte(text), &blocks); err != nil || len(blocks) > 100 || len(blocks) < 30 || !strings.Contains(text, "environments more: ") {
			t.Errorf("%d blocks, %v\n%s", len(blocks), err, w.log)
		}
	})
}
