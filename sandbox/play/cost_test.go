package play_test

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"slipway/rollout"
	"slipway/sandbox/workspace"
	"slipway/state"
)

// What a rollout costs a replica while it waits for a person, which may be for most of its life.
const (
	waitingRollouts = 1000
	mostCommands    = 20 // a second, for all of them, those inside scripts among them
	mostHeap        = 50 << 20
)

func TestWaitingCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var before runtime.MemStats
		s := stageWith(t, quiet(t), manifest(t), func(w *workspace.Workspace) {
			fill(t, w)
			runtime.GC()
			runtime.ReadMemStats(&before)
		})
		s.calm(t)
		time.Sleep(5 * time.Second)
		began := s.RedisCommands()
		time.Sleep(time.Minute)
		if a := float64(s.RedisCommands()-began) / 60; a > mostCommands || a == 0 {
			t.Errorf("%.1f commands of Redis a second, want at most %d", a, mostCommands)
		} else {
			t.Logf("%.1f commands of Redis a second", a)
		}
		runtime.GC()
		var after runtime.MemStats
		runtime.ReadMemStats(&after)
		if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > mostHeap {
			t.Errorf("%d MB of heap, want at most %d MB", used>>20, mostHeap>>20)
		} else {
			t.Logf("%.1f MB of heap", float64(used)/(1<<20))
		}
	})
}

// fill puts rollouts into Redis that wait for approval, each in an environment of its own, with their cards posted.
func fill(t *testing.T, w *workspace.Workspace) {
	t.Helper()
	raw, err := os.ReadFile("../../rollout/testdata/schema1-waits-for-approval.json")
	if err != nil {
		t.Fatal(err)
	}
	c := w.App("fill")
	client, err := state.Open(t.Context(), c.RedisURL, c.Dial)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	store := state.New(client, state.Options{})
	for i := range waitingRollouts {
		var r rollout.Rollout
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		r.ID, r.Token = rollout.NewID(fmt.Sprint(i), 0), fmt.Sprint(i)
		r.Target.Environment = fmt.Sprintf("environment-%d", i)
		r.Lock.Target, r.Lock.Rollout = r.Target, r.ID
		if _, err := store.Create(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Del(t.Context(), "{slipway}:outbox").Err(); err != nil {
		t.Fatal(err)
	}
}
