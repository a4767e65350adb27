package state

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"slipway/incident"
	"slipway/rollout"
)

// counterCell is a value that people change under the lock, as they do with what runs in the cloud.
// A fenced one refuses whoever comes with an older fence than it has seen.
type counterCell struct {
	mu     sync.Mutex
	fenced bool
	newest int64
	value  int
}

func (c *counterCell) admit(fence int64) bool {
	if c.fenced && fence < c.newest {
		return false
	}
	c.newest = max(c.newest, fence)
	return true
}

func (c *counterCell) read(fence int64) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value, c.admit(fence)
}

func (c *counterCell) write(fence int64, value int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.admit(fence) {
		return false
	}
	c.value = value
	return true
}

// increment is an operation's outcome.
type increment struct {
	done  bool
	value int // after it
}

// sequential is a counter that goes up by one: an increment that was done gives the next value, one
// that was refused changes nothing.
func sequential() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return 0 },
		Step: func(state, _, output any) (bool, any) {
			o := output.(increment)
			if !o.done {
				return true, state
			}
			return o.value == state.(int)+1, o.value
		},
	}
}

// Locks expire under their holders. Whoever checks the fence is safe from the late ones, and nobody
// else is: the second arm shows that the test would notice.
func TestFencesMakeTheLockLinearizable(t *testing.T) {
	for name, fenced := range map[string]bool{"fenced": true, "unfenced": false} {
		t.Run(name, func(t *testing.T) {
			embedded().run(t, func(t *testing.T, b *bench) {
				cell := &counterCell{fenced: fenced}
				history := contend(func(person string, random *rand.Rand) increment {
					return b.incrementUnderLock(t, cell, rollout.Actor{ID: person}, random)
				})
				if got := porcupine.CheckOperations(sequential(), history); got != fenced {
					t.Errorf("%d operations are linearizable: %v, want %v", len(history), got, fenced)
				}
			})
		})
	}
}

// contend lets four people increment a value six times each, and often be later than their lock.
func contend(once func(person string, random *rand.Rand) increment) []porcupine.Operation {
	var (
		clock   atomic.Int64
		mu      sync.Mutex
		history []porcupine.Operation
		people  sync.WaitGroup
	)
	for person := range 4 {
		people.Go(func() {
			random := rand.New(rand.NewPCG(uint64(person), 1))
			for range 6 {
				call := clock.Add(1)
				out := once("U"+string(rune('A'+person)), random)
				op := porcupine.Operation{ClientId: person, Call: call, Output: out, Return: clock.Add(1)}
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	people.Wait()
	return history
}

func (b *bench) incrementUnderLock(t *testing.T, cell *counterCell, who rollout.Actor, random *rand.Rand) increment {
	t.Helper()
	l := b.lockAtLast(t, who)
	value, ok := cell.read(l.Fence)
	time.Sleep(time.Duration(random.IntN(1600)) * time.Millisecond)
	if !ok || !cell.write(l.Fence, value+1) {
		return increment{}
	}
	if err := b.Unlock(t.Context(), staging, l.Fence); err != nil && !errors.Is(err, ErrStaleLock) {
		t.Error(err)
	}
	return increment{done: true, value: value + 1}
}

// lockAtLast asks until the environment is locked for who, for a second.
func (b *bench) lockAtLast(t *testing.T, who rollout.Actor) rollout.Lock {
	t.Helper()
	for {
		wish := personal(staging, who)
		wish.Expires = time.Now().Add(time.Second)
		l, err := b.Lock(t.Context(), wish)
		if err == nil {
			return l
		}
		if _, held := errors.AsType[*rollout.LockedError](err); !held {
			t.Error(err)
			return l
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// The watch over a project runs out under replicas too. What one of them has counted is saved by whoever has it, and
// by nobody else; the control saves without asking.
func TestWatchMakesWhatWasCountedLinearizable(t *testing.T) {
	for name, fenced := range map[string]bool{"fenced": true, "unfenced": false} {
		t.Run(name, func(t *testing.T) {
			embedded().run(t, func(t *testing.T, b *bench) {
				history := contend(func(replica string, random *rand.Rand) increment {
					return b.incrementWatches(t, replica, random, fenced)
				})
				if got := porcupine.CheckOperations(sequential(), history); got != fenced {
					t.Errorf("%d operations are linearizable: %v, want %v", len(history), got, fenced)
				}
			})
		})
	}
}

func (b *bench) incrementWatches(t *testing.T, replica string, random *rand.Rand, fenced bool) increment {
	t.Helper()
	i := b.Incidents()
	for held := false; !held; time.Sleep(100 * time.Millisecond) {
		var err error
		if held, err = i.Hold(t.Context(), acme, replica, time.Second); err != nil {
			t.Error(err)
			return increment{}
		}
	}
	counted, err := i.Watches(t.Context(), acme)
	if err != nil {
		t.Error(err)
	}
	value, _ := strconv.Atoi(string(counted)) // nothing yet is 0
	time.Sleep(time.Duration(random.IntN(1600)) * time.Millisecond)
	more := strconv.Itoa(value + 1)
	if !fenced {
		b.storeWatches(t, more)
	} else if err := i.SaveWatches(t.Context(), acme, replica, []byte(more)); errors.Is(err, incident.ErrFenced) {
		return increment{}
	} else if err != nil {
		t.Error(err)
	}
	if err := i.Yield(t.Context(), acme, replica); err != nil {
		t.Error(err)
	}
	return increment{done: true, value: value + 1}
}

// storeWatches saves what was counted as if there were no watch.
func (b *bench) storeWatches(t *testing.T, counted string) {
	t.Helper()
	packed, err := pack([]byte(counted))
	if err != nil {
		t.Error(err)
	}
	if err := b.client.Set(t.Context(), slipway.watches(acme), packed, 0).Err(); err != nil {
		t.Error(err)
	}
}
