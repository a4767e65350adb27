package bot

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"slipway/rollout"
)

// Message is what is posted. Text says all that matters by itself: screen readers and notifications
// have nothing else (docs.slack.dev/reference/methods/chat.postMessage).
type Message struct {
	Text   string
	Blocks []slack.Block
}

// Slack's limits, with some room (docs.slack.dev/reference/block-kit/blocks). The size of all blocks
// together is not documented; msg_blocks_too_long was seen from about 13,200 bytes of JSON.
const (
	maxText    = 3000 // of a message; an update beyond 4,000 bytes is refused
	maxSection = 2900
	maxContext = 1900
	maxButton  = 72
	maxTitle   = 140
	maxBlocks  = 48
	maxSize    = 12_000
)

// Card renders a rollout: first what it is and how it stands, what is waited for and the buttons;
// then the steps; then the chart or the graph. It is pure: now only tells a deadline that has passed
// from one that has not.
func Card(r rollout.Rollout, now time.Time, names Names, look Look) Message {
	c := card{r: r, now: now, names: names, look: look}
	m := Message{Text: string(c.text())}
	for c.detail = fullDetail; ; c.detail-- {
		m.Blocks = c.blocks()
		if c.detail == leastDetail || fits(m.Blocks) {
			return m
		}
	}
}

// Look is how a card is shown in a workspace.
type Look struct {
	Classic bool   // without plan and chart blocks, which not every workspace takes
	Graph   string // ID of the uploaded file that is shown in place of the chart; "": the chart
}

// How much the steps say, so that a long plan fits into a message.
const (
	leastDetail = iota // one line a phase
	someDetail         // notes of steps that are under way or went wrong; no chart
	moreDetail         // the same, with the chart
	fullDetail         // every step's note
)

type card struct {
	r      rollout.Rollout
	now    time.Time
	names  Names
	look   Look
	detail int
}

func fits(blocks []slack.Block) bool {
	raw, err := json.Marshal(blocks)
	return err == nil && len(raw) <= maxSize && len(blocks) <= maxBlocks
}

// text is the card without blocks.
func (c *card) text() mrkdwn {
	parts := []mrkdwn{sentences(" · ", headline(c.r), origin(c.r)), c.result(), c.underWay()}
	for _, ask := range c.openAsks() {
		parts = append(parts, c.question(ask))
		if ask.Kind == rollout.AskApproval {
			parts = append(parts, c.facts())
		}
	}
	return cutMarkup(sentences("\n", parts...), maxText)
}

func (c *card) blocks() []slack.Block {
	blocks := []slack.Block{c.section("head", sentences("\n", headline(c.r), origin(c.r)))}
	if known := sentences("\n", c.result(), c.underWay()); known != "" {
		blocks = append(blocks, c.section("now", known))
	}
	for _, ask := range c.openAsks() {
		blocks = append(blocks, c.section("ask-"+ask.ID, c.question(ask)))
		if ask.Kind == rollout.AskApproval {
			blocks = append(blocks, c.section("facts-"+ask.ID, c.facts()))
		}
		if buttons := c.answers(ask); len(buttons) > 0 {
			blocks = append(blocks, slack.NewActionBlock(c.id("answers-"+ask.ID), buttons...))
		}
	}
	blocks = append(blocks, c.phases()...)
	if picture := c.picture(); picture != nil {
		blocks = append(blocks, picture)
	}
	return append(blocks, slack.NewActionBlock(c.id("controls"), c.controls()...), c.context("foot", c.footer()))
}

// id makes a block_id that is new with every version, so that clients draw the block anew.
func (c *card) id(name string) string { return fmt.Sprintf("%s-v%d", name, c.r.Version) }

func (c *card) section(name string, text mrkdwn) slack.Block {
	return slack.NewSectionBlock(markupObject(text, maxSection), nil, nil, slack.SectionBlockOptionBlockID(c.id(name)))
}

func (c *card) context(name string, text mrkdwn) slack.Block {
	return slack.NewContextBlock(c.id(name), markupObject(text, maxContext))
}

func markupObject(text mrkdwn, most int) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, string(cutMarkup(text, most)), false, false)
}

func plainObject(text string, most int) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, plain(text, most), false, false)
}

// underWay is what the running gates count.
func (c *card) underWay() mrkdwn {
	if c.r.Status == rollout.Ended || c.r.Stop != nil {
		return ""
	}
	var lines []mrkdwn
	for _, s := range []*rollout.Step{lastGate(c.r, ""), lastLatency(c.r, "")} {
		if s != nil && s.Status == rollout.StepRunning {
			lines = append(lines, say("%s: %s", plain(s.Spec.Name, 100), s.Note))
		}
	}
	return sentences("\n", lines...)
}

// result is how a rollout ended or why it is being left; "" while it is on its plan.
func (c *card) result() mrkdwn { return outcome(c.r) }

func outcome(r rollout.Rollout) mrkdwn {
	if r.End == nil {
		if r.Stop == nil {
			return reasonGiven(r)
		}
		return escape(short(r.Stop.Reason, 600))
	}
	found, reason := proof(r), r.End.Reason
	if found != "" {
		reason = strings.TrimSpace(strings.TrimPrefix(reason, evidenceNote(r)))
	}
	took := say("It took %s.", rollout.Period(r.End.At.Sub(r.Created)))
	if r.FailedLate() {
		found = sentences("\n", provisional(r), say("When it was deployed: %s", found))
	} else {
		found = sentences("\n", found, provisional(r))
	}
	return sentences("\n", found, escape(short(reason, 600)), whereTraffic(r), remains(r), reasonGiven(r), lockLeft(r),
		sentences(" ", approvals(r), took))
}

// remains names what a rollout that did not succeed has changed for good.
func remains(r rollout.Rollout) mrkdwn {
	name := r.Unsafe()
	if name == "" || r.End.Result == rollout.Succeeded {
		return ""
	}
	return say("'%s' ran and is not undone.", plain(name, 150))
}

// evidenceNote is the note of the step that the plan was left for, which a gate's own sentence repeats.
func evidenceNote(r rollout.Rollout) string {
	if r.Stop == nil {
		return ""
	}
	if s, _ := r.Step(r.Stop.Step); s != nil && s.Gate != nil {
		return s.Note
	}
	return ""
}

func (c *card) footer() mrkdwn {
	var of mrkdwn
	if c.r.PlanName != "" {
		of = say("plan %s", c.r.PlanName)
	}
	return sentences(" · ", say("Rollout %s", c.r.ID), of, say("`/deploy status %s`", c.r.Target.String()))
}
