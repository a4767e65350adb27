package fakeslack

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

func TestTokens(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		if r, err := w.api.AuthTest(); err != nil || r.UserID != "U0BOT" || r.BotID == "" || r.TeamID == "" {
			t.Errorf("auth.test = %+v, %v", r, err)
		}
		_, err := w.client("", "").AuthTest()
		wantCode(t, err, "not_authed")
		_, err = w.client("xoxb-other", "").AuthTest()
		wantCode(t, err, "invalid_auth")
		_, err = w.client(appToken, "").AuthTest()
		wantCode(t, err, "not_allowed_token_type")
		_, _, err = w.client("", botToken).StartSocketModeContext(t.Context())
		wantCode(t, err, "not_allowed_token_type")
		for _, c := range w.Journal() {
			if line := fmt.Sprint(c); strings.Contains(line, "xoxb") || strings.Contains(line, "xapp") {
				t.Errorf("a token is in the journal: %s", line)
			}
		}
	})
}

func TestBodiesOfEveryKind(t *testing.T) {
	bodies := map[string]struct{ kind, body string }{
		"form":      {"application/x-www-form-urlencoded", url.Values{"token": {botToken}, "channel": {deploys}, "text": {"hi"}}.Encode()},
		"json":      {"application/json; charset=utf-8", `{"token":"xoxb-local","channel":"C0DEPLOYS","text":"hi"}`},
		"multipart": {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nxoxb-local\r\n--x\r\nContent-Disposition: form-data; name=\"channel\"\r\n\r\nC0DEPLOYS\r\n--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhi\r\n--x--\r\n"},
	}
	for name, b := range bodies {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, w *workspace) {
				if got := w.raw(t, "chat.postMessage", b.kind, b.body); !strings.Contains(got, `"ok":true`) {
					t.Error(got)
				}
				if w.last().Text != "hi" {
					t.Errorf("posted %q", w.last().Text)
				}
			})
		})
	}
}

func (w *workspace) raw(t *testing.T, method, kind, body string) string {
	t.Helper()
	resp, err := w.http.Post(baseURL+"/api/"+method, kind, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestUnknownMethod(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		if got := w.raw(t, "pins.add", "application/json", `{}`); got != `{"error":"unknown_method","ok":false}` {
			t.Error(got)
		}
	})
}

func TestPostAndUpdateRules(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		section := slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", "<@U0APPROVER> & co", false, false), nil, nil)
		ts := w.post(slack.MsgOptionText("one", false), slack.MsgOptionBlocks(section))
		other := w.post(slack.MsgOptionText("two", false))
		if ts == other {
			t.Error("two messages share a ts")
		}
		_, _, err := w.api.PostMessage("C0NONE", slack.MsgOptionText("x", false))
		wantCode(t, err, "channel_not_found")
		_, _, err = w.api.PostMessage("C0PRIVATE", slack.MsgOptionText("x", false))
		wantCode(t, err, "not_in_channel")
		_, _, err = w.api.PostMessage(deploys)
		wantCode(t, err, "no_text")

		if _, _, _, err := w.api.UpdateMessage(deploys, ts, slack.MsgOptionText("edited", false)); err != nil {
			t.Fatal(err)
		}
		m := w.Messages(deploys)[0]
		if m.Text != "edited" || m.Blocks != nil || len(m.Edits) != 1 || m.Edits[0].Text != "one" ||
			!strings.Contains(string(m.Edits[0].Blocks), "<@U0APPROVER> & co") {
			t.Errorf("after the edit: %+v", m)
		}
		_, _, _, err = w.api.UpdateMessage(deploys, "1.000001", slack.MsgOptionText("x", false))
		wantCode(t, err, "message_not_found")
		_, _, _, err = w.api.UpdateMessage(deploys, ts, slack.MsgOptionText(strings.Repeat("x", 4001), false))
		wantCode(t, err, "msg_too_long")
		_, _, _, err = w.api.UpdateMessage(deploys, ts, slack.MsgOptionText(strings.Repeat("<", 1001), false))
		wantCode(t, err, "msg_too_long")

		mine, err := w.api.PostEphemeral(deploys, "U0DEPLOYER", slack.MsgOptionText("psst", false))
		if err != nil || w.last().EphemeralTo != "U0DEPLOYER" {
			t.Errorf("ephemeral: %v, %+v", err, w.last())
		}
		_, _, _, err = w.api.UpdateMessage(deploys, mine, slack.MsgOptionText("x", false))
		wantCode(t, err, "message_not_found")
		_, err = w.api.PostEphemeral(deploys, "U0OUTSIDER", slack.MsgOptionText("psst", false))
		wantCode(t, err, "user_not_in_channel")
	})
}

