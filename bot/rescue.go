package bot

import (
	"context"
	"sync"
	"time"

	"github.com/slack-go/slack/socketmode"

	"slipway/commands"
)

// rescues remembers the requests for the way back that this replica did without the inbox, which else
// knows what Slack sends again. Another replica that gets one sets the traffic to what it is already.
type rescues struct {
	mu    sync.Mutex
	begun map[string]time.Time // by envelope
	work  sync.WaitGroup
}

// remembered is how long; Slack sends nothing again after an hour.
const remembered = time.Hour

func newRescues() *rescues { return &rescues{begun: map[string]time.Time{}} }

// begin reports whether the envelope is a new one, and remembers it.
func (r *rescues) begin(id string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, at := range r.begun {
		if now.Sub(at) > remembered {
			delete(r.begun, other)
		}
	}
	_, known := r.begun[id]
	r.begun[id] = now
	return !known
}

// done reports whether the envelope was begun.
func (r *rescues) done(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.begun[id]
	return known
}

// rescue does at once what could not be stored, if it asks for the way back; false if it does not. The ack
// does not wait for it.
func (s *socket) rescue(ctx context.Context, request socketmode.Request, e Envelope) bool {
	asked, err := e.request()
	if err != nil || !s.bot.cfg.Handler.Urgent(asked) {
		return false
	}
	s.ack(ctx, request.EnvelopeID, nil)
	if s.rescues.begin(e.ID, time.Now()) {
		s.rescues.work.Go(func() {
			s.bot.cfg.Handler.Rescue(ctx, asked, func(reply commands.Reply) { s.bot.speaker.answer(ctx, e, reply) })
		})
	}
	return true
}
