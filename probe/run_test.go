package probe

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"slipway/plan"
	"slipway/rollout"
)

// TestTakeover: another process took the first steps of an attempt, and this one goes on.
func TestTakeover(t *testing.T) {
	no := false
	for _, kind := range []plan.Kind{plan.KindHTTP, plan.KindWebSocket, plan.KindCommand} {
		t.Run(string(kind), func(t *testing.T) {
			onBench(t, func(b *bench) {
				action := b.probes.Actions()[kind]
				once := b.task(plan.Step{Kind: kind, Repeatable: &no})
				var failure *rollout.Failure
				if _, found, err := action.Find(b.t.Context(), once); found || !errors.As(err, &failure) || failure.Label != "unknown_end" {
					t.Errorf("found %v, %v; want a failure that keeps it from being repeated", found, err)
				}
				if o, err := action.Poll(b.t.Context(), once, once.Key.String()); !errors.As(err, &failure) {
					t.Errorf("poll: %+v, %v; want a failure", o, err)
				}
				if len(b.probes.runs) > 0 {
					t.Error("something was begun")
				}
				again := b.task(plan.Step{Kind: kind})
				if _, found, err := action.Find(b.t.Context(), again); found || err != nil {
					t.Errorf("found %v, %v; want that it can be started", found, err)
				}
				if err := action.Cancel(b.t.Context(), again, "other"); (err != nil) != (kind == plan.KindCommand) {
					t.Errorf("cancel: %v", err)
				}
			})
		})
	}
}

func TestPollBeginsWhatAnotherReplicaBegan(t *testing.T) {
	onBench(t, func(b *bench) {
		b.serve(func(http.ResponseWriter, *http.Request) {})
		task := b.task(request("${app.url}/"))
		if o, err := b.probes.Actions()[plan.KindHTTP].Poll(b.t.Context(), task, task.Key.String()); err != nil || o.State != rollout.Passed {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

// TestMadeOnce: within a process an attempt is made once, however often it is started and looked for.
func TestMadeOnce(t *testing.T) {
	onBench(t, func(b *bench) {
		requests, no := 0, false
		b.serve(func(http.ResponseWriter, *http.Request) { requests++; time.Sleep(15 * time.Second) })
		task := b.task(request("${app.url}/"))
		task.Step.Repeatable = &no
		action := b.probes.Actions()[plan.KindHTTP]
		for range 2 {
			if _, err := action.Start(b.t.Context(), task); err != nil {
				t.Fatal(err)
			}
		}
		if handle, found, err := action.Find(b.t.Context(), task); !found || handle != task.Key.String() || err != nil {
			t.Errorf("%q, %v, %v", handle, found, err)
		}
		if o, err := action.Poll(b.t.Context(), task, ""); err != nil || o.State != rollout.StillRunning {
			t.Errorf("after %s: %+v, %v", pollTime, o, err)
		}
		for range 2 { // the commit of the first answer may have failed
			if o, err := action.Poll(b.t.Context(), task, ""); err != nil || o.State != rollout.Passed {
				t.Errorf("%+v, %v", o, err)
			}
		}
		if requests != 1 {
			t.Errorf("%d requests", requests)
		}
	})
}

func TestOutcomesAreForgotten(t *testing.T) {
	onBench(t, func(b *bench) {
		b.serve(func(http.ResponseWriter, *http.Request) {})
		b.probe(request("${app.url}/"))
		time.Sleep(rememberFor - time.Second)
		b.probe(request("${app.url}/"))
		if n := len(b.probes.runs); n != 2 {
			t.Errorf("%d outcomes are known", n)
		}
		time.Sleep(2 * time.Second)
		b.probe(request("${app.url}/"))
		if n := len(b.probes.runs); n != 2 {
			t.Errorf("%d outcomes are known; want the first forgotten", n)
		}
	})
}

func TestBreakingOff(t *testing.T) {
	for _, how := range []string{"cancel", "close"} {
		t.Run(how, func(t *testing.T) {
			onBench(t, func(b *bench) {
				b.serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
				action, task := b.probes.Actions()[plan.KindHTTP], b.task(request("${app.url}/"))
				if _, err := action.Start(b.t.Context(), task); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				began := time.Now()
				if how == "cancel" {
					if err := action.Cancel(b.t.Context(), task, ""); err != nil {
						t.Error(err)
					}
				} else if err := b.probes.Close(); err != nil {
					t.Error(err)
				}
				if time.Since(began) > 0 {
					t.Errorf("it took %v", time.Since(began))
				}
				if o, err := action.Poll(b.t.Context(), task, ""); err == nil {
					t.Errorf("%+v, want no verdict", o)
				}
				_, err := action.Start(b.t.Context(), b.task(request("${app.url}/")))
				if (err != nil) != (how == "close") {
					t.Errorf("another start: %v", err)
				}
			})
		})
	}
}
