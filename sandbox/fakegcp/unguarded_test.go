package fakegcp_test

import (
	"slices"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"

	"slipway/sandbox/fakegcp"
)

// Without preconditions an old etag is taken, and a second revision of a name replaces the first.
func TestIgnorePreconditions(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.cloud.IgnorePreconditions()
		for _, tag := range []string{"one", "two"} {
			svc, _, err := w.deploy(w.image(tag, fakegcp.Behavior{}), "backend-s1-1")
			w.must(err)
			if svc.GetTerminalCondition().GetState() != runpb.Condition_CONDITION_SUCCEEDED {
				t.Errorf("%s: %v", tag, svc.GetTerminalCondition())
			}
		}
		_, err := w.update(&runpb.Service{Etag: `"old"`, Traffic: []*runpb.TrafficTarget{{Type: byRevision, Revision: "backend-s1-1", Percent: 100}}}, "traffic")
		w.must(err)
		var names []string
		for _, rev := range w.cloud.State().Services[0].Revisions {
			names = append(names, rev.Name)
		}
		if want := []string{stable, "backend-s1-1"}; !slices.Equal(names, want) {
			t.Errorf("revisions %v, want %v", names, want)
		}
	})
}
