package commands

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/incident"
	"slipway/plan"
	"slipway/rollout"
)

var _ Incidents = (*memory)(nil)

func (m *memory) Cases(ctx context.Context) ([]incident.Case, error) {
	m.timed(ctx)
	if m.down {
		return nil, errStore
	}
	var cases []incident.Case
	for _, t := range m.book.Threads {
		cases = append(cases, incident.Case{Thread: t, Incidents: m.book.Of(t.ID)})
	}
	return cases, nil
}

func (m *memory) Act(ctx context.Context, id string, act func(incident.Incident) (incident.Incident, error)) (incident.Case, error) {
	m.timed(ctx)
	if m.broken() != nil {
		return incident.Case{}, m.broken()
	}
	if m.before != nil {
		m.before(m, id)
	}
	done, err := m.book.Act(id, act)
	return incident.Case{Incidents: done}, err
}

func (m *memory) Sources(ctx context.Context) ([]incident.Source, error) {
	m.timed(ctx)
	if m.down {
		return nil, errStore
	}
	return m.book.Sources, nil
}

func ago(d time.Duration) time.Time { return start().Add(-d) }

func to(text string) plan.Target {
	environment, service, _ := strings.Cut(text, "/")
	return plan.Target{Environment: environment, Service: service}
}

// failing adds an incident of its own thread that fired some minutes ago, if thread is "".
func (m *memory) failing(id, thread, target string, fired time.Duration) *incident.Incident {
	if thread == "" {
		thread = id
		m.book.Threads = append(m.book.Threads, incident.Thread{ID: id, Opened: ago(fired)})
	}
	m.book.Incidents = append(m.book.Incidents, incident.Incident{
		ID: id, Thread: thread, State: incident.Firing, Opened: ago(fired), Fired: ago(fired),
		Reading: incident.Reading{
			Key: incident.Key{Target: to(target), Kind: incident.ErrorRate}, Alarm: true, Limit: 0.05, Revision: "backend-staging-00042-abc",
			Evidence: incident.Evidence{Since: ago(fired + time.Minute), Requests: 100, Errors: 72},
		},
		Said: incident.Said{State: incident.Firing, At: ago(fired), Called: ago(fired)},
	})
	return &m.book.Incidents[len(m.book.Incidents)-1]
}

// alerted has all services watched, staging for @oncall, and numbers of staging and of one service of preview.
func alerted(h *Handler, m *memory) {
	h.File().Environment("staging").Alerts = &plan.Alerts{
		ErrorRate: 0.05, For: []string{"backend"}, Mention: []string{"@oncall"}, Escalate: &plan.Escalation{After: plan.Duration(time.Minute), To: []string{"ULEAD"}},
	}
	h.File().Environment("preview").Alerts = &plan.Alerts{ErrorRate: 0.05, For: []string{"auth", "web"}}
	h.Directory = groups{"@backend": {"UDEPLOYER", "UAPPROVER"}, "@oncall": {"UONCALL"}}
	m.book.Sources = []incident.Source{
		{Target: to("staging/backend"), From: plan.SourceLogs, Since: ago(50 * time.Minute), Seen: ago(time.Second)},
		{Target: to("preview/web"), From: plan.SourceMetrics, Note: "The log of web is over the limits of Cloud Logging.", Since: ago(40 * time.Minute), Seen: ago(25 * time.Minute)},
	}
}

func firing(h *Handler, m *memory) string {
	alerted(h, m)
	m.failing("abc123", "", "staging/backend", 8*time.Minute)
	return ""
}

// several are three incidents in two messages, and one that is over.
func several(h *Handler, m *memory) string {
	firing(h, m)
	web := m.failing("web111", "", "preview/web", 4*time.Minute)
	web.State, web.By, web.ByAt = incident.Acknowledged, incident.Person{ID: "UAPPROVER", Name: "approver"}, ago(3*time.Minute)
	auth := m.failing("auth11", "web111", "preview/auth", 3*time.Minute)
	auth.Key.Kind, auth.Match, auth.State, auth.Until = incident.LogMatches, "No module {@U1}", incident.Silenced, start().Add(30*time.Minute)
	old := m.failing("old111", "", "preview/web", 9*time.Minute)
	old.State, old.Alarm, old.Resolved = incident.Resolved, false, ago(time.Minute)
	return ""
}

