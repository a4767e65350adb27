// Package play acts a scenario out in a workspace, as the people of its team would, and prints the
// channel as text while it changes.
package play

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/workspace"
)

// Player watches one channel and acts in it.
type Player struct {
	world   *workspace.Workspace
	out     io.Writer
	channel string
	names   names
	seen    map[string]seen
	began   time.Time
}

// seen is what of a message was printed, and the last chart that was in it.
type seen struct {
	lines []string
	edits int
	chart block
}

// New returns a player for a channel, by its name.
func New(w *workspace.Workspace, channel string, out io.Writer) *Player {
	return &Player{world: w, out: out, channel: channel, names: w.Names(), seen: map[string]seen{}, began: time.Now()}
}

// Command types a slash command as a user, and says so.
func (p *Player) Command(ctx context.Context, user, command string) error {
	p.say(user, command)
	name, text, _ := strings.Cut(command, " ")
	_, err := p.world.Slack.Command(ctx, fakeslack.CommandRequest{User: user, Channel: p.channel, Command: name, Text: text})
	return err
}

// Click presses the button with the action on the newest message that has it.
func (p *Player) Click(ctx context.Context, user, action string) error {
	for _, m := range slices.Backward(p.world.Slack.Messages(p.channel)) {
		if label, ok := button(m, action); ok {
			p.say(user, "clicks ["+label+"]")
			_, err := p.world.Slack.Click(ctx, fakeslack.ClickRequest{User: user, Channel: p.channel, TS: m.TS, ActionID: action})
			return err
		}
	}
	return fmt.Errorf("no message in #%s has the button %q", p.channel, action)
}

// button finds the label of a message's button by its action.
func button(m fakeslack.Message, action string) (label string, ok bool) {
	var blocks []struct {
		Elements []struct {
			ActionID string `json:"action_id"`
			Text     json.RawMessage
		} `json:"elements"`
	}
	if m.Deleted || !bytes.Contains(m.Blocks, []byte(action)) || json.Unmarshal(m.Blocks, &blocks) != nil {
		return "", false
	}
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e.ActionID == action {
				return element{Text: e.Text}.text(), true
			}
		}
	}
	return "", false
}

// Until prints what changes until the condition holds for the channel's messages, or ctx ends.
func (p *Player) Until(ctx context.Context, what string, holds func([]fakeslack.Message) bool) error {
	return p.until(ctx, what, func() bool { return holds(p.world.Slack.Messages(p.channel)) })
}

// until prints what changes in the channel until the condition holds, which may be about the cloud too.
func (p *Player) until(ctx context.Context, what string, holds func() bool) error {
	for {
		slack, cloud := p.world.Slack.Changed(), p.world.Cloud.Changed()
		for _, m := range p.world.Slack.Messages(p.channel) {
			p.show(m)
		}
		if holds() {
			return nil
		}
		select {
		case <-slack:
		case <-cloud:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s: %w", what, context.Cause(ctx))
		}
	}
}

// show prints a message that is new, or the lines of it that an edit changed.
func (p *Player) show(m fakeslack.Message) {
	before, known := p.seen[m.TS]
	if known && len(m.Edits) == before.edits {
		return
	}
	chart := lastChart(m, before.chart)
	lines := p.names.lines(m, chart)
	p.seen[m.TS] = seen{lines: lines, edits: len(m.Edits), chart: chart}
	if known {
		p.print("", "", news(before.lines, lines))
		return
	}
	who := p.names.plain("<@" + m.User + ">")
	switch {
	case m.EphemeralTo != "":
		who += " (only " + p.names.plain("<@"+m.EphemeralTo+">") + " sees this)"
	case m.ThreadTS != "":
		who += " (in the thread)"
	}
	p.print(strings.TrimPrefix(who, "@"), "", lines)
}

// lastChart is a message's chart; what it showed before, if it has none any more.
func lastChart(m fakeslack.Message, before block) block {
	for _, b := range blocks(m) {
		if b.Type == visualization {
			return b
		}
	}
	return before
}

// news are the lines of after that were not in before, with the title of their phase left out.
func news(before, after []string) []string {
	var lines []string
	for _, l := range after {
		if l != "" && !slices.Contains(before, l) {
			lines = append(lines, l)
		}
	}
	return lines
}

func (p *Player) say(user, what string) { p.print(user, what, nil) }

// print writes one utterance: a clock, who, and the lines indented below or behind it.
func (p *Player) print(who, what string, lines []string) {
	clock := time.Since(p.began).Round(time.Second)
	stamp := fmt.Sprintf("%d:%02d", int(clock.Minutes()), int(clock.Seconds())%60)
	switch {
	case who != "" && what != "":
		fmt.Fprintf(p.out, "\n%s  %s  %s\n", stamp, who, what)
	case who != "":
		fmt.Fprintf(p.out, "\n%s  %s\n", stamp, who)
	}
	for i, l := range lines {
		if who == "" && i == 0 {
			fmt.Fprintf(p.out, "%s  %s\n", stamp, l)
			continue
		}
		fmt.Fprintf(p.out, "%s  %s\n", strings.Repeat(" ", len(stamp)), l)
	}
}
