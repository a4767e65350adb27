package page

import (
	"slices"
	"strings"

	"slipway/plan"
	"slipway/sandbox/fakeslack"
)

// env is the environment that the page begins with; nil without a plan file.
func (p *Page) env() *plan.Environment {
	if p.cfg.File == nil {
		return nil
	}
	return p.cfg.File.Environments[0]
}

// may says what a user may do, in two words and in a sentence.
func (p *Page) may(state fakeslack.State, u fakeslack.User) (brief, says string) {
	env := p.env()
	switch {
	case env == nil && u.Guest:
		return "", "Is a guest of the workspace: is_restricted in users.info."
	case env == nil:
		return "", ""
	}
	deploys := belongs(state, u, deployers(env))
	var approves bool
	if env.Approval != nil {
		approves = belongs(state, u, env.Approval.Approvers)
	}
	switch {
	case deploys && approves:
		return "may deploy", "May start, stop and roll back. May approve what others started" + self(env.Approval)
	case deploys:
		return "may deploy", "May start, stop and roll back, and decide what a rollout asks. May not approve."
	case approves:
		return "may approve", "May approve or reject. May not deploy."
	}
	return "may only look", "May neither deploy nor approve: everything else answers with why not."
}

func self(a *plan.Approval) string {
	if a.Self {
		return ", and their own."
	}
	return ", not their own."
}

// deployers are the handles of whoever may deploy to an environment; none: everybody may.
func deployers(env *plan.Environment) []string {
	who := env.Deployers
	for _, s := range env.Services {
		if len(env.Deployers) == 0 {
			who = append(who, s.Owners...)
		}
	}
	return who
}

// belongs reports whether a user is one of the handles or in a group that is one. No handles are everybody.
func belongs(state fakeslack.State, u fakeslack.User, handles []string) bool {
	if len(handles) == 0 {
		return true
	}
	return slices.ContainsFunc(handles, func(handle string) bool {
		handle = strings.TrimPrefix(handle, "@")
		return handle == u.Name || handle == u.ID || slices.ContainsFunc(state.Groups, func(g fakeslack.Group) bool {
			return (g.Handle == handle || g.ID == handle) && slices.Contains(g.Members, u.ID)
		})
	})
}

// first is the first user whom the condition holds for.
func first(users []fakeslack.User, holds func(fakeslack.User) bool) (fakeslack.User, bool) {
	at := slices.IndexFunc(users, holds)
	if at < 0 {
		return fakeslack.User{}, false
	}
	return users[at], true
}