// over is an incident that was resolved a minute ago, by somebody if it is not by itself.
func over(by string) func(*Handler, *memory) string {
	return func(h *Handler, m *memory) string {
		firing(h, m)
		i := &m.book.Incidents[0]
		i.State, i.Alarm, i.Resolved = incident.Resolved, false, ago(time.Minute)
		if by != "" {
			i.By, i.ByAt = incident.Person{ID: by, Name: "someone"}, ago(time.Minute)
		}
		return ""
	}
}

// had is an incident that somebody has.
func had(by string) func(*Handler, *memory) string {
	return func(h *Handler, m *memory) string {
		firing(h, m)
		i := &m.book.Incidents[0]
		i.State, i.By, i.ByAt = incident.Acknowledged, incident.Person{ID: by, Name: "someone"}, ago(5*time.Minute)
		return ""
	}
}

func wayBack() *Back {
	return &Back{Target: "staging/backend", Revisions: map[string]string{"backend": "backend-staging-00040-xyz"}}
}

// TestIncidents compares what people read with testdata/incidents.golden; -update rewrites it.
func TestIncidents(t *testing.T) {
	watched := func(h *Handler, m *memory) string { alerted(h, m); return "" }
	fails := func(h *Handler, m *memory) string { firing(h, m); m.err = errStore; return "" }
	button := func(verb rollout.Verb) *Click { return &Click{Incident: "abc123", Verb: verb} }
	back := button(rollout.VerbRollback)
	back.Back = wayBack()
	checkReplies(t, "testdata/incidents.golden", []replyCase{
		{name: "incidents, none and nothing watched", text: "incidents"},
		{name: "incidents, none", given: watched, text: "incidents"},
		{name: "incidents, none there and nobody watches it", given: watched, text: "incidents preview/auth"},
		{name: "incidents, nothing received for long", given: func(h *Handler, m *memory) string {
			alerted(h, m)
			m.book.Sources[0].Seen, m.book.Sources[1].Seen = ago(40*time.Minute), time.Time{}
			m.book.Sources[1].Since = ago(20 * time.Minute)
			return ""
		}, text: "incidents"},
		{name: "incidents", given: several, text: "incidents"},
		{name: "incidents of one target", given: several, text: "Incidents staging"},
		{name: "incidents of an unknown target", text: "incidents stagign"},
		{name: "incidents, just over", given: over("UONCALL"), text: "incidents"},
		{name: "incidents, flapping", given: func(h *Handler, m *memory) string {
			firing(h, m)
			m.book.Incidents[0].State = incident.Flapping
			return ""
		}, text: "incidents"},
		{name: "incidents, very many", given: func(h *Handler, m *memory) string {
			alerted(h, m)
			for i := range 14 {
				m.failing(fmt.Sprint("many", i), "", "staging/backend", time.Duration(i)*time.Minute)
			}
			return ""
		}, text: "incidents"},

		{name: "ack", given: firing, text: "ack abc123"},
		{name: "ack, capitals", given: firing, text: "Ack ABC123"},
		{name: "ack without an ID", given: firing, text: "ack"},
		{name: "ack without an ID, several", given: several, text: "ack"},
		{name: "ack without an ID, none", given: watched, text: "ack"},
		{name: "ack of nothing", given: firing, text: "ack zzz"},
		{name: "ack of one in a message", given: several, text: "ack auth11"},
		{name: "ack of a message", given: several, text: "ack web111"},
		{name: "ack of what one has", given: had("UDEPLOYER"), text: "ack abc123"},
		{name: "ack of what another has", given: had("UONCALL"), text: "ack abc123"},
		{name: "ack of what one was asked about", given: func(h *Handler, m *memory) string {
			had("UDEPLOYER")(h, m)
			m.book.Incidents[0].Said.Called = ago(time.Minute)
			return ""
		}, text: "ack abc123"},
		{name: "ack by an outsider", given: firing, as: "UOUTSIDER", text: "ack abc123"},
		{name: "ack where everyone deploys", given: func(h *Handler, m *memory) string {
			firing(h, m)
			h.File().Environment("staging").Deployers = nil
			return ""
		}, as: "UOUTSIDER", text: "ack abc123"},
		{name: "ack, Slack down", given: func(h *Handler, m *memory) string { firing(h, m); h.Directory = broken{}; return "" }, text: "ack abc123"},
		{name: "ack of part of a message", given: func(h *Handler, m *memory) string {
			firing(h, m)
			m.failing("web111", "abc123", "preview/web", time.Minute)
			h.File().Environment("preview").Deployers = []string{"ULEAD"}
			return ""
		}, text: "ack abc123"},
		{name: "ack of a service that is gone", given: func(h *Handler, m *memory) string {
			firing(h, m)
			m.book.Incidents[0].Key.Target.Service = "gone"
			return ""
		}, text: "ack abc123"},
		{name: "ack of what is over", given: over(""), text: "ack abc123"},
		{name: "ack, unknown end", given: fails, text: "ack abc123"},
		{name: "ack while it resolves", given: func(h *Handler, m *memory) string {
			firing(h, m)
			m.before = func(m *memory, _ string) {
				m.book.Incidents[0].State, m.book.Incidents[0].Resolved = incident.Resolved, start()
			}
			return ""
		}, text: "ack abc123"},

		{name: "silence", given: firing, text: "silence abc123 2h"},
		{name: "silence without a length", given: firing, text: "silence abc123"},
		{name: "silence without an ID", given: firing, text: "silence for 30 minutes"},
		{name: "silence for too long", given: firing, text: "silence abc123 8d"},
		{name: "silence by an outsider", given: firing, as: "UOUTSIDER", text: "silence abc123"},
		{name: "silence, unknown end", given: fails, text: "silence abc123"},
		{name: "resolve", given: firing, text: "resolve abc123"},
		{name: "resolve again", given: over("UDEPLOYER"), text: "resolve abc123"},
		{name: "resolve what another resolved", given: over("UONCALL"), text: "resolve abc123"},
		{name: "resolve, unknown end", given: fails, text: "resolve abc123"},

		{name: "acknowledge by the button", given: firing, as: "UONCALL", click: button(VerbAcknowledge)},
		{name: "silence by the button", given: firing, as: "ULEAD", click: button(VerbSilence)},
		{name: "resolve by the button", given: firing, click: button(VerbResolve)},
		{name: "a button of what is over", given: over(""), click: button(VerbSilence)},
		{name: "a button of what is long over", given: watched, click: button(VerbResolve)},
		{name: "a button by an outsider", given: firing, as: "UOUTSIDER", click: button(VerbResolve)},
		{name: "a button that nobody knows", given: firing, click: button("explode")},
		{name: "a forged incident", given: firing, click: &Click{Incident: "{@U1}*" + strings.Repeat("x", 1000), Verb: VerbAcknowledge}},
		{name: "roll back", given: firing, click: back},
		{name: "roll back by who is called, who may not", given: firing, as: "UONCALL", click: back},
		{name: "roll back from what is over", given: over(""), click: back},
		{name: "roll back from what is long over", given: watched, click: back},
		{name: "roll back to nowhere", given: firing, click: &Click{Incident: "abc123", Verb: rollout.VerbRollback, Back: &Back{Target: "staging/backend"}}},
		{name: "roll back without saying where to", given: firing, click: button(rollout.VerbRollback)},
		{name: "roll back while a rollout runs", given: func(h *Handler, m *memory) string {
			gateWithHealthyOld(h, m)
			firing(h, m)
			m.locked = &rollout.LockedError{Lock: m.rollouts[0].Lock}
			return ""
		}, click: back},

		{name: "status", given: func(h *Handler, m *memory) string { gateWithHealthyOld(h, m); return several(h, m) }, text: "status"},
		{name: "status of one target", given: several, text: "status staging"},
		{name: "status, watched", given: watched, text: "status"},
	})
}

