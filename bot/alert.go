package bot

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"slipway/incident"
	"slipway/plan"
)

// Alert renders the message of an incident: first the headline, how it stands, the errors and what can be done
// about it; then the graph and examples. It is pure: c.Now only tells today from other days.
func Alert(c incident.Case, names Names, look AlertLook) Message {
	a := newAlert(c, names, look)
	m := Message{Text: string(a.text())}
	for m.Blocks = a.blocks(); !fits(m.Blocks) && a.less(); {
		m.Blocks = a.blocks()
	}
	a.version = digestOf(m)[:8]
	m.Blocks = a.blocks()
	return m
}

// AlertLook is how an incident's message is shown.
type AlertLook struct {
	Graph string // ID of the uploaded file; "": there is none
	Site  string // where Slack's pages are, for links to messages: https://slack.com
}

const (
	mostGroups   = 3  // of errors
	mostServices = 10 // that are shown with how each of them stands
	mostHeadline = 600
)

// digestOf changes whenever something that people see does. Before it is part of the block_ids, it is what
// makes them new.
func digestOf(m Message) string {
	raw, err := json.Marshal(m)
	if err != nil {
		raw = []byte(m.Text)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

type alert struct {
	incident.Case
	of       []incident.Incident // the gravest in front
	targets  []plan.Target       // their services, in the same order
	names    Names
	look     AlertLook
	headline incident.Headline
	version  string // of what is shown; part of the block_ids
	examples int    // how many groups have one
	services int    // how many are shown
}

func newAlert(c incident.Case, names Names, look AlertLook) *alert {
	a := &alert{Case: c, of: slices.Clone(c.Incidents), names: names, look: look, examples: mostGroups, services: mostServices}
	incident.Gravest(a.of)
	for _, i := range a.of {
		if !slices.Contains(a.targets, i.Key.Target) {
			a.targets = append(a.targets, i.Key.Target)
		}
	}
	if len(a.of) > 0 {
		a.headline = incident.HeadlineOf(a.of)
	}
	return a
}

// less leaves something out, examples first; false if nothing can be.
func (a *alert) less() bool {
	switch {
	case a.examples > 0:
		a.examples--
	case a.services > 1:
		a.services--
	default:
		return false
	}
	return true
}

// text is the message without blocks: its first line is what a lock screen shows.
func (a *alert) text() mrkdwn {
	parts := []mrkdwn{sentences(" ", cutMarkup(escape(a.line()), mostHeadline), a.called())}
	for _, t := range a.targets {
		parts = append(parts, a.service(t))
	}
	for _, g := range a.groups() {
		parts = append(parts, a.group(g))
	}
	return cutMarkup(sentences("\n", append(parts, a.notes())...), maxText)
}

// blocks are in the order of a hurry: how it stands and what the error is, what can be done, and then what one
// looks at next. Of several services people learn what can be done first, for the list of them is long.
func (a *alert) blocks() []slack.Block {
	head := sentences("\n", say("*%s*", cutMarkup(headlineIn(a.headline, a.Now), mostHeadline)), a.called())
	blocks := []slack.Block{a.section("head", head)}
	if len(a.targets) > 1 {
		blocks = append(blocks, a.controls()...)
	}
	for n, t := range a.targets {
		if n == a.services {
			blocks = append(blocks, a.context("more", say("%d more services: `/deploy incidents`", len(a.targets)-n)))
			break
		}
		blocks = append(blocks, a.serviceBlocks(n, t)...)
	}
	var groups []mrkdwn
	for _, g := range a.groups() {
		groups = append(groups, a.group(g))
	}
	if len(groups) > 0 {
		blocks = append(blocks, a.section("groups", sentences("\n", groups...)))
	}
	if len(a.targets) <= 1 {
		blocks = append(blocks, a.controls()...)
	}
	return append(blocks, a.more()...)
}

// more is what is looked at once it is known what failed: the graph, an example of each error, and notes.
func (a *alert) more() []slack.Block {
	var blocks []slack.Block
	if _, alt, ok := alertGraph(a); ok && a.look.Graph != "" {
		blocks = append(blocks, imageBlock(a.look.Graph, a.id("graph"), a.share()+" over time", alt))
	}
	for n, g := range a.groups() {
		if n < a.examples && g.Example != g.Title {
			blocks = append(blocks, a.code(fmt.Sprintf("example-%d", n), g.Example)...)
		}
	}
	if notes := a.notes(); notes != "" {
		blocks = append(blocks, a.context("notes", notes))
	}
	return append(blocks, a.context("foot", say("Incident %s · `/deploy incidents`", a.Thread.ID)))
}

func (a *alert) id(name string) string { return name + "-" + cmp.Or(a.version, "0") }

func (a *alert) section(name string, text mrkdwn) *slack.SectionBlock {
	return slack.NewSectionBlock(markupObject(text, maxSection), nil, nil, slack.SectionBlockOptionBlockID(a.id(name)))
}

func (a *alert) context(name string, text mrkdwn) slack.Block {
	return slack.NewContextBlock(a.id(name), markupObject(text, maxContext))
}

// code shows foreign text as it is: rich text has no markup, so nothing in it can mention anybody or end the
// block (docs.slack.dev/reference/block-kit/blocks/rich-text-block).
func (a *alert) code(name, text string) []slack.Block {
	if text = excerpt(text); text == "" {
		return nil
	}
	code := &slack.RichTextPreformatted{
		Type: slack.RTEPreformatted, Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(text, nil)},
	}
	return []slack.Block{slack.NewRichTextBlock(a.id(name), code)}
}

// serviceBlocks are how a service stands, an example where there is no group to show one, and, when others
// fail too, its own way back.
func (a *alert) serviceBlocks(n int, t plan.Target) []slack.Block {
	section := a.section(fmt.Sprintf("service-%d", n), a.service(t))
	if len(a.targets) > 1 && slices.Contains(a.returning(), t) {
		section.Accessory = slack.NewAccessory(a.back(t))
	}
	blocks := []slack.Block{section}
	for _, i := range a.in(t) {
		if (i.Key.Kind == incident.LogMatches || i.Key.Kind == incident.CrashOnStart) && n < a.examples {
			return append(blocks, a.code(fmt.Sprintf("line-%d", n), i.Example)...)
		}
	}
	return blocks
}

// in are the incidents of a service.
func (a *alert) in(t plan.Target) []incident.Incident {
	return slices.DeleteFunc(slices.Clone(a.of), func(i incident.Incident) bool { return i.Key.Target != t })
}

func (a *alert) over() bool {
	return !slices.ContainsFunc(a.of, func(i incident.Incident) bool { return i.State != incident.Resolved })
}

// end is when the last of it was resolved; zero: nothing is.
func (a *alert) end() (end time.Time) {
	for _, i := range a.of {
		end = latestOf(end, i.Resolved)
	}
	return end
}

// groups are the errors that there are most of.
func (a *alert) groups() []incident.Group {
	var list []incident.Group
	for _, i := range a.of {
		for _, g := range i.Groups {
			if !slices.ContainsFunc(list, func(other incident.Group) bool { return other.Key == g.Key }) {
				list = append(list, g)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b incident.Group) int { return cmp.Compare(b.Count, a.Count) })
	return list[:min(len(list), mostGroups)]
}

// line is the headline where its times may not be shown in the reader's own zone: on a lock screen.
func (a *alert) line() string { return a.headline.At(a.Now.UTC()) }

// headlineIn is a headline with its times in the reader's zone.
func headlineIn(h incident.Headline, now time.Time) mrkdwn {
	if h.Until.IsZero() {
		return say("%s since %s%s", h.Fault, moment(h.Since, now), h.Rest)
	}
	return say("%s %s–%s%s", h.Fault, moment(h.Since, now), moment(h.Until, now), h.Rest)
}

// moment is a time of day, with the day where it is long ago.
func moment(at, now time.Time) mrkdwn {
	if now.Sub(at) > 12*time.Hour {
		return date(at, "{date_short_pretty} {time}")
	}
	return clock(at)
}

const (
	mostLines = 6 // of an example
	longLine  = 160
)

// excerpt is the beginning and the end of an example, which say what failed and where.
func excerpt(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) > mostLines {
		lines = slices.Concat(lines[:mostLines/2], []string{"…"}, lines[len(lines)-mostLines/2:])
	}
	for n, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		lines[n] = cut(strings.ReplaceAll(indent, "\t", "  "), 16) + plain(line, longLine)
	}
	return strings.Join(lines, "\n")
}

var messageTS = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

// linkTo is where a message is shown; "" if it is not known where it is.
func linkTo(site, channel, ts string) string {
	if !channelID.MatchString(channel) || !messageTS.MatchString(ts) {
		return ""
	}
	return site + "/archives/" + channel + "/p" + strings.Replace(ts, ".", "", 1)
}
