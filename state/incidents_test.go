package state

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/incident"
)

const acme = "acme-prod"

// holds checks whether owner gets, or keeps, the watch over acme for three units.
func (b *bench) holds(t *testing.T, owner string, want bool) {
	t.Helper()
	held, err := b.Incidents().Hold(t.Context(), acme, owner, 3*b.unit)
	if held != want || err != nil {
		t.Fatalf("%s holds the watch: %v, %v; want %v", owner, held, err, want)
	}
}

func (b *bench) yields(t *testing.T, owner string) {
	t.Helper()
	if err := b.Incidents().Yield(t.Context(), acme, owner); err != nil {
		t.Fatal(err)
	}
}

func TestWatchIsHeldByOne(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.holds(t, "one", true)
		b.holds(t, "two", false)
		b.pass(2 * b.unit)
		b.holds(t, "one", true) // which prolongs it
		b.pass(2 * b.unit)
		b.holds(t, "two", false)
		b.pass(2 * b.unit)
		b.holds(t, "two", true)
		b.holds(t, "one", false)

		b.yields(t, "one") // which has it no longer
		b.holds(t, "one", false)
		for range 2 { // the second as after a lost reply
			b.yields(t, "two")
		}
		b.holds(t, "one", true)

		held, err := b.Incidents().Hold(t.Context(), "acme-staging", "two", b.unit)
		if !held || err != nil {
			t.Errorf("the watch over another project: %v, %v", held, err)
		}
	})
}

func TestWatchNeeds(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		for name, try := range map[string]func() (bool, error){
			"no project": func() (bool, error) { return b.Incidents().Hold(t.Context(), "", "one", b.unit) },
			"no owner":   func() (bool, error) { return b.Incidents().Hold(t.Context(), acme, "", b.unit) },
			"no time":    func() (bool, error) { return b.Incidents().Hold(t.Context(), acme, "one", 0) },
		} {
			if held, err := try(); held || err == nil {
				t.Errorf("a watch with %s was given", name)
			}
		}
	})
}

// Of many who want the watch in the same moment exactly one gets it, each time that it gets free.
func TestManyWantTheWatch(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		for round := range 5 {
			var replicas sync.WaitGroup
			var holders, holder atomic.Int64
			for n := range int64(8) {
				replicas.Go(func() {
					held, err := b.Incidents().Hold(t.Context(), acme, fmt.Sprint("replica ", n), time.Hour)
					if err != nil {
						t.Error(err)
					}
					if held {
						holders.Add(1)
						holder.Store(n)
					}
				})
			}
			replicas.Wait()
			if holders.Load() != 1 {
				t.Errorf("round %d: %d hold the watch", round, holders.Load())
			}
			b.yields(t, fmt.Sprint("replica ", holder.Load()))
		}
	})
}

// Who comes late saves nothing, whether another has the watch by then or nobody.
func TestLateHolderIsFenced(t *testing.T) {
	for name, taken := range map[string]bool{"another has it": true, "nobody has it": false} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				b.holds(t, "one", true)
				version := b.save(t, "one", book("aaaaaa"), 0)
				b.pass(4 * b.unit)
				if taken {
					b.holds(t, "two", true)
				}
				if _, err := b.Incidents().SaveBook(t.Context(), acme, "one", book(), version); !errors.Is(err, incident.ErrFenced) {
					t.Errorf("the book: %v", err)
				}
				if err := b.Incidents().SaveWatches(t.Context(), acme, "one", []byte("{}")); !errors.Is(err, incident.ErrFenced) {
					t.Errorf("what it counted: %v", err)
				}
				b.wantBook(t, book("aaaaaa"), version)
				b.wantWatches(t, "")
			})
		})
	}
}

func TestLostReplyOfHold(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		s, lose := b.losing(t)
		lose()
		_, err := s.Incidents().Hold(t.Context(), acme, "one", 3*b.unit)
		lost(t, err)
		b.holds(t, "two", false)
		b.holds(t, "one", true)
	})
}

func TestIncidentsWithoutRedis(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.fault(down)
		for name, try := range map[string]func() error{
			"hold":      func() error { _, err := b.Incidents().Hold(t.Context(), acme, "one", b.unit); return err },
			"yield":     func() error { return b.Incidents().Yield(t.Context(), acme, "one") },
			"book":      func() error { _, _, err := b.Incidents().Book(t.Context(), acme); return err },
			"watches":   func() error { _, err := b.Incidents().Watches(t.Context(), acme); return err },
			"verifying": func() error { _, err := b.Verifying(t.Context()); return err },
			"origin":    func() error { _, _, err := b.Origin(t.Context(), backend, "backend-00042"); return err },
		} {
			if e, ok := errors.AsType[*Error](try()); !ok || e.Reason != unreachable {
				t.Errorf("%s: %v", name, e)
			}
		}
	})
}
