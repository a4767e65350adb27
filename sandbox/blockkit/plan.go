// An agent's plan: https://docs.slack.dev/reference/block-kit/blocks/plan-block
// and https://docs.slack.dev/reference/block-kit/blocks/task-card-block.

package blockkit

func (o *out) plan(b object) {
	o.in("details", attrs{"class", "bk-plan", "open", "open"}.with("data-block-id", b.str("block_id")), func() {
		o.in("summary", attrs{"class", "bk-summary"}, func() {
			o.in("span", attrs{"class", "bk-plan-title"}, func() { o.titleOf(b, "title") })
		})
		o.in("ul", attrs{"class", "bk-tasks"}, func() {
			for _, t := range b.objects("tasks") {
				o.task(t)
			}
		})
	})
}

// status is how a task stands: its shape tells it apart without colour, its
// word without sight.
type status struct {
	class, word string
	paths       []string // of an icon on a grid of 20
}

func statusOf(t object) status {
	switch t.str("status") {
	case "in_progress":
		return status{"bk-doing", "In progress", []string{"M10 2.75a7.25 7.25 0 1 1-7.25 7.25"}}
	case "complete":
		return status{"bk-done", "Complete", []string{"M10 2.75a7.25 7.25 0 1 0 0 14.5a7.25 7.25 0 1 0 0-14.5", "M6.5 10.25l2.4 2.4l4.6-5"}}
	case "error":
		return status{"bk-failed", "Error", []string{"M10 3L17.75 16.5H2.25Z", "M10 8v4", "M10 14.2v.1"}}
	}
	return status{"bk-pending", "Pending", []string{"M10 2.75a7.25 7.25 0 1 0 0 14.5a7.25 7.25 0 1 0 0-14.5"}}
}

func (o *out) task(t object) {
	s := statusOf(t)
	o.in("li", attrs{"class", "bk-task " + s.class}, func() {
		o.icon(s)
		o.in("div", attrs{"class", "bk-task-body"}, func() {
			o.unseen(s.word + ": ")
			if !t.is("hide_title") {
				o.in("span", attrs{"class", "bk-task-title"}, func() { o.titleOf(t, "title") })
			}
			o.taskText(t, "details")
			o.taskText(t, "output")
			o.sources(t.objects("sources"))
		})
	})
}

func (o *out) icon(s status) {
	o.in("span", attrs{"class", "bk-icon", "title", s.word}, func() {
		o.in("svg", attrs{"viewBox", "0 0 20 20", "aria-hidden", "true"}, func() {
			for _, path := range s.paths {
				o.void("path", attrs{"d", path})
			}
		})
	})
}

func (o *out) taskText(t object, key string) {
	if rich := t.object(key); rich != nil {
		o.in("div", attrs{"class", "bk-task-" + key}, func() { o.richText(rich) })
	}
}

func (o *out) sources(sources []object) {
	if len(sources) == 0 {
		return
	}
	o.in("div", attrs{"class", "bk-sources"}, func() {
		o.unseen("Sources: ")
		for i, s := range sources {
			if i > 0 {
				o.text(" ")
			}
			o.link("bk-source", s.str("url"), func() { o.text(s.str("text")) })
		}
	})
}
