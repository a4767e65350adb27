package gcp

import (
	"context"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"slipway/incident"
	"slipway/plan"
	"slipway/sandbox/fakegcp"
)

const pipeline = "ci@" + project + ".iam.gserviceaccount.com"

func (w *world) standing(ctx context.Context) incident.Standing {
	w.t.Helper()
	got, err := w.cloud.Standing(ctx, alerting())
	must(w.t, err)
	return got
}

// touch lets somebody else change the service.
func (w *world) touch(change fakegcp.TouchRequest) {
	w.t.Helper()
	change.Service = cloudRun
	must(w.t, w.fake.Touch(change))
	time.Sleep(time.Minute)
}

func (w *world) wantStanding(ctx context.Context, when string, want incident.Standing) {
	w.t.Helper()
	if got := w.standing(ctx); got != want {
		w.t.Errorf("%s: %+v, want %+v", when, got, want)
	}
}

// It is told who keeps traffic from newer revisions, and not that Slipway does, whoever deploys meanwhile.
func TestStandingOfPinnedTraffic(t *testing.T) {
	inHistory(t, func(ctx context.Context, w *world) {
		w.wantStanding(ctx, "as it was deployed", incident.Standing{Serving: stableName, Back: earlierName})
		at := time.Now().UTC()
		w.touch(fakegcp.TouchRequest{Traffic: map[string]int{earlierName: 100}})
		byOthers := incident.Standing{Serving: earlierName, Pinned: earlierName, PinnedBy: pipeline, PinnedAt: at}
		w.wantStanding(ctx, "pinned by a pipeline", byOthers)
		byOthers.PinnedAt = time.Now().UTC()
		w.touch(fakegcp.TouchRequest{Image: repository + ":new"})
		w.wantStanding(ctx, "and it deploys without effect", byOthers)

		w.touch(fakegcp.TouchRequest{Traffic: map[string]int{"LATEST": 100}})
		if got := w.standing(ctx); got.Pinned != "" || got.Back != stableName {
			t.Errorf("following the latest: %+v", got)
		}
		_, err := w.rescue(ctx, "00041")
		must(t, err)
		w.wantStanding(ctx, "after a rescue", incident.Standing{Serving: stableName})
		w.touch(fakegcp.TouchRequest{Image: repository + ":old"})
		w.wantStanding(ctx, "and a deploy of somebody else", incident.Standing{Serving: stableName})
		w.touch(fakegcp.TouchRequest{Traffic: map[string]int{stableName: 50, earlierName: 50}})
		w.wantStanding(ctx, "split", incident.Standing{Serving: earlierName, Back: earlierName})
	})
}

// What a rollout leaves is its own: a candidate beside the old revision, a part of the traffic, a pin.
func TestStandingDuringARollout(t *testing.T) {
	inWorld(t, fakegcp.Behavior{}, func(ctx context.Context, w *world) {
		w.pass(ctx, deployStep())
		w.wantStanding(ctx, "with a candidate", incident.Standing{Serving: stableName})
		w.touch(fakegcp.TouchRequest{})
		w.wantStanding(ctx, "with a candidate that others touched", incident.Standing{Serving: stableName})
		w.pass(ctx, trafficStep(10, ""))
		w.wantStanding(ctx, "with 10% on it", incident.Standing{Serving: stableName, Back: stableName})
		w.pass(ctx, trafficStep(100, ""))
		candidate := w.service.Candidate.Name
		w.wantStanding(ctx, "with all on it", incident.Standing{Serving: candidate, Back: stableName})
		w.pass(ctx, trafficStep(100, plan.ToPinned))
		w.touch(fakegcp.TouchRequest{Image: repository + ":old"})
		w.wantStanding(ctx, "pinned, and others deploy", incident.Standing{Serving: candidate})
		w.touch(fakegcp.TouchRequest{Traffic: map[string]int{stableName: 100}})
		if got := w.standing(ctx); got.Pinned != stableName || got.PinnedBy != pipeline {
			t.Errorf("pinned elsewhere by others: %+v", got)
		}
		w.pass(ctx, trafficStep(0, plan.ToStable))
		w.wantStanding(ctx, "back", incident.Standing{Serving: stableName})
	})
}

