package bot

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/slack-go/slack"

	"slipway/rollout"
	"slipway/state"
)

const (
	// updateEvery is how often one card may change.
	updateEvery = 1500 * time.Millisecond
	// What progress leaves of the updates that may be made at once: for questions and ends, and more so
	// that a card which was shown lately lets the others go first.
	keptForAsks   = 1
	keptForOthers = 2
	lately        = 4 * time.Second

	cardLease = 4 * time.Second  // held on to while a card is worked on
	cardTime  = 25 * time.Second // for all that is done under one claim
	// postLease is what a claim lasts when something is posted that must not be posted twice: the call
	// ends well inside it.
	postLease = httpTimeout + 5*time.Second
	failPause = 2 * time.Second  // after an answer that was lost
	hardPause = 30 * time.Second // after a refusal that only people can heal
)

// updates is how often chat.update may be called in a workspace, by all replicas together
// (docs.slack.dev/apis/web-api/rate-limits, tier 3).
func updates() state.Budget {
	return state.Budget{Name: "chat.update", Every: time.Minute / 50, Burst: 5}
}

// poster keeps the cards up to date. One goroutine does all of a process's: what limits it is Slack.
type poster struct {
	cards     Cards
	rollouts  Rollouts
	owner     string
	api       *slack.Client
	directory *Directory
	log       *slog.Logger
	hint      chan struct{}

	budgets Budgets
	classic bool // Slack refused plan or chart blocks once; remembered for the process

	pictures *pictures
}

func newPoster(cfg Config, api *slack.Client, d *Directory, graphs *pictures) *poster {
	return &poster{
		cards: cfg.Cards, rollouts: cfg.Rollouts, owner: cfg.Owner, api: api, directory: d, log: cfg.Log,
		hint: make(chan struct{}, 1), budgets: cfg.Budgets, pictures: graphs,
	}
}

