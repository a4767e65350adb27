package fakegcp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"slipway/sandbox/fakegcp"
)

func TestDeployCandidateShiftAndFollowLatest(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		before := w.service()
		svc, took, err := w.deploy(w.good, "backend-s1-1")
		w.must(err)
		if took < 6*time.Second || took > 7*time.Second {
			t.Errorf("deploying took %v, want about 6s", took)
		}
		if svc.GetEtag() == before.GetEtag() || svc.GetGeneration() != before.GetGeneration()+1 || svc.GetObservedGeneration() != svc.GetGeneration() {
			t.Errorf("etag %s → %s, generation %d → %d, observed %d", before.GetEtag(), svc.GetEtag(), before.GetGeneration(), svc.GetGeneration(), svc.GetObservedGeneration())
		}
		if svc.GetTerminalCondition().GetState() != runpb.Condition_CONDITION_SUCCEEDED || svc.GetReconciling() {
			t.Errorf("condition %v, reconciling %v", svc.GetTerminalCondition(), svc.GetReconciling())
		}
		if svc.GetLatestReadyRevision() != fullName+"/revisions/backend-s1-1" || svc.GetLatestCreatedRevision() != svc.GetLatestReadyRevision() {
			t.Errorf("latest ready %s, created %s", svc.GetLatestReadyRevision(), svc.GetLatestCreatedRevision())
		}
		uri := svc.GetTrafficStatuses()[1].GetUri()
		if !strings.HasPrefix(uri, "http://candidate---backend-") {
			t.Fatalf("candidate's uri is %q", uri)
		}
		if code, body := w.send("GET", uri+"/health", "", ""); code != 200 || !strings.Contains(body, "backend-s1-1") {
			t.Errorf("candidate answered %d %s", code, body)
		}

		w.shift(&runpb.TrafficTarget{Type: byRevision, Revision: stable, Percent: 90}, &runpb.TrafficTarget{Type: byRevision, Revision: "backend-s1-1", Percent: 10})
		if _, err := w.http.Get(uri + "/health"); err == nil {
			t.Error("the URL of a tag that is gone still answers")
		}
		start := time.Now()
		time.Sleep(100*time.Second + 10*time.Second)
		window := ` timestamp>="` + start.Format(time.RFC3339Nano) + `" timestamp<"` + start.Add(100*time.Second).Format(time.RFC3339Nano) + `"`
		if n := len(w.entries(requestsOf("backend-s1-1") + window)); n < 399 || n > 401 {
			t.Errorf("the candidate got %d of 4000 requests at 10%%", n)
		}

		svc = w.shift(&runpb.TrafficTarget{Type: latest, Percent: 100})
		if st := svc.GetTrafficStatuses(); len(st) != 1 || st[0].GetType() != latest || st[0].GetPercent() != 100 {
			t.Errorf("traffic statuses %v", st)
		}
		if got := w.cloud.State().Services[0].Traffic; len(got) != 1 || got[0].Revision != "backend-s1-1" || !got[0].Latest {
			t.Errorf("traffic in effect %v", got)
		}
	})
}

func TestTemplateUnderPinnedTrafficDoesNotServe(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.shift(&runpb.TrafficTarget{Type: byRevision, Revision: stable, Percent: 100})
		op, err := w.update(&runpb.Service{Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: w.good}}}}, "template")
		w.must(err)
		svc, _, err := finish(w, op)
		w.must(err)
		if !strings.HasPrefix(svc.GetLatestReadyRevision(), fullName+"/revisions/backend-00043-") {
			t.Errorf("generated revision is %s", svc.GetLatestReadyRevision())
		}
		if got := w.cloud.State().Services[0].Traffic; len(got) != 1 || got[0].Revision != stable {
			t.Errorf("traffic in effect %v, want all at %s", got, stable)
		}
	})
}

