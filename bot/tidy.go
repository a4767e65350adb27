package bot

import (
	"context"
	"errors"

	"github.com/slack-go/slack"

	"slipway/rollout"
	"slipway/state"
)

// A post has no precondition in Slack. A replica that slept through its claim on a card, or was cut off
// from Redis, can send a card or a reply that its successor has sent too, or change the card back. It
// cannot give the claim up as usual then, and says so; whoever has the card next shows it anew and takes
// away what is there twice.

// doubt says that this replica may have worked on a card whose claim was lost. Without Redis there is
// nothing else to do for a poster, so that it tries until it has said so.
func (p *poster) doubt(ctx context.Context, id string) {
	for {
		call, cancel := context.WithTimeout(ctx, storeTime)
		err := p.cards.DoubtCard(call, id)
		cancel()
		if err == nil {
			return
		}
		if sleep(ctx, pollingTime) != nil {
			p.log.Error("a card may show something old until the rollout moves", "rollout", id, "err", err)
			return
		}
	}
}

// tidy deletes the messages that are there twice: other cards of the rollout, and replies of which another
// copy is known.
func (p *poster) tidy(ctx context.Context, card *state.Card, r rollout.Rollout) error {
	known := map[string]string{cardKey(r.ID).key: card.TS}
	for key, ts := range card.Posted {
		known[key] = ts
	}
	top, err := p.history(ctx, card, r)
	if err != nil {
		return err
	}
	thread, err := p.thread(ctx, card)
	if err != nil {
		return err
	}
	for _, m := range append(top, thread...) {
		key, ours := keyOf(m, r.ID)
		if ts := known[key]; ours && ts != "" && ts != m.Timestamp {
			err = errors.Join(err, p.remove(ctx, card.Channel, m.Timestamp))
		}
	}
	return err
}

// keyOf is the key in a message's metadata; ok is false for messages that are not of the rollout's card.
func keyOf(m slack.Message, id string) (key string, ok bool) {
	payload := m.Metadata.EventPayload
	key, ok = payload["key"].(string)
	return key, ok && m.Metadata.EventType == metadataType && payload["rollout"] == id
}

func (p *poster) remove(ctx context.Context, channel, ts string) error {
	p.log.Warn("deleting a message that was posted twice", "channel", channel, "ts", ts)
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	_, _, err := p.api.DeleteMessageContext(ctx, channel, ts)
	if codeOf(err) == "message_not_found" {
		return nil
	}
	return err
}
