package bot

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"slipway/commands"
	"slipway/plan"
	"slipway/rollout"
	"slipway/sandbox/fakeslack"
	"slipway/state"
)

var stagingAlone = plan.Target{Environment: "staging"}

// wish is what whoever deploys is in line for.
func wish() rollout.Lock {
	return rollout.Lock{
		Target: stagingAlone, By: rollout.Actor{ID: "U0DEPLOYER", Name: "deployer"}, Reason: "their turn in the queue",
		Turn: rollout.Turn{Target: stagingAlone, What: "v1.2", Channel: "deploys-staging"},
	}
}

// turn gives staging to whoever deploys, as a lock ends for which they waited.
func (w *world) turn(lasts time.Duration) {
	w.t.Helper()
	ctx := w.t.Context()
	l, err := w.store.Lock(ctx, rollout.Lock{Target: stagingAlone, By: rollout.Actor{ID: "U0APPROVER"}})
	if err != nil {
		w.t.Fatal(err)
	}
	if at, err := w.store.Join(ctx, "join", wish(), lasts); at.Position != 1 || err != nil {
		w.t.Fatal(at, err)
	}
	if err := w.store.Unlock(ctx, stagingAlone, l.Fence); err != nil {
		w.t.Fatal(err)
	}
}

// wantCall checks that the channel has one message, and what it says.
func (w *world) wantCall(text string, buttons bool) fakeslack.Message {
	w.t.Helper()
	top, _ := w.channel()
	if len(top) != 1 {
		w.t.Fatalf("%d messages, want one call\n%s", len(top), w.log)
	}
	if !strings.Contains(top[0].Text, text) || strings.Contains(string(top[0].Blocks), actionTurn+`"`) != buttons {
		w.t.Fatalf("the call says %q, %s; want %q, buttons: %v", top[0].Text, top[0].Blocks, text, buttons)
	}
	return top[0]
}

func TestATurnIsCalledAndEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.run(w.bot())
		w.turn(rollout.TurnTime)
		pass(3 * time.Second)
		w.wantCall("<@U0DEPLOYER>: *staging* is free and it is your turn. Until <!date^", true)
		pass(rollout.TurnTime)
		w.wantCall("<@U0DEPLOYER>: your turn for *staging* has passed, at <!date^", false)
		if _, held, err := w.store.Holder(t.Context(), stagingAlone); held || err != nil {
			t.Errorf("the turn is still there, %v", err)
		}
	})
}

// Whatever becomes of the answer to the post, whoever's turn it is is called once.
func TestATurnIsCalledOnce(t *testing.T) {
	for name, fault := range map[string]fakeslack.Fault{
		"posted, but said to have failed": {Kind: fakeslack.FaultAppliedButError, Code: "500", Count: 2},
		"no answer":                       {Kind: fakeslack.FaultTimeout, Count: 1},
		"failed":                          {Kind: fakeslack.FaultError, Code: "internal_error", Count: 1},
		"too many requests":               {Kind: fakeslack.FaultRateLimit, RetryAfter: 7 * time.Second, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(_ *testing.T, w *world) {
				fault.Method = "chat.postMessage"
				w.Fault(fault)
				w.run(w.bot())
				w.turn(rollout.TurnTime)
				pass(time.Minute)
				w.wantCall("it is your turn", true)
			})
		})
	}
}

// A replica that posted a call and died before it could remember is followed by one that finds it.
func TestACallIsAdopted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.turn(rollout.TurnTime)
		dead := w.bot()
		turn, ok, err := w.store.ClaimTurn(t.Context(), "dead", cardLease)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		turn.Notice = state.Notice{Channel: deploys, Posting: true}
		if err := w.store.SaveTurn(t.Context(), "dead", turn); err != nil {
			t.Fatal(err)
		}
		if _, _, err := dead.api.PostMessageContext(t.Context(), deploys, callOptions(turn)...); err != nil {
			t.Fatal(err)
		}
		w.run(w.bot())
		pass(10 * time.Second)
		w.wantCall("it is your turn", true)
		if _, err := w.store.Leave(t.Context(), "leave", stagingAlone, wish().By); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		w.wantCall("<@U0DEPLOYER> passed", false)
	})
}

