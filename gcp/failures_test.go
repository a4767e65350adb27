package gcp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/rollout"
)

func stableOld() rollout.Service {
	return rollout.Service{
		Name: "backend", CloudRun: "svc", Project: "p", Region: "r",
		Stable: rollout.Revision{Name: "old"}, Image: rollout.Image{Repository: "repo/app", Digest: "sha256:1"},
	}
}

func TestExplain(t *testing.T) {
	for _, arm := range []struct {
		code  codes.Code
		text  string
		label string // "": passes by itself
		words string
	}{
		{codes.NotFound, "no", "not_found", "There is no service svc in p, r."},
		{codes.PermissionDenied, "Permission 'run.services.get' denied on resource", "permission_denied", "lacks run.services.get on the service svc"},
		{codes.PermissionDenied, "no", "permission_denied", "lacks a permission"},
		{codes.Unauthenticated, "no", "unauthenticated", "credentials"},
		{codes.InvalidArgument, "template: bad", "refused", "refuses"},
		{codes.Unavailable, "no", "", ""},
		{codes.DeadlineExceeded, "no", "", ""},
		{codes.ResourceExhausted, "no", "", ""},
		{codes.Internal, "no", "", ""},
		{codes.Aborted, "no", "", ""},
	} {
		err := explain(status.Error(arm.code, arm.text), serviceSubject(stableOld()))
		if arm.label == "" {
			if err == nil || asFailure(err) != nil {
				t.Errorf("%s: %v, want a passing error", arm.code, err)
			}
			continue
		}
		wantFailure(t, err, arm.label, arm.words)
		if status.Code(errors.Unwrap(err)) != arm.code {
			t.Errorf("%s: the chain is lost: %v", arm.code, err)
		}
	}
	if explain(nil, subject{}) != nil {
		t.Error("no error is explained as one")
	}
	if err := explain(context.DeadlineExceeded, subject{}); asFailure(err) != nil {
		t.Errorf("a deadline of our own is final: %v", err)
	}
}

func condition(message string, set func(*runpb.Condition)) *runpb.Condition {
	c := &runpb.Condition{Type: "Ready", State: runpb.Condition_CONDITION_FAILED, Message: message}
	if set != nil {
		set(c)
	}
	return c
}

func common(r runpb.Condition_CommonReason) func(*runpb.Condition) {
	return func(c *runpb.Condition) { c.Reasons = &runpb.Condition_Reason{Reason: r} }
}

func TestCauseOf(t *testing.T) {
	unhealthy := func(c *runpb.Condition) {
		c.Reasons = &runpb.Condition_RevisionReason_{RevisionReason: runpb.Condition_HEALTH_CHECK_CONTAINER_ERROR}
	}
	const both = "The user-provided container failed to start and listen on the port defined by PORT=8080"
	for _, arm := range []struct {
		name      string
		condition *runpb.Condition
		message   string
		want      cause
	}{
		{"unhealthy, nobody knows which", condition(both, unhealthy), "", notHealthy},
		{"exited", condition("Container called exit(1).", unhealthy), "", exited},
		{"never listened", condition("did not listen on the port", unhealthy), "", neverListens},
		{"image missing", condition("Image not found", common(runpb.Condition_CONTAINER_MISSING)), "", imageMissing},
		{"no right to pull", condition("", common(runpb.Condition_CONTAINER_PERMISSION_DENIED)), "", imageDenied},
		{"secret", condition("", common(runpb.Condition_SECRETS_ACCESS_CHECK_FAILED)), "", secretDenied},
		{"slow", condition("", common(runpb.Condition_PROGRESS_DEADLINE_EXCEEDED)), "", tooSlow},
		{"by text", nil, "Revision 'x' is not ready and cannot serve traffic. " + both, notHealthy},
		{"by code in text", nil, "CONTAINER_MISSING: gone", imageMissing},
		{"nothing known", condition("odd", nil), "odder", unknownCause},
	} {
		t.Run(arm.name, func(t *testing.T) {
			if got := causeOf([]*runpb.Condition{arm.condition}, arm.message); got != arm.want {
				t.Errorf("%q, want %q", got, arm.want)
			}
			if (failedStart{}).sentence(arm.want) == "" {
				t.Error("no sentence")
			}
		})
	}
	fine := condition("Container called exit(1).", unhealthy)
	fine.State = runpb.Condition_CONDITION_SUCCEEDED
	if got := causeOf([]*runpb.Condition{fine}, ""); got != unknownCause {
		t.Errorf("a condition that holds is taken for a cause: %q", got)
	}
}

