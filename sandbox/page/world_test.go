package page_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"go.uber.org/goleak"

	"slipway/sandbox/memnet"
	"slipway/sandbox/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	origin  = "http://slack.sandbox:80"
	channel = "C0DEPLOYSSTAGING"
)

// world is a workspace in memory without Slipway in it: the tests play the app.
type world struct {
	*workspace.Workspace
	t      *testing.T
	client *http.Client
}

// inWorld runs a test in a bubble, in the world of the first scenario.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	inScenario(t, "ssot", test)
}

func inScenario(t *testing.T, name string, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		w := &world{Workspace: newWorkspace(t, network, name), t: t}
		w.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, kind, addr string) (net.Conn, error) {
			return network.Dial(ctx, kind, addr)
		}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		defer w.Close()
		defer w.client.CloseIdleConnections()
		test(w)
	})
}

func newWorkspace(t *testing.T, network *memnet.Network, name string) *workspace.Workspace {
	t.Helper()
	scenario, err := workspace.FindScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	file, err := scenario.Load("../../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w, err := workspace.New(t.Context(), workspace.Options{
		File: file, Scenario: scenario, Seed: 1, Speed: 1, Listen: "slack.sandbox:80", GCP: "gcp.sandbox:443",
		Memory: network, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// do sends a request and returns the answer's status and body.
func (w *world) do(r *http.Request) (int, string) {
	w.t.Helper()
	response, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (w *world) request(method, path, body string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, origin+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// page is what a user sees at a place.
func (w *world) page(path string) string {
	w.t.Helper()
	status, body := w.do(w.request(http.MethodGet, path, ""))
	if status != http.StatusOK {
		w.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

// seenBy is the channel as a user sees it.
func (w *world) seenBy(user string) string {
	w.t.Helper()
	return w.page("/channel/" + channel + "?as=" + user)
}

// act posts a form of the page as a user, from the place, and returns what went wrong.
func (w *world) act(what, at string, fields ...string) string {
	w.t.Helper()
	form := formOf(fields)
	form.Set("at", at)
	status, body := w.do(w.request(http.MethodPost, "/page/"+what, form.Encode()))
	if (status == http.StatusNoContent) != (body == "") {
		w.t.Errorf("POST /page/%s: %d %q", what, status, body)
	}
	return body
}

// formOf reads names and values in turn.
func formOf(fields []string) url.Values {
	form := url.Values{}
	for pair := range slices.Chunk(fields, 2) {
		form.Set(pair[0], pair[len(pair)-1])
	}
	return form
}

// api calls a method as the app.
func (w *world) api(method string, fields ...string) map[string]any {
	w.t.Helper()
	form := formOf(fields)
	form.Set("token", w.App("").SlackBotToken)
	_, body := w.do(w.request(http.MethodPost, "/api/"+method, form.Encode()))
	var answer map[string]any
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer["ok"] != true {
		w.t.Errorf("%s: %s", method, body)
	}
	return answer
}

// say posts a message as the app and returns its ts.
func (w *world) say(text string, fields ...string) string {
	w.t.Helper()
	ts, _ := w.api("chat.postMessage", append([]string{"channel", channel, "text", text}, fields...)...)["ts"].(string)
	return ts
}

// envelope is what the app gets.
type envelope struct {
	ID      string         `json:"envelope_id"`
	Type    string         `json:"type"`
	Payload map[string]any `json:"payload"`
}

// connect opens the app's socket. Each envelope is answered with what handle returns; nil: not at all.
// The function returned closes it.
func (w *world) connect(handle func(envelope) map[string]any) (disconnect func()) {
	w.t.Helper()
	r := w.request(http.MethodPost, "/api/apps.connections.open", "")
	r.Header.Set("Authorization", "Bearer "+w.App("").SlackAppToken)
	_, body := w.do(r)
	var opened struct{ URL string }
	if err := json.Unmarshal([]byte(body), &opened); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	conn, _, err := websocket.Dial(ctx, opened.URL, &websocket.DialOptions{HTTPClient: w.client}) //nolint:bodyclose // the library's own
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			var e envelope
			if wsjson.Read(ctx, conn, &e) != nil {
				return
			}
			if e.ID == "" {
				continue
			}
			if answer := handle(e); answer != nil {
				_ = wsjson.Write(ctx, conn, map[string]any{"envelope_id": e.ID, "payload": answer})
			}
		}
	}()
	synctest.Wait()
	return func() {
		cancel()
		_ = conn.CloseNow()
		<-done
	}
}

// stream is an open page.
type stream struct {
	*bufio.Reader
	t    *testing.T
	body io.Closer
}

type update struct {
	Set   map[string]string
	Lists map[string][]string
}

func (w *world) open(at string) *stream {
	w.t.Helper()
	response, err := w.client.Do(w.request(http.MethodGet, "/page/events?at="+url.QueryEscape(at), "")) //nolint:bodyclose // stream closes it
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatal(err, response)
	}
	return &stream{bufio.NewReader(response.Body), w.t, response.Body}
}

// next is the next update.
func (s *stream) next() update {
	s.t.Helper()
	for {
		line, err := s.ReadBytes('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			var u update
			if err := json.Unmarshal(data, &u); err != nil {
				s.t.Fatal(err)
			}
			return u
		}
	}
}

// until is the first update from now on that has the element.
func (s *stream) until(id string) (update, string) {
	s.t.Helper()
	for {
		if u := s.next(); u.Set[id] != "" {
			return u, u.Set[id]
		}
	}
}

func (s *stream) close() { _ = s.body.Close() }

func has(t *testing.T, html string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in:\n%s", want, middle(html))
		}
	}
}

func hasNot(t *testing.T, html string, unwanted ...string) {
	t.Helper()
	for _, s := range unwanted {
		if s != "" && strings.Contains(html, s) {
			t.Errorf("%q should not be in:\n%s", s, middle(html))
		}
	}
}

// middle is a whole page's channel, where most of what is looked for stands.
func middle(html string) string {
	_, from, whole := strings.Cut(html, "<main")
	if !whole {
		return html
	}
	main, _, _ := strings.Cut(from, "</main>")
	return main
}
