package bot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"slipway/commands"
	"slipway/plan"
	"slipway/rollout"
)

func TestCard(t *testing.T) {
	each(t, func(t *testing.T, name string, from func(*testing.T) *story, tell func(*story)) {
		s := from(t)
		tell(s)
		native := Card(s.r, s.now, names, Look{})
		checkLimits(t, native)
		golden(t, name+".json", encoded(t, native))
		classic := Card(s.r, s.now, names, Look{Classic: true})
		checkLimits(t, classic)
		golden(t, name+"_classic.json", encoded(t, classic))
		if !hasButton(native, commands.VerbDetails) {
			t.Error("there is no button for details")
		}
	})
}

// An ended rollout's graph stands where its chart did, natively and in classic blocks.
func TestCardWithGraph(t *testing.T) {
	for name, tell := range map[string]func(*story){"succeeded": (*story).toSucceeded, "rolled_back": func(s *story) { s.toRolledBack() }} {
		for suffix, classic := range map[string]bool{"_graph.json": false, "_graph_classic.json": true} {
			s := newStory(t)
			tell(s)
			s.measured()
			m := Card(s.r, s.now, names, Look{Classic: classic, Graph: "F0GRAPH"})
			checkLimits(t, m)
			golden(t, name+suffix, encoded(t, m))
			if raw := string(encoded(t, m)); chartOf(m) != nil || strings.Contains(raw, "Error rate of backend in %") {
				t.Errorf("%s%s has the chart as well", name, suffix)
			}
		}
	}
}

// A file without anything to draw is not shown.
func TestCardWithoutAnythingToDraw(t *testing.T) {
	s := newStory(t)
	s.toFailed()
	if raw := string(encoded(t, Card(s.r, s.now, names, Look{Graph: "F0GRAPH"}))); strings.Contains(raw, "F0GRAPH") {
		t.Error("a rollout without a gate shows a graph")
	}
}

func chartOf(m Message) *slack.DataVisualizationBlock {
	for _, b := range m.Blocks {
		if chart, ok := b.(*slack.DataVisualizationBlock); ok {
			return chart
		}
	}
	return nil
}

