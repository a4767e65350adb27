package play_test

import (
	"testing"
)

func TestIncident(t *testing.T) {
	t.Parallel()
	onStage(t, "incident", func(t *testing.T, s *stage) {
		s.must(t, s.Act(within(t), "incident"))
		t.Log(s.out.String())
	})
}