func TestOthersMessagesAreNotTheAppsToChange(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		w.connect(acker(0, nil))
		ack, err := w.Mention(t.Context(), MentionRequest{User: "deployer", Channel: deploys, Text: "status"})
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, err = w.api.UpdateMessage(deploys, ack.TS, slack.MsgOptionText("x", false))
		wantCode(t, err, "cant_update_message")
		_, _, err = w.api.DeleteMessage(deploys, ack.TS)
		wantCode(t, err, "cant_delete_message")
	})
}

func TestThreadsHistoryAndMetadata(t *testing.T) {
	inBubble(t, func(c *Config) { c.RateLimits = Off }, func(t *testing.T, w *workspace) {
		parent := w.post(slack.MsgOptionText("card", false), slack.MsgOptionMetadata(slack.SlackMetadata{
			EventType: "rollout", EventPayload: map[string]any{"key": "r1/post/1"}}))
		for i := range 5 {
			w.post(slack.MsgOptionText(fmt.Sprint("reply ", i), false), slack.MsgOptionTS(parent))
		}
		broadcast := w.post(slack.MsgOptionText("end", false), slack.MsgOptionTS(parent), slack.MsgOptionBroadcast())
		_, _, err := w.api.PostMessage(deploys, slack.MsgOptionText("x", false), slack.MsgOptionTS(broadcast))
		wantCode(t, err, "cannot_reply_to_message")
		if _, err := w.api.PostEphemeral(deploys, "U0DEPLOYER", slack.MsgOptionText("psst", false)); err != nil {
			t.Fatal(err)
		}

		h, err := w.api.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: deploys, IncludeAllMetadata: true})
		if err != nil || len(h.Messages) != 2 || h.Messages[0].Timestamp != broadcast || h.Messages[1].ReplyCount != 6 ||
			h.Messages[1].Metadata.EventPayload["key"] != "r1/post/1" {
			t.Errorf("history = %+v, %v", h, err)
		}
		bare, err := w.api.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: deploys})
		if err != nil || bare.Messages[1].Metadata.EventType != "" {
			t.Errorf("metadata without asking: %+v, %v", bare, err)
		}
		var texts []string
		for cursor := ""; ; {
			page, more, next, err := w.api.GetConversationReplies(&slack.GetConversationRepliesParameters{
				ChannelID: deploys, Timestamp: parent, Limit: 3, Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range page {
				texts = append(texts, m.Text)
			}
			if cursor = next; !more {
				break
			}
		}
		if want := "card,reply 0,reply 1,reply 2,reply 3,reply 4,end"; strings.Join(texts, ",") != want {
			t.Errorf("replies = %q", texts)
		}
		_, _, _, err = w.api.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: deploys, Timestamp: "1.2"})
		wantCode(t, err, "thread_not_found")
		_, _, _, err = w.api.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: deploys, Timestamp: parent, Cursor: "?"})
		wantCode(t, err, "invalid_cursor")
		link, err := w.api.GetPermalink(&slack.PermalinkParameters{Channel: deploys, Ts: parent})
		if want := baseURL + "/archives/" + deploys + "/p" + strings.Replace(parent, ".", "", 1); err != nil || link != want {
			t.Errorf("permalink = %s, %v", link, err)
		}
	})
}

