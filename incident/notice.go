package incident

// Notices are what others than the channel are told: pagers and webhooks. Here is what they say and to
// whom; a Notifier says it.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"slipway/plan"
)

// Undelivered is an error of a Notifier that knows whether it helps to try again. Find it with errors.As;
// any other error may pass.
type Undelivered interface {
	error
	Permanent() bool           // it stays so until people change something
	RetryAfter() time.Duration // before then it is no use; 0: they did not say
}

// Date notes since when each thread has the status that it has, so that a notice has the same ID in each try.
// Call it after each change of the incidents, and store the book before anybody is told.
func (b *Book) Date(now time.Time) {
	for n := range b.Threads {
		t := &b.Threads[n]
		if s := statusOf(b.Of(t.ID)); s != t.Status {
			t.Status, t.Since = s, now
		}
	}
}

// statusOf is triggered while nobody has one of the incidents, and resolved when all are. Those that are
// pending do not count: nobody is to know of them yet.
func statusOf(incidents []Incident) Status {
	status := NotTouched
	for _, i := range incidents {
		switch i.State {
		case Firing, Flapping:
			return Triggered
		case Acknowledged, Silenced:
			status = Taken
		case Resolved:
			if status == NotTouched {
				status = Recovered
			}
		}
	}
	return status
}

// Untold returns those who do not know yet that a case has a status and are to be told, each once. Whoever
// was never told that it began does not want to hear of its end.
func (t Thread) Untold(to []plan.Notify, s Status) []plan.Notify {
	var untold []plan.Notify
	seen := map[string]bool{}
	for _, one := range to {
		name := Name(one)
		if seen[name] {
			continue
		}
		seen[name] = true
		knows := t.Sent[name]
		open := knows == Triggered || knows == Taken
		if s != knows && (s == Triggered || open && s != NotTouched) {
			untold = append(untold, one)
		}
	}
	return untold
}

// Told notes that somebody was told of a status. Copies of the thread are not changed.
func (t *Thread) Told(to plan.Notify, s Status) {
	if t.Sent = maps.Clone(t.Sent); t.Sent == nil {
		t.Sent = map[string]Status{}
	}
	t.Sent[Name(to)] = s
}

// Name is what one that is told is called in Thread.Sent, logs and errors: "pagerduty PAGERDUTY_KEY", the name
// of the variable, or "webhook hooks.example.com/1f3a9c02". What may be secret, as paths and queries are, is in
// a digest.
func Name(to plan.Notify) string {
	switch {
	case to.PagerDuty != nil && to.PagerDuty.RoutingKey.Env != "":
		return "pagerduty " + to.PagerDuty.RoutingKey.Env
	case to.PagerDuty != nil:
		return "pagerduty " + shortDigest(to.PagerDuty.RoutingKey.Literal)
	case to.Webhook != nil:
		host := "?"
		if u, err := url.Parse(to.Webhook.URL); err == nil && u.Host != "" {
			host = u.Host
		}
		return "webhook " + host + "/" + shortDigest(to.Webhook.URL)
	}
	return "nobody"
}

func shortDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// Notice is what others are told of the case as it stands. Call Date before.
func (c Case) Notice() Notice {
	n := Notice{
		ID:     fmt.Sprintf("%s/%s/%d", c.Thread.ID, c.Thread.Status, c.Thread.Since.Unix()),
		Key:    c.Thread.ID,
		Status: c.Thread.Status,
		At:     c.Thread.Since,
		By:     c.by(),
		Link:   c.Thread.Message.Link,
	}
	told := c.told()
	if len(told) == 0 {
		return n
	}
	first := told[0]
	n.Summary, n.Details = HeadlineOf(told).At(c.Now), details(told, c.Now)
	n.Source, n.Class, n.Group, n.Revision = source(told), string(first.Key.Kind), first.Key.Target.Environment, first.Revision
	return n
}

// told are the incidents that a notice is about: those that go on, or all of them when none does.
func (c Case) told() []Incident {
	on := slices.DeleteFunc(slices.Clone(c.Incidents), func(i Incident) bool { return i.State == Resolved || i.State == Pending })
	if len(on) > 0 {
		return on
	}
	return c.Incidents
}

// by is whose word brought the status, "": nobody's.
func (c Case) by() string {
	var last Incident
	var at time.Time
	for _, i := range c.Incidents {
		switch {
		case c.Thread.Status == Taken && i.ByAt.After(at):
			last, at = i, i.ByAt
		case c.Thread.Status == Recovered && i.Resolved.After(at):
			last, at = i, i.Resolved
		}
	}
	return last.By.Name
}

// source is what fails: staging/backend, or of several services their environment.
func source(told []Incident) string {
	if services := targetsOf(told); len(services) > 1 {
		return told[0].Key.Target.Environment
	}
	return told[0].Key.Target.String()
}

const (
	mostDetails = 10
	mostDetail  = 300 // bytes
)

// details are the headlines of several incidents, and of each what its errors say.
func details(told []Incident, now time.Time) []string {
	var lines []string
	for _, i := range told {
		if len(told) > 1 {
			lines = append(lines, i.Headline(now))
		}
		for _, g := range i.Groups {
			lines = append(lines, g.line(now))
		}
		if i.Example != "" {
			lines = append(lines, i.Example)
		}
	}
	if more := len(lines) - mostDetails; more > 0 {
		lines = append(lines[:mostDetails], fmt.Sprintf("and %d more lines", more))
	}
	for n := range lines {
		lines[n] = cut(Redact(lines[n]), mostDetail)
	}
	return lines
}

// line is the group in one: "ModuleNotFoundError: No module named 'auth' — 1204 times since 14:02 UTC, new in
// netra-backend-staging-00042".
func (g Group) line(now time.Time) string {
	text := fmt.Sprintf("%s — %s since %s", g.Title, times(g.Count), clock(g.First, now))
	if g.New != "" {
		text += ", new in " + g.New
	}
	return text
}
