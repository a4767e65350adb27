package bot

import (
	"context"
	"errors"
	"strconv"
	"time"

	"slipway/rollout"
	"slipway/state"
)

// This file puts the graph on the card of a rollout that has ended. The card goes out with its chart
// first; then the graph is uploaded and takes the chart's place. Each claim of the card does one step
// of that, so that other cards are not kept waiting.

// What card.Extra remembers of a graph.
const (
	graphID    = "graph"        // the file's ID, stored before its bytes are sent: after a crash it is looked for
	graphState = "graph_state"  // see below
	graphUntil = "graph_until"  // when Slack has to have processed it, in ms
	graphTries = "graph_failed" // how often a step failed
	shownKey   = "shown"        // version of the snapshot that the message shows; Version stays behind it until the graph is there
)

// The states of a graph; "" is before its upload.
const (
	graphSent  = "sent"  // the upload was begun
	graphReady = "ready" // it may be shown: every later look of the card has it
	graphNone  = "none"  // given up: the chart stays
)

// mostTries is how often a step may fail before the chart stays for good.
const mostTries = 4

// current reports whether the message shows the snapshot, be it without the graph.
func current(card *state.Card, r rollout.Rollout) bool {
	return card.Version >= r.Version || card.Extra[shownKey] == strconv.FormatInt(r.Version, 10)
}

// graphShown is the file that the card shows; "" for none.
func graphShown(card *state.Card) string {
	if card.Extra[graphState] == graphReady {
		return card.Extra[graphID]
	}
	return ""
}

// illustrate does the next step to a graph on a card that is up to date otherwise. A card that lacks
// its graph stays behind its rollout's version, so that it is claimed again.
func (p *poster) illustrate(ctx context.Context, card *state.Card, r rollout.Rollout, names Names) (time.Duration, error) {
	if r.End == nil || graphShown(card) != "" && card.Version >= r.Version {
		return 0, nil
	}
	again, err := p.toGraph(ctx, card, r, names)
	if err != nil {
		again = p.graphFailed(card, err)
	}
	done := graphShown(card) != "" && card.Version >= r.Version || card.Extra[graphState] == graphNone
	if done {
		card.Version = max(card.Version, r.Version)
		delete(card.Extra, shownKey)
		return 0, err
	}
	remember(card, shownKey, strconv.FormatInt(r.Version, 10))
	card.Version = r.Version - 1
	return max(again, lookAfter), err
}

func (p *poster) toGraph(ctx context.Context, card *state.Card, r rollout.Rollout, names Names) (time.Duration, error) {
	switch card.Extra[graphState] {
	case "":
		return p.uploadGraph(ctx, card, r)
	case graphSent:
		ready, err := p.pictures.ready(ctx, card.Extra[graphID])
		switch {
		case errors.Is(err, errNoFile):
			remember(card, graphState, "")
			return 0, err
		case err != nil:
			return 0, err
		case !ready && time.Now().After(timeOf(card, graphUntil)):
			p.keepChart(card, "slack did not process the file in time")
			return 0, nil
		case !ready:
			return lookAfter, nil
		}
		remember(card, graphState, graphReady)
	case graphNone:
		return 0, nil
	}
	card.Version = r.Version - 1
	return p.update(ctx, card, r, names)
}

// uploadGraph draws the graph and sends it. That it is about to be sent is stored before.
func (p *poster) uploadGraph(ctx context.Context, card *state.Card, r rollout.Rollout) (time.Duration, error) {
	g, alt, ok := graphOf(r, graphed(r))
	if !ok || p.pictures.denied.Load() {
		remember(card, graphState, graphNone)
		return 0, nil
	}
	image, err := p.pictures.png(g)
	if err != nil {
		p.keepChart(card, err.Error())
		return 0, nil
	}
	to, err := p.pictures.reserve(ctx, alt, len(image))
	if err != nil {
		return 0, err
	}
	remember(card, graphID, to.id)
	remember(card, graphState, graphSent)
	waitForGraph(card, readyTime)
	if err := p.cards.SaveCard(ctx, p.owner, *card); err != nil {
		return 0, err
	}
	if err := p.pictures.send(ctx, to, g.Title, image); err != nil {
		return 0, err
	}
	waitForGraph(card, readyTime)
	p.log.Info("graph uploaded", "rollout", r.ID, "file", to.id, "bytes", len(image))
	return lookAfter, nil
}

func waitForGraph(card *state.Card, d time.Duration) {
	remember(card, graphUntil, strconv.FormatInt(time.Now().Add(d).UnixMilli(), 10))
}

// graphFailed counts a step that failed and says when the next is due, if there is to be one.
func (p *poster) graphFailed(card *state.Card, err error) time.Duration {
	switch {
	case p.pictures.hopeless(err):
		p.keepChart(card, err.Error())
	case p.anotherTry(card, err):
		return max(pauseAfter(err), failPause)
	}
	return 0
}

// graphRefused is called when Slack did not take the card with its graph: perhaps not yet.
func (p *poster) graphRefused(card *state.Card, err error) {
	if p.anotherTry(card, err) {
		remember(card, graphState, graphSent)
	}
}

// anotherTry counts a failure and reports whether there may be another.
func (p *poster) anotherTry(card *state.Card, err error) bool {
	tries, _ := strconv.Atoi(card.Extra[graphTries])
	remember(card, graphTries, strconv.Itoa(tries+1))
	if tries+1 < mostTries {
		return true
	}
	p.keepChart(card, err.Error())
	return false
}

// keepChart gives the graph up.
func (p *poster) keepChart(card *state.Card, reason string) {
	remember(card, graphState, graphNone)
	if !p.pictures.denied.Load() {
		p.log.Warn("the card keeps its chart: the graph cannot be shown", "rollout", card.Rollout, "file", card.Extra[graphID], "reason", reason)
	}
}