func TestNotReadyKeepsTheLongestMessage(t *testing.T) {
	opErr := &statuspb.Status{Code: int32(codes.FailedPrecondition), Message: "Revision 'x' is not ready"}
	err := failedStart{
		name: "x", opErr: opErr,
		conditions: []*runpb.Condition{condition("Revision 'x' is not ready: image gone", common(runpb.Condition_CONTAINER_MISSING))},
	}.failure()
	if err.Label != "image_missing" || err.Detail != "Revision 'x' is not ready: image gone" || status.Code(err.Err) != codes.FailedPrecondition {
		t.Errorf("%+v", err)
	}
}

func TestRevisionName(t *testing.T) {
	key := rollout.Key{Rollout: "abc234", Step: "3.1", Attempt: 999}
	longest := RevisionName(strings.Repeat("s", 46), key)
	if len(longest) > MaxRevisionName {
		t.Errorf("%q has %d characters, Cloud Run takes %d", longest, len(longest), MaxRevisionName)
	}
	if got := RevisionName("svc", rollout.Key{Rollout: "abc234", Attempt: 2}); got != "svc-sabc234-2" {
		t.Errorf("%q", got)
	}
}

// A template is changed in what is deployed, and in nothing else.
func TestCandidateRequestTouchesLittle(t *testing.T) {
	svc := service("old", target(latest, "", 100, ""))
	svc.Template = &runpb.RevisionTemplate{
		Revision: "svc-00041", ServiceAccount: "sa", Annotations: map[string]string{"a": "b"},
		Containers: []*runpb.Container{
			{Name: "proxy", Image: "envoy", Ports: []*runpb.ContainerPort{{ContainerPort: 80}}},
			{Name: "app", Image: "repo/app@sha256:0", Args: []string{"x"}, Resources: &runpb.ResourceRequirements{CpuIdle: true}},
		},
	}
	got := candidateRequest(svc, stableOld(), rollout.Key{Rollout: "abc234", Step: "3.1", Attempt: 1})
	template := got.GetService().GetTemplate()
	if template.GetContainers()[0].GetImage() != "envoy" || template.GetContainers()[1].GetImage() != "repo/app@sha256:1" {
		t.Errorf("images %v", template.GetContainers())
	}
	if template.GetRevision() != "svc-sabc234-1" || template.GetAnnotations()[keyNote] != "abc234/3.1/1" ||
		template.GetAnnotations()[stableNote] != stableOld().Stable.Name || template.GetAnnotations()["a"] != "b" {
		t.Errorf("template %v", template)
	}
	if !template.GetContainers()[1].GetResources().GetCpuIdle() || template.GetServiceAccount() != "sa" {
		t.Error("settings got lost")
	}
	if svc.GetTemplate().GetRevision() != "svc-00041" {
		t.Error("the service that was read is changed in place")
	}
	if paths := strings.Join(got.GetUpdateMask().GetPaths(), ","); paths != "annotations,template,traffic" {
		t.Errorf("mask %s", paths)
	}
}

func TestMainContainer(t *testing.T) {
	app := &runpb.Container{Image: "repo/app:tag"}
	other := &runpb.Container{Image: "repo/app-proxy:tag"}
	port := &runpb.Container{Image: "x", Ports: []*runpb.ContainerPort{{}}}
	for name, arm := range map[string]struct {
		list []*runpb.Container
		want *runpb.Container
	}{
		"by repository": {[]*runpb.Container{other, port, app}, app},
		"by port":       {[]*runpb.Container{other, port}, port},
		"the first":     {[]*runpb.Container{other}, other},
		"none":          {nil, nil},
	} {
		if got := mainContainer(arm.list, "repo/app"); got != arm.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{40 * time.Second: "40 s", 130 * time.Second: "2m10s", 5 * time.Minute: "5m", time.Hour: "1h0m", 1499 * time.Millisecond: "1 s"} {
		if got := seconds(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
