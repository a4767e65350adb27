package bot

import (
	"bytes"
	"encoding/json"
	"errors"
	"image/png"
	"strings"
	"testing"
	"time"

	"slipway/chart"
	"slipway/incident"
	"slipway/plan"
	"slipway/sandbox/fakeslack"
)

// picture is the file that the one message shows; "": none.
func (m *monitor) picture() string {
	m.t.Helper()
	top, _ := m.w.channel()
	if len(top) != 1 {
		m.t.Fatalf("%d messages\n%s", len(top), m.w.log)
	}
	_, after, _ := strings.Cut(string(top[0].Blocks), `"slack_file":{"id":"`)
	file, _, _ := strings.Cut(after, `"`)
	return file
}

// flow adds the minutes that have passed since the case's time, as the last one.
func (m *monitor) flow() {
	about := m.c.About[staging("backend")]
	for last := about.Minutes[len(about.Minutes)-1]; last.At.Add(2 * time.Minute).Before(m.c.Now); {
		last.At = last.At.Add(time.Minute)
		about.Minutes = append(about.Minutes[1:], last)
	}
	m.c.About[staging("backend")] = about
}

func TestTheGraphComesOntoAnIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := firing(w)
		m.bot.teller.pictures.draw = chart.PNG
		if _, err := m.tell(); err != nil || m.picture() != "" || len(w.calls("files.getUploadURLExternal")) != 0 {
			t.Fatalf("%v, graph %q, %d uploads with the first word of it", err, m.picture(), len(w.calls("files.getUploadURLExternal")))
		}
		m.until(12 * time.Second)
		file := m.picture()
		content, kind, ok := w.File(file)
		if _, err := png.Decode(bytes.NewReader(content)); !ok || kind != "image/png" || err != nil {
			t.Fatalf("%q is %s, %v\n%s", file, kind, err, w.log)
		}
		for range 4 * 60 { // it is not drawn anew before its time, whatever the numbers do
			worsen(&m.c.Incidents[0])
			m.flow()
			m.until(time.Second)
		}
		if uploads := len(w.calls("files.getUploadURLExternal")); uploads != 1 || m.picture() != file {
			t.Errorf("%d uploads in four minutes", uploads)
		}
		m.flow()
		m.until(2 * time.Minute)
		if uploads := len(w.calls("files.getUploadURLExternal")); uploads != 2 || m.picture() == file {
			t.Errorf("%d uploads after five minutes", uploads)
		}
		m.say(incident.SayResolved, resolvedBy(incident.Person{}))
		m.c.Incidents[0].Resolved = m.c.Now
		m.until(time.Minute)
		last := m.picture()
		m.until(20 * time.Minute)
		if uploads := len(w.calls("files.getUploadURLExternal")); uploads != 3 || m.picture() != last {
			t.Errorf("%d uploads, one at the end", uploads)
		}
	})
}

// Without the right to upload there is no graph, and nothing goes wrong.
func TestAnIncidentWithoutTheRightToUpload(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Fault(fakeslack.Fault{Method: "files.getUploadURLExternal", Kind: fakeslack.FaultError, Code: "missing_scope", Count: 100})
		m := firing(w)
		m.until(time.Minute)
		if !m.kept.Bare || m.errs != 0 || m.picture() != "" || len(w.calls("files.getUploadURLExternal")) != 1 {
			t.Errorf("bare %v, %d errors, %d tries", m.kept.Bare, m.errs, len(w.calls("files.getUploadURLExternal")))
		}
		m.bot = w.bot() // which does not know it yet
		m.until(time.Minute)
		if len(w.calls("files.getUploadURLExternal")) != 1 {
			t.Error("another replica tried again")
		}
	})
}

// What fails for a while is tried again, and never for ever; the message is told all the same.
func TestGraphsOfIncidentsThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*world, *monitor)
		shown bool
		most  int // uploads in three minutes
	}{
		"busy": {func(w *world, _ *monitor) {
			w.Fault(fakeslack.Fault{Method: "files.getUploadURLExternal", Kind: fakeslack.FaultRateLimit, RetryAfter: 7 * time.Second})
		}, true, 2},
		"lost": {func(w *world, _ *monitor) {
			w.Fault(fakeslack.Fault{Method: "upload", Kind: fakeslack.FaultError, Code: "503"})
		}, true, 2},
		"looked for in vain": {func(w *world, _ *monitor) {
			w.Fault(fakeslack.Fault{Method: "files.info", Kind: fakeslack.FaultError, Code: "file_not_found"})
		}, true, 2},
		"never processed": {func(w *world, m *monitor) { w.cfg.HTTP.Transport = unprocessed{w.cfg.HTTP.Transport}; m.bot = w.bot() }, false, mostTries},
		"refused": {func(w *world, m *monitor) {
			w.cfg.HTTP.Transport = &declining{w.cfg.HTTP.Transport, 1000}
			m.bot = w.bot()
		}, false, 1},
		"cannot be drawn": {func(_ *world, m *monitor) {
			m.bot.teller.pictures.draw = func(chart.Graph) ([]byte, error) { return nil, errors.New("no ink") }
		}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				m := firing(w)
				tt.spoil(w, m)
				m.until(time.Minute)
				m.say(incident.SayUpdate, worsen)
				m.until(2 * time.Minute)
				top, _ := m.want(1, 1)
				if uploads := len(w.calls("files.getUploadURLExternal")); (m.picture() != "") != tt.shown || uploads > tt.most || m.errs > 0 {
					t.Errorf("graph %q, %d uploads, %d errors\n%s", m.picture(), uploads, m.errs, w.log)
				}
				if !strings.Contains(top[0].Text, "1,205 of 1,673") {
					t.Errorf("%q", top[0].Text)
				}
			})
		})
	}
}

func TestAlertGraph(t *testing.T) {
	fewer := func(requests int64) incident.Case {
		c := outage()
		about := c.About[staging("backend")]
		for n := range about.Minutes {
			about.Minutes[n].Requests = requests
			about.Minutes[n].Errors = min(about.Minutes[n].Errors, requests)
		}
		c.About[staging("backend")] = about
		return c
	}
	for name, c := range map[string]incident.Case{
		"firing": outage(), "resolved": become(resolvedBy(incident.Person{}))(), "joined": joined(), "ten": ten(), "few": fewer(5),
		"latency": alone(incident.Latency, func(*incident.Incident) {})(),
	} {
		g, alt, ok := alertGraph(newAlert(c, names, alertLook))
		if !ok {
			t.Fatalf("%s: there is no graph", name)
		}
		if _, err := chart.PNG(g); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		raw, err := json.MarshalIndent(struct {
			Alt   string
			Graph chart.Graph
		}{alt, g}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "incident_graph_"+name+".json", append(raw, '\n'))
	}
	for name, c := range map[string]incident.Case{
		"nothing counted": fewer(0), "too few": fewer(1), "pinned": alone(incident.Pinned, func(*incident.Incident) {})(),
		"unknown": {Incidents: []incident.Incident{{}}, About: map[plan.Target]incident.About{}},
	} {
		if g, _, ok := alertGraph(newAlert(c, names, alertLook)); ok {
			t.Errorf("%s: %+v", name, g)
		}
	}
}
