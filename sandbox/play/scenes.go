package play

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/workspace"
)

// longest is how long a scene may take before it counts as stuck.
const longest = 10 * time.Minute

// Act plays the scenario with the name. The error says how it ended otherwise than it should.
func (p *Player) Act(ctx context.Context, scenario string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, errors.New("the scene takes too long"))
	defer cancel()
	if scenario == "ssot" {
		return p.ssot(ctx)
	}
	return fmt.Errorf("there is no scene for the scenario %q", scenario)
}

// ssot: a rollout is asked for, someone else asks too, two people try to approve who may not, one
// does who may, and the errors fall from 72% to below 5%.
func (p *Player) ssot(ctx context.Context) error {
	if err := p.Command(ctx, workspace.Deployer, "/deploy staging"); err != nil {
		return err
	}
	if err := p.Until(ctx, "the question for approval", has("approve")); err != nil {
		return err
	}
	for _, turn := range []struct {
		act    func() error
		answer string
	}{
		{func() error { return p.Command(ctx, workspace.Oncall, "/deploy staging") }, workspace.Oncall},
		{func() error { return p.Click(ctx, workspace.Outsider, "approve") }, workspace.Outsider},
		{func() error { return p.Click(ctx, workspace.Deployer, "approve") }, workspace.Deployer},
	} {
		answers := told(turn.answer)(p.world.Slack.Messages(p.channel))
		if err := turn.act(); err != nil {
			return err
		}
		more := func(m []fakeslack.Message) bool { return told(turn.answer)(m) > answers }
		if err := p.Until(ctx, "the answer to "+turn.answer, more); err != nil {
			return err
		}
	}
	if err := p.Click(ctx, workspace.Approver, "approve"); err != nil {
		return err
	}
	if err := p.Until(ctx, "the end", ended); err != nil {
		return err
	}
	card := Card(p.world.Slack.Messages(p.channel))
	if !strings.HasPrefix(card.Text, "*Deployed") {
		return fmt.Errorf("the rollout should have succeeded, but the card says: %s", p.names.plain(card.Text))
	}
	return nil
}

// Card is the channel's one message that is neither a reply nor seen by one person only; the newest,
// if there are several.
func Card(messages []fakeslack.Message) fakeslack.Message {
	var card fakeslack.Message
	for _, m := range messages {
		if m.ThreadTS == "" && m.EphemeralTo == "" && !m.Deleted {
			card = m
		}
	}
	return card
}

// has is true once a message has a button with the action.
func has(action string) func([]fakeslack.Message) bool {
	return func(messages []fakeslack.Message) bool {
		for _, m := range messages {
			if _, ok := button(m, action); ok {
				return true
			}
		}
		return false
	}
}

// told counts what only the user with the name sees.
func told(name string) func([]fakeslack.Message) int {
	return func(messages []fakeslack.Message) int {
		n := 0
		for _, m := range messages {
			if m.EphemeralTo == workspace.UserID(name) {
				n++
			}
		}
		return n
	}
}

// ended is true once the card says how it ended and the thread has told it too.
func ended(messages []fakeslack.Message) bool {
	told := false
	for _, m := range messages {
		told = told || m.ThreadTS != "" && anyEnd.MatchString(m.Text)
	}
	return told && anyEnd.MatchString(Card(messages).Text)
}

// anyEnd is the bold headline of a rollout that is over.
var anyEnd = regexp.MustCompile(`\*(Deployed|Rolled back|Failed|Rejected|Expired|Stopped): `)
