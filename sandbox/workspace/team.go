package workspace

import (
	"slices"
	"strings"

	"slipway/plan"
	"slipway/sandbox/fakeslack"
)

// People of the local team, named by what they are for.
const (
	Deployer = "deployer" // in the groups that may deploy and in those that may approve
	Approver = "approver" // in the groups that may approve
	Outsider = "outsider" // in none
	Oncall   = "oncall"   // in the groups that may deploy
)

var ids = map[string]string{Deployer: "U0DEPLOYER", Approver: "U0APPROVER", Outsider: "U0OUTSIDER", Oncall: "U0ONCALL"}

// team is a Slack workspace in which everybody and every group and channel of deploy.yaml exists.
func team(f *plan.File, baseURL string, o Options) fakeslack.Config {
	c := fakeslack.Config{
		BaseURL: baseURL, AppToken: appToken, BotToken: botToken, AppID: "A0SLIPWAY",
		Team: fakeslack.Team{ID: "T0SANDBOX", Name: "Sandbox", Domain: "sandbox"},
		Bot:  fakeslack.User{ID: "U0SLIPWAY", Name: "slipway", RealName: "Slipway"},
		Seed: o.Seed, Scopes: o.Scopes, Log: o.Log,
	}
	if o.Unlimited {
		c.RateLimits = fakeslack.Off
	}
	for _, name := range []string{Deployer, Approver, Outsider, Oncall} {
		c.Users = append(c.Users, fakeslack.User{ID: ids[name], Name: name, RealName: name})
	}
	members := map[string][]string{}
	add := func(handles []string, names ...string) {
		for _, handle := range handles {
			if handle = strings.TrimPrefix(handle, "@"); ids[handle] != "" {
				continue // a person
			}
			for _, name := range names {
				if !slices.Contains(members[handle], ids[name]) {
					members[handle] = append(members[handle], ids[name])
				}
			}
		}
	}
	channels := []string{"general"}
	for _, e := range f.Environments {
		add(e.Deployers, Deployer, Oncall)
		if e.Approval != nil {
			add(e.Approval.Approvers, Deployer, Approver)
		}
		channels = append(channels, e.Channel)
		for _, s := range e.Services {
			add(s.Owners, Deployer, Oncall)
			channels = append(channels, s.Channel)
		}
	}
	for _, p := range f.Plans {
		for _, phase := range p.Phases {
			for _, s := range phase.Steps {
				if s.Approval != nil {
					add(s.Approval.Approvers, Deployer, Approver)
				}
			}
		}
	}
	for _, handle := range sortedKeys(members) {
		c.Groups = append(c.Groups, fakeslack.Group{ID: "S0" + slackID(handle), Handle: handle, Members: members[handle]})
	}
	slices.Sort(channels)
	for _, name := range slices.Compact(channels) {
		if name != "" {
			c.Channels = append(c.Channels, fakeslack.Channel{ID: "C0" + slackID(name), Name: name})
		}
	}
	return c
}

// slackID makes an ID of Slack's alphabet from a name.
func slackID(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, name)
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// UserID is the ID of a person of the local team.
func UserID(name string) string { return ids[name] }

// Names are the team's people, groups and channels by ID, as they are written in a channel.
func (w *Workspace) Names() map[string]string {
	c := team(w.options.File, w.slackURL, w.options)
	names := map[string]string{c.Bot.ID: c.Bot.Name}
	for _, u := range c.Users {
		names[u.ID] = "@" + u.Name
	}
	for _, g := range c.Groups {
		names[g.ID] = "@" + g.Handle
	}
	for _, ch := range c.Channels {
		names[ch.ID] = "#" + ch.Name
	}
	return names
}