// run works until ctx ends. The card in hand by then is finished under hands.
func (p *poster) run(ctx, hands context.Context) {
	for ctx.Err() == nil {
		again, ok := p.one(hands)
		if ok && again == 0 {
			continue
		}
		wait := pollingTime
		if ok {
			wait = min(wait, again)
		}
		timer := time.NewTimer(wait)
		select {
		case <-p.hint:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// one brings one stale card up to date. again is how long to leave it alone if it is still behind.
func (p *poster) one(hands context.Context) (again time.Duration, ok bool) {
	ctx, cancel := context.WithTimeout(hands, cardTime)
	defer cancel()
	card, ok, err := p.cards.ClaimCard(ctx, p.owner, cardLease)
	if err != nil {
		p.log.Warn("stale cards cannot be read", "err", err)
		return 0, false
	}
	if !ok {
		return 0, false
	}
	held, stop := keep(ctx, cardLease, func(ctx context.Context) error {
		return p.cards.HoldCard(ctx, p.owner, card.Rollout, cardLease)
	})
	again, err = p.refresh(held, &card)
	stop()
	if err != nil {
		p.log.Warn("a card is not up to date", "rollout", card.Rollout, "err", err, "retry_in", again)
	}
	// What was posted has to be remembered even if the time for posting is over.
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	if err := p.cards.ReleaseCard(release, p.owner, card, again); err != nil {
		p.log.Warn("a card's state was not stored; it is looked for in Slack next time", "rollout", card.Rollout, "err", err)
		p.doubt(hands, card.Rollout)
	}
	return again, true
}

// refresh posts what card lacks of its rollout: the message or its update, then the replies, and at
// the end the graph. Replies are not held up by updates that have to wait, as they call people.
func (p *poster) refresh(ctx context.Context, card *state.Card) (again time.Duration, err error) {
	r, err := p.rollouts.Load(ctx, card.Rollout)
	if errors.Is(err, rollout.ErrNotFound) {
		card.Version, card.Cursor = math.MaxInt64, math.MaxInt64
		return 0, nil
	}
	if err != nil {
		return time.Second, err
	}
	if card.TS != "" && card.Version == 0 {
		if err := p.tidy(ctx, card, r); err != nil {
			return pauseAfter(err), err
		}
	}
	names, sure := p.directory.names(ctx, handles(r))
	switch {
	case card.TS == "":
		if again, err = p.first(ctx, card, r, names); err != nil {
			return again, err
		}
	case !current(card, r):
		again, err = p.update(ctx, card, r, names)
	}
	if card.TS == "" {
		return again, err
	}
	if !sure && patient(r, time.Now()) {
		return max(again, failPause), errors.Join(err, errors.New("those who have to be mentioned cannot be looked up now"))
	}
	later, replyErr := p.reply(ctx, card, r, names)
	again, err = max(again, later), errors.Join(err, replyErr)
	if again > 0 || err != nil {
		return again, err
	}
	return p.illustrate(ctx, card, r, names)
}

// patient reports whether the thread may wait until those whom it calls can be mentioned properly,
// which is for the first minute of a question.
func patient(r rollout.Rollout, now time.Time) bool {
	ask := firstOpen(r)
	return ask != nil && now.Before(ask.Opened.Add(time.Minute))
}

// handles are those that a card or its thread may mention.
func handles(r rollout.Rollout) []string {
	list := r.Environment.Deployers
	for _, ask := range r.Asks {
		list = append(list[:len(list):len(list)], ask.Who...)
	}
	return list
}

// first posts the card. That it is about to be posted is stored before, so that after a crash the
// message is looked for and not posted twice.
func (p *poster) first(ctx context.Context, card *state.Card, r rollout.Rollout, names Names) (time.Duration, error) {
	channel, err := p.directory.Channel(ctx, r.Channel)
	if err != nil {
		return pauseAfter(err), err
	}
	card.Channel = channel
	if card.Posting {
		if err := p.adopt(ctx, card, r); err != nil || card.TS != "" {
			return pauseAfter(err), err
		}
	}
	card.Posting = true
	if err := p.cards.SaveCard(ctx, p.owner, *card); err != nil {
		return time.Second, err
	}
	ts, err := p.post(ctx, card, r, names)
	if err != nil {
		card.Posting = mayHaveHappened(err)
		return pauseAfter(err), err
	}
	p.posted(card, r, ts)
	return 0, p.cards.SaveCard(ctx, p.owner, *card)
}

func (p *poster) posted(card *state.Card, r rollout.Rollout, ts string) {
	card.TS, card.Posting, card.Version = ts, false, r.Version
	stamp(card, time.Now())
	p.log.Info("card posted", "rollout", r.ID, "channel", card.Channel)
}

// adopt looks for a card that was posted by somebody who could not remember it.
func (p *poster) adopt(ctx context.Context, card *state.Card, r rollout.Rollout) error {
	all, err := p.history(ctx, card, r)
	if err != nil {
		return err
	}
	ts := find(all, cardKey(r.ID))
	if ts == "" {
		return nil
	}
	card.TS, card.Posting = ts, false // what it shows is unknown, so it is updated next
	p.log.Info("card found again", "rollout", r.ID, "channel", card.Channel)
	return p.cards.SaveCard(ctx, p.owner, *card)
}

// history reads what was posted in the channel since the rollout began.
func (p *poster) history(ctx context.Context, card *state.Card, r rollout.Rollout) ([]slack.Message, error) {
	return historyOf(ctx, p.api, card.Channel, r.Created)
}

// Metadata is what makes a message be found again (docs.slack.dev/messaging/message-metadata).
const metadataType = "slipway_card"

type messageKey struct{ rollout, key string }

func cardKey(id string) messageKey { return messageKey{id, "card"} }

func (k messageKey) option() slack.MsgOption {
	return slack.MsgOptionMetadata(slack.SlackMetadata{
		EventType: metadataType, EventPayload: map[string]any{"rollout": k.rollout, "key": k.key},
	})
}

func find(messages []slack.Message, k messageKey) string {
	for _, m := range messages {
		payload := m.Metadata.EventPayload
		if m.Metadata.EventType == metadataType && payload["rollout"] == k.rollout && payload["key"] == k.key {
			return m.Timestamp
		}
	}
	return ""
}

func (p *poster) post(ctx context.Context, card *state.Card, r rollout.Rollout, names Names) (ts string, err error) {
	err = p.rendered(card, r, names, func(options []slack.MsgOption) error {
		card.Channel, ts, err = p.posting(ctx, card, options)
		return err
	})
	return ts, err
}

// posting posts once the claim lasts for it.
func (p *poster) posting(ctx context.Context, card *state.Card, options []slack.MsgOption) (string, string, error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	if err := p.cards.HoldCard(ctx, p.owner, card.Rollout, postLease); err != nil {
		return card.Channel, "", err
	}
	where, ts, err := p.api.PostMessageContext(ctx, card.Channel, options...)
	if err != nil {
		return card.Channel, "", err
	}
	return where, ts, nil
}

// rendered sends the card. If Slack does not take it, it goes out with the chart in place of the
// graph, and then in classic blocks.
func (p *poster) rendered(card *state.Card, r rollout.Rollout, names Names, send func([]slack.MsgOption) error) error {
	for {
		look := Look{Classic: p.classic, Graph: graphShown(card)}
		m := Card(r, time.Now(), names, look)
		err := send([]slack.MsgOption{
			slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...), cardKey(r.ID).option(),
			slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
		})
		switch {
		case !refusedBlocks(err):
			return err
		case look.Graph != "":
			p.graphRefused(card, err)
		case look.Classic:
			return err
		default:
			p.log.Warn("slack does not take plan and chart blocks; using sections from now on", "rollout", r.ID, "reason", details(err))
			p.classic = true
		}
	}
}

func refusedBlocks(err error) bool {
	switch codeOf(err) {
	case "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long":
		return true
	}
	return false
}

// details are Slack's own words about what is wrong with a message.
func details(err error) []string {
	if refused, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return refused.ResponseMetadata.Messages
	}
	return nil
}

// update edits the card, unless it or the workspace has to rest first.
func (p *poster) update(ctx context.Context, card *state.Card, r rollout.Rollout, names Names) (time.Duration, error) {
	if rest, err := p.rest(ctx, card, r); rest > 0 || err != nil {
		return rest, err
	}
	err := p.rendered(card, r, names, func(options []slack.MsgOption) error {
		ctx, cancel := context.WithTimeout(ctx, httpTimeout)
		defer cancel()
		_, _, _, err := p.api.UpdateMessageContext(ctx, card.Channel, card.TS, options...)
		return err
	})
	switch code := codeOf(err); {
	case err == nil:
		card.Version = r.Version
		stamp(card, time.Now())
		return 0, nil
	case code == "message_not_found" || code == "cant_update_message" || code == "edit_window_closed":
		p.log.Warn("the card is gone; posting it anew", "rollout", r.ID, "code", code)
		card.TS, card.Posting = "", false
		return time.Second, nil
	}
	if after, limited := retryAfter(err); limited {
		p.pause(ctx, after)
	}
	return pauseAfter(err), err
}

// rest is how long the card has to wait for its next update; 0: it may be made now, and is counted.
// Questions and ends go before progress, and what was not shown for long before what was.
func (p *poster) rest(ctx context.Context, card *state.Card, r rollout.Rollout) (time.Duration, error) {
	shown := time.Since(stamped(card))
	if rest := updateEvery - shown; rest > 0 {
		return rest, nil
	}
	reserve := 0
	switch {
	case firstOpen(r) != nil || r.End != nil:
	case shown < lately:
		reserve = keptForOthers
	default:
		reserve = keptForAsks
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	rest, err := p.budgets.Spend(ctx, updates(), reserve)
	if err != nil {
		return time.Second, err
	}
	return rest, nil
}

// pause keeps every replica from updating for as long as Slack has asked for.
func (p *poster) pause(ctx context.Context, after time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if err := p.budgets.Pause(ctx, updates(), after); err != nil {
		p.log.Warn("the others do not know that slack asked for a pause", "err", err)
	}
}

// stamp remembers when a card was changed last, for whichever replica changes it next.
func stamp(card *state.Card, at time.Time) {
	remember(card, "changed", strconv.FormatInt(at.UnixMilli(), 10))
}

func stamped(card *state.Card) time.Time { return timeOf(card, "changed") }

func remember(card *state.Card, key, value string) {
	if card.Extra == nil {
		card.Extra = map[string]string{}
	}
	card.Extra[key] = value
}

func timeOf(card *state.Card, key string) time.Time {
	milliseconds, err := strconv.ParseInt(card.Extra[key], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// pauseAfter is how long to leave a card alone after an error.
func pauseAfter(err error) time.Duration {
	if err == nil {
		return 0
	}
	if after, limited := retryAfter(err); limited {
		return after
	}
	if mayHaveHappened(err) && !errors.Is(err, errNoChannel) {
		return failPause
	}
	return hardPause
}