// While Slack is away a turn can begin and end. Who missed it is told; who deployed all the same is not.
func TestATurnDuringAnOutage(t *testing.T) {
	for _, missed := range []bool{true, false} {
		inWorld(t, func(t *testing.T, w *world) {
			w.turn(10 * time.Second)
			if !missed {
				if _, err := w.store.Leave(t.Context(), "leave", stagingAlone, wish().By); err != nil {
					t.Fatal(err)
				}
			}
			pass(11 * time.Second)
			w.run(w.bot())
			pass(3 * time.Second)
			if missed {
				w.wantCall("your turn for *staging* has passed", false)
			} else if top, _ := w.channel(); len(top) != 0 {
				t.Errorf("posted %q", top[0].Text)
			}
		})
	}
}

func TestButtonsOfTheQueue(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.served.reply = func(r commands.Request) commands.Reply {
			if r.Text == "staging" {
				return commands.Reply{Text: "staging is locked", Queue: "queue staging v1.2"}
			}
			return commands.Reply{}
		}
		w.run(w.bot())
		pass(time.Second)
		w.turn(rollout.TurnTime)
		pass(3 * time.Second)
		called := w.wantCall("it is your turn", true)
		if _, err := w.Command(t.Context(), fakeslack.CommandRequest{User: "approver", Channel: deploys, Command: "/deploy", Text: "staging"}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		answers := w.Messages(deploys)
		for _, click := range []fakeslack.ClickRequest{
			{User: "deployer", TS: called.TS, ActionID: actionTurn}, {User: "deployer", TS: called.TS, ActionID: actionPass},
			{User: "approver", TS: answers[len(answers)-1].TS, ActionID: actionQueue},
		} {
			click.Channel = deploys
			if _, err := w.Click(t.Context(), click); err != nil {
				t.Fatal(err)
			}
			pass(2 * time.Second)
		}
		got := w.served.requests()
		if len(got) != 4 || got[1].Turn == nil || got[2].Turn == nil {
			t.Fatalf("requests %+v", got)
		}
		want := commands.Turn{Lock: stagingAlone, Fence: got[1].Turn.Fence, For: stagingAlone, What: "v1.2"}
		if *got[1].Turn != want || want.Fence == 0 {
			t.Errorf("deploy is %+v", got[1].Turn)
		}
		if want.Pass = true; *got[2].Turn != want {
			t.Errorf("pass is %+v", got[2].Turn)
		}
		if got[3].Text != "queue staging v1.2" || got[3].Actor.ID != "U0APPROVER" || got[3].Click != nil {
			t.Errorf("queue is %+v", got[3])
		}
	})
}

func TestForgedButtonsOfTheQueue(t *testing.T) {
	for _, a := range []Action{
		{ID: actionTurn}, {ID: actionTurn, Value: "staging|x|staging|"}, {ID: actionPass, Value: "staging|1|staging"},
		{ID: actionPass, Value: "|1|staging|"}, {ID: actionTurn, Value: "staging|1||"}, {ID: actionQueue, Value: "rollback staging"},
	} {
		if req, err := (Envelope{Action: &a}).request(); err == nil {
			t.Errorf("%+v is taken for %+v", a, req)
		}
	}
}

// What people wrote is not markup, and each end has words of its own.
func TestCalls(t *testing.T) {
	turn := state.Turn{Lock: wish()}
	turn.Lock.Turn.What = "<!channel>"
	seen := map[string]state.TurnEnd{}
	for _, end := range []state.TurnEnd{
		state.TurnOpen, state.TurnStarted, state.TurnPassed, state.TurnLapsed, state.TurnUnlocked, state.TurnLocked, state.TurnRollback,
	} {
		turn.Over = end
		m := call(turn)
		if before, twice := seen[m.Text]; twice {
			t.Errorf("%q and %q have the same words", before, end)
		}
		seen[m.Text] = end
		if strings.Contains(m.Text, "<!channel>") || !strings.Contains(m.Text, "<@U0DEPLOYER>") || len(m.Blocks) == 2 != (end == state.TurnOpen) {
			t.Errorf("%q: %s", end, m.Text)
		}
	}
	got, err := turnOf(Action{ID: actionPass, Value: turnValue(turn)})
	want := &commands.Turn{Lock: stagingAlone, For: stagingAlone, What: "<!channel>", Pass: true}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read back %+v, %v", got, err)
	}
}
