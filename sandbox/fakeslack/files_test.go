package fakeslack

import (
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

func TestUploadInThreeSteps(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		card := w.post(slack.MsgOptionText("card", false))
		png := "\x89PNG graph"
		f, err := w.api.UploadFile(slack.UploadFileParameters{
			Filename: "graph.png", FileSize: len(png), Reader: strings.NewReader(png), Title: "Error rate",
			Channel: deploys, ThreadTimestamp: card, InitialComment: "72% → 0.9%", AltTxt: "error rate falls"})
		if err != nil {
			t.Fatal(err)
		}
		m := w.last()
		if m.ThreadTS != card || m.Text != "72% → 0.9%" || len(m.Files) != 1 || m.Files[0].Title != "Error rate" || m.Files[0].Mimetype != "image/png" {
			t.Errorf("message = %+v", m)
		}
		info, _, _, err := w.api.GetFileInfo(f.ID, 0, 0)
		if err != nil || info.Shares.Public[deploys][0].Ts != m.TS || info.Size != len(png) {
			t.Errorf("file = %+v, %v", info, err)
		}
		var got strings.Builder
		if err := w.api.GetFile(info.URLPrivate, &got); err != nil || got.String() != png {
			t.Errorf("downloaded %q, %v", got.String(), err)
		}
		image := slack.NewImageBlockSlackFile(&slack.SlackFileObject{ID: f.ID}, "graph", "", nil)
		w.post(slack.MsgOptionBlocks(image))
		image.SlackFile.ID = "F0NONE"
		_, _, err = w.api.PostMessage(deploys, slack.MsgOptionBlocks(image))
		wantCode(t, err, "invalid_blocks")
	})
}

func TestUploadOfAnotherLengthIsRefused(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		step, err := w.api.GetUploadURLExternalContext(t.Context(), slack.GetUploadURLExternalParameters{FileName: "a.txt", FileSize: 5})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.api.UploadToURL(t.Context(), slack.UploadToURLParameters{UploadURL: step.UploadURL, Filename: "a.txt", Content: "four"}); err == nil {
			t.Error("four bytes passed for five")
		}
		_, err = w.api.CompleteUploadExternalContext(t.Context(), slack.CompleteUploadExternalParameters{Files: []slack.FileSummary{{ID: step.FileID}}})
		wantCode(t, err, "file_not_found")
	})
}
