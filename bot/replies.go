package bot

import (
	"context"
	"time"

	"github.com/slack-go/slack"

	"slipway/rollout"
	"slipway/state"
)

// reply posts what the thread lacks. A reply is noted in card.Posted before it is sent, without its
// ts, so that one whose answer was lost is looked for and not sent twice.
func (p *poster) reply(ctx context.Context, card *state.Card, r rollout.Rollout, names Names) (time.Duration, error) {
	events, err := p.events(ctx, card, r)
	if err != nil {
		return time.Second, err
	}
	for _, next := range replies(r, events, names) {
		if card.Posted[next.Key] != "" {
			continue
		}
		if err := p.replyOnce(ctx, card, r.ID, next); err != nil {
			return pauseAfter(err), err
		}
	}
	card.Cursor = max(card.Cursor, r.Events)
	return 0, nil
}

// events are those that the thread has not been told of and that the snapshot knows.
func (p *poster) events(ctx context.Context, card *state.Card, r rollout.Rollout) ([]rollout.Event, error) {
	if card.Cursor >= r.Events {
		return nil, nil
	}
	all, err := p.rollouts.Events(ctx, r.ID, card.Cursor)
	if err != nil {
		return nil, err
	}
	for i, e := range all {
		if e.Seq > r.Events {
			return all[:i], nil
		}
	}
	return all, nil
}

func (p *poster) replyOnce(ctx context.Context, card *state.Card, id string, next reply) error {
	key := messageKey{id, next.Key}
	if _, begun := card.Posted[next.Key]; begun {
		thread, err := p.thread(ctx, card)
		if err != nil {
			return err
		}
		if ts := find(thread, key); ts != "" {
			return p.note(ctx, card, next.Key, ts)
		}
	}
	if err := p.note(ctx, card, next.Key, ""); err != nil {
		return err
	}
	options := []slack.MsgOption{
		slack.MsgOptionText(next.Text, false), slack.MsgOptionTS(card.TS), key.option(),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
	if next.Broadcast {
		options = append(options, slack.MsgOptionBroadcast())
	}
	_, ts, err := p.posting(ctx, card, options)
	if err != nil {
		if !mayHaveHappened(err) {
			delete(card.Posted, next.Key)
		}
		return err
	}
	card.Posted[next.Key] = ts // stored with the next note, or when the card is released
	return nil
}

func (p *poster) note(ctx context.Context, card *state.Card, key, ts string) error {
	if card.Posted == nil {
		card.Posted = map[string]string{}
	}
	card.Posted[key] = ts
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return p.cards.SaveCard(ctx, p.owner, *card)
}

// thread reads the replies under the card.
func (p *poster) thread(ctx context.Context, card *state.Card) ([]slack.Message, error) {
	return threadOf(ctx, p.api, card.Channel, card.TS)
}
