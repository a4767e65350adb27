package gcp

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"cloud.google.com/go/run/apiv2/runpb"

	"slipway/sandbox/fakegcp"
)

// rescue runs one and returns what was said.
func (w *world) rescue(ctx context.Context, name string) (string, error) {
	var said []string
	err := w.cloud.Rescue(ctx, spec(), name, func(text string) { said = append(said, text) })
	return strings.Join(said, "\n"), err
}

func (w *world) wantServing(t *testing.T, name string) {
	t.Helper()
	for _, target := range w.fake.State().Services[0].Traffic {
		if target.Percent > 0 && (target.Revision != name || target.Percent != 100) {
			t.Errorf("%d%% of the traffic is on %s, want all on %s", target.Percent, target.Revision, name)
		}
	}
}

func TestRescueToTheRevisionNamed(t *testing.T) {
	inHistory(t, func(ctx context.Context, w *world) {
		said, err := w.rescue(ctx, "00040")
		must(t, err)
		for _, want := range []string{"Sending all traffic of " + cloudRun + " to " + earlierName + " from " + stableName, "All traffic is back on " + earlierName} {
			if !strings.Contains(said, want) {
				t.Errorf("%q is not in:\n%s", want, said)
			}
		}
		w.wantServing(t, earlierName)
	})
}

// Without a name, and without a rollout's note, it is the newest revision before the serving one. A
// second rescue does not go one step further.
func TestRescueToTheOneBeforeAndNoFurther(t *testing.T) {
	inHistory(t, func(ctx context.Context, w *world) {
		said, err := w.rescue(ctx, "")
		must(t, err)
		if !strings.Contains(said, "newest before "+stableName) || !strings.Contains(said, "is not known here") {
			t.Errorf("it said:\n%s", said)
		}
		w.wantServing(t, earlierName)
		_, err = w.rescue(ctx, "")
		wantFailure(t, err, "back_already", earlierName, "gets none")
		_, err = w.rescue(ctx, earlierName)
		wantFailure(t, err, "serves_already")
	})
}

func TestRescueWithNothingBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fakegcp.Config{}, fakegcp.Behavior{})
		_, err := w.rescue(t.Context(), "")
		wantFailure(t, err, "no_revision", "has no revision before "+stableName)
		w.wantServing(t, stableName)
	})
}

// Somebody else's change at the same time, and answers that are lost, delay a rescue and do not end it.
func TestRescueThroughTrouble(t *testing.T) {
	for _, fault := range []fakegcp.Fault{
		{Method: "UpdateService", Kind: fakegcp.FaultError, Code: "ABORTED", Count: 3},
		{Method: "UpdateService", Kind: fakegcp.FaultAppliedButError, Count: 1},
		{Method: "UpdateService", Kind: fakegcp.FaultError, Code: "UNAVAILABLE", Count: 2},
		{Method: "UpdateService", Kind: fakegcp.FaultError, Code: "INVALID_ARGUMENT", Count: 1}, // it does not like the note
		{Method: "GetOperation", Kind: fakegcp.FaultError, Code: "UNAVAILABLE", Count: 2},
	} {
		t.Run(fault.Method+" "+fault.Kind+" "+fault.Code, func(t *testing.T) {
			inHistory(t, func(ctx context.Context, w *world) {
				must(t, w.fake.Fault(fault))
				said, err := w.rescue(ctx, "00040")
				if err != nil {
					t.Fatalf("%v\n%s", err, said)
				}
				w.wantServing(t, earlierName)
			})
		})
	}
}

// It ends, and says what is in the way, if Cloud Run never takes the change.
func TestRescueGivesUp(t *testing.T) {
	inHistory(t, func(ctx context.Context, w *world) {
		must(t, w.fake.Fault(fakegcp.Fault{Method: "UpdateService", Kind: fakegcp.FaultError, Code: "ABORTED", Count: -1}))
		_, err := w.rescue(ctx, "00040")
		wantFailure(t, err, "busy", "at the same time")
		must(t, w.fake.Fault(fakegcp.Fault{Method: "GetService", Kind: fakegcp.FaultError, Code: "PERMISSION_DENIED", Count: -1}))
		_, err = w.rescue(ctx, "00040")
		wantFailure(t, err, "permission_denied")
	})
}

// A note counts only on the revision that the noted attempt made: later ones inherit it.
func TestRolledOutOver(t *testing.T) {
	notes := map[string]string{keyNote: "abc234/3.1/2", stableNote: stableName}
	for name, want := range map[string]string{
		cloudRun + "-sabc234-2":  stableName,
		cloudRun + "-sabc234-1":  "",
		cloudRun + "-00042-xyz":  "",
		cloudRun + "-szzz234-2":  "",
		"other-sabc234-2":        "",
		cloudRun + "-sabc234-22": "",
	} {
		if got := rolledOutOver(&runpb.Revision{Name: name, Annotations: notes}, inspected(spec())); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := rolledOutOver(&runpb.Revision{Name: cloudRun + "-sabc234-2"}, inspected(spec())); got != "" {
		t.Errorf("without notes: %q", got)
	}
}