func TestPeople(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		u, err := w.api.GetUserInfo("U0OUTSIDER")
		if err != nil || u.Name != "outsider" || !u.IsRestricted || u.IsBot {
			t.Errorf("user = %+v, %v", u, err)
		}
		_, err = w.api.GetUserInfo("U0NONE")
		wantCode(t, err, "user_not_found")
		groups, err := w.api.GetUserGroups(slack.GetUserGroupsOptionIncludeUsers(true))
		if err != nil || len(groups) != 1 || groups[0].Handle != "release-managers" || !slices.Equal(groups[0].Users, []string{"U0APPROVER"}) {
			t.Errorf("groups = %+v, %v", groups, err)
		}
		members, err := w.api.GetUserGroupMembers("S0RELEASE")
		if err != nil || !slices.Equal(members, []string{"U0APPROVER"}) {
			t.Errorf("members = %v, %v", members, err)
		}
		channels, next, err := w.api.GetConversations(&slack.GetConversationsParameters{Limit: 2})
		if err != nil || len(channels) != 2 || next == "" || !channels[0].IsMember {
			t.Errorf("channels = %+v, next %q, %v", channels, next, err)
		}
		in, _, err := w.api.GetUsersInConversation(&slack.GetUsersInConversationParameters{ChannelID: "C0GENERAL"})
		if err != nil || len(in) != 4 {
			t.Errorf("members of a channel of everybody = %v, %v", in, err)
		}
		dm, _, _, err := w.api.OpenConversation(&slack.OpenConversationParameters{Users: []string{"U0DEPLOYER"}})
		if err != nil || !dm.IsIM {
			t.Fatalf("dm = %+v, %v", dm, err)
		}
		to, _, err := w.api.PostMessage("U0DEPLOYER", slack.MsgOptionText("hello", false))
		if err != nil || to != dm.ID {
			t.Errorf("posted to %s, %v; want %s", to, err, dm.ID)
		}
		users, err := w.api.GetUsers()
		if err != nil || len(users) != 4 {
			t.Errorf("users = %v, %v", users, err)
		}
	})
}

func TestReactions(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		ref := slack.NewRefToMessage(deploys, w.post(slack.MsgOptionText("x", false)))
		if err := w.api.AddReaction("white_check_mark", ref); err != nil {
			t.Fatal(err)
		}
		wantCode(t, w.api.AddReaction("white_check_mark", ref), "already_reacted")
		if r := w.last().Reactions; len(r) != 1 || r[0].Users[0] != "U0BOT" {
			t.Errorf("reactions = %+v", r)
		}
	})
}

func TestDeletedMessagesAreGoneForTheAPI(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		ts := w.post(slack.MsgOptionText("x", false))
		if _, _, err := w.api.DeleteMessage(deploys, ts); err != nil {
			t.Fatal(err)
		}
		_, _, err := w.api.DeleteMessage(deploys, ts)
		wantCode(t, err, "message_not_found")
		h, err := w.api.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: deploys})
		if err != nil || len(h.Messages) != 0 || !w.last().Deleted {
			t.Errorf("history = %+v, %v", h, err)
		}
		info, err := w.api.GetConversationInfo(&slack.GetConversationInfoInput{ChannelID: "deploys-staging"})
		if err != nil || info.ID != deploys || info.Name != "deploys-staging" {
			t.Errorf("info = %+v, %v", info, err)
		}
	})
}

func TestChangedIsClosedByWhatPeopleSee(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		closed := func(c <-chan struct{}) bool {
			select {
			case <-c:
				return true
			default:
				return false
			}
		}
		c := w.Changed()
		if _, err := w.api.AuthTest(); err != nil || closed(c) {
			t.Errorf("auth.test changed something: %v", err)
		}
		ts := w.post(slack.MsgOptionText("x", false))
		if !closed(c) {
			t.Error("a new message did not show")
		}
		c = w.Changed()
		if _, _, _, err := w.api.UpdateMessage(deploys, ts, slack.MsgOptionText("y", false)); err != nil || !closed(c) {
			t.Errorf("an edit did not show: %v", err)
		}
	})
}
