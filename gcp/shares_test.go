package gcp

import (
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"
	"pgregory.net/rapid"

	"slipway/plan"
)

// service builds a service from traffic as it is asked for; the statuses show the same.
func service(latestReady string, traffic ...*runpb.TrafficTarget) *runpb.Service {
	svc := &runpb.Service{LatestReadyRevision: latestReady, Traffic: traffic}
	for _, t := range traffic {
		svc.TrafficStatuses = append(svc.TrafficStatuses, &runpb.TrafficTargetStatus{
			Type: t.GetType(), Revision: t.GetRevision(), Percent: t.GetPercent(), Tag: t.GetTag(),
		})
	}
	return svc
}

func target(kind runpb.TrafficTargetAllocationType, name string, percent int32, tag string) *runpb.TrafficTarget {
	return &runpb.TrafficTarget{Type: kind, Revision: name, Percent: percent, Tag: tag}
}

// words writes traffic the way a reader of a test wants it.
func words(traffic []*runpb.TrafficTarget) string {
	var parts []string
	for _, t := range traffic {
		name := t.GetRevision()
		if t.GetType() == latest {
			name = "LATEST"
		}
		if t.GetTag() != "" {
			name += "#" + t.GetTag()
		}
		parts = append(parts, fmt.Sprintf("%s %d", name, t.GetPercent()))
	}
	return strings.Join(parts, ", ")
}

func TestTrafficFor(t *testing.T) {
	plain := service("new", target(revision, "old", 100, ""), target(revision, "new", 0, "candidate"))
	tagged := service("new", target(revision, "old", 90, ""), target(revision, "new", 10, "candidate"), target(latest, "", 0, "preview"))
	halfway := service("old", target(latest, "", 100, ""))
	halfway.Traffic = append(halfway.Traffic, target(revision, "new", 0, "candidate"), target(revision, "new", 0, "preview"))
	for _, arm := range []struct {
		name string
		svc  *runpb.Service
		split
		want string
	}{
		{"first share", plain, split{percent: 10}, "new#candidate 10, old 90"},
		{"all of it", plain, split{percent: 100}, "new#candidate 100"},
		{"none of it", plain, split{percent: 0}, "new#candidate 0, old 100"},
		{"back", plain, split{to: plan.ToStable}, "old 100, new#candidate 0"},
		{"to latest", plain, split{to: plan.ToLatest}, "LATEST 100"},
		{"pinned", plain, split{to: plan.ToPinned}, "new 100"},
		{"a tag of others stays", tagged, split{percent: 50}, "new#candidate 50, old 50, LATEST#preview 0"},
		{"and on the way back", tagged, split{to: plan.ToStable}, "old 100, new#candidate 0, LATEST#preview 0"},
		{"back to a named revision", tagged, split{to: plan.ToRevision}, "new 100, new#candidate 0, LATEST#preview 0"},
		{"back without a tag that did not come up", halfway, split{to: plan.ToStable}, "old 100"},
		{"and at the end", tagged, split{to: plan.ToLatest}, "LATEST 100, LATEST#preview 0"},
		{"back without a candidate that came up", service("old", target(latest, "", 100, "")), split{to: plan.ToStable}, "old 100"},
	} {
		t.Run(arm.name, func(t *testing.T) {
			arm.candidate, arm.stable = "new", "old"
			if got := words(trafficFor(arm.svc, arm.split)); got != arm.want {
				t.Errorf("got  %s\nwant %s", got, arm.want)
			}
		})
	}
}

func TestTrafficBeside(t *testing.T) {
	for _, arm := range []struct {
		name string
		svc  *runpb.Service
		want string
	}{
		{"LATEST is pinned to what it stands for", service("p/revisions/old", target(latest, "", 100, "")), "old 100, new#candidate 0"},
		{"the tag moves", service("older", target(revision, "old", 100, ""), target(revision, "older", 0, "candidate")), "old 100, new#candidate 0"},
		{"a split is kept", service("b", target(revision, "a", 70, ""), target(revision, "b", 30, "")), "a 70, b 30, new#candidate 0"},
		{"shares of one revision add up", service("a", target(latest, "", 40, ""), target(revision, "a", 60, "blue")), "a 100, new#candidate 0, a#blue 0"},
	} {
		t.Run(arm.name, func(t *testing.T) {
			if got := words(trafficBeside(arm.svc, "new")); got != arm.want {
				t.Errorf("got  %s\nwant %s", got, arm.want)
			}
		})
	}
}

