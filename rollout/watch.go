package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"slipway/verdict"
)

// A rollout that succeeded leaves provisional verdicts behind: entries that are logged late can turn them, and
// a fault can show only once caches are cold or a batch begins. For a while its services are looked at
// again, without a lock and, between two looks, without a lease.

const (
	watchEvery  = 30 * time.Second
	watchBucket = 10 * time.Second
	// lateAlpha is the probability, at most, that a release as good as its gate's limit fails late; it adds to the gates' alpha_fail.
	lateAlpha = 0.01
)

func (r *Rollout) beginWatch(at time.Time) {
	if r.WatchFor > 0 && r.Kind == Deployment && r.End.Result == Succeeded && len(r.lastPasses()) > 0 {
		r.Watch = &Watch{Until: at.Add(r.WatchFor.D())}
	}
}

func (r *Rollout) applyWatchOver(e Event) error {
	if !r.Watched() {
		return refuse("nobody watches this rollout any more")
	}
	watch := *r.Watch
	watch.Outcome = e.Watch
	r.Watch = &watch
	return nil
}

// lastPasses returns, by service, the last steps that counted its requests and passed: one for errors, one for
// latency.
func (r *Rollout) lastPasses() []Step {
	last := map[string]Step{}
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			key := s.Spec.Service() + string(s.Spec.Kind)
			if before := last[key]; s.passedByCounting() && !s.Started.Before(before.Started) {
				last[key] = s
			}
		}
	}
	var steps []Step
	for _, key := range slices.Sorted(maps.Keys(last)) {
		steps = append(steps, last[key])
	}
	return steps
}

func (s *Step) passedByCounting() bool {
	return s.Spec.CountingGate() != nil && s.Gate != nil && s.Status == StepPassed && s.Gate.Verdict == verdict.Pass && !s.Gate.OnProbes && s.Gate.Receipt != nil
}

// look sees whether the verdicts still hold, and commits when that is decided. What cannot be read now is looked
// at again later.
func (h *holder) look(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	end := h.watched(call, time.Now().UTC())
	cancel()
	if end == nil {
		return h.engine.Leases.Release(ctx, h.lease, time.Now().Add(watchEvery))
	}
	_, err := h.commit(ctx, Event{At: end.At, Kind: WatchOver, Watch: end})
	return ignoreRefusal(err)
}

// watched returns how the watch ends by what is to be seen now; nil: it goes on.
func (h *holder) watched(ctx context.Context, now time.Time) *WatchEnd {
	r := &h.rollout
	if next, err := h.replaced(ctx); err == nil && next != "" {
		return &WatchEnd{At: now, State: WatchLeft, Note: "Rollout " + next + " began, so nobody watches this one any more."}
	}
	over := !now.Before(r.Watch.Until)
	var counts verdict.Counts
	var kept, unread []string
	for _, s := range r.lastPasses() {
		seen, err := h.lookAgain(ctx, s, now)
		var failure *Failure
		switch {
		case errors.As(err, &failure):
			unread = append(unread, failure.Reason)
		case err != nil:
			h.log.Warn("cannot look at a provisional verdict", "step", s.ID, "err", err)
			unread = append(unread, "The log of "+s.Spec.Service()+" gave no answer.")
		case seen.bad != "":
			return &WatchEnd{At: now, State: WatchFailed, Note: seen.bad}
		default:
			counts.Requests += seen.since.Requests
			counts.Errors += seen.since.Errors
			kept = append(kept, seen.words.of(seen.since))
		}
	}
	switch {
	case !over:
		return nil
	case len(unread) > 0:
		return &WatchEnd{At: now, State: WatchUnknown, Note: "Whether the verdicts held is not known: " + strings.Join(unread, " ")}
	case counts.Requests == 0:
		return &WatchEnd{At: now, State: WatchUnknown, Note: fmt.Sprintf("No requests came in the %s after the end.", Period(r.WatchFor.D()))}
	}
	return &WatchEnd{At: now, State: WatchHeld, Note: fmt.Sprintf("It held for %s: %s.", Period(r.WatchFor.D()), strings.Join(kept, "; "))}
}

// replaced returns the ID of another rollout that began after this one's end on a service of it.
func (h *holder) replaced(ctx context.Context) (string, error) {
	r := &h.rollout
	lock, held, err := h.engine.Locks.Holder(ctx, r.Lock.Target)
	if err != nil {
		return "", err
	}
	if held && lock.Rollout != "" && lock.Rollout != r.ID {
		return lock.Rollout, nil
	}
	past, err := h.engine.Past.History(ctx, r.Target.Environment, remembered)
	if err != nil {
		return "", err
	}
	for _, other := range past {
		shares := func(name string) bool { _, ok := other.Services[name]; return ok }
		if other.ID != r.ID && other.Created.After(r.End.At) && slices.ContainsFunc(slices.Collect(maps.Keys(r.Services)), shares) {
			return other.ID, nil
		}
	}
	return "", nil
}

