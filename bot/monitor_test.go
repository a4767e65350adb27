package bot

import (
	"testing"
	"time"

	"slipway/incident"
	"slipway/sandbox/fakeslack"
)

// monitor tells as the watch does: it keeps what is posted, and calls again when it is asked to or has failed.
type monitor struct {
	t    *testing.T
	w    *world
	bot  *Bot
	c    incident.Case
	kept incident.Message
	left int // how often keeping works yet; negative: always
	errs int
}

func (w *world) monitor(c incident.Case) *monitor {
	w.t.Helper()
	c.Thread.Opened = time.Now()
	return &monitor{t: w.t, w: w, bot: w.bot(), c: c, left: -1}
}

func (m *monitor) keep(posted incident.Message) error {
	if m.left == 0 {
		return errDead
	}
	m.left--
	m.kept = posted
	return nil
}

// tell calls Tell once.
func (m *monitor) tell() (time.Duration, error) {
	again, err := m.bot.Tell(m.t.Context(), m.c, m.kept, m.keep)
	if err != nil {
		m.errs++
	}
	return again, err
}

// until calls Tell for as long as it takes, up to d; what was told is no news any more.
func (m *monitor) until(d time.Duration) {
	m.t.Helper()
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		again, err := m.tell()
		switch {
		case err != nil:
			again = time.Second
		case again == 0:
			again = time.Second
		}
		if err == nil {
			m.c.News = nil
		}
		began := time.Now()
		pass(min(again, time.Until(end)))
		m.c.Now = m.c.Now.Add(time.Since(began))
	}
}

// say makes something due of all incidents.
func (m *monitor) say(saying incident.Saying, change func(*incident.Incident)) {
	for n := range m.c.Incidents {
		change(&m.c.Incidents[n])
	}
	m.c = due(m.c, saying)
	for n := range m.c.News {
		m.c.News[n].Key += time.Now().Format("/15:04:05.000")
	}
}

func nothing(*incident.Incident) {}

func worsen(i *incident.Incident) { i.Evidence.Errors++; i.Evidence.Requests++ }

// want checks how many messages and replies there are.
func (m *monitor) want(messages, replies int) (top, thread []fakeslack.Message) {
	m.t.Helper()
	top, thread = m.w.channel()
	if len(top) != messages || len(thread) != replies {
		m.t.Fatalf("%d messages and %d replies, want %d and %d\n%s", len(top), len(thread), messages, replies, m.w.log)
	}
	return top, thread
}

func firing(w *world) *monitor {
	m := w.monitor(outage())
	m.say(incident.SayFiring, nothing)
	return m
}
