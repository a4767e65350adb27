package main

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"slipway/sandbox/fakeslack"
)

// Tokens of the local team. They open nothing else.
const (
	appToken = "xapp-1-local"
	botToken = "xoxb-local"
)

// guest is the name of who is_restricted.
const guest = "guest"

// team is the workspace: everybody is in every channel, the app included.
func (o options) team(baseURL string, log *slog.Logger) fakeslack.Config {
	cfg := fakeslack.Config{
		BaseURL: baseURL, AppToken: appToken, BotToken: botToken, AppID: "A0APP",
		Bot:  fakeslack.User{ID: "U0" + id(o.app), Name: o.app, RealName: o.app},
		Seed: o.seed, Log: log,
	}
	for _, name := range o.users {
		cfg.Users = append(cfg.Users, fakeslack.User{ID: "U0" + id(name), Name: name, RealName: name, Guest: name == guest})
	}
	for _, name := range o.channels {
		cfg.Channels = append(cfg.Channels, fakeslack.Channel{ID: "C0" + id(name), Name: name})
	}
	return cfg
}

// check refuses names that Slack has none like, and those that would have the same ID.
func (o options) check() error {
	people := append([]string{o.app}, o.users...)
	for what, names := range map[string][]string{"channel": o.channels, "user": people} {
		taken := map[string]string{}
		for _, name := range names {
			if !regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,79}$`).MatchString(name) {
				return fmt.Errorf("the %s %q: a name is of a to z, 0 to 9, and further on hyphens, dots and underscores", what, name)
			}
			if other, twice := taken[id(name)]; twice {
				return fmt.Errorf("the %ss %q and %q are too much alike: their ID would be the same", what, other, name)
			}
			taken[id(name)] = name
		}
	}
	return nil
}

// id is a name in the alphabet of Slack's IDs.
func id(name string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", "_", "", ".", "").Replace(name))
}
