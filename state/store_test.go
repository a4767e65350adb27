package state

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"slipway/rollout"
)

func TestCreate(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		want := sample("aaaaaa", staging)
		got, err := b.Create(t.Context(), want, []rollout.Event{{Seq: 1, Kind: rollout.Created}})
		if err != nil {
			t.Fatal(err)
		}
		if got.Lock.Fence < 1e12 {
			t.Errorf("the lock's fence is %d, want microseconds", got.Lock.Fence)
		}
		want.Lock.Fence = got.Lock.Fence
		loaded, err := b.Load(t.Context(), "aaaaaa")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) || encoded(t, loaded) != encoded(t, want) {
			t.Errorf("stored %s\nwant %s", encoded(t, loaded), encoded(t, want))
		}
		if _, err := b.Load(t.Context(), "zzzzzz"); !errors.Is(err, rollout.ErrNotFound) {
			t.Errorf("load of an unknown rollout: %v", err)
		}
	})
}

// encoded is the JSON of a snapshot or a book: that is what has to survive, down to [] and large numbers.
func encoded(t *testing.T, document any) string {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCreateAgain(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		first := b.start(t, "aaaaaa", staging)
		moved := b.commit(t, first, 0, rollout.Hold, time.Time{})

		repeated := sample("bbbbbb", staging) // the token decides, not the ID
		repeated.Token = first.Token
		got, err := b.Create(t.Context(), repeated, nil)
		if err != nil || got.ID != "aaaaaa" || got.Version != moved.Version || got.Lock.Fence != first.Lock.Fence {
			t.Errorf("the same token gave %s version %d, %v", got.ID, got.Version, err)
		}
		if _, err := b.Load(t.Context(), "bbbbbb"); !errors.Is(err, rollout.ErrNotFound) {
			t.Errorf("the repetition was stored: %v", err)
		}

		other := sample("aaaaaa", auth)
		other.Token = "another"
		if _, err := b.Create(t.Context(), other, nil); !errors.Is(err, rollout.ErrIDTaken) {
			t.Errorf("an ID that is taken: %v", err)
		}
	})
}

func TestCreateNeeds(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		for name, spoil := range map[string]func(*rollout.Rollout){
			"id":             func(r *rollout.Rollout) { r.ID, r.Lock.Rollout = "", "" },
			"token":          func(r *rollout.Rollout) { r.Token = "" },
			"target":         func(r *rollout.Rollout) { r.Target.Environment = "" },
			"lock elsewhere": func(r *rollout.Rollout) { r.Lock.Target.Environment = "prod" },
			"lock of others": func(r *rollout.Rollout) { r.Lock.Rollout = "bbbbbb" },
		} {
			r := sample("aaaaaa", staging)
			spoil(&r)
			if _, err := b.Create(t.Context(), r, nil); err == nil {
				t.Errorf("a rollout with a wrong %s was stored", name)
			}
		}
	})
}

func TestCommitCompares(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		second, events := next(r)
		commit := rollout.Commit{Rollout: second, Events: events, Then: rollout.Hold}
		for _, what := range []string{"commit", "the same commit again"} {
			if err := b.Commit(t.Context(), commit); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		rival := second
		rival.Status = rollout.Waiting
		skipped, _ := next(second)
		skipped.Version++
		unknown := second
		unknown.ID = "zzzzzz"
		for name, c := range map[string]struct {
			r    rollout.Rollout
			want error
		}{
			"another snapshot of this version": {rival, rollout.ErrConflict},
			"an older version":                 {r, rollout.ErrConflict},
			"a version after the next":         {skipped, rollout.ErrConflict},
			"an unknown rollout":               {unknown, rollout.ErrNotFound},
		} {
			if err := b.Commit(t.Context(), rollout.Commit{Rollout: c.r, Events: events}); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		stored, err := b.Load(t.Context(), "aaaaaa")
		if err != nil || encoded(t, stored) != encoded(t, second) {
			t.Errorf("a refused commit changed the snapshot (%v)", err)
		}
	})
}

func TestEvents(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		r.Version, r.Events = 2, 12
		var events []rollout.Event
		for seq := int64(2); seq <= 12; seq++ {
			kind := rollout.StepStarted
			if seq%2 == 0 {
				kind = rollout.StepProgress
			}
			events = append(events, rollout.Event{Seq: seq, Kind: kind, Reason: "event"})
		}
		c := rollout.Commit{Rollout: r, Events: events}
		if err := errors.Join(b.Commit(t.Context(), c), b.Commit(t.Context(), c)); err != nil {
			t.Fatal(err)
		}
		for after, want := range map[int64][]int64{0: {1, 3, 5, 7, 9, 11}, 3: {5, 7, 9, 11}, 10: {11}, 11: nil} {
			got, err := b.Events(t.Context(), "aaaaaa", after)
			if err != nil {
				t.Fatal(err)
			}
			var seqs []int64
			for _, e := range got {
				seqs = append(seqs, e.Seq)
			}
			if !reflect.DeepEqual(seqs, want) {
				t.Errorf("events after %d: %v, want %v", after, seqs, want)
			}
		}
	})
}

