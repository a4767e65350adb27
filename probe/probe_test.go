package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"slipway/plan"
	"slipway/rollout"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "e2e-0123456789abcdef"
	key    = "abc234/4.1/1"
)

// bench is a network with a probed server on it, in a bubble.
type bench struct {
	t       *testing.T
	network *memnet.Network
	probes  *Probes
	service rollout.Service
	hosts   []string

	attempts int
}

func onBench(t *testing.T, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		transport := &http.Transport{DialContext: network.Dial}
		t.Cleanup(transport.CloseIdleConnections)
		b := &bench{
			t: t, network: network, hosts: []string{"nobody.test"},
			service: rollout.Service{Name: "app", URL: "http://app.test"},
		}
		b.probes = New(Config{
			HTTP:   &http.Client{Transport: transport},
			Getenv: func(name string) string { return map[string]string{"E2E_TOKEN": secret}[name] },
		})
		t.Cleanup(func() { _ = b.probes.Close() })
		test(b)
	})
}

// serve answers for app.test.
func (b *bench) serve(handler http.HandlerFunc) {
	b.t.Helper()
	b.serveAt("app.test:80", handler)
}

func (b *bench) serveAt(address string, handler http.HandlerFunc) {
	b.t.Helper()
	l, err := b.network.Listen(address)
	if err != nil {
		b.t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	b.t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			b.t.Error(err)
		}
	})
}

// probe runs a step the way the engine does.
func (b *bench) probe(step plan.Step) rollout.Outcome {
	b.t.Helper()
	outcome, err := b.poll(b.t.Context(), step)
	if err != nil {
		b.t.Fatal(err)
	}
	return outcome
}

// task is an attempt of a step, another one with each call.
func (b *bench) task(step plan.Step) rollout.Task {
	b.attempts++
	return rollout.Task{
		Key: rollout.Key{Rollout: "abc234", Step: "4.1", Attempt: b.attempts}, Step: step,
		Services: map[string]rollout.Service{"app": b.service}, Hosts: b.hosts,
	}
}

func (b *bench) poll(ctx context.Context, step plan.Step) (rollout.Outcome, error) {
	b.t.Helper()
	t := b.task(step)
	action := b.probes.Actions()[step.Kind]
	began := time.Now()
	handle, err := action.Start(ctx, t)
	if err != nil || handle == "" || time.Since(began) > 0 {
		b.t.Fatalf("start: %q, %v after %v", handle, err, time.Since(began))
	}
	for {
		outcome, err := action.Poll(ctx, t, handle)
		if err != nil || outcome.State != rollout.StillRunning {
			return outcome, err
		}
	}
}

// want checks a failed probe: its label, its words, and that no secret is in it.
func (b *bench) want(outcome rollout.Outcome, label string, words ...string) {
	b.t.Helper()
	if outcome.State != rollout.FailedState || outcome.Label != label {
		b.t.Errorf("%+v, want a failure labelled %s", outcome, label)
	}
	text := outcome.Note + "\n" + outcome.Detail
	for _, word := range words {
		if !strings.Contains(text, word) {
			b.t.Errorf("%q does not say %q", text, word)
		}
	}
	if strings.Contains(text, secret) {
		b.t.Errorf("the secret is in %q", text)
	}
}

func httpStep(requests ...plan.HTTP) plan.Step {
	for i := range requests {
		if requests[i].Method == "" {
			requests[i].Method = http.MethodGet
		}
		if requests[i].Status == 0 {
			requests[i].Status = http.StatusOK
		}
	}
	return plan.Step{Kind: plan.KindHTTP, HTTP: requests}
}

func socketStep(expect string) plan.Step {
	return plan.Step{Kind: plan.KindWebSocket, WebSocket: &plan.WebSocket{
		URL: "${app.ws_url}/ws", Token: &plan.Value{Env: "E2E_TOKEN"}, Expect: expect,
	}}
}

// goldenPath is a login whose token the next request uses.
func goldenPath() plan.Step {
	return httpStep(
		plan.HTTP{
			Name: "log in", Method: http.MethodPost, URL: "${app.url}/auth/login",
			JSON: `{"email":"e2e@example.com","password":"pw"}`, Capture: map[string]string{"token": "token"},
		},
		plan.HTTP{
			Name: "ask", Method: http.MethodPost, URL: "${app.url}/api/chat", JSON: `{"message":"hello"}`,
			Headers: map[string]plan.Value{"Authorization": {Literal: "Bearer ${token}"}}, Expect: "hello",
		},
	)
}

