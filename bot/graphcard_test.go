package bot

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway/chart"
	"slipway/sandbox/fakeslack"
	"slipway/state"
)

// end stores a rollout that has come to its end, and lets d pass.
func (w *world) end(s *story, d time.Duration) {
	w.t.Helper()
	w.create(s)
	pass(2 * time.Second)
	w.commit(s, func() { s.toSucceeded(); s.measured() })
	pass(d)
}

// shows reports what the one card in the channel has: its chart, or its graph, whose file is named.
func (w *world) shows() (chart bool, file string) {
	w.t.Helper()
	top, _ := w.channel()
	if len(top) != 1 {
		w.t.Fatalf("%d cards\n%s", len(top), w.log)
	}
	blocks := string(top[0].Blocks)
	if _, after, ok := strings.Cut(blocks, `"slack_file":{"id":"`); ok {
		file, _, _ = strings.Cut(after, `"`)
	}
	return strings.Contains(blocks, "data_visualization"), file
}

func TestTheGraphComesOntoTheCard(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		b := w.bot()
		b.poster.pictures.draw = chart.PNG
		w.run(b)
		s := newStory(t)
		w.end(s, 0)
		pass(time.Second) // the end, with its chart, does not wait for the graph
		top, thread := w.channel()
		if chart, file := w.shows(); !chart || file != "" || !strings.Contains(top[0].Text, "Deployed") || len(thread) == 0 {
			t.Fatalf("a second after the end: chart %v, graph %q, %d replies: %s", chart, file, len(thread), top[0].Text)
		}
		pass(10 * time.Second)
		hasChart, file := w.shows()
		if hasChart || file == "" {
			t.Fatalf("chart %v, graph %q\n%s", hasChart, file, w.log)
		}
		content, kind, ok := w.File(file)
		picture, err := png.Decode(bytes.NewReader(content))
		if !ok || kind != "image/png" || err != nil || picture.Bounds().Dx() < 1200 {
			t.Errorf("the file is %s, %v", kind, err)
		}
		top, _ = w.channel()
		if blocks := string(top[0].Blocks); !strings.Contains(blocks, "72% → 0.9% errors") || !strings.Contains(blocks, "334 requests failed, at most 3.2%. Limit 5%: passed.") {
			t.Errorf("title and alt text are missing: %s", blocks)
		}
		looks := len(w.calls("files.info"))
		if looks < 2 || looks > 4 {
			t.Errorf("asked %d times whether the file is ready", looks)
		}
		before := len(w.Journal())
		pass(time.Minute)
		if after := len(w.Journal()); after != before {
			t.Errorf("%d calls after all was done", after-before)
		}
	})
}

// Whatever commits after the end, the card keeps its graph and nothing is uploaded again.
func TestLaterLooksKeepTheGraph(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		stop := w.run(w.bot())
		s := newStory(t)
		w.end(s, 15*time.Second)
		_, before := w.shows()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.cfg.Owner = "replica-2"
		w.run(w.bot())
		w.commit(s, func() { s.r.End.Reason = "Seen by <everybody>." })
		pass(10 * time.Second)
		top, _ := w.channel()
		if chart, file := w.shows(); chart || file != before || file == "" || len(w.calls("files.getUploadURLExternal")) != 1 {
			t.Errorf("chart %v, graph %q after %q, %d uploads", chart, file, before, len(w.calls("files.getUploadURLExternal")))
		}
		if !strings.Contains(string(top[0].Blocks), "Seen by") {
			t.Errorf("the card was not updated: %s", top[0].Text)
		}
	})
}

// Without the right to upload the chart stays; it is said once, and not tried with the next rollout.
func TestWithoutTheRightToUpload(t *testing.T) {
	for _, method := range []string{"files.getUploadURLExternal", "files.completeUploadExternal", "files.info"} {
		for _, code := range []string{"missing_scope", "not_allowed_token_type"} {
			t.Run(method+" "+code, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					w.Fault(fakeslack.Fault{Method: method, Kind: fakeslack.FaultError, Code: code, Count: 100})
					w.run(w.bot())
					w.end(newStory(t), 30*time.Second)
					if chart, file := w.shows(); !chart || file != "" {
						t.Errorf("chart %v, graph %q", chart, file)
					}
					if got := strings.Count(w.log.String(), "files:write"); got != 1 {
						t.Errorf("said %d times\n%s", got, w.log)
					}
					again := newStory(t)
					again.r.ID, again.r.Token = "xyz234", "command/2"
					again.r.Target.Environment, again.r.Lock.Target.Environment, again.r.Lock.Rollout = "production", "production", "xyz234"
					w.create(again)
					w.commit(again, func() { again.toSucceeded(); again.measured() })
					pass(30 * time.Second)
					if calls := w.calls(method); len(calls) != 1 {
						t.Errorf("%d calls of %s", len(calls), method)
					}
				})
			})
		}
	}
}

