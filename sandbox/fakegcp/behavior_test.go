package fakegcp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/sandbox/fakegcp"
)

// linesOf filters everything that a revision and Cloud Run wrote, requests aside.
func linesOf(revision string) string {
	return `resource.type="cloud_run_revision" resource.labels.revision_name="` + revision + `" ` +
		`(log_id("run.googleapis.com/stderr") OR log_id("run.googleapis.com/varlog/system"))`
}

func TestImagesThatCannotStart(t *testing.T) {
	tests := map[string]struct {
		behavior fakegcp.Behavior
		message  string // of the operation
		log      string
		set      func(*runpb.Condition) bool
		within   time.Duration
	}{
		"pull": {fakegcp.Behavior{PullDenied: true}, "must have permission to read the image", "", func(c *runpb.Condition) bool {
			return c.GetReason() == runpb.Condition_CONTAINER_PERMISSION_DENIED
		}, 5 * time.Second},
		"secret": {fakegcp.Behavior{SecretDenied: "db-url"}, "secrets/db-url/versions/latest for Revision service account 1234567890-compute@", "", func(c *runpb.Condition) bool {
			return c.GetReason() == runpb.Condition_SECRETS_ACCESS_CHECK_FAILED
		}, 5 * time.Second},
		"platform": {fakegcp.Behavior{WrongPlatform: true}, "failed to start and listen", "exec format error", func(c *runpb.Condition) bool {
			return c.GetRevisionReason() == runpb.Condition_HEALTH_CHECK_CONTAINER_ERROR
		}, 30 * time.Second},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				_, took, err := w.deploy(w.image(what, tt.behavior), "backend-s1-1")
				w.wantCode(err, codes.FailedPrecondition)
				if !strings.Contains(err.Error(), tt.message) || took > tt.within {
					t.Errorf("after %v: %v", took, err)
				}
				rev, err := w.revisions.GetRevision(t.Context(), &runpb.GetRevisionRequest{Name: fullName + "/revisions/backend-s1-1"})
				w.must(err)
				if c := rev.GetConditions()[0]; !tt.set(c) || !tt.set(w.service().GetTerminalCondition()) {
					t.Errorf("condition %v", c)
				}
				time.Sleep(2 * time.Second)
				found := false
				for _, e := range w.entries(linesOf("backend-s1-1")) {
					found = found || tt.log != "" && strings.Contains(e.GetTextPayload(), tt.log)
				}
				if found != (tt.log != "") {
					t.Errorf("%q in the log: %v", tt.log, found)
				}
			})
		})
	}
}

func TestWrongPlatformShowsInTheRegistry(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.image("arm", fakegcp.Behavior{WrongPlatform: true})
		for tag, want := range map[string]string{"arm": "arm64", "good": ""} {
			ref, err := name.ParseReference(images + ":" + tag)
			w.must(err)
			img, err := remote.Image(ref, remote.WithTransport(handlerTransport{w.cloud.RegistryHandler()}))
			w.must(err)
			config, err := img.ConfigFile()
			w.must(err)
			if config.Architecture != want {
				t.Errorf("%s is built for %q, want %q", tag, config.Architecture, want)
			}
		}
	})
}

// handlerTransport asks a handler without a network.
type handlerTransport struct{ handler http.Handler }

func (h handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h.handler.ServeHTTP(rec, r)
	res := rec.Result()
	res.Request = r
	return res, nil
}

// Neither of these ends, and either is overtaken by the next change.
func TestWhatNeverEnds(t *testing.T) {
	for what, begin := range map[string]func(w *world) error{
		"a revision": func(w *world) error {
			_, err := w.update(candidate(w.image("stuck", fakegcp.Behavior{Stuck: true}), "backend-s1-1"), "template", "traffic")
			return err
		},
		"an update": func(w *world) error {
			w.must(w.cloud.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultNeverEnds}))
			_, err := w.update(&runpb.Service{Traffic: []*runpb.TrafficTarget{{Type: byRevision, Revision: stable, Percent: 100}}}, "traffic")
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				w.must(begin(w))
				time.Sleep(time.Hour)
				if svc := w.service(); !svc.GetReconciling() || svc.GetObservedGeneration() == svc.GetGeneration() {
					t.Errorf("it ended: %v", svc.GetTerminalCondition())
				}
				svc := w.shift(&runpb.TrafficTarget{Type: byRevision, Revision: stable, Percent: 100})
				if svc.GetReconciling() || svc.GetObservedGeneration() != svc.GetGeneration() {
					t.Errorf("the next change does not overtake it: %v", svc)
				}
			})
		})
	}
}

