package state

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"slipway/rollout"
)

// claimCard fails the test if owner does not get the card that is wanted ("" for none).
func (b *bench) claimCard(t *testing.T, owner, want string) Card {
	t.Helper()
	c, ok, err := b.ClaimCard(t.Context(), owner, 3*b.unit)
	if err != nil || c.Rollout != want || ok != (want != "") {
		t.Fatalf("%s claimed the card of %q, %v; want %q", owner, c.Rollout, err, want)
	}
	return c
}

func TestCardIsPosted(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.claimCard(t, "one", "")
		r := b.start(t, "aaaaaa", staging)
		c := b.claimCard(t, "one", "aaaaaa")
		b.claimCard(t, "two", "")

		c.Channel, c.TS, c.Posting = "C0DEPLOYS", "1700000000.000100", true
		if err := b.SaveCard(t.Context(), "one", c); err != nil {
			t.Fatal(err)
		}
		b.claimCard(t, "two", "") // saving keeps the claim
		c.Posting, c.Version, c.Cursor = false, r.Version, r.Events
		c.Posted, c.Extra = map[string]string{"start": "1700000000.000200"}, map[string]string{"blocks": "classic"}
		for range 2 { // the second as after a lost reply
			if err := b.ReleaseCard(t.Context(), "one", c, 0); err != nil {
				t.Fatal(err)
			}
		}
		b.claimCard(t, "two", "") // there is nothing new
		b.commit(t, r, 0, rollout.Hold, time.Time{})
		if got := b.claimCard(t, "two", "aaaaaa"); !reflect.DeepEqual(got, c) {
			t.Errorf("the card is %+v, want %+v", got, c)
		}
	})
}

func TestCardStaysStale(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r rollout.Rollout) (rollout.Rollout, []rollout.Event)
		shown  func(c *Card, r rollout.Rollout)
	}{
		"a newer version": {progress, func(c *Card, r rollout.Rollout) { c.Version, c.Cursor = r.Version-1, r.Events }},
		"a newer event":   {next, func(c *Card, r rollout.Rollout) { c.Version, c.Cursor = r.Version, r.Events-1 }},
	} {
		t.Run(name, func(t *testing.T) {
			conform(t, func(t *testing.T, b *bench) {
				r := b.start(t, "aaaaaa", staging)
				card := b.claimCard(t, "one", "aaaaaa")
				r, events := c.change(r)
				if err := b.Commit(t.Context(), rollout.Commit{Rollout: r, Events: events}); err != nil {
					t.Fatal(err)
				}
				c.shown(&card, r)
				if err := b.ReleaseCard(t.Context(), "one", card, 2*b.unit); err != nil {
					t.Fatal(err)
				}
				b.claimCard(t, "one", "") // not before its time
				b.commit(t, r, 0, rollout.Hold, time.Time{})
				b.claimCard(t, "one", "") // which a commit does not bring forward
				b.pass(3 * b.unit)
				b.claimCard(t, "one", "aaaaaa")
			})
		})
	}
}

// progress is the following snapshot of a rollout by an event that is not history.
func progress(r rollout.Rollout) (rollout.Rollout, []rollout.Event) {
	r, events := next(r)
	events[0].Kind = rollout.StepProgress
	return r, events
}

func TestProgressMakesTheCardStale(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		r := b.start(t, "aaaaaa", staging)
		release := func(r rollout.Rollout) {
			t.Helper()
			c := b.claimCard(t, "one", "aaaaaa")
			c.Version, c.Cursor = r.Version, 1
			if err := b.ReleaseCard(t.Context(), "one", c, 0); err != nil {
				t.Fatal(err)
			}
			b.claimCard(t, "one", "")
		}
		release(r)
		r, events := progress(r)
		if err := b.Commit(t.Context(), rollout.Commit{Rollout: r, Events: events}); err != nil {
			t.Fatal(err)
		}
		release(r) // its cursor need not follow progress
	})
}

func TestCardsTakeTurns(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		first := b.start(t, "zzzzzz", backend)
		b.pass(b.unit / 10)
		b.start(t, "aaaaaa", auth)
		b.commit(t, first, 0, rollout.Hold, time.Time{}) // keeps its turn
		b.claimCard(t, "one", "zzzzzz")
		b.claimCard(t, "one", "aaaaaa")
		b.claimCard(t, "one", "")
	})
}

func TestLostCard(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.start(t, "aaaaaa", staging)
		old := b.claimCard(t, "one", "aaaaaa")
		b.pass(4 * b.unit)
		card := b.claimCard(t, "two", "aaaaaa")
		old.TS = "1700000000.000900"
		for what, err := range map[string]error{
			"save":    b.SaveCard(t.Context(), "one", old),
			"release": b.ReleaseCard(t.Context(), "one", old, 0),
		} {
			if !errors.Is(err, rollout.ErrFenced) {
				t.Errorf("%s by who lost the claim: %v", what, err)
			}
		}
		if err := b.ReleaseCard(t.Context(), "two", card, 0); err != nil {
			t.Fatal(err)
		}
		if got := b.claimCard(t, "two", "aaaaaa"); got.TS != "" {
			t.Errorf("the refused card was stored: %+v", got)
		}
	})
}
