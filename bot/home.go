package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/rollout"
)

// The Home tab's own buttons. Those about a rollout are the card's.
const (
	actionForm    = "deploy" // its value is the target to begin with
	actionRefresh = "refresh"
)

// parseHome: docs.slack.dev/reference/events/app_home_opened.
func parseHome(payload []byte, at time.Time) (Envelope, error) {
	var p struct {
		EventID string `json:"event_id"`
		Event   struct {
			User    string `json:"user"`
			Channel string `json:"channel"`
			Tab     string `json:"tab"`
		} `json:"event"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return Envelope{}, fmt.Errorf("event: %w", err)
	}
	switch {
	case p.Event.Tab != "home":
		return Envelope{}, fmt.Errorf("%w: tab %q of the app's Home", errIgnored, cut(p.Event.Tab, 40))
	case p.EventID == "":
		return Envelope{}, errors.New("event without event_id")
	}
	return checked(Envelope{
		ID: "event/" + p.EventID, Kind: KindHome, Home: true, At: at,
		Actor: rollout.Actor{ID: p.Event.User, Name: p.Event.User}, Channel: Channel{ID: p.Event.Channel},
	})
}

// refresh publishes the Home anew after something was done on it, with the reply on top unless the
// person has a window open instead.
func (w *worker) refresh(ctx context.Context, e Envelope, reply commands.Reply, opened bool) {
	notice, home := reply.Text, reply.Home
	if e.Kind == KindForm { // whoever has gone on to something else by now is told as well
		w.speaker.whisper(ctx, e, notice)
	}
	if opened {
		notice = ""
	}
	if home == nil && e.Kind == KindHome {
		home, notice = &commands.Home{Trouble: reply.Text}, ""
	}
	if home == nil {
		now := w.safely(ctx, commands.Request{ID: e.ID + "/home", Actor: e.Actor, Show: commands.ShowHome, At: time.Now()})
		if home = now.Home; home == nil {
			home = &commands.Home{Trouble: now.Text}
		}
	}
	w.speaker.home(ctx, e, *home, notice)
}

// home publishes a person's Home tab. If Slack does not take it, what was to be said there is said in
// the direct messages.
func (s *speaker) home(ctx context.Context, e Envelope, home commands.Home, notice string) {
	now := time.Now()
	view := homeView(home, notice, now, s.write(ctx), s.channelLink(ctx))
	err := patiently(ctx, func(ctx context.Context) error {
		_, err := s.api.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: e.Actor.ID, View: view})
		return err
	})
	if err == nil {
		return
	}
	s.log.Error("a Home tab was not published", "envelope", e.ID, "actor", e.Actor.ID, "err", err, "reason", details(err))
	if e.Kind != KindForm {
		s.whisper(ctx, e, notice)
	}
}

// write turns Reply's notation into markup.
func (s *speaker) write(ctx context.Context) func(string) mrkdwn {
	return func(text string) mrkdwn {
		return expand(text, func(handle string) mrkdwn { return mrkdwn(s.directory.Mention(ctx, handle)) })
	}
}

// channelLink makes links to channels; one that cannot be looked up now is only named.
func (s *speaker) channelLink(ctx context.Context) func(string) mrkdwn {
	return func(channel string) mrkdwn {
		id, err := s.directory.Channel(ctx, channel)
		if err != nil {
			return say("#%s", strings.TrimPrefix(channel, "#"))
		}
		return mrkdwn("<#" + id + ">")
	}
}

// Slack's limits for Home tabs and modals, with some room (docs.slack.dev/surfaces/app-home,
// docs.slack.dev/reference/methods/views.open: view_too_large).
const (
	maxView     = 98      // blocks
	maxViewSize = 200_000 // bytes of JSON
)

// sizeOf is how much of a view's room blocks take.
func sizeOf(blocks []slack.Block) int {
	raw, err := json.Marshal(blocks)
	if err != nil {
		return maxViewSize + 1
	}
	return len(raw)
}

// homeView renders a Home tab. It is pure.
func homeView(home commands.Home, notice string, now time.Time, write, channel func(string) mrkdwn) slack.HomeTabViewRequest {
	p := &page{now: now, write: write, channel: channel}
	p.text(notice)
	p.text(home.Trouble)
	p.add(slack.NewActionBlock(p.id(), p.formButton("", true), p.button(actionRefresh, "", "Refresh")))
	if len(home.Failing) > 0 {
		p.header("Open incidents")
		for _, text := range home.Failing {
			p.text(text)
		}
	}
	if len(home.Waiting) > 0 {
		p.header("Waiting for you")
		for _, item := range home.Waiting {
			p.item(item, "The buttons are on its card")
		}
	}
	left := home.More
	for _, place := range home.Places {
		before := p.blocks
		if p.place(place); len(p.blocks) >= maxView || sizeOf(p.blocks) > maxViewSize {
			p.blocks = before
			left++
		}
	}
	p.foot(left)
	return slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: p.blocks}}
}

// page is a Home tab that is being written.
type page struct {
	now     time.Time
	write   func(string) mrkdwn // of Reply's notation
	channel func(string) mrkdwn // a link to a channel
	blocks  []slack.Block
}

// foot says how old the page is, and how many environments are not on it.
func (p *page) foot(left int) {
	var more mrkdwn
	if left > 0 {
		more = say("%s more: `/deploy status` shows what rolls out there.", rollout.Counted(int64(left), "environment"))
	}
	text := sentences(" ", more, say("As of %s. `/deploy help` lists the commands.", clock(p.now)))
	p.add(slack.NewContextBlock(p.id(), markupObject(text, maxContext)))
}

func (p *page) place(place commands.Place) {
	p.header(place.Environment)
	if len(place.Running) == 0 {
		p.add(slack.NewSectionBlock(markupObject("Nothing is rolling out.", maxSection), nil,
			slack.NewAccessory(p.formButton(place.Environment, false)), slack.SectionBlockOptionBlockID(p.id())))
	}
	for _, item := range place.Running {
		p.item(item, "Its card is")
	}
	for _, lock := range place.Locks {
		p.text("🔒 " + lock)
	}
	if len(place.Ended) > 0 {
		p.add(slack.NewContextBlock(p.id(), markupObject(p.write(strings.Join(place.Ended, "\n")), maxContext)))
	}
}

// item is a sentence about a rollout with its Details; card introduces where its card is.
func (p *page) item(item commands.Item, card string) {
	text := p.write(item.Text)
	if item.Rollout == "" {
		p.section(text, nil)
		return
	}
	if item.Channel != "" {
		text = sentences(" ", text, say("%s in %s.", card, p.channel(item.Channel)))
	}
	value := buttonValue(rollout.Rollout{ID: item.Rollout, Version: item.Version}, "")
	p.section(text, slack.NewAccessory(p.button(string(commands.VerbDetails), value, "Details")))
}

// formButton opens the form. The dots say that nothing is started yet.
func (p *page) formButton(target string, primary bool) *slack.ButtonBlockElement {
	b := p.button(actionForm, target, "Deploy…")
	if primary {
		b.Style = slack.StylePrimary
	}
	return b
}

func (p *page) button(action, value, label string) *slack.ButtonBlockElement {
	return slack.NewButtonBlockElement(action, value, plainObject(label, maxButton))
}

func (p *page) text(text string) {
	if text != "" {
		p.section(p.write(text), nil)
	}
}

func (p *page) header(text string) {
	p.add(slack.NewHeaderBlock(plainObject(text, maxTitle), slack.HeaderBlockOptionBlockID(p.id())))
}

func (p *page) section(text mrkdwn, accessory *slack.Accessory) {
	p.add(slack.NewSectionBlock(markupObject(text, maxSection), nil, accessory, slack.SectionBlockOptionBlockID(p.id())))
}

func (p *page) add(b slack.Block) { p.blocks = append(p.blocks, b) }

// id makes a block_id that is new each time, so that clients draw the block anew.
func (p *page) id() string {
	return "home-" + strconv.FormatInt(p.now.UnixMilli(), 10) + "-" + strconv.Itoa(len(p.blocks))
}
