package bot

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"slipway/commands"
	"slipway/rollout"
)

const (
	commandPayload = `{"token":"x","team_id":"T1","channel_id":"C0DEPLOYS","channel_name":"deploys-staging","user_id":"U0DEPLOYER",
		"user_name":"deployer","command":"/deploy","text":" staging a&amp;b ","response_url":"http://slack.test/r/1","trigger_id":"1.2"}`
	clickPayload = `{"type":"block_actions","user":{"id":"U0APPROVER","username":"approver"},"channel":{"id":"C0DEPLOYS","name":"deploys-staging"},
		"container":{"message_ts":"1.000100","channel_id":"C0DEPLOYS"},"response_url":"http://slack.test/r/2","trigger_id":"3.4",
		"actions":[{"type":"button","action_id":"approve","block_id":"answers-2.1-v6","value":"abc234|2.1|6","action_ts":"5.6"}]}`
	mentionPayload = `{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention","user":"U0ONCALL","channel":"C0DEPLOYS",
		"text":"<@U0BOT> status &lt;staging&gt;","ts":"7.8","thread_ts":"1.000100"}}`
	homePayload = `{"type":"event_callback","event_id":"Ev2","event":{"type":"app_home_opened","user":"U0ONCALL","channel":"D0ONCALL","tab":"home",
		"event_ts":"7.9"}}`
	homeClickPayload = `{"type":"block_actions","user":{"id":"U0APPROVER","name":"approver"},"container":{"type":"view","view_id":"V1"},
		"view":{"id":"V1","type":"home"},"trigger_id":"3.4","actions":[{"type":"button","action_id":"deploy","value":"staging","action_ts":"5.6"}]}`
	formPayload = `{"type":"view_submission","user":{"id":"U0DEPLOYER","username":"deployer"},"view":{"id":"V2","type":"modal","callback_id":"deploy",
		"private_metadata":"{\"id\":\"C0DEPLOYS\",\"name\":\"deploys-staging\"}","state":{"values":{
		"target":{"target":{"type":"static_select","selected_option":{"value":"staging"}}},"what":{"what":{"type":"plain_text_input","value":" v1 "}}}}}}`
)

func TestParse(t *testing.T) {
	command := must(t, "slash_commands", commandPayload)
	if command.ID != "command/env-1" || command.Text != "staging a&b" || command.Actor != (rollout.Actor{ID: "U0DEPLOYER", Name: "deployer"}) ||
		command.Channel != (Channel{"C0DEPLOYS", "deploys-staging"}) || command.ResponseURL == "" || command.TriggerID == "" || command.At != noon {
		t.Errorf("command = %+v", command)
	}
	click := must(t, "interactive", clickPayload)
	request, err := click.request()
	if err != nil || request.Click == nil || request.Click.Verb != rollout.VerbApprove || request.Click.Rollout != "abc234" ||
		request.Click.Ask != "2.1" || request.Click.Version != 6 || request.Actor.Name != "approver" {
		t.Errorf("click = %+v, %v", request, err)
	}
	if request, err := command.request(); err != nil || request.Mention {
		t.Errorf("command = %+v, %v", request, err)
	}
	mention := must(t, "events_api", mentionPayload)
	if request, err := mention.request(); err != nil || !request.Mention || request.Click != nil {
		t.Errorf("mention = %+v, %v", request, err)
	}
	if mention.ID != "event/Ev1" || mention.Text != "status <staging>" || mention.Thread != "1.000100" || mention.fresh(noon) {
		t.Errorf("mention = %+v", mention)
	}
}

func TestParseViews(t *testing.T) {
	home := must(t, "events_api", homePayload)
	if request, err := home.request(); err != nil || home.ID != "event/Ev2" || !home.Home || request.Show != commands.ShowHome || request.Actor.ID != "U0ONCALL" {
		t.Errorf("home = %+v, %+v, %v", home, request, err)
	}
	click := must(t, "interactive", homeClickPayload)
	if request, err := click.request(); err != nil || !click.Home || click.TriggerID == "" || request.Show != commands.ShowForm || request.Text != "staging" || request.Actor.Name != "approver" {
		t.Errorf("click on the Home = %+v, %+v, %v", click, request, err)
	}
	form := must(t, "interactive", formPayload)
	want := commands.Request{ID: "form/V2", Actor: deployer, Channel: "C0DEPLOYS", ChannelName: "deploys-staging", Text: "staging v1", At: noon}
	if request, err := form.request(); err != nil || form.Home || !reflect.DeepEqual(request, want) {
		t.Errorf("form = %+v, %+v, %v", form, request, err)
	}
	empty := must(t, "interactive", strings.NewReplacer(`" v1 "`, "null", `{\"id\":\"C0DEPLOYS\",\"name\":\"deploys-staging\"}`, "").Replace(formPayload))
	if !empty.Home || *empty.Order != (commands.Order{Target: "staging"}) {
		t.Errorf("form of the Home = %+v", empty)
	}
	// On a message these buttons are none of the Home's.
	if request, err := must(t, "interactive", strings.Replace(clickPayload, `"approve"`, `"deploy"`, 1)).request(); err == nil {
		t.Errorf("a message's button opened %+v", request)
	}
}

