package bot

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/rollout"
)

// speaker answers people.
type speaker struct {
	api       *slack.Client
	directory *Directory
	log       *slog.Logger
}

// answer goes to where the envelope came from: by its response_url, or by the Web API when there is
// none, or when it fails. Only the person sees it unless it is public. A chart that Slack does not
// take is sent as a row of numbers.
func (s *speaker) answer(ctx context.Context, e Envelope, reply commands.Reply) {
	text := expand(reply.Text, func(handle string) mrkdwn { return mrkdwn(s.directory.Mention(ctx, handle)) })
	err := s.deliver(ctx, e, reply.Public, answered(text, reply.Chart, false))
	if refusedBlocks(err) {
		s.log.Warn("slack does not take a chart; sending its numbers", "envelope", e.ID, "reason", details(err))
		err = s.deliver(ctx, e, reply.Public, answered(text, reply.Chart, true))
	}
	if err != nil {
		s.log.Error("an answer was not delivered", "envelope", e.ID, "actor", e.Actor.ID, "err", err)
	}
}

// answered renders a reply. The blocks are only for a chart; in classic, and for a chart that cannot
// be drawn, the numbers stand in the text.
func answered(text mrkdwn, chart *commands.Chart, classic bool) Message {
	if chart == nil {
		return Message{Text: string(cutMarkup(text, maxText))}
	}
	block := plot(*chart)
	if classic || block.Validate() != nil {
		return Message{Text: string(cutMarkup(sentences("\n", text, numbers(*chart), escape(chart.Alt)), maxText))}
	}
	return Message{
		Text: string(cutMarkup(sentences("\n", text, escape(chart.Alt)), maxText)),
		Blocks: []slack.Block{
			slack.NewSectionBlock(markupObject(text, maxSection), nil, nil),
			block,
			slack.NewContextBlock("", markupObject(escape(chart.Alt), maxContext)),
		},
	}
}

// plot draws a reply's chart. It is not valid if the chart is not as it has to be.
func plot(chart commands.Chart) *slack.DataVisualizationBlock {
	var series []slack.DataVisualizationDataSeries
	for _, s := range chart.Series {
		if len(s.Values) == len(chart.Labels) {
			series = append(series, slack.NewDataVisualizationDataSeries(s.Name, along(chart.Labels, s.Values)...))
		}
	}
	return drawn(plain(chart.Title, 50), chart.Labels, series)
}

// numbers is a reply's chart as a line of text.
func numbers(chart commands.Chart) mrkdwn {
	var rows []string
	for _, s := range chart.Series {
		values := make([]string, len(s.Values))
		for i, v := range s.Values {
			values[i] = rollout.Trimmed(v, 1)
		}
		rows = append(rows, fmt.Sprintf("%s %s", s.Name, strings.Join(values, " ")))
	}
	return say("%s: %s", chart.Title, strings.Join(rows, " · "))
}

func (s *speaker) deliver(ctx context.Context, e Envelope, public bool, m Message) error {
	options := []slack.MsgOption{
		slack.MsgOptionText(m.Text, false), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
	if len(m.Blocks) > 0 {
		options = append(options, slack.MsgOptionBlocks(m.Blocks...))
	}
	if e.fresh(time.Now()) {
		err := s.respond(ctx, e, public, options)
		if err == nil || refusedBlocks(err) || mayHaveHappened(err) && public {
			return err
		}
		s.log.Warn("an answer by response_url failed", "envelope", e.ID, "err", err)
	}
	if e.Thread != "" {
		options = append(options, slack.MsgOptionTS(e.Thread))
	}
	return s.post(ctx, e, public, options)
}

func (s *speaker) respond(ctx context.Context, e Envelope, public bool, options []slack.MsgOption) error {
	kind := slack.ResponseTypeEphemeral
	if public {
		kind = slack.ResponseTypeInChannel
	}
	return patiently(ctx, func(ctx context.Context) error {
		_, _, err := s.api.PostMessageContext(ctx, e.Channel.ID, append(options, slack.MsgOptionResponseURL(e.ResponseURL, kind))...)
		return err
	})
}

func (s *speaker) post(ctx context.Context, e Envelope, public bool, options []slack.MsgOption) error {
	return patiently(ctx, func(ctx context.Context) error {
		if public {
			_, _, err := s.api.PostMessageContext(ctx, e.Channel.ID, options...)
			return err
		}
		_, err := s.api.PostEphemeralContext(ctx, e.Channel.ID, e.Actor.ID, options...)
		return err
	})
}
