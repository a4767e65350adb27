package state

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/incident"
)

// save saves a book, and fails the test if that is refused.
func (b *bench) save(t *testing.T, owner string, book incident.Book, version int64) int64 {
	t.Helper()
	saved, err := b.Incidents().SaveBook(t.Context(), acme, owner, book, version)
	if err != nil || saved <= version {
		t.Fatalf("version %d was replaced by %d, %v", version, saved, err)
	}
	return saved
}

// wantBook checks what is stored.
func (b *bench) wantBook(t *testing.T, want incident.Book, version int64) {
	t.Helper()
	got, at, err := b.Incidents().Book(t.Context(), acme)
	if err != nil || at != version || encoded(t, got) != encoded(t, want) {
		t.Fatalf("the book is %s at %d, %v; want %s at %d", encoded(t, got), at, err, encoded(t, want), version)
	}
}

// book holds incidents with the IDs, and what a store that reads it could spoil: an empty list, a large number, a fraction.
func book(ids ...string) incident.Book {
	var b incident.Book
	for _, id := range ids {
		b.Incidents = append(b.Incidents, incident.Incident{
			ID: id, State: incident.Firing, Opened: time.Unix(1795300000, 123456789).UTC(),
			Reading: incident.Reading{
				Key: incident.Key{Target: backend, Kind: incident.ErrorRate}, Limit: 0.0321,
				Groups: []incident.Group{}, Evidence: incident.Evidence{Requests: 9007199254740991},
			},
		})
	}
	return b
}

func TestBook(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.wantBook(t, incident.Book{}, 0)
		b.holds(t, "one", true)
		first := b.save(t, "one", book("aaaaaa"), 0)
		b.wantBook(t, book("aaaaaa"), first)
		second := b.save(t, "", book("aaaaaa", "bbbbbb"), first) // a person's change
		third := b.save(t, "one", book("bbbbbb"), second)
		b.wantBook(t, book("bbbbbb"), third)
		if ttl := b.client.TTL(t.Context(), slipway.book(acme)).Val(); ttl < 89*24*time.Hour || ttl > 90*24*time.Hour {
			t.Errorf("the book expires in %s, want 90 days", ttl)
		}
		if _, version, err := b.Incidents().Book(t.Context(), "acme-staging"); version != 0 || err != nil {
			t.Errorf("the book of another project has version %d, %v", version, err)
		}
	})
}

func TestBookIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		owner   string
		version func(now int64) int64
		want    error
	}{
		"an older version":              {"one", func(now int64) int64 { return now - 1 }, incident.ErrConflict},
		"a newer version":               {"one", func(now int64) int64 { return now + 1 }, incident.ErrConflict},
		"a new book over one":           {"one", func(int64) int64 { return 0 }, incident.ErrConflict},
		"a person's, of an old version": {"", func(now int64) int64 { return now - 1 }, incident.ErrConflict},
		"without the watch":             {"two", func(now int64) int64 { return now }, incident.ErrFenced},
		"without it, and old":           {"two", func(now int64) int64 { return now - 1 }, incident.ErrFenced},
	} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				b.holds(t, "one", true)
				now := b.save(t, "one", book("aaaaaa"), 0)
				got, err := b.Incidents().SaveBook(t.Context(), acme, tt.owner, book("bbbbbb"), tt.version(now))
				if got != 0 || !errors.Is(err, tt.want) {
					t.Errorf("saved as %d, %v; want %v", got, err, tt.want)
				}
				b.wantBook(t, book("aaaaaa"), now)
			})
		})
	}
}

// A version from before Redis lost its data fits no book that was written since, however often that was saved.
func TestBookAfterRedisLostIt(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		old := b.save(t, "", book("aaaaaa"), 0)
		if err := b.client.Del(t.Context(), slipway.book(acme)).Err(); err != nil {
			t.Fatal(err)
		}
		save := func() error {
			_, err := b.Incidents().SaveBook(t.Context(), acme, "", book("bbbbbb"), old)
			return err
		}
		if err := save(); !errors.Is(err, incident.ErrConflict) {
			t.Fatalf("over the book that is gone: %v", err)
		}
		b.wantBook(t, incident.Book{}, 0)
		b.pass(b.unit / 10)
		if anew := b.save(t, "", book("aaaaaa"), 0); anew <= old {
			t.Errorf("the new book has version %d, the lost one had %d", anew, old)
		}
		if err := save(); !errors.Is(err, incident.ErrConflict) {
			t.Errorf("over the new book: %v", err)
		}
	})
}

