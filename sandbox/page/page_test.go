package page_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const at = "/channel/" + channel

func TestMessages(t *testing.T) {
	inWorld(t, func(w *world) {
		ts := w.say("one & <two>")
		has(t, w.seenBy("outsider"), `id="m-`+strings.ReplaceAll(ts, ".", "-")+`"`, "one &amp; ", "Slipway", "APP")
		hasNot(t, w.seenBy("outsider"), "(edited)")
		w.api("chat.update", "channel", channel, "ts", ts, "text", "changed words")
		has(t, w.seenBy("outsider"), "changed words", "(edited)")
		w.api("reactions.add", "channel", channel, "timestamp", ts, "name", "eyes")
		has(t, w.seenBy("outsider"), "Slipway reacted with eyes")
		w.api("chat.delete", "channel", channel, "ts", ts)
		hasNot(t, w.seenBy("outsider"), "changed words")
	})
}

func TestAnEphemeralIsSeenByOneUser(t *testing.T) {
	inWorld(t, func(w *world) {
		w.api("chat.postEphemeral", "channel", channel, "user", "U0APPROVER", "text", "a secret")
		has(t, w.seenBy("approver"), "a secret", "Only visible to you")
		for _, other := range []string{"deployer", "outsider", "oncall"} {
			hasNot(t, w.seenBy(other), "a secret")
		}
	})
}

func TestThread(t *testing.T) {
	inWorld(t, func(w *world) {
		ts := w.say("the card")
		hasNot(t, w.seenBy("deployer"), `class="replies"`)
		w.say("a reply", "thread_ts", ts)
		w.say("a loud reply", "thread_ts", ts, "reply_broadcast", "true")
		now := time.Now().Format("15:04")
		channelAlone := w.seenBy("deployer")
		has(t, channelAlone, "<b>2 replies</b>", "last reply today at "+now, "thread="+ts, "replied to a thread:", "a loud reply")
		hasNot(t, channelAlone, "a reply</")
		beside := w.page(at + "?as=deployer&thread=" + ts)
		_, thread, _ := strings.Cut(beside, `id="thread-messages"`)
		thread, _, _ = strings.Cut(thread, "</ol>")
		has(t, thread, `id="t-`+strings.ReplaceAll(ts, ".", "-")+`"`, "the card", "2 replies", "a reply", "a loud reply")
	})
}

// A permalink shows the message marked, and opens its thread if it is a reply.
func TestPermalink(t *testing.T) {
	inWorld(t, func(w *world) {
		ts := w.say("the card")
		reply := w.say("a reply", "thread_ts", ts)
		link, _ := w.api("chat.getPermalink", "channel", channel, "message_ts", reply)["permalink"].(string)
		html := w.page(strings.TrimPrefix(link, origin))
		has(t, html, `data-thread="`+ts+`"`)
		_, marked, found := strings.Cut(html, "target\"")
		if !found || !strings.Contains(marked[:900], "a reply") {
			t.Errorf("the reply is not marked: %s", html)
		}
	})
}

// The place remembers the user for addresses that do not name one; whom nobody knows is refused.
func TestPlaces(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.request(http.MethodGet, "/", "")
		r.Header.Set("Cookie", "as=oncall")
		_, html := w.do(r)
		has(t, html, `data-user="oncall" data-channel="C0DEPLOYSSTAGING"`)
		for _, path := range []string{"/?as=nobody", "/channel/C0NOWHERE", "/page/events?at=/channel/C0NOWHERE"} {
			if status, body := w.do(w.request(http.MethodGet, path, "")); status != http.StatusNotFound || !strings.Contains(body, "there is no") {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
	})
}

// A change reaches an open page as the elements that changed, and nothing else but the panel's samples.
func TestStream(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.open(at + "?as=deployer")
		defer s.close()
		all := s.next()
		for _, id := range []string{"place", "people", "channels", "hint", "modals", "svc-netra-backend-staging", "faults"} {
			if all.Set[id] == "" {
				t.Errorf("the first update lacks %s", id)
			}
		}
		ts := w.say("hello")
		id := "m-" + strings.ReplaceAll(ts, ".", "-")
		u, html := s.until(id)
		has(t, html, "hello")
		if list := u.Lists["messages"]; len(list) != 1 || list[0] != id {
			t.Errorf("the list is %v", list)
		}
		if u.Set["people"] != "" || u.Set["faults"] != "" {
			t.Errorf("unchanged elements are sent: %v", u.Set)
		}
		w.api("chat.update", "channel", channel, "ts", ts, "text", "bye")
		u, html = s.until(id)
		has(t, html, "bye")
		if u.Lists["messages"] != nil {
			t.Errorf("an edit sends the list %v", u.Lists)
		}
	})
}

