package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway/rollout"
	"slipway/sandbox/fakeslack"
	"slipway/state"
)

// poster_test runs whole bots; the story's clock is only for what is shown.

func TestOneMessageAndItsThread(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.run(w.bot())
		s := newStory(t)
		w.create(s)
		pass(3 * time.Second)
		w.commit(s, func() { s.toApproval() })
		pass(3 * time.Second)
		w.commit(s, func() { s.say(approver, rollout.VerbApprove, "2.1", "") })
		pass(3 * time.Second)
		top, thread := w.channel()
		if len(top) != 1 || len(thread) != 2 {
			t.Fatalf("%d messages and %d replies, want 1 and 2\n%s", len(top), len(thread), w.log)
		}
		if !strings.Contains(top[0].Text, "phase 3 of 4") || len(top[0].Edits) != 2 {
			t.Errorf("card after %d edits: %s", len(top[0].Edits), top[0].Text)
		}
		if !strings.Contains(thread[0].Text, "<!subteam^S0RELEASE>") || !strings.Contains(thread[1].Text, "Approved by <@U0APPROVER>") {
			t.Errorf("thread: %q, %q", thread[0].Text, thread[1].Text)
		}
		// Nothing is left to do, so nothing is done.
		before := len(w.Journal())
		pass(20 * time.Second)
		for _, c := range w.Journal()[before:] {
			if c.Kind == fakeslack.CallWeb {
				t.Errorf("an idle bot called %s", c.Method)
			}
		}
	})
}

func TestTheEndIsBroadcastWhenItIsBad(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.run(w.bot())
		s := newStory(t)
		w.create(s)
		w.commit(s, func() { s.toRolledBack() })
		pass(10 * time.Second)
		_, thread := w.channel()
		last := thread[len(thread)-1]
		if !last.Broadcast || !strings.Contains(last.Text, "Rolled back: backend on staging*, 30% errors") {
			t.Errorf("last reply: %+v", last)
		}
	})
}

func TestUpdatesAreCoalesced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		b := w.bot()
		w.run(b)
		s := newStory(t)
		w.create(s)
		w.commit(s, func() { s.toGate() })
		for i := range 200 { // 20 s of commits
			w.commit(s, func() {
				s.learn(rollout.StepProgress, "3.3", rollout.Outcome{State: rollout.StillRunning, Note: fmt.Sprintf("%d requests.", i), Gate: counts(int64(i), 0, 50, "inconclusive", 1)})
			})
			b.Changed(s.r)
			pass(100 * time.Millisecond)
		}
		pass(3 * time.Second)
		updates := w.calls("chat.update")
		if len(updates) < 10 || len(updates) > 16 {
			t.Errorf("%d updates in 20 s", len(updates))
		}
		for i := 1; i < len(updates); i++ {
			if gap := updates[i].Time.Sub(updates[i-1].Time); gap < updateEvery {
				t.Errorf("update %d came %v after the one before", i, gap)
			}
		}
		top, _ := w.channel()
		if len(top) != 1 || !strings.Contains(top[0].Text, "199 requests") {
			t.Errorf("the card ends with %q", top[0].Text)
		}
	})
}

// lossy forgets what is saved once the switch is thrown: a process that dies between a post and
// writing it down.
type lossy struct {
	*state.Store
	dead *atomic.Bool
}

var errDead = errors.New("the process died")

func (l lossy) SaveCard(ctx context.Context, owner string, c state.Card) error {
	if l.dead.Load() {
		return errDead
	}
	return l.Store.SaveCard(ctx, owner, c)
}

func (l lossy) ReleaseCard(ctx context.Context, owner string, c state.Card, again time.Duration) error {
	if l.dead.Load() {
		return errDead
	}
	return l.Store.ReleaseCard(ctx, owner, c, again)
}

func TestACrashAfterThePostAdoptsIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var dead atomic.Bool
		w.cfg.Cards = lossy{w.store, &dead}
		p := w.bot().poster
		s := newStory(t)
		s.r.Created = time.Now()
		w.create(s)
		card, ok, err := w.store.ClaimCard(t.Context(), p.owner, cardLease)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		card.Channel, card.Posting = deploys, true
		if err := w.store.SaveCard(t.Context(), p.owner, card); err != nil {
			t.Fatal(err)
		}
		if _, err := p.post(t.Context(), &card, s.r, names); err != nil {
			t.Fatal(err)
		}
		dead.Store(true) // between the post and the next save
		pass(postLease + time.Second)

		w.cfg.Cards, w.cfg.Owner = w.store, "replica-2"
		w.run(w.bot())
		w.commit(s, func() { s.toApproval() })
		pass(5 * time.Second)
		top, thread := w.channel()
		if len(top) != 1 || len(thread) != 1 || !strings.Contains(top[0].Text, "waiting for approval") {
			t.Errorf("%d messages, %d replies, the first says %q", len(top), len(thread), top[0].Text)
		}
	})
}

// An answer that is lost, on each call that posts, is neither a second card nor a second reply.
func TestLostAnswersPostNothingTwice(t *testing.T) {
	for _, code := range []string{"internal_error", "503"} {
		t.Run(code, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.Fault(fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultAppliedButError, Code: code, Count: 2})
				w.run(w.bot())
				s := newStory(t)
				s.r.Created = time.Now()
				w.create(s)
				w.commit(s, func() { s.toApproval() })
				pass(15 * time.Second)
				top, thread := w.channel()
				if len(top) != 1 || len(thread) != 1 {
					t.Errorf("%d messages and %d replies\n%s", len(top), len(thread), w.log)
				}
			})
		})
	}
}

// The control: without the look into the history there would be two.
func TestRefusedPostsAreMadeAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Fault(fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultError, Code: "internal_error", Count: 1})
		w.run(w.bot())
		w.create(newStory(t))
		pass(10 * time.Second)
		if top, _ := w.channel(); len(top) != 1 || len(w.calls("conversations.history")) != 1 {
			t.Errorf("%d messages, %d looks into the history", len(top), len(w.calls("conversations.history")))
		}
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	for _, method := range []string{"chat.postMessage", "chat.update"} {
		t.Run(method, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.Fault(fakeslack.Fault{Method: method, Kind: fakeslack.FaultRateLimit, RetryAfter: 7 * time.Second})
				w.run(w.bot())
				s := newStory(t)
				w.create(s)
				pass(2 * time.Second)
				w.commit(s, func() { s.toApproval() })
				pass(30 * time.Second)
				calls := w.calls(method)
				if len(calls) < 2 || calls[0].Outcome == "ok" {
					t.Fatalf("%d calls", len(calls))
				}
				if gap := calls[1].Time.Sub(calls[0].Time); gap < 7*time.Second || gap > 10*time.Second {
					t.Errorf("called again after %v", gap)
				}
				top, thread := w.channel()
				if len(top) != 1 || len(thread) != 1 || !strings.Contains(top[0].Text, "waiting for approval") {
					t.Errorf("%d messages, %d replies", len(top), len(thread))
				}
			})
		})
	}
}

// elsewhere makes a story one of another rollout in an environment of its own.
func (s *story) elsewhere(id string) *story {
	s.r.ID, s.r.Token = id, "command/"+id
	s.r.Target.Environment, s.r.Lock.Target.Environment, s.r.Lock.Rollout = id, id, id
	return s
}

