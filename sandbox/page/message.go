package page

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"slipway/sandbox/blockkit"
	"slipway/sandbox/fakeslack"
)

// item is a message as the page shows it.
type item struct {
	ID, TS, Thread, Channel string
	Author                  author
	Day, Clock, Exact       string
	Edited                  bool
	Only                    bool // only the viewer sees it
	Target                  bool // a permalink names it
	Compact                 bool // by the same author as the one above, shortly after it
	ReplyTo, ReplyURL       string
	Body                    template.HTML
	Files                   []file
	Reactions               []reaction
	Replies                 *replies
	Say                     string // for those who listen
}

type author struct {
	Name    string
	Initial string
	App     bool
}

type file struct{ URL, Title, Alt, About string }

type reaction struct {
	Emoji template.HTML
	Names string
	Count int
}

// replies is the line below a message that has a thread.
type replies struct {
	URL, Count, Last string
	Authors          []author
}

// note is what Slack itself tells one user, as Slackbot.
type note struct {
	at                    time.Time // no two notes are of the same microsecond
	user, channel, thread string
	text                  string
}

const maxNotes = 200

// tell shows a note to the user where the user is.
func (p *Page) tell(where place, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if n := len(p.notes); n > 0 && now.Sub(p.notes[n-1].at) < time.Microsecond {
		now = p.notes[n-1].at.Add(time.Microsecond)
	}
	p.notes = append(p.notes, note{at: now, user: where.User.ID, channel: where.Channel.ID, thread: where.Thread, text: text})
	if len(p.notes) > maxNotes {
		p.notes = p.notes[1:]
	}
	p.touch()
}

// slackbot writes what Slack itself has to say (https://slack.com/help/articles/202026038).
const slackbot = "USLACKBOT"

