package incident

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/plan"
)

func TestStatusOf(t *testing.T) {
	tests := []struct {
		states []State
		want   Status
	}{
		{nil, NotTouched},
		{[]State{Pending}, NotTouched},
		{[]State{Firing}, Triggered},
		{[]State{Flapping}, Triggered},
		{[]State{Acknowledged}, Taken},
		{[]State{Silenced}, Taken},
		{[]State{Resolved}, Recovered},
		{[]State{Resolved, Resolved}, Recovered},
		{[]State{Resolved, Firing}, Triggered},
		{[]State{Acknowledged, Firing}, Triggered},
		{[]State{Flapping, Silenced}, Triggered},
		{[]State{Resolved, Acknowledged}, Taken},
		{[]State{Silenced, Resolved}, Taken},
		{[]State{Pending, Resolved}, Recovered},
	}
	for _, tt := range tests {
		incidents := make([]Incident, len(tt.states))
		for n, state := range tt.states {
			incidents[n].State = state
		}
		if got := statusOf(incidents); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.states, got, tt.want)
		}
	}
}

func pager() plan.Notify {
	return plan.Notify{PagerDuty: &plan.PagerDuty{RoutingKey: plan.Value{Env: "PAGERDUTY_KEY"}, URL: plan.PagerDutyEvents}}
}

func hook(address string) plan.Notify { return plan.Notify{Webhook: &plan.Webhook{URL: address}} }

// Every status that somebody may know, and every one that may follow.
func TestUntold(t *testing.T) {
	tests := []struct {
		knows, now Status
		told       bool
	}{
		{NotTouched, NotTouched, false},
		{NotTouched, Triggered, true},
		{NotTouched, Taken, false},     // it was taken before they heard of it
		{NotTouched, Recovered, false}, // it was over before they did
		{Triggered, NotTouched, false},
		{Triggered, Triggered, false},
		{Triggered, Taken, true},
		{Triggered, Recovered, true},
		{Taken, NotTouched, false},
		{Taken, Triggered, true}, // another service fails, or a silence is over
		{Taken, Taken, false},
		{Taken, Recovered, true},
		{Recovered, NotTouched, false},
		{Recovered, Triggered, true}, // it is back
		{Recovered, Taken, false},    // it is back in silence
		{Recovered, Recovered, false},
	}
	to := []plan.Notify{pager(), hook("https://hooks.example.com/a"), pager()}
	for _, tt := range tests {
		thread := Thread{ID: "abc123"}
		if tt.knows != NotTouched {
			thread.Told(to[0], tt.knows)
			thread.Told(to[1], tt.knows)
		}
		var want []plan.Notify
		if tt.told {
			want = to[:2] // each once
		}
		if got := thread.Untold(to, tt.now); !slices.Equal(got, want) {
			t.Errorf("from %q to %q: told are %d, want %d", tt.knows, tt.now, len(got), len(want))
		}
	}
}

func TestToldOnesAreToldApart(t *testing.T) {
	first, second := hook("https://hooks.example.com/a"), hook("https://hooks.example.com/b")
	before := Thread{ID: "abc123"}
	after := before
	after.Told(first, Triggered)
	copied := after
	copied.Told(first, Recovered)
	if got := after.Untold([]plan.Notify{first, second}, Triggered); !slices.Equal(got, []plan.Notify{second}) {
		t.Errorf("untold are %v, want the second alone", got)
	}
	if before.Sent != nil || after.Sent[Name(first)] != Triggered || copied.Sent[Name(first)] != Recovered {
		t.Errorf("copies share what was told: %v, %v, %v", before.Sent, after.Sent, copied.Sent)
	}
}

func TestNameHoldsNoSecret(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	literal := plan.Notify{PagerDuty: &plan.PagerDuty{RoutingKey: plan.Value{Literal: secret}}}
	tests := []struct {
		to     plan.Notify
		prefix string
	}{
		{pager(), "pagerduty PAGERDUTY_KEY"},
		{literal, "pagerduty "},
		{hook("https://user:" + secret + "@hooks.example.com:8443/" + secret + "?token=" + secret), "webhook hooks.example.com:8443/"},
		{hook("https://" + secret + " bad"), "webhook ?/"},
		{plan.Notify{}, "nobody"},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		name := Name(tt.to)
		if !strings.HasPrefix(name, tt.prefix) || strings.Contains(name, secret[:8]) || seen[name] || name != Name(tt.to) {
			t.Errorf("%q, want %q and no secret", name, tt.prefix)
		}
		seen[name] = true
	}
}

// tale is a book of which others are told.
type tale struct {
	t    *testing.T
	book Book
	now  time.Time
}

func newTale(t *testing.T, services ...string) *tale {
	t.Helper()
	s := &tale{t: t, now: noon()}
	for _, name := range services {
		r := reading(Key{Target: plan.Target{Environment: "staging", Service: name}, Kind: ErrorRate}, true, 72)
		r.Revision = name + "-00042"
		i := Open(r, s.now)
		i.State, i.Fired = Firing, s.now
		s.book.Incidents = append(s.book.Incidents, i)
	}
	s.book.Gather(func(plan.Target) string { return "ops" }, s.now)
	s.book.Date(s.now)
	return s
}