func TestAgainstARevision(t *testing.T) {
	for _, arm := range []struct {
		name string
		fakegcp.Behavior
		step  plan.Step
		label string // "": it passes
	}{
		{"golden path", fakegcp.Behavior{}, goldenPath(), ""},
		{"golden path, broken", fakegcp.Behavior{ErrorRate: 1, Exception: "ModuleNotFoundError: no"}, goldenPath(), "http_status"},
		{"socket", fakegcp.Behavior{}, socketStep(`"status":"ok"`), ""},
		{"socket, broken", fakegcp.Behavior{ErrorRate: 1, Exception: "ModuleNotFoundError: no"}, socketStep(`"status":"ok"`), "websocket_expect"},
	} {
		t.Run(arm.name, func(t *testing.T) {
			onBench(t, func(b *bench) {
				b.service.URL = b.revision(arm.Behavior)
				outcome := b.probe(arm.step)
				if arm.label != "" {
					b.want(outcome, arm.label, "ModuleNotFoundError")
				} else if outcome.State != rollout.Passed {
					t.Errorf("%+v", outcome)
				}
			})
		})
	}
}

// revision serves a simulated revision and returns its URL.
func (b *bench) revision(behavior fakegcp.Behavior) string {
	b.t.Helper()
	cloud := fakegcp.New(fakegcp.Config{
		Project: "p", Region: "r", E2EToken: secret,
		Listen: func(host string) (net.Listener, string, error) {
			l, err := b.network.Listen(host + ":80")
			return l, "http://" + host, err
		},
	})
	b.t.Cleanup(cloud.Close)
	if _, err := cloud.AddImage("us-docker.pkg.dev/p/apps/app:v1", behavior); err != nil {
		b.t.Fatal(err)
	}
	if err := cloud.AddService(fakegcp.ServiceSpec{Name: "app", Image: "us-docker.pkg.dev/p/apps/app:v1"}); err != nil {
		b.t.Fatal(err)
	}
	return cloud.State().Services[0].URI
}

func TestHTTPFailures(t *testing.T) {
	token := strings.Repeat("t", 40)
	answers := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			_, _ = io.WriteString(w, `{"user":{"ids":[7,8]},"token":"`+token+`"}`)
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-time.After(time.Hour):
			}
		case "/echo":
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, r.Header.Get("X-Token")+" "+strings.Repeat("long ", 100))
		case "/moved":
			http.Redirect(w, r, "/login", http.StatusFound)
		}
	}
	for _, arm := range []struct {
		name  string
		step  plan.Step
		label string
		words []string
	}{
		{"status", httpStep(plan.HTTP{URL: "${app.url}/echo?q=1"}), "http_status", []string{"Request 1 of 1, GET /echo:", "expected status 200, got 418", "…"}},
		{"text", httpStep(plan.HTTP{URL: "${app.url}/login", Expect: "welcome"}), "http_expect", []string{`"welcome"`, "user"}},
		{"path", httpStep(plan.HTTP{URL: "${app.url}/login", Capture: map[string]string{"x": "user.ids.9"}}), "http_capture", []string{"user.ids.9"}},
		{"late", httpStep(plan.HTTP{URL: "${app.url}/slow"}), "http_unreachable", []string{"within 20s"}},
		{"nobody", httpStep(plan.HTTP{URL: "http://nobody.test/x?secret=" + secret}), "http_unreachable", []string{"no answer", "refused"}},
		{"unset", httpStep(plan.HTTP{URL: "${app.url}/", Headers: map[string]plan.Value{"A": {Env: "UNSET"}}}), "http_request", []string{"UNSET is not set"}},
		{"not known", httpStep(plan.HTTP{URL: "${app.candidate.url}/"}), "http_request", []string{"app.candidate.url"}},
		{"malformed", httpStep(plan.HTTP{URL: "http://%zz"}), "http_request", []string{"malformed"}},
		{"a variable is not shown", httpStep(plan.HTTP{URL: "${app.url}/echo", Headers: map[string]plan.Value{"X-Token": {Env: "E2E_TOKEN"}}}), "http_status", []string{"•••"}},
		{"nor is a token that was captured", httpStep(
			plan.HTTP{URL: "${app.url}/login", Capture: map[string]string{"t": "token"}},
			plan.HTTP{URL: "${app.url}/echo", Headers: map[string]plan.Value{"X-Token": {Literal: "${t}"}}},
		), "http_status", []string{"Request 2 of 2", "•••"}},
		{"nor in the answer it came with", httpStep(
			plan.HTTP{URL: "${app.url}/login", Status: 201, Capture: map[string]string{"t": "token"}},
		), "http_status", []string{"•••"}},
	} {
		t.Run(arm.name, func(t *testing.T) {
			onBench(t, func(b *bench) {
				b.serve(answers)
				outcome := b.probe(arm.step)
				b.want(outcome, arm.label, arm.words...)
				if strings.Contains(outcome.Note+outcome.Detail, token) {
					t.Errorf("the token is in %+v", outcome)
				}
			})
		})
	}
	t.Run("a redirect that is expected", func(t *testing.T) {
		onBench(t, func(b *bench) {
			b.serve(answers)
			if got := b.probe(httpStep(plan.HTTP{URL: "${app.url}/moved", Status: http.StatusFound})); got.State != rollout.Passed {
				t.Errorf("%+v", got)
			}
			if got := b.probe(httpStep(plan.HTTP{URL: "${app.url}/moved"})); got.State != rollout.Passed {
				t.Errorf("followed: %+v", got)
			}
		})
	})
}

