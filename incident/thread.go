package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"slipway/plan"
)

// Thread is the message in which people are told of a fault, and what else was told of it. Incidents that
// begin close together share one: ten services failing at once are one message.
type Thread struct {
	ID      string            `json:"id"`      // of the incident that began it
	Channel string            `json:"channel"` // as deploy.yaml names it
	Opened  time.Time         `json:"opened"`
	Message Message           `json:"message"`
	Status  Status            `json:"status,omitempty"` // what all of its incidents amount to, as Date found it
	Since   time.Time         `json:"since,omitzero"`   // since when
	Sent    map[string]Status `json:"sent,omitempty"`   // what was told to whom beside the channel, by their name
	Doubts  int               `json:"doubts,omitempty"` // how often a replica has said that it may have told of it without the watch
}

// InDoubt reports whether a message may be there twice, or show something old.
func (t Thread) InDoubt(m Message) bool { return m.Checked < t.Doubts }

// Message is what is posted of a Thread.
type Message struct {
	Channel string    `json:"channel,omitempty"` // Slack's ID; "" until the first post
	TS      string    `json:"ts,omitempty"`      // Slack's ID of the message; "": there is none yet
	Posting bool      `json:"posting,omitempty"` // the first post was begun and not confirmed
	Edited  time.Time `json:"edited,omitzero"`   // when it was posted or changed last
	Shown   string    `json:"shown,omitempty"`   // a digest of what it shows
	Reply   string    `json:"reply,omitempty"`   // the Key of the news whose post was begun and not confirmed
	Told    string    `json:"told,omitempty"`    // the Key of the news that was told last
	Link    string    `json:"link,omitempty"`    // for others than Slack
	Checked int       `json:"checked,omitempty"` // how many of the thread's doubts were looked into

	Graph   string    `json:"graph,omitempty"`   // Slack's ID of the picture; "": none
	GraphAt time.Time `json:"graph_at,omitzero"` // until when it shows
	Bare    bool      `json:"bare,omitempty"`    // no picture can be uploaded
}

// Gather gives each incident that is to be told a thread: that of another one in the same channel, if that
// began in the last five minutes and is not over, or its own.
func (b *Book) Gather(channel func(plan.Target) string, now time.Time) {
	for n := range b.Incidents {
		i := &b.Incidents[n]
		if i.Fired.IsZero() || i.Thread != "" {
			continue
		}
		in := channel(i.Key.Target)
		at := slices.IndexFunc(b.Threads, func(t Thread) bool {
			return t.Channel == in && now.Sub(t.Opened) < groupInterval && b.open(t.ID)
		})
		if at >= 0 {
			i.Thread = b.Threads[at].ID
			continue
		}
		i.Thread = i.ID
		b.Threads = append(b.Threads, Thread{ID: i.ID, Channel: in, Opened: now})
	}
}

func (b *Book) open(thread string) bool {
	return slices.ContainsFunc(b.Incidents, func(i Incident) bool { return i.Thread == thread && i.State != Resolved })
}

// Thread returns the thread with an ID, nil: there is none.
func (b *Book) Thread(id string) *Thread {
	if at := slices.IndexFunc(b.Threads, func(t Thread) bool { return t.ID == id }); at >= 0 {
		return &b.Threads[at]
	}
	return nil
}

// Of returns the incidents of a thread, the first that fired in front.
func (b *Book) Of(thread string) []Incident {
	var of []Incident
	for _, i := range b.Incidents {
		if i.Thread == thread {
			of = append(of, i)
		}
	}
	slices.SortStableFunc(of, func(a, b Incident) int { return a.Fired.Compare(b.Fired) })
	return of
}

// Act does something about the incident with an ID, or all of them if it is a thread's, and returns those it
// was done about. An error is for whoever tried: nothing was done then.
func (b *Book) Act(id string, act func(Incident) (Incident, error)) (done []Incident, err error) {
	whole := b.Thread(id) != nil
	for n := range b.Incidents {
		i := &b.Incidents[n]
		if i.ID != id && (!whole || i.Thread != id) {
			continue
		}
		became, refused := act(*i)
		if refused != nil {
			err = refused
			continue
		}
		*i = became
		done = append(done, became)
	}
	switch {
	case len(done) > 0:
		return done, nil
	case err == nil:
		err = unknown(id)
	}
	return nil, err
}

func unknown(id string) error {
	return refuse("there is no incident %s; `/deploy incidents` lists those that are open", id)
}

// threadOf is the ID of the thread that an ID is of, or of which it is an incident; "": of none.
func (b *Book) threadOf(id string) string {
	for _, i := range b.Incidents {
		if i.ID == id || i.Thread == id {
			return i.Thread
		}
	}
	return ""
}

// news are what is due to be said of a thread's incidents.
func news(incidents []Incident, escalate func(plan.Target) time.Duration, now time.Time) []News {
	var list []News
	for _, i := range incidents {
		if what := i.Due(now, escalate(i.Key.Target)); what != SayNothing {
			list = append(list, News{Incident: i.ID, Saying: what, Key: fmt.Sprintf("%s-%s-%d", i.ID, what, i.Said.At.Unix())})
		}
	}
	return list
}

// Told notes that news were told of incidents as they were then.
func (b *Book) Told(incidents []Incident, news []News, now time.Time) {
	for _, told := range news {
		was := slices.IndexFunc(incidents, func(i Incident) bool { return i.ID == told.Incident })
		is := slices.IndexFunc(b.Incidents, func(i Incident) bool { return i.ID == told.Incident })
		if was >= 0 && is >= 0 {
			b.Incidents[is].Said = incidents[was].Say(told.Saying, now).Said
		}
	}
}

// source says where the numbers of a service come from.
func (b *Book) source(t plan.Target) Source {
	if at := slices.IndexFunc(b.Sources, func(s Source) bool { return s.Target == t }); at >= 0 {
		return b.Sources[at]
	}
	return Source{Target: t}
}

// tells reports whether a book tells people the same as another: when it was looked at, and what was received when,
// is not much use to them.
func (b Book) tells(other Book) bool {
	mine, err := json.Marshal(b.undated())
	theirs, otherErr := json.Marshal(other.undated())
	return err == nil && otherErr == nil && bytes.Equal(mine, theirs)
}

func (b Book) undated() Book {
	b.Observed, b.Sources = time.Time{}, slices.Clone(b.Sources)
	for i := range b.Sources {
		b.Sources[i].Seen = time.Time{}
	}
	return b
}