func TestUpdateRefused(t *testing.T) {
	all := func(target *runpb.TrafficTarget) *runpb.Service {
		return &runpb.Service{Traffic: []*runpb.TrafficTarget{target}}
	}
	named := func(name string) *runpb.Service {
		return &runpb.Service{Template: &runpb.RevisionTemplate{Revision: name, Containers: []*runpb.Container{{Image: images + ":good"}}}}
	}
	tests := []struct {
		name string
		svc  *runpb.Service
		mask string
		want codes.Code
	}{
		{"stale etag", &runpb.Service{Etag: `"old"`, Description: "x"}, "description", codes.Aborted},
		{"name in use", named(stable), "template", codes.AlreadyExists},
		{"name of another service", named("other-1"), "template", codes.InvalidArgument},
		{"name too long", named("backend-" + strings.Repeat("x", 56)), "template", codes.InvalidArgument},
		{"name of the longest length", named("backend-" + strings.Repeat("x", 55)), "template", codes.OK},
		{"sum of 90", all(&runpb.TrafficTarget{Type: latest, Percent: 90}), "traffic", codes.InvalidArgument},
		{"no type", all(&runpb.TrafficTarget{Percent: 100}), "traffic", codes.InvalidArgument},
		{"missing revision", all(&runpb.TrafficTarget{Type: byRevision, Revision: "backend-9", Percent: 100}), "traffic", codes.InvalidArgument},
		{"latest with a name", all(&runpb.TrafficTarget{Type: latest, Revision: stable, Percent: 100}), "traffic", codes.InvalidArgument},
		{"tag on a missing revision", &runpb.Service{Traffic: []*runpb.TrafficTarget{
			{Type: latest, Percent: 100}, {Type: byRevision, Revision: "backend-9", Tag: "candidate"},
		}}, "traffic", codes.InvalidArgument},
		{"tag twice", &runpb.Service{Traffic: []*runpb.TrafficTarget{
			{Type: latest, Percent: 100, Tag: "a"}, {Type: byRevision, Revision: stable, Tag: "a"},
		}}, "traffic", codes.InvalidArgument},
		{"tag that is no host name", all(&runpb.TrafficTarget{Type: latest, Percent: 100, Tag: "A_1"}), "traffic", codes.InvalidArgument},
		{"no image", &runpb.Service{Template: &runpb.RevisionTemplate{}}, "template", codes.InvalidArgument},
		{"camel case in the mask", &runpb.Service{}, "template.serviceAccount", codes.InvalidArgument},
		{"mask of an output", &runpb.Service{}, "uri", codes.InvalidArgument},
		{"system label", &runpb.Service{Labels: map[string]string{"run.googleapis.com/x": "y"}}, "labels", codes.InvalidArgument},
		{"own label", &runpb.Service{Labels: map[string]string{"team": "y"}}, "labels", codes.OK},
	}
	inBubble(t, nil, func(t *testing.T, w *world) {
		for _, tt := range tests {
			tt.svc.Name = fullName
			_, err := w.services.UpdateService(t.Context(), &runpb.UpdateServiceRequest{
				Service: tt.svc, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{tt.mask}}, ValidateOnly: true,
			})
			if got := codeOf(err); got != tt.want {
				t.Errorf("%s: %v (%v), want %v", tt.name, got, err, tt.want)
			}
		}
		if svc := w.service(); svc.GetGeneration() != 41 || len(w.cloud.State().Services[0].Revisions) != 1 {
			t.Errorf("validation changed the service: generation %d", svc.GetGeneration())
		}
		_, err := w.services.GetService(t.Context(), &runpb.GetServiceRequest{Name: place + "/services/none"})
		w.wantCode(err, codes.NotFound)
	})
}

func TestEtagFences(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		read := w.service().GetEtag()
		op, err := w.update(&runpb.Service{Etag: read, Description: "first"}, "description")
		w.must(err)
		meta, err := op.Metadata()
		w.must(err)
		if !meta.GetReconciling() || meta.GetEtag() == read {
			t.Errorf("metadata: reconciling %v, etag %s", meta.GetReconciling(), meta.GetEtag())
		}
		_, err = w.update(&runpb.Service{Etag: read, Description: "late"}, "description")
		w.wantCode(err, codes.Aborted)
		svc, _, err := finish(w, op)
		w.must(err)
		if svc.GetEtag() != meta.GetEtag() || svc.GetDescription() != "first" {
			t.Errorf("etag %s, returned %s, description %q", svc.GetEtag(), meta.GetEtag(), svc.GetDescription())
		}
	})
}

