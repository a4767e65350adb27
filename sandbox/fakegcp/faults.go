package fakegcp

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Kinds of faults. The first group meets calls, the second the log entries that are written.
const (
	FaultError           = "error"             // not applied; answered with Code
	FaultRateLimit       = "429"               // not applied; RESOURCE_EXHAUSTED
	FaultTimeout         = "timeout"           // not applied, and no answer until the caller gives up
	FaultAppliedButError = "applied_but_error" // applied, yet answered with Code
	FaultDisconnect      = "disconnect"        // not applied; the connection is cut
	FaultNeverEnds       = "never_ends"        // UpdateService alone: applied, and its operation goes on for ever
	FaultLatency         = "latency"           // applied at once and answered late; goes with whatever else the call meets
	FaultDrop            = "drop"              // not applied; UNAVAILABLE, as when a stream is reset
	FaultHalfOpen        = "half_open"         // not applied; its connection stays open and carries nothing any more
	FaultTruncated       = "truncated"         // lists: the page ends early, its token goes on; Registry: half of the body
	FaultBadToken        = "bad_token"         // lists: the page's token is refused by the next call
	FaultCrash           = "crash_after_ready" // UpdateService alone: what it deploys becomes ready and exits after Seconds

	FaultDuplicate = "duplicate" // the entry comes twice, with one insertId
	FaultLate      = "late"      // the entry is received that much later, hence after younger ones
	FaultSkew      = "skew"      // the entry's timestamp is Seconds off, negative ones backwards
	FaultLost      = "lost"      // the entry is never seen: sampled with a Share, excluded without one, dropped with a Count
)

// Which log entries a fault of them is about.
const (
	OnlyRequests  = "requests"  // entries of the request log
	OnlyErrors    = "errors"    // those with a status of 500 and more
	OnlySuccesses = "successes" // the others of them
)

// Distributions of the Seconds of latency and late.
const (
	Fixed     = "fixed"     // always Seconds
	Uniform   = "uniform"   // from From to Seconds
	Lognormal = "lognormal" // median Seconds, Sigma of its logarithm
)

// Fault makes the next calls of a method, or the next log entries, go wrong. What is drawn at random is
// drawn from the cloud's seed. Times are real ones, but for that of a crash: Config.Speed divides only what
// happens in the cloud.
type Fault struct {
	// Method is that of the calls: "UpdateService"; empty or "*" means every method; "Registry" is the
	// registry's HTTP, "Log" the entries as they are written.
	Method string `json:"method"`
	Kind   string `json:"kind"`            // one of the Fault constants
	Code   string `json:"code,omitempty"`  // gRPC status, "UNAVAILABLE" if left out
	Count  int    `json:"count,omitempty"` // how many calls or entries; 0 means one, negative all from now on
	// Share is the part of the fitting calls or entries that meet the fault, 0 to 1; left out, all of them.
	Share float64 `json:"share,omitempty"`
	// Only says which entries a fault of "Log" is about; all of them, if left out.
	Only string `json:"only,omitempty"`
	// Open is for TailLogEntries alone: the fault meets the sessions that are open, at once and all of them, in
	// place of the next calls.
	Open bool `json:"open,omitempty"`
	// RetryAfter, in seconds, goes with a 429 as google.rpc.RetryInfo.
	RetryAfter float64 `json:"retry_after,omitempty"`

	Seconds      float64 `json:"seconds,omitempty"`      // of latency, late, skew and crash_after_ready
	Distribution string  `json:"distribution,omitempty"` // of Seconds; fixed if left out
	From         float64 `json:"from,omitempty"`         // least seconds of a uniform distribution
	Sigma        float64 `json:"sigma,omitempty"`        // of a lognormal one
}

const (
	registryMethod = "Registry"
	logMethod      = "Log"
	tailMethod     = "TailLogEntries"
	longestDelay   = time.Hour // of a drawn one
)

// faultKinds is every kind with what it can be a fault of; nil: any call.
func faultKinds() []struct {
	kind string
	fits func(method string) bool
} {
	call := func(method string) bool { return method != logMethod }
	only := func(want ...string) func(string) bool {
		return func(method string) bool { return slices.Contains(want, method) }
	}
	lists := func(method string) bool { return strings.HasPrefix(method, "List") }
	return []struct {
		kind string
		fits func(method string) bool
	}{
		{FaultError, call}, {FaultRateLimit, call}, {FaultTimeout, call}, {FaultAppliedButError, call},
		{FaultDisconnect, call}, {FaultNeverEnds, only("UpdateService")}, {FaultLatency, call}, {FaultDrop, call},
		{FaultHalfOpen, func(method string) bool { return call(method) && method != registryMethod }},
		{FaultTruncated, func(method string) bool { return lists(method) || method == registryMethod }},
		{FaultBadToken, lists}, {FaultCrash, only("UpdateService")},
		{FaultDuplicate, only(logMethod)}, {FaultLate, only(logMethod)}, {FaultSkew, only(logMethod)},
		{FaultLost, only(logMethod)},
	}
}