// What fails for a while is tried again; meanwhile and afterwards the other cards are kept up to date.
func TestUploadsAreTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		fault fakeslack.Fault
		files int // places that were asked for
	}{
		{fakeslack.Fault{Method: "files.getUploadURLExternal", Kind: fakeslack.FaultRateLimit, RetryAfter: 7 * time.Second}, 2},
		{fakeslack.Fault{Method: "files.getUploadURLExternal", Kind: fakeslack.FaultError, Code: "internal_error"}, 2},
		{fakeslack.Fault{Method: "files.getUploadURLExternal", Kind: fakeslack.FaultTimeout}, 2},
		{fakeslack.Fault{Method: "upload", Kind: fakeslack.FaultError, Code: "503"}, 2},
		{fakeslack.Fault{Method: "files.completeUploadExternal", Kind: fakeslack.FaultRateLimit, RetryAfter: 2 * time.Second}, 2},
		{fakeslack.Fault{Method: "files.completeUploadExternal", Kind: fakeslack.FaultAppliedButError, Code: "internal_error"}, 1},
		{fakeslack.Fault{Method: "files.info", Kind: fakeslack.FaultRateLimit, RetryAfter: 3 * time.Second}, 1},
		{fakeslack.Fault{Method: "files.info", Kind: fakeslack.FaultTimeout}, 1},
	} {
		t.Run(tt.fault.Method+" "+tt.fault.Kind, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.Fault(tt.fault)
				w.run(w.bot())
				w.end(newStory(t), 40*time.Second)
				chart, file := w.shows()
				if places := len(w.calls("files.getUploadURLExternal")); chart || file == "" || places != tt.files {
					t.Errorf("chart %v, graph %q, %d places asked for, want %d\n%s", chart, file, places, tt.files, w.log)
				}
			})
		})
	}
}

// What fails for good is given up after a few tries, and said once.
func TestUploadsAreGivenUp(t *testing.T) {
	for name, spoil := range map[string]func(*world, *Bot){
		"unreachable": func(w *world, _ *Bot) {
			w.Fault(fakeslack.Fault{Method: "upload", Kind: fakeslack.FaultError, Code: "503", Count: 100})
		},
		"full": func(w *world, _ *Bot) {
			w.Fault(fakeslack.Fault{Method: "files.getUploadURLExternal", Kind: fakeslack.FaultError, Code: "storage_limit_reached", Count: 100})
		},
		"cannot be drawn": func(_ *world, b *Bot) {
			b.poster.pictures.draw = func(chart.Graph) ([]byte, error) { return nil, errors.New("no ink") }
		},
		"drawing panics": func(_ *world, b *Bot) {
			b.poster.pictures.draw = func(chart.Graph) ([]byte, error) { panic("no paper") }
		},
		"never processed": func(w *world, _ *Bot) {
			w.cfg.HTTP.Transport = unprocessed{w.cfg.HTTP.Transport}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				b := w.bot()
				spoil(w, b)
				w.run(b)
				w.end(newStory(t), 2*time.Minute)
				if chart, file := w.shows(); !chart || file != "" {
					t.Errorf("chart %v, graph %q", chart, file)
				}
				if said := strings.Count(w.log.String(), "the card keeps its chart"); said != 1 {
					t.Errorf("said %d times\n%s", said, w.log)
				}
				before := len(w.Journal())
				pass(2 * time.Minute)
				if after := len(w.Journal()); after != before {
					t.Errorf("%d more calls", after-before)
				}
				if updates := len(w.calls("chat.update")); updates > 1 {
					t.Errorf("%d updates, one is enough", updates)
				}
			})
		})
	}
}

// unprocessed is a Slack that never gets round to looking at files.
type unprocessed struct{ next http.RoundTripper }

