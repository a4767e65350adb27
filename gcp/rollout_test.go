package gcp

import (
	"context"
	"strings"
	"testing"
	"time"

	"slipway/plan"
	"slipway/rollout"
	"slipway/sandbox/fakegcp"
)

func TestWholeWay(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		w.pass(ctx, deployStep())
		name := RevisionName(cloudRun, rollout.Key{Rollout: "abc234", Attempt: 1})
		if c := w.service.Candidate; c.Name != name || !strings.Contains(c.URL, plan.CandidateTag+"---") {
			t.Fatalf("candidate %+v", c)
		}
		w.wantShares(ctx, map[string]int{stableName: 100})

		w.pass(ctx, trafficStep(10, plan.ToCandidate))
		w.wantShares(ctx, map[string]int{stableName: 90, name: 10})
		if w.service.Percent != 10 || time.Since(w.service.ShiftedAt) > 2*pollPause {
			t.Errorf("percent %d, shifted %v ago", w.service.Percent, time.Since(w.service.ShiftedAt))
		}

		w.pass(ctx, trafficStep(100, plan.ToCandidate))
		w.wantShares(ctx, map[string]int{name: 100})
		shifted := w.service.ShiftedAt

		time.Sleep(time.Minute)
		w.pass(ctx, trafficStep(0, plan.ToLatest))
		svc, err := w.cloud.service(ctx, w.service)
		must(t, err)
		if traffic := svc.GetTraffic(); len(traffic) != 1 || traffic[0].GetType() != latest || traffic[0].GetTag() != "" {
			t.Errorf("traffic %v, want LATEST alone", traffic)
		}
		if !w.service.ShiftedAt.Equal(shifted) {
			t.Error("handing over to LATEST counts as a shift")
		}
		if n := w.calls("UpdateService"); n != 4 {
			t.Errorf("%d updates, want 4", n)
		}
	})
}

func (w *world) wantShares(ctx context.Context, want map[string]int) {
	w.t.Helper()
	svc, err := w.cloud.service(ctx, w.service)
	must(w.t, err)
	got := servingShares(svc)
	for name, percent := range want {
		if got[name] != percent {
			w.t.Errorf("%s serves %d%%, want %d%% (%v)", name, got[name], percent, got)
		}
	}
}

func TestPinned(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		w.pass(ctx, deployStep())
		w.pass(ctx, trafficStep(100, plan.ToCandidate))
		w.pass(ctx, trafficStep(0, plan.ToPinned))
		svc, err := w.cloud.service(ctx, w.service)
		must(t, err)
		traffic := svc.GetTraffic()
		if len(traffic) != 1 || traffic[0].GetRevision() != w.service.Candidate.Name || traffic[0].GetTag() != "" {
			t.Errorf("traffic %v, want the candidate alone, without its tag", traffic)
		}
	})
}

func TestAnswersThatGetLost(t *testing.T) {
	for _, step := range []plan.Step{deployStep(), trafficStep(10, plan.ToCandidate), trafficStep(0, plan.ToStable)} {
		t.Run(string(step.Kind)+" "+string(trafficTo(step)), func(t *testing.T) {
			inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
				want := 2 // the lost one, and the candidate's or none
				if step.Kind == plan.KindTraffic {
					w.pass(ctx, deployStep())
				} else {
					want = 1
				}
				must(t, w.fake.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultAppliedButError}))
				w.pass(ctx, step)
				if n := w.calls("UpdateService"); n > want+1 {
					t.Errorf("%d updates, want at most %d", n, want+1)
				}
			})
		})
	}
}

func trafficTo(s plan.Step) plan.TrafficTo {
	if s.Traffic == nil {
		return ""
	}
	return s.Traffic.To
}

func TestStartTwiceMakesOneCandidate(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		task := w.task(deployStep(), 1)
		action := deployAction{w.cloud}
		fence, err := action.Precondition(ctx, task)
		must(t, err)
		task.Fence = fence
		_, err = action.Start(ctx, task)
		must(t, err)
		// The replica died before it could commit the handle; the next one starts with the same fence.
		handle, err := action.Start(ctx, task)
		must(t, err)
		if handle != byState {
			t.Errorf("handle %q, want the candidate to be adopted", handle)
		}
		outcome, err := w.follow(ctx, task, handle)
		if err != nil || outcome.State != rollout.Passed {
			t.Errorf("%+v, %v", outcome, err)
		}
		revisions := 0
		for _, s := range w.fake.State().Services {
			revisions = len(s.Revisions)
		}
		if revisions != 2 {
			t.Errorf("%d revisions, want the stable one and one candidate", revisions)
		}
	})
}

func TestForgottenOperation(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		task := w.task(deployStep(), 1)
		_, err := w.begin(ctx, task)
		must(t, err)
		outcome, err := w.follow(ctx, task, "projects/netra-staging/locations/us-central1/operations/gone")
		if err != nil || outcome.State != rollout.Passed {
			t.Errorf("%+v, %v, want the service's state to decide", outcome, err)
		}
	})
}

