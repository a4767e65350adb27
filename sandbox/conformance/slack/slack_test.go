//go:build services

// Package slack holds the local Slack against Slack's own JavaScript clients:
// @slack/bolt, @slack/socket-mode and @slack/web-api, at the versions of
// package.json. The cases are in the .mjs files. Each has a local Slack of its
// own on loopback, and plays the people through /_control/.
//
//	npm ci && go test -tags services -v .
package slack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway/sandbox/fakeslack"
)

// limitsOff is for cases that call more often than Slack lets anybody.
func limitsOff(c *fakeslack.Config) { c.RateLimits = fakeslack.Off }

func scopes(granted ...string) func(*fakeslack.Config) {
	return func(c *fakeslack.Config) { c.Scopes = granted }
}

// cases are what must be there and pass, and what is special about the Slack of
// each.
var cases = map[string]func(*fakeslack.Config){
	"connect: a Bolt app says hello, and auth.test knows it":                         nil,
	"connect: the tokens are not interchangeable":                                    nil,
	"connect: a ticket is good for one connection":                                   nil,
	"connect: ten connections, and the eleventh is one too many":                     limitsOff,
	"disconnect: warning":                                                            nil,
	"disconnect: refresh_requested":                                                  nil,
	"disconnect: link_disabled":                                                      nil,
	"disconnect: too_many_websockets, until there is room":                           nil,
	"share: each event goes to one of two clients":                                   nil,
	"share: what one client does not ack in 3 s goes to the other":                   nil,
	"share: an event that nobody acks is sent again, and says so":                    nil,
	"command: the payload of its ack is shown to its user alone":                     nil,
	"command: an ack with in_channel is shown to all, an empty one not at all":       nil,
	"respond: five times, and the sixth is refused":                                  nil,
	"click: block_actions, its ack, and an update that takes the button away":        nil,
	"click: respond replaces and deletes the message that was clicked":               nil,
	"modal: errors keep it open, and an empty ack closes it":                         nil,
	"modal: errors about a block that is not there are a problem":                    nil,
	"modal: an ack updates it, pushes onto it up to three, and clears all":           nil,
	"modal: views.update by id and hash, views.push by a trigger from the modal":     nil,
	"modal: a trigger opens one view":                                                nil,
	"modal: a trigger lives three seconds":                                           nil,
	"modal: closing it tells the app, if the app asked for that":                     nil,
	"home: app_home_opened, views.publish, and a click in it":                        nil,
	"mention: app_mention, and the answer in its thread":                             nil,
	"scopes: what is missing is named, and the headers tell what is there":           scopes("chat:write", "channels:read"),
	"scopes: without chat:write nothing is posted":                                   scopes("commands"),
	"scopes: chat:write.public posts where the app is no member":                     scopes("chat:write", "chat:write.public"),
	"channels: only members write and read":                                          nil,
	"messages: an app updates and deletes its own, and no ephemerals":                nil,
	"messages: threads, permalinks, reactions and metadata":                          nil,
	"people: users, groups and direct messages":                                      nil,
	"files: filesUploadV2 shares a file, and its bytes come back to the token alone": nil,
	"files: an upload of another length, or an unknown one, is refused":              nil,
	"cursors: the client pages through channels, history and members":                nil,
	"limits: 429 with Retry-After, and the client comes back by itself":              nil,
	"limits: a method of each tier has its own":                                      nil,
	"methods: an unknown one and a retired one":                                      nil,
	"bodies: JSON, a form, and a token in either place":                              nil,
	"blocks: each limit, on both of its sides, with invalid_blocks and where":        limitsOff,
	"blocks: together no more than 13,200 characters, markdown no more than 12,000":  nil,
	"blocks: each stands only where Slack takes it":                                  limitsOff,
	"blocks: unknown fields are refused":                                             limitsOff,
	"views: limits and unknown fields, with invalid_arguments and where":             nil,
	"trouble: the client tries again after a drop and after a 503 in HTML":           nil,
	"trouble: done, and yet an error, or half an answer":                             nil,
	"trouble: no answer at all, until the client gives up":                           nil,
	"trouble: latency, fixed and drawn":                                              nil,
	"trouble: a half-open socket is noticed, and replaced":                           limitsOff,
	"trouble: a socket that closes without a word is replaced":                       nil,
	"trouble: the same envelope twice, two in the wrong order, a lost ack":           nil,
	"trouble: a clock that is wrong":                                                 nil,
}

func TestConformance(t *testing.T) {
	needNode(t, 20)
	urls := map[string]string{}
	for name, change := range cases {
		urls[name] = serve(t, change)
	}
	slacks, err := json.Marshal(urls)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "run.mjs")
	node.Env = append(node.Environ(), "SLACKS="+string(slacks), "NODE_ENV=production")
	var stderr bytes.Buffer
	node.Stderr = &stderr
	stdout, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	passed := map[string]bool{}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		t.Log(lines.Text())
		if name, ok := strings.CutPrefix(lines.Text(), "ok   "); ok {
			passed[name] = true
		} else {
			t.Error(lines.Text())
		}
	}
	if err := node.Wait(); err != nil {
		t.Errorf("node: %v\n%s\nis it installed? run npm ci in this directory", err, stderr.String())
	}
	for name := range cases {
		if !passed[name] {
			t.Errorf("did not pass: %s", name)
		}
	}
}

// needNode fails the test without a Node.js that the clients run on.
func needNode(t *testing.T, least int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "node", "--version").Output()
	if err != nil {
		t.Fatalf("node: %v; install Node.js %d or newer", err, least)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < least {
		t.Fatalf("node is %s; install Node.js %d or newer", out, least)
	}
}

// serve starts a local Slack on loopback until the test ends, and returns its URL.
func serve(t *testing.T, change func(*fakeslack.Config)) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config("http://" + listener.Addr().String())
	if change != nil {
		change(&cfg)
	}
	slack := fakeslack.New(cfg)
	mux := http.NewServeMux()
	mux.Handle("/", slack.Handler())
	mux.Handle("/_control/", slack.ControlHandler())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		slack.Close()
		_ = server.Close()
		<-served
	})
	return cfg.BaseURL
}

func config(baseURL string) fakeslack.Config {
	return fakeslack.Config{
		BaseURL: baseURL, AppToken: "xapp-local", BotToken: "xoxb-local",
		Bot: fakeslack.User{ID: "U0BOT", Name: "slipway", RealName: "Slipway"},
		Users: []fakeslack.User{
			{ID: "U0DEPLOYER", Name: "deployer", RealName: "Deployer"},
			{ID: "U0APPROVER", Name: "approver", RealName: "Approver"},
			{ID: "U0OUTSIDER", Name: "outsider", RealName: "Outsider", Guest: true},
		},
		Groups: []fakeslack.Group{{ID: "S0RELEASE", Handle: "release-managers", Members: []string{"U0APPROVER"}}},
		Channels: []fakeslack.Channel{
			{ID: "C0DEPLOYS", Name: "deploys-staging", Members: []string{"U0BOT", "U0DEPLOYER", "U0APPROVER"}},
			{ID: "C0GENERAL", Name: "general"},
			{ID: "C0PRIVATE", Name: "elsewhere", Members: []string{"U0OUTSIDER"}},
		},
	}
}