func (u unprocessed) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := u.next.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/files.info") {
		_ = answer.Body.Close()
		body := `{"ok":true,"file":{"id":"F1","mimetype":"","filetype":""}}`
		answer.Body, answer.ContentLength = readCloser{strings.NewReader(body)}, int64(len(body))
	}
	return answer, err
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// Slack may refuse the block: for a while, because it is not done with the file, or for good.
func TestARefusedGraph(t *testing.T) {
	for refusals, stays := range map[int]bool{1: false, 2: false, 100: true} {
		t.Run(fmt.Sprint(refusals), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				declining := &declining{next: w.cfg.HTTP.Transport, left: refusals}
				w.cfg.HTTP.Transport = declining
				w.run(w.bot())
				w.end(newStory(t), time.Minute)
				chart, file := w.shows()
				if chart != stays || (file == "") != stays {
					t.Errorf("chart %v, graph %q\n%s", chart, file, w.log)
				}
				if uploads := len(w.calls("files.getUploadURLExternal")); uploads != 1 {
					t.Errorf("%d uploads", uploads)
				}
				top, _ := w.channel()
				if !strings.Contains(string(top[0].Blocks), `"type":"plan"`) {
					t.Error("the plan block was given up for the graph's sake")
				}
				before := len(w.Journal())
				pass(time.Minute)
				if len(w.Journal()) != before {
					t.Error("it is tried for ever")
				}
			})
		})
	}
}

// declining is a Slack that refuses so many messages with a file in them.
type declining struct {
	next http.RoundTripper
	left int
}

func (f *declining) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/chat.update") && !strings.HasSuffix(r.URL.Path, "/chat.postEphemeral") && !strings.Contains(r.URL.Path, "response") {
		return f.next.RoundTrip(r)
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		return nil, err
	}
	if f.left > 0 && strings.Contains(body.String(), "slack_file") {
		f.left--
		answer := `{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] invalid slack file [json-pointer:/blocks/3/slack_file]"]}}`
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: readCloser{strings.NewReader(answer)}, ContentLength: int64(len(answer)), Request: r}, nil
	}
	r.Body = readCloser{strings.NewReader(body.String())}
	return f.next.RoundTrip(r)
}

// A process that dies anywhere between the end and the graph on the card: another brings it there, and
// what was uploaded is not uploaded again.
func TestACrashOnTheWayToTheGraph(t *testing.T) {
	for _, tt := range []struct {
		after string // the call after which nothing is stored any more
		files int
	}{
		{"files.getUploadURLExternal", 2}, {"files.completeUploadExternal", 1}, {"files.info", 1}, {"chat.update", 1},
	} {
		t.Run(tt.after, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				var dead atomic.Bool
				w.cfg.Cards = lossy{w.store, &dead}
				transport := w.cfg.HTTP.Transport
				w.cfg.HTTP.Transport = &dying{next: transport, after: tt.after, dead: &dead}
				stop := w.run(w.bot())
				w.end(newStory(t), 15*time.Second)
				if !dead.Load() {
					t.Fatalf("%s was not called", tt.after)
				}
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				w.cfg.Cards, w.cfg.Owner, w.cfg.HTTP.Transport = w.store, "replica-2", transport
				w.run(w.bot())
				pass(time.Minute)
				chart, file := w.shows()
				if chart || file == "" {
					t.Errorf("chart %v, graph %q\n%s", chart, file, w.log)
				}
				if files := len(w.calls("files.getUploadURLExternal")); files != tt.files {
					t.Errorf("%d places asked for, want %d", files, tt.files)
				}
				if sent := len(w.calls("files.completeUploadExternal")); sent != 1 {
					t.Errorf("%d files, want 1", sent)
				}
			})
		})
	}
}

// dying is a connection after one of whose calls, with the answer on its way, the process dies.
type dying struct {
	next  http.RoundTripper
	after string
	dead  *atomic.Bool
}

func (d *dying) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.dead.Load() {
		return nil, errDead
	}
	ending := d.after != "chat.update"
	if strings.HasSuffix(r.URL.Path, "/chat.update") && !ending {
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			return nil, err
		}
		ending = strings.Contains(body.String(), "slack_file")
		r.Body = readCloser{strings.NewReader(body.String())}
	}
	answer, err := d.next.RoundTrip(r)
	d.dead.Store(ending && strings.HasSuffix(r.URL.Path, "/"+d.after))
	return answer, err
}

var _ Cards = lossy{&state.Store{}, nil}

// A graph that is slow to upload does not hold up another rollout's card.
func TestOtherCardsDoNotWaitForAGraph(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.cfg.HTTP.Transport = unprocessed{w.cfg.HTTP.Transport}
		w.run(w.bot())
		w.end(newStory(t), 8*time.Second)
		other := newStory(t)
		other.r.ID, other.r.Token = "xyz234", "command/2"
		other.r.Target.Environment, other.r.Lock.Target.Environment, other.r.Lock.Rollout = "production", "production", "xyz234"
		w.create(other)
		pass(2 * time.Second)
		if top, _ := w.channel(); len(top) != 2 {
			t.Errorf("%d cards while a graph is being processed\n%s", len(top), w.log)
		}
	})
}
