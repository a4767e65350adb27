package app

import (
	"context"
	"slices"
	"strings"

	"slipway/commands"
	"slipway/plan"
)

// membership implements commands.Directory for the one whom ctl acts for: by the groups that
// deploy.yaml gives the account, and for a person by what Slack says, if it can be asked.
type membership struct {
	who   *plan.Identity
	slack commands.Directory // nil: there is no token to ask with
}

// Member implements commands.Directory. Nobody is let in because Slack could not be asked.
func (m membership) Member(ctx context.Context, user string, handles []string) (bool, error) {
	groups := slices.DeleteFunc(slices.Clone(handles), isPerson)
	switch {
	case slices.ContainsFunc(groups, func(h string) bool { return slices.Contains(m.who.Groups, h) }):
		return true, nil
	case m.who.Robot != "" || len(groups) == 0:
		return slices.Contains(handles, user), nil
	case m.slack == nil:
		return false, noSlack{}
	}
	return m.slack.Member(ctx, user, handles)
}

// Missing implements commands.Directory. Without Slack nothing is known to be missing.
func (m membership) Missing(ctx context.Context, channel string, handles []string) ([]string, error) {
	if m.slack == nil {
		return nil, nil
	}
	return m.slack.Missing(ctx, channel, handles)
}

// isPerson reports whether a handle is the ID of a user.
func isPerson(handle string) bool {
	return strings.HasPrefix(handle, "U") || strings.HasPrefix(handle, "W")
}

// noSlack says why it is not known who is in a group.
type noSlack struct{}

func (noSlack) Error() string { return "no Slack token to look the group up with" }

// SafeReason is for people.
func (noSlack) SafeReason() string {
	return "Slack was not asked, because SLACK_BOT_TOKEN is not set: set it, or give this account its `groups` in deploy.yaml."
}
