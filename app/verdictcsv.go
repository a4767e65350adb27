package app

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway/plan"
	"slipway/verdict"
)

// columns are what a file of buckets may have, by the names in its first line and in any order.
func columns() []string { return []string{"requests", "errors", "dropped", "at"} }

// byteOrderMark is what spreadsheets put before a CSV file in UTF-8.
const byteOrderMark = "\ufeff"

// readBuckets reads the buckets of a CSV file (RFC 4180). Its errors name the file, the line and the
// column, from 1 on, as an editor does; name is what they call the file.
func readBuckets(name string, r io.Reader) ([]verdict.Bucket, error) {
	text := bufio.NewReader(r)
	if mark, err := text.Peek(len(byteOrderMark)); err == nil && string(mark) == byteOrderMark {
		if _, err := text.Discard(len(byteOrderMark)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	t := table{name: name, reader: csv.NewReader(text)}
	t.reader.TrimLeadingSpace = true
	if err := t.header(); err != nil {
		return nil, err
	}
	var buckets []verdict.Bucket
	for {
		row, err := t.reader.Read()
		if errors.Is(err, io.EOF) {
			return buckets, nil
		}
		if err != nil {
			return nil, t.broken(err)
		}
		b, err := t.bucket(row)
		if err != nil {
			return nil, err
		}
		buckets = append(buckets, b)
	}
}

// table is a CSV file that is being read.
type table struct {
	name   string
	reader *csv.Reader
	at     map[string]int // the place of each column
	last   time.Time
}

func (t *table) header() error {
	row, err := t.reader.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s is empty: its first line has to be requests,errors", t.name)
	}
	if err != nil {
		return t.broken(err)
	}
	t.at = map[string]int{}
	for i, field := range row {
		column := strings.ToLower(strings.TrimSpace(field))
		if !slices.Contains(columns(), column) {
			hint := "possible are " + strings.Join(columns(), ", ")
			if near, ok := plan.Nearest(column, columns()); ok {
				hint = "did you mean " + near + "?"
			}
			return t.errorf(i, "there is no column %q; %s", field, hint)
		}
		if _, twice := t.at[column]; twice {
			return t.errorf(i, "the column %s is there twice", column)
		}
		t.at[column] = i
	}
	for _, column := range columns()[:2] {
		if _, ok := t.at[column]; !ok {
			return t.errorf(0, "the first line has to name the columns, and %s is missing, as in requests,errors", column)
		}
	}
	return nil
}

func (t *table) bucket(row []string) (verdict.Bucket, error) {
	var b verdict.Bucket
	for _, field := range []struct {
		column string
		to     *int64
	}{{"requests", &b.Requests}, {"errors", &b.Errors}, {"dropped", &b.Dropped}} {
		i, ok := t.at[field.column]
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(row[i]), 10, 64)
		if err != nil || n < 0 {
			return b, t.errorf(i, "%q is no number of %s: it has to be 0 or more, without separators", row[i], field.column)
		}
		*field.to = n
	}
	if b.Errors > b.Requests {
		return b, t.errorf(t.at["errors"], "%d errors in %d requests: there cannot be more", b.Errors, b.Requests)
	}
	i, ok := t.at["at"]
	if !ok {
		return b, nil
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(row[i]))
	if err != nil {
		return b, t.errorf(i, "%q is no time: write it as 2026-10-21T10:00:00Z", row[i])
	}
	if !at.After(t.last) {
		return b, t.errorf(i, "%s is not after the line before it: sort the lines, and give each slice of time once", row[i])
	}
	b.At, t.last = at, at
	return b, nil
}

func (t *table) errorf(field int, format string, args ...any) error {
	line, column := t.reader.FieldPos(field)
	return fmt.Errorf("%s:%d:%d: %s", t.name, line, column, fmt.Sprintf(format, args...))
}

// broken is an error in the form of the file, in the same words.
func (t *table) broken(err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return fmt.Errorf("%s:%d:%d: %w", t.name, parse.Line, parse.Column, parse.Err)
}