func TestFailedStarts(t *testing.T) {
	tests := []struct {
		name     string
		behavior *fakegcp.Behavior // nil: not in the registry
		took     time.Duration
		revision runpb.Condition_RevisionReason
		common   runpb.Condition_CommonReason
	}{
		{"crash", &fakegcp.Behavior{CrashOnStart: true, Exception: exception}, 26 * time.Second, runpb.Condition_HEALTH_CHECK_CONTAINER_ERROR, 0},
		{"hang", &fakegcp.Behavior{NeverListens: true}, 241 * time.Second, runpb.Condition_HEALTH_CHECK_CONTAINER_ERROR, 0},
		{"missing", nil, 3 * time.Second, 0, runpb.Condition_CONTAINER_MISSING},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				image := images + "@sha256:" + strings.Repeat("0", 64)
				if tt.behavior != nil {
					image = w.image("broken", *tt.behavior)
				}
				_, took, err := w.deploy(image, "backend-s1-1")
				w.wantCode(err, codes.FailedPrecondition)
				if !strings.Contains(err.Error(), "Revision 'backend-s1-1' is not ready and cannot serve traffic") {
					t.Errorf("error is %v", err)
				}
				if took < tt.took || took > tt.took+time.Second {
					t.Errorf("failed after %v, want %v", took, tt.took)
				}
				svc := w.service()
				cond := svc.GetTerminalCondition()
				if cond.GetState() != runpb.Condition_CONDITION_FAILED || cond.GetRevisionReason() != tt.revision || cond.GetReason() != tt.common {
					t.Errorf("terminal condition %v", cond)
				}
				if svc.GetLatestReadyRevision() != fullName+"/revisions/"+stable || len(svc.GetTrafficStatuses()) != 1 || svc.GetObservedGeneration() == svc.GetGeneration() {
					t.Errorf("a failed deploy changed what serves: %v", svc.GetTrafficStatuses())
				}
				w.shift(&runpb.TrafficTarget{Type: byRevision, Revision: stable, Percent: 100})
				rev, err := w.revisions.GetRevision(t.Context(), &runpb.GetRevisionRequest{Name: fullName + "/revisions/backend-s1-1"})
				w.must(err)
				if ready := rev.GetConditions()[0]; ready.GetType() != "Ready" || ready.GetRevisionReason() != runpb.Condition_RETIRED {
					t.Errorf("retired revision is %v", ready)
				}
				op, err := w.update(&runpb.Service{Traffic: []*runpb.TrafficTarget{{Type: byRevision, Revision: "backend-s1-1", Percent: 100}}}, "traffic")
				w.must(err)
				_, _, err = finish(w, op)
				w.wantCode(err, codes.FailedPrecondition)
			})
		})
	}
}

// Each part of a service, and each step of a revision's start, says how far it is.
func TestConditionsWhileReconciling(t *testing.T) {
	states := func(conditions []*runpb.Condition) map[string]runpb.Condition_State {
		out := map[string]runpb.Condition_State{}
		for _, c := range conditions {
			out[c.GetType()] = c.GetState()
		}
		return out
	}
	const (
		waiting = runpb.Condition_CONDITION_RECONCILING
		fine    = runpb.Condition_CONDITION_SUCCEEDED
		broken  = runpb.Condition_CONDITION_FAILED
		pending = runpb.Condition_CONDITION_PENDING
	)
	inBubble(t, nil, func(t *testing.T, w *world) {
		want := func(when string, terminal, routes, configurations, healthy, imported runpb.Condition_State) {
			t.Helper()
			svc := w.service()
			rev, err := w.revisions.GetRevision(t.Context(), &runpb.GetRevisionRequest{Name: svc.GetLatestCreatedRevision()})
			w.must(err)
			of, start := states(svc.GetConditions()), states(rev.GetConditions())
			if svc.GetTerminalCondition().GetState() != terminal || of["RoutesReady"] != routes || of["ConfigurationsReady"] != configurations ||
				start["ContainerHealthy"] != healthy || start["ContainerReady"] != imported {
				t.Errorf("%s: %v, %v, %v", when, svc.GetTerminalCondition().GetState(), of, start)
			}
		}
		want("before", fine, fine, fine, fine, fine)
		_, err := w.update(candidate(w.good, "backend-s1-1"), "template", "traffic")
		w.must(err)
		want("at once", waiting, waiting, waiting, waiting, waiting)
		time.Sleep(2 * time.Second)
		want("with the image there", waiting, waiting, waiting, waiting, fine)
		time.Sleep(2500 * time.Millisecond)
		want("when it is ready", waiting, waiting, fine, fine, fine)
		time.Sleep(2 * time.Second)
		want("when it is done", fine, fine, fine, fine, fine)
		_, err = w.update(&runpb.Service{Traffic: []*runpb.TrafficTarget{{Type: byRevision, Revision: stable, Percent: 100}}}, "traffic")
		w.must(err)
		want("while traffic moves", waiting, waiting, fine, fine, fine)
		_, _, err = w.deploy(w.image("crash", fakegcp.Behavior{CrashOnStart: true}), "backend-s2-1")
		w.wantCode(err, codes.FailedPrecondition)
		want("after a crash", broken, fine, broken, broken, fine)
		_, _, err = w.deploy(images+":none", "backend-s3-1")
		w.wantCode(err, codes.FailedPrecondition)
		want("without an image", broken, fine, broken, pending, broken)
	})
}