// Several change the book at the same time, and what each of them did is in it.
func TestChangesOfABookAreNotLost(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		var people sync.WaitGroup
		var want []string
		for n := range 6 {
			id := fmt.Sprintf("id%d", n)
			want = append(want, id)
			people.Go(func() { b.adds(t, id) })
		}
		people.Wait()
		got, _, err := b.Incidents().Book(t.Context(), acme)
		var ids []string
		for _, i := range got.Incidents {
			ids = append(ids, i.ID)
		}
		if slices.Sort(ids); !slices.Equal(ids, want) || err != nil {
			t.Errorf("the book has %q, %v; want %q", ids, err, want)
		}
	})
}

// adds appends an incident, as often as somebody else was first.
func (b *bench) adds(t *testing.T, id string) {
	t.Helper()
	for {
		current, version, err := b.Incidents().Book(t.Context(), acme)
		if err != nil {
			t.Error(err)
			return
		}
		current.Incidents = append(current.Incidents, incident.Incident{ID: id})
		_, err = b.Incidents().SaveBook(t.Context(), acme, "", current, version)
		if errors.Is(err, incident.ErrConflict) {
			continue
		}
		if err != nil {
			t.Error(err)
		}
		return
	}
}

func TestBookThatCannotBeRead(t *testing.T) {
	newer := func(err error) bool {
		e, ok := errors.AsType[*SchemaError](err)
		return ok && e.Found == bookSchema+1 && e.Known == bookSchema && strings.HasPrefix(e.SafeReason(), "The book of acme-prod's incidents was written by a newer")
	}
	unreadable := func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "the book of acme-prod's incidents cannot be read; if the key {slipway}:book:acme-prod is deleted")
	}
	for name, tt := range map[string]struct {
		field, value string
		is           func(error) bool
		saved        func(error) bool
	}{
		"of a newer schema": {"schema", fmt.Sprint(bookSchema + 1), newer, newer},
		"of no schema":      {"schema", "", unreadable, conflict},
		"of no version":     {"version", "", unreadable, conflict},
		"not JSON":          {"book", "{", unreadable, conflict},
	} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				version := b.save(t, "", book("aaaaaa"), 0)
				b.client.HSet(t.Context(), slipway.book(acme), tt.field, tt.value)
				before := b.client.HGetAll(t.Context(), slipway.book(acme)).Val()
				if _, _, err := b.Incidents().Book(t.Context(), acme); !tt.is(err) {
					t.Errorf("the book: %v", err)
				}
				for _, over := range []int64{0, version - 1} { // its version was never learned
					if _, err := b.Incidents().SaveBook(t.Context(), acme, "", book(), over); !tt.saved(err) {
						t.Errorf("saved over it with version %d: %v", over, err)
					}
				}
				if after := b.client.HGetAll(t.Context(), slipway.book(acme)).Val(); !reflect.DeepEqual(before, after) {
					t.Errorf("it was changed to %v", after)
				}
			})
		})
	}
}

func conflict(err error) bool { return errors.Is(err, incident.ErrConflict) }

// A repeated save finds what it saved, also when the watch was lost meanwhile; once somebody has changed the book
// it is a conflict.
func TestLostReplyOfSaveBook(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		s, lose := b.losing(t)
		b.holds(t, "one", true)
		var version int64
		for _, saved := range []incident.Book{book("aaaaaa"), book("bbbbbb")} {
			lose()
			_, err := s.Incidents().SaveBook(t.Context(), acme, "one", saved, version)
			lost(t, err)
			b.yields(t, "one")
			again := b.save(t, "one", saved, version)
			b.wantBook(t, saved, again)
			if _, err := s.Incidents().SaveBook(t.Context(), acme, "", book("cccccc"), version); !errors.Is(err, incident.ErrConflict) {
				t.Errorf("another book over version %d: %v", version, err)
			}
			b.holds(t, "one", true)
			version = again
		}
		before := version
		version = b.save(t, "", book("cccccc"), before)
		b.save(t, "", book("bbbbbb"), version)
		if _, err := s.Incidents().SaveBook(t.Context(), acme, "", book("cccccc"), before); !errors.Is(err, incident.ErrConflict) {
			t.Errorf("the repetition after another's change: %v", err)
		}
	})
}
