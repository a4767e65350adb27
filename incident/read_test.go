package incident_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"slipway/incident"
	"slipway/plan"
)

// However the log comes, each request is counted once: sessions that are dropped all the time, takeovers, entries
// that are late and out of order.
func TestEachRequestIsCountedOnce(t *testing.T) {
	t.Parallel()
	evidence := func(t *testing.T, bad func(s *site)) (found incident.Evidence) {
		onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
			s.fails(0.72, 2*time.Minute, 7*time.Minute)
			bad(s)
			first := s.replica("a")
			s.until(8 * time.Minute)
			if s.log.sessions() > 1 { // and the replica is killed
				s.replica("b")
				first.kill()
			}
			s.until(9*time.Minute + 30*time.Second)
			wantSaid(t, s, 1)
			if b := s.book(); len(b.Incidents) == 1 {
				found = b.Incidents[0].Evidence
			}
		})
		return found
	}
	want := evidence(t, func(*site) {})
	if want.Errors == 0 {
		t.Fatal("nothing was counted")
	}
	for name, bad := range map[string]func(*site){
		"sessions last for 20 s": func(s *site) { s.log.drops = 20 * time.Second },
		"out of order": func(s *site) {
			s.log.delay = func(random *rand.Rand) time.Duration { return time.Duration(random.IntN(8000)) * time.Millisecond }
		},
		"late by up to two minutes": func(s *site) {
			s.log.delay = func(random *rand.Rand) time.Duration {
				if random.IntN(10) > 0 {
					return 0
				}
				return time.Duration(random.IntN(115)) * time.Second
			}
		},
		"late, and dropped": func(s *site) {
			s.log.drops = 40 * time.Second
			s.log.delay = func(random *rand.Rand) time.Duration { return time.Duration(random.IntN(60)) * time.Second }
		},
	} {
		if got := evidence(t, bad); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// Clocks that are wrong raise no alarm and hide none.
func TestWrongClocks(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{-time.Hour, -3 * time.Minute, 5 * time.Minute, 24 * time.Hour} {
		onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
			s.fails(0.72, 8*time.Minute, 11*time.Minute)
			s.log.wrong = func(e *incident.Entry) {
				if since := e.At.Sub(s.began); since >= 4*time.Minute && since < 5*time.Minute {
					e.At = e.At.Add(jump)
					e.Request.Status = 500
				}
			}
			s.replica("a")
			s.until(8 * time.Minute)
			wantSaid(t, s, 0)
			s.until(12 * time.Minute)
			wantSaid(t, s, 1)
		})
	}
}

// When Cloud Logging leaves entries out, Cloud Monitoring counts, and whoever asks is told.
func TestGoesOverToMetrics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		bad  func(*traffic)
		by   plan.Source
		note string
	}{
		{"suppressed", func(l *traffic) { l.rate = 2 }, plan.SourceMetrics, "left entries out (rate limit)"},
		{"sampled", func(l *traffic) { l.sampled = 0.6 }, plan.SourceMetrics, "sampled or excluded"},
		{"excluded", func(l *traffic) { l.sampled = 1 }, plan.SourceMetrics, "excluded"},
		{"too many", func(l *traffic) { l.perSecond = 501 }, plan.SourceMetrics, "more than 500 requests a second"},
		{"all is well", func(*traffic) {}, plan.SourceLogs, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
				begins := 12 * time.Minute
				if tt.name == "too many" {
					begins = 2*time.Minute + 10*time.Second
				}
				tt.bad(s.log)
				s.fails(0.72, begins, begins+10*time.Minute)
				r := s.replica("a")
				s.until(begins)
				sources, err := r.monitor.Sources(t.Context())
				if err != nil || len(sources) != 1 || sources[0].From != tt.by || !strings.Contains(sources[0].Note, tt.note) {
					t.Fatalf("%+v, %v", sources, err)
				}
				if tt.name != "suppressed" {
					return
				}
				s.until(begins + 32*time.Minute)
				wantSaid(t, s, 1, incident.SayResolved)
			})
		})
	}
}

// Neither the log is whole nor are there metrics any more: the log is better than nothing, and it is said.
func TestNoMetricsEither(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		s.log.sampled = 0.6
		s.fails(0.72, 25*time.Minute, 40*time.Minute)
		r := s.replica("a")
		s.until(12 * time.Minute)
		wantSource(t, r, plan.SourceMetrics, "sampled or excluded")
		s.log.unmeasure(refused("Slipway may not read the metrics of p."))
		s.until(16 * time.Minute)
		wantSource(t, r, plan.SourceMetrics, "may not read the metrics")
		s.until(20 * time.Minute)
		wantSource(t, r, plan.SourceLogs, "")
		s.until(30 * time.Minute)
		wantSaid(t, s, 1)
	})
}

func wantSource(t *testing.T, r *replica, from plan.Source, note string) {
	t.Helper()
	sources, err := r.monitor.Sources(t.Context())
	if err != nil || len(sources) != 1 || sources[0].From != from || !strings.Contains(sources[0].Note, note) {
		t.Errorf("%+v, %v; want %s, %q", sources, err, from, note)
	}
}

// A log that cannot be read is said where people ask, with the reason.
func TestBlind(t *testing.T) {
	t.Parallel()
	onSite(t, []string{"backend"}, errorsOnly(), func(t *testing.T, s *site) {
		s.log.forbid(refused("Slipway may not read the log of p."))
		r := s.replica("a")
		s.until(5 * time.Minute)
		sources, err := r.monitor.Sources(t.Context())
		if err != nil || len(sources) != 1 || !strings.Contains(sources[0].Note, "cannot be read since") || !strings.Contains(sources[0].Note, "may not read") || sources[0].From != plan.SourceMetrics {
			t.Errorf("%+v, %v", sources, err)
		}
		s.log.forbid(nil)
		s.until(8 * time.Minute)
		if sources, err = r.monitor.Sources(t.Context()); err != nil || sources[0].Note != "" || sources[0].From != plan.SourceLogs {
			t.Errorf("%+v, %v", sources, err)
		}
	})
}

type refused string

func (r refused) Error() string      { return "forbidden" }
func (r refused) SafeReason() string { return string(r) }
