package page

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"slipway/sandbox/fakeslack"
)

// place is where a page is: who looks, and at what. It is all in the address.
type place struct {
	User    fakeslack.User
	Channel fakeslack.Channel
	Home    bool   // the app's Home tab in place of the channel
	Thread  string // ts of the message whose thread is open beside it
	Message string // ts of the message that a permalink names
}

// asCookie remembers who looked last, for addresses that do not say.
const asCookie = "as"

// find reads a place from an address.
func (p *Page) find(at *url.URL, r *http.Request) (place, error) {
	state := p.cfg.Slack.State()
	query := at.Query()
	pl := place{Thread: query.Get("thread"), User: user(state, query.Get("as"), r)}
	if pl.User.ID == "" {
		return place{}, fmt.Errorf("there is nobody called %q in the workspace", query.Get("as"))
	}
	parts := strings.Split(strings.Trim(at.Path, "/"), "/")
	name := p.firstChannel(state)
	switch {
	case parts[0] == "home":
		pl.Home, pl.Thread = true, ""
	case parts[0] == "channel" && len(parts) == 2:
		name = parts[1]
	case parts[0] == "archives" && len(parts) == 3:
		name = parts[1]
		pl.Message = permalinkTS(parts[2])
		if thread := query.Get("thread_ts"); thread != "" {
			pl.Thread = thread
		}
	}
	found := slices.IndexFunc(state.Channels, func(c fakeslack.Channel) bool { return c.ID == name || c.Name == name })
	if found < 0 {
		return place{}, fmt.Errorf("there is no channel %q in the workspace", name)
	}
	pl.Channel = state.Channels[found]
	return pl, nil
}

// firstChannel is where a page begins whose address names none.
func (p *Page) firstChannel(state fakeslack.State) string {
	if env := p.env(); env != nil {
		return env.Channel
	}
	if len(state.Channels) == 0 {
		return ""
	}
	return state.Channels[0].Name
}

// user is the one that is named, else the one who looked last, else the first.
func user(state fakeslack.State, name string, r *http.Request) fakeslack.User {
	names := []string{name}
	if cookie, err := r.Cookie(asCookie); err == nil && name == "" {
		names = append(names, cookie.Value)
	}
	for _, n := range names {
		at := slices.IndexFunc(state.Users, func(u fakeslack.User) bool { return n != "" && (u.ID == n || u.Name == n) })
		if at >= 0 {
			return state.Users[at]
		}
	}
	if name != "" || len(state.Users) == 0 {
		return fakeslack.User{}
	}
	return state.Users[0]
}

// permalinkTS reads p1795348800000001.
func permalinkTS(message string) string {
	digits := strings.TrimPrefix(message, "p")
	if len(digits) <= 6 {
		return ""
	}
	return digits[:len(digits)-6] + "." + digits[len(digits)-6:]
}

// path is the address of the place, without the message that a permalink named.
func (pl place) path() string {
	query := url.Values{"as": {pl.User.Name}}
	if pl.Home {
		return "/home?" + query.Encode()
	}
	if pl.Thread != "" {
		query.Set("thread", pl.Thread)
	}
	return "/channel/" + pl.Channel.ID + "?" + query.Encode()
}

func (pl place) withUser(u fakeslack.User) place { pl.User = u; return pl }

func (pl place) withThread(ts string) place { pl.Home, pl.Thread = false, ts; return pl }

func (pl place) withChannel(c fakeslack.Channel) place {
	return place{User: pl.User, Channel: c}
}

// at is the address of a message in its channel.
func (pl place) at(ts string) string {
	query := url.Values{"as": {pl.User.Name}}
	return "/archives/" + pl.Channel.ID + "/p" + strings.ReplaceAll(ts, ".", "") + "?" + query.Encode()
}

// sees reports whether a message is for the user's eyes.
func (pl place) sees(m fakeslack.Message) bool {
	return !m.Deleted && (m.EphemeralTo == "" || m.EphemeralTo == pl.User.ID)
}
