package bot

import (
	"context"
	"slices"

	"github.com/slack-go/slack"
)

// A replica that was cut off from Redis, or slept, may tell of an incident after another one has the watch. It says
// so once it knows; this file takes away what is there twice then.

// tidy deletes copies of the message and of replies, if there may be any. What Slack does not let it read or delete
// stays: an incident has more to tell.
func (t *telling) tidy(ctx context.Context) error {
	if !t.c.Thread.InDoubt(t.m) {
		return nil
	}
	copies, err := t.copies(ctx)
	for _, ts := range copies {
		if err != nil {
			break
		}
		t.log.Warn("deleting what was told twice of an incident", "incident", t.c.Thread.ID, "ts", ts)
		err = t.remove(ctx, ts)
	}
	if _, limited := retryAfter(err); limited && err != nil || mayHaveHappened(err) {
		return err
	}
	if err != nil {
		t.log.Warn("what was told twice of an incident stays", "incident", t.c.Thread.ID, "reason", details(err))
	}
	t.m.Checked = t.c.Thread.Doubts
	return t.keep()
}

func (t *telling) remove(ctx context.Context, ts string) error {
	err := t.call(ctx, "delete", func(ctx context.Context) error {
		_, _, err := t.api.DeleteMessageContext(ctx, t.m.Channel, ts)
		return err
	})
	if codeOf(err) == "message_not_found" {
		return nil
	}
	return err
}

// copies are the other messages of the thread, after the replies to them, and the replies of which an earlier one
// told all that they tell.
func (t *telling) copies(ctx context.Context) (list []string, err error) {
	top, err := historyOf(ctx, t.api, t.m.Channel, t.c.Thread.Opened)
	if err != nil {
		return nil, err
	}
	for _, m := range top {
		if keys, ours := t.told(m); !ours || len(keys) > 0 || m.Timestamp == t.m.TS {
			continue
		}
		replies, err := t.replies(ctx, m.Timestamp)
		if err != nil {
			return nil, err
		}
		for _, r := range replies {
			list = append(list, r.Timestamp)
		}
		list = append(list, m.Timestamp)
	}
	replies, err := t.replies(ctx, t.m.TS)
	known := map[string]bool{}
	for _, m := range replies {
		keys, _ := t.told(m)
		if !slices.ContainsFunc(keys, func(key string) bool { return !known[key] }) {
			list = append(list, m.Timestamp)
		}
		for _, key := range keys {
			known[key] = true
		}
	}
	return list, err
}

// replies are those of the app under a message, the first in front.
func (t *telling) replies(ctx context.Context, ts string) ([]slack.Message, error) {
	thread, err := threadOf(ctx, t.api, t.m.Channel, ts)
	if codeOf(err) == "thread_not_found" {
		return nil, nil
	}
	return slices.DeleteFunc(thread, func(m slack.Message) bool {
		keys, ours := t.told(m)
		return !ours || len(keys) == 0
	}), err
}

// told are the keys of the news that a message tells; ours is false for messages that are not of this thread.
func (t *telling) told(m slack.Message) (keys []string, ours bool) {
	payload := m.Metadata.EventPayload
	list, _ := payload["keys"].([]any)
	for _, key := range list {
		if key, ok := key.(string); ok {
			keys = append(keys, key)
		}
	}
	return keys, m.Metadata.EventType == incidentType && payload["incident"] == t.c.Thread.ID
}