// A new revision that fails is no alarm while the old one serves; a service that never came up is one.
func TestStandingOfWhatFails(t *testing.T) {
	inHistory(t, func(ctx context.Context, w *world) {
		addImage(t, w.fake, "broken", fakegcp.Behavior{CrashOnStart: true})
		w.touch(fakegcp.TouchRequest{Image: repository + ":broken"})
		w.wantStanding(ctx, "after a deploy that failed", incident.Standing{Serving: stableName})

		fresh := alerting()
		fresh.CloudRun = "fresh"
		_, err := w.cloud.services.UpdateService(ctx, &runpb.UpdateServiceRequest{AllowMissing: true, Service: &runpb.Service{
			Name: servicePath(watched(fresh)), Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: repository + ":broken"}}},
		}})
		must(t, err)
		time.Sleep(5 * time.Second)
		if got, err := w.cloud.Standing(ctx, fresh); err != nil || got != (incident.Standing{}) {
			t.Errorf("while it starts: %+v, %v", got, err)
		}
		time.Sleep(time.Minute)
		got, err := w.cloud.Standing(ctx, fresh)
		must(t, err)
		if !strings.HasPrefix(got.NotReady, "No revision of fresh can serve: fresh-00001-") ||
			!strings.HasSuffix(got.NotReady, " is not ready: The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout.") {
			t.Errorf("%+v", got)
		}

		fresh.CloudRun = "nowhere"
		_, err = w.cloud.Standing(ctx, fresh)
		wantFailure(t, err, "not_found", "nowhere")
		w.fake.Deny("run.revisions.list")
		_, err = w.cloud.Standing(ctx, alerting())
		wantFailure(t, err, "permission_denied", "run.revisions.list")
	})
}