// What is done about an incident, and that doing it twice is doing it once.
func TestTreatmentsAreOfThePersonAndTheTime(t *testing.T) {
	me := incident.Person{ID: "UDEPLOYER", Name: "someone"}
	tests := []struct {
		text  string
		state incident.State
		until time.Time
	}{
		{"ack abc123", incident.Acknowledged, time.Time{}},
		{"silence abc123 2h", incident.Silenced, start().Add(2 * time.Hour)},
		{"silence", incident.Silenced, start().Add(time.Hour)},
		{"resolve abc123", incident.Resolved, time.Time{}},
	}
	for _, tt := range tests {
		h, m := newHandler(t)
		firing(h, m)
		first := h.Handle(t.Context(), command("UDEPLOYER", tt.text))
		i := m.book.Incidents[0]
		if i.State != tt.state || i.By != me || !i.ByAt.Equal(start()) || !i.Until.Equal(tt.until) || !first.Done || first.Public {
			t.Errorf("%s: %+v, %+v", tt.text, i, first)
		}
		req := command("UDEPLOYER", tt.text)
		if strings.HasPrefix(tt.text, "resolve") || tt.text == "silence" {
			req.Text = strings.Replace(tt.text+" abc123", "abc123 abc123", "abc123", 1)
		}
		again := h.Handle(t.Context(), req)
		if !reflect.DeepEqual(m.book.Incidents[0], i) || !again.Done {
			t.Errorf("%s again: %+v, %+v", tt.text, m.book.Incidents[0], again)
		}
	}
}

