package state

import (
	"reflect"
	"testing"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

var began = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)

// bringing is a rollout of target that has moved traffic of backend to a revision, and is about to judge it.
func bringing(id string, target plan.Target, revision string) rollout.Rollout {
	r := sample(id, target)
	r.Created = began
	r.Services["backend"] = rollout.Service{Name: "backend", Candidate: rollout.Revision{Name: revision}, Percent: 10, ShiftedAt: began}
	r.Phases = []rollout.Phase{{Name: "canary", Steps: []rollout.Step{
		{
			ID: "1.1", Status: rollout.StepPassed, Applied: true, Ended: began,
			Spec: plan.Step{Kind: plan.KindTraffic, Traffic: &plan.Traffic{Service: "backend", Percent: 10}},
		},
		{
			ID: "1.2", Status: rollout.StepRunning,
			Spec: plan.Step{Kind: plan.KindErrorRate, ErrorRate: &plan.ErrorRate{Gate: plan.Gate{Service: "backend"}}},
		},
	}}}
	return r
}

// created stores a rollout.
func (b *bench) created(t *testing.T, r rollout.Rollout) rollout.Rollout {
	t.Helper()
	r, err := b.Create(t.Context(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ended ends a rollout an hour after it began.
func (b *bench) ended(t *testing.T, r rollout.Rollout) {
	t.Helper()
	r, events := next(r)
	r.Status, r.End = rollout.Ended, &rollout.End{Result: rollout.Succeeded, At: began.Add(time.Hour)}
	if err := b.Commit(t.Context(), rollout.Commit{Rollout: r, Events: events, Then: rollout.Over}); err != nil {
		t.Fatal(err)
	}
}

// posted claims the card that is due and notes where it was posted.
func (b *bench) posted(t *testing.T, id, ts string) {
	t.Helper()
	c := b.claimCard(t, "poster", id)
	c.Channel, c.TS = "C0DEPLOYS", ts
	if err := b.ReleaseCard(t.Context(), "poster", c, time.Hour); err != nil {
		t.Fatal(err)
	}
}

func TestVerifying(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		verifying := func(want ...incident.Verification) {
			t.Helper()
			got, err := b.Verifying(t.Context())
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("rollouts verify %+v, %v; want %+v", got, err, want)
			}
		}
		verifying()
		prod := plan.Target{Environment: "prod", Service: "backend"}
		first := b.created(t, bringing("aaaaaa", staging, "backend-saaa-1"))
		one := incident.Verification{Target: backend, Revision: "backend-saaa-1", Since: began}
		verifying(one)
		b.pass(b.unit / 10)
		b.created(t, bringing("bbbbbb", prod, "backend-sbbb-1"))
		two := incident.Verification{Target: prod, Revision: "backend-sbbb-1", Since: began}
		verifying(one, two)
		b.ended(t, first)
		verifying(two)
	})
}

func TestOrigin(t *testing.T) {
	by := incident.Person{ID: deployer.ID, Name: deployer.Name}
	for name, tt := range map[string]struct {
		done func(t *testing.T, b *bench)
		want *incident.Origin
	}{
		"nobody knows": {func(t *testing.T, b *bench) {
			b.created(t, bringing("aaaaaa", staging, "backend-sbbb-1"))
		}, nil},
		"a rollout elsewhere": {func(t *testing.T, b *bench) {
			b.created(t, bringing("aaaaaa", plan.Target{Environment: "prod"}, "backend-saaa-1"))
		}, nil},
		"active, not posted yet": {func(t *testing.T, b *bench) {
			b.created(t, bringing("aaaaaa", staging, "backend-saaa-1"))
		}, &incident.Origin{Rollout: "aaaaaa", By: by, At: began}},
		"its first post is not confirmed": {func(t *testing.T, b *bench) {
			b.created(t, bringing("aaaaaa", staging, "backend-saaa-1"))
			b.posted(t, "aaaaaa", "")
		}, &incident.Origin{Rollout: "aaaaaa", By: by, At: began}},
		"active": {func(t *testing.T, b *bench) {
			b.created(t, bringing("aaaaaa", backend, "backend-saaa-1"))
			b.posted(t, "aaaaaa", "1700000000.000100")
		}, &incident.Origin{Rollout: "aaaaaa", By: by, At: began, Channel: "C0DEPLOYS", TS: "1700000000.000100"}},
		"ended": {func(t *testing.T, b *bench) {
			r := b.created(t, bringing("aaaaaa", staging, "backend-saaa-1"))
			b.posted(t, "aaaaaa", "1700000000.000100")
			b.ended(t, r)
			b.ended(t, b.created(t, bringing("bbbbbb", staging, "backend-sbbb-1"))) // a later one of another revision
		}, &incident.Origin{Rollout: "aaaaaa", By: by, At: began.Add(time.Hour), Ended: true, Channel: "C0DEPLOYS", TS: "1700000000.000100"}},
		"a rollback to it since": {func(t *testing.T, b *bench) {
			b.ended(t, b.created(t, bringing("aaaaaa", staging, "backend-saaa-1")))
			b.pass(b.unit / 10)
			back := bringing("bbbbbb", backend, "backend-saaa-1")
			back.Kind, back.By = rollout.Rollback, oncall
			back.Phases[0].Steps[0].Spec.Traffic.To = plan.ToRevision
			b.ended(t, b.created(t, back))
		}, &incident.Origin{
			Rollout: "bbbbbb", By: incident.Person{ID: oncall.ID, Name: oncall.Name}, At: began.Add(time.Hour), Ended: true,
		}},
		"one that goes on comes before those that ended": {func(t *testing.T, b *bench) {
			b.ended(t, b.created(t, bringing("aaaaaa", staging, "backend-saaa-1")))
			b.created(t, bringing("bbbbbb", staging, "backend-saaa-1"))
		}, &incident.Origin{Rollout: "bbbbbb", By: by, At: began}},
	} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				tt.done(t, b)
				got, ok, err := b.Origin(t.Context(), backend, "backend-saaa-1")
				var want incident.Origin
				if tt.want != nil {
					want = *tt.want
				}
				if err != nil || ok != (tt.want != nil) || got != want {
					t.Errorf("the origin is %+v (%v), %v; want %+v", got, ok, err, want)
				}
			})
		})
	}
}
