package bot

import (
	"testing"
	"time"

	"github.com/slack-go/slack"
)

// What a sleeper posts after its successor did is taken away, once it has said that it may have.
func TestLatePostsAreTakenAway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.run(w.bot())
		s := newStory(t)
		s.r.Created = time.Now()
		w.create(s)
		w.commit(s, func() { s.toApproval() })
		pass(5 * time.Second)
		top, thread := w.channel()
		if len(top) != 1 || len(thread) != 1 {
			t.Fatalf("%d cards, %d replies", len(top), len(thread))
		}
		sleeper := w.bot().poster
		for _, late := range [][]slack.MsgOption{
			{slack.MsgOptionText("an old card", false), cardKey(s.r.ID).option()},
			{slack.MsgOptionText(thread[0].Text, false), slack.MsgOptionTS(top[0].TS), messageKey{s.r.ID, "ask-" + firstOpen(s.r).ID}.option()},
		} {
			if _, _, err := sleeper.api.PostMessageContext(t.Context(), top[0].Channel, late...); err != nil {
				t.Fatal(err)
			}
		}
		sleeper.doubt(t.Context(), s.r.ID)
		pass(5 * time.Second)
		if top, thread := w.channel(); len(top) != 1 || len(thread) != 1 || top[0].Text == "an old card" {
			t.Errorf("%d cards, %d replies are left", len(top), len(thread))
		}
	})
}
