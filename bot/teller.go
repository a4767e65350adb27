package bot

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"slipway/incident"
)

const (
	// editEvery is how often an incident's message may change.
	editEvery = 10 * time.Second
	// lookUpTime is how long a message may wait for who is to be mentioned, and for where it belongs.
	lookUpTime = time.Second
	// patience is how long news wait until those whom they call can be mentioned properly.
	patience = time.Minute
)

// teller tells of incidents: one message each, which changes, and its thread. Any number of goroutines may use
// it, each for threads of its own.
type teller struct {
	api       *slack.Client
	directory *Directory
	budgets   Budgets
	pictures  *pictures
	log       *slog.Logger
	site      string

	mu       sync.Mutex
	unsure   time.Time            // since when somebody cannot be looked up; zero: everybody can
	pauses   map[string]time.Time // until when Slack has asked not to be called, by what was called
	drawings map[string]drawing   // by thread: graphs on their way to Slack
}

func newTeller(cfg Config, api *slack.Client, d *Directory, graphs *pictures) *teller {
	site := "https://slack.com"
	if cfg.APIURL != "" {
		site = strings.TrimSuffix(strings.TrimSuffix(cfg.APIURL, "/"), "/api")
	}
	return &teller{
		api: api, directory: d, budgets: cfg.Budgets, pictures: graphs, log: cfg.Log, site: site,
		pauses: map[string]time.Time{}, drawings: map[string]drawing{},
	}
}

var _ incident.Teller = (*Bot)(nil)

// Tell implements incident.Teller. It needs no Run.
func (b *Bot) Tell(ctx context.Context, c incident.Case, m incident.Message, keep func(incident.Message) error) (again time.Duration, err error) {
	if len(c.Incidents) == 0 {
		return 0, nil
	}
	t := &telling{teller: b.teller, c: c, m: m, store: keep}
	again, err = t.tell(ctx)
	if err != nil {
		again = cmp.Or(pauseAfter(err), failPause)
	}
	return again, err
}

// telling is one call of Tell.
type telling struct {
	*teller
	c     incident.Case
	m     incident.Message // what is posted by now
	store func(incident.Message) error
	place string // the channel's ID, or its name if the ID could not be had in time
	names Names
	sure  bool // everybody to be mentioned could be looked up
	done  bool // something was posted or edited
}

// tell posts the message or edits it, then replies, and when nothing else was to be done, takes the next step
// to the graph.
func (t *telling) tell(ctx context.Context) (again time.Duration, err error) {
	if err := t.lookUp(ctx); err != nil {
		return 0, err
	}
	if t.m.TS == "" {
		if err := t.first(ctx); err != nil {
			return 0, err
		}
	}
	if t.c.Thread.InDoubt(t.m) {
		t.m.Shown = ""
	}
	again, err = t.edit(ctx)
	if err != nil && mayHaveHappened(err) { // Slack is away: a reply would only wait as long
		return 0, err
	}
	if err := errors.Join(err, t.news(ctx), t.tidy(ctx)); err != nil {
		return 0, err
	}
	if t.done {
		return t.illustrateNext(again), nil
	}
	return t.illustrate(ctx, again)
}

// news tells the news, and says so if they have to wait.
func (t *telling) news(ctx context.Context) error {
	err := t.reply(ctx)
	if codeOf(err) == "cannot_reply_to_message" {
		if err = t.anew(ctx); err == nil {
			err = t.reply(ctx)
		}
	}
	if err == nil && !t.sure && len(t.untold()) > 0 {
		return errNobodyCalled
	}
	return err
}

var errNobodyCalled = errors.New("those who have to be mentioned cannot be looked up now")

// lookUp finds where the message belongs, and who is to be mentioned. It does not take long: a message that is
// late is worse than one that names somebody without calling them.
func (t *telling) lookUp(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	if t.place = t.m.Channel; t.m.TS == "" {
		if t.place, err = t.directory.place(ctx, t.c.Thread.Channel); err != nil {
			return err
		}
	}
	t.names, t.sure = t.directory.names(ctx, t.handles())
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.sure:
		t.unsure = time.Time{}
	case t.unsure.IsZero():
		t.unsure = time.Now()
	case time.Since(t.unsure) >= patience:
		t.sure = true // as sure as it gets
	}
	return nil
}

