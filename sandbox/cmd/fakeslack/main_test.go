package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-frobnicate"}, "not defined: -frobnicate"},
		{[]string{"general"}, `"general" is no flag`},
		{[]string{"-channel", "general,"}, `the channel ""`},
		{[]string{"-channel", "General"}, `the channel "General"`},
		{[]string{"-channel", "a-b,ab"}, `"a-b" and "ab" are too much alike`},
		{[]string{"-user", "app"}, `"app" and "app" are too much alike`},
		{[]string{"-listen", l.Addr().String()}, l.Addr().String() + " is taken: end what listens there, give another port with -listen"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), tt.args, &out, &out); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-help"}, &out, &out); err != nil || !strings.Contains(out.String(), "-channel NAMES") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// It prints where it is and what an app needs, answers as Slack, as a page and as control, and ends
// with its context.
func TestServes(t *testing.T) {
	s := start(t, "-listen", "127.0.0.1:0", "-app", "helper", "-channel", "lobby", "-user", "member,guest")
	if !strings.HasPrefix(s.env["SLACK_APP_TOKEN"], "xapp-") || !strings.HasPrefix(s.env["SLACK_BOT_TOKEN"], "xoxb-") || s.env["SLACK_API_URL"] != s.url+"/api/" {
		t.Errorf("an app cannot find it with %v", s.env)
	}
	test := s.call(t, "auth.test", s.env["SLACK_BOT_TOKEN"])
	if test["user"] != "helper" || test["user_id"] != "U0HELPER" {
		t.Errorf("the app is %v", test)
	}
	if refused := s.call(t, "auth.test", "xoxb-another"); refused["error"] != "invalid_auth" {
		t.Errorf("another token: %v", refused)
	}
	if page := s.get(t, "/", ""); !strings.Contains(page, "#lobby") || !strings.Contains(page, "SLACK_API_URL="+s.url+"/api/") {
		t.Errorf("the page lacks the channel or how to connect:\n%s", page)
	}
	var state struct {
		Users []struct {
			Name  string
			Guest bool
		}
	}
	if err := json.Unmarshal([]byte(s.get(t, "/_control/state", "")), &state); err != nil {
		t.Fatal(err)
	}
	if len(state.Users) != 2 || state.Users[0].Guest || !state.Users[1].Guest {
		t.Errorf("the people are %+v", state.Users)
	}
	if answer := s.get(t, "/_control/state", "evil.example"); !strings.Contains(answer, "answers on loopback only") {
		t.Errorf("control under a foreign name: %s", answer)
	}
	s.end(t)
}

// A method that is not emulated is named in the log, without -v too.
func TestUnknownMethodIsLogged(t *testing.T) {
	s := start(t, "-listen", "127.0.0.1:0")
	if answer := s.call(t, "chat.scheduleMessage", s.env["SLACK_BOT_TOKEN"]); answer["error"] != "unknown_method" {
		t.Errorf("got %v", answer)
	}
	s.end(t)
	if log := s.stderr.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "chat.scheduleMessage") {
		t.Errorf("the log is:\n%s", log)
	}
}

// program is one that runs.
type program struct {
	url    string
	env    map[string]string
	stderr bytes.Buffer // to be read after end
	stop   context.CancelFunc
	ended  chan error
}

func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	read, write := io.Pipe()
	p := &program{env: map[string]string{}, stop: stop, ended: make(chan error, 1)}
	go func() {
		err := run(ctx, args, write, &p.stderr)
		_ = write.CloseWithError(io.EOF)
		p.ended <- err
	}()
	lines := bufio.NewScanner(read)
	for len(p.env) < 3 && lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			p.env[name] = value
		} else if words := strings.Fields(lines.Text()); len(words) > 1 {
			p.url = words[1]
		}
	}
	if len(p.env) < 3 {
		t.Fatal("it printed too little: ", <-p.ended)
	}
	return p
}

func (p *program) end(t *testing.T) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	p.stop()
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
}

// get is the body at a path, asked for under a host name; "": its own.
func (p *program) get(t *testing.T, path, host string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	return body(t, r)
}

func (p *program) call(t *testing.T, method, token string) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.env["SLACK_API_URL"]+method, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	var answer map[string]any
	if err := json.Unmarshal([]byte(body(t, r)), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func body(t *testing.T, r *http.Request) string {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
