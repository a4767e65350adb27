package state

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrStaleLock says that an unlock was about a lock that is not there any more; the error also is a
// *rollout.LockedError with the lock that is there now.
var ErrStaleLock = errors.New("the lock is another one by now")

// SchemaError says that a newer version of Slipway wrote a record. It is left as it is.
type SchemaError struct {
	Record string // what it is: "rollout abc234"
	Found  int    // its schema
	Known  int    // the newest that this version knows
}

func (e *SchemaError) Error() string {
	return fmt.Sprintf("%s was written by a newer version of Slipway (schema %d, this one knows %d); upgrade this replica",
		e.Record, e.Found, e.Known)
}

// SafeReason is the same as a sentence, for whoever tells people.
func (e *SchemaError) SafeReason() string {
	text := e.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// Error is a failure of Redis. After it, a write may have happened or not; every write of Store can
// be repeated as it was.
type Error struct {
	Op     string // what was tried: "commit"
	Reason string // what is wrong and what to do; safe, fit for the channel
	Err    error  // for the log

	Unwritten bool // nothing was written, for certain
}

func (e *Error) Error() string { return e.Op + ": " + e.Reason + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// SafeReason is Reason as a sentence, for whoever tells people. It does not say that nothing was done.
func (e *Error) SafeReason() string { return e.Reason + "." }

// failed wraps an error of the client; nil stays nil.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Reason: reason(err), Err: err}
}

// unwritten reports whether a script that failed has certainly written nothing: Redis refused it, or was never
// reached. A client of a cluster tries again by itself, and tells only of its last try.
func (s *Store) unwritten(err error) bool {
	if _, cluster := s.c.(*redis.ClusterClient); cluster {
		return false
	}
	way, ok := errors.AsType[*net.OpError](err)
	return answered(err) || errors.Is(err, redis.ErrPoolTimeout) || ok && way.Op == "dial"
}

// reason names what is wrong with Redis and who can mend it. The codes are those of
// https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors and of redis.conf.
func reason(err error) string {
	switch {
	case redis.IsOOMError(err):
		return "Redis is full; raise its maxmemory, and keep maxmemory-policy at noeviction"
	case redis.IsReadOnlyError(err):
		return "Redis is read-only; wait if a failover is under way, else point REDIS_URL at the primary and not at a replica"
	case redis.IsNoReplicasError(err):
		return "Redis refuses writes because its replicas are away; bring them back, or lower its min-replicas-to-write"
	case redis.IsLoadingError(err):
		return "Redis is starting and still loads its data; wait until it has"
	case redis.IsMasterDownError(err), redis.IsClusterDownError(err):
		return "Redis has no primary at the moment; wait for the failover, or bring the primary back"
	case redis.IsAuthError(err):
		return "Redis refused the user or the password; check REDIS_URL"
	case redis.IsPermissionError(err):
		return "Redis forbids a command to this user; Slipway needs read, write, scripting and pubsub on {slipway}:*"
	case redis.IsMaxClientsError(err):
		return "Redis has no connection left; raise its maxclients"
	case refusesWrites(err):
		return "Redis cannot save to its disk and refuses writes; make room on the disk, and see its log"
	case isTimeout(err):
		return "Redis did not answer in time; see whether its host or the network is overloaded"
	case answered(err):
		return "Redis refused a command; Slipway needs Redis 7.0 or newer"
	default:
		return "Redis cannot be reached; see that it runs, and that REDIS_URL names it"
	}
}

func refusesWrites(err error) bool { return strings.HasPrefix(err.Error(), "MISCONF") }

// answered reports whether err came from the server, and not from the way to it.
func answered(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, redis.ErrPoolTimeout) ||
		errors.As(err, &timeout) && timeout.Timeout()
}