func TestEnd(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		first, second := b.start(t, "aaaaaa", backend), b.start(t, "bbbbbb", auth)
		list, err := b.Active(t.Context())
		wantIDs(t, list, err, "aaaaaa", "bbbbbb")

		b.commit(t, second, 0, rollout.Over, time.Time{})
		list, err = b.Active(t.Context())
		wantIDs(t, list, err, "aaaaaa")
		if l, held, err := b.Holder(t.Context(), auth); held || err != nil {
			t.Errorf("the lock of the ended rollout is held by %v, %v", l, err)
		}
		if l, held, err := b.Holder(t.Context(), backend); !held || l.Rollout != "aaaaaa" || l.Fence != first.Lock.Fence || err != nil {
			t.Errorf("the lock of the other rollout: %+v, %v, %v", l, held, err)
		}
		b.pass(b.unit / 10)
		b.commit(t, first, 0, rollout.Over, time.Time{})
		list, err = b.History(t.Context(), "staging", 10)
		wantIDs(t, list, err, "aaaaaa", "bbbbbb")
		list, err = b.History(t.Context(), "staging", 1)
		wantIDs(t, list, err, "aaaaaa")
		list, err = b.History(t.Context(), "prod", 10)
		wantIDs(t, list, err)
		b.claim(t, "one", "")
	})
}

func TestEndedRolloutsExpire(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		card, _, err := b.ClaimCard(t.Context(), "poster", b.unit)
		if err != nil {
			t.Fatal(err)
		}
		r = b.commit(t, r, 0, rollout.Over, time.Time{})
		card.Version, card.Cursor = r.Version, r.Events
		if err := b.ReleaseCard(t.Context(), "poster", card, 0); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{slipway.rollout(r.ID), slipway.events(r.ID), slipway.card(r.ID), slipway.token(r.Token)} {
			ttl := b.client.TTL(t.Context(), key).Val()
			if ttl < 89*24*time.Hour || ttl > 90*24*time.Hour {
				t.Errorf("%s expires in %s, want 90 days", key, ttl)
			}
		}
		late, _ := next(r) // somebody still had the page open
		if err := b.Commit(t.Context(), rollout.Commit{Rollout: late, Then: rollout.Hold}); err != nil {
			t.Fatal(err)
		}
		b.claim(t, "one", "")
		if ttl := b.client.TTL(t.Context(), slipway.rollout(r.ID)).Val(); ttl <= 0 {
			t.Errorf("a commit after the end took the expiry away: %s", ttl)
		}
	})
}

func TestHistoryIsTrimmed(t *testing.T) {
	embedded().run(t, func(t *testing.T, b *bench) {
		b.commit(t, b.start(t, "aaaaaa", staging), 0, rollout.Over, time.Time{})
		b.pass(91 * 24 * time.Hour)
		b.commit(t, b.start(t, "bbbbbb", staging), 0, rollout.Over, time.Time{})
		left := b.client.ZCard(t.Context(), slipway.history("staging")).Val()
		list, err := b.History(t.Context(), "staging", 10)
		wantIDs(t, list, err, "bbbbbb")
		if left != 1 {
			t.Errorf("%d entries are left", left)
		}
	})
}

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		newer := sample("aaaaaa", backend)
		newer.Schema = rollout.Schema + 1
		if _, err := b.Create(t.Context(), newer, nil); err != nil {
			t.Fatal(err)
		}
		before := b.client.HGetAll(t.Context(), slipway.rollout("aaaaaa")).Val()
		b.start(t, "bbbbbb", auth)

		_, err := b.Load(t.Context(), "aaaaaa")
		if e, ok := errors.AsType[*SchemaError](err); !ok || e.Record != "rollout aaaaaa" || e.Found != rollout.Schema+1 {
			t.Errorf("load: %v", err)
		}
		list, err := b.Active(t.Context())
		wantIDs(t, list, err, "bbbbbb")
		b.claim(t, "one", "bbbbbb")
		b.claim(t, "one", "")
		card, ok, err := b.ClaimCard(t.Context(), "poster", b.unit)
		if card.Rollout != "bbbbbb" || err != nil {
			t.Errorf("claimed the card of %q, %v, %v", card.Rollout, ok, err)
		}
		if card, ok, _ := b.ClaimCard(t.Context(), "poster", b.unit); ok {
			t.Errorf("claimed the card of %q", card.Rollout)
		}
		if after := b.client.HGetAll(t.Context(), slipway.rollout("aaaaaa")).Val(); !reflect.DeepEqual(before, after) {
			t.Errorf("the record changed from %v to %v", before, after)
		}
	})
}

func TestCommitsAreOneRoundTrip(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		l := b.claim(t, "one", "aaaaaa")
		r = b.commit(t, r, l.Fence, rollout.Hold, time.Time{}) // the first one loads the script
		n := b.counted()
		for range 50 {
			r = b.commit(t, r, l.Fence, rollout.Hold, time.Time{})
		}
		if n.Load() != 50 {
			t.Errorf("50 commits took %d commands", n.Load())
		}
	})
}
