package bot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"slipway/rollout"
)

func TestCard(t *testing.T) {
	for _, tt := range stories {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t)
			tt.tell(s)
			native := Card(s.r, s.now, names, false)
			checkLimits(t, native)
			golden(t, tt.name+".json", encoded(t, native))
			classic := Card(s.r, s.now, names, true)
			checkLimits(t, classic)
			golden(t, tt.name+"_classic.json", encoded(t, classic))
		})
	}
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
				m := Card(s.r, s.now, names, classic)
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

func TestButtons(t *testing.T) {
	tests := []struct {
		name string
		tell func(*story)
		want map[rollout.Verb]string // "" means that it must not be there
	}{
		{"before traffic", func(s *story) { s.toDeploying() }, map[rollout.Verb]string{rollout.VerbAbort: "Stop", rollout.VerbApprove: ""}},
		{"approval", func(s *story) { s.toApproval() }, map[rollout.Verb]string{
			rollout.VerbApprove: "Approve", rollout.VerbReject: "Reject", rollout.VerbAbort: "Stop"}},
		{"approval too late", func(s *story) { s.toApproval(); s.now = s.now.Add(time.Hour) }, map[rollout.Verb]string{
			rollout.VerbApprove: "", rollout.VerbReject: ""}},
		{"gate", func(s *story) { s.toCounting() }, map[rollout.Verb]string{rollout.VerbAbort: "Stop and roll back"}},
		{"inconclusive", func(s *story) { s.toInconclusive() }, map[rollout.Verb]string{
			rollout.VerbExtend: "Wait 15 min", rollout.VerbContinue: "Ship without evidence",
			rollout.VerbRollback: "Roll back to 00041", rollout.VerbHold: "Stop here (10% stays on new)", rollout.VerbAbort: ""}},
		{"ended", func(s *story) { s.toSucceeded() }, map[rollout.Verb]string{rollout.VerbAbort: "", rollout.VerbApprove: ""}},
		{"going back", func(s *story) { s.toCounting(); s.say(deployer, rollout.VerbAbort, "", "") }, map[rollout.Verb]string{rollout.VerbAbort: ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t)
			tt.tell(s)
			m := Card(s.r, s.now, names, false)
			for verb, label := range tt.want {
				b := buttonOf(m, verb)
				if label == "" {
					if b != nil {
						t.Errorf("there is a button %s (%s)", verb, b.Text.Text)
					}
					continue
				}
				if b == nil || b.Text.Text != label {
					t.Fatalf("button %s = %+v, want %q", verb, b, label)
				}
				click, err := clickOf(b.ActionID, b.Value)
				if err != nil || click.Rollout != s.r.ID || click.Version != s.r.Version {
					t.Errorf("value %q reads back as %+v, %v", b.Value, click, err)
				}
				if (b.Confirm != nil) != (verb == rollout.VerbAbort) {
					t.Errorf("button %s: confirm = %v", verb, b.Confirm)
				}
			}
		})
	}
}

func TestBlockIDsChangeWithTheVersion(t *testing.T) {
	s := newStory(t)
	before := Card(s.r, s.now, names, false)
	s.r.Version++
	after := Card(s.r, s.now, names, false)
	for i := range before.Blocks {
		if before.Blocks[i].ID() == after.Blocks[i].ID() {
			t.Errorf("block_id %s is the same in two versions", before.Blocks[i].ID())
		}
	}
}
