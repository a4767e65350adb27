package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"slipway/commands"
)

const (
	workers     = 4
	handleTime  = 60 * time.Second // a start looks at services, images and logs before it answers
	inboxLease  = 4 * time.Second  // held on to while an envelope is worked on
	storeTime   = time.Second
	pollingTime = time.Second
)

// worker takes envelopes out of the inbox, has them handled and answers them.
type worker struct {
	inbox   Inbox
	handler Handler
	owner   string
	speaker *speaker
	log     *slog.Logger
	hint    chan struct{} // shared by the workers: something came in here
}

func newWorker(cfg Config, number int, s *speaker, hint chan struct{}) *worker {
	return &worker{
		inbox: cfg.Inbox, handler: cfg.Handler, owner: fmt.Sprintf("%s/%d", cfg.Owner, number),
		speaker: s, log: cfg.Log, hint: hint,
	}
}

// run works until ctx ends, and looks for work at each tick that it gets of those the workers share. What
// it has taken by then is finished under hands.
func (w *worker) run(ctx, hands context.Context, ticks <-chan time.Time) {
	for ctx.Err() == nil {
		if w.one(hands) {
			continue
		}
		select {
		case <-w.hint:
		case <-ticks:
		case <-ctx.Done():
		}
	}
}

// one handles one envelope; false if there was none.
func (w *worker) one(ctx context.Context) bool {
	id, body, ok, err := w.take(ctx)
	if err != nil {
		w.log.Warn("the inbox cannot be read", "err", err)
		return false
	}
	if !ok {
		return false
	}
	wake(w.hint) // there may be more, for the others
	held, stop := keep(ctx, inboxLease, func(ctx context.Context) error {
		return w.inbox.Hold(ctx, id, w.owner, inboxLease)
	})
	w.handle(held, id, body)
	stop()
	w.done(ctx, id)
	return true
}

func (w *worker) take(ctx context.Context) (string, []byte, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return w.inbox.Take(ctx, w.owner, inboxLease)
}

// done fails when Redis does: the envelope is then handled again once its lease is over, which its ID
// makes harmless.
func (w *worker) done(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if err := w.inbox.Done(ctx, id, w.owner); err != nil {
		w.log.Warn("an envelope stays in the inbox", "envelope", id, "err", err)
	}
}

func (w *worker) handle(ctx context.Context, id string, body []byte) {
	var e Envelope
	if err := json.Unmarshal(body, &e); err != nil {
		w.log.Error("the inbox holds something that is no envelope", "envelope", id, "err", err)
		return
	}
	reply := w.reply(ctx, e)
	opened := w.speaker.open(ctx, e, reply)
	switch {
	case e.Home:
		w.refresh(ctx, e, reply, opened)
	case opened:
	case e.Kind == KindForm:
		w.speaker.whisper(ctx, e, reply.Text)
	case reply.Text != "":
		w.speaker.answer(ctx, e, reply)
	}
}

func (w *worker) reply(ctx context.Context, e Envelope) commands.Reply {
	request, err := e.request()
	if err != nil {
		w.log.Warn("a button is not known", "envelope", e.ID, "actor", e.Actor.ID, "err", err)
		return commands.Reply{Text: unknownButton}
	}
	return w.safely(ctx, request)
}

const unknownButton = "This button is not known any more. Nothing was done. `/deploy status` says how things stand."

// safely survives a panic in the handler: the person is told, the log has the stack.
func (w *worker) safely(ctx context.Context, request commands.Request) (reply commands.Reply) {
	ctx, cancel := context.WithTimeout(ctx, handleTime)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			w.log.Error("handling a request panicked", "envelope", request.ID, "actor", request.Actor.ID,
				"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			reply = commands.Reply{Text: "Slipway failed at this, and it is in its log. `/deploy status` says what was done."}
		}
	}()
	return w.handler.Handle(ctx, request)
}