// A revision that crashes once it serves stays ready, and answers 503.
func TestCrashAfterReady(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		image := w.image("brittle", fakegcp.Behavior{CrashAfter: time.Minute, Exception: "MemoryError"})
		_, _, err := w.deploy(image, "backend-s1-1")
		w.must(err)
		svc := w.shift(&runpb.TrafficTarget{Type: byRevision, Revision: "backend-s1-1", Percent: 100, Tag: "candidate"})
		url := svc.GetTrafficStatuses()[0].GetUri()
		if code, _ := w.send("GET", url+"/api/threads", "e2e-token", ""); code != http.StatusOK {
			t.Errorf("before it crashes: %d", code)
		}
		time.Sleep(2 * time.Minute)
		if code, _ := w.send("GET", url+"/api/threads", "e2e-token", ""); code != http.StatusServiceUnavailable {
			t.Errorf("once it crashed: %d", code)
		}
		if w.service().GetTerminalCondition().GetState() != runpb.Condition_CONDITION_SUCCEEDED {
			t.Error("the revision is not ready any more")
		}
		refused, fine := 0, 0
		for _, e := range w.entries(requestsOf("backend-s1-1")) {
			switch e.GetHttpRequest().GetStatus() {
			case http.StatusServiceUnavailable:
				refused++
			case http.StatusOK:
				fine++
			}
		}
		if refused < 1000 || fine < 1000 {
			t.Errorf("%d requests refused and %d answered, want both", refused, fine)
		}
		exits := 0
		for _, e := range w.entries(linesOf("backend-s1-1")) {
			if strings.HasPrefix(e.GetTextPayload(), "Container called exit(") {
				exits++
			}
		}
		if exits != 1 {
			t.Errorf("%d exits in the log", exits)
		}
	})
}

func TestJobMayNotPull(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		job, err := w.jobs.GetJob(t.Context(), &runpb.GetJobRequest{Name: place + "/jobs/tests"})
		w.must(err)
		job.Template.Template.Containers[0].Image = w.image("locked", fakegcp.Behavior{PullDenied: true})
		op, err := w.jobs.UpdateJob(t.Context(), &runpb.UpdateJobRequest{Job: job})
		w.must(err)
		_, _, err = finish(w, op)
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "must have permission to read the image") {
			t.Errorf("%v", err)
		}
	})
}

func TestRegistryFaults(t *testing.T) {
	cloud := fakegcp.New(fakegcp.Config{Project: project})
	defer cloud.Close()
	ask := func() *http.Response {
		rec := httptest.NewRecorder()
		cloud.RegistryHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v2/", nil))
		return rec.Result()
	}
	for _, tt := range []struct {
		fault fakegcp.Fault
		want  int
	}{
		{fakegcp.Fault{Kind: fakegcp.FaultError}, 503},
		{fakegcp.Fault{Kind: fakegcp.FaultError, Code: "PERMISSION_DENIED"}, 403},
		{fakegcp.Fault{Kind: fakegcp.FaultError, Code: "UNAUTHENTICATED"}, 401},
		{fakegcp.Fault{Kind: fakegcp.FaultError, Code: "NOT_FOUND"}, 404},
		{fakegcp.Fault{Kind: fakegcp.FaultError, Code: "INTERNAL"}, 500},
		{fakegcp.Fault{Kind: fakegcp.FaultRateLimit, RetryAfter: 1.5}, 429},
		{fakegcp.Fault{Method: "*", Kind: fakegcp.FaultError}, 200}, // calls only
	} {
		if tt.fault.Method == "" {
			tt.fault.Method = "Registry"
		}
		if err := cloud.Fault(tt.fault); err != nil {
			t.Fatal(err)
		}
		res := ask()
		if res.StatusCode != tt.want || res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") != "2" {
			t.Errorf("%+v: %s", tt.fault, res.Status)
		}
	}
	if res := ask(); res.StatusCode != http.StatusOK {
		t.Errorf("without a fault: %s", res.Status)
	}
	if err := cloud.Fault(fakegcp.Fault{Method: "GetService", Kind: fakegcp.FaultNeverEnds}); err == nil {
		t.Error("a read that never ends was taken")
	}
}