// again is what a look at a verdict found.
type again struct {
	words words
	since verdict.Counts // after the verdict
	bad   string         // why it does not hold; "": nothing speaks against it
}

// lookAgain goes on with the counts of a gate that passed. Entries that were late can turn its verdict on its own
// window; the requests after that are its rule's too, all together; and for what changed after the verdict there is
// the detector, whose alarm within the whole watch is as unlikely as lateAlpha if the rate stays at the limit or below.
func (h *holder) lookAgain(ctx context.Context, s Step, now time.Time) (again, error) {
	service, gate := h.rollout.Services[s.Spec.Service()], s.Spec.CountingGate()
	since, err := sinceOf(s.Handle)
	if err != nil {
		return again{}, err
	}
	requests, err := h.engine.Requests.Requests(ctx, queryOf(s.Spec, service, since))
	if err != nil {
		return again{}, err
	}
	found := again{words: wordsFor(s.Spec)}
	c := Case{Spec: s.Spec, Requests: requests}
	until := requests.closed(gate.MaxLatency.D(), now)
	own, err := c.again(s.Gate, s.Gate.Until, 0)
	if err != nil {
		return again{}, err
	}
	all, err := c.again(s.Gate, until, requests.Dropped)
	if err != nil {
		return again{}, err
	}
	if requests.Dropped != 0 && all.Verdict == verdict.Inconclusive {
		return again{}, &Failure{Label: "missing_entries", Reason: service.lacking(requests.Dropped)}
	}
	after := window{since: s.Gate.Until, until: until}
	buckets := after.buckets(c.bad(requests.Slots), max(watchBucket, requests.Every))
	for _, b := range buckets {
		found.since.Requests += b.Requests
		found.since.Errors += b.Errors
	}
	last, limit := !now.Before(h.rollout.Watch.Until), s.Spec.Limit()
	from, late := s.Gate.Since, ", with those that were logged late"
	switch {
	case own.Verdict == verdict.Fail, last && own.Verdict != verdict.Pass && all.Verdict != verdict.Pass:
		found.bad = found.words.rate(all.Counts())
	case all.Verdict == verdict.Fail, alarmed(float64(limit), h.rollout.WatchFor.D(), buckets):
		var counts verdict.Counts
		from, counts = onset(float64(limit), buckets)
		found.bad, late = found.words.rate(counts), ""
	default:
		return found, nil
	}
	found.bad += fmt.Sprintf(" since %s%s. Limit %s: its pass does not hold any more.", from.UTC().Format("15:04 UTC"), late, limit)
	return found, nil
}

// again judges the window of a gate that passed, up to some time, by what is in the log now, where so many requests
// are missing.
func (c Case) again(g *Gate, until time.Time, missing int64) (verdict.Finding, error) {
	w, rule := window{since: g.Since, until: until}, g.Receipt.Rule
	finding, err := rule.Judge(lose(w.buckets(c.bad(c.Requests.Slots), c.length()), rule, missing))
	if err != nil {
		return verdict.Finding{}, &Failure{Label: "gate", Reason: "This gate cannot decide anything: " + err.Error() + ".", Err: err}
	}
	return finding, nil
}

// alarmed reports whether the detector of package verdict raises its alarm within the buckets.
func alarmed(limit float64, lasts time.Duration, buckets []verdict.Bucket) bool {
	detector, err := verdict.NewWatch(limit, int64(max(lasts/watchBucket, 1)), lateAlpha)
	if err != nil {
		return false // the limit is not one that anything could be above
	}
	for _, b := range buckets {
		detector.Add(b)
	}
	return detector.Alarm()
}

// onset is from when on requests were worse than the limit: the suffix whose surplus of errors over what the limit
// allows is the greatest (Page 1954).
func onset(limit float64, buckets []verdict.Bucket) (from time.Time, counts verdict.Counts) {
	var best, surplus float64
	best = math.Inf(-1)
	var sum verdict.Counts
	for _, b := range slices.Backward(buckets) {
		sum.Requests += b.Requests
		sum.Errors += b.Errors
		surplus += float64(b.Errors) - limit*float64(b.Requests)
		if surplus > best {
			best, from, counts = surplus, b.At, sum
		}
	}
	return from, counts
}

// Judged lists what may be said of the plan's gates when their rules are looked at again: every step that counted
// requests and came to an end of its own.
func (r *Rollout) Judged() []Step {
	var steps []Step
	for _, p := range r.Phases {
		for _, s := range p.Steps {
			if s.Spec.CountingGate() != nil && s.Gate != nil && s.Gate.Receipt != nil {
				steps = append(steps, s)
			}
		}
	}
	return steps
}
