package page

import (
	"net/http"
	"strings"

	"slipway/commands"
	"slipway/plan"
)

// option is one line of the completion.
type option struct {
	Text string // what is typed
	Says string // what it does
}

// verb is how a command of the app is typed: %s stands for its target.
type verb struct {
	form string
	does commands.Verb
	says string
	bare bool // has no target
}

func verbs() []verb {
	return []verb{
		{"TARGET", commands.Deploy, "Roll out what the services' own tags point to", false},
		{"status TARGET", commands.Status, "What is rolling out, who is waited for, what is locked", false},
		{"plan TARGET", commands.Plan, "What a rollout would do; nothing is started", false},
		{"graph TARGET 1h", commands.Graph, "The error rate of what serves", false},
		{"history TARGET", commands.History, "The last rollouts and how they ended", false},
		{"incidents", commands.ListIncidents, "What fails while nobody deploys, and what is watched", true},
		{"pause TARGET", commands.Pause, "Start no further step for a while", false},
		{"resume TARGET", commands.Resume, "Go on after a pause", false},
		{"retry TARGET", commands.Retry, "Try the failed step again", false},
		{"abort TARGET", commands.Abort, "Stop; traffic goes back to the old revision", false},
		{"rollback TARGET", commands.Rollback, "All traffic to the last revision that passed", false},
		{"lock TARGET load test for 2h", commands.Lock, "Keep rollouts from starting", false},
		{"unlock TARGET", commands.Unlock, "Let rollouts start again", false},
		{"queue TARGET", commands.Queue, "Get in line for a locked target, or see who is", false},
		{"unqueue TARGET", commands.Unqueue, "Leave the line, or pass when it is your turn", false},
		{"ack", commands.Acknowledge, "Say that you have an incident", true},
		{"silence", commands.Silence, "No word of an incident for a while", true},
		{"resolve", commands.Resolve, "Say that an incident is over", true},
		{"help", commands.Help, "What can be typed", true},
	}
}

// mostOptions keeps the list on the screen.
const mostOptions = 15

// complete lists what typed can become: commands, or in a thread and after @ the same as a mention.
// It is empty for what is no beginning of one, and without a plan file.
func complete(f *plan.File, bot, typed string, thread bool) []option {
	typed = strings.TrimLeft(typed, " ")
	lead := command + " "
	if thread || strings.HasPrefix(typed, "@") {
		lead = "@" + bot + " "
	}
	if f == nil || typed == "" || typed[0] != lead[0] {
		return nil
	}
	var out []option
	for _, o := range lines(f, lead) {
		if len(o.Text) > len(typed) && strings.EqualFold(o.Text[:len(typed)], typed) && len(out) < mostOptions {
			out = append(out, o)
		}
	}
	return out
}

// lines are all commands on all targets: first each on the first target.
func lines(f *plan.File, lead string) []option {
	var out []option
	for i, target := range targets(f) {
		for _, v := range verbs() {
			if v.bare && i > 0 {
				continue
			}
			out = append(out, option{lead + strings.Replace(v.form, "TARGET", target, 1), v.says})
		}
	}
	return out
}

func targets(f *plan.File) []string {
	var out []string
	for _, e := range f.Environments {
		out = append(out, e.Name)
		for _, s := range e.Services {
			out = append(out, plan.Target{Environment: e.Name, Service: s.Name}.String())
		}
	}
	return out
}

type completion struct {
	ID      string // of the listbox, which its options' ids begin with
	Options []option
}

// serveCompletion answers with the options of a listbox.
func (p *Page) serveCompletion(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	thread := query.Get("thread") != ""
	list := completion{ID: "complete", Options: complete(p.cfg.File, p.cfg.Slack.State().Bot.Name, query.Get("text"), thread)}
	if thread {
		list.ID = "thread-complete"
	}
	pt := &painter{templates: p.templates}
	html := pt.paint("completion", list)
	if pt.err != nil {
		http.Error(w, pt.err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(html))
}