func must(t *testing.T, kind, payload string) Envelope {
	t.Helper()
	e, err := parse(kind, "env-1", []byte(payload), noon)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What Slack sends again has the same ID; two clicks have not.
func TestParseIDs(t *testing.T) {
	first := must(t, "interactive", clickPayload)
	again, err := parse("interactive", "env-2", []byte(clickPayload), noon.Add(time.Minute))
	if err != nil || again.ID != first.ID {
		t.Errorf("resent click %q, first %q (%v)", again.ID, first.ID, err)
	}
	for _, change := range [][2]string{{`"5.6"`, `"5.7"`}, {"U0APPROVER", "U0OUTSIDER"}, {"abc234|2.1|6", "abc234|2.1|7"}, {`"approve"`, `"reject"`}} {
		if other := must(t, "interactive", strings.Replace(clickPayload, change[0], change[1], 1)); other.ID == first.ID {
			t.Errorf("a click with %s has the ID of another", change[1])
		}
	}
}

func TestParseRefuses(t *testing.T) {
	replace := func(payload, from, to string) string { return strings.Replace(payload, from, to, 1) }
	tests := []struct {
		name, kind, payload string
		ignored             bool
	}{
		{"unknown type", "interactive_v2", `{}`, true},
		{"no JSON", "slash_commands", `{`, false},
		{"no user", "slash_commands", replace(commandPayload, "U0DEPLOYER", ""), false},
		{"user that is markup", "slash_commands", replace(commandPayload, "U0DEPLOYER", "U1> <!channel"), false},
		{"no channel", "slash_commands", replace(commandPayload, "C0DEPLOYS", "x"), false},
		{"no slash", "slash_commands", replace(commandPayload, "/deploy", "deploy"), false},
		{"too long", "slash_commands", replace(commandPayload, " staging a", strings.Repeat("a", maxTyped+1)), false},
		{"endless value", "interactive", replace(clickPayload, "abc234", strings.Repeat("a", 2000)), false},
		{"view", "interactive", `{"type":"view_submission"}`, true},
		{"two actions", "interactive", replace(clickPayload, `"actions":[`, `"actions":[{},`), false},
		{"message of a bot", "events_api", replace(mentionPayload, `"user":`, `"bot_id":"B1","user":`), true},
		{"other event", "events_api", replace(mentionPayload, "app_mention", "message"), true},
		{"event without ID", "events_api", replace(mentionPayload, "Ev1", ""), false},
		{"messages tab", "events_api", replace(homePayload, `"tab":"home"`, `"tab":"messages"`), true},
		{"Home without ID", "events_api", replace(homePayload, "Ev2", ""), false},
		{"Home of nobody", "events_api", replace(homePayload, "U0ONCALL", ""), false},
		{"click in another view", "interactive", replace(homeClickPayload, `"type":"home"`, `"type":"modal"`), false},
		{"another form", "interactive", replace(formPayload, `"callback_id":"deploy"`, `"callback_id":"other"`), true},
		{"form without ID", "interactive", replace(formPayload, `"id":"V2"`, `"id":""`), true},
		{"form from nowhere", "interactive", replace(formPayload, `{\"id\":\"C0DEPLOYS\"`, `{\"id\":\"<!channel>\"`), false},
		{"form with a broken origin", "interactive", replace(formPayload, `"{\"id\"`, `"[\"id\"`), false},
		{"endless form", "interactive", replace(formPayload, `" v1 "`, `"`+strings.Repeat("v", 2000)+`"`), false},
		{"closed form", "interactive", replace(formPayload, "view_submission", "view_closed"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := parse(tt.kind, "env-1", []byte(tt.payload), noon)
			if err == nil {
				t.Fatalf("parsed as %+v", e)
			}
			if errors.Is(err, errIgnored) != tt.ignored {
				t.Errorf("error %v, ignored = %v", err, !tt.ignored)
			}
		})
	}
}

// A button of another version is accepted, so that whoever presses it is told.
func TestUnknownButtonsAreAccepted(t *testing.T) {
	for _, change := range [][2]string{{`"approve"`, `"promote"`}, {"|6", ""}, {"|6", "|-6"}, {"|6", "|x"}, {"abc234|2.1|6", ""}} {
		e := must(t, "interactive", strings.Replace(clickPayload, change[0], change[1], 1))
		if request, err := e.request(); err == nil {
			t.Errorf("with %s: %+v", change[1], request.Click)
		}
	}
}

// Whatever comes in, an envelope that is accepted survives the inbox and can be answered safely.
func FuzzParse(f *testing.F) {
	f.Add("slash_commands", []byte(commandPayload))
	f.Add("interactive", []byte(clickPayload))
	f.Add("events_api", []byte(mentionPayload))
	f.Add("events_api", []byte(homePayload))
	f.Add("interactive", []byte(homeClickPayload))
	f.Add("interactive", []byte(formPayload))
	f.Add("hello", []byte(`null`))
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		e, err := parse(kind, "env-1", payload, noon)
		if err != nil {
			return
		}
		if e.ID == "" || !userID.MatchString(e.Actor.ID) || !channelID.MatchString(e.Channel.ID) && (!e.Home || e.Channel.ID != "") || len(e.Text) > maxTyped {
			t.Fatalf("accepted %+v", e)
		}
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back Envelope
		if err := json.Unmarshal(body, &back); err != nil {
			t.Fatal(err)
		}
		before, unknown := e.request()
		if unknown != nil && e.Action == nil {
			t.Fatal(unknown)
		}
		after, err := back.request()
		if (err == nil) != (unknown == nil) || after.ID != before.ID || after.Actor != before.Actor || (after.Click == nil) != (before.Click == nil) {
			t.Fatalf("%+v came back as %+v (%v)", before, after, err)
		}
	})
}