func TestCandidateThatDoesNotStart(t *testing.T) {
	for name, arm := range map[string]struct {
		next   fakegcp.Behavior
		labels string
		within time.Duration
	}{
		"exits":         {fakegcp.Behavior{CrashOnStart: true, Exception: "ModuleNotFoundError: No module named 'x'"}, "container_exited container_unhealthy", time.Minute},
		"never listens": {fakegcp.Behavior{NeverListens: true}, "container_never_listened container_unhealthy", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, arm.next, func(ctx context.Context, w *world) {
				began := time.Now()
				_, err := w.run(ctx, w.task(deployStep(), 1))
				failure := asFailure(err)
				if failure == nil || !strings.Contains(arm.labels, failure.Label) {
					t.Fatalf("%v, want one of %s", err, arm.labels)
				}
				if failure.Detail == "" || !strings.Contains(failure.Reason, "did not start") {
					t.Errorf("failure %+v", failure)
				}
				if time.Since(began) > arm.within {
					t.Errorf("it took %v", time.Since(began))
				}
				w.wantShares(ctx, map[string]int{stableName: 100})

				// The way back must work beside a candidate that never came up.
				w.pass(ctx, trafficStep(0, plan.ToStable))
				w.wantShares(ctx, map[string]int{stableName: 100})
			})
		})
	}
}

func TestSecondAttemptAfterAFailure(t *testing.T) {
	inWorld(t, fakegcp.Behavior{CrashOnStart: true}, func(ctx context.Context, w *world) {
		if _, err := w.run(ctx, w.task(deployStep(), 1)); asFailure(err) == nil {
			t.Fatalf("%v, want a failure", err)
		}
		addImage(t, w.fake, "fixed", fakegcp.Behavior{})
		fixed, err := w.cloud.Inspect(ctx, spec(), "fixed", time.Now())
		must(t, err)
		w.service.Image = fixed.Image
		outcome, err := w.run(ctx, w.task(deployStep(), 2))
		if err != nil || outcome.State != rollout.Passed {
			t.Fatalf("%+v, %v", outcome, err)
		}
		if !strings.HasSuffix(w.service.Candidate.Name, "-2") {
			t.Errorf("candidate %q, want the second attempt's", w.service.Candidate.Name)
		}
	})
}

func TestImageThatIsGone(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		w.service.Image.Digest = "sha256:" + strings.Repeat("0", 64)
		_, err := w.run(ctx, w.task(deployStep(), 1))
		wantFailure(t, err, "image_missing", "image")
	})
}

// someoneElse changes the service behind the rollout's back.
func (w *world) someoneElse(ctx context.Context) {
	w.t.Helper()
	other, err := w.cloud.Inspect(ctx, spec(), "old", time.Now())
	must(w.t, err)
	theirs := &world{t: w.t, fake: w.fake, cloud: w.cloud, service: other}
	task := theirs.task(deployStep(), 1+w.others)
	task.Key.Rollout = "zzz999"
	outcome, err := theirs.run(ctx, task)
	if err != nil || outcome.State != rollout.Passed {
		w.t.Fatalf("their deploy: %+v, %v", outcome, err)
	}
}

func TestSomeoneElsesChange(t *testing.T) {
	t.Run("between precondition and start", func(t *testing.T) {
		inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
			task := w.task(deployStep(), 1)
			fence, err := deployAction{w.cloud}.Precondition(ctx, task)
			must(t, err)
			w.someoneElse(ctx)
			task.Fence = fence
			_, err = deployAction{w.cloud}.Start(ctx, task)
			wantFailure(t, err, "changed_meanwhile", "backend", "someone else")
		})
	})
	t.Run("latest is not the candidate", func(t *testing.T) {
		inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
			w.pass(ctx, deployStep())
			w.pass(ctx, trafficStep(100, plan.ToCandidate))
			candidate := w.service.Candidate.Name
			w.someoneElse(ctx)
			_, err := w.run(ctx, w.task(trafficStep(0, plan.ToLatest), 1))
			wantFailure(t, err, "changed_meanwhile", "zzz999", "stays pinned", candidate)
			w.wantShares(ctx, map[string]int{candidate: 100})
		})
	})
	t.Run("another share than the rollout left", func(t *testing.T) {
		inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
			w.pass(ctx, deployStep())
			w.pass(ctx, trafficStep(10, plan.ToCandidate))
			w.service.Percent = 50
			_, err := w.run(ctx, w.task(trafficStep(100, plan.ToCandidate), 1))
			wantFailure(t, err, "changed_meanwhile", "10%", "50%")
		})
	})
	t.Run("a rescue goes ahead all the same", func(t *testing.T) {
		inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
			w.pass(ctx, deployStep())
			w.pass(ctx, trafficStep(100, plan.ToCandidate))
			w.someoneElse(ctx)
			must(t, w.fake.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultError, Code: "ABORTED"}))
			w.pass(ctx, trafficStep(0, plan.ToStable))
			w.wantShares(ctx, map[string]int{stableName: 100})
			if w.service.Percent != 0 {
				t.Errorf("percent %d after the way back", w.service.Percent)
			}
		})
	})
}