// endings are the kinds of faults by which a session can end, or fall silent.
func endings() []string {
	return []string{FaultError, FaultRateLimit, FaultTimeout, FaultDisconnect, FaultDrop, FaultHalfOpen}
}

// Fault queues a fault, or lets the sessions that are open meet it. Of several that fit a call, the oldest
// counts, and the oldest latency beside it.
func (c *Cloud) Fault(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.Count == 0 {
		f.Count = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Open {
		c.meetTails(&f)
		return nil
	}
	c.faults = append(c.faults, &f)
	return nil
}

func (f Fault) check() error {
	var kinds []string
	for _, k := range faultKinds() {
		if k.kind == f.Kind {
			if !k.fits(f.Method) {
				return fmt.Errorf("fault kind %q: %q is no method that it fits", f.Kind, f.Method)
			}
			return f.checkNumbers()
		}
		kinds = append(kinds, k.kind)
	}
	return fmt.Errorf("fault kind %q: want one of %s", f.Kind, strings.Join(kinds, ", "))
}

func (f Fault) checkNumbers() error {
	timed := slices.Contains([]string{FaultLatency, FaultLate, FaultCrash}, f.Kind)
	switch {
	case timed && !(f.Seconds > 0), f.Kind == FaultSkew && f.Seconds == 0:
		return fmt.Errorf("fault kind %q: seconds %v is no time; say how long", f.Kind, f.Seconds)
	case math.Abs(f.Seconds) > longestDelay.Seconds():
		return fmt.Errorf("seconds %v: want at most %v", f.Seconds, longestDelay.Seconds())
	case !(f.Share >= 0 && f.Share <= 1):
		return fmt.Errorf("share %v is not within 0 to 1", f.Share)
	case f.Only != "" && (f.Method != logMethod || !slices.Contains([]string{OnlyRequests, OnlyErrors, OnlySuccesses}, f.Only)):
		return fmt.Errorf("only %q: want one of %s, %s, %s, with the method %s", f.Only, OnlyRequests, OnlyErrors, OnlySuccesses, logMethod)
	case f.Open && (f.Method != tailMethod || !slices.Contains(endings(), f.Kind)):
		return fmt.Errorf("open: want the method %s and one of %s", tailMethod, strings.Join(endings(), ", "))
	case !slices.Contains([]string{"", Fixed, Uniform, Lognormal}, f.Distribution):
		return fmt.Errorf("distribution %q: want one of %s, %s, %s", f.Distribution, Fixed, Uniform, Lognormal)
	case !(f.From >= 0 && f.From <= max(f.Seconds, 0)), !(f.Sigma >= 0):
		return fmt.Errorf("from %v, sigma %v: want from within 0 to seconds, and sigma not negative", f.From, f.Sigma)
	}
	_, err := f.code()
	return err
}

func (f Fault) code() (codes.Code, error) {
	if f.Code == "" {
		return codes.Unavailable, nil
	}
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(strconv.Quote(f.Code))); err != nil || code == codes.OK {
		return code, fmt.Errorf("fault code %q: want a gRPC status other than OK, for example UNAVAILABLE", f.Code)
	}
	return code, nil
}

// takeFault returns the fault that the call meets, latency aside, or nil.
func (c *Cloud) takeFault(method string) *Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.take(method, false, nil)
}

// takeLatency returns how late the call is answered.
func (c *Cloud) takeLatency(method string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.take(method, true, nil); f != nil {
		return f.draw(c.trouble)
	}
	return 0
}

// take finds the oldest fault for the method, and the entry if it is about one, and uses one of its count.
// The caller holds the lock.
func (c *Cloud) take(method string, latency bool, entry *record) *Fault {
	for i, f := range c.faults {
		every := (f.Method == "" || f.Method == "*") && method != registryMethod && method != logMethod
		if !every && f.Method != method || (f.Kind == FaultLatency) != latency {
			continue
		}
		if entry != nil && !f.isAbout(entry) {
			continue
		}
		if f.Share > 0 && c.trouble.Float64() >= f.Share {
			continue
		}
		if f.Count--; f.Count == 0 {
			c.faults = slices.Delete(c.faults, i, i+1)
		}
		return f
	}
	return nil
}

func (f *Fault) isAbout(entry *record) bool {
	if f.Only == "" {
		return true
	}
	if entry.log != requestsLog {
		return false
	}
	return f.Only == OnlyRequests || (entry.request.status >= 500) == (f.Only == OnlyErrors)
}

// draw returns a time from the fault's distribution.
func (f *Fault) draw(from *rand.Rand) time.Duration {
	seconds := f.Seconds
	switch cmp.Or(f.Distribution, Fixed) {
	case Uniform:
		seconds = f.From + (f.Seconds-f.From)*from.Float64()
	case Lognormal:
		seconds = f.Seconds * math.Exp(f.Sigma*from.NormFloat64())
	}
	return time.Duration(min(seconds, longestDelay.Seconds()) * float64(time.Second))
}
