package bot

import (
	"context"
	"errors"
	"sync"
	"time"

	"slipway/rollout"
)

// keep holds a claim for as long as its work takes, so that leases can be short and what a replica had in
// hand when it died is taken up soon. The context ends when the claim is lost, or can no longer be known
// to be held. stop has to be called, and waits.
func keep(ctx context.Context, lease time.Duration, hold func(context.Context) error) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	var holding sync.WaitGroup
	holding.Go(func() {
		until := time.Now().Add(lease)
		for sleep(held, lease/3) == nil {
			began := time.Now()
			call, done := context.WithTimeout(held, storeTime)
			err := hold(call)
			done()
			switch {
			case err == nil:
				until = began.Add(lease)
			case errors.Is(err, rollout.ErrFenced), time.Until(until) < storeTime:
				cancel(err)
			}
		}
	})
	return held, func() {
		cancel(nil)
		holding.Wait()
	}
}
