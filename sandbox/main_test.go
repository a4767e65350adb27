package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRunRefuses(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("version: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-scenario", "sunshine", "-file", "../deploy.yaml"}, `there is no scenario "sunshine"; there are: ssot`},
		{[]string{"-file", "absent.yaml"}, "absent.yaml"},
		{[]string{"-file", broken}, "broken.yaml:1"},
		{[]string{"-frobnicate"}, "unknown flag"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), singleDash(tt.args), &out, &out); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), singleDash([]string{"-help"}), &out, &out); err != nil || !strings.Contains(out.String(), "-play") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Services are watched where the scenario is about that, or if somebody wants it.
func TestAlerts(t *testing.T) {
	for _, tt := range []struct {
		scenario string
		flag     bool
		watched  bool
	}{{"ssot", false, false}, {"ssot", true, true}, {"incident", false, true}} {
		_, file, err := options{Scenario: tt.scenario, File: "../deploy.yaml", Alerts: tt.flag}.load()
		if err != nil {
			t.Fatal(err)
		}
		if watched := file.Environments[0].AlertsOf("backend") != nil; watched != tt.watched {
			t.Errorf("%s, -alerts=%t: watched is %t, want %t", tt.scenario, tt.flag, watched, tt.watched)
		}
	}
}

// The servers open real sockets, print what the bot needs to find them, and end with the context.
func TestNoBotPrintsTheEnvironment(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out := &firstLines{want: 8, full: cancel}
	if err := run(ctx, singleDash([]string{"-no-bot", "-listen", "127.0.0.1:0", "-gcp", "127.0.0.1:0", "-file", "../deploy.yaml"}), out, out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"SLACK_APP_TOKEN=xapp-", "SLACK_BOT_TOKEN=xoxb-", "SLACK_API_URL=http://127.0.0.1:", "REDIS_URL=redis://127.0.0.1:",
		"SLIPWAY_GCP_ENDPOINT=127.0.0.1:", "SLIPWAY_REGISTRY=127.0.0.1:", "SLIPWAY_FILE=../deploy.yaml", "E2E_TOKEN=",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}

// firstLines calls full once it has so many lines.
type firstLines struct {
	bytes.Buffer
	want int
	full func()
}

func (f *firstLines) Write(p []byte) (int, error) {
	n, err := f.Buffer.Write(p)
	if bytes.Count(f.Bytes(), []byte("\n")) >= f.want {
		f.full()
	}
	return n, err
}

// A port that is given and taken is an error that says so.
func TestGivenPortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out bytes.Buffer
	err = run(t.Context(), singleDash([]string{"-listen", l.Addr().String(), "-gcp", "127.0.0.1:0", "-file", "../deploy.yaml"}), &out, &out)
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()+" is taken") {
		t.Error(err)
	}
}
