package incident

import (
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/plan"
)

// story is an incident to which things happen.
type story struct {
	t   *testing.T
	i   Incident
	now time.Time
	key Key
}

func reading(key Key, alarm bool, errors int64) Reading {
	e := Evidence{Since: noon(), Until: noon().Add(5 * time.Minute), Requests: 100, Errors: errors, Peak: 0.8}
	return Reading{Key: key, Alarm: alarm, Limit: 0.05, Evidence: e}
}

func begin(t *testing.T) *story {
	t.Helper()
	key := Key{Target: target(), Kind: ErrorRate}
	return &story{t: t, i: Open(reading(key, true, 72), noon()), now: noon(), key: key}
}

// goOn reads every ten seconds and says what is due, and returns all that was said.
func (s *story) goOn(alarm bool, d time.Duration) []Saying {
	var said []Saying
	for until := s.now.Add(d); s.now.Before(until); {
		s.now = s.now.Add(width)
		s.i = s.i.Read(reading(s.key, alarm, 72), s.now)
		if what := s.i.Due(s.now, 0); what != SayNothing {
			said = append(said, what)
			s.i = s.i.Say(what, s.now)
		}
	}
	return said
}

func (s *story) expect(what string, said []Saying, state State, want ...Saying) {
	s.t.Helper()
	if s.i.State != state || !slices.Equal(said, want) {
		s.t.Fatalf("%s: %s, said %v; want %s, %v", what, s.i.State, said, state, want)
	}
}

func TestFiresAfterTheGroupWait(t *testing.T) {
	s := begin(t)
	s.expect("29 s", s.goOn(true, 20*time.Second), Pending)
	s.expect("30 s", s.goOn(true, 10*time.Second), Firing, SayFiring)
	s.expect("an hour without news", s.goOn(true, time.Hour), Firing)
	s.expect("it ends", s.goOn(false, 10*time.Second), Resolved, SayResolved)
	if s.i.Ended(s.now.Add(reopen-1)) || !s.i.Ended(s.now.Add(reopen)) {
		t.Error("it has to be continued for 30 minutes, and no longer")
	}
}

func TestWithdrawnBeforeAnybodyWasTold(t *testing.T) {
	s := begin(t)
	s.goOn(true, 20*time.Second)
	s.expect("late entries", s.goOn(false, 10*time.Second), Resolved)
	if !s.i.Ended(s.now) {
		t.Error("nobody was told, and nothing is left of it")
	}
	s.expect("it comes back", s.goOn(true, 20*time.Second), Pending)
	s.expect("to stay", s.goOn(true, 20*time.Second), Firing, SayFiring)
}

func TestContinuesWithinHalfAnHour(t *testing.T) {
	s := begin(t)
	s.goOn(true, 10*time.Minute)
	s.goOn(false, 29*time.Minute)
	s.expect("it is back", s.goOn(true, time.Minute), Firing, SayReopened)
}

func TestFlapping(t *testing.T) {
	s := begin(t)
	s.expect("fires", s.goOn(true, time.Minute), Firing, SayFiring)
	s.expect("ends", s.goOn(false, time.Minute), Resolved, SayResolved)
	s.expect("comes back, the third change", s.goOn(true, time.Minute), Flapping, SayFlapping)
	s.expect("and so on", s.goOn(false, time.Minute), Flapping)
	s.expect("and on", s.goOn(true, time.Minute), Flapping)
	s.expect("and stays", s.goOn(true, flapWithin), Firing, SayReopened)
	s.goOn(false, time.Minute)
	s.goOn(true, time.Minute)
	s.expect("flaps again", s.goOn(false, time.Minute), Flapping, SayFlapping)
	s.expect("and stays away", s.goOn(false, flapWithin), Resolved, SayResolved)
}

