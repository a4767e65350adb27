package fakegcp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"google.golang.org/grpc/codes"

	"slipway/sandbox/fakegcp"
)

func TestFaults(t *testing.T) {
	tests := []struct {
		fault   fakegcp.Fault
		want    codes.Code
		applied bool
	}{
		{fakegcp.Fault{Kind: fakegcp.FaultError, Code: "INTERNAL"}, codes.Internal, false},
		{fakegcp.Fault{Kind: fakegcp.FaultError}, codes.Unavailable, false},
		{fakegcp.Fault{Kind: fakegcp.FaultRateLimit, RetryAfter: 2}, codes.ResourceExhausted, false},
		{fakegcp.Fault{Kind: fakegcp.FaultTimeout}, codes.DeadlineExceeded, false},
		{fakegcp.Fault{Kind: fakegcp.FaultDisconnect}, codes.Unavailable, false},
		{fakegcp.Fault{Kind: fakegcp.FaultAppliedButError, Code: "UNAVAILABLE"}, codes.Unavailable, true},
	}
	for _, tt := range tests {
		t.Run(tt.fault.Kind+tt.fault.Code, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *world) {
				tt.fault.Method = "UpdateService"
				w.must(w.cloud.Fault(tt.fault))
				before := w.service().GetGeneration() // another method meets no fault
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				req := &runpb.UpdateServiceRequest{Service: candidate(w.good, "backend-s1-1")}
				req.Service.Name = fullName
				_, err := w.services.UpdateService(ctx, req)
				w.wantCode(err, tt.want)
				time.Sleep(10 * time.Second)
				if applied := w.service().GetGeneration() != before; applied != tt.applied {
					t.Errorf("applied: %v, want %v", applied, tt.applied)
				}
				_, err = w.services.UpdateService(t.Context(), req)
				if want := map[bool]codes.Code{false: codes.OK, true: codes.AlreadyExists}[tt.applied]; codeOf(err) != want {
					t.Errorf("the next call: %v, want %v", err, want)
				}
				journal := w.cloud.Journal()
				faulted := 0
				for _, call := range journal {
					if call.Fault == tt.fault.Kind && strings.HasPrefix(call.Summary, "set backend") {
						faulted++
					}
				}
				if faulted != 1 {
					t.Errorf("%d faults in the journal %v", faulted, journal)
				}
			})
		})
	}
}

func TestFaultRefused(t *testing.T) {
	cloud := fakegcp.New(fakegcp.Config{Project: project})
	defer cloud.Close()
	for _, f := range []fakegcp.Fault{{Kind: "fire"}, {}, {Kind: fakegcp.FaultError, Code: "BROKEN"}, {Kind: fakegcp.FaultError, Code: "OK"}} {
		if err := cloud.Fault(f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

func TestRegistryPull(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		l, err := w.network.Listen("registry.test:80")
		w.must(err)
		srv := &http.Server{Handler: w.cloud.RegistryHandler()}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		transport := &http.Transport{DialContext: w.network.Dial}
		defer func() { transport.CloseIdleConnections(); _ = srv.Close(); <-served }()
		ref, err := name.ParseReference("registry.test/netra-staging/apps/backend:good", name.Insecure)
		w.must(err)
		desc, err := remote.Get(ref, remote.WithTransport(transport))
		w.must(err)
		if !strings.HasSuffix(w.good, desc.Digest.String()) {
			t.Errorf("pulled %s, want %s", desc.Digest, w.good)
		}
		img, err := desc.Image()
		w.must(err)
		layers, err := img.Layers()
		w.must(err)
		if len(layers) != 1 {
			t.Errorf("%d layers", len(layers))
		}
		if again := w.image("good", fakegcp.Behavior{ErrorRate: 0.5}); again == w.good {
			t.Error("another behavior has the same digest")
		}
		if _, err := w.cloud.AddImage("ghcr.io/a/b:c", fakegcp.Behavior{}); err == nil {
			t.Error("an image of another registry was taken")
		}
	})
}

func TestControl(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		handler := w.cloud.ControlHandler()
		do := func(method, path, body string) (int, string) {
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
			return rec.Code, rec.Body.String()
		}
		tests := []struct {
			path, body string
			want       int
		}{
			{"traffic", `{"service":"backend","rps":5,"error_rate":{"backend-00041-abc":0.1},"message":"ValueError: no"}`, 200},
			{"traffic", `{"service":"none"}`, 400},
			{"traffic", `{"service":"backend","error_rate":{"backend-9":0.1}}`, 400},
			{"traffic", `{"service":"backend","error_rate":{"backend-00041-abc":7}}`, 400},
			{"traffic", `{"service":"backend","rsp":5}`, 400},
			{"fault", `{"target":"gcp","method":"GetService","kind":"429","count":1,"retry_after":3}`, 200},
			{"fault", `{"target":"slack","method":"chat.update","kind":"429"}`, 400},
		}
		changed := w.cloud.Changed()
		for _, tt := range tests {
			if code, body := do("POST", "/_control/"+tt.path, tt.body); code != tt.want {
				t.Errorf("%s %s: %d %s, want %d", tt.path, tt.body, code, body, tt.want)
			}
		}
		select {
		case <-changed:
		default:
			t.Error("a change of traffic is not announced")
		}
		_, err := w.services.GetService(t.Context(), &runpb.GetServiceRequest{Name: fullName})
		w.wantCode(err, codes.ResourceExhausted)
		_, body := do("GET", "/_control/state", "")
		state := decode[fakegcp.State](t, body)
		if svc := state.Services[0]; svc.RPS != 5 || svc.Revisions[0].ErrorRate != 0.1 || svc.Traffic[0].Percent != 100 {
			t.Errorf("state %+v", svc)
		}
		_, body = do("GET", "/_control/journal", "")
		if calls := decode[[]fakegcp.Call](t, body); len(calls) != 1 || calls[0].Outcome != "RESOURCE_EXHAUSTED: Quota exceeded; try again later" {
			t.Errorf("journal %s", body)
		}
	})
}