// notice is what others are told after a while, in which the first incident may have changed.
func (s *tale) notice(after time.Duration, change func(Incident) (Incident, error)) Notice {
	s.t.Helper()
	s.now = s.now.Add(after)
	if change != nil {
		i, err := change(s.book.Incidents[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.book.Incidents[0] = i
	}
	s.book.Date(s.now)
	thread := s.book.Threads[0]
	return Case{Thread: thread, Incidents: s.book.Of(thread.ID), Now: s.now}.Notice()
}

func (s *tale) expect(n Notice, status Status, by string, after time.Duration) {
	s.t.Helper()
	at := noon().Add(after)
	if want := fmt.Sprintf("%s/%s/%d", s.book.Threads[0].ID, status, at.Unix()); n.ID != want || n.Status != status || n.By != by || !n.At.Equal(at) {
		s.t.Errorf("%s by %q at %v, want %s by %q", n.ID, n.By, n.At, want, by)
	}
}

// The ID of a notice is the same until the status changes, and another when it comes again.
func TestNoticesOfACase(t *testing.T) {
	s := newTale(t, "backend")
	ann := Person{"U1", "Ann"}
	s.expect(s.notice(0, nil), Triggered, "", 0)
	s.expect(s.notice(time.Minute, nil), Triggered, "", 0)
	s.expect(s.notice(time.Minute, func(i Incident) (Incident, error) { return i.Acknowledge(ann, s.now) }), Taken, "Ann", 2*time.Minute)
	s.expect(s.notice(time.Minute, func(i Incident) (Incident, error) { return i.Acknowledge(Person{"U2", "Bo"}, s.now) }), Taken, "Bo", 2*time.Minute)
	s.expect(s.notice(time.Minute, func(i Incident) (Incident, error) { return i.Resolve(ann, s.now) }), Recovered, "Ann", 4*time.Minute)
	goOn := func(alarm bool) func(Incident) (Incident, error) {
		return func(i Incident) (Incident, error) { return i.Read(reading(i.Key, alarm, 72), s.now), nil }
	}
	s.expect(s.notice(reopen, goOn(true)), Triggered, "", 34*time.Minute)
	s.expect(s.notice(time.Minute, goOn(false)), Recovered, "", 35*time.Minute)
	s.expect(s.notice(time.Hour, nil), Recovered, "", 35*time.Minute)
}

func TestNoticeSaysWhatFails(t *testing.T) {
	s := newTale(t, "backend")
	i := &s.book.Incidents[0]
	i.Groups = []Group{
		{Title: "ModuleNotFoundError: No module named 'auth_service'", Count: 1204, First: noon(), New: "backend-00042"},
		{Title: "login of ann@example.com failed", Count: 1, First: noon()},
	}
	i.Example = "Authorization: Bearer abcdefghijkl " + strings.Repeat("x", 2*mostDetail)
	s.book.Threads[0].Message.Link = "https://team.slack.com/archives/C1/p1"
	n := s.notice(0, nil)
	want := Notice{
		ID: n.ID, Key: s.book.Threads[0].ID, Status: Triggered, At: noon(), Summary: "backend on staging: 72% errors since 12:00 UTC (limit 5%)",
		Source: "staging/backend", Class: "error_rate", Group: "staging", Revision: "backend-00042", Link: "https://team.slack.com/archives/C1/p1",
		Details: []string{
			"ModuleNotFoundError: No module named 'auth_service' — 1204 times since 12:00 UTC, new in backend-00042",
			"login of <email> failed — once since 12:00 UTC",
			n.Details[2],
		},
	}
	if got, expected := asJSON(t, n), asJSON(t, want); got != expected {
		t.Errorf("%s\nwant %s", got, expected)
	}
	if example := n.Details[2]; len(example) > mostDetail || strings.Contains(example, "abcdefghijkl") {
		t.Errorf("%d bytes: %s", len(example), example)
	}
}

func TestNoticeOfSeveral(t *testing.T) {
	tests := []struct {
		services []string
		resolved int // of them, beginning with the first
		summary  string
		source   string
	}{
		{[]string{"backend"}, 1, "Resolved: backend on staging: 72% errors 12:00–12:05 UTC (limit 5%)", "staging/backend"},
		{[]string{"backend", "auth"}, 0, "2 services on staging fail since 12:00 UTC: backend 72%, auth 72% errors", "staging"},
		{[]string{"backend", "auth"}, 1, "auth on staging: 72% errors since 12:00 UTC (limit 5%)", "staging/auth"},
		{[]string{"backend", "auth"}, 2, "Resolved: 2 services on staging failed 12:00–12:05 UTC: backend 72%, auth 72% errors", "staging"},
		{[]string{"backend", "backend"}, 0, "backend on staging: 72% errors since 12:00 UTC (limit 5%); also: 72% errors", "staging/backend"},
		{[]string{"a", "b", "c", "d", "e", "f", "g"}, 0, "7 services on staging fail since 12:00 UTC: a 72%, b 72%, c 72%, d 72%, e 72% errors and 2 more", "staging"},
	}
	for _, tt := range tests {
		s := newTale(t, tt.services...)
		for n := range tt.resolved {
			s.book.Incidents[n].State = Resolved
		}
		n := s.notice(0, nil)
		if n.Summary != tt.summary || n.Source != tt.source {
			t.Errorf("%v, %d resolved: %q of %s, want %q of %s", tt.services, tt.resolved, n.Summary, n.Source, tt.summary, tt.source)
		}
		if len(n.Details) > mostDetails+1 {
			t.Errorf("%v: %d details", tt.services, len(n.Details))
		}
	}
}

func TestNoticeOfSeveralEnvironments(t *testing.T) {
	s := newTale(t, "backend", "auth")
	s.book.Incidents[1].Key.Target.Environment = "production"
	if got, want := s.notice(0, nil).Summary, "2 services fail since 12:00 UTC: backend on staging 72%, auth on production 72% errors"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNoticeOfNothing(t *testing.T) {
	if n := (Case{Thread: Thread{ID: "abc123"}}).Notice(); n.Status != NotTouched || n.Summary != "" {
		t.Errorf("%+v", n)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
