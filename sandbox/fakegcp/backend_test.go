package fakegcp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"slipway/sandbox/fakegcp"
)

func TestRevisionAnswersLikeABackend(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		healthy := w.candidateURL(w.image("fine", fakegcp.Behavior{}))
		code, body := w.send("POST", healthy+"/auth/login", "", `{"email":"deployer@example.com","password":"x"}`)
		token := decode[struct{ Token string }](t, body).Token
		if code != 200 || token == "" {
			t.Fatalf("login answered %d %s", code, body)
		}
		tests := []struct {
			name, method, path, token, body string
			want                            int
		}{
			{"health", "GET", "/health", "", "", 200},
			{"login without a password", "POST", "/auth/login", "", `{"email":"a"}`, 400},
			{"chat", "POST", "/api/chat", token, `{"message":"hello"}`, 200},
			{"chat with the test token", "POST", "/api/chat", "e2e-token", `{"message":"hello"}`, 200},
			{"chat without a token", "POST", "/api/chat", "", `{"message":"hello"}`, 401},
			{"chat with a wrong token", "POST", "/api/chat", "wrong", `{"message":"hello"}`, 401},
			{"chat without a message", "POST", "/api/chat", token, `{}`, 400},
			{"threads", "GET", "/api/threads", token, "", 200},
			{"elsewhere", "GET", "/none", token, "", 404},
		}
		for _, tt := range tests {
			if code, body := w.send(tt.method, healthy+tt.path, tt.token, tt.body); code != tt.want {
				t.Errorf("%s: %d %s, want %d", tt.name, code, body, tt.want)
			}
		}
		time.Sleep(5 * time.Second)
		logged := w.entries(requestsOf("backend-s1-1") + ` httpRequest.userAgent="slipway-probe"`)
		if len(logged) != len(tests)+1 {
			t.Errorf("%d of %d requests are in the log", len(logged), len(tests)+1)
		}
		if n := len(w.entries(requestsOf("backend-s1-1") + ` severity=WARNING httpRequest.status>=400 httpRequest.status<500`)); n != 5 {
			t.Errorf("%d warnings, want 5", n)
		}
	})
}

func TestLoginOfChecksNeedsNoPassword(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		url := w.candidateURL(w.image("fine", fakegcp.Behavior{})) + "/auth/login"
		for token, want := range map[string]int{"e2e-token": 200, "wrong": 400, "": 400} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"email":"e2e@example.com"}`))
			w.must(err)
			if token != "" {
				req.Header.Set("X-E2E-Token", token)
			}
			res, err := w.http.Do(req)
			w.must(err)
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("token %q: %d, want %d", token, res.StatusCode, want)
			}
		}
	})
}

// candidateURL deploys image with a tag and returns the tag's URL.
func (w *world) candidateURL(image string) string {
	w.t.Helper()
	svc, _, err := w.deploy(image, "backend-s1-1")
	w.must(err)
	return svc.GetTrafficStatuses()[1].GetUri()
}

func TestReadyIsNotHealthy(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		bad := w.candidateURL(w.image("bad2", fakegcp.Behavior{ErrorRate: 0.72, Exception: exception}))
		failed := 0
		for range 100 {
			if code, _ := w.send("GET", bad+"/health", "", ""); code != 200 {
				t.Fatalf("health answered %d", code)
			}
			code, body := w.send("POST", bad+"/auth/login", "", `{"email":"a","password":"b"}`)
			if code == http.StatusInternalServerError && strings.Contains(body, exception) {
				failed++
			}
		}
		if failed < 71 || failed > 73 {
			t.Errorf("%d of 100 requests failed, want 72", failed)
		}
		time.Sleep(5 * time.Second)
		if n := len(w.entries(`resource.labels.revision_name="backend-s1-1" textPayload:"ModuleNotFoundError"`)); n != failed {
			t.Errorf("%d tracebacks for %d failures", n, failed)
		}
	})
}

func TestServiceURLSplitsByPercent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *world) {
		w.must(w.cloud.Traffic(fakegcp.TrafficRequest{Service: backend, RPS: new(0.0)}))
		svc, _, err := w.deploy(w.good, "backend-s1-1")
		w.must(err)
		for range 20 {
			_, body := w.send("GET", svc.GetUri()+"/health", "", "")
			if got := decode[struct{ Revision string }](t, body).Revision; got != stable {
				t.Fatalf("%s answered, though it has no traffic", got)
			}
		}
	})
}

func TestWebSocket(t *testing.T) {
	type message struct{ Type, Status, User, Error, Response string }
	inBubble(t, nil, func(t *testing.T, w *world) {
		dial := func(url, token string) (*websocket.Conn, int) {
			conn, res, err := websocket.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/ws?token="+token, &websocket.DialOptions{HTTPClient: w.http})
			if err != nil && res == nil {
				t.Fatal(err)
			}
			return conn, res.StatusCode
		}
		read := func(conn *websocket.Conn) (m message) {
			w.must(wsjson.Read(t.Context(), conn, &m))
			return m
		}
		healthy := w.candidateURL(w.good)
		if _, code := dial(healthy, "wrong"); code != http.StatusUnauthorized {
			t.Errorf("a wrong token is answered %d", code)
		}
		conn, _ := dial(healthy, "e2e-token")
		defer func() { _ = conn.CloseNow() }()
		if m := read(conn); m.Type != "auth" || m.Status != "ok" || m.User == "" {
			t.Errorf("first message %+v", m)
		}
		w.must(conn.Write(t.Context(), websocket.MessageText, []byte("hello")))
		if m := read(conn); !strings.Contains(m.Response, "hello") {
			t.Errorf("reply %+v", m)
		}
		conn.Close(websocket.StatusNormalClosure, "")

		broken, _ := dial(w.service().GetUri(), "e2e-token") // the stable revision fails 72%
		defer func() { _ = broken.CloseNow() }()
		if m := read(broken); m.Status != "error" || m.Error != exception {
			t.Errorf("first message of a broken revision %+v", m)
		}
		open, _ := dial(healthy, "e2e-token")
		defer func() { _ = open.CloseNow() }()
		read(open)
		w.cloud.Close() // must not hang on the open socket
		if _, _, err := open.Read(t.Context()); err == nil {
			t.Error("a socket outlives the cloud")
		}
	})
}
