package page

import (
	"context"
	"encoding/json"
	"html/template"

	"slipway/sandbox/fakeslack"
)

// home is the Home tab; empty elsewhere.
type home struct {
	Shown  bool
	ViewID string
	Body   template.HTML
}

func (p *Page) home(v viewer) home {
	if !v.Home {
		return home{}
	}
	view, published := p.cfg.Slack.Home(v.User.ID)
	if !published {
		return home{Shown: true}
	}
	return home{Shown: true, ViewID: view.ID, Body: v.kit.Blocks(view.Blocks)}
}

// openHome tells the app that a user looks at its Home tab; the app publishes it in its own time.
func (p *Page) openHome(where place) {
	if !p.enter() {
		return
	}
	go func() {
		defer p.work.Done()
		ctx, cancel := context.WithTimeout(p.ctx, actDeadline)
		defer cancel()
		if _, err := p.cfg.Slack.AppHome(ctx, fakeslack.AppHomeRequest{User: where.User.ID}); err != nil {
			p.cfg.Log.Info("home tab", "err", err)
		}
	}()
}

// modal is one of the views that a user has open.
type modal struct {
	ID, Title, Submit, Close string
	Blocks                   []block
	Problem                  string // of the whole view
}

// block is one block of a modal, and what is wrong with what was put in.
type block struct {
	ID, Problem string
	HTML        template.HTML
}

func (p *Page) modals(v viewer) []modal {
	var out []modal
	for _, view := range p.cfg.Slack.Views(v.User.ID) {
		p.mu.Lock()
		problems := p.errors[view.ID]
		p.mu.Unlock()
		m := modal{ID: view.ID, Title: view.Text("title"), Submit: view.Text("submit"), Close: view.Text("close"), Problem: problems[""]}
		if m.Close == "" {
			m.Close = "Cancel"
		}
		m.Blocks = blocks(v, view.Blocks, problems)
		out = append(out, m)
	}
	return out
}

// blocks renders each block by itself, so that an error can stand under its input.
func blocks(v viewer, raw json.RawMessage, problems map[string]string) []block {
	var each []json.RawMessage
	if json.Unmarshal(raw, &each) != nil {
		return nil
	}
	out := make([]block, len(each))
	for i, one := range each {
		var named struct {
			ID string `json:"block_id"`
		}
		_ = json.Unmarshal(one, &named) // a block without an ID has no error
		out[i] = block{ID: named.ID, HTML: v.kit.Blocks(wrapped(one))}
		if named.ID != "" {
			out[i].Problem = problems[named.ID]
		}
	}
	return out
}

func wrapped(one json.RawMessage) json.RawMessage {
	return append(append(json.RawMessage{'['}, one...), ']')
}

// problem remembers what is wrong with a view's inputs; nil: nothing any more.
func (p *Page) problem(view string, problems map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(problems) == 0 {
		delete(p.errors, view)
	} else {
		p.errors[view] = problems
	}
	p.touch()
}
