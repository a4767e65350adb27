package notify

import (
	"slices"
	"testing"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/sandbox/fakepager"
)

// story is an incident and those who are told of it, as the watch does it.
type story struct {
	*bench
	book incident.Book
	to   []plan.Notify
}

func (s *story) becomes(change func(incident.Incident, time.Time) (incident.Incident, error)) {
	s.Helper()
	time.Sleep(time.Minute)
	i, err := change(s.book.Incidents[0], time.Now())
	if err != nil {
		s.Fatal(err)
	}
	s.book.Incidents[0] = i
	s.book.Date(time.Now())
}

// tell makes one try with each who has to be told, and returns how many it did not reach.
func (s *story) tell() (failed int) {
	thread := &s.book.Threads[0]
	n := incident.Case{Thread: *thread, Incidents: s.book.Of(thread.ID), Now: time.Now()}.Notice()
	for _, to := range thread.Untold(s.to, n.Status) {
		if s.notifier.Notify(s.Context(), to, n) != nil {
			failed++
			continue
		}
		thread.Told(to, n.Status)
	}
	return failed
}

func TestAnIncidentIsToldToItsEnd(t *testing.T) {
	onBench(t, func(b *bench) {
		s := &story{bench: b, to: []plan.Notify{toPager(), toHook(hookAddress())}}
		key := incident.Key{Target: plan.Target{Environment: "staging", Service: "backend"}, Kind: incident.ErrorRate}
		evidence := incident.Evidence{Since: time.Now(), Requests: 100, Errors: 72}
		reading := func(alarm bool) func(incident.Incident, time.Time) (incident.Incident, error) {
			return func(i incident.Incident, now time.Time) (incident.Incident, error) {
				return i.Read(incident.Reading{Key: key, Alarm: alarm, Evidence: evidence}, now), nil
			}
		}
		ann := incident.Person{ID: "U1", Name: "Ann"}
		s.book.Observe(key.Target, []incident.Reading{{Key: key, Alarm: true, Evidence: evidence}}, time.Now())
		time.Sleep(time.Minute)
		s.book.Observe(key.Target, []incident.Reading{{Key: key, Alarm: true, Evidence: evidence}}, time.Now())
		s.book.Gather(func(plan.Target) string { return "ops" }, time.Now())
		s.book.Date(time.Now())

		b.pager.Fail(fakepager.Fault{Count: 1, Status: 500})
		b.pager.Fail(fakepager.Fault{Count: 1, Status: 500, Applied: true})
		for try, want := range []int{2, 0, 0} {
			time.Sleep(time.Second)
			if failed := s.tell(); failed != want {
				t.Errorf("try %d: %d failed, want %d", try, failed, want)
			}
		}
		s.becomes(func(i incident.Incident, now time.Time) (incident.Incident, error) { return i.Acknowledge(ann, now) })
		s.tell()
		s.becomes(reading(false))
		s.tell()
		s.becomes(reading(true))
		s.tell()
		s.becomes(func(i incident.Incident, now time.Time) (incident.Incident, error) { return i.Resolve(ann, now) })
		s.tell()

		var types []string
		for _, e := range b.pager.Events() {
			types = append(types, e.Type[len("slipway.incident."):])
		}
		if want := []string{"triggered", "acknowledged", "resolved", "triggered", "resolved"}; !slices.Equal(types, want) {
			t.Errorf("%v, want %v", types, want)
		}
		id := "slipway-" + s.book.Threads[0].ID
		done := fakepager.Alert{Key: id, Status: "resolved", Triggers: 1, Severity: "critical"}
		b.alerts(done, done)
	})
}
