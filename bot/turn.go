package bot

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/slack-go/slack"

	"slipway/state"
)

// Turns says of whose turn in a line people have to be told. A turn belongs to whoever claimed it until
// it is released or its lease runs out; Save and Release then fail.
type Turns interface {
	// ClaimTurn also ends the turns whose time is over, and gives what is free to the first in line.
	ClaimTurn(ctx context.Context, owner string, lease time.Duration) (state.Turn, bool, error)
	SaveTurn(ctx context.Context, owner string, t state.Turn) error
	// HoldTurn makes a claim last for lease from now, at least.
	HoldTurn(ctx context.Context, owner string, t state.Turn, lease time.Duration) error
	// ReleaseTurn saves the notice. Unless told, or if the turn has ended meanwhile, it is due again.
	ReleaseTurn(ctx context.Context, owner string, t state.Turn, told bool, again time.Duration) error
}

// caller calls those whose turn it is: one message each, which later says how the turn ended. One
// goroutine does all of a process's.
type caller struct {
	turns     Turns
	owner     string
	api       *slack.Client
	directory *Directory
	log       *slog.Logger
	hint      chan struct{}
}

func newCaller(cfg Config, api *slack.Client, d *Directory) *caller {
	return &caller{turns: cfg.Turns, owner: cfg.Owner, api: api, directory: d, log: cfg.Log, hint: make(chan struct{}, 1)}
}

// run works until ctx ends. The turn in hand by then is finished under hands.
func (c *caller) run(ctx, hands context.Context) {
	for ctx.Err() == nil {
		if c.one(hands) {
			continue
		}
		timer := time.NewTimer(pollingTime)
		select {
		case <-c.hint:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// one tells of one turn; false if there was nothing to tell, or it could not be told.
func (c *caller) one(hands context.Context) bool {
	ctx, cancel := context.WithTimeout(hands, cardTime)
	defer cancel()
	turn, ok, err := c.turns.ClaimTurn(ctx, c.owner, cardLease)
	if err != nil {
		c.log.Warn("the lines cannot be read", "err", err)
	}
	if err != nil || !ok {
		return false
	}
	claimed := turn // what is told of it is noted in turn meanwhile
	held, stop := keep(ctx, cardLease, func(ctx context.Context) error {
		return c.turns.HoldTurn(ctx, c.owner, claimed, cardLease)
	})
	err = c.tell(held, &turn)
	stop()
	if err != nil {
		c.log.Warn("somebody was not told of their turn", "target", turn.Lock.Target.String(), "actor", turn.Lock.By.ID, "err", err)
	}
	// What was posted has to be remembered even if the time for posting is over.
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	if lost := c.turns.ReleaseTurn(release, c.owner, turn, err == nil, pauseAfter(err)); lost != nil {
		c.log.Warn("a call's state was not stored; it is looked for in Slack next time", "err", lost)
		return false
	}
	return err == nil
}

// tell posts the call, or changes it into how the turn ended.
func (c *caller) tell(ctx context.Context, turn *state.Turn) error {
	n := &turn.Notice
	if n.TS == "" {
		if err := c.first(ctx, turn); err != nil {
			return err
		}
	} else if n.Told != turn.Over {
		ctx, cancel := context.WithTimeout(ctx, httpTimeout)
		defer cancel()
		_, _, _, err := c.api.UpdateMessageContext(ctx, n.Channel, n.TS, callOptions(*turn)...)
		if code := codeOf(err); err != nil && code != "message_not_found" && code != "cant_update_message" && code != "edit_window_closed" {
			return err
		}
	}
	n.Told = turn.Over
	return nil
}

// first posts the call. That it is about to be posted is stored before, so that after a crash the message
// is looked for and not posted twice. A turn that has ended meanwhile calls nobody, but whoever missed it
// is told.
func (c *caller) first(ctx context.Context, turn *state.Turn) error {
	n := &turn.Notice
	channel, err := c.directory.Channel(ctx, turn.Lock.Turn.Channel)
	if err != nil {
		return err
	}
	n.Channel = channel
	if n.Posting {
		if n.TS, err = c.find(ctx, *turn); err != nil {
			return err
		}
	}
	if n.TS != "" {
		n.Posting = false
		_, _, _, err := c.api.UpdateMessageContext(ctx, n.Channel, n.TS, callOptions(*turn)...)
		return err
	}
	if turn.Over != state.TurnOpen && turn.Over != state.TurnLapsed {
		return nil
	}
	n.Posting = true
	if err := c.turns.SaveTurn(ctx, c.owner, *turn); err != nil {
		return err
	}
	return c.post(ctx, turn)
}

// post posts once the claim lasts for it.
func (c *caller) post(ctx context.Context, turn *state.Turn) error {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	if err := c.turns.HoldTurn(ctx, c.owner, *turn, postLease); err != nil {
		return err
	}
	where, ts, err := c.api.PostMessageContext(ctx, turn.Notice.Channel, callOptions(*turn)...)
	if err != nil {
		turn.Notice.Posting = mayHaveHappened(err)
		return err
	}
	turn.Notice.Channel, turn.Notice.TS, turn.Notice.Posting = where, ts, false
	c.log.Info("somebody's turn was posted", "target", turn.Lock.Target.String(), "actor", turn.Lock.By.ID, "fence", turn.Lock.Fence)
	return nil
}

// turnKey is what a call is found by.
func turnKey(turn state.Turn) messageKey {
	return messageKey{"turn", strconv.FormatInt(turn.Lock.Fence, 10)}
}

// find looks for a call that was posted by somebody who could not remember it.
func (c *caller) find(ctx context.Context, turn state.Turn) (ts string, err error) {
	all, err := historyOf(ctx, c.api, turn.Notice.Channel, turn.Lock.Since)
	if err != nil {
		return "", err
	}
	return find(all, turnKey(turn)), nil
}