// messages are those of the place's channel that its user sees, oldest first, notes included.
func (p *Page) messages(where place) []fakeslack.Message {
	var out []fakeslack.Message
	for _, m := range p.cfg.Slack.Messages(where.Channel.ID) {
		if where.sees(m) {
			out = append(out, m)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.notes {
		if n.user == where.User.ID && n.channel == where.Channel.ID {
			out = insert(out, fakeslack.Message{
				Channel: n.channel, TS: n.ts(), ThreadTS: n.thread,
				User: slackbot, EphemeralTo: n.user, Text: n.text, Changed: n.at,
			})
		}
	}
	return out
}

// ts is like a message's, with a digit more: no message has it.
func (n note) ts() string { return fmt.Sprintf("%d.%06d5", n.at.Unix(), n.at.Nanosecond()/1000) }

// insert puts a message where its time is.
func insert(into []fakeslack.Message, m fakeslack.Message) []fakeslack.Message {
	at := len(into)
	for at > 0 && into[at-1].TS > m.TS {
		at--
	}
	into = append(into, m)
	copy(into[at+1:], into[at:])
	into[at] = m
	return into
}

// viewer renders messages for one place.
type viewer struct {
	place
	kit    blockkit.Renderer
	state  fakeslack.State
	all    []fakeslack.Message
	now    time.Time
	inside bool // a thread
}

// item renders a message that stands below another one; nil: below none.
func (v viewer) item(m fakeslack.Message, above *fakeslack.Message) item {
	posted := when(m.TS)
	it := item{
		ID: v.id(m.TS), TS: m.TS, Thread: m.ThreadTS, Channel: m.Channel, Author: v.author(m.User),
		Clock: posted.Format("15:04"), Exact: posted.Format(time.RFC3339), Edited: len(m.Edits) > 0,
		Only: m.EphemeralTo != "", Target: m.TS == v.Message, Body: v.body(m),
	}
	it.Say = it.Author.Name + ": " + firstLine(v.kit.Plain(m.Text))
	it.place(v, m, above, posted)
	for _, f := range m.Files {
		it.Files = append(it.Files, file{URL: "/page/file/" + f.ID, Title: f.Title, Alt: f.AltText, About: f.Mimetype})
		if !shown(f.Mimetype) {
			it.Files[len(it.Files)-1].Alt = ""
		}
	}
	for _, r := range m.Reactions {
		it.Reactions = append(it.Reactions, reaction{Emoji: v.kit.Mrkdwn(":" + r.Name + ":"), Names: v.names(r.Users) + " reacted with " + r.Name, Count: len(r.Users)})
	}
	if !v.inside && m.ThreadTS == "" {
		it.Replies = v.replies(m)
	}
	return it
}

// place says how the message stands to what is around it.
func (it *item) place(v viewer, m fakeslack.Message, above *fakeslack.Message, posted time.Time) {
	if above == nil || when(above.TS).YearDay() != posted.YearDay() {
		it.Day = day(posted, v.now)
	}
	const shortly = 5 * time.Minute
	it.Compact = above != nil && it.Day == "" && above.User == m.User && posted.Sub(when(above.TS)) < shortly &&
		(above.EphemeralTo == "") == (m.EphemeralTo == "") && !above.Broadcast && !m.Broadcast
	if m.Broadcast && !v.inside {
		it.ReplyTo, it.ReplyURL = v.title(m.ThreadTS), v.withThread(m.ThreadTS).path()
	}
}

func (v viewer) id(ts string) string {
	if v.inside {
		return "t-" + dashed(ts)
	}
	return "m-" + dashed(ts)
}

func dashed(ts string) string { return strings.ReplaceAll(ts, ".", "-") }

// body is the blocks, or the text of a message without any.
func (v viewer) body(m fakeslack.Message) template.HTML {
	if len(m.Blocks) > 0 {
		return v.kit.Blocks(m.Blocks)
	}
	return v.kit.Mrkdwn(m.Text)
}

// title is the first line of a message, to name a thread with.
func (v viewer) title(ts string) string {
	for _, m := range v.all {
		if m.TS == ts {
			return firstLine(v.kit.Plain(m.Text))
		}
	}
	return "a message"
}

const longTitle = 80

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if utf8.RuneCountInString(line) > longTitle {
		line = string([]rune(line)[:longTitle]) + "…"
	}
	return line
}

func (v viewer) replies(m fakeslack.Message) *replies {
	out := &replies{URL: v.withThread(m.TS).path()}
	last := ""
	for _, r := range v.all {
		if r.ThreadTS != m.TS || r.EphemeralTo != "" {
			continue
		}
		last = r.TS
		if who := v.author(r.User); !contains(out.Authors, who) {
			out.Authors = append(out.Authors, who)
		}
	}
	if last == "" {
		return nil
	}
	out.Count = repliesOf(v.all, m.TS)
	at := when(last)
	out.Last = "last reply " + strings.ToLower(day(at, v.now)) + " at " + at.Format("15:04")
	return out
}

// repliesOf counts a thread's replies, in words. Ephemeral ones do not count.
func repliesOf(all []fakeslack.Message, thread string) string {
	n := 0
	for _, m := range all {
		if m.ThreadTS == thread && m.EphemeralTo == "" {
			n++
		}
	}
	if n == 1 {
		return "1 reply"
	}
	return strconv.Itoa(n) + " replies"
}

func contains(all []author, a author) bool {
	for _, b := range all {
		if a == b {
			return true
		}
	}
	return false
}

func (v viewer) author(id string) author {
	if id == slackbot {
		return author{Name: "Slackbot", Initial: "S", App: true}
	}
	if id == v.state.Bot.ID {
		return author{Name: v.state.Bot.RealName, Initial: initial(v.state.Bot.RealName), App: true}
	}
	for _, u := range v.state.Users {
		if u.ID == id {
			return author{Name: u.Name, Initial: initial(u.Name)}
		}
	}
	return author{Name: id, Initial: "?"}
}

func initial(name string) string {
	r, _ := utf8.DecodeRuneInString(name)
	return strings.ToUpper(string(r))
}

func (v viewer) names(ids []string) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = v.author(id).Name
	}
	return strings.Join(names, ", ")
}

// when reads a ts.
func when(ts string) time.Time {
	seconds, micros, _ := strings.Cut(ts, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}
	}
	us, err := strconv.ParseInt(micros[:min(len(micros), 6)], 10, 64)
	if err != nil {
		us = 0
	}
	return time.Unix(s, us*1000)
}

func day(at, now time.Time) string {
	switch {
	case at.Format(time.DateOnly) == now.Format(time.DateOnly):
		return "Today"
	case at.Format(time.DateOnly) == now.AddDate(0, 0, -1).Format(time.DateOnly):
		return "Yesterday"
	}
	return at.Format("Monday, 2 January")
}
