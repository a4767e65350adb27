package bot

import (
	"context"
	"slices"

	"github.com/slack-go/slack"

	"slipway/incident"
)

// untold are the news after the one that was told last.
func (t *telling) untold() []incident.News {
	at := slices.IndexFunc(t.c.News, func(n incident.News) bool { return n.Key == t.m.Told })
	if t.m.Told == "" {
		at = -1
	}
	return t.c.News[at+1:]
}

// reply tells in the thread what it does not know yet, in one reply. Its last key is kept before it is sent, so
// that one whose answer was lost is looked for and not sent twice.
func (t *telling) reply(ctx context.Context) error {
	if err := t.confirm(ctx); err != nil {
		return err
	}
	news := t.untold()
	if len(news) == 0 || !t.sure {
		return nil
	}
	last := news[len(news)-1].Key
	text, broadcast := newAlert(t.c, t.names, AlertLook{Site: t.site}).newsText(news)
	if text != "" {
		t.m.Reply = last
		if err := t.keep(); err != nil {
			return err
		}
		if err := t.send(ctx, text, broadcast, news); err != nil {
			return err
		}
	}
	t.m.Reply, t.m.Told, t.done = "", last, true
	return t.keep()
}

func (t *telling) send(ctx context.Context, text mrkdwn, broadcast bool, news []incident.News) error {
	keys := make([]string, len(news))
	for n := range news {
		keys[n] = news[n].Key
	}
	options := []slack.MsgOption{
		slack.MsgOptionText(string(text), false), slack.MsgOptionTS(t.m.TS), incidentKey(t.c.Thread.ID, keys),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
	if broadcast {
		options = append(options, slack.MsgOptionBroadcast())
	}
	_, _, err := t.post(ctx, t.m.Channel, options)
	if err != nil && !mayHaveHappened(err) {
		t.m.Reply = ""
		if lost := t.keep(); lost != nil {
			return lost
		}
	}
	return err
}

// confirm looks whether a reply was posted that was begun by somebody who could not remember it. Of the news
// that it told, none is told again.
func (t *telling) confirm(ctx context.Context) error {
	if t.m.Reply == "" {
		return nil
	}
	replies, err := t.replies(ctx, t.m.TS)
	if err != nil {
		return err
	}
	var told []string
	for _, m := range replies {
		keys, _ := t.told(m)
		told = append(told, keys...)
	}
	t.c.News = slices.DeleteFunc(slices.Clone(t.untold()), func(n incident.News) bool { return slices.Contains(told, n.Key) })
	if slices.Contains(told, t.m.Reply) {
		t.m.Told = t.m.Reply
	}
	t.m.Reply = ""
	return t.keep()
}
