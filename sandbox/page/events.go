package page

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	coalesce  = 100 * time.Millisecond // at least between two updates of a page
	keepAlive = 15 * time.Second       // a silent stream says that it is there
)

// picture is all that can change on a page: HTML by the element's id, and which elements each list
// has, in order.
type picture struct {
	html  map[string]string
	lists map[string][]string
}

// patch is what became of a picture.
type patch struct {
	Set   map[string]string   `json:"set,omitempty"`
	Lists map[string][]string `json:"lists,omitempty"`
}

// since is what has changed from the picture before; the zero picture was empty.
func (now picture) since(before picture) (patch, bool) {
	d := patch{Set: map[string]string{}, Lists: map[string][]string{}}
	for id, html := range now.html {
		if old, known := before.html[id]; !known || old != html {
			d.Set[id] = html
		}
	}
	for id, list := range now.lists {
		if old, known := before.lists[id]; !known || !slices.Equal(old, list) {
			d.Lists[id] = list
		}
	}
	return d, len(d.Set)+len(d.Lists) > 0
}

// serveEvents streams what changes at the place that "at" names. It begins with all of it, so that a
// page that lost its stream needs nothing else to be right again.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	if !p.enter() {
		http.Error(w, "the sandbox has ended", http.StatusServiceUnavailable)
		return
	}
	defer p.work.Done()
	at, err := url.Parse(r.URL.Query().Get("at"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	where, err := p.find(at, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	defer p.watch()()
	if where.Home {
		p.openHome(where)
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	if err := p.stream(ctx, w, where); err != nil {
		p.cfg.Log.Debug("page stream ended", "err", err)
	}
}

func (p *Page) stream(ctx context.Context, w http.ResponseWriter, where place) error {
	flush := http.NewResponseController(w)
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	var before picture
	for {
		slack, cloud, own := p.cfg.Slack.Changed(), p.cloudChanged(), p.changes()
		now, err := p.paint(where)
		if err != nil {
			return err
		}
		if d, changed := now.since(before); changed {
			if err := send(w, d); err != nil {
				return err
			}
		}
		before = now
		if err := flush.Flush(); err != nil {
			return err
		}
		if !pause(ctx, coalesce) {
			return nil
		}
		select {
		case <-slack:
		case <-cloud:
		case <-own:
		case <-alive.C:
			if _, err := fmt.Fprint(w, ": here\n\n"); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func send(w http.ResponseWriter, d patch) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "data: %s\n\n", data)
	return err
}

// pause reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
