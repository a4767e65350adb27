package incident

import (
	"fmt"
	"slices"
	"time"

	"slipway/plan"
)

// State is where an incident stands.
type State string

const (
	Pending      State = "pending"      // the alarm is raised, and may yet be withdrawn: nobody was told
	Firing       State = "firing"       // people are told
	Acknowledged State = "acknowledged" // somebody has it
	Silenced     State = "silenced"     // nothing is said until a time
	Flapping     State = "flapping"     // it comes and goes, and that is said once
	Resolved     State = "resolved"
)

const (
	groupWait   = 30 * time.Second // from the alarm to the first word of it
	reopen      = 30 * time.Minute // so long after its end the same fault continues an incident
	flapWithin  = 30 * time.Minute
	flapChanges = 3
)

// Person is somebody who did something about an incident.
type Person struct {
	ID   string `json:"id"` // Slack's
	Name string `json:"name"`
}

// Key says what an incident is about. Of each there is one at a time.
type Key struct {
	Target      plan.Target `json:"target"`
	Kind        Kind        `json:"kind"`
	Fingerprint string      `json:"fingerprint,omitempty"` // "": the kind is enough
}

// Reading is how things are at a moment, as a Watch saw it.
type Reading struct {
	Key      Key          `json:"key"`
	Alarm    bool         `json:"alarm"`
	Limit    plan.Percent `json:"limit,omitempty"`
	Evidence Evidence     `json:"evidence"`           // of the alarm, or of the last one
	Groups   []Group      `json:"groups,omitempty"`   // the three with the most errors
	Revision string       `json:"revision,omitempty"` // the one with the most of what is wrong, or in which it was seen
	Match    string       `json:"match,omitempty"`    // the pattern of LogMatches
	Example  string       `json:"example,omitempty"`  // a line with it, masked
}

// Incident is an alarm and what people and time made of it. It is a value, and its methods
// return what it becomes.
type Incident struct {
	ID      string `json:"id"`               // as people type it
	Thread  string `json:"thread,omitempty"` // the Thread in which it is told; "": it was not due to be yet
	State   State  `json:"state"`
	Reading        // the last with an alarm, or the first without

	Opened   time.Time   `json:"opened"`            // when the alarm was raised
	Fired    time.Time   `json:"fired,omitzero"`    // when it was first due to be told; zero: it never was
	Resolved time.Time   `json:"resolved,omitzero"` // zero: it is not
	By       Person      `json:"by,omitzero"`       // who acknowledged, silenced or resolved it last; zero: it went by itself
	ByAt     time.Time   `json:"by_at,omitzero"`
	Until    time.Time   `json:"until,omitzero"`    // until when it is silenced
	Changes  []time.Time `json:"changes,omitempty"` // when it fired and resolved by itself, of the last 30 minutes
	Said     Said        `json:"said"`
}

// Open begins an incident. Its ID follows from what it is about and since when that is so: replicas that know
// nothing of one another give it the same one, as far as they saw the same.
func Open(r Reading, now time.Time) Incident {
	id := fingerprint(r.Key.Target.String(), string(r.Key.Kind), r.Key.Fingerprint, r.Evidence.Since.UTC().Format(time.RFC3339Nano))
	return Incident{ID: id[:min(6, len(id))], State: Pending, Reading: r, Opened: now}
}

// Read moves the incident by what is seen at a time. It is to be called at least every
// ten seconds, also when nothing is new: time alone can make it due.
func (i Incident) Read(r Reading, now time.Time) Incident {
	rises, falls := r.Alarm && !i.Alarm, !r.Alarm && i.Alarm
	if i.Alarm = r.Alarm; r.Alarm || falls && !r.Evidence.Since.IsZero() {
		i.take(r)
	}
	switch i.State {
	case Pending:
		i.wait(now)
	case Firing, Acknowledged, Silenced:
		if falls {
			i.change(Resolved, now)
		} else if i.State == Silenced && !now.Before(i.Until) {
			i.State, i.By, i.ByAt = Firing, Person{}, time.Time{}
		}
	case Flapping:
		if rises || falls {
			i.change(standing(i.Alarm), now)
		} else if len(i.recent(now)) == 0 {
			i.settle(now)
		}
	case Resolved:
		i.again(rises, now)
	}
	return i
}