func TestPeople(t *testing.T) {
	s := begin(t)
	s.goOn(true, time.Minute)
	s.do(s.i.Acknowledge(Person{"U1", "U1"}, s.now))
	s.expect("acknowledged", s.goOn(true, time.Minute), Acknowledged, SayAcknowledged)
	s.do(s.i.Acknowledge(Person{"U2", "U2"}, s.now))
	s.expect("by another", s.goOn(true, time.Minute), Acknowledged, SayAcknowledged)
	s.expect("quiet for two hours", s.goOn(true, 2*time.Hour), Acknowledged, SayAsk)
	s.do(s.i.Silence(Person{"U1", "U1"}, s.now.Add(2*time.Hour), s.now))
	s.expect("silenced", s.goOn(true, 2*time.Hour-10*time.Second), Silenced, SaySilenced)
	s.expect("no longer", s.goOn(true, 10*time.Second), Firing, SayReopened)
	s.do(s.i.Silence(Person{"U1", "U1"}, s.now.Add(time.Hour), s.now))
	s.expect("it ends silently but for the thread", s.goOn(false, time.Minute), Resolved, SayResolved)
	s.expect("it comes back in silence", s.goOn(true, time.Minute), Silenced)
	s.do(s.i.Resolve(Person{"U3", "U3"}, s.now))
	s.expect("resolved by word", s.goOn(true, 20*time.Minute), Resolved, SayResolved)
	for _, try := range []func() (Incident, error){
		func() (Incident, error) { return s.i.Acknowledge(Person{"U1", "U1"}, s.now) },
		func() (Incident, error) { return s.i.Silence(Person{"U1", "U1"}, s.now.Add(1), s.now) },
		func() (Incident, error) { return s.i.Resolve(Person{"U1", "U1"}, s.now) },
	} {
		if _, err := try(); err == nil || !strings.Contains(err.Error(), "was resolved by U3") {
			t.Errorf("%v", err)
		}
	}
	s.expect("but it goes on", s.goOn(true, 10*time.Minute), Firing, SayReopened)
	if _, err := s.i.Silence(Person{"U1", "U1"}, s.now, s.now); err == nil {
		t.Error("silenced until now")
	}
	s.goOn(false, time.Minute)
	if _, err := s.i.Resolve(Person{"U1", "U1"}, s.now); err == nil || !strings.Contains(err.Error(), "by itself") {
		t.Errorf("%v", err)
	}
}

func (s *story) do(i Incident, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	s.i = i
}

func TestUpdatesAndRepeats(t *testing.T) {
	s := begin(t)
	s.goOn(true, time.Minute)
	var updates, repeats int
	for n := range int64(8 * 360) { // 8 hours, in which the number of errors grows
		s.now = s.now.Add(width)
		s.i = s.i.Read(reading(s.key, true, 100+n), s.now)
		switch what := s.i.Due(s.now, 0); what {
		case SayUpdate:
			updates++
			s.i = s.i.Say(what, s.now)
		case SayRepeat:
			repeats++
			s.i = s.i.Say(what, s.now)
		}
	}
	if repeats != 2 || updates < 90 || updates > 96 {
		t.Errorf("%d updates and %d repeats in 8 hours, want one each 5 min and 4 h", updates, repeats)
	}
}

