package crash_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway/rollout"
	"slipway/sandbox/fakegcp"
	"slipway/sandbox/fakeslack"
)

// account is all that a rollout has done, as text, without times, durations and counts.
func (w *world) account() string {
	w.t.Helper()
	var b strings.Builder
	mark := w.marks()
	section := func(name string, lines []string, inOrder bool) {
		for i, l := range lines {
			lines[i] = mark(l)
		}
		if !inOrder { // as steps of a parallel phase end in any
			slices.Sort(lines)
		}
		fmt.Fprintf(&b, "%s:\n  %s\n", name, strings.Join(lines, "\n  "))
	}
	section("updates", w.updates(), true)
	section("jobs", w.jobs(), false)
	section("cards", w.said(func(m fakeslack.Message) bool { return m.ThreadTS == "" }), true)
	section("thread", w.said(func(m fakeslack.Message) bool { return m.ThreadTS != "" }), false)
	section("events", w.events(), true)
	section("locks", w.locks(), true)
	return b.String()
}

// marks puts marks in place of what differs from one run to the next, the rollouts' IDs among it, which
// come from when they were asked for.
func (w *world) marks() func(string) string {
	history, err := w.store.History(w.t.Context(), "staging", 10)
	w.must(err)
	return func(text string) string {
		for _, r := range history {
			text = strings.ReplaceAll(text, r.ID, "ID")
		}
		return plain(text)
	}
}

// updates are the calls that changed a service, in order. The way back is a rescue, which is asked for
// again whenever it is in doubt: that sets the same value and changes nothing.
func (w *world) updates() []string {
	var list []string
	for _, c := range w.Cloud.Journal() {
		if c.Method != "UpdateService" || c.Outcome != "OK" || strings.Contains(string(c.Request), `"validateOnly":true`) {
			continue
		}
		back := strings.Contains(c.Summary, " traffic, 100% to netra-backend-staging-00041-abc")
		if n := len(list); !back || n == 0 || list[n-1] != c.Summary {
			list = append(list, c.Summary)
		}
	}
	return list
}

// jobs are the runs that were not cancelled.
func (w *world) jobs() []string {
	var list []string
	for _, j := range w.Cloud.State().Jobs {
		for _, e := range j.Executions {
			if stopped(e) {
				continue
			}
			list = append(list, fmt.Sprintf("%s %s %s", j.Name, strings.Join(e.Args, " "), e.Condition))
		}
	}
	return list
}

func stopped(e fakegcp.ExecutionState) bool { return strings.Contains(e.Message, "cancelled") }

// doubled is what people are told of a run that was there twice.
var doubled = regexp.MustCompile(` ?(?:\*[^*]+\*: )?It was run a second time, as ([a-z0-9-]+), by a replica that had lost its turn; that run was told to stop\.`)

// wantDoubledSaid makes sure that people were told of each run that was stopped because it was a second one.
func (w *world) wantDoubledSaid() {
	w.t.Helper()
	told := map[string]bool{}
	for _, m := range w.Slack.Messages(channel) {
		for _, found := range doubled.FindAllStringSubmatch(m.Text+" "+texts(m.Blocks), -1) {
			told[found[1]] = true
		}
	}
	for _, j := range w.Cloud.State().Jobs {
		for _, e := range j.Executions {
			if stopped(e) && !told[e.Name] {
				w.t.Errorf("nobody was told that %s ran as well", e.Name)
			}
		}
	}
}

// said are the messages of the app in the channel that all can see, without what was there twice.
func (w *world) said(which func(fakeslack.Message) bool) []string {
	var list []string
	for _, m := range w.Slack.Messages(channel) {
		if m.User != "U0SLIPWAY" || m.EphemeralTo != "" || m.Deleted || !which(m) {
			continue
		}
		if text := doubled.ReplaceAllString(m.Text+" "+texts(m.Blocks), ""); strings.TrimSpace(text) != "" {
			list = append(list, text)
		}
	}
	return list
}

var words = regexp.MustCompile(`"(?:text|title|type)":"([^"]*)"`)

// texts are the texts of blocks.
func texts(blocks json.RawMessage) string {
	var list []string
	for _, found := range words.FindAllSubmatch(blocks, -1) {
		list = append(list, string(found[1]))
	}
	return strings.Join(list, "|")
}

// events are the history of the one rollout, step by step, each step's in order.
func (w *world) events() []string {
	history, err := w.store.History(w.t.Context(), "staging", 10)
	w.must(err)
	var list []string
	for _, r := range history {
		events, err := w.store.Events(w.t.Context(), r.ID, 0)
		w.must(err)
		last := int64(0)
		for _, e := range events {
			if e.Seq <= last {
				w.t.Errorf("event %d follows event %d", e.Seq, last)
			}
			last = e.Seq
			if e.Kind != rollout.StepDoubled {
				list = append(list, event(e))
			}
		}
		list = append(list, fmt.Sprintf("rollout %s %s", r.Status, r.End.Result))
	}
	slices.SortStableFunc(list, func(a, b string) int {
		x, _, _ := strings.Cut(a, " ")
		y, _, _ := strings.Cut(b, " ")
		return strings.Compare(x, y)
	})
	return list
}

func event(e rollout.Event) string {
	text := fmt.Sprintf("step=%s %s attempt %d", e.Step, e.Kind, e.Attempt)
	if e.Outcome != nil {
		text += " " + string(e.Outcome.State)
	}
	if e.Verb != "" {
		text += " " + string(e.Verb) + " by " + e.By.Name
	}
	return text
}

func (w *world) locks() []string {
	locks, err := w.store.Locks(w.t.Context())
	w.must(err)
	var list []string
	for _, l := range locks {
		list = append(list, fmt.Sprintf("%+v", l.Target)+" "+l.Reason)
	}
	return list
}

// plain puts marks in place of times, durations and counts.
func plain(s string) string {
	for _, mark := range marked {
		s = mark.pattern.ReplaceAllString(s, mark.with)
	}
	return s
}

var marked = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`@ [0-9a-f]{7}`), "@ DIGEST"},
	{regexp.MustCompile(`sha256:[0-9a-f]{12,64}`), "DIGEST"},
	{regexp.MustCompile(`(\d+(\.\d+)?,?)+ ?(ms|s|min|h)\b( \d+ ?(s|min)\b)?`), "TIME"},
	{regexp.MustCompile(`\d+(\.\d+)?(,\d+)*`), "N"},
}

// different shows the lines that only one of two texts has.
func different(want, got string) string {
	var b strings.Builder
	has := func(text, line string) (n int) {
		for l := range strings.Lines(text) {
			if strings.TrimSuffix(l, "\n") == line {
				n++
			}
		}
		return n
	}
	for l := range strings.Lines(want) {
		if l = strings.TrimSuffix(l, "\n"); has(got, l) < has(want, l) {
			b.WriteString("- " + l + "\n")
		}
	}
	for l := range strings.Lines(got) {
		if l = strings.TrimSuffix(l, "\n"); has(want, l) < has(got, l) {
			b.WriteString("+ " + l + "\n")
		}
	}
	return b.String()
}