// Cloud Run refuses traffic that does not add up to 100, and two targets with one tag.
func TestTrafficAlwaysAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		left, traffic := int32(100), []*runpb.TrafficTarget{}
		for i := range rapid.IntRange(0, 4).Draw(t, "revisions") {
			percent := rapid.Int32Range(0, left).Draw(t, "percent")
			left -= percent
			tag := rapid.SampledFrom([]string{"", fmt.Sprint("tag", i)}).Draw(t, "tag")
			traffic = append(traffic, target(revision, fmt.Sprint("r", i), percent, tag))
		}
		traffic = append(traffic, target(latest, "", left, ""))
		svc := service("r0", traffic...)
		s := split{
			to:        rapid.SampledFrom([]plan.TrafficTo{plan.ToCandidate, plan.ToStable, plan.ToRevision, plan.ToLatest, plan.ToPinned}).Draw(t, "to"),
			percent:   rapid.IntRange(0, 100).Draw(t, "share"),
			candidate: "r1", stable: "r0",
		}
		for _, got := range [][]*runpb.TrafficTarget{trafficFor(svc, s), trafficBeside(svc, "new")} {
			sum, tags := int32(0), map[string]bool{}
			for _, target := range got {
				sum += target.GetPercent()
				if tags[target.GetTag()] && target.GetTag() != "" {
					t.Fatalf("tag %s twice: %s", target.GetTag(), words(got))
				}
				tags[target.GetTag()] = true
			}
			if sum != 100 {
				t.Fatalf("%d%%: %s", sum, words(got))
			}
		}
		if again := trafficFor(service("r0", trafficFor(svc, s)...), s); !asked(again).equal(asked(trafficFor(svc, s))) {
			t.Fatalf("not the same when done again: %s, then %s", words(trafficFor(svc, s)), words(again))
		}
	})
}

func TestServing(t *testing.T) {
	if got := serving(service("r", target(revision, "a", 40, ""), target(revision, "b", 60, ""))); got != "b" {
		t.Errorf("serving %q, want the larger share", got)
	}
	if got := serving(&runpb.Service{}); got != "" {
		t.Errorf("serving %q, want nothing", got)
	}
}

func TestSettled(t *testing.T) {
	good := func() *runpb.Service { return &runpb.Service{Generation: 3, ObservedGeneration: 3} }
	if !settled(good()) {
		t.Error("a service at rest is not settled")
	}
	for name, change := range map[string]func(*runpb.Service){
		"reconciling":         func(s *runpb.Service) { s.Reconciling = true },
		"an older generation": func(s *runpb.Service) { s.ObservedGeneration = 2 },
		"reconciling, once failed": func(s *runpb.Service) {
			s.Reconciling = true
			s.TerminalCondition = &runpb.Condition{State: runpb.Condition_CONDITION_FAILED}
		},
	} {
		svc := good()
		if change(svc); settled(svc) {
			t.Errorf("%s counts as settled", name)
		}
	}
}

// A failed revision that was retired can show Ready, an operation can say that it is done: only the
// whole of the service's state counts.
func TestDeployedNeedsEveryProof(t *testing.T) {
	good := func() *runpb.Service {
		svc := service("p/revisions/new", target(revision, "old", 100, ""), target(revision, "new", 0, "candidate"))
		svc.LatestCreatedRevision = "p/revisions/new"
		svc.Template = &runpb.RevisionTemplate{Revision: "new"}
		svc.TerminalCondition = &runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED}
		return svc
	}
	judge := func(svc *runpb.Service) deployment { return deployed(svc, stableOld(), "new") }
	if got := judge(good()); got != deployReady {
		t.Fatalf("the good case: %v", got)
	}
	for name, arm := range map[string]struct {
		change func(*runpb.Service)
		want   deployment
	}{
		"reconciling":           {func(s *runpb.Service) { s.Reconciling = true }, deployRunning},
		"generation behind":     {func(s *runpb.Service) { s.Generation++ }, deployRunning},
		"failed":                {func(s *runpb.Service) { s.TerminalCondition.State = runpb.Condition_CONDITION_FAILED }, deployFailed},
		"pending":               {func(s *runpb.Service) { s.TerminalCondition.State = runpb.Condition_CONDITION_PENDING }, deployRunning},
		"another is ready":      {func(s *runpb.Service) { s.LatestReadyRevision = "old" }, deployRunning},
		"another was created":   {func(s *runpb.Service) { s.LatestCreatedRevision = "other" }, deployRunning},
		"another template":      {func(s *runpb.Service) { s.Template.Revision = "other" }, deployedOver},
		"tag taken":             {func(s *runpb.Service) { s.Traffic[1].Revision = "other" }, deployedOver},
		"it serves":             {func(s *runpb.Service) { s.TrafficStatuses[1].Percent = 5 }, deployedOver},
		"another serves":        {func(s *runpb.Service) { s.TrafficStatuses[0].Revision = "other" }, deployedOver},
		"statuses lack the tag": {func(s *runpb.Service) { s.TrafficStatuses = s.TrafficStatuses[:1] }, deployRunning},
	} {
		svc := good()
		if arm.change(svc); judge(svc) != arm.want {
			t.Errorf("%s: %v, want %v", name, judge(svc), arm.want)
		}
	}
}