func TestLateReplicaIsFenced(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		w.pass(ctx, deployStep())
		late := w.task(trafficStep(10, plan.ToCandidate), 1)
		fence, err := trafficAction{w.cloud}.Precondition(ctx, late)
		must(t, err)
		late.Fence = fence
		w.pass(ctx, trafficStep(10, plan.ToCandidate))
		w.pass(ctx, trafficStep(0, plan.ToStable))
		_, err = trafficAction{w.cloud}.Start(ctx, late)
		wantFailure(t, err, "changed_meanwhile")
		w.wantShares(ctx, map[string]int{stableName: 100})
	})
}

// A replica that slept in the middle of a rescue must not undo what came after it: either it learns
// that its lease is lost, or its etag is used by then.
func TestLateRescueIsFenced(t *testing.T) {
	for name, later := range map[string]struct {
		held  func(w *world, ctx context.Context) error
		moves bool
	}{
		"the lease is lost": {held: func(*world, context.Context) error { return rollout.ErrFenced }},
		"it sleeps after it has asked": {held: func(w *world, ctx context.Context) error {
			w.pass(ctx, trafficStep(100, plan.ToCandidate))
			return nil
		}},
		"control: nothing came after it": {held: func(*world, context.Context) error { return nil }, moves: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
				w.pass(ctx, deployStep())
				w.pass(ctx, trafficStep(50, plan.ToCandidate))
				rescue := w.task(trafficStep(0, plan.ToStable), 1)
				rescue.Held = func(ctx context.Context) error { return later.held(w, ctx) }
				updates := w.calls("UpdateService")
				_, err := trafficAction{w.cloud}.Start(ctx, rescue)
				if (err == nil) != later.moves {
					t.Fatalf("after %d updates: %v", w.calls("UpdateService")-updates, err)
				}
				svc, err := w.cloud.service(ctx, w.service)
				must(t, err)
				if back := servingShares(svc)[stableName] == 100; back && !later.moves {
					t.Error("the late replica moved the traffic")
				}
			})
		})
	}
}

func TestTrafficWithoutCandidate(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		_, err := w.run(ctx, w.task(trafficStep(10, plan.ToCandidate), 1))
		wantFailure(t, err, "no_candidate", "deploy one")
	})
}

func TestRollbackTarget(t *testing.T) {
	step := plan.Step{Kind: plan.KindRollbackTarget, RollbackTarget: &plan.ServiceStep{Service: "backend"}}
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		if note := w.pass(ctx, step).Note; !strings.Contains(note, "00041") || !strings.Contains(note, "returned to") {
			t.Errorf("note %q", note)
		}
		w.service.Stable.Name = cloudRun + "-00001-zzz"
		outcome, err := w.run(ctx, w.task(step, 1))
		if err != nil || outcome.State != rollout.FailedState || outcome.Label != "revision_missing" {
			t.Errorf("a revision that is gone: %+v, %v", outcome, err)
		}
	})
}

func TestPermissions(t *testing.T) {
	step := plan.Step{Kind: plan.KindPermissions, Permissions: &plan.ServiceStep{Service: "backend"}}
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		w.pass(ctx, step)
		if got := w.fake.State().Services; len(got[0].Revisions) != 1 {
			t.Errorf("the validated update made a revision: %+v", got[0].Revisions)
		}
	})
	inWorldWith(t, fakegcp.Config{Denied: []string{"run.services.update"}}, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		outcome, err := w.run(ctx, w.task(step, 1))
		if err != nil || outcome.State != rollout.FailedState ||
			!strings.Contains(outcome.Note, "run.services.update") || !strings.Contains(outcome.Detail, "gcloud run services add-iam-policy-binding") {
			t.Errorf("%+v, %v", outcome, err)
		}
	})
	for _, arm := range []struct{ method, permission string }{
		{"GetRevision", "run.revisions.get"}, {"ListLogEntries", "logging.logEntries.list"},
	} {
		inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
			must(t, w.fake.Fault(fakegcp.Fault{Method: arm.method, Kind: fakegcp.FaultError, Code: "PERMISSION_DENIED"}))
			outcome, err := w.run(ctx, w.task(step, 1))
			if err != nil || outcome.State != rollout.FailedState || !strings.Contains(outcome.Note, arm.permission) {
				t.Errorf("%s: %+v, %v", arm.method, outcome, err)
			}
		})
	}
}
