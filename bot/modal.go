package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"slipway/commands"
)

// triggerLife is how long after a click or a command Slack lets the app open a window
// (docs.slack.dev/interactivity/handling-user-interaction#modal_responses).
const triggerLife = 3 * time.Second

// open shows a reply's form or window. false says that the person has to be told by other means: the
// reply has neither, what was done has no trigger, as mentions have none, or Slack did not take it.
func (s *speaker) open(ctx context.Context, e Envelope, reply commands.Reply) bool {
	if e.TriggerID == "" || reply.Form == nil && reply.Window == nil {
		return false
	}
	left := triggerLife - time.Since(e.At)
	if left <= 0 {
		s.log.Warn("a window came too late to be opened", "envelope", e.ID, "actor", e.Actor.ID)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	view := s.modal(ctx, e, reply)
	if _, err := s.api.OpenViewContext(ctx, e.TriggerID, view); err != nil {
		s.log.Warn("a window was not opened", "envelope", e.ID, "actor", e.Actor.ID, "err", err, "reason", details(err))
		return false
	}
	return true
}

func (s *speaker) modal(ctx context.Context, e Envelope, reply commands.Reply) slack.ModalViewRequest {
	if reply.Form != nil {
		return formView(*reply.Form, originOf(e))
	}
	return windowView(*reply.Window, s.write(ctx))
}

// maxModalTitle is Slack's limit for a modal's title and buttons (docs.slack.dev/reference/views).
const maxModalTitle = 24

// windowView renders long text: a section for each paragraph, and preformatted what is shown as it is.
func windowView(w commands.Window, write func(string) mrkdwn) slack.ModalViewRequest {
	var blocks []slack.Block
	for i, p := range w.Parts {
		part := paragraph(i+1, p, write)
		if len(blocks)+len(part) >= maxView || sizeOf(blocks)+sizeOf(part) > maxViewSize {
			rest := say("%d more do not fit here; Slipway's log has them.", len(w.Parts)-i)
			blocks = append(blocks, slack.NewContextBlock("rest", markupObject(rest, maxContext)))
			break
		}
		blocks = append(blocks, part...)
	}
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: plainObject(w.Title, maxModalTitle), Close: plainObject("Close", maxModalTitle),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
}

func paragraph(number int, p commands.Paragraph, write func(string) mrkdwn) []slack.Block {
	text := slack.NewSectionBlock(markupObject(write(p.Text), maxSection), nil, nil,
		slack.SectionBlockOptionBlockID(fmt.Sprintf("part-%d", number)))
	if p.Verbatim == "" {
		return []slack.Block{text}
	}
	return []slack.Block{text, preformatted(fmt.Sprintf("verbatim-%d", number), p.Verbatim)}
}

// preformatted shows text as it is; nothing in it is markup.
func preformatted(id, text string) slack.Block {
	return slack.NewRichTextBlock(id, &slack.RichTextPreformatted{
		Type:     slack.RTEPreformatted,
		Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(cut(text, 4*maxSection), nil)},
	})
}

// whisper tells one person something that belongs to no message: where their form was opened, or in
// the direct messages if that is no channel or Slack does not take it there.
func (s *speaker) whisper(ctx context.Context, e Envelope, text string) {
	if text == "" {
		return
	}
	options := []slack.MsgOption{
		slack.MsgOptionText(string(cutMarkup(s.write(ctx)(text), maxText)), false),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
	if e.Channel.ID != "" {
		err := s.post(ctx, e, false, options)
		if err == nil {
			return
		}
		s.log.Warn("an answer was not delivered to the channel; sending it directly", "envelope", e.ID, "actor", e.Actor.ID, "err", err)
	}
	err := patiently(ctx, func(ctx context.Context) error {
		_, _, err := s.api.PostMessageContext(ctx, e.Actor.ID, options...)
		return err
	})
	if err != nil {
		s.log.Error("an answer was not delivered", "envelope", e.ID, "actor", e.Actor.ID, "err", err)
	}
}
