package bot

import (
	"context"
	"time"

	"github.com/slack-go/slack"
)

// rendered sends the message. If Slack does not take it, it goes out without the graph, and then without
// blocks: what has to be known stands in the text.
func (t *telling) rendered(send func([]slack.MsgOption) error) error {
	for plainly := false; ; {
		m := t.message()
		options := []slack.MsgOption{
			slack.MsgOptionText(m.Text, false), incidentKey(t.c.Thread.ID, nil),
			slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
		}
		if !plainly {
			options = append(options, slack.MsgOptionBlocks(m.Blocks...))
		}
		err := send(options)
		switch {
		case err == nil:
			t.m.Shown = digestOf(m)
			return nil
		case !refusedBlocks(err) || plainly:
			return err
		case t.m.Graph != "":
			t.log.Warn("slack does not take an incident's graph", "incident", t.c.Thread.ID, "reason", details(err))
			t.m.Graph = ""
		default:
			t.log.Error("slack does not take an incident's blocks; sending its text alone", "incident", t.c.Thread.ID, "reason", details(err))
			plainly = true
		}
	}
}

func (t *telling) message() Message {
	return Alert(t.c, t.names, AlertLook{Graph: t.m.Graph, Site: t.site})
}

// edit brings the message up to date, unless it or the workspace has to rest first; again is how long then.
// That an edit was begun is kept as well as its end: whoever comes next must not be quicker with another.
func (t *telling) edit(ctx context.Context) (again time.Duration, err error) {
	if digestOf(t.message()) == t.m.Shown {
		return 0, nil
	}
	if again := t.rest(ctx); again > 0 {
		return again, nil
	}
	t.m.Edited = time.Now()
	if err := t.keep(); err != nil {
		return 0, err
	}
	err = t.rendered(func(options []slack.MsgOption) error {
		return t.call(ctx, "update", func(ctx context.Context) error {
			_, _, _, err := t.api.UpdateMessageContext(ctx, t.m.Channel, t.m.TS, options...)
			return err
		})
	})
	switch code := codeOf(err); {
	case err == nil:
		t.done = true
		return 0, t.keep()
	case code == "message_not_found" || code == "cant_update_message" || code == "edit_window_closed":
		return 0, t.anew(ctx)
	}
	if after, limited := retryAfter(err); limited {
		t.pause(ctx, after)
		return max(after, editEvery), nil
	}
	return 0, err
}

// rest is how long the message has to wait for its next edit; 0: it may be made now, and is counted. Incidents
// leave nothing for progress. While the count is away they go on at their own pace.
func (t *telling) rest(ctx context.Context) time.Duration {
	if rest := min(editEvery, editEvery-time.Since(t.m.Edited)); rest > 0 {
		return rest
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	rest, err := t.budgets.Spend(ctx, updates(), 0)
	if err != nil {
		t.log.Warn("an incident's message is changed uncounted", "incident", t.c.Thread.ID, "err", err)
		return 0
	}
	return rest
}

// pause keeps every replica from updating for as long as Slack has asked for.
func (t *telling) pause(ctx context.Context, after time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if err := t.budgets.Pause(ctx, updates(), after); err != nil {
		t.log.Warn("the others do not know that slack asked for a pause", "err", err)
	}
}
