package page

import (
	"slices"
	"strings"

	"slipway/plan"
	"slipway/sandbox/fakeslack"
)

// watched says whether Slipway watches a service of the environment while nobody deploys.
func watched(env *plan.Environment) bool {
	return slices.ContainsFunc(env.Services, func(s *plan.Service) bool { return env.AlertsOf(s.Name) != nil })
}

// hintIncident says what can be done about the newest incident; false if there is none, or if it is over and
// something else has come after it.
func (p *Page) hintIncident(v viewer, h *hint, says *string) bool {
	var can []string
	m, found := v.newest(func(m fakeslack.Message) bool {
		can = slices.DeleteFunc(buttonsOf(m.Blocks, "controls-"), func(id string) bool { return !strings.HasPrefix(id, "incident_") })
		return len(can) > 0
	})
	if !found {
		return false
	}
	open, env := slices.Contains(can, "incident_resolve"), p.env()
	if newer, _ := p.card(v); !open && newer.TS != m.TS && !anyEnd.MatchString(newer.Text) {
		return false
	}
	h.Show = v.at(m.TS)
	switch {
	case !open:
		*says = "That was a whole incident; its thread tells it step by step. Try `/deploy incidents`, `/deploy unlock " + env.Name +
			"` if the traffic went back, or another one with *Errors* in the panel."
	case !belongs(v.state, v.User, deployers(env)):
		*says = "A service fails. You are *@" + v.User.Name + "*, who may only look: switch to someone who may do something about it."
		h.Switch = p.other(v, func(u fakeslack.User) bool { return belongs(v.state, u, deployers(env)) })
	case slices.Contains(can, "incident_acknowledge"):
		*says = "A service fails, and those whose it is are called. Press *Acknowledge*, and nobody else is called; or *Roll back*, which sends the traffic to the revision before."
	case slices.Contains(can, "incident_rollback"):
		*says = "Somebody has it, and it still fails. Press *Roll back*: all traffic goes to the revision before."
	default:
		*says = "Once enough requests have shown that it is over, the incident resolves by itself: some minutes after the traffic went back, or after you set *Errors* to 0 in the panel."
	}
	return true
}
