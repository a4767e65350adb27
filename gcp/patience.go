package gcp

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/rollout"
)

// This file decides when an error that could pass by itself is taken as final, so that people read
// what was in the way and not that time ran out.

const (
	startPatience  = 2 * time.Minute // quotas are by the minute (https://cloud.google.com/run/quotas)
	rescuePatience = 4*time.Minute + 30*time.Second
	lastCallTime   = 20 * time.Second // a call with less time left than this is the last of its kind
	usualWork      = 2 * time.Minute  // what Cloud Run takes at most when all is well
	asideTime      = 3 * time.Second  // for a call that the outcome can do without
)

// patient is how long an attempt puts up with errors that pass.
type patient struct{ began, until time.Time }

func patience(t rollout.Task) patient {
	p := patient{began: t.Started, until: t.Started.Add(startPatience)}
	if t.Step.Traffic != nil && wanted(t, rollout.Service{}).rescue() {
		p.until = t.Started.Add(rescuePatience)
	}
	return p
}

// end returns err, or a *rollout.Failure in its place once patience is over.
func (p patient) end(err error, about subject) error {
	if now := time.Now(); err != nil && !p.began.IsZero() && now.After(p.until) {
		return inTheWay(err, about, " for "+seconds(now.Sub(p.began)))
	}
	return err
}

// lastWord does the same for a precondition, whose tries are bounded by the context.
func lastWord(ctx context.Context, err error, about subject) error {
	if isLast(ctx) {
		return inTheWay(err, about, "")
	}
	return err
}

func isLast(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return bounded && time.Until(deadline) < lastCallTime
}

// final does the same where nobody tries again. A caller who left is told nothing.
func final(ctx context.Context, err error, about subject) error {
	if ctx.Err() != nil {
		return err
	}
	return inTheWay(err, about, "")
}

// inTheWay says what kept a call from succeeding, and for how long.
func inTheWay(err error, about subject, lasted string) error {
	if asFailure(err) != nil {
		return err
	}
	switch status.Code(err) {
	case codes.ResourceExhausted:
		return overQuota(err, about)
	case codes.Aborted, codes.FailedPrecondition:
		return &rollout.Failure{
			Reason: fmt.Sprintf("Cloud Run refused every change of %s%s: something else changes it at the same time. Find out what, then retry.", about.what, lasted),
			Detail: paragraphs(said(err), about.show), Label: "busy", Err: err,
		}
	}
	return &rollout.Failure{
		Reason: fmt.Sprintf("Google Cloud did not answer about %s%s. Retry in a minute; if it stays silent, see https://status.cloud.google.com.", about.what, lasted),
		Detail: paragraphs(heard(err), about.show), Label: "no_answer", Err: err,
	}
}

// heard is what Google said, if anything: the message of a call whose time ran out is the transport's, and
// another one depending on which side gave up first.
func heard(err error) string {
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Canceled:
		return ""
	}
	return said(err)
}

func overQuota(err error, about subject) *rollout.Failure {
	return &rollout.Failure{
		Reason: fmt.Sprintf("Google Cloud refuses the call about %s: a quota is used up. Wait a minute and retry; if it stays so, ask for more (the page is under Details).", about.what),
		Detail: paragraphs(said(err), quotaPage(about.project)), Label: "quota_exceeded", Err: err,
	}
}

// atWork says what Cloud Run does for an attempt, and once that takes longer than usual, which
// operation hangs: what an attempt did last is what people read when its time is over.
func atWork(doing string, t rollout.Task, operation string, now time.Time) string {
	if operation == byState || t.Started.IsZero() || now.Sub(t.Started) < usualWork {
		return doing + "."
	}
	return fmt.Sprintf("%s. Cloud Run has been at it since %s without an end (operation %s).", doing, clock(t.Started), short(operation))
}

func clock(at time.Time) string { return at.UTC().Format("15:04:05 UTC") }
