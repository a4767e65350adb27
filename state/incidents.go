package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"slipway/incident"
)

// bookSchema is the version of the book's JSON. A newer one is left alone by an older bot. An older bot of the
// same schema drops the fields that it does not know, so that one which must not get lost takes a new number.
const bookSchema = 1

// Incidents implements incident.Store: what replicas that watch the services of a project share. It may be used
// by several goroutines. A failure of Redis is an *Error.
type Incidents struct{ s *Store }

var _ incident.Store = Incidents{}

// Incidents returns the part of the store that keeps incidents. It has a type of its own because both an envelope
// and a watch are held.
func (s *Store) Incidents() Incidents { return Incidents{s} }

// Hold gives owner the watch over a project for ttl by Redis' clock, or prolongs it. Nobody has it after that
// time; whoever was late has to take it as anybody else.
func (i Incidents) Hold(ctx context.Context, project, owner string, ttl time.Duration) (held bool, err error) {
	if project == "" || owner == "" || ttl <= 0 {
		return false, errors.New("a watch needs a project, an owner and how long it lasts")
	}
	got, err := i.s.run(ctx, "hold watch", i.s.scripts.holdWatch, []string{slipway.watch(project)}, owner, ttl.Microseconds())
	if err != nil {
		return false, err
	}
	switch got.status() {
	case "ok":
		return true, nil
	case "held":
		return false, nil
	}
	return false, got.unknown("hold watch")
}

// Yield gives the watch up at once, if owner has it.
func (i Incidents) Yield(ctx context.Context, project, owner string) error {
	got, err := i.s.run(ctx, "yield watch", i.s.scripts.yieldWatch, []string{slipway.watch(project)}, owner)
	if err == nil && got.status() != "ok" {
		err = got.unknown("yield watch")
	}
	return err
}

// Book returns a project's book; version 0: there is none. It is a *SchemaError if a newer version of Slipway
// wrote it.
func (i Incidents) Book(ctx context.Context, project string) (incident.Book, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, i.s.o.Timeout)
	defer cancel()
	fields, err := i.s.c.HGetAll(ctx, slipway.book(project)).Result()
	if err != nil {
		return incident.Book{}, 0, failed("book", err)
	}
	if len(fields) == 0 {
		return incident.Book{}, 0, nil
	}
	return decodeBook(project, fields["schema"], fields["version"], fields["book"])
}

// decodeBook reads a book, unless its schema is newer than ours.
func decodeBook(project, schema, version, document string) (incident.Book, int64, error) {
	unreadable := func(err error) (incident.Book, int64, error) {
		return incident.Book{}, 0, fmt.Errorf("%s cannot be read; if the key %s is deleted, a new one begins: %w", bookOf(project), slipway.book(project), err)
	}
	found, err := strconv.Atoi(schema)
	if err != nil {
		return unreadable(fmt.Errorf("its schema: %w", err))
	}
	if found > bookSchema {
		return incident.Book{}, 0, &SchemaError{Record: bookOf(project), Found: found, Known: bookSchema}
	}
	var b incident.Book
	if err := json.Unmarshal([]byte(document), &b); err != nil {
		return unreadable(err)
	}
	number, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return unreadable(fmt.Errorf("its version: %w", err))
	}
	return b, number, nil
}

func bookOf(project string) string { return "the book of " + project + "'s incidents" }

// SaveBook replaces the book whose version is given, 0: the one that is not there, for Options.Retention, and
// returns the new version, which is greater also if Redis lost the book in between. If this very book is stored
// already in place of that version, it reports success.
//
// incident.ErrConflict: the version is another one by now, or the book is gone. incident.ErrFenced: owner is not
// "", and has not the watch. A *SchemaError: a newer version of Slipway has written the book, and it stays.
func (i Incidents) SaveBook(ctx context.Context, project, owner string, b incident.Book, version int64) (int64, error) {
	document, err := json.Marshal(b)
	if err != nil {
		return 0, fmt.Errorf("encode %s: %w", bookOf(project), err)
	}
	got, err := i.s.run(ctx, "save book", i.s.scripts.saveBook, []string{slipway.book(project), slipway.watch(project)},
		owner, bookSchema, version, document, seconds(i.s.o.Retention))
	if err != nil {
		return 0, err
	}
	switch got.status() {
	case "ok":
		return strconv.ParseInt(got.value(0), 10, 64)
	case "conflict":
		return 0, incident.ErrConflict
	case "fenced":
		return 0, incident.ErrFenced
	case "newer":
		found, err := strconv.Atoi(got.value(0))
		return 0, errors.Join(err, &SchemaError{Record: bookOf(project), Found: found, Known: bookSchema})
	}
	return 0, got.unknown("save book")
}