// take keeps the evidence. When the alarm is over the groups stay as they were last.
func (i *Incident) take(r Reading) {
	if !r.Alarm {
		r.Groups, r.Revision = i.Groups, i.Revision
	}
	i.Reading = r
}

// wait fires after the group wait, unless late entries have shown that it was nothing.
func (i *Incident) wait(now time.Time) {
	switch {
	case !i.Alarm:
		i.State, i.Resolved = Resolved, now
	case now.Sub(i.Opened) >= groupWait:
		i.Fired = now
		i.change(Firing, now)
	}
}

// again reopens what was resolved: when the alarm comes back, or when a person resolved
// it and it still goes on half an hour later.
func (i *Incident) again(rises bool, now time.Time) {
	switch {
	case rises && i.Fired.IsZero():
		i.State, i.Opened, i.Resolved = Pending, now, time.Time{}
	case rises && now.Before(i.Until):
		i.State, i.Resolved = Silenced, time.Time{}
	case rises:
		i.change(Firing, now)
	case i.Alarm && now.Sub(i.Resolved) >= reopen:
		i.State, i.Resolved, i.By, i.ByAt = Firing, time.Time{}, Person{}, time.Time{}
	}
}

func standing(alarm bool) State {
	if alarm {
		return Firing
	}
	return Resolved
}

// change goes to a state by itself; the third time in half an hour it is flapping.
func (i *Incident) change(to State, now time.Time) {
	i.Changes = append(i.recent(now), now)
	i.By, i.ByAt = Person{}, time.Time{}
	i.State, i.Resolved = to, time.Time{}
	if to == Resolved {
		i.Resolved = now
	}
	if len(i.Changes) >= flapChanges {
		i.State, i.Resolved = Flapping, time.Time{}
	}
}

func (i *Incident) recent(now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(i.Changes), func(at time.Time) bool { return now.Sub(at) >= flapWithin })
}

// settle ends the flapping after half an hour without a change.
func (i *Incident) settle(now time.Time) {
	i.Changes = nil
	if i.State = standing(i.Alarm); i.State == Resolved {
		i.Resolved = now
	}
}

// Acknowledge says that somebody has it. The errors of this and the other two are for
// whoever tried.
func (i Incident) Acknowledge(by Person, now time.Time) (Incident, error) {
	if i.State == Resolved {
		return i, i.over()
	}
	i.began(now)
	i.State, i.By, i.ByAt, i.Until = Acknowledged, by, now, time.Time{}
	return i, nil
}

// Silence says nothing of it until a time, whether it comes and goes or not.
func (i Incident) Silence(by Person, until, now time.Time) (Incident, error) {
	if i.State == Resolved {
		return i, i.over()
	}
	if !until.After(now) {
		return i, refuse("incident %s can be silenced until a time that is still to come", i.ID)
	}
	i.began(now)
	i.State, i.By, i.ByAt, i.Until = Silenced, by, now, until
	return i, nil
}

// Resolve ends it by a person's word. It opens again when the alarm is raised anew, and
// when it still goes on after half an hour.
func (i Incident) Resolve(by Person, now time.Time) (Incident, error) {
	if i.State == Resolved {
		return i, i.over()
	}
	i.began(now)
	i.State, i.By, i.ByAt, i.Resolved, i.Until = Resolved, by, now, now, time.Time{}
	return i, nil
}

// began notes that a person was quicker than the group wait.
func (i *Incident) began(now time.Time) {
	if i.Fired.IsZero() {
		i.Fired = now
	}
}

func (i Incident) over() error {
	if i.By == (Person{}) {
		return refuse("incident %s has resolved by itself", i.ID)
	}
	return refuse("incident %s was resolved by %s", i.ID, i.By.Name)
}

// Refusal is why something cannot be done about an incident: a sentence for whoever tried.
type Refusal string

func (r Refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return Refusal(fmt.Sprintf(format, args...)) }

// Ended reports whether nothing continues the incident any more.
func (i Incident) Ended(now time.Time) bool {
	return i.State == Resolved && !i.Alarm && (i.Fired.IsZero() || now.Sub(i.Resolved) >= reopen)
}
