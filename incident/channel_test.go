package incident_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/incident"
)

// channel is where people are told.
type channel struct {
	mu    sync.Mutex
	posts []post
	serve []string // the revisions with the traffic, as the newest message has them
	down  bool
	// doubts is how often what was told was looked through for what is there twice.
	doubts int
	lost   func(p post) bool // the answer to a post is lost; nil: to none
}

type post struct {
	thread string // whose message it is, or in whose thread
	key    string // of a reply; "": it is the message
	at     time.Time
	says   []incident.Saying
	head   string // the headlines
	alone  bool
}

var errNoSlack = errors.New("slack is down")

// tell keeps to what Teller asks for, without Slack.
func (ch *channel) tell(c incident.Case, m incident.Message, keep func(incident.Message) error) (time.Duration, error) {
	if ch.isDown() {
		return 0, errNoSlack
	}
	ch.note(c)
	var heads []string
	for _, i := range c.Incidents {
		heads = append(heads, i.Headline(c.Now))
	}
	p := post{thread: c.Thread.ID, at: time.Now(), head: strings.Join(heads, "\n"), alone: c.Alone}
	first := false
	if m.TS == "" {
		if found := m.Posting && ch.find(c.Thread.ID, ""); !found {
			first = true
			m.Posting = true
			if err := keep(m); err != nil {
				return 0, err
			}
			if err := ch.add(p); err != nil {
				return 0, err
			}
		}
		m.TS, m.Posting = "1", false
		if err := keep(m); err != nil {
			return 0, err
		}
	}
	for _, n := range c.News {
		p.key, p.says = n.Key, []incident.Saying{n.Saying}
		if n.Saying == incident.SayFiring && (first || n.Incident == c.Thread.ID) || m.Reply == n.Key && ch.find(c.Thread.ID, n.Key) {
			continue
		}
		m.Reply = n.Key
		if err := keep(m); err != nil {
			return 0, err
		}
		if err := ch.add(p); err != nil {
			return 0, err
		}
		m.Reply, m.Told = "", n.Key
		if err := keep(m); err != nil {
			return 0, err
		}
	}
	if c.Thread.InDoubt(m) {
		ch.doubted()
		m.Checked = c.Thread.Doubts
		return 0, keep(m)
	}
	return 0, nil
}

func (ch *channel) doubted() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.doubts++
}

func (ch *channel) note(c incident.Case) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.serve = nil
	for _, about := range c.About {
		ch.serve = append(ch.serve, about.Standing.Serving)
	}
}

func (ch *channel) serving() []string {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.serve
}

func (ch *channel) isDown() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.down
}

func (ch *channel) setDown(down bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.down = down
}

func (ch *channel) add(p post) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.posts = append(ch.posts, p)
	if ch.lost != nil && ch.lost(p) {
		return errors.New("the answer was lost")
	}
	return nil
}

func (ch *channel) find(thread, key string) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return slices.ContainsFunc(ch.posts, func(p post) bool { return p.thread == thread && p.key == key })
}

func (ch *channel) messages() []post { return ch.filter(func(p post) bool { return p.key == "" }) }

func (ch *channel) said() []incident.Saying {
	var list []incident.Saying
	for _, p := range ch.filter(func(p post) bool { return p.key != "" }) {
		list = append(list, p.says...)
	}
	return list
}

func (ch *channel) filter(keep func(post) bool) []post {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(ch.posts), func(p post) bool { return !keep(p) })
}
