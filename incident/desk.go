package incident

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// desk is where a project's book is written: each change is stored before it counts, unless the store is away.
// Then it counts at once, and is stored once the store is back. Who reads does not wait for the store.
type desk struct {
	store   Store
	project string
	owner   string // "": a person's changes, which need no watch
	away    atomic.Bool
	writing chan struct{} // has room for the one whose turn it is to write
	stored  time.Time     // when the book was, last; only for whose turn it is

	mu      sync.Mutex // whose turn it is may read without it, and nobody else writes
	at      saved
	unsaved bool // the store does not have at.book
}

func newDesk(store Store, project, owner string, at saved) *desk {
	return &desk{store: store, project: project, owner: owner, writing: make(chan struct{}, 1), at: at}
}

func (d *desk) read() Book { return d.saved().book }

func (d *desk) saved() saved {
	d.mu.Lock()
	defer d.mu.Unlock()
	return saved{d.at.book.clone(), d.at.version}
}

// set is what only whose turn it is does.
func (d *desk) set(at saved, unsaved bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.unsaved = at, unsaved
}

// change makes a change. It may be made more than once, on what others changed in the meantime. An error of
// its own is returned, and nothing is changed then; one of the store only where nobody goes on from memory.
func (d *desk) change(ctx context.Context, edit func(*Book) error) error {
	d.writing <- struct{}{} // whatever ctx says: what was done in Slack must not be forgotten, and a turn is not long
	defer func() { <-d.writing }()
	for range 10 {
		b := d.read()
		if err := edit(&b); err != nil {
			return err
		}
		if !d.unsaved && b.tells(d.at.book) && time.Since(d.stored) < saveEvery {
			d.set(saved{b, d.at.version}, false)
			return nil
		}
		err := d.save(ctx, b)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := d.reload(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("the incidents of %s are changed by others all the time: %w", d.project, ErrConflict)
}

// save stores a book, or keeps it if the store is away.
func (d *desk) save(ctx context.Context, b Book) error {
	if d.away.Load() {
		d.set(saved{b, d.at.version}, true)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	version, err := d.store.SaveBook(ctx, d.project, d.owner, b, d.at.version)
	switch {
	case err == nil:
		d.set(saved{b, version}, false)
		d.stored = time.Now()
		return nil
	case errors.Is(err, ErrConflict), errors.Is(err, ErrFenced), d.owner == "":
		return err
	}
	d.set(saved{b, d.at.version}, true)
	return nil
}

// reload reads what others have changed. What the store does not have yet is laid over it.
func (d *desk) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	b, version, err := d.store.Book(ctx, d.project)
	if err != nil {
		return err
	}
	switch {
	case version == 0 && d.at.version != 0: // the store has forgotten it
		d.set(saved{d.at.book, 0}, true)
		return nil
	case d.unsaved:
		b = d.at.book.over(b)
	}
	d.set(saved{b, version}, d.unsaved)
	return nil
}

// refresh reads the book if others can have changed it, and stores what is unsaved.
func (d *desk) refresh(ctx context.Context) error {
	if d.isUnsaved() {
		return d.change(ctx, func(*Book) error { return nil })
	}
	d.writing <- struct{}{}
	defer func() { <-d.writing }()
	return d.reload(ctx)
}

// isUnsaved reports whether the store lacks something.
func (d *desk) isUnsaved() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unsaved
}

// clone copies what a change may change.
func (b Book) clone() Book {
	b.Incidents, b.Sources, b.Threads = slices.Clone(b.Incidents), slices.Clone(b.Sources), slices.Clone(b.Threads)
	for i := range b.Threads {
		b.Threads[i].Sent = maps.Clone(b.Threads[i].Sent)
	}
	return b
}

// over lays a book that was written from memory over what the store has: what people did there since counts,
// and what only the store knows is kept.
func (b Book) over(stored Book) Book {
	merged := b.clone()
	for _, theirs := range stored.Incidents {
		at := slices.IndexFunc(merged.Incidents, func(i Incident) bool { return i.ID == theirs.ID })
		switch {
		case at < 0:
			merged.Incidents = append(merged.Incidents, theirs)
		case theirs.ByAt.After(merged.Incidents[at].ByAt):
			merged.Incidents[at] = theirs
		}
	}
	for _, theirs := range stored.Threads {
		ours := merged.Thread(theirs.ID)
		if ours == nil {
			merged.Threads = append(merged.Threads, theirs)
			continue
		}
		ours.Doubts = theirs.Doubts
		if ours.Message.TS == "" {
			ours.Message = theirs.Message
		}
	}
	return merged
}