func TestNotReady(t *testing.T) {
	is := func(name string, state runpb.Condition_State) *runpb.Revision {
		return &runpb.Revision{Name: name, Conditions: []*runpb.Condition{{Type: "Ready", State: state, Message: "Revision '" + name + "' is not ready and cannot serve traffic. It broke. More."}}}
	}
	const good, bad, unknown = runpb.Condition_CONDITION_SUCCEEDED, runpb.Condition_CONDITION_FAILED, runpb.Condition_CONDITION_RECONCILING
	terminal := func(svc *runpb.Service, state runpb.Condition_State) *runpb.Service {
		svc.TerminalCondition = &runpb.Condition{State: state, Message: "Not this one. At all."}
		svc.LatestCreatedRevision = "b"
		return svc
	}
	for _, tt := range []struct {
		what string
		svc  *runpb.Service
		all  []*runpb.Revision
		want string
	}{
		{"it serves", service("a", share("a", 100)), []*runpb.Revision{is("a", good)}, ""},
		{"it does not", service("a", share("a", 100)), []*runpb.Revision{is("a", bad)}, "No revision of svc can serve: a is not ready: It broke."},
		{"the latest does not", service("a", &runpb.TrafficTarget{Type: latest, Percent: 100}), []*runpb.Revision{is("a", bad)}, "No revision of svc can serve: a is not ready: It broke."},
		{"neither does", service("a", share("a", 40), share("b", 60)), []*runpb.Revision{is("b", bad), is("a", bad)}, "No revision of svc can serve: b is not ready: It broke."},
		{"one does", service("a", share("a", 10), share("b", 90)), []*runpb.Revision{is("b", bad), is("a", good)}, ""},
		{"it is not known", service("a", share("a", 100)), []*runpb.Revision{is("a", unknown)}, ""},
		{"nothing is known", service("a", share("a", 100)), nil, ""},
		{"a newer one failed", terminal(service("a", share("a", 100)), bad), []*runpb.Revision{is("b", bad), is("a", good)}, ""},
		{"none ever was", terminal(service(""), bad), nil, "No revision of svc can serve: b is not ready: Not this one."},
		{"the latest never was", terminal(service("", &runpb.TrafficTarget{Type: latest, Percent: 100}), bad), []*runpb.Revision{is("b", bad)}, "No revision of svc can serve: b is not ready: It broke."},
		{"none yet", terminal(service(""), unknown), []*runpb.Revision{is("b", unknown)}, ""},
		{"none has traffic yet", terminal(service("a"), bad), []*runpb.Revision{is("b", bad), is("a", good)}, ""},
		{"nobody deployed", service(""), nil, ""},
	} {
		if got := notReady(stableOld(), tt.svc, tt.all); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestKeptByOthers(t *testing.T) {
	ready := []*runpb.Condition{{Type: "Ready", State: runpb.Condition_CONDITION_SUCCEEDED}}
	older, newer := &runpb.Revision{Name: "old", Conditions: ready}, &runpb.Revision{Name: "new", Conditions: ready}
	made := &runpb.Revision{Name: "svc-sabc234-1", Creator: "slipway@x", Annotations: map[string]string{keyNote: "abc234/3.1/1"}}
	inherited := &runpb.Revision{Name: "svc-00043", Creator: "ci@x", Annotations: made.GetAnnotations()}
	pinned := func(change func(*runpb.Service)) *runpb.Service {
		svc := service("new", share("old", 100))
		svc.LastModifier, svc.UpdateTime = "ci@x", timestamppb.Now()
		change(svc)
		return svc
	}
	for _, tt := range []struct {
		what string
		svc  *runpb.Service
		all  []*runpb.Revision
		want string
	}{
		{"another did it", pinned(func(*runpb.Service) {}), []*runpb.Revision{newer, older}, "old"},
		{"beside Slipway's", pinned(func(*runpb.Service) {}), []*runpb.Revision{inherited, made, newer, older}, "old"},
		{"Slipway noted so", pinned(func(s *runpb.Service) { s.Annotations = map[string]string{keptNote: "old"} }), []*runpb.Revision{newer, older}, ""},
		{"it noted another", pinned(func(s *runpb.Service) { s.Annotations = map[string]string{keptNote: "new"} }), []*runpb.Revision{newer, older}, "old"},
		{"its account did it", pinned(func(s *runpb.Service) { s.LastModifier = "slipway@x" }), []*runpb.Revision{made, newer, older}, ""},
		{"nobody knows who", pinned(func(s *runpb.Service) { s.LastModifier = "" }), []*runpb.Revision{{Name: "x"}, newer, older}, "old"},
		{"it is the newest", pinned(func(s *runpb.Service) { s.LatestReadyRevision = "old" }), []*runpb.Revision{newer, older}, ""},
		{"the newer one is older", pinned(func(*runpb.Service) {}), []*runpb.Revision{older, newer}, ""},
		{"the newer one cannot serve", pinned(func(*runpb.Service) {}), []*runpb.Revision{{Name: "new"}, older}, ""},
		{"it changes", pinned(func(s *runpb.Service) { s.Reconciling = true }), []*runpb.Revision{newer, older}, ""},
		{"it is to change", pinned(func(s *runpb.Service) { s.Traffic = []*runpb.TrafficTarget{share("new", 100)} }), []*runpb.Revision{newer, older}, ""},
		{"a part of it", service("new", share("old", 99), share("new", 1)), []*runpb.Revision{newer, older}, ""},
		{"it follows the latest", service("new", &runpb.TrafficTarget{Type: latest, Percent: 100}), []*runpb.Revision{newer, older}, ""},
	} {
		if got := keptByOthers(stableOld(), tt.svc, tt.all); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
}

// The note names what keeps all traffic, and no more than that; others' notes stay.
func TestKeeping(t *testing.T) {
	svc := &runpb.Service{Annotations: map[string]string{"theirs": "1", keptNote: "a"}}
	for _, tt := range []struct {
		traffic []*runpb.TrafficTarget
		want    string
	}{
		{[]*runpb.TrafficTarget{share("b", 100), candidateShare("c", 0)}, "b"},
		{[]*runpb.TrafficTarget{share("b", 90), candidateShare("c", 10)}, ""},
		{[]*runpb.TrafficTarget{{Type: latest, Percent: 100}}, ""},
	} {
		got := keeping(svc, tt.traffic)
		if note, noted := got[keptNote]; note != tt.want || noted != (tt.want != "") || got["theirs"] != "1" {
			t.Errorf("%v: %v, want %q", tt.traffic, got, tt.want)
		}
	}
	if svc.GetAnnotations()[keptNote] != "a" {
		t.Error("the service that was read is changed in place")
	}
	if got := keeping(&runpb.Service{}, []*runpb.TrafficTarget{share("b", 100)}); got[keptNote] != "b" {
		t.Errorf("%v of a service without annotations", got)
	}
}
