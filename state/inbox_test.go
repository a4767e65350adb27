package state

import (
	"errors"
	"testing"
	"time"

	"slipway/rollout"
)

// accept stores an envelope and fails the test if it is not fresh as wanted.
func (b *bench) accept(t *testing.T, id string, want bool) {
	t.Helper()
	fresh, err := b.Accept(t.Context(), id, []byte("body of "+id))
	if err != nil || fresh != want {
		t.Fatalf("accept of %s: fresh is %v, %v; want %v", id, fresh, err, want)
	}
}

// take takes an envelope and fails the test if it is not the one that is wanted ("" for none).
func (b *bench) take(t *testing.T, owner, want string) {
	t.Helper()
	id, body, ok, err := b.Take(t.Context(), owner, 3*b.unit)
	if err != nil || id != want || ok != (want != "") {
		t.Fatalf("%s took %q, %v; want %q", owner, id, err, want)
	}
	if ok && string(body) != "body of "+want {
		t.Errorf("the body of %s is %q", id, body)
	}
}

func TestInbox(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		b.take(t, "one", "")
		for _, id := range []string{"c", "a", "b"} {
			b.accept(t, id, true)
		}
		b.accept(t, "a", false)
		b.take(t, "one", "c")
		b.take(t, "two", "a")
		if err := b.Done(t.Context(), "c", "two"); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("two may end what one works on: %v", err)
		}
		for range 2 {
			if err := b.Done(t.Context(), "c", "one"); err != nil {
				t.Error(err)
			}
		}
		b.accept(t, "c", false)
		b.pass(4 * b.unit)
		b.take(t, "one", "a") // its lease passed, and it is older than b
		if err := b.Done(t.Context(), "a", "two"); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("two is done with what one took over: %v", err)
		}
		b.take(t, "one", "b")
		b.take(t, "one", "")
	})
}

func TestInboxKeepsBytes(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		body := []byte("\x00\xff\r\n[] {} 1.79e15 é")
		if _, err := b.Accept(t.Context(), "a", body); err != nil {
			t.Fatal(err)
		}
		_, got, _, err := b.Take(t.Context(), "one", b.unit)
		if err != nil || string(got) != string(body) {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestInboxRemembersAnHour(t *testing.T) {
	embedded().run(t, func(t *testing.T, b *bench) {
		b.accept(t, "waits", true)
		b.accept(t, "done", true)
		b.take(t, "one", "waits")
		b.take(t, "one", "done")
		if err := b.Done(t.Context(), "done", "one"); err != nil {
			t.Fatal(err)
		}
		b.pass(59 * time.Minute)
		b.accept(t, "done", false)
		b.pass(2 * time.Minute)
		b.accept(t, "done", true)
		b.accept(t, "waits", false) // is known as long as it is kept
	})
}
