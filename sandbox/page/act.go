package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway/sandbox/blockkit"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
)

const (
	// actDeadline is longer than Slack waits for the app's answer.
	actDeadline = 10 * time.Second
	largestForm = 1 << 20
)

// action does what a form of the page says, for the user and at the place that it names. Its error is
// shown to who sent it.
type action func(ctx context.Context, where place, form url.Values) error

// act serves an action. Every form has "at", the address of its page.
func (p *Page) act(do action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !p.enter() {
			http.Error(w, "the sandbox has ended", http.StatusServiceUnavailable)
			return
		}
		defer p.work.Done()
		r.Body = http.MaxBytesReader(w, r.Body, largestForm)
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		at, err := url.Parse(r.PostForm.Get("at"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		where, err := p.find(at, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		// Not the request's context: what a person did is done, also when they close the tab meanwhile.
		ctx, cancel := context.WithTimeout(p.ctx, actDeadline)
		defer cancel()
		if err := do(ctx, where, r.PostForm); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// command is the one that Slipway has.
const command = "/deploy"

// send is a message or a command that is typed. With thread it is written there.
func (p *Page) send(ctx context.Context, where place, form url.Values) error {
	text := strings.TrimSpace(form.Get("text"))
	if form.Get("thread") == "" {
		where.Thread = ""
	}
	bot := p.cfg.Slack.State().Bot
	mention := "@" + bot.Name
	switch {
	case text == "":
	case strings.HasPrefix(text, "/"):
		p.command(ctx, where, text)
	case strings.HasPrefix(strings.ToLower(text), mention):
		request := fakeslack.MentionRequest{User: where.User.ID, Channel: where.Channel.ID, ThreadTS: where.Thread, Text: "<@" + bot.ID + ">" + escape(text[len(mention):])}
		if _, err := p.cfg.Slack.Mention(ctx, request); err != nil {
			p.tell(where, "Nobody heard that: "+bot.RealName+" "+err.Error()+".")
		}
	default:
		p.tell(where, "Only "+bot.RealName+" listens in this workspace: begin with `"+p.begin()+"` or with `"+mention+"`. You wrote: "+escape(text))
	}
	return nil
}

// begin is what a command begins with.
func (p *Page) begin() string {
	if p.cfg.File == nil {
		return "/"
	}
	return command
}

// escape is text as Slack stores it (https://docs.slack.dev/messaging/formatting-message-text#escaping).
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

func (p *Page) command(ctx context.Context, where place, text string) {
	name, rest, _ := strings.Cut(text, " ")
	switch {
	case where.Thread != "" && p.cfg.File == nil:
		p.tell(where, "Slash commands do not work in threads. Mentions do: begin with `@"+p.cfg.Slack.State().Bot.Name+"`.")
		return
	case where.Thread != "":
		p.tell(where, "Slash commands do not work in threads. Write `@"+p.cfg.Slack.State().Bot.Name+" "+escape(strings.TrimSpace(rest))+"` instead.")
		return
	case name != command && p.cfg.File != nil:
		p.tell(where, "`"+escape(name)+"` is no command of this workspace; `"+command+"` is. What begins with / is always read as a command.")
		return
	}
	ack, err := p.cfg.Slack.Command(ctx, fakeslack.CommandRequest{User: where.User.ID, Channel: where.Channel.ID, Command: name, Text: strings.TrimSpace(rest)})
	if err != nil {
		p.tell(where, "`"+escape(text)+"` "+err.Error()+".")
	} else if ack.Problem != "" {
		p.tell(where, "Slack cannot show the app's answer: "+escape(ack.Problem))
	}
}

// click presses a button, or chooses from a select: in a message, or in a view if there is view_id.
func (p *Page) click(ctx context.Context, where place, form url.Values) error {
	_, err := p.cfg.Slack.Click(ctx, fakeslack.ClickRequest{
		User: where.User.ID, Channel: where.Channel.ID, TS: form.Get("ts"), ViewID: form.Get("view_id"),
		ActionID: form.Get("action_id"), BlockID: form.Get("block_id"), Value: form.Get("value"),
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fakeslack.ErrNotAcked) || errors.Is(err, fakeslack.ErrNoConnection):
		return fmt.Errorf("%s did not react. The click %w", p.cfg.Slack.State().Bot.RealName, err)
	}
	return fmt.Errorf("that is not there any more: %w", err)
}

// submit submits a modal. What is wrong with its inputs is shown under them.
func (p *Page) submit(ctx context.Context, where place, form url.Values) error {
	id := form.Get("view_id")
	p.problem(id, nil)
	view, ok := p.view(where, id)
	if !ok {
		return errors.New("this dialog is closed already")
	}
	ack, err := p.cfg.Slack.Submit(ctx, fakeslack.SubmitRequest{User: where.User.ID, ViewID: id, Values: blockkit.Values(view.Blocks, form)})
	switch {
	case errors.Is(err, fakeslack.ErrNotAcked) || errors.Is(err, fakeslack.ErrNoConnection):
		p.problem(id, map[string]string{"": "We had some trouble connecting. Try again? (" + err.Error() + ")"})
	case err != nil:
		p.problem(id, map[string]string{"": err.Error()})
	case ack.Problem != "":
		p.problem(id, map[string]string{"": "Slack cannot use the app's answer: " + ack.Problem})
	default:
		var answer struct{ Errors map[string]string }
		if len(ack.Payload) > 0 && json.Unmarshal(ack.Payload, &answer) == nil {
			p.problem(id, answer.Errors)
		}
	}
	return nil
}

func (p *Page) view(where place, id string) (fakeslack.View, bool) {
	for _, v := range p.cfg.Slack.Views(where.User.ID) {
		if v.ID == id {
			return v, true
		}
	}
	return fakeslack.View{}, false
}

// closeView closes a modal without submitting it, or with "cleared" all that are open.
func (p *Page) closeView(ctx context.Context, where place, form url.Values) error {
	id := form.Get("view_id")
	if _, open := p.view(where, id); !open {
		return nil
	}
	p.problem(id, nil)
	_, err := p.cfg.Slack.CloseView(ctx, fakeslack.CloseRequest{User: where.User.ID, ViewID: id, Cleared: form.Get("cleared") != ""})
	if errors.Is(err, fakeslack.ErrNotAcked) || errors.Is(err, fakeslack.ErrNoConnection) {
		return nil // it is closed; that the app was not told is its own trouble
	}
	return err
}

// traffic sets a service's requests a second, or a revision's error rate in percent.
func (p *Page) traffic(_ context.Context, _ place, form url.Values) error {
	request := fakegcp.TrafficRequest{Service: form.Get("service")}
	value, err := strconv.ParseFloat(form.Get("value"), 64)
	if err != nil || !(value >= 0 && value <= mostRPS) { // nor is NaN
		return fmt.Errorf("%q is not a number from 0 to %d", form.Get("value"), mostRPS)
	}
	if revision := form.Get("revision"); revision != "" {
		request.ErrorRate = map[string]float64{revision: value / 100}
	} else {
		request.RPS = &value
	}
	return p.cfg.Cloud.Traffic(request)
}

// mostRPS keeps a slip of the hand from filling the memory with log entries.
const mostRPS = 500

// dismiss puts the hint away for the user.
func (p *Page) dismiss(_ context.Context, where place, _ url.Values) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dismissed[where.User.ID] = true
	p.touch()
	return nil
}
