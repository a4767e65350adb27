package fakeslack

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

func TestAppHome(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		var received []map[string]any
		w.connect(func(c *socketmode.Client, e socketmode.Event) {
			if e.Type != socketmode.EventTypeEventsAPI {
				return
			}
			var payload struct {
				Event map[string]any `json:"event"`
			}
			if err := json.Unmarshal(e.Request.Payload, &payload); err != nil {
				t.Error(err)
			}
			received = append(received, payload.Event)
			if err := c.Ack(*e.Request, nil); err != nil {
				t.Error(err)
			}
		})
		if _, ok := w.Home("deployer"); ok {
			t.Error("a Home that nobody published")
		}
		if _, err := w.AppHome(t.Context(), AppHomeRequest{User: "nobody"}); err == nil {
			t.Error("somebody who is not there opened it")
		}
		ack, err := w.AppHome(t.Context(), AppHomeRequest{User: "deployer"})
		if err != nil || !strings.HasPrefix(ack.EventID, "Ev") || len(received) != 1 {
			t.Fatalf("%+v, %v, received %v", ack, err, received)
		}
		first := received[0]
		if channel, _ := first["channel"].(string); first["type"] != "app_home_opened" || first["tab"] != "home" || first["user"] != "U0DEPLOYER" || !strings.HasPrefix(channel, "D") || first["view"] != nil {
			t.Errorf("event %v", first)
		}
		view := slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewActionBlock("b", button("refresh", "", "Refresh"))}}}
		if _, err := w.api.PublishView("U0DEPLOYER", view, ""); err != nil {
			t.Fatal(err)
		}
		home, ok := w.Home("deployer")
		if !ok || home.Type != "home" || !strings.Contains(string(home.Blocks), "Refresh") || len(w.Views("deployer")) != 0 {
			t.Errorf("%+v", home)
		}
		_, _ = w.AppHome(t.Context(), AppHomeRequest{User: "deployer"})
		if shown, _ := received[1]["view"].(map[string]any); shown["id"] != home.ID {
			t.Errorf("event %v", received[1])
		}
		if _, err := w.CloseView(t.Context(), CloseRequest{User: "deployer", ViewID: home.ID}); err == nil {
			t.Error("closed a Home tab")
		}
	})
}

// The app hears of a modal that is closed only if it asked to.
func TestCloseView(t *testing.T) {
	for _, notify := range []bool{false, true} {
		inBubble(t, nil, func(t *testing.T, w *workspace) {
			a := &modalApp{}
			w.openModal(t, a)
			view := modal(reasonInput())
			view.NotifyOnClose = notify
			if _, err := w.api.UpdateView(view, "", "", a.opened.ID); err != nil {
				t.Fatal(err)
			}
			a.received = slack.InteractionCallback{}
			if got := w.Views("deployer")[0]; got.Text("title") == "" || got.Text("nothing") != "" {
				t.Errorf("title %q", got.Text("title"))
			}
			request := CloseRequest{User: "deployer", ViewID: a.opened.ID, Cleared: true}
			if _, err := w.CloseView(t.Context(), request); err != nil || len(w.Views("deployer")) != 0 {
				t.Fatalf("%v, views %+v", err, w.Views("deployer"))
			}
			if told := a.received.Type == slack.InteractionTypeViewClosed; told != notify || told && !a.received.IsCleared {
				t.Errorf("notify %v, received %+v", notify, a.received)
			}
			if _, err := w.CloseView(t.Context(), request); err == nil {
				t.Error("closed it twice")
			}
		})
	}
}
