package state

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/redis/go-redis/v9"

	"slipway/incident"
)

// Watches returns what the holder of the watch over a project has counted, as it was saved; nil: nothing yet.
func (i Incidents) Watches(ctx context.Context, project string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, i.s.o.Timeout)
	defer cancel()
	packed, err := i.s.c.Get(ctx, slipway.watches(project)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, failed("watches", err)
	}
	watches, err := unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("what was counted in %s cannot be read: %w", project, err)
	}
	return watches, nil
}

// SaveWatches keeps what was counted for Options.Retention; incident.ErrFenced if owner has not the watch.
func (i Incidents) SaveWatches(ctx context.Context, project, owner string, watches []byte) error {
	packed, err := pack(watches)
	if err != nil {
		return fmt.Errorf("pack what was counted in %s: %w", project, err)
	}
	got, err := i.s.run(ctx, "save watches", i.s.scripts.saveWatches, []string{slipway.watches(project), slipway.watch(project)},
		owner, packed, seconds(i.s.o.Retention))
	if err != nil {
		return err
	}
	switch got.status() {
	case "ok":
		return nil
	case "fenced":
		return incident.ErrFenced
	}
	return got.unknown("save watches")
}

// pack compresses: the counts of a service are JSON of hundreds of kilobytes, written again and again.
func pack(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return packed.Bytes(), err
}

func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