// handles are those that the message or the news may mention.
func (t *telling) handles() (list []string) {
	if len(t.untold()) == 0 && newAlert(t.c, nil, AlertLook{}).called() == "" {
		return nil
	}
	for _, about := range t.c.About {
		list = append(list, about.Service.Alerts.Mention...)
		if e := about.Service.Alerts.Escalate; e != nil {
			list = append(list, e.To...)
		}
	}
	return list
}

// keep stores what is posted by now.
func (t *telling) keep() error { return t.store(t.m) }

// first posts the message. That it is about to be posted is kept before, so that after a crash it is looked
// for and not posted twice.
func (t *telling) first(ctx context.Context) error {
	if t.m.Posting {
		if err := t.adopt(ctx); err != nil || t.m.TS != "" {
			return err
		}
	}
	t.m.Posting, t.m.Channel = true, t.place
	if err := t.keep(); err != nil {
		return err
	}
	err := t.rendered(func(options []slack.MsgOption) (err error) {
		t.m.Channel, t.m.TS, err = t.post(ctx, t.place, options)
		return err
	})
	if err != nil {
		if t.m.Posting = mayHaveHappened(err); !t.m.Posting {
			err = errors.Join(err, t.keep())
		}
		return err
	}
	t.done = true
	t.posted(time.Now(), t.sure)
	t.log.Info("an incident was posted", "incident", t.c.Thread.ID, "channel", t.m.Channel)
	return t.keep()
}

// post posts, unless Slack has asked for a pause.
func (t *telling) post(ctx context.Context, channel string, options []slack.MsgOption) (where, ts string, err error) {
	err = t.call(ctx, "post to "+channel, func(ctx context.Context) error {
		where, ts, err = t.api.PostMessageContext(ctx, channel, options...)
		return err
	})
	if err != nil {
		return channel, "", err
	}
	return where, ts, nil
}

// call makes a call, and none of its kind as long as Slack has asked for.
func (t *telling) call(ctx context.Context, kind string, do func(context.Context) error) error {
	t.mu.Lock()
	rest := time.Until(t.pauses[kind])
	t.mu.Unlock()
	if rest > 0 {
		return &slack.RateLimitedError{RetryAfter: rest}
	}
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	err := do(ctx)
	if after, limited := retryAfter(err); limited {
		t.mu.Lock()
		t.pauses[kind] = time.Now().Add(after)
		t.mu.Unlock()
	}
	return err
}

// posted notes that the message is there. It is what the news of a fault's beginning say, if it called
// whoever they call.
func (t *telling) posted(at time.Time, called bool) {
	t.m.Posting, t.m.Edited = false, at
	t.m.Link = linkTo(t.site, t.m.Channel, t.m.TS)
	for _, n := range t.untold() {
		if !called || n.Saying != incident.SayFiring {
			return
		}
		t.m.Told = n.Key
	}
}

// adopt looks for a message that was posted by somebody who could not remember it.
func (t *telling) adopt(ctx context.Context) error {
	channel, err := t.directory.Channel(ctx, t.c.Thread.Channel)
	if err != nil {
		return err
	}
	all, err := historyOf(ctx, t.api, channel, t.c.Thread.Opened)
	if err != nil {
		return err
	}
	for _, m := range all {
		if keys, ours := t.told(m); !ours || len(keys) > 0 {
			continue
		}
		t.m.Channel, t.m.TS, t.m.Shown = channel, m.Timestamp, "" // what it shows is unknown, so it is edited next
		t.posted(timeOfTS(m.Timestamp), true)
		t.log.Info("an incident's message was found again", "incident", t.c.Thread.ID, "channel", channel)
		return t.keep()
	}
	return nil
}

// anew posts a message in the place of one that is gone.
func (t *telling) anew(ctx context.Context) error {
	t.log.Warn("an incident's message is gone; posting it anew", "incident", t.c.Thread.ID)
	t.m.TS, t.m.Posting, t.m.Reply = "", false, ""
	return t.first(ctx)
}

// timeOfTS is when a message was posted.
func timeOfTS(ts string) time.Time {
	seconds, err := strconv.ParseFloat(ts, 64)
	if err != nil {
		return time.Now()
	}
	return time.UnixMicro(int64(seconds * 1e6))
}

// incidentType is the type of the metadata by which messages about incidents are found: of the message
// itself, and of replies with the keys of the news that they tell.
const incidentType = "slipway_incident"

func incidentKey(thread string, keys []string) slack.MsgOption {
	payload := map[string]any{"incident": thread}
	if len(keys) > 0 {
		payload["keys"] = keys
	}
	return slack.MsgOptionMetadata(slack.SlackMetadata{EventType: incidentType, EventPayload: payload})
}
