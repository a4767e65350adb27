package state

import (
	"context"
	"embed"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var sources embed.FS

// scripts are the transitions, one Lua file each, all with the prelude in front.
type scripts struct {
	create, commit, snapshots *redis.Script
	claim, renew, release     *redis.Script
	lock, unlock              *redis.Script
	join, leave, lines        *redis.Script
	claimTurn, saveTurn       *redis.Script
	holder, locks             *redis.Script
	accept, take, done        *redis.Script
	claimCard, saveCard       *redis.Script
	hold, doubt               *redis.Script
	spend, pauseBucket        *redis.Script
	holdWatch, yieldWatch     *redis.Script
	saveBook, saveWatches     *redis.Script
}

func newScripts() scripts {
	return scripts{
		create: script("create"), commit: script("commit"), snapshots: script("snapshots"),
		claim: script("claim"), renew: script("renew"), release: script("release"),
		lock: script("lock"), unlock: script("unlock"),
		join: script("join"), leave: script("leave"), lines: script("lines"),
		claimTurn: script("claim_turn"), saveTurn: script("save_turn"),
		holder: script("holder"), locks: script("locks"),
		accept: script("accept"), take: script("take"), done: script("done"),
		claimCard: script("claim_card"), saveCard: script("save_card"),
		hold: script("hold"), doubt: script("doubt"),
		spend: script("spend"), pauseBucket: script("pause"),
		holdWatch: script("hold_watch"), yieldWatch: script("yield_watch"),
		saveBook: script("save_book"), saveWatches: script("save_watches"),
	}
}

func script(name string) *redis.Script {
	text := source("prelude")
	if mayEndALock(name) {
		text += source("line")
	}
	return redis.NewScript(text + source(name))
}

// mayEndALock tells the scripts that need line.lua. Redis runs all of a script's text at each call, so the
// others go without it.
func mayEndALock(name string) bool {
	switch name {
	case "create", "commit", "lock", "unlock", "join", "leave", "lines", "claim_turn":
		return true
	}
	return false
}

// source panics when a file is missing, which is a mistake in the build.
func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// run makes one script call under the store's deadline. What the script returns first is its status.
func (s *Store) run(ctx context.Context, op string, script *redis.Script, keys []string, args ...any) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	parts, err := script.Run(ctx, s.c, keys, args...).StringSlice()
	if err != nil {
		return nil, &Error{Op: op, Reason: reason(err), Err: err, Unwritten: s.unwritten(err)}
	}
	return parts, nil
}

// poll is run for what replicas ask every second, mostly in vain: a set without members is no key, so while
// none of those that the work waits in exists, one EXISTS spares Redis the script.
func (s *Store) poll(ctx context.Context, op string, script *redis.Script, waits, others []string, args ...any) (reply, error) {
	exists, err := s.exists(ctx, waits)
	if err != nil {
		return nil, failed(op, err)
	}
	if !exists {
		return reply{"none"}, nil
	}
	return s.run(ctx, op, script, slices.Concat(waits, others), args...)
}

func (s *Store) exists(ctx context.Context, keys []string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	n, err := s.c.Exists(ctx, keys...).Result()
	return n > 0, err
}

// reply is what a script returned: a status and its values.
type reply []string

func (r reply) status() string {
	if len(r) == 0 {
		return ""
	}
	return r[0]
}

// value returns the ith value after the status.
func (r reply) value(i int) string {
	if i+1 >= len(r) {
		return ""
	}
	return r[i+1]
}

// unknown is the error for a status that this bot does not know: another version's script ran.
func (r reply) unknown(op string) error {
	return fmt.Errorf("%s: the store answered %q, which this version does not know", op, r.status())
}
