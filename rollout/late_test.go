package rollout

import (
	"strings"
	"testing"
)

// A revision that failed after its rollout had succeeded is none to go back to, and its image asks before it goes out
// again; one whose verdicts held is both good.
func TestFailedLateIsNotGood(t *testing.T) {
	past := func(state WatchState) []Rollout {
		r := newTest("")
		r.Services = map[string]Service{"backend": {
			Name: "backend", Stable: Revision{Name: "backend-00041"}, Candidate: Revision{Name: "backend-s1-1"}, Image: Image{Tag: "v1", Digest: "sha256:aaaaaaaaaa"},
		}}
		step, _ := r.Step("3.1")
		step.Attempt = 1
		r.Status, r.End = Ended, &End{Result: Succeeded, At: t0}
		r.Watch = &Watch{Until: t0, Outcome: &WatchEnd{At: t0, State: state, Note: "Errors 31% (94 of 301) since 12:17 UTC."}}
		return []Rollout{r}
	}
	next := map[string]Service{"backend": {Image: Image{Tag: "v1", Digest: "sha256:aaaaaaaaaa"}}}
	for state, want := range map[WatchState]struct{ good, failed string }{
		WatchHeld:   {"backend-s1-1", ""},
		WatchFailed: {"backend-00041", "failed at Nov 22 10:00 UTC, after it had passed: Errors 31% (94 of 301) since 12:17 UTC."},
	} {
		for _, serving := range []string{"backend-00043", "backend-s1-1"} { // another one since, or the one that failed
			good := want.good
			if serving == good {
				good = "backend-00041"
			}
			if got := lastGood(past(state), "backend", serving); got != good {
				t.Errorf("%s, with %s serving: the way back leads to %q, want %q", state, serving, got, good)
			}
		}
		if got := strings.Join(failedBefore(past(state), next), " "); !strings.Contains(got, want.failed) || want.failed == "" && got != "" {
			t.Errorf("%s: of the image it says %q", state, got)
		}
	}
}
