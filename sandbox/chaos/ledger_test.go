package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

func deployed(attempt string) *runpb.UpdateServiceRequest {
	return &runpb.UpdateServiceRequest{
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"template", "traffic"}},
		Service: &runpb.Service{
			Name: "projects/p/locations/l/services/shop", Template: &runpb.RevisionTemplate{Annotations: map[string]string{attemptNote: attempt}},
		},
	}
}

func shifted(revision string, percent int32) *runpb.UpdateServiceRequest {
	return &runpb.UpdateServiceRequest{
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"traffic"}},
		Service: &runpb.Service{
			Name: "projects/p/locations/l/services/shop", Traffic: []*runpb.TrafficTarget{{Revision: revision, Percent: percent}},
		},
	}
}

// ran is the call that runs a job, and the execution it begins.
type ran struct{ key, execution string }

func TestDoubled(t *testing.T) {
	invalid := deployed("aaaaaa/3.1/1")
	invalid.ValidateOnly = true
	for _, tt := range []struct {
		name    string
		calls   []any
		want    string
		stopped int
	}{
		{"a rollout", []any{deployed("aaaaaa/3.1/1"), shifted("new", 10), shifted("new", 100), shifted("", 100)}, "", 0},
		{"a deploy twice", []any{deployed("aaaaaa/3.1/1"), deployed("aaaaaa/3.1/1")}, "deploy aaaaaa/3.1/1", 0},
		{"a second attempt", []any{deployed("aaaaaa/3.1/1"), deployed("aaaaaa/3.1/2")}, "", 0},
		{"a check before a deploy", []any{invalid, deployed("aaaaaa/3.1/1")}, "", 0},
		{"what is so already", []any{deployed("aaaaaa/3.1/1"), shifted("old", 100), shifted("old", 100)}, "", 0},
		{"a late shift", []any{deployed("aaaaaa/3.1/1"), shifted("new", 10), shifted("new", 100), shifted("new", 10)}, "deploy aaaaaa/3.1/1, then 10% to new", 0},
		{"the shift of another rollout", []any{
			deployed("aaaaaa/3.1/1"), shifted("old", 100), deployed("bbbbbb/3.1/1"), shifted("old", 100),
		}, "", 0},
		{"a job once", []any{ran{"aaaaaa/1.1/1", "x"}, ran{"aaaaaa/1.2/1", "y"}}, "", 0},
		{"a job twice", []any{ran{"aaaaaa/1.1/1", "x"}, ran{"aaaaaa/1.1/1", "y"}}, "run aaaaaa/1.1/1", 0},
		{"a job twice, found and stopped", []any{
			ran{"aaaaaa/1.1/1", "x"}, ran{"aaaaaa/1.1/1", "y"}, &runpb.CancelExecutionRequest{Name: "y"},
		}, "", 1},
		{"both runs stopped", []any{
			ran{"aaaaaa/1.1/1", "x"}, ran{"aaaaaa/1.1/1", "y"}, &runpb.CancelExecutionRequest{Name: "x"}, &runpb.CancelExecutionRequest{Name: "y"},
		}, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger()
			for _, call := range tt.calls {
				receive(t, l, call, nil)
			}
			keys, stopped := l.doubled()
			if got := strings.Join(keys, "; "); got != tt.want || stopped != tt.stopped {
				t.Errorf("doubled %q and stopped %d, want %q and %d", got, stopped, tt.want, tt.stopped)
			}
		})
	}
}

// What the cloud refuses is no effect.
func TestRefusedIsNoEffect(t *testing.T) {
	l := newLedger()
	for range 2 {
		receive(t, l, deployed("aaaaaa/3.1/1"), status.Error(codes.AlreadyExists, "there is one"))
		receive(t, l, ran{"aaaaaa/1.1/1", "x"}, status.Error(codes.Aborted, "etag"))
	}
	if keys, _ := l.doubled(); len(keys) > 0 || l.count() > 0 {
		t.Errorf("%d effects, doubled %q", l.count(), keys)
	}
}

// receive has the ledger see a call that the cloud answers with an error, or does.
func receive(t *testing.T, l *ledger, call any, refusal error) {
	t.Helper()
	var answer any
	if r, ok := call.(ran); ok {
		metadata, err := anypb.New(&runpb.Execution{Name: r.execution})
		if err != nil {
			t.Fatal(err)
		}
		answer = &longrunningpb.Operation{Metadata: metadata}
		call = &runpb.RunJobRequest{Name: "projects/p/locations/l/jobs/checks", Overrides: &runpb.RunJobRequest_Overrides{
			ContainerOverrides: []*runpb.RunJobRequest_Overrides_ContainerOverride{{
				Env: []*runpb.EnvVar{{Name: keyVariable, Values: &runpb.EnvVar_Value{Value: r.key}}},
			}},
		}}
	}
	_, err := l.intercept(t.Context(), proto.Clone(call.(proto.Message)), nil, func(context.Context, any) (any, error) { return answer, refusal })
	if status.Code(err) != status.Code(refusal) {
		t.Fatal(err)
	}
}

// The control's bot differs from the real one by lines that are where they are expected.
func TestEveryFenceIsFound(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writeOverlay(root, t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestReport(t *testing.T) {
	j := newJudge()
	j.count("SIGKILL")
	j.count("SIGKILL")
	if !j.clean() {
		t.Error("nothing is wrong yet")
	}
	j.violation(doubledCard, "%s has %d cards", "aaaaaa", 2)
	j.violation(doubledCard, "%s has %d cards", "aaaaaa", 2)
	var out strings.Builder
	j.report(&out)
	want := "     2  SIGKILL\nVIOLATED  card doubled: aaaaaa has 2 cards\n"
	if out.String() != want || j.clean() {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestRefusesFlags(t *testing.T) {
	var out strings.Builder
	if code := run(t.Context(), []string{"-frobnicate"}, &out); code != exitUnknown || !strings.Contains(out.String(), "unknown flag") {
		t.Errorf("exit %d: %s", code, out.String())
	}
	out.Reset()
	if code := run(t.Context(), []string{"-help"}, &out); code != exitClean || !slices.Contains(strings.Fields(out.String()), "--takeover") {
		t.Errorf("exit %d: %s", code, out.String())
	}
}
