package bot

import (
	"context"
	"errors"
	"time"

	"slipway/incident"
)

// This file brings the graph to an incident's message. The message goes out without it; then each call of Tell
// that has nothing else to do takes one step: it uploads a graph, looks whether Slack has processed it, and the
// next edit shows it. What is on its way is known to this process only: another draws its own.

// graphEvery is how often a graph is drawn anew.
const graphEvery = 5 * time.Minute

// drawing is a graph on its way to Slack, or one that could not be sent.
type drawing struct {
	file  string    // "": none is on its way
	shows time.Time // until when
	until time.Time // when Slack has to have processed it; without a file, when to try again
	tries int       // that failed one after the other
}

// illustrate takes the next step to the graph. again is when to call at the latest: what it is given, or sooner.
func (t *telling) illustrate(ctx context.Context, again time.Duration) (time.Duration, error) {
	d := t.drawing()
	switch {
	case t.m.Bare:
		return again, nil
	case t.pictures.denied.Load():
		return again, t.bare()
	case d.file != "":
		return t.arrived(ctx, d, again)
	case !t.stale():
		return again, nil
	case time.Now().Before(d.until):
		return sooner(again, time.Until(d.until)), nil
	}
	return t.upload(ctx, d, again)
}

// illustrateNext is when to call for that step, if there is one: not in a call that has told something, which
// should be known as told soon.
func (t *telling) illustrateNext(again time.Duration) time.Duration {
	d := t.drawing()
	if t.m.Bare || d.file == "" && (!t.stale() || time.Now().Before(d.until)) {
		return again
	}
	return sooner(again, lookAfter)
}

func sooner(again, other time.Duration) time.Duration {
	if again == 0 {
		return other
	}
	return min(again, other)
}

// stale reports whether there is a better graph to draw than the one that is shown: after five minutes as long
// as it is news, and once more at the end.
func (t *telling) stale() bool {
	a := newAlert(t.c, t.names, AlertLook{})
	if t.m.GraphAt.IsZero() {
		return true
	}
	if a.over() {
		return t.m.GraphAt.Before(a.end())
	}
	return !a.some(incident.Silenced) && t.c.Now.Sub(t.m.GraphAt) >= graphEvery
}

// upload draws the graph and sends it.
func (t *telling) upload(ctx context.Context, d drawing, again time.Duration) (time.Duration, error) {
	a := newAlert(t.c, t.names, AlertLook{})
	g, alt, ok := alertGraph(a)
	if !ok {
		return again, nil
	}
	image, err := t.pictures.png(g)
	var to place
	if err == nil {
		to, err = t.pictures.reserve(ctx, alt, len(image))
	}
	if err == nil {
		err = t.pictures.send(ctx, to, g.Title, image)
	}
	if err != nil {
		return t.failed(d, err, again)
	}
	t.remember(drawing{file: to.id, shows: latestOf(t.c.Now, a.end()), until: time.Now().Add(readyTime), tries: d.tries})
	return sooner(again, lookAfter), nil
}

// arrived looks whether a graph may be shown, and makes it part of the message: the next edit shows it.
func (t *telling) arrived(ctx context.Context, d drawing, again time.Duration) (time.Duration, error) {
	ready, err := t.pictures.ready(ctx, d.file)
	if err == nil && !ready && time.Now().After(d.until) {
		err = errNoFile
	}
	switch {
	case err != nil:
		return t.failed(d, err, again)
	case !ready:
		return sooner(again, lookAfter), nil
	}
	t.remember(drawing{})
	t.m.Graph, t.m.GraphAt = d.file, d.shows
	if err := t.keep(); err != nil {
		return 0, err
	}
	next, err := t.edit(ctx)
	return next, err
}

// failed says when to try again. That there is no graph is no reason to call the message untold.
func (t *telling) failed(d drawing, err error, again time.Duration) (time.Duration, error) {
	hopeless := !errors.Is(err, errNoFile) && t.pictures.hopeless(err)
	if t.pictures.denied.Load() {
		return again, t.bare()
	}
	d = drawing{tries: d.tries + 1, until: time.Now().Add(max(pauseAfter(err), failPause))}
	if hopeless || d.tries >= mostTries {
		d = drawing{until: time.Now().Add(graphEvery)}
	}
	t.log.Warn("an incident goes without a new graph for now", "incident", t.c.Thread.ID, "err", err)
	t.remember(d)
	return sooner(again, time.Until(d.until)), nil
}

// bare notes that no graph can be shown.
func (t *telling) bare() error {
	t.m.Bare = true
	return t.keep()
}

func (t *telling) drawing() drawing {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.drawings[t.c.Thread.ID]
}

// remember keeps what is on its way, and forgets what no call has come for in a long time.
func (t *telling) remember(d drawing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for thread, other := range t.drawings {
		if time.Since(other.until) > time.Hour {
			delete(t.drawings, thread)
		}
	}
	if d == (drawing{}) {
		delete(t.drawings, t.c.Thread.ID)
		return
	}
	t.drawings[t.c.Thread.ID] = d
}
