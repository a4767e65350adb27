package bot

import (
	"strings"
	"testing"
	"time"

	"slipway/incident"
	"slipway/sandbox/fakeslack"
)

// What a replica tells of an incident after it has lost the watch is taken away, once it has said that it may have:
// a message, replies to it and to the right one, and what it made of that.
func TestWhatWasToldTwiceIsTakenAway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := firing(w)
		late := *m // which knows of no message
		m.until(30 * time.Second)
		m.say(incident.SayAcknowledged, func(i *incident.Incident) { i.State, i.By, i.ByAt = incident.Acknowledged, ann, time.Now() })
		news := m.c.News
		m.until(20 * time.Second)
		top, _ := m.want(1, 1)
		right := top[0]

		late.bot, late.c.News = w.bot(), append(late.c.News, news...)
		late.until(20 * time.Second)
		late.kept.TS, late.kept.Shown, late.kept.Told, late.c.News = right.TS, "", "", news
		late.c.Alone = true
		late.until(20 * time.Second)
		top, _ = m.want(2, 3)
		if text := top[0].Text; !strings.Contains(text, "Redis is away") {
			t.Fatalf("the late one says %q", text)
		}

		m.c.Thread.Doubts++
		w.Fault(fakeslack.Fault{Method: "chat.delete", Kind: fakeslack.FaultAppliedButError, Code: "500"})
		m.until(30 * time.Second)
		top, thread := m.want(1, 1)
		if top[0].TS != right.TS || top[0].Text != right.Text || thread[0].ThreadTS != right.TS || m.kept.Checked != 1 {
			t.Errorf("%s says\n%s\nwant %s with\n%s\nkept %+v", top[0].TS, top[0].Text, right.TS, right.Text, m.kept)
		}
		before := len(w.Journal())
		if again, err := m.tell(); again != 0 || err != nil || len(w.Journal()) != before {
			t.Errorf("again after %v, %v, %d calls when all was looked through", again, err, len(w.Journal())-before)
		}
	})
}

// Where nothing may be deleted, the incident goes on being told.
func TestWhatWasToldTwiceMayHaveToStay(t *testing.T) {
	for method, code := range map[string]string{"chat.delete": "cant_delete_message", "conversations.history": "missing_scope"} {
		inWorld(t, func(t *testing.T, w *world) {
			m := firing(w)
			late := *m
			m.until(30 * time.Second)
			late.bot = w.bot()
			late.until(20 * time.Second)
			m.want(2, 0)

			m.c.Thread.Doubts++
			w.Fault(fakeslack.Fault{Method: method, Kind: fakeslack.FaultError, Code: code, Count: 1 << 20})
			m.say(incident.SayResolved, resolvedBy(incident.Person{}))
			m.until(30 * time.Second)
			if m.want(2, 1); m.errs > 0 || m.kept.Checked != 1 || !strings.Contains(w.log.String(), "stays") {
				t.Errorf("%s: %d errors, kept %+v", method, m.errs, m.kept)
			}
		})
	}
}
