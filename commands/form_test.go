package commands

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"slipway/plan"
)

// The form comes with the help, for where it cannot be shown.
func TestFormOffersTheTargets(t *testing.T) {
	h, _ := newHandler(t)
	reply := h.Handle(t.Context(), command("UDEPLOYER", " "))
	if reply.Form == nil || reply.Text != help(h.File()) {
		t.Fatalf("%+v", reply)
	}
	want := []string{"staging", "preview", "staging/backend", "preview/auth", "preview/web"}
	if f := reply.Form; !slices.Equal(f.Targets, want) || f.Target != "" || f.Example != "main" ||
		f.Hint != "Leave it empty to deploy what the tag main points to now." {
		t.Errorf("%+v", f)
	}
	for _, other := range []Request{{Text: "help"}, {Mention: true}} {
		if reply := h.Handle(t.Context(), other); reply.Form != nil || reply.Text != help(h.File()) {
			t.Errorf("%+v opens a form", other)
		}
	}
}

func TestFormBeginsWithATarget(t *testing.T) {
	h, _ := newHandler(t)
	for text, want := range map[string]string{"": "", "preview": "preview", "Preview": "preview", "gone": "", "preview/web": "preview/web"} {
		req := command("UDEPLOYER", text)
		req.Show = ShowForm
		if reply := h.Handle(t.Context(), req); reply.Form == nil || reply.Form.Target != want || reply.Text != formClosed {
			t.Errorf("%q: %+v", text, reply)
		}
	}
	one := &plan.File{Environments: h.File().Environments[:1]}
	h.File = func() *plan.File { return one }
	if f := h.Handle(t.Context(), command("UDEPLOYER", "")).Form; f == nil || f.Target != "staging" {
		t.Errorf("the only environment is not chosen: %+v", f)
	}
	h.File = func() *plan.File { return &plan.File{} }
	if reply := h.Handle(t.Context(), command("UDEPLOYER", "")); reply.Form != nil || reply.Text == "" {
		t.Errorf("a form without targets: %+v", reply)
	}
}

func TestFormOfManyTargets(t *testing.T) {
	h, _ := newHandler(t)
	file := &plan.File{}
	for i := range 70 {
		file.Environments = append(file.Environments, &plan.Environment{Name: fmt.Sprintf("env%d", i), Services: []*plan.Service{{Name: "web", Tag: fmt.Sprintf("tag%d", i)}}})
	}
	h.File = func() *plan.File { return file }
	f := h.Handle(t.Context(), command("UDEPLOYER", "")).Form
	if len(f.Targets) != MaxTargets || f.Example != "the tag in deploy.yaml" || len(f.Hint) > 500 ||
		!strings.Contains(f.Hint, "env7/web tag7, ….") || !strings.HasSuffix(f.Hint, "40 more targets are not in the list: type /deploy and the target.") {
		t.Errorf("%d targets, %+v", len(f.Targets), f)
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name    string
		order   Order
		channel string
		wrong   []string
	}{
		{"a target", Order{Target: "staging"}, "C1", nil},
		{"a tag", Order{Target: "staging/backend", What: "v1.2.3"}, "", nil},
		{"a digest", Order{Target: "preview", What: digest("a")}, "", nil},
		{"no target", Order{}, "C1", []string{FieldTarget}},
		{"a target that is gone", Order{Target: "old"}, "C1", []string{FieldTarget}},
		{"a command for a target", Order{Target: "rollback staging"}, "C1", []string{FieldTarget}},
		{"two words for a tag", Order{Target: "staging", What: "v1 v2"}, "C1", []string{FieldWhat}},
		{"half a digest", Order{Target: "staging", What: "sha256:abc"}, "C1", []string{FieldWhat}},
		{"both", Order{Target: "old", What: "\"v1"}, "C1", []string{FieldTarget, FieldWhat}},
		{"no channel for the card", Order{Target: "quiet"}, "", []string{FieldTarget}},
		{"the channel of the form", Order{Target: "quiet"}, "C1", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, m := newHandler(t)
			file := *h.File()
			file.Environments = append(slices.Clone(file.Environments), &plan.Environment{Name: "quiet"})
			h.File = func() *plan.File { return &file }
			m.down, h.Directory = true, broken{}
			wrong := h.Check(test.order, test.channel)
			if !slices.Equal(slices.Sorted(maps.Keys(wrong)), slices.Sorted(slices.Values(test.wrong))) {
				t.Errorf("wrong: %v", wrong)
			}
			for _, text := range wrong {
				if strings.ContainsAny(text, "`{") || len(text) > 300 {
					t.Errorf("not plain text: %s", text)
				}
			}
		})
	}
}

// An order is what would have been typed, and never another command.
func TestOrdersAreCommands(t *testing.T) {
	for _, order := range []Order{
		{Target: "staging"}, {Target: "staging/backend", What: "v1.2.3"}, {Target: "rollback", What: "v1"},
		{Target: "staging", What: "abort"}, {Target: "Deploy", What: "deploy"}, {Target: "help"},
	} {
		cmd, err := Parse(order.Text())
		if err != nil || cmd.Verb != Deploy || cmd.Target != order.Target || cmd.What != order.What {
			t.Errorf("%+v is %q: %+v, %v", order, order.Text(), cmd, err)
		}
	}
}

func TestAnOrderStartsOneRollout(t *testing.T) {
	h, m := newHandler(t)
	req := command("UDEPLOYER", Order{Target: "staging/backend", What: "v2"}.Text())
	req.ID, req.Channel, req.ChannelName = "form/V1", "", ""
	first, again := h.Handle(t.Context(), req), h.Handle(t.Context(), req)
	if len(m.started) != 1 || m.started[0].What != "v2" || m.started[0].Token != "form/V1" || m.started[0].Channel != "deploys-staging" {
		t.Fatalf("started %+v", m.started)
	}
	if first.Text != again.Text || first.Text != "Starting backend on staging: the card is in #deploys-staging." {
		t.Errorf("answered %q, then %q", first.Text, again.Text)
	}
}

// A window has room for what a message has not.
func TestDetailsInAWindow(t *testing.T) {
	h, m := newHandler(t)
	id := deployFailed(h, m)
	r := m.find(id)
	s, _ := r.Step("3.1")
	s.Detail = strings.Repeat("x", 2000)
	reply := h.Handle(t.Context(), press("UOUTSIDER", id, Click{Verb: VerbDetails}))
	if reply.Window == nil || reply.Window.Title != "Rollout "+id || len(reply.Text) > maxTotal+100 {
		t.Fatalf("%+v", reply)
	}
	var whole, cutOff bool
	for _, p := range reply.Window.Parts {
		whole = whole || p.Verbatim == s.Detail
		cutOff = cutOff || strings.Contains(p.Text, "do not fit")
	}
	if !whole || cutOff || strings.Contains(reply.Text, s.Detail) {
		t.Errorf("%+v", reply.Window)
	}
}
