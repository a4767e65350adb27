package play_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway/sandbox/fakeslack"
	"slipway/sandbox/play"
	"slipway/sandbox/workspace"
)

// A team that does not want the app to upload files gets its rollouts all the same, with Slack's own
// chart in place of the picture. That every other scene does with the scopes of the manifest shows that
// these are enough.
func TestWithoutTheRightToUpload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scenario, err := workspace.FindScenario("bad-deploy")
		if err != nil {
			t.Fatal(err)
		}
		s := stageWith(t, scenario, slices.DeleteFunc(manifest(t), func(scope string) bool { return strings.HasPrefix(scope, "files:") }))
		s.must(t, s.Act(within(t), "bad-deploy"))
		time.Sleep(10 * time.Second) // of the bubble; the picture would be there by then
		if !slices.ContainsFunc(s.Slack.Journal(), func(c fakeslack.Call) bool {
			return c.Method == "files.getUploadURLExternal" && strings.Contains(c.Outcome, "missing_scope")
		}) {
			t.Error("no upload was refused")
		}
		card := play.Card(s.Slack.Messages(channel))
		if blocks := string(card.Blocks); !strings.Contains(blocks, `"data_visualization"`) || strings.Contains(blocks, `"slack_file"`) {
			t.Errorf("the card has no chart: %s", blocks)
		}
	})
}