func TestCapturedValuesStayWhereTheyArePut(t *testing.T) {
	onBench(t, func(b *bench) {
		const nasty = `a"b/../c?d&e f`
		b.serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/first" {
				_, _ = io.WriteString(w, `{"v":"a\"b/../c?d&e f","n":12345678901234567890}`)
				return
			}
			body, _ := io.ReadAll(r.Body)
			if r.URL.Query().Get("v") != nasty || r.URL.Query().Get("n") != "12345678901234567890" ||
				string(body) != `{"v":"a\"b/../c?d\u0026e f"}` || r.Header.Get("Content-Type") != "application/json" {
				http.Error(w, r.URL.String()+string(body), http.StatusBadRequest)
			}
			if got := r.Header.Get("User-Agent"); got != "Slipway-Probe/1 (+"+key+")" {
				http.Error(w, got, http.StatusBadRequest)
			}
		})
		outcome := b.probe(httpStep(
			plan.HTTP{URL: "${app.url}/first", Capture: map[string]string{"v": "v", "n": "n"}},
			plan.HTTP{URL: "${app.url}/second?v=${v}&n=${n}", Method: http.MethodPost, JSON: `{"v":"${v}"}`},
		))
		if outcome.State != rollout.Passed {
			t.Errorf("%+v", outcome)
		}
	})
}

func TestBrokenOffIsNoVerdict(t *testing.T) {
	onBench(t, func(b *bench) {
		b.serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
		defer cancel()
		if outcome, err := b.poll(ctx, httpStep(plan.HTTP{URL: "${app.url}/"})); err == nil {
			t.Errorf("%+v, want an error that makes the engine ask again", outcome)
		}
	})
}

func TestWebSocketFailures(t *testing.T) {
	onBench(t, func(b *bench) {
		b.serve(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/ws":
				if r.Header.Get("Authorization") != "Bearer "+secret {
					http.Error(w, "no", http.StatusUnauthorized)
					return
				}
				conn, err := websocket.Accept(w, r, nil)
				if err != nil {
					return
				}
				defer func() { _ = conn.CloseNow() }()
				_ = conn.Write(r.Context(), websocket.MessageText, []byte(`{"type":"hello","token":"`+secret+`"}`))
				_, message, err := conn.Read(r.Context())
				if err == nil {
					_ = conn.Write(r.Context(), websocket.MessageText, message)
				}
				_ = conn.Close(websocket.StatusNormalClosure, "")
			case "/denied":
				http.Error(w, "bad token "+secret, http.StatusUnauthorized)
			}
		})
		step := socketStep("hello")
		if got := b.probe(step); got.State != rollout.Passed {
			t.Errorf("%+v", got)
		}
		step = socketStep("ping")
		step.WebSocket.Send = `{"say":"ping"}`
		if got := b.probe(step); got.State != rollout.Passed {
			t.Errorf("with an answer: %+v", got)
		}
		step = socketStep("never")
		began := time.Now()
		b.want(b.probe(step), "websocket_expect", `"never"`, "within 20s", "•••")
		if time.Since(began) != workTime {
			t.Errorf("it listened for %v", time.Since(began))
		}
		step.WebSocket.Send = "x"
		b.want(b.probe(step), "websocket_expect", "closed with code 1000", "x")
		step = socketStep("x")
		step.WebSocket.URL = "${app.ws_url}/denied"
		b.want(b.probe(step), "websocket_refused", "401", "•••")
		step.WebSocket.URL = "ws://nobody.test/?t=" + secret
		b.want(b.probe(step), "websocket_unreachable", "refused")
		step.WebSocket.Token = &plan.Value{Env: "UNSET"}
		b.want(b.probe(step), "websocket_request", "UNSET is not set")
	})
}

func FuzzCapture(f *testing.F) {
	f.Add(`{"a":{"b":[1,"x",null]}}`, "a.b.1")
	f.Add(`[[[]]]`, "0.0.-1")
	f.Add(`{`, "")
	f.Fuzz(func(t *testing.T, body, path string) {
		v := &values{captured: map[string]string{}}
		missing := capture(map[string]string{"x": path}, body, v)
		if _, got := v.captured["x"]; got == (missing != "") && path != "" {
			t.Fatalf("%q at %q: captured %v, missing %q", body, path, got, missing)
		}
	})
}
