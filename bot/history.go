package bot

import (
	"context"
	"errors"
	"time"

	"github.com/slack-go/slack"
)

// A message whose post was not confirmed is looked for by its metadata before it is posted again. This file
// reads what there is to look through.

// historyOf reads what was posted in a channel since a time, give or take a minute.
func historyOf(ctx context.Context, api *slack.Client, channel string, since time.Time) (all []slack.Message, err error) {
	params := slack.GetConversationHistoryParameters{
		ChannelID: channel, Oldest: tsOf(since.Add(-time.Minute)), Limit: 200, IncludeAllMetadata: true,
	}
	for {
		var page *slack.GetConversationHistoryResponse
		err := patiently(ctx, func(ctx context.Context) (err error) {
			page, err = api.GetConversationHistoryContext(ctx, &params)
			return err
		})
		if err != nil {
			return nil, err
		}
		if page == nil {
			return nil, errors.New("slack gave no history")
		}
		all = append(all, page.Messages...)
		if params.Cursor = page.ResponseMetadata.Cursor; params.Cursor == "" {
			return all, nil
		}
	}
}

// threadOf reads the replies to a message, with the message.
func threadOf(ctx context.Context, api *slack.Client, channel, ts string) (all []slack.Message, err error) {
	params := slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: ts, Limit: 200, IncludeAllMetadata: true}
	for {
		var page []slack.Message
		err := patiently(ctx, func(ctx context.Context) (err error) {
			page, _, params.Cursor, err = api.GetConversationRepliesContext(ctx, &params)
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if params.Cursor == "" {
			return all, nil
		}
	}
}
