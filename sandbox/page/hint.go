package page

import (
	"encoding/json"
	"html/template"
	"regexp"
	"slices"
	"strings"

	"slipway/sandbox/fakeslack"
)

// hint is what a newcomer can do next, in a sentence or two.
type hint struct {
	Shown  bool
	Says   template.HTML // mrkdwn, rendered
	Switch *link         // to the user who can go on
	Show   string        // where the question is
}

// anyEnd is the bold headline of a rollout that is over.
var anyEnd = regexp.MustCompile(`^\*(Deployed|Rolled back|Failed|Rejected|Expired|Stopped): `)

// hint looks at the newest card of the app in the channel and says what follows.
func (p *Page) hint(v viewer) hint {
	p.mu.Lock()
	away := p.dismissed[v.User.ID]
	p.mu.Unlock()
	if away || v.Home {
		return hint{}
	}
	env := p.env()
	if env == nil {
		return p.hintApp(v)
	}
	card, found := p.card(v)
	var says string
	h := hint{Shown: true}
	switch asked := buttonsOf(card.Blocks, "answers-"); {
	case !found && len(v.state.Connections) == 0:
		says = "No app is connected, so nobody answers here. Start one with `go run .` and the environment that the sandbox printed."
	case !found && watched(env):
		says = "There is nothing to type: Slipway watches, and tells here when a service fails. In the panel, raise *Errors* of the revision that serves, and wait about two minutes."
	case !found:
		says = "You are *@" + v.User.Name + "*. Type `/deploy " + env.Name + "` below and press Enter."
		if !belongs(v.state, v.User, deployers(env)) {
			says = "You are *@" + v.User.Name + "*, who may not deploy. Switch to someone who may, then type `/deploy " + env.Name + "`."
			h.Switch = p.other(v, func(u fakeslack.User) bool { return belongs(v.state, u, deployers(env)) })
		}
	case slices.Contains(asked, "approve"):
		says = p.hintApproval(v, &h, card)
		h.Show = v.at(card.TS)
	case len(asked) > 0:
		says = "The rollout cannot go on by itself: someone has to decide, with the buttons on the card."
		h.Show = v.at(card.TS)
	case p.hintIncident(v, &h, &says):
	case anyEnd.MatchString(card.Text):
		says = "That was a whole rollout; its thread tells it step by step. Try `/deploy status " + env.Name + "`, `/deploy graph " + env.Name +
			" 1h`, `/deploy rollback " + env.Name + "`, or once more with a fault from the panel."
	default:
		says = "It goes on by itself. Watch the card here and the traffic in the panel; raise the new revision's error rate there and it is rolled back."
	}
	h.Says = v.kit.Mrkdwn(says)
	return h
}

// hintApp is the hint about an app of which nothing is known: how it gets here, and then what it can hear.
func (p *Page) hintApp(v viewer) hint {
	bot := v.state.Bot.Name
	switch {
	case len(v.state.Connections) == 0:
		return hint{Shown: true, Says: v.kit.Mrkdwn("No app is connected. Start yours, in Socket Mode, with\n```" + strings.Join(p.cfg.Environment, "\n") + "```")}
	case len(v.all) == 0:
		return hint{Shown: true, Says: v.kit.Mrkdwn("Your app is connected. Type a command of it below, such as `/hello`, or mention it: `@" + bot + " hello`.")}
	}
	return hint{}
}

func (p *Page) hintApproval(v viewer, h *hint, card fakeslack.Message) string {
	approval := p.cfg.File.Environments[0].Approval
	can := func(u fakeslack.User) bool {
		return approval != nil && belongs(v.state, u, approval.Approvers) &&
			(approval.Self || !belongs(v.state, u, deployers(p.cfg.File.Environments[0])))
	}
	if can(v.User) {
		return "You are *@" + v.User.Name + "*: press *Approve* on the card, and the rollout goes on."
	}
	h.Switch = p.other(v, can)
	if h.Switch != nil {
		h.Switch.URL = v.withUser(h.Switch.user).at(card.TS)
	} else {
		return "The rollout waits for an approval: press *Approve* on the card."
	}
	return "Whoever starts a rollout cannot approve it: switch to *@" + h.Switch.Name + "*, then press *Approve* on the card."
}

// other is a link to someone else whom the condition holds for.
func (p *Page) other(v viewer, holds func(fakeslack.User) bool) *link {
	u, ok := first(v.state.Users, func(u fakeslack.User) bool { return u.ID != v.User.ID && holds(u) })
	if !ok {
		return nil
	}
	return &link{Name: u.Name, URL: v.withUser(u).path(), user: u}
}

// buttonsOf are the action_ids in those blocks whose block_id begins so; the app names them by what they are for:
// answers- has what answers a card's question.
func buttonsOf(blocks json.RawMessage, prefix string) []string {
	var read []struct {
		ID       string `json:"block_id"`
		Elements []struct {
			ActionID string `json:"action_id"`
		} `json:"elements"`
	}
	if len(blocks) == 0 || json.Unmarshal(blocks, &read) != nil {
		return nil
	}
	var out []string
	for _, b := range read {
		for _, e := range b.Elements {
			if strings.HasPrefix(b.ID, prefix) && e.ActionID != "" {
				out = append(out, e.ActionID)
			}
		}
	}
	return out
}

// card is the newest message of the app that everybody sees and that is no reply.
func (p *Page) card(v viewer) (fakeslack.Message, bool) {
	return v.newest(func(fakeslack.Message) bool { return true })
}

// newest is the newest such message for which the condition holds.
func (v viewer) newest(holds func(fakeslack.Message) bool) (fakeslack.Message, bool) {
	for _, m := range slices.Backward(v.all) {
		if m.User == v.state.Bot.ID && m.ThreadTS == "" && m.EphemeralTo == "" && len(m.Blocks) > 0 && holds(m) {
			return m, true
		}
	}
	return fakeslack.Message{}, false
}
