package state

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Budget is a limit that all replicas keep together, such as the calls of a Slack method a minute: a
// bucket of Burst tokens that gets another one every Every.
type Budget struct {
	Name  string
	Every time.Duration
	Burst int
}

// Spend takes a token if reserve others are left after it, and returns 0; otherwise it takes none and
// returns how long to wait before asking again. What matters less keeps a reserve for what matters
// more. A token whose reply was lost is spent.
func (s *Store) Spend(ctx context.Context, b Budget, reserve int) (wait time.Duration, err error) {
	got, err := s.run(ctx, "spend", s.scripts.spend, []string{slipway.budget(b.Name)}, b.Every.Microseconds(), b.Burst, reserve)
	if err != nil {
		return 0, err
	}
	switch got.status() {
	case "ok":
		return 0, nil
	case "wait":
		microseconds, err := strconv.ParseInt(got.value(0), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("spend: wait: %w", err)
		}
		return time.Duration(microseconds) * time.Microsecond, nil
	}
	return 0, got.unknown("spend")
}

// Pause lets no replica spend for as long, because the other side asked for a pause.
func (s *Store) Pause(ctx context.Context, b Budget, pause time.Duration) error {
	_, err := s.run(ctx, "pause", s.scripts.pauseBucket, []string{slipway.budget(b.Name)}, pause.Microseconds())
	return err
}