// However fast things change, a page is updated ten times a second at most.
func TestCoalescing(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.open(at + "?as=deployer")
		defer s.close()
		s.next()
		ts := w.say("0")
		s.until("m-" + strings.ReplaceAll(ts, ".", "-"))
		began := time.Now()
		for range 40 {
			w.api("reactions.add", "channel", channel, "timestamp", ts, "name", "r"+time.Now().Format("150405.000000"))
			time.Sleep(10 * time.Millisecond)
		}
		seen := 0
		for time.Since(began) < 390*time.Millisecond || seen == 0 {
			s.next()
			seen++
		}
		if seen > 7 {
			t.Errorf("%d updates in %v", seen, time.Since(began))
		}
	})
}

// Streams end with the workspace, and nothing is left of them: goleak and the bubble see to that.
func TestCloseEndsStreams(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.open("/home?as=deployer")
		s.next()
		w.Close()
		synctest.Wait()
		for {
			if _, err := s.ReadByte(); err != nil {
				break
			}
		}
		s.close()
	})
}

func TestGuard(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, tt := range []struct {
			name, method, path, host, origin, site string
			want                                   int
		}{
			{"own name", "GET", "/", "", "", "", 200},
			{"localhost", "GET", "/", "localhost:8190", "", "", 200},
			{"loopback v4", "GET", "/", "127.0.0.1:8190", "", "", 200},
			{"loopback v6", "GET", "/", "[::1]:8190", "", "", 200},
			{"rebound name", "GET", "/", "evil.example:80", "", "", 403},
			{"rebound stream", "GET", "/page/events?at=/", "evil.example", "", "", 403},
			{"rebound control", "GET", "/_control/state", "evil.example:80", "", "", 403},
			{"an address of the network", "GET", "/", "192.168.1.7:8190", "", "", 403},
			{"own page posts", "POST", "/page/dismiss", "", origin, "same-origin", 204},
			{"no browser posts", "POST", "/page/dismiss", "", "", "", 204},
			{"foreign page posts", "POST", "/page/dismiss", "", "https://evil.example", "cross-site", 403},
			{"foreign page posts, old browser", "POST", "/page/dismiss", "", "https://evil.example", "", 403},
			{"foreign page posts to control", "POST", "/_control/fault", "", "https://evil.example", "cross-site", 403},
			{"Slack's clients have an origin too", "GET", "/link", "", "https://api.slack.com", "", 403},
		} {
			r := w.request(tt.method, tt.path, map[string]string{"POST": "at=%2F"}[tt.method])
			if tt.host != "" {
				r.Host = tt.host
			}
			for header, value := range map[string]string{"Origin": tt.origin, "Sec-Fetch-Site": tt.site} {
				if value != "" {
					r.Header.Set(header, value)
				}
			}
			status, body := w.do(r)
			if refused := strings.Contains(body, "cross-origin") || strings.Contains(body, "loopback"); status != tt.want || refused != (tt.want == 403 && tt.path != "/link") {
				t.Errorf("%s: %d, want %d: %s", tt.name, status, tt.want, body)
			}
		}
	})
}

// What others load from here would be scripts and styles from elsewhere; there are none.
func TestPageIsSelfContained(t *testing.T) {
	inWorld(t, func(w *world) {
		response, err := w.client.Do(w.request(http.MethodGet, "/", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		has(t, response.Header.Get("Content-Security-Policy"), "default-src 'self'")
		html := w.seenBy("deployer")
		hasNot(t, html, "style=", "onclick=", "<script>", "https://")
		for _, path := range []string{"/page/app.js", "/page/style.css", "/page/icon.svg"} {
			has(t, html, path)
			if len(w.page(path)) < 100 {
				t.Errorf("%s is empty", path)
			}
		}
	})
}

// Images are shown, and what could run here is only saved.
func TestFiles(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, tt := range []struct{ name, kind, shown string }{
			{"graph.png", "image/png", `<img src="/page/file/`},
			{"evil.html", "text/html; charset=utf-8", `<a href="/page/file/`},
		} {
			up := w.api("files.getUploadURLExternal", "filename", tt.name, "length", "4", "alt_txt", "a graph")
			id, _ := up["file_id"].(string)
			w.do(w.request(http.MethodPost, "/upload/"+id, "abcd"))
			w.api("files.completeUploadExternal", "files", `[{"id":"`+id+`"}]`, "channel_id", channel)
			has(t, w.seenBy("outsider"), tt.shown+id)
			response, err := w.client.Do(w.request(http.MethodGet, "/page/file/"+id, ""))
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			saved := response.Header.Get("Content-Disposition") == "attachment"
			if got := response.Header.Get("Content-Type"); got != tt.kind || saved != (tt.name == "evil.html") {
				t.Errorf("%s is %s, saved %t", tt.name, got, saved)
			}
		}
	})
}