func TestOperationsResumeAndWait(t *testing.T) {
	inBubble(t, func(c *fakegcp.Config) { c.Speed = 2 }, func(t *testing.T, w *world) {
		op, err := w.update(candidate(w.good, "backend-s1-1"), "template", "traffic")
		w.must(err)
		resumed := w.services.UpdateServiceOperation(op.Name())
		wait := func(d time.Duration) (done bool, took time.Duration) {
			start := time.Now()
			res, err := w.services.WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: resumed.Name(), Timeout: durationpb.New(d)})
			w.must(err)
			return res.GetDone(), time.Since(start)
		}
		if done, took := wait(time.Second); done || took != time.Second {
			t.Errorf("done %v after %v, want not yet after 1s", done, took)
		}
		if done, took := wait(10 * time.Second); !done || took != 2*time.Second {
			t.Errorf("done %v after %v, want 2s more at double speed", done, took)
		}
		svc, err := resumed.Poll(t.Context())
		w.must(err)
		if svc.GetName() != fullName {
			t.Errorf("resumed operation answered %v", svc)
		}
		gone := w.services.UpdateServiceOperation(place + "/operations/none")
		_, err = gone.Poll(t.Context())
		w.wantCode(err, codes.NotFound)
	})
}

func TestListsAndRevisions(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for _, name := range []string{"backend-s1-1", "backend-s2-1"} {
			_, _, err := w.deploy(w.good, name)
			w.must(err)
		}
		var names []string
		for _, rev := range collect(t, w.revisions.ListRevisions(t.Context(), &runpb.ListRevisionsRequest{Parent: fullName, PageSize: 2}).All()) {
			names = append(names, rev.GetName()[strings.LastIndex(rev.GetName(), "/")+1:])
			if !strings.Contains(rev.GetContainers()[0].GetImage(), "@sha256:") {
				t.Errorf("revision %s has image %s, want a digest", rev.GetName(), rev.GetContainers()[0].GetImage())
			}
		}
		if got := strings.Join(names, " "); got != "backend-s2-1 backend-s1-1 "+stable {
			t.Errorf("revisions %s, want the newest first", got)
		}
		if n := len(collect(t, w.services.ListServices(t.Context(), &runpb.ListServicesRequest{Parent: place}).All())); n != 1 {
			t.Errorf("%d services", n)
		}
	})
}

func TestAllowMissingCreates(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		req := &runpb.UpdateServiceRequest{
			Service: &runpb.Service{Name: place + "/services/fresh", Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: w.good}}}},
		}
		_, err := w.services.UpdateService(t.Context(), req)
		w.wantCode(err, codes.NotFound)
		req.AllowMissing = true
		w.cloud.Deny("run.services.create")
		_, err = w.services.UpdateService(t.Context(), req)
		w.wantCode(err, codes.PermissionDenied)
		w.cloud.Deny()
		op, err := w.services.UpdateService(t.Context(), req)
		w.must(err)
		svc, _, err := finish[*runpb.Service, *run.UpdateServiceOperation](w, op)
		w.must(err)
		if code, _ := w.send("GET", svc.GetUri()+"/health", "", ""); code != http.StatusOK {
			t.Errorf("a created service answers %d", code)
		}
	})
}

func TestPermissions(t *testing.T) {
	deny := func(c *fakegcp.Config) { c.Denied = []string{"run.services.update"} }
	inBubble(t, deny, func(t *testing.T, w *world) {
		ask := func(resource string) []string {
			res, err := w.services.TestIamPermissions(t.Context(), &iampb.TestIamPermissionsRequest{
				Resource: resource, Permissions: []string{"run.services.get", "run.services.update"},
			})
			w.must(err)
			return res.GetPermissions()
		}
		if got := ask(fullName); len(got) != 1 || got[0] != "run.services.get" {
			t.Errorf("granted %v", got)
		}
		if got := ask(place + "/services/none"); len(got) != 0 {
			t.Errorf("granted %v on a service that is not there", got)
		}
		_, err := w.update(&runpb.Service{Description: "x"}, "description")
		w.wantCode(err, codes.PermissionDenied)
	})
}
