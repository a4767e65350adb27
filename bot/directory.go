package bot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"
)

// Directory knows the workspace's people, groups and channels. Names are remembered for a while;
// whether somebody belongs to a group is asked each time, so that who was removed from it can approve
// nothing any more.
type Directory struct {
	api *slack.Client

	groups   *memo // handle → ID
	users    *memo // name → ID
	channels *memo // name → ID
}

const (
	groupsFor   = time.Minute
	usersFor    = 10 * time.Minute
	channelsFor = 10 * time.Minute
)

// NewDirectory returns the directory of the workspace that the token belongs to, for who has no Bot.
// apiURL is "" for Slack itself.
func NewDirectory(botToken, apiURL string, web *http.Client) *Directory {
	return newDirectory(client(Config{BotToken: botToken, APIURL: apiURL, HTTP: web}))
}

func newDirectory(api *slack.Client) *Directory {
	return &Directory{api: api, groups: newMemo(groupsFor), users: newMemo(usersFor), channels: newMemo(channelsFor)}
}

// Member reports whether the user is one of handles or in one of the groups among them. handles are
// "@group", "@user" or Slack IDs. An empty list has no members. A handle that means nothing is
// skipped; an error means that Slack did not say, and then nobody may be let through.
func (d *Directory) Member(ctx context.Context, user string, handles []string) (bool, error) {
	if !userID.MatchString(user) {
		return false, nil
	}
	if slices.Contains(handles, user) {
		return true, nil
	}
	for _, handle := range handles {
		if userID.MatchString(handle) {
			continue
		}
		is, err := d.member(ctx, user, handle)
		if is || err != nil {
			return is, err
		}
	}
	return false, nil
}

