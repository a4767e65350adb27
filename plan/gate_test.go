package plan

import (
	"strings"
	"testing"
)

// Production has stricter gates than other environments where the plan leaves that open, also in a plan that both run.
func TestGateDefaults(t *testing.T) {
	shipped := read(t, "../deploy.yaml")
	production := strings.Replace(shipped, "    traffic_after: latest", "    production: true\n    traffic_after: latest", 1)
	own := strings.ReplaceAll(production, "below: 5%,", "below: 5%, evidence: requests, compare: none,")
	for name, tt := range map[string]struct {
		src      string
		evidence Evidence
		compare  Compare
		users    bool
		warnings int // of gates that have too little time for so many buckets
	}{
		"staging":                 {shipped, EvidenceRequests, CompareNone, false, 0},
		"production":              {production, EvidenceBuckets, CompareOld, true, 2},
		"production, by the plan": {own, EvidenceRequests, CompareNone, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := mustLoad(t, tt.src)
			if n := strings.Count(Errors(f.Warnings).Error(), "by buckets of 10s takes about 138"); n != tt.warnings || len(f.Warnings) != n {
				t.Errorf("%d warnings about buckets of %d", n, len(f.Warnings))
			}
			p, err := f.PlanFor(Target{Environment: "staging"})
			if err != nil {
				t.Fatal(err)
			}
			gates := 0
			for _, s := range p.steps() {
				if g := s.CountingGate(); g != nil {
					gates++
					if g.Evidence != tt.evidence || g.Compare != tt.compare || g.UsersOnly != tt.users || g.Source != SourceAuto || g.OnInconclusive != InconclusiveAsks {
						t.Errorf("%s: %+v", s.Name, g)
					}
				}
			}
			if gates != 2 {
				t.Errorf("%d gates", gates)
			}
			for _, s := range f.Plan("staging").steps() { // the definition is another environment's, too
				if g := s.CountingGate(); g != nil && g.UsersOnly {
					t.Errorf("%s of the definition was changed", s.Name)
				}
			}
		})
	}
}

func TestLatencyLimit(t *testing.T) {
	for percent, want := range map[float64]Percent{95: 0.05, 99: 0.01, 99.9: 0.001, 50: 0.5, 99.99: 0.0001} {
		if got := (&Latency{Percent: percent}).Limit(); got != want {
			t.Errorf("%v%% leaves %v, want %v", percent, float64(got), float64(want))
		}
	}
}
