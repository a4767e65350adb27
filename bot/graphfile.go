package bot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"

	"slipway/chart"
)

const (
	fileTime  = 4 * time.Second        // for one call about a file
	sendTime  = 8 * time.Second        // for the two that bring it to Slack
	lookAfter = 500 * time.Millisecond // between two looks whether Slack has processed a file
	readyTime = 10 * time.Second       // what Slack gets for it
)

// pictures draws graphs and brings them to Slack as files that belong to no channel, for image blocks
// (docs.slack.dev/messaging/working-with-files). Any number of goroutines may use it.
type pictures struct {
	api  *slack.Client
	log  *slog.Logger
	draw func(chart.Graph) ([]byte, error)

	denied atomic.Bool // the app has not the right to upload; remembered for the process
}

// place is where the bytes of a new file go.
type place struct{ id, url string }

// errNoFile says that Slack does not know a file, or has not received it.
var errNoFile = errors.New("slack does not have the file")

// png draws a graph. A graph that makes the drawing panic is one that cannot be drawn.
func (p *pictures) png(g chart.Graph) (image []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("drawing the graph panicked: %v", cause)
		}
	}()
	return p.draw(g)
}

// reserve asks for a place for a file of so many bytes.
func (p *pictures) reserve(ctx context.Context, alt string, size int) (place, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTime)
	defer cancel()
	answer, err := p.api.GetUploadURLExternalContext(ctx, slack.GetUploadURLExternalParameters{
		FileName: "error-rate.png", FileSize: size, AltTxt: alt,
	})
	if err != nil {
		return place{}, fmt.Errorf("files.getUploadURLExternal: %w", err)
	}
	return place{id: answer.FileID, url: answer.UploadURL}, nil
}

// send brings a file to its place.
func (p *pictures) send(ctx context.Context, to place, title string, image []byte) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	err := p.api.UploadToURL(ctx, slack.UploadToURLParameters{
		UploadURL: to.url, Reader: bytes.NewReader(image), Filename: "error-rate.png",
	})
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	_, err = p.api.CompleteUploadExternalContext(ctx, slack.CompleteUploadExternalParameters{
		Files: []slack.FileSummary{{ID: to.id, Title: title}},
	})
	if err != nil {
		return fmt.Errorf("files.completeUploadExternal: %w", err)
	}
	return nil
}

// ready reports whether a file may be shown. Until Slack has looked at it, its type is empty, and a
// block that shows it is refused (github.com/slackapi/node-slack-sdk/issues/2040).
func (p *pictures) ready(ctx context.Context, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTime)
	defer cancel()
	file, _, _, err := p.api.GetFileInfoContext(ctx, id, 0, 0)
	switch code := codeOf(err); {
	case code == "file_not_found" || code == "file_deleted":
		return false, errNoFile
	case err != nil:
		return false, fmt.Errorf("files.info: %w", err)
	}
	return file.Mimetype != "", nil
}

// upload draws a graph, brings it to Slack and waits until it may be shown, as long as ctx lasts.
func (p *pictures) upload(ctx context.Context, g chart.Graph, alt string) (id string, err error) {
	image, err := p.png(g)
	if err != nil {
		return "", err
	}
	to, err := p.reserve(ctx, alt, len(image))
	if err != nil {
		return "", err
	}
	if err := p.send(ctx, to, g.Title, image); err != nil {
		return "", err
	}
	for {
		if ready, err := p.ready(ctx, to.id); ready || err != nil {
			return to.id, err
		}
		if err := sleep(ctx, lookAfter); err != nil {
			return "", fmt.Errorf("slack is still processing the file: %w", err)
		}
	}
}

// hopeless reports whether an error is Slack's last word. That the app has not the right to upload is
// said once and remembered: it is as true of the next graph.
func (p *pictures) hopeless(err error) bool {
	code := codeOf(err)
	switch code {
	case "missing_scope", "not_allowed_token_type", "no_permission", "access_denied", "file_uploads_disabled", "restricted_action", "ekm_access_denied", "team_access_not_granted":
		if p.denied.CompareAndSwap(false, true) {
			p.log.Warn("graphs cannot be uploaded to slack, so cards keep their charts; give the app the scopes files:write and files:read, "+
				"install it again and restart slipway", "code", code)
		}
		return true
	}
	_, limited := retryAfter(err)
	return !limited && !mayHaveHappened(err)
}

// again reports whether there is time and reason for a second upload at once.
func (p *pictures) again(ctx context.Context, err error) bool {
	_, limited := retryAfter(err)
	p.hopeless(err) // notes when it is a right that is missing
	return !limited && !p.denied.Load() && ctx.Err() == nil
}
