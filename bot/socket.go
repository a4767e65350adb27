package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"slipway/commands"
	"slipway/state"
)

const (
	// acceptors is how many envelopes are stored and acknowledged at a time. With one, a store that
	// hangs would make every ack behind it miss Slack's 3 s.
	acceptors = 8
	// acceptTime bounds the store; what is left of the 3 s is for the ack.
	acceptTime = time.Second
	ackTime    = time.Second
	// ackGrace lets slack-go write the last acks, whose queue cannot be waited for.
	ackGrace = 100 * time.Millisecond
)

// listen keeps a socket to Slack until ctx ends, stores each envelope and acknowledges it. What was
// received by then is finished under hands. An error is final.
func (b *Bot) listen(ctx, hands context.Context) error {
	connection, disconnect := context.WithCancel(hands)
	defer disconnect()
	s := &socket{bot: b, client: b.socketClient(), log: b.log, rescues: newRescues()}
	defer s.rescues.work.Wait()

	closed := make(chan error, 1)
	go func() { closed <- s.connect(connection) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var accepting sync.WaitGroup
	for range acceptors {
		accepting.Go(func() { s.receive(ctx, hands) })
	}

	var err error
	select {
	case err = <-closed:
		stop()
		accepting.Wait()
	case <-ctx.Done():
		accepting.Wait()
		_ = sleep(hands, ackGrace)
		disconnect()
		<-closed
	}
	return err
}

func (b *Bot) socketClient() *socketmode.Client {
	var options []socketmode.Option
	if b.cfg.Dialer != nil {
		options = append(options, socketmode.OptionDialer(b.cfg.Dialer))
	}
	return socketmode.New(b.api, options...)
}

type socket struct {
	bot    *Bot
	client *socketmode.Client
	log    *slog.Logger

	rescues *rescues
}

// connect keeps the connection until ctx ends or Slack refuses it for good. slack-go connects again
// by itself; gate paces it.
func (s *socket) connect(ctx context.Context) error {
	for {
		err := s.client.RunContext(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it ends because it was told to
		}
		if final := refusal(err); final != nil {
			return final
		}
		s.log.Warn("slack connection ended; connecting again", "err", err)
	}
}

// refusal explains the errors that another try cannot heal; nil for the others.
func refusal(err error) error {
	switch code := codeOf(err); code {
	case "invalid_auth", "account_inactive", "not_authed", "token_revoked", "not_allowed_token_type":
		return fmt.Errorf("slack refuses the app token (%s): check SLACK_APP_TOKEN; it has to be a valid xapp- token of this app", code)
	}
	if status, ok := errors.AsType[slack.StatusCodeError](err); ok && status.Code == http.StatusNotFound {
		return fmt.Errorf("there is no Slack API at the given address (HTTP 404): check SLACK_API_URL")
	}
	return nil
}

// receive handles what comes over the socket until ctx ends.
func (s *socket) receive(ctx, hands context.Context) {
	for {
		if ctx.Err() != nil {
			return
		}
		select {
		case e := <-s.client.Events:
			s.handle(hands, e)
		case <-ctx.Done():
			return
		}
	}
}

func (s *socket) handle(ctx context.Context, e socketmode.Event) {
	switch e.Type {
	case socketmode.EventTypeSlashCommand, socketmode.EventTypeInteractive, socketmode.EventTypeEventsAPI:
		s.accept(ctx, *e.Request)
	case socketmode.EventTypeErrorBadMessage:
		s.unreadable(ctx, e)
	case socketmode.EventTypeHello:
		s.log.Info("slack connection is open", "connections", e.Request.NumConnections)
	case socketmode.EventTypeConnectionError:
		s.connectionError(e)
	case socketmode.EventTypeErrorWriteFailed:
		s.log.Warn("an ack could not be sent; slack sends the envelope again", "event", string(e.Type))
	}
}

// connectionError makes what slack-go would retry in silence visible: a missing scope is retried for
// ever, five minutes apart.
func (s *socket) connectionError(e socketmode.Event) {
	failed, ok := e.Data.(*slack.ConnectionErrorEvent)
	if !ok {
		return
	}
	if code := codeOf(failed.ErrorObj); code != "" {
		s.log.Error("slack refuses the connection; check the app token's scope connections:write and that Socket Mode is on",
			"code", code, "retry_in", failed.Backoff)
		return
	}
	s.log.Warn("slack cannot be reached", "err", failed.ErrorObj, "attempt", failed.Attempt, "retry_in", failed.Backoff)
}

// unreadable is for what slack-go's own parser refuses: this package's may read it, and it has to be
// acknowledged in any case.
func (s *socket) unreadable(ctx context.Context, e socketmode.Event) {
	bad, ok := e.Data.(*socketmode.ErrorBadMessage)
	if !ok {
		return
	}
	var request socketmode.Request
	if err := json.Unmarshal(bad.Message, &request); err != nil || request.EnvelopeID == "" {
		s.log.Warn("slack sent something that is no envelope", "err", bad.Cause)
		return
	}
	s.accept(ctx, request)
}

// accept stores an envelope and acknowledges it. Nothing else stands between the two. A form with a
// mistake in it is not stored: the ack shows the mistake, and the form stays open.
func (s *socket) accept(ctx context.Context, request socketmode.Request) {
	began := time.Now()
	e, err := parse(request.Type, request.EnvelopeID, request.Payload, began)
	if err != nil {
		s.log.Info("ignored an envelope", "type", request.Type, "reason", err)
		s.ack(ctx, request.EnvelopeID, nil)
		return
	}
	if wrong := s.wrong(e); len(wrong) > 0 {
		s.ack(ctx, request.EnvelopeID, slack.NewErrorsViewSubmissionResponse(wrong))
		return
	}
	if s.rescues.done(e.ID) {
		s.ack(ctx, request.EnvelopeID, nil)
		return
	}
	if unsure, err := s.store(ctx, e); err != nil {
		s.log.Error("an envelope was not stored", "envelope", e.ID, "actor", e.Actor.ID, "unsure", unsure, "err", err)
		if !s.rescue(ctx, request, e) {
			s.refuse(ctx, request, e, unsure)
		}
		return
	}
	s.ack(ctx, request.EnvelopeID, nil)
	s.log.Debug("accepted an envelope", "envelope", e.ID, "actor", e.Actor.ID, "took", time.Since(began))
	wake(s.bot.arrived)
}

// store tries a second time within its second: the first reply may only have been lost. With an error, unsure says that
// it may be stored all the same.
func (s *socket) store(ctx context.Context, e Envelope) (unsure bool, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return false, fmt.Errorf("encode envelope: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, acceptTime)
	defer cancel()
	first, stop := context.WithTimeout(ctx, acceptTime/2)
	defer stop()
	_, lost := s.bot.cfg.Inbox.Accept(first, e.ID, body)
	if lost == nil {
		return false, nil
	}
	_, err = s.bot.cfg.Inbox.Accept(ctx, e.ID, body)
	return !unwritten(lost) || !unwritten(err), err
}

func unwritten(err error) bool {
	failure, ok := errors.AsType[*state.Error](err)
	return ok && failure.Unwritten
}

const (
	notStored     = "Nothing was done: Slipway cannot reach its store (Redis) now. Try again in a minute. " + withoutStore
	notStoredForm = "Nothing was started: Slipway cannot reach its store (Redis) now. Try again in a minute."
	// Redis does not answer, or its answer was lost: what was asked for may be in the inbox.
	mayBeStored = "Slipway's store (Redis) does not answer now, so it is not known yet whether this will be done. If it is, you are told once Redis is back. " +
		"If you hear nothing in the minute after, try again. " + withoutStore
	mayBeStoredForm = "Slipway's store (Redis) does not answer now, so it is not known yet whether this starts. `/deploy status` says so once Redis is back."
	withoutStore    = "Rollouts that run stop before their next step. Rolling back works: by the cards' buttons, `/deploy rollback TARGET` and `slipway ctl rollback`."
)

// refuse says that nothing was done, or that nobody knows: for a command in the ack itself, for a form in its
// field, else in a message of its own or on the Home, because the ack of a click or an event shows nothing.
func (s *socket) refuse(ctx context.Context, request socketmode.Request, e Envelope, unsure bool) {
	text, inForm := notStored, notStoredForm
	if unsure {
		text, inForm = mayBeStored, mayBeStoredForm
	}
	switch {
	case e.Kind == KindCommand:
		s.ack(ctx, request.EnvelopeID, map[string]string{"response_type": slack.ResponseTypeEphemeral, "text": string(escape(text))})
	case e.Kind == KindForm:
		s.ack(ctx, request.EnvelopeID, slack.NewErrorsViewSubmissionResponse(map[string]string{commands.FieldTarget: inForm}))
	case e.Home:
		s.ack(ctx, request.EnvelopeID, nil)
		s.bot.speaker.home(ctx, e, commands.Home{Trouble: notStored}, "") // where nothing is done that lasts
	default:
		s.ack(ctx, request.EnvelopeID, nil)
		s.bot.speaker.answer(ctx, e, commands.Reply{Text: text})
	}
}

func (s *socket) ack(ctx context.Context, envelopeID string, payload any) {
	ctx, cancel := context.WithTimeout(ctx, ackTime)
	defer cancel()
	if err := s.client.AckCtx(ctx, envelopeID, payload); err != nil {
		s.log.Warn("an envelope was not acknowledged; slack sends it again", "err", err)
	}
}