// A request that is delivered late does not undo what others did since.
func TestTreatmentsDoNotUndo(t *testing.T) {
	h, m := newHandler(t)
	firing(h, m)
	later := command("UONCALL", "silence abc123 4h")
	later.ID, later.At = "envelope-2", start().Add(time.Minute)
	h.Handle(t.Context(), later)
	reply := h.Handle(t.Context(), command("UDEPLOYER", "ack abc123"))
	if i := m.book.Incidents[0]; i.State != incident.Silenced || i.By.ID != "UONCALL" || reply.Done || !strings.Contains(reply.Text, "Nothing was done.") {
		t.Errorf("%+v, %+v", i, reply)
	}
	later.Text, later.At = "ack abc123", start().Add(2*time.Minute)
	if h.Handle(t.Context(), later); m.book.Incidents[0].State != incident.Acknowledged {
		t.Errorf("control: %+v", m.book.Incidents[0])
	}
}

func TestWhoMayTreatIncidents(t *testing.T) {
	type people struct{ deployers, owners, mention, escalate []string }
	tests := []struct {
		name string
		people
		may []string
	}{
		{"nobody is named", people{}, []string{"UA", "UB", "UC", "UD", "UE"}},
		{"deployers", people{deployers: []string{"UA"}}, []string{"UA"}},
		{"owners", people{owners: []string{"UB"}}, []string{"UB"}},
		{"deployers and owners", people{deployers: []string{"UA"}, owners: []string{"UB"}}, []string{"UA", "UB"}},
		{"all", people{[]string{"UA"}, []string{"UB"}, []string{"UC"}, []string{"UD"}}, []string{"UA", "UB", "UC", "UD"}},
		{"everyone deploys", people{mention: []string{"UC"}}, []string{"UA", "UB", "UC", "UD", "UE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var may []string
			for _, who := range []string{"UA", "UB", "UC", "UD", "UE"} {
				h, m := newHandler(t)
				firing(h, m)
				env := h.File().Environment("staging")
				env.Deployers, env.Services[0].Owners, env.Alerts.Mention, env.Alerts.Escalate.To = tt.deployers, tt.owners, tt.mention, tt.escalate
				reply := h.Handle(t.Context(), command(who, "ack abc123"))
				if i := m.book.Incidents[0]; reply.Done != (i.State == incident.Acknowledged) || reply.Done != (i.By.ID == who) {
					t.Errorf("%s: %+v, %+v", who, i, reply)
				}
				if reply.Done {
					may = append(may, who)
				}
			}
			if !slices.Equal(may, tt.may) {
				t.Errorf("%v may, want %v", may, tt.may)
			}
		})
	}
}