// Replicas keep the workspace's 50 updates a minute together, and every card moves on all the same.
func TestReplicasShareTheUpdates(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.run(w.bot())
		w.cfg.Owner = "replica-2"
		w.run(w.bot())
		var stories []*story
		for _, id := range []string{"abc234", "bcd234", "cde234", "def234"} {
			s := newStory(t).elsewhere(id)
			w.create(s)
			w.commit(s, func() { s.toGate() })
			stories = append(stories, s)
		}
		pass(10 * time.Second)
		began := time.Now()
		for i := range 240 { // a minute
			for _, s := range stories {
				w.commit(s, func() {
					s.learn(rollout.StepProgress, "3.3", rollout.Outcome{State: rollout.StillRunning, Note: fmt.Sprintf("%d requests.", i), Gate: counts(int64(i), 0, 50, "inconclusive", 1)})
				})
			}
			pass(250 * time.Millisecond)
		}
		updates, cards := 0, map[string]int{}
		for _, c := range w.calls("chat.update") {
			if c.Time.After(began) {
				updates++
				cards[c.Arguments["ts"]]++
			}
		}
		if updates < 40 || updates > 55 {
			t.Errorf("%d updates in a minute", updates)
		}
		for ts, n := range cards {
			if n < 5 {
				t.Errorf("the card %s got %d of them", ts, n)
			}
		}
	})
}

// The 50 updates a minute are the workspace's, so a 429 is about every card, whichever replica got it.
func TestRetryAfterHoldsForAllCards(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.run(w.bot())
		w.cfg.Owner = "replica-2"
		w.run(w.bot())
		one, two := newStory(t), newStory(t).elsewhere("xyz234")
		w.create(one)
		w.create(two)
		pass(5 * time.Second)
		w.Fault(fakeslack.Fault{Method: "chat.update", Kind: fakeslack.FaultRateLimit, RetryAfter: 7 * time.Second})
		w.commit(one, func() { one.toApproval() })
		pass(2 * time.Second)
		w.commit(two, func() { two.toApproval() })
		pass(20 * time.Second)
		calls := w.calls("chat.update")
		if len(calls) != 3 || calls[1].Time.Sub(calls[0].Time) < 7*time.Second {
			t.Errorf("%d updates, the second after %v", len(calls), calls[1].Time.Sub(calls[0].Time))
		}
		if _, thread := w.channel(); len(thread) != 2 || thread[1].Changed.Sub(calls[0].Time) > 5*time.Second {
			t.Errorf("%d calls for approval; they must not wait for updates", len(thread))
		}
	})
}

func TestClassicBlocksWhenSlackRefusesThePlan(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Fault(fakeslack.Fault{Method: "chat.postMessage", Kind: fakeslack.FaultError, Code: "invalid_blocks"})
		w.run(w.bot())
		s := newStory(t)
		w.create(s)
		pass(3 * time.Second)
		w.commit(s, func() { s.toApproval() })
		pass(3 * time.Second)
		top, _ := w.channel()
		if len(top) != 1 || strings.Contains(string(top[0].Blocks), `"type":"plan"`) || !strings.Contains(string(top[0].Blocks), "Service account permissions") {
			t.Errorf("%d messages; blocks %s", len(top), top[0].Blocks)
		}
		if refused := w.calls("chat.postMessage"); len(refused) != 3 { // refused, again, the reply
			t.Errorf("%d posts", len(refused))
		}
	})
}

func TestADeletedCardIsPostedAnew(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		b := w.bot()
		w.run(b)
		s := newStory(t)
		w.create(s)
		pass(3 * time.Second)
		top, _ := w.channel()
		if _, _, err := b.api.DeleteMessageContext(t.Context(), deploys, top[0].TS); err != nil {
			t.Fatal(err)
		}
		w.commit(s, func() { s.toApproval() })
		pass(5 * time.Second)
		if top, _ = w.channel(); len(top) != 1 || !strings.Contains(top[0].Text, "waiting for approval") {
			t.Errorf("%d messages", len(top))
		}
	})
}

// The cards that the stories show are what the local Slack takes.
func TestSlackTakesEveryCard(t *testing.T) {
	each(t, func(t *testing.T, _ string, from func(*testing.T) *story, tell func(*story)) {
		inWorld(t, func(t *testing.T, w *world) {
			w.run(w.bot())
			s := from(t)
			w.create(s)
			w.commit(s, func() { tell(s) })
			pass(20 * time.Second)
			top, _ := w.channel()
			if len(top) != 1 || !strings.Contains(string(top[0].Blocks), `"type":"plan"`) {
				t.Errorf("%d messages\n%s", len(top), w.log)
			}
		})
	})
}
