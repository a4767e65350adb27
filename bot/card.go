package bot

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/slack-go/slack"

	"slipway/plan"
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
// then the steps; then the chart. classic leaves out the plan and chart blocks, which not every
// workspace takes. It is pure: now only tells a deadline that has passed from one that has not.
func Card(r rollout.Rollout, now time.Time, names Names, classic bool) Message {
	c := card{r: r, now: now, names: names, classic: classic}
	m := Message{Text: string(c.text())}
	for c.detail = fullDetail; ; c.detail-- {
		m.Blocks = c.blocks()
		if c.detail == leastDetail || fits(m.Blocks) {
			return m
		}
	}
}

// How much the steps say, so that a long plan fits into a message.
const (
	leastDetail = iota // one line a phase
	someDetail         // notes of steps that are under way or went wrong; no chart
	moreDetail         // the same, with the chart
	fullDetail         // every step's note
)

type card struct {
	r       rollout.Rollout
	now     time.Time
	names   Names
	classic bool
	detail  int
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
		if buttons := c.answers(ask); len(buttons) > 0 {
			blocks = append(blocks, slack.NewActionBlock(c.id("answers-"+ask.ID), buttons...))
		}
	}
	blocks = append(blocks, c.phases()...)
	if chart := c.chart(); chart != nil {
		blocks = append(blocks, chart)
	}
	if stop := c.abort(); stop != nil {
		blocks = append(blocks, slack.NewActionBlock(c.id("stop"), stop))
	}
	return append(blocks, c.context("foot", c.footer()))
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

// openAsks lists the questions without an answer; none once the plan is left.
func (c *card) openAsks() []rollout.Ask {
	var open []rollout.Ask
	for _, ask := range c.r.Asks {
		if ask.Answer == nil && c.r.Status != rollout.Ended && c.r.Stop == nil {
			open = append(open, ask)
		}
	}
	return open
}

// question says what is waited for, by whom, until when, and what happens then.
func (c *card) question(ask rollout.Ask) mrkdwn {
	return sentences(" ", c.asked(ask), c.deadline(ask))
}

func (c *card) asked(ask rollout.Ask) mrkdwn {
	if ask.Kind != rollout.AskApproval {
		return say("*%s* %s decides.", plain(ask.Question, 600), asked(c.r, ask, c.names))
	}
	text := say("*Waiting for approval* by %s", asked(c.r, ask, c.names))
	if !ask.Self {
		text += say(" (not %s, who started it)", mention(c.r.By.ID, c.r.By.Name))
	}
	if ask.Required > 1 {
		text += say(", %d of %d so far", len(ask.Votes), ask.Required)
	}
	return text + "."
}

func (c *card) deadline(ask rollout.Ask) mrkdwn {
	if !c.now.Before(ask.Deadline) {
		return "The time to answer is over."
	}
	return say("Until %s; without an answer %s.", clock(ask.Deadline), byDefault(c.r, ask))
}

// asked mentions who may answer.
func asked(r rollout.Rollout, ask rollout.Ask, names Names) mrkdwn {
	who := ask.Who
	if len(who) == 0 {
		who = r.Environment.Deployers
	}
	if len(who) == 0 {
		return mention(r.By.ID, r.By.Name)
	}
	return names.mentions(who)
}

func byDefault(r rollout.Rollout, ask rollout.Ask) string {
	switch {
	case ask.Default == rollout.VerbReject:
		return "it is rejected"
	case ask.Default == rollout.VerbRollback && trafficMoved(r):
		return "traffic goes back to " + old(r)
	}
	return "the rollout stops"
}

// trafficMoved reports whether the new revision may be serving: once a shift was tried, it counts.
func trafficMoved(r rollout.Rollout) bool {
	for _, phase := range r.Phases {
		for _, s := range phase.Steps {
			if t := s.Spec.Traffic; t != nil && t.To == plan.ToCandidate && s.Attempt > 0 {
				return true
			}
		}
	}
	return false
}

// underWay is what the running gate counts.
func (c *card) underWay() mrkdwn {
	s := lastGate(c.r, "")
	if s == nil || s.Status != rollout.StepRunning || c.r.Status == rollout.Ended {
		return ""
	}
	return say("%s: %s", plain(s.Spec.Name, 100), s.Note)
}

// result is how a rollout ended or why it is being left; "" while it is on its plan.
func (c *card) result() mrkdwn { return outcome(c.r) }

func outcome(r rollout.Rollout) mrkdwn {
	if r.End == nil {
		if r.Stop == nil {
			return ""
		}
		return escape(plain(r.Stop.Reason, 600))
	}
	found, reason := proof(r), r.End.Reason
	if found != "" && reason == evidenceNote(r) {
		reason = ""
	}
	took := say("It took %s.", rollout.Period(r.End.At.Sub(r.Created)))
	return sentences("\n", found, escape(plain(reason, 600)), whereTraffic(r), sentences(" ", approvals(r), took))
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

// whereTraffic says what serves after an end that is no success.
func whereTraffic(r rollout.Rollout) mrkdwn {
	switch {
	case r.End.Result == rollout.RolledBack:
		return say("All traffic is back on %s.", old(r))
	case r.End.Result == rollout.Succeeded:
		return ""
	case !trafficMoved(r):
		return say("No traffic was moved; %s serves as before.", old(r))
	}
	return say("%d%% of the traffic is on the new revision.", mostOnNew(r))
}

// mostOnNew is the share of traffic on the new revision; of several services, the largest.
func mostOnNew(r rollout.Rollout) int {
	most := 0
	for _, s := range r.Services {
		most = max(most, s.Percent)
	}
	return most
}

func (c *card) footer() mrkdwn {
	return say("Rollout %s · plan %s · `/deploy status %s`", c.r.ID, c.r.PlanName, c.r.Target.String())
}
