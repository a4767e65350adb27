package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"slipway/plan"
)

// Config is everything the app needs to know.
type Config struct {
	SlackAppToken string // xapp-…: opens the socket
	SlackBotToken string // xoxb-…: posts
	SlackAPIURL   string // "" is Slack itself
	RedisURL      string
	GCPEndpoint   string // host:port of a local stand-in, loopback only; "" is Google
	Registry      string // host:port of a local stand-in, loopback only; "" is the real registries
	File          *plan.File

	// Dial opens every connection the app makes; nil is the network. Tests run the whole app over
	// in-memory pipes by it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Getenv answers deploy.yaml's {env: NAME}.
	Getenv func(string) string
	Owner  string // names this replica in leases and the log
	Log    *slog.Logger
}

// variables are the environment's names for the settings, with what a person needs to know to set them.
var variables = []struct {
	name, hint string
	required   bool
	check      func(string) error
}{
	{"SLACK_APP_TOKEN", "the app-level token with connections:write, from the app's Basic Information page", true, prefix("xapp-")},
	{"SLACK_BOT_TOKEN", "the bot token, from the app's OAuth & Permissions page", true, prefix("xoxb-")},
	{"SLACK_API_URL", "leave it out for Slack itself", false, webAddress},
	{"REDIS_URL", "for example redis://localhost:6379/0", true, redisAddress},
	{"SLIPWAY_GCP_ENDPOINT", "leave it out for Google Cloud; a local stand-in is spoken to in the clear, so it has to be on loopback", false, loopback},
	{"SLIPWAY_REGISTRY", "leave it out for the real registries; a local stand-in is spoken to in the clear, so it has to be on loopback", false, loopback},
}

// FromEnv reads the settings and deploy.yaml (SLIPWAY_FILE, ./deploy.yaml by default). Its error
// has a line for everything that is missing or wrong, all at once, and never a secret's value.
func FromEnv(getenv func(string) string) (Config, error) {
	var problems []error
	for _, v := range variables {
		switch value := getenv(v.name); {
		case value == "" && v.required:
			problems = append(problems, fmt.Errorf("%s is not set: %s", v.name, v.hint))
		case value != "":
			if err := v.check(value); err != nil {
				problems = append(problems, fmt.Errorf("%s %w: %s", v.name, err, v.hint))
			}
		}
	}
	path := getenv("SLIPWAY_FILE")
	if path == "" {
		path = "deploy.yaml"
	}
	file, err := plan.LoadFile(path)
	if err != nil {
		problems = append(problems, err)
	}
	return Config{
		SlackAppToken: getenv("SLACK_APP_TOKEN"), SlackBotToken: getenv("SLACK_BOT_TOKEN"), SlackAPIURL: getenv("SLACK_API_URL"),
		RedisURL: getenv("REDIS_URL"), GCPEndpoint: getenv("SLIPWAY_GCP_ENDPOINT"), Registry: getenv("SLIPWAY_REGISTRY"),
		File: file, Getenv: getenv, Owner: owner(), Log: slog.Default(),
	}, errors.Join(problems...)
}

// owner names this replica: unique among those that may run at once.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "slipway"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

func prefix(want string) func(string) error {
	return func(value string) error {
		if !strings.HasPrefix(value, want) {
			return fmt.Errorf("does not begin with %s", want)
		}
		return nil
	}
}

func webAddress(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("is not an address like http://127.0.0.1:8190/api/")
	}
	return nil
}

func redisAddress(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "redis" && u.Scheme != "rediss" {
		return errors.New("is not a redis:// or rediss:// address")
	}
	return nil
}

func loopback(value string) error {
	host, _, err := net.SplitHostPort(value)
	if err != nil {
		return errors.New("is not host:port")
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return errors.New("is not on loopback")
	}
	return nil
}
