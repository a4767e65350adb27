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
	"slices"
	"strings"

	"slipway/chart"
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
	Identity      string // ctl: whose account the credentials for GCPEndpoint would be; "" with Google itself
	File          *plan.File

	// Dial opens every connection the app makes; nil is the network. Tests run the whole app over
	// in-memory pipes by it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Getenv answers deploy.yaml's {env: NAME}.
	Getenv func(string) string
	Owner  string // names this replica in leases and the log
	// Draw makes a graph's PNG; nil is chart.PNG. Tests that play hundreds of rollouts have none drawn.
	Draw func(chart.Graph) ([]byte, error)
	Log  *slog.Logger
}

// Setting is one variable of the environment, with what a person needs to know to set it.
type Setting struct {
	Name, Hint string
	Required   bool
	check      func(string) error // of a value that is not empty
}

// Settings are all that FromEnv reads.
func Settings() []Setting {
	return []Setting{
		{"SLACK_APP_TOKEN", "the app-level token with connections:write, from the app's Basic Information page", true, prefix("xapp-")},
		{"SLACK_BOT_TOKEN", "the bot token, from the app's OAuth & Permissions page", true, prefix("xoxb-")},
		{"REDIS_URL", "for example redis://localhost:6379/0", true, redisAddress},
		{"SLIPWAY_FILE", "the plan file; deploy.yaml in the current directory if it is not set", false, anything},
		{"SLACK_API_URL", "leave it out for Slack itself", false, webAddress},
		{"SLIPWAY_GCP_ENDPOINT", "leave it out for Google Cloud; a local stand-in is spoken to in the clear, so it has to be on loopback", false, loopback},
		{"SLIPWAY_REGISTRY", "leave it out for the real registries; a local stand-in is spoken to in the clear, so it has to be on loopback", false, loopback},
	}
}

// FromEnv reads the settings and deploy.yaml (SLIPWAY_FILE, ./deploy.yaml by default). Its error
// has a line for everything that is missing or wrong, all at once, and never a secret's value.
func FromEnv(getenv func(string) string) (Config, error) {
	c, err := fromEnv(getenv, Settings())
	if c.File == nil {
		return c, err
	}
	problems := []error{err}
	for _, s := range secrets(c.File) {
		if wrong := s.problem(getenv(s.Name)); wrong != nil {
			problems = append(problems, fmt.Errorf("%s %w: %s", s.Name, wrong, s.Hint))
		}
	}
	return c, errors.Join(problems...)
}

// secrets are what deploy.yaml needs to tell others of incidents.
func secrets(file *plan.File) []Setting {
	var list []Setting
	for _, s := range file.Secrets() {
		list = append(list, Setting{s.Env, "deploy.yaml names it as " + s.What, true, anything})
	}
	return list
}

func fromEnv(getenv func(string) string, settings []Setting) (Config, error) {
	var problems []error
	for _, s := range settings {
		if err := s.problem(getenv(s.Name)); err != nil {
			problems = append(problems, fmt.Errorf("%s %w: %s", s.Name, err, s.Hint))
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
		Identity: getenv("SLIPWAY_IDENTITY"), File: file, Getenv: getenv, Owner: owner(), Log: slog.Default(),
	}, errors.Join(problems...)
}

// problem says what is wrong with a value, and never the value: it may be a secret.
func (s Setting) problem(value string) error {
	switch {
	case value == "" && s.Required:
		return errors.New("is not set")
	case value == "":
		return nil
	case value != strings.TrimSpace(value):
		return errors.New("begins or ends with white space (a line break at the end of the secret?)")
	}
	return s.check(value)
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

func anything(string) error { return nil }

func webAddress(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("is not an address like http://127.0.0.1:8190/api/")
	}
	return nil
}

// redisAddress looks at the scheme; the rest is for whoever connects, which knows each form.
func redisAddress(value string) error {
	scheme, rest, _ := strings.Cut(value, "://")
	transport, kind, _ := strings.Cut(scheme, "+")
	known := (transport == "redis" || transport == "rediss") && slices.Contains([]string{"", "sentinel", "cluster"}, kind)
	if !known || rest == "" || strings.HasSuffix(scheme, "+") {
		return errors.New("is not a redis://, rediss://, redis+sentinel:// or redis+cluster:// address")
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