func TestHeadline(t *testing.T) {
	i := begin(t).i
	i.Evidence.Since = noon().Add(2 * time.Minute)
	bare := plan.Target{Service: "backend"}
	tests := []struct {
		change func(*Incident)
		now    time.Time
		want   string
	}{
		{func(*Incident) {}, noon(), "backend on staging: 72% errors since 12:02 UTC (limit 5%)"},
		{func(*Incident) {}, noon().In(time.FixedZone("", 7200)), "backend on staging: 72% errors since 14:02 +0200 (limit 5%)"},
		{func(*Incident) {}, noon().Add(24 * time.Hour), "backend on staging: 72% errors since 28 Nov 12:02 UTC (limit 5%)"},
		{func(i *Incident) { i.State = Resolved }, noon(), "Resolved: backend on staging: 72% errors 12:02–12:05 UTC (limit 5%)"},
		{func(i *Incident) { i.State, i.Key.Target = Flapping, bare }, noon(), "Flapping: backend: 72% errors since 12:02 UTC (limit 5%)"},
		{func(i *Incident) { i.Key.Kind, i.Evidence.Errors, i.Limit = SlowLeak, 4, 0.03 }, noon(), "backend on staging: 4% errors, a slow leak, since 12:02 UTC (limit 3%)"},
		{func(i *Incident) { i.Key.Kind, i.Evidence.Errors, i.Evidence.Requests = Latency, 123, 1000 }, noon(), "backend on staging: 12% slow requests since 12:02 UTC (limit 5%)"},
		{func(i *Incident) { i.Key.Kind, i.Match, i.Revision, i.Limit = LogMatches, "KeyError", "r2", 0 }, noon(), `backend on staging: "KeyError" 72 times in r2 since 12:02 UTC`},
		{func(i *Incident) { i.Key.Kind, i.Evidence.Errors, i.Revision, i.Limit = CrashOnStart, 1, "r2", 0 }, noon(), "backend on staging: r2 crashed once since 12:02 UTC"},
		{func(i *Incident) { i.Key.Kind, i.Limit = NoReadyRevision, 0 }, noon(), "backend on staging: no revision can serve since 12:02 UTC"},
		{func(i *Incident) { i.Key.Kind, i.Revision, i.Limit = Pinned, "r2", 0 }, noon(), "backend on staging: pinned to r2 since 12:02 UTC"},
		{func(i *Incident) { i.Key.Kind, i.Revision, i.Limit, i.Evidence.Since = Pinned, "r2", 0, time.Time{} }, noon(), "backend on staging: pinned to r2 since 12:00 UTC"},
		{func(i *Incident) { i.Evidence.Errors, i.Evidence.Requests = 4, 10_000 }, noon(), "backend on staging: 0.04% errors since 12:02 UTC (limit 5%)"},
		{func(i *Incident) { i.Evidence.Errors, i.Evidence.Requests = 543, 10_000 }, noon(), "backend on staging: 5.4% errors since 12:02 UTC (limit 5%)"},
	}
	for _, tt := range tests {
		changed := i
		tt.change(&changed)
		if got := changed.Headline(tt.now); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestBook: of each key there is one incident, services are apart, and what is no longer
// looked at is over.
func TestBook(t *testing.T) {
	var b Book
	key, other := Key{Target: target(), Kind: ErrorRate}, Key{Target: target(), Kind: LogMatches, Fingerprint: "x"}
	elsewhere := plan.Target{Environment: "staging", Service: "auth"}
	now := noon()
	for range 6 {
		now = now.Add(width)
		b.Observe(target(), []Reading{reading(key, true, 72), reading(other, true, 1)}, now)
		b.Observe(elsewhere, []Reading{reading(Key{Target: elsewhere, Kind: ErrorRate}, false, 0)}, now)
	}
	if len(b.Incidents) != 2 || b.Incidents[0].State != Firing || b.Incidents[1].State != Firing {
		t.Fatalf("%+v", b.Incidents)
	}
	now = now.Add(width)
	if b.Observe(target(), []Reading{reading(key, true, 80)}, now); b.Incidents[0].State != Firing || b.Incidents[1].State != Resolved {
		t.Fatalf("%+v", b.Incidents)
	}
	if ended := b.Ended(now.Add(reopen)); len(ended) != 0 {
		t.Errorf("%+v ended, and nobody was told", ended)
	}
	b.Incidents[1] = b.Incidents[1].Say(b.Incidents[1].Due(now, 0), now)
	if ended := b.Ended(now.Add(reopen)); len(ended) != 1 || ended[0].Key != other || len(b.Incidents) != 1 {
		t.Errorf("%+v ended, %+v are left", ended, b.Incidents)
	}
}

// TestOwed: an end is kept for a day for those who were told of the beginning, in the channel or elsewhere.
func TestOwed(t *testing.T) {
	over := begin(t)
	over.goOn(true, time.Minute)
	over.goOn(false, time.Minute)
	for _, tt := range []struct {
		name string
		sent map[string]Status
		told bool
		at   time.Duration
		kept bool
	}{
		{"all know", map[string]Status{"pagerduty": Recovered}, true, reopen, false},
		{"nobody else was told", nil, true, reopen, false},
		{"not long ago", nil, true, reopen - 1, true},
		{"a pager does not know", map[string]Status{"pagerduty": Triggered}, true, reopen, true},
		{"a pager never listens", map[string]Status{"pagerduty": Triggered}, true, mostOwed, false},
		{"the channel does not know", nil, false, reopen, true},
		{"the channel is gone", nil, false, mostOwed, false},
	} {
		i := over.i
		i.Thread = i.ID
		if !tt.told {
			i.Said.State = Firing
		}
		b := Book{Incidents: []Incident{i}, Threads: []Thread{{ID: i.ID, Sent: tt.sent}}}
		if ended := b.Ended(i.Resolved.Add(tt.at)); (len(ended) == 0) != tt.kept || (len(b.Threads) == 1) != tt.kept {
			t.Errorf("%s: %d ended, %d threads are left", tt.name, len(ended), len(b.Threads))
		}
	}
}