func encoded(t *testing.T, m Message) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func checkLimits(t *testing.T, m Message) {
	t.Helper()
	if m.Text == "" || len(m.Text) > maxText {
		t.Errorf("text has %d bytes", len(m.Text))
	}
	if len(m.Blocks) > 50 {
		t.Errorf("%d blocks", len(m.Blocks))
	}
	if raw, _ := json.Marshal(m.Blocks); len(raw) > 13_200 {
		t.Errorf("blocks have %d bytes", len(raw))
	}
	seen := map[string]bool{}
	for _, b := range m.Blocks {
		if b.ID() == "" || seen[b.ID()] {
			t.Errorf("block_id %q is empty or not unique", b.ID())
		}
		seen[b.ID()] = true
		if chart, ok := b.(*slack.DataVisualizationBlock); ok {
			if err := chart.Validate(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A deploy.yaml may have any number of steps and any text in them.
func TestCardFitsWhateverThePlan(t *testing.T) {
	for _, steps := range []int{30, 100, 400} {
		for _, classic := range []bool{false, true} {
			t.Run(fmt.Sprint(steps, classic), func(t *testing.T) {
				s := newStory(t)
				s.toCounting()
				phase := rollout.Phase{Name: strings.Repeat("<phase> ", 40)}
				for i := range steps {
					step := s.r.Phases[2].Steps[2]
					step.ID, step.Note = fmt.Sprintf("9.%d", i), strings.Repeat("a <b> & c ", 200)
					step.Status, step.Gate = rollout.StepFailed, nil
					step.Spec.Name = strings.Repeat("long & <name> ", 50)
					phase.Steps = append(phase.Steps, step)
				}
				for range 60 {
					s.r.Phases = append(s.r.Phases, rollout.Phase{Name: "more"})
				}
				s.r.Phases = append(s.r.Phases, phase)
				m := Card(s.r, s.now, names, Look{Classic: classic})
				checkLimits(t, m)
				for _, b := range m.Blocks {
					if section, ok := b.(*slack.SectionBlock); ok && (section.Text.Text == "" || len(section.Text.Text) > 3000) {
						t.Errorf("section %s has %d bytes", section.BlockID, len(section.Text.Text))
					}
				}
				if !hasButton(m, rollout.VerbAbort) {
					t.Error("the button to stop is gone")
				}
			})
		}
	}
}

func hasButton(m Message, verb rollout.Verb) bool { return buttonOf(m, verb) != nil }

func buttonOf(m Message, verb rollout.Verb) *slack.ButtonBlockElement {
	for _, b := range m.Blocks {
		actions, ok := b.(*slack.ActionBlock)
		if !ok {
			continue
		}
		for _, e := range actions.Elements.ElementSet {
			if button, ok := e.(*slack.ButtonBlockElement); ok && button.ActionID == string(verb) {
				return button
			}
		}
	}
	return nil
}

// A button's label stands as on the card, with "?" behind it if a dialog asks whether it is meant;
// buttons is a card's, by rows.
func buttons(m Message) (rows []string) {
	for _, b := range m.Blocks {
		actions, ok := b.(*slack.ActionBlock)
		if !ok {
			continue
		}
		var labels []string
		for _, e := range actions.Elements.ElementSet {
			button, ok := e.(*slack.ButtonBlockElement)
			if !ok {
				continue
			}
			label := button.Text.Text
			if button.Confirm != nil {
				label += "?"
			}
			labels = append(labels, label)
		}
		rows = append(rows, strings.Join(labels, " | "))
	}
	return rows
}

func TestButtons(t *testing.T) {
	const resting, counted = "Details", "Details | Why?"
	late := func(tell func(*story)) func(*story) {
		return func(s *story) { tell(s); s.now = s.now.Add(2 * time.Hour) }
	}
	approval := func(s *story) { s.toApproval() }
	// everything puts all traffic on the new revision.
	everything := func(s *story) {
		service := s.r.Services["backend"]
		service.Percent = 100
		s.r.Services["backend"] = service
	}
	tests := []struct {
		name string
		from func(*testing.T) *story
		tell func(*story)
		want []string
	}{
		{"before traffic", newStory, func(s *story) { s.toDeploying() }, []string{"Stop? | Pause | Details"}},
		{"approval", newStory, approval, []string{"Approve | Reject", "Stop? | Details"}},
		{"approval too late", newStory, late(approval), []string{"Stop? | Details"}},
		{"gate", newStory, func(s *story) { s.wasHealthy().toCounting() },
			[]string{"Stop and roll back? | Stop here (10% stays on new)? | Pause | Details | Why?"}},
		{"gate at 100%", newStory, func(s *story) { s.wasHealthy().toCounting(); everything(s) },
			[]string{"Stop and roll back? | Stop here (all traffic stays on new)? | Pause | Details | Why?"}},
		{"gate after what cannot be undone", newStory, func(s *story) { s.unsafe().wasHealthy().toCounting() },
			[]string{"Stop and roll back although 'Migrate the database' ran? | Stop here (10% stays on new)? | Pause | Details | Why?"}},
		{"inconclusive", newStory, (*story).toInconclusive,
			[]string{"Wait 15 min | Ship without evidence? | Roll back to 00041 | Stop here (10% stays on new)", counted}},
		{"inconclusive and the old one worse", newStory, (*story).lacks,
			[]string{"Wait 15 min | Ship without evidence? | Roll back to 00041 (72% errors)? | Stay at 10% on new (0% errors)", counted}},
		{"decision too late", newStory, late((*story).toInconclusive),
			[]string{"Stop and roll back? | Stop here (10% stays on new)? | Details | Why?"}},
		{"failed and the old one worse", newStory, func(s *story) { s.toWorse() },
			[]string{"Stay at 10% on new (30% errors) | Roll back to 00041 (72% errors)? | Try again", counted}},
		{"failed at 100% and the old one worse", newStory, func(s *story) { s.toWorse(); everything(s) },
			[]string{"Stay on new (30% errors) | Roll back to 00041 (72% errors)? | Try again", counted}},
		{"failed after what cannot be undone", newStory, func(s *story) { s.toUnsafe() },
			[]string{"Try again | Roll back although 'Migrate the database' ran? | Stop here (10% stays on new)", counted}},
		{"both", newStory, func(s *story) { s.unsafe().toWorse() },
			[]string{"Stay at 10% on new (30% errors) | Roll back (72% errors) although 'Migrate the database' ran? | Try again", counted}},
		{"failed before traffic", newStory, func(s *story) { s.r.OnFailure = plan.OnFailureAsk; s.toFailed() },
			[]string{"Try again | Stop", resting}},
		{"paused", newStory, func(s *story) { s.wasHealthy().toCounting().say(deployer, rollout.VerbPause, "", "") },
			[]string{"Resume | Roll back to 00041 | Stop here (10% stays on new)", counted}},
		{"paused before traffic", newStory, func(s *story) { s.toDeploying().say(deployer, rollout.VerbPause, "", "") },
			[]string{"Resume | Stop", resting}},
		{"by hand", byHand(false), approval, []string{"Done | Reject", "Stop? | Details"}},
		{"failed before", oncemore, func(*story) {}, []string{"Deploy it again | Do not deploy it", "Stop? | Details"}},
		{"rollback", goBack, func(s *story) { s.start("1.1") }, []string{"Stop? | Details"}},
		{"rollback that fails", goBack, func(s *story) { s.cannotMove("1.1") }, []string{"Try again | Stop", resting}},
		{"ended", newStory, (*story).toSucceeded, []string{counted}},
		{"watched", newStory, (*story).toWatched, []string{counted}},
		{"failed late", newStory, (*story).toFailedLate, []string{"Roll back to 00041 (72% errors)? | Details | Why?"}},
		{"inconclusive and reachable", newStory, func(s *story) { s.reachable(); s.toInconclusive() },
			[]string{"Wait 15 min | Send test requests | Ship without evidence? | Roll back to 00041 | Stop here (10% stays on new)", counted}},
		{"going back", newStory, func(s *story) { s.wasHealthy().toCounting().say(deployer, rollout.VerbAbort, "", "") }, []string{counted}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.from(t)
			tt.tell(s)
			if got := buttons(Card(s.r, s.now, names, Look{})); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// What a button holds reads back as what it was made from.
func TestButtonsReadBack(t *testing.T) {
	each(t, func(t *testing.T, _ string, from func(*testing.T) *story, tell func(*story)) {
		s := from(t)
		tell(s)
		asked := ""
		if ask := firstOpen(s.r); ask != nil {
			asked = ask.ID
		}
		for _, b := range Card(s.r, s.now, names, Look{}).Blocks {
			actions, ok := b.(*slack.ActionBlock)
			if !ok {
				continue
			}
			ask := ""
			if strings.HasPrefix(actions.BlockID, "answers-") {
				ask = asked
			}
			for _, e := range actions.Elements.ElementSet {
				button := e.(*slack.ButtonBlockElement)
				click, err := clickOf(button.ActionID, button.Value)
				want := commands.Click{Verb: rollout.Verb(button.ActionID), Rollout: s.r.ID, Ask: ask, Version: s.r.Version}
				asksFirst := want.Verb != rollout.VerbRollback && s.r.OldIsWorse()
				if strings.Contains(strings.ToLower(button.Text.Text), "roll back") && !asksFirst {
					want.Back = &commands.Back{Target: "staging", Revisions: map[string]string{"backend": s.r.Services["backend"].Stable.Name}}
				}
				if err != nil || !reflect.DeepEqual(click, want) {
					t.Errorf("%s reads back as %+v, %v; want %+v", button.Text.Text, click, err, want)
				}
			}
		}
	})
}

// The names of steps are other people's text of any length.
func TestLongNamesFitOnButtons(t *testing.T) {
	s := newStory(t)
	s.unsafe()
	step, _ := s.r.Step("1.2")
	step.Spec.Name = strings.Repeat("Migrate <everything> ", 20)
	s.toWorse()
	b := buttonOf(Card(s.r, s.now, names, Look{}), rollout.VerbRollback)
	if b == nil || len(b.Text.Text) > 75 || !strings.HasSuffix(b.Text.Text, "…' ran") {
		t.Fatalf("button %+v", b)
	}
	if d := b.Confirm; d == nil || len(d.Text.Text) > 300 || !strings.Contains(d.Text.Text, "Migrate <everything>") || !strings.Contains(d.Text.Text, "old 72%") {
		t.Errorf("dialog %+v", d)
	}
}

func TestBlockIDsChangeWithTheVersion(t *testing.T) {
	s := newStory(t)
	before := Card(s.r, s.now, names, Look{})
	s.r.Version++
	after := Card(s.r, s.now, names, Look{})
	for i := range before.Blocks {
		if before.Blocks[i].ID() == after.Blocks[i].ID() {
			t.Errorf("block_id %s is the same in two versions", before.Blocks[i].ID())
		}
	}
}
