package state

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"

	"slipway/rollout"
)

// wanted is what a person asks of the lock and its line: lock, unlock, join or leave.
type wanted struct{ person, op string }

// asIfOne is a lock with a line that does one thing after the other. Its state is who has it, a person
// or "turn PERSON", and behind it who waits: "A/B,C". An operation's answer is what a person is told; "?"
// is one whose reply was lost, of which only the effect counts.
func asIfOne() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "/" },
		Step: func(state, input, output any) (bool, any) {
			in := input.(wanted)
			answer, next := after(state.(string), in)
			return output == "?" || output == answer, next
		},
	}
}

func after(state string, in wanted) (answer, next string) {
	holder, rest, _ := strings.Cut(state, "/")
	var line []string
	if rest != "" {
		line = strings.Split(rest, ",")
	}
	stands := func(holder string, line []string) string { return holder + "/" + strings.Join(line, ",") }
	handOn := func() string {
		if len(line) == 0 {
			return "/"
		}
		return stands("turn "+line[0], line[1:])
	}
	at := slices.Index(line, in.person)
	turn := holder == "turn "+in.person
	switch {
	case in.op == "lock" && (holder == "" || holder == in.person || turn):
		return "ok", stands(in.person, line)
	case in.op == "lock":
		return holder, state
	case in.op == "unlock" && holder == in.person:
		return "ok", handOn()
	case in.op == "join" && turn:
		return "turn", state
	case in.op == "join" && at >= 0:
		return fmt.Sprint(at + 1), state
	case in.op == "join" && holder == "":
		return "free", state
	case in.op == "join":
		return fmt.Sprint(len(line) + 1), stands(holder, append(line, in.person))
	case in.op == "leave" && turn:
		return "passed", handOn()
	case in.op == "leave" && at >= 0:
		return "left", stands(holder, slices.Delete(line, at, at+1))
	case in.op == "leave":
		return "none", state
	}
	return "ok", state // an unlock of what is not theirs
}

// Replies get lost, and people ask again. With tokens and fences each request counts once, and nobody is
// passed over; the controls, without the one or the other, show that the test would notice.
func TestLockAndLineAreLinearizable(t *testing.T) {
	for name, c := range map[string]struct{ tokens, fences bool }{
		"tokens and fences": {true, true}, "no tokens": {false, true}, "no fences": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			embedded().run(t, func(t *testing.T, b *bench) {
				history := crowd(t, b, c.tokens, c.fences)
				want := c.tokens && c.fences
				if got := porcupine.CheckOperations(asIfOne(), history); got != want {
					t.Errorf("%d operations are linearizable: %v, want %v", len(history), got, want)
				}
			})
		})
	}
}

// customer is one of those who want the same target.
type customer struct {
	t              *testing.T
	s              *Store
	lose           func()
	who            rollout.Actor
	random         *rand.Rand
	tokens, fences bool
	fence          int64 // of the lock they have; 0: none
}

// crowd lets four people do sixty things each at the same time, and loses half of the replies.
func crowd(t *testing.T, b *bench, tokens, fences bool) []porcupine.Operation {
	t.Helper()
	var (
		clock   atomic.Int64
		mu      sync.Mutex
		history []porcupine.Operation
		people  sync.WaitGroup
	)
	for i := range 4 {
		s, lose := b.losing(t)
		for _, script := range []*redis.Script{s.scripts.join, s.scripts.leave, s.scripts.unlock, s.scripts.holder} {
			b.load(t, script)
		}
		p := &customer{
			t: t, s: s, lose: lose, who: rollout.Actor{ID: string(rune('A' + i))}, random: rand.New(rand.NewPCG(uint64(i), 3)),
			tokens: tokens, fences: fences,
		}
		people.Go(func() {
			for n := range 60 {
				op := p.chooses()
				call := clock.Add(1)
				answer := p.does(op, fmt.Sprint(p.who.ID, n))
				done := porcupine.Operation{ClientId: i, Input: wanted{p.who.ID, op}, Call: call, Output: answer, Return: clock.Add(1)}
				mu.Lock()
				history = append(history, done)
				mu.Unlock()
				p.waits()
			}
		})
	}
	people.Wait()
	return history
}

func (p *customer) waits() { time.Sleep(time.Duration(p.random.IntN(5)) * time.Millisecond) }

func (p *customer) chooses() string {
	if p.fence != 0 {
		return "unlock"
	}
	return []string{"lock", "lock", "lock", "join", "join", "leave"}[p.random.IntN(6)]
}

// does asks until there is an answer.
func (p *customer) does(op, token string) string {
	if p.random.IntN(2) == 0 {
		p.lose()
	}
	for attempt := 0; ; attempt++ {
		if !p.tokens {
			token += "'"
		}
		answer, err := map[string]func(string, bool) (string, error){
			"lock": p.locks, "unlock": p.unlocks, "join": p.joins, "leave": p.leaves,
		}[op](token, attempt > 0)
		failure, failed := errors.AsType[*Error](err)
		switch {
		case failed && failure.Reason == unreachable:
			p.waits()
		case err != nil:
			p.t.Errorf("%s: %v", op, err)
			return "?"
		case op == "join" && attempt > 0:
			return "?" // it tells how things are now
		default:
			return answer
		}
	}
}

func (p *customer) locks(string, bool) (string, error) {
	l, err := p.s.Lock(p.t.Context(), personal(staging, p.who))
	if e, is := errors.AsType[*rollout.LockedError](err); is && e.Lock.InLine() {
		return "turn " + e.Lock.By.ID, nil
	} else if is {
		return e.Lock.By.ID, nil
	}
	p.fence = l.Fence
	return "ok", err
}

// unlocks takes for done what is another's by now. Without fences it asks for the lock that is there.
func (p *customer) unlocks(_ string, again bool) (string, error) {
	fence := p.fence
	if !p.fences && again {
		l, _, err := p.s.Holder(p.t.Context(), staging)
		if err != nil {
			return "", err
		}
		fence = l.Fence
	}
	err := p.s.Unlock(p.t.Context(), staging, fence)
	if err == nil || errors.Is(err, ErrStaleLock) {
		p.fence = 0
		return "ok", nil
	}
	return "", err
}

func (p *customer) joins(token string, _ bool) (string, error) {
	got, err := p.s.Join(p.t.Context(), token, wish(staging, p.who), time.Hour)
	switch {
	case got.Free:
		return "free", err
	case got.Turn != nil:
		return "turn", err
	}
	return fmt.Sprint(got.Position), err
}

func (p *customer) leaves(token string, _ bool) (string, error) {
	left, err := p.s.Leave(p.t.Context(), token, staging, p.who)
	return string(left), err
}