// The button is the command: its target, its revision, and the incident for a reason.
func TestIncidentRollbackPassesTheRequestOn(t *testing.T) {
	click := func(h *Handler) Reply {
		req := command("UDEPLOYER", "")
		req.Click = &Click{Incident: "abc123", Verb: rollout.VerbRollback, Back: wayBack()}
		return h.Handle(t.Context(), req)
	}
	h, m := newHandler(t)
	firing(h, m)
	first := click(h)
	if len(m.rolledBack) != 1 || first.Rollout == "" {
		t.Fatalf("%+v, %+v", m.rolledBack, first)
	}
	got := m.rolledBack[0]
	if got.Token != "envelope-1" || got.Target != to("staging/backend") || got.Revision != "backend-staging-00040-xyz" || got.By.ID != "UDEPLOYER" ||
		!strings.HasPrefix(got.Reason, "incident abc123: backend on staging: 72% errors since ") {
		t.Errorf("request %+v", got)
	}
	if again := click(h); len(m.rolledBack) != 1 || again.Text != first.Text {
		t.Errorf("rolled back %d times, answered %q, then %q", len(m.rolledBack), first.Text, again.Text)
	}
}

// With the store away nothing is done about incidents, but the way back on their button works.
func TestIncidentsWithTheStoreDown(t *testing.T) {
	for _, text := range []string{"incidents", "ack", "ack abc123", "silence abc123 2h", "resolve abc123"} {
		for _, down := range []bool{true, false} {
			h, m := newHandler(t)
			firing(h, m)
			m.down = down
			says(t, h.Handle(t.Context(), command("UDEPLOYER", text)), text, down)
		}
	}
	h, m := newHandler(t)
	firing(h, m)
	req := command("UDEPLOYER", "")
	req.Click = &Click{Incident: "abc123", Verb: VerbAcknowledge}
	if h.Urgent(req) {
		t.Error("acknowledging is urgent")
	}
	req.Click = &Click{Incident: "abc123", Verb: rollout.VerbRollback, Back: wayBack()}
	l := &lifeline{}
	if replies := rescue(t, l, req); len(replies) != 2 || !replies[1].Done || l.went["backend"] != "backend-staging-00040-xyz" {
		t.Errorf("%+v, went %v", replies, l.went)
	}
	outsider := req
	outsider.Actor.ID = "UOUTSIDER"
	if replies := rescue(t, l, outsider); len(replies) != 1 || len(l.went) != 0 {
		t.Errorf("an outsider: %+v, went %v", replies, l.went)
	}
}

// Only the incidents cannot be read: the way back does not wait for them.
func TestIncidentRollbackWithoutTheIncident(t *testing.T) {
	h, m := newHandler(t)
	firing(h, m)
	h.Incidents = forgotten{}
	req := command("UDEPLOYER", "")
	req.Click = &Click{Incident: "abc123", Verb: rollout.VerbRollback, Back: wayBack()}
	if h.Handle(t.Context(), req); len(m.rolledBack) != 1 || m.rolledBack[0].Reason != "incident abc123" {
		t.Errorf("%+v", m.rolledBack)
	}
}

type forgotten struct{ Incidents }

func (forgotten) Cases(context.Context) ([]incident.Case, error) { return nil, errStore }

// Where nobody watches nobody says that all is well.
func TestNoIncidentsIsOnlySaidOfWhatIsWatched(t *testing.T) {
	for _, watched := range []bool{true, false} {
		h, m := newHandler(t)
		alerted(h, m)
		if !watched {
			m.book.Sources = nil
		}
		text := h.Handle(t.Context(), command("UOUTSIDER", "incidents")).Text
		if strings.Contains(text, "No incident is open") != watched || strings.Contains(text, "nobody is watching") == watched {
			t.Errorf("watched: %v: %s", watched, text)
		}
		h.Incidents = nil
		if text := h.Handle(t.Context(), command("UOUTSIDER", "incidents")).Text; !strings.Contains(text, "nobody is watching") {
			t.Errorf("without a watch: %s", text)
		}
	}
}
