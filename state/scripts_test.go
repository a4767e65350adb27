package state

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// What every replica asks each second costs Redis no script while there is nothing to give.
func TestPollsOfNothingRunNoScript(t *testing.T) {
	conform(t, func(t *testing.T, b *bench) {
		n := &named{}
		b.client.AddHook(n)
		b.take(t, "one", "")
		if _, ok, err := b.ClaimCard(t.Context(), "one", b.unit); ok || err != nil {
			t.Errorf("a card was claimed: %v, %v", ok, err)
		}
		if _, ok, err := b.ClaimTurn(t.Context(), "one", b.unit); ok || err != nil {
			t.Errorf("a turn was claimed: %v, %v", ok, err)
		}
		if got, want := n.commands(), []string{"exists", "exists", "exists"}; !slices.Equal(got, want) {
			t.Errorf("the polls were %q, want %q", got, want)
		}
	})
}

// named keeps the names of a client's commands.
type named struct {
	mu    sync.Mutex
	names []string
}

func (n *named) commands() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.names)
}

func (n *named) DialHook(next redis.DialHook) redis.DialHook { return next }
func (n *named) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		n.mu.Lock()
		n.names = append(n.names, cmd.Name())
		n.mu.Unlock()
		return next(ctx, cmd)
	}
}
func (n *named) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
