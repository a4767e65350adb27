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
	pictures  *pictures
	log       *slog.Logger
}

// graphTime is how long an answer may wait for its graph.
const graphTime = 8 * time.Second

// answer goes to where the envelope came from: by its response_url, or by the Web API when there is
// none, or when it fails. Only the person sees it unless it is public. What Slack does not take of it
// is sent in the next simpler form: a graph as a chart, a chart as a row of numbers.
func (s *speaker) answer(ctx context.Context, e Envelope, reply commands.Reply) {
	text := expand(reply.Text, func(handle string) mrkdwn { return mrkdwn(s.directory.Mention(ctx, handle)) })
	forms := []Message{answered(text, reply.Chart, false)}
	if reply.Chart != nil {
		forms = append(s.graphed(ctx, e, text, *reply.Chart), forms[0], answered(text, reply.Chart, true))
	}
	if reply.Queue != "" && len(reply.Queue) < maxValue {
		forms = append([]Message{offering(text, reply.Queue)}, forms...)
	}
	for i, form := range forms {
		err := s.deliver(ctx, e, reply.Public, form)
		if refusedBlocks(err) && i+1 < len(forms) {
			s.log.Warn("slack does not take an answer; sending a simpler one", "envelope", e.ID, "reason", details(err))
			continue
		}
		if err != nil {
			s.log.Error("an answer was not delivered", "envelope", e.ID, "actor", e.Actor.ID, "err", err)
		}
		return
	}
}

// answerTries is how often an answer's graph is uploaded; a card's has time for more.
const answerTries = 2

// graphed is a reply with its graph as an uploaded picture; nothing if there is none in time.
func (s *speaker) graphed(ctx context.Context, e Envelope, text mrkdwn, c commands.Chart) []Message {
	g, ok := graphOfChart(c)
	if !ok || s.pictures.denied.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, graphTime)
	defer cancel()
	file, err := s.pictures.upload(ctx, g, plain(c.Alt, maxAlt))
	for tries := 1; err != nil && tries < answerTries && s.pictures.again(ctx, err); tries++ {
		s.log.Warn("an answer's graph is uploaded again", "envelope", e.ID, "err", err)
		file, err = s.pictures.upload(ctx, g, plain(c.Alt, maxAlt))
	}
	if err != nil {
		if s.pictures.hopeless(err); !s.pictures.denied.Load() {
			s.log.Warn("an answer goes without its graph", "envelope", e.ID, "err", err)
		}
		return nil
	}
	return []Message{{
		Text: string(cutMarkup(sentences("\n", text, unsaid(text, c.Alt)), maxText)),
		Blocks: []slack.Block{
			slack.NewSectionBlock(markupObject(text, maxSection), nil, nil),
			imageBlock(file, "", g.Title, plain(c.Alt, maxAlt)),
		},
	}}
}

// unsaid is what a chart's description adds to a reply's text, which may be the same.
func unsaid(text mrkdwn, alt string) mrkdwn {
	if said := escape(alt); said != text {
		return said
	}
	return ""
}

// answered renders a reply. The blocks are only for a chart; in classic, and for a chart that cannot
// be drawn, the numbers stand in the text.
func answered(text mrkdwn, chart *commands.Chart, classic bool) Message {
	if chart == nil {
		return Message{Text: string(cutMarkup(text, maxText))}
	}
	block := plot(*chart)
	if classic || block.Validate() != nil {
		return Message{Text: string(cutMarkup(sentences("\n", text, numbers(*chart), unsaid(text, chart.Alt)), maxText))}
	}
	blocks := []slack.Block{slack.NewSectionBlock(markupObject(text, maxSection), nil, nil), block}
	if alt := unsaid(text, chart.Alt); alt != "" {
		blocks = append(blocks, slack.NewContextBlock("", markupObject(alt, maxContext)))
	}
	return Message{Text: string(cutMarkup(sentences("\n", text, unsaid(text, chart.Alt)), maxText)), Blocks: blocks}
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