func (d *Directory) member(ctx context.Context, user, handle string) (bool, error) {
	group, ok, err := d.group(ctx, handle)
	if err != nil {
		return false, err
	}
	if !ok {
		return d.named(ctx, user, strings.TrimPrefix(handle, "@"))
	}
	var members []string
	err = patiently(ctx, func(ctx context.Context) (err error) {
		members, err = d.api.GetUserGroupMembersContext(ctx, group)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("list the members of %s: %w", handle, err)
	}
	return slices.Contains(members, user), nil
}

// named compares the user's name with a handle. It is the account's name, unique in a workspace, not
// the display name, which anybody can set to anything.
func (d *Directory) named(ctx context.Context, user, name string) (bool, error) {
	var info *slack.User
	err := patiently(ctx, func(ctx context.Context) (err error) {
		info, err = d.api.GetUserInfoContext(ctx, user)
		return err
	})
	switch {
	case codeOf(err) == "user_not_found":
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look up %s: %w", user, err)
	}
	return !info.Deleted && info.Name != "" && info.Name == name, nil
}

// Mention writes a handle or an ID so that Slack notifies whoever it means. A handle that means
// nothing, or cannot be looked up now, is shown as it is.
func (d *Directory) Mention(ctx context.Context, handle string) string {
	text, _, err := d.lookUp(ctx, handle)
	if err != nil {
		return string(escape(handle))
	}
	return string(text)
}

// lookUp writes a handle as a mention. known is false if it means nobody, unless there is an error.
func (d *Directory) lookUp(ctx context.Context, handle string) (text mrkdwn, known bool, err error) {
	if userID.MatchString(handle) {
		return mention(handle, handle), true, nil
	}
	group, ok, groupErr := d.group(ctx, handle)
	if ok {
		return mentionGroup(group), true, nil
	}
	name := strings.TrimPrefix(handle, "@")
	id, ok, err := d.users.get(ctx, name, d.listUsers)
	if ok {
		return mention(id, name), true, nil
	}
	return escape(handle), false, errors.Join(groupErr, err)
}

// names resolves handles for a card. One that cannot be looked up now means what it meant last; sure is
// false if that is not known either, and may be later: it is then written as it is, which notifies nobody.
func (d *Directory) names(ctx context.Context, handles []string) (n Names, sure bool) {
	n, sure = Names{}, true
	for _, handle := range handles {
		if _, known := n[handle]; known {
			continue
		}
		text, _, err := d.lookUp(ctx, handle)
		if err != nil {
			var known bool
			text, known = d.meant(handle)
			_, limited := retryAfter(err)
			sure = sure && (known || !limited && !mayHaveHappened(err))
		}
		n[handle] = string(text)
	}
	return n, sure
}

// meant is the mention that a handle was when it could be looked up; known is false if it never could.
func (d *Directory) meant(handle string) (text mrkdwn, known bool) {
	name := strings.TrimPrefix(handle, "@")
	if id, ok := d.groups.was(name); ok {
		return mentionGroup(id), true
	}
	if id, ok := d.users.was(name); ok {
		return mention(id, name), true
	}
	return escape(handle), false
}

// Channel returns the ID of a channel given by its name, with or without "#", or by its ID.
func (d *Directory) Channel(ctx context.Context, channel string) (string, error) {
	if channelID.MatchString(channel) {
		return channel, nil
	}
	name := strings.TrimPrefix(channel, "#")
	id, ok, err := d.channels.get(ctx, name, d.listChannels)
	switch {
	case err != nil:
		return "", fmt.Errorf("list channels: %w", err)
	case !ok:
		return "", fmt.Errorf("%w: #%s; create it, or invite the bot to it", errNoChannel, name)
	}
	return id, nil
}

// place is where to post to in a hurry: what Channel says, or said last, or else the name, which
// chat.postMessage takes as well (docs.slack.dev/reference/methods/chat.postMessage#channels).
func (d *Directory) place(ctx context.Context, channel string) (string, error) {
	id, err := d.Channel(ctx, channel)
	if err == nil || errors.Is(err, errNoChannel) {
		return id, err
	}
	if id, ok := d.channels.was(strings.TrimPrefix(channel, "#")); ok {
		return id, nil
	}
	return channel, nil
}

var errNoChannel = errors.New("no such channel that the bot can see")

// Missing says, a sentence each, whether the channel cannot be posted to and which handles mean
// nobody. What Slack does not say now is not missing; the error tells.
func (d *Directory) Missing(ctx context.Context, channel string, handles []string) ([]string, error) {
	var missing []string
	var errs []error
	if _, err := d.Channel(ctx, channel); errors.Is(err, errNoChannel) {
		missing = append(missing, fmt.Sprintf("There is no channel #%s that Slipway is in: create it or invite Slipway, or correct `channel` in deploy.yaml.", strings.TrimPrefix(channel, "#")))
	} else if err != nil {
		errs = append(errs, err)
	}
	for _, handle := range handles {
		_, known, err := d.lookUp(ctx, handle)
		if err == nil && !known {
			missing = append(missing, fmt.Sprintf("Slack knows no group or person %s: create it, or correct deploy.yaml.", handle))
		}
		errs = append(errs, err)
	}
	return missing, errors.Join(errs...)
}

// group returns the ID of a group given by its handle or ID.
func (d *Directory) group(ctx context.Context, handle string) (string, bool, error) {
	if groupID.MatchString(handle) {
		return handle, true, nil
	}
	id, ok, err := d.groups.get(ctx, strings.TrimPrefix(handle, "@"), d.listGroups)
	if err != nil {
		return "", false, fmt.Errorf("list user groups: %w", err)
	}
	return id, ok, nil
}

func (d *Directory) listGroups(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	err := patiently(ctx, func(ctx context.Context) error {
		groups, err := d.api.GetUserGroupsContext(ctx)
		for _, g := range groups {
			found[g.Handle] = g.ID
		}
		return err
	})
	return found, err
}

func (d *Directory) listUsers(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	users, err := d.api.GetUsersContext(ctx, slack.GetUsersOptionLimit(1000))
	found := make(map[string]string, len(users))
	for _, u := range users {
		if !u.Deleted {
			found[u.Name] = u.ID
		}
	}
	return found, err
}

// listChannels lists the channels that the bot is in. It sees private channels only with the scope groups:read, and does without it.
func (d *Directory) listChannels(ctx context.Context) (map[string]string, error) {
	found, err := d.listChannelsOf(ctx, "public_channel", "private_channel")
	if codeOf(err) == "missing_scope" {
		return d.listChannelsOf(ctx, "public_channel")
	}
	return found, err
}

func (d *Directory) listChannelsOf(ctx context.Context, types ...string) (map[string]string, error) {
	found := map[string]string{}
	params := slack.GetConversationsParameters{ExcludeArchived: true, Limit: 1000, Types: types}
	for {
		var page []slack.Channel
		err := patiently(ctx, func(ctx context.Context) (err error) {
			page, params.Cursor, err = d.api.GetConversationsContext(ctx, &params)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			if c.IsMember { // others cannot be posted to
				found[c.Name] = c.ID
			}
		}
		if params.Cursor == "" {
			return found, nil
		}
	}
}

// memo remembers a whole list for a while. One caller at a time fetches it. A name that is not in the
// list is looked for in a new one sooner than the rest is forgotten, so that a new group need not
// wait long.
type memo struct {
	turn chan struct{} // holds one token; a channel, so that waiting ends with the context
	keep time.Duration
	last atomic.Pointer[listing] // nil: none was fetched yet
}

// listing is a whole list, as it was at a time.
type listing struct {
	names map[string]string
	at    time.Time
}

const missingFor = time.Minute

func newMemo(keep time.Duration) *memo {
	m := &memo{turn: make(chan struct{}, 1), keep: keep}
	m.turn <- struct{}{}
	return m
}

func (m *memo) get(ctx context.Context, name string, fetch func(context.Context) (map[string]string, error)) (string, bool, error) {
	select {
	case <-m.turn:
		defer func() { m.turn <- struct{}{} }()
	case <-ctx.Done():
		return "", false, ctx.Err()
	}
	if last := m.last.Load(); last != nil {
		age := time.Since(last.at)
		if value, ok := last.names[name]; age < missingFor || ok && age < m.keep {
			return value, ok, nil
		}
	}
	list, err := fetch(ctx)
	if err != nil {
		return "", false, err
	}
	m.last.Store(&listing{list, time.Now()})
	value, ok := list[name]
	return value, ok, nil
}

// was is what a name meant when the list was fetched last, however long ago.
func (m *memo) was(name string) (string, bool) {
	last := m.last.Load()
	if last == nil {
		return "", false
	}
	value, ok := last.names[name]
	return value, ok
}
