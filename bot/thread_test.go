package bot

import (
	"strings"
	"testing"

	"slipway/rollout"
)

func TestReplies(t *testing.T) {
	each(t, func(t *testing.T, name string, from func(*testing.T) *story, tell func(*story)) {
		s := from(t)
		tell(s)
		var out strings.Builder
		for _, r := range replies(s.r, s.events, names) {
			out.WriteString(r.Key)
			if r.Broadcast {
				out.WriteString(" (in the channel too)")
			}
			out.WriteString("\n" + r.Text + "\n\n")
		}
		golden(t, name+"_thread.txt", []byte(out.String()))
	})
}

// Whoever has to act, and whoever waits for the end, is mentioned; only bad ends are broadcast.
func TestRepliesMention(t *testing.T) {
	tests := []struct {
		name      string
		tell      func(*story)
		mention   string
		broadcast bool
	}{
		{"approval", func(s *story) { s.toApproval() }, "<!subteam^S0RELEASE>", false},
		{"decision", (*story).toInconclusive, "<@U0DEPLOYER>", false},
		{"success", (*story).toSucceeded, "<@U0DEPLOYER>", false},
		{"rollback", func(s *story) { s.toRolledBack() }, "<@U0DEPLOYER>", true},
		{"failure", (*story).toFailed, "<@U0DEPLOYER>", true},
		{"rejection", func(s *story) { s.toApproval().say(approver, rollout.VerbReject, "2.1", "") }, "<@U0DEPLOYER>", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t)
			tt.tell(s)
			list := replies(s.r, s.events, names)
			last := list[len(list)-1]
			if !strings.Contains(last.Text, tt.mention) || last.Broadcast != tt.broadcast {
				t.Errorf("last reply = %+v, want it to mention %s, broadcast %v", last, tt.mention, tt.broadcast)
			}
		})
	}
}

// What came about twice is told when it is found, also after the end.
func TestRepliesTellWhatCameTwice(t *testing.T) {
	s := newStory(t)
	s.toSucceeded()
	step := s.r.Phases[0].Steps[0]
	s.events = append(s.events, rollout.Event{Seq: s.r.Events + 1, Kind: rollout.StepDoubled, Step: step.ID, Attempt: 1, Reason: "It was run a second time."})
	s.r.Events++
	list := replies(s.r, s.events, names)
	if last := list[len(list)-1]; last.Text != "*"+step.Spec.Name+"*: It was run a second time." || last.Broadcast {
		t.Errorf("last reply = %+v", last)
	}
}

func TestRepliesHaveSteadyKeys(t *testing.T) {
	s := newStory(t)
	s.toApproval()
	first := replies(s.r, s.events, names)
	s.say(approver, rollout.VerbApprove, "2.1", "")
	for _, r := range replies(s.r, s.events, names) {
		if r.Key == first[len(first)-1].Key {
			t.Errorf("an answered question is still asked: %+v", r)
		}
	}
	seen := map[string]bool{}
	s = newStory(t)
	for _, r := range replies(s.toRolledBack().r, s.events, names) {
		if seen[r.Key] {
			t.Errorf("key %s twice", r.Key)
		}
		seen[r.Key] = true
	}
}
