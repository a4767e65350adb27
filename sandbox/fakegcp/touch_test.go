package fakegcp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"

	"slipway/sandbox/fakegcp"
)

const theirs = "ci@netra-staging.iam.gserviceaccount.com"

func TestTouchMovesOnlyTheEtag(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		before := w.service()
		w.must(w.cloud.Touch(fakegcp.TouchRequest{Service: backend}))
		time.Sleep(5 * time.Second)
		after := w.service()
		if after.GetEtag() == before.GetEtag() || after.GetLastModifier() != theirs || after.GetReconciling() {
			t.Errorf("etag %s, by %s", after.GetEtag(), after.GetLastModifier())
		}
		if len(after.GetTrafficStatuses()) != 1 || after.GetLatestCreatedRevision() != before.GetLatestCreatedRevision() {
			t.Errorf("more than the etag changed: %v", after)
		}
		_, err := w.update(&runpb.Service{Etag: before.GetEtag(), Traffic: before.GetTraffic()}, "traffic")
		w.wantCode(err, codes.Aborted)
		_, err = w.update(&runpb.Service{Etag: after.GetEtag(), Traffic: before.GetTraffic()}, "traffic")
		w.must(err)
		if who := w.service().GetLastModifier(); who == theirs {
			t.Errorf("last modifier %s after our own change", who)
		}
	})
}

func TestTouchDeploysAndMovesTraffic(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.must(w.cloud.Touch(fakegcp.TouchRequest{Service: backend, By: "oncall@example.com", Image: w.good, Revision: "backend-theirs"}))
		time.Sleep(10 * time.Second)
		svc := w.service()
		if !strings.HasSuffix(svc.GetLatestReadyRevision(), "/backend-theirs") || svc.GetLastModifier() != "oncall@example.com" {
			t.Errorf("latest %s, by %s", svc.GetLatestReadyRevision(), svc.GetLastModifier())
		}
		if state := w.cloud.State().Services[0]; state.Traffic[0].Revision != "backend-theirs" {
			t.Errorf("traffic %+v, want it to follow LATEST", state.Traffic)
		}
		w.must(w.cloud.Touch(fakegcp.TouchRequest{Service: backend, Traffic: map[string]int{stable: 70, "LATEST": 30}}))
		time.Sleep(5 * time.Second)
		if state := w.cloud.State().Services[0]; len(state.Traffic) != 2 || state.Traffic[1].Revision != stable || state.Traffic[1].Percent != 70 {
			t.Errorf("traffic %+v", state.Traffic)
		}
	})
}

func TestTouchKeepsTheRules(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		for _, r := range []fakegcp.TouchRequest{
			{Service: "none"},
			{Service: backend, Traffic: map[string]int{stable: 70}},
			{Service: backend, Traffic: map[string]int{"backend-9": 100}},
			{Service: backend, Image: w.good, Revision: stable},
			{Service: backend, Image: w.good, Revision: "other-1"},
		} {
			etag := w.service().GetEtag()
			if err := w.cloud.Touch(r); err == nil {
				t.Errorf("%+v was taken", r)
			}
			if w.service().GetEtag() != etag {
				t.Errorf("%+v was refused and changed something", r)
			}
		}
	})
}

func TestTouchAndDenyByControl(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		handler := w.cloud.ControlHandler()
		post := func(path, body string) int {
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/_control/"+path, strings.NewReader(body)))
			return rec.Code
		}
		for _, tt := range []struct {
			path, body string
			want       int
		}{
			{"touch", `{"service":"backend","traffic":{"backend-00041-abc":100}}`, 200},
			{"touch", `{"service":"none"}`, 400},
			{"touch", `{"service":"backend","percent":3}`, 400},
			{"deny", `{"permissions":["run.services.get"]}`, 200},
		} {
			if code := post(tt.path, tt.body); code != tt.want {
				t.Errorf("%s %s: %d, want %d", tt.path, tt.body, code, tt.want)
			}
		}
		_, err := w.services.GetService(t.Context(), &runpb.GetServiceRequest{Name: fullName})
		w.wantCode(err, codes.PermissionDenied)
		if code := post("deny", `{"permissions":[]}`); code != 200 {
			t.Errorf("giving back: %d", code)
		}
		if by := w.service().GetLastModifier(); by != theirs {
			t.Errorf("last modifier %s", by)
		}
	})
}

func TestDenyActAs(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.cloud.Deny("iam.serviceaccounts.actAs")
		_, err := w.update(candidate(w.good, "backend-s1-1"), "template", "traffic")
		w.wantCode(err, codes.PermissionDenied)
		if !strings.Contains(err.Error(), "run@netra-staging.iam.gserviceaccount.com") {
			t.Errorf("%v does not name the account", err)
		}
		w.shift(&runpb.TrafficTarget{Type: byRevision, Revision: stable, Percent: 100}) // needs no new revision
		w.must(w.cloud.Touch(fakegcp.TouchRequest{Service: backend, Image: w.good}))    // others may
		w.cloud.Deny()
		_, _, err = w.deploy(w.good, "backend-s1-1")
		w.must(err)
	})
}
