package fakeslack

import (
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

func button(action, value, label string) *slack.ButtonBlockElement {
	return slack.NewButtonBlockElement(action, value, slack.NewTextBlockObject("plain_text", label, false, false))
}

func TestClick(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		var got slack.InteractionCallback
		w.connect(func(c *socketmode.Client, e socketmode.Event) {
			if e.Type == socketmode.EventTypeInteractive {
				got = e.Data.(slack.InteractionCallback)
				_ = c.Ack(*e.Request)
			}
		})
		ts := w.post(slack.MsgOptionText("approve?", false), slack.MsgOptionBlocks(
			slack.NewActionBlock("ask-1", button("approve", "r1", "Approve"), button("reject", "r1", "Reject")),
			slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", "more", false, false), nil, slack.NewAccessory(button("details", "r1", "Details")))))

		if _, err := w.Click(t.Context(), ClickRequest{User: "approver", Channel: deploys, TS: ts, ActionID: "approve"}); err != nil {
			t.Fatal(err)
		}
		a := got.ActionCallback.BlockActions[0]
		if got.Type != slack.InteractionTypeBlockActions || a.ActionID != "approve" || a.BlockID != "ask-1" || a.Value != "r1" ||
			got.User.ID != "U0APPROVER" || got.Channel.ID != deploys || got.Message.Timestamp != ts ||
			got.Container.MessageTs != ts || got.TriggerID == "" || got.ResponseURL == "" {
			t.Errorf("callback = %+v", got)
		}
		if _, err := w.Click(t.Context(), ClickRequest{User: "approver", Channel: deploys, TS: ts, ActionID: "details"}); err != nil {
			t.Errorf("a button in a section: %v", err)
		}

		got = slack.InteractionCallback{}
		for what, r := range map[string]ClickRequest{
			"an action that is not there": {User: "approver", Channel: deploys, TS: ts, ActionID: "promote"},
			"another block":               {User: "approver", Channel: deploys, TS: ts, ActionID: "approve", BlockID: "ask-2"},
			"another value":               {User: "approver", Channel: deploys, TS: ts, ActionID: "approve", Value: "r2"},
			"a message that is not there": {User: "approver", Channel: deploys, TS: "1.2", ActionID: "approve"},
			"somebody not in the channel": {User: "outsider", Channel: deploys, TS: ts, ActionID: "approve"},
		} {
			if _, err := w.Click(t.Context(), r); err == nil {
				t.Errorf("clicked %s", what)
			}
		}
		if got.Type != "" {
			t.Errorf("a refused click reached the app: %+v", got)
		}

		if _, _, _, err := w.api.UpdateMessage(deploys, ts, slack.MsgOptionText("approved", false)); err != nil {
			t.Fatal(err)
		}
		stale := ClickRequest{User: "approver", Channel: deploys, TS: ts, ActionID: "approve", Value: "r1"}
		if _, err := w.Click(t.Context(), stale); err == nil {
			t.Error("clicked a button that an edit removed")
		}
		stale.Force = true
		if _, err := w.Click(t.Context(), stale); err != nil || got.ActionCallback.BlockActions[0].Value != "r1" {
			t.Errorf("forced stale click: %v", err)
		}
	})
}

func TestClickOnAnEphemeralAndItsReplacement(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		var got slack.InteractionCallback
		w.connect(func(c *socketmode.Client, e socketmode.Event) {
			if e.Type == socketmode.EventTypeInteractive {
				got = e.Data.(slack.InteractionCallback)
				_ = c.Ack(*e.Request)
			}
		})
		ts, err := w.api.PostEphemeral(deploys, "U0DEPLOYER", slack.MsgOptionText("sure?", false),
			slack.MsgOptionBlocks(slack.NewActionBlock("", button("yes", "1", "Yes"))))
		if err != nil {
			t.Fatal(err)
		}
		click := ClickRequest{User: "approver", Channel: deploys, TS: ts, ActionID: "yes"}
		if _, err := w.Click(t.Context(), click); err == nil {
			t.Error("clicked somebody else's ephemeral")
		}
		click.User = "deployer"
		if _, err := w.Click(t.Context(), click); err != nil {
			t.Fatal(err)
		}
		if !got.Container.IsEphemeral || got.Message.Timestamp != "" || got.ActionCallback.BlockActions[0].BlockID == "" {
			t.Errorf("callback = %+v", got)
		}
		_, _, err = w.api.PostMessage(deploys, slack.MsgOptionText("done", false), slack.MsgOptionReplaceOriginal(got.ResponseURL))
		if m := w.last(); err != nil || m.Text != "done" || m.TS != ts || len(m.Edits) != 1 {
			t.Errorf("replaced: %+v, %v", m, err)
		}
		_, _, err = w.api.PostMessage(deploys, slack.MsgOptionDeleteOriginal(got.ResponseURL))
		if m := w.last(); err != nil || !m.Deleted {
			t.Errorf("deleted: %+v, %v", m, err)
		}
	})
}

func modal(blocks ...slack.Block) slack.ModalViewRequest {
	plain := func(text string) *slack.TextBlockObject {
		return slack.NewTextBlockObject("plain_text", text, false, false)
	}
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain("Lock staging"), Submit: plain("Lock"), Close: plain("Cancel"),
		CallbackID: "lock", PrivateMetadata: "staging", Blocks: slack.Blocks{BlockSet: blocks},
	}
}

func reasonInput() *slack.InputBlock {
	label := slack.NewTextBlockObject("plain_text", "Reason", false, false)
	return slack.NewInputBlock("reason", label, nil, slack.NewPlainTextInputBlockElement(nil, "text"))
}

func reason(text string) map[string]map[string]any {
	return map[string]map[string]any{"reason": {"text": map[string]any{"type": "plain_text_input", "value": text}}}
}

// modalApp opens a modal on a command and answers submissions.
type modalApp struct {
	t        *testing.T
	api      *slack.Client
	delay    time.Duration // before the modal is opened
	opened   *slack.ViewResponse
	openErr  error
	trigger  string
	answer   any // to a submission
	received slack.InteractionCallback
}

func (a *modalApp) handle(c *socketmode.Client, e socketmode.Event) {
	switch e.Type {
	case socketmode.EventTypeSlashCommand:
		_ = c.Ack(*e.Request)
		time.Sleep(a.delay)
		a.trigger = e.Data.(slack.SlashCommand).TriggerID
		a.opened, a.openErr = a.api.OpenView(a.trigger, modal(reasonInput()))
	case socketmode.EventTypeInteractive:
		a.received = e.Data.(slack.InteractionCallback)
		_ = c.Ack(*e.Request, a.answer)
	}
}

func (w *workspace) openModal(t *testing.T, a *modalApp) {
	t.Helper()
	a.t, a.api = t, w.api
	w.connect(a.handle)
	if _, err := w.Command(t.Context(), CommandRequest{User: "deployer", Channel: deploys, Command: "/deploy"}); err != nil {
		t.Fatal(err)
	}
	pass(a.delay + time.Second)
}

func TestModalSubmitWithErrorsThenWithout(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		a := &modalApp{}
		w.openModal(t, a)
		if a.openErr != nil {
			t.Fatal(a.openErr)
		}
		submit := SubmitRequest{User: "deployer", ViewID: a.opened.ID}
		if _, err := w.Submit(t.Context(), submit); err == nil {
			t.Error("submitted without a required input")
		}
		submit.Values = reason("")
		a.answer = slack.NewErrorsViewSubmissionResponse(map[string]string{"reason": "say why"})
		ack, err := w.Submit(t.Context(), submit)
		if err != nil || !strings.Contains(string(ack.Payload), "say why") || ack.Problem != "" || len(w.Views("deployer")) != 1 {
			t.Errorf("errors: %+v, %v, views %v", ack, err, w.Views("deployer"))
		}
		a.answer = slack.NewErrorsViewSubmissionResponse(map[string]string{"other": "?"})
		if ack, err = w.Submit(t.Context(), submit); err != nil || ack.Problem == "" {
			t.Errorf("errors for a block that is not there passed: %+v, %v", ack, err)
		}
		a.answer = nil
		submit.Values = reason("migration")
		if _, err := w.Submit(t.Context(), submit); err != nil {
			t.Fatal(err)
		}
		v := a.received.View
		if v.State.Values["reason"]["text"].Value != "migration" || v.PrivateMetadata != "staging" || v.CallbackID != "lock" || a.received.User.ID != "U0DEPLOYER" {
			t.Errorf("submission = %+v", a.received)
		}
		if open := w.Views("deployer"); len(open) != 0 {
			t.Errorf("still open: %+v", open)
		}
		if _, err := w.Submit(t.Context(), submit); err == nil {
			t.Error("submitted a closed view")
		}
	})
}

func TestTriggerOpensOneViewInThreeSeconds(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		a := &modalApp{}
		w.openModal(t, a)
		_, err := w.api.OpenView(a.trigger, modal(reasonInput()))
		wantCode(t, err, "exchanged_trigger_id")
		_, err = w.api.OpenView("1.2.x", modal(reasonInput()))
		wantCode(t, err, "invalid_trigger_id")
	})
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		a := &modalApp{delay: 4 * time.Second}
		w.openModal(t, a)
		wantCode(t, a.openErr, "expired_trigger_id")
	})
}

func TestUpdatePushAndClearViews(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		a := &modalApp{}
		w.openModal(t, a)
		id, hash := a.opened.ID, a.opened.Hash
		if _, err := w.api.UpdateView(modal(reasonInput()), "", hash, id); err != nil {
			t.Fatal(err)
		}
		_, err := w.api.UpdateView(modal(reasonInput()), "", hash, id)
		wantCode(t, err, "hash_conflict")

		next := modal(slack.NewDividerBlock())
		a.answer = slack.NewPushViewSubmissionResponse(&next)
		submit := SubmitRequest{User: "deployer", ViewID: id, Values: reason("x")}
		if ack, err := w.Submit(t.Context(), submit); err != nil || ack.Problem != "" {
			t.Fatalf("push: %+v, %v", ack, err)
		}
		stack := w.Views("deployer")
		if len(stack) != 2 || stack[1].Previous != id || stack[1].Root != id {
			t.Fatalf("stack = %+v", stack)
		}
		if ack, err := w.Submit(t.Context(), submit); err != nil || ack.Problem != "" {
			t.Fatalf("second push: %+v, %v", ack, err)
		}
		if ack, _ := w.Submit(t.Context(), submit); ack.Problem != "push_limit_reached" {
			t.Errorf("third push: %+v", ack)
		}
		a.answer = slack.NewClearViewSubmissionResponse()
		if _, err := w.Submit(t.Context(), SubmitRequest{User: "deployer", ViewID: stack[1].ID}); err != nil || len(w.Views("deployer")) != 0 {
			t.Errorf("clear: %v, views %+v", err, w.Views("deployer"))
		}
		_, err = w.api.UpdateView(modal(reasonInput()), "", "", id)
		wantCode(t, err, "not_found")
	})
}

func TestViewLimits(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		long := modal(reasonInput())
		long.Title.Text = strings.Repeat("x", 25)
		_, err := w.api.OpenView("1.2.x", long)
		wantCode(t, err, "invalid_arguments")
		noSubmit := modal(reasonInput())
		noSubmit.Submit = nil
		_, err = w.api.OpenView("1.2.x", noSubmit)
		wantCode(t, err, "invalid_arguments")
		secret := modal(reasonInput())
		secret.PrivateMetadata = strings.Repeat("x", 3001)
		_, err = w.api.OpenView("1.2.x", secret)
		wantCode(t, err, "invalid_arguments")
		home := slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewDividerBlock()}}}
		if _, err := w.api.PublishView("U0DEPLOYER", home, ""); err != nil {
			t.Errorf("views.publish: %v", err)
		}
	})
}

func TestClickInAViewPushesAnother(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		a := &modalApp{}
		w.openModal(t, a)
		details := modal(slack.NewActionBlock("more", button("details", "1", "Details")))
		if _, err := w.api.UpdateView(details, "", "", a.opened.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Click(t.Context(), ClickRequest{User: "deployer", ViewID: a.opened.ID, ActionID: "details"}); err != nil {
			t.Fatal(err)
		}
		if a.received.View.ID != a.opened.ID || a.received.Container.ViewID != a.opened.ID {
			t.Errorf("callback = %+v", a.received)
		}
		pushed, err := w.api.PushView(a.received.TriggerID, modal(slack.NewDividerBlock()))
		if err != nil || pushed.PreviousViewID != a.opened.ID || len(w.Views("deployer")) != 2 {
			t.Errorf("pushed = %+v, %v", pushed, err)
		}
		if _, err := w.Click(t.Context(), ClickRequest{User: "approver", ViewID: a.opened.ID, ActionID: "details"}); err == nil {
			t.Error("clicked in somebody else's view")
		}
		title := modal(slack.NewDividerBlock())
		title.Title.Text = "Done"
		a.answer = slack.NewUpdateViewSubmissionResponse(&title)
		ack, err := w.Submit(t.Context(), SubmitRequest{User: "deployer", ViewID: pushed.ID})
		if err != nil || ack.Problem != "" || len(w.Views("deployer")) != 2 || w.Views("deployer")[1].Hash == pushed.Hash {
			t.Errorf("update: %+v, %v", ack, err)
		}
	})
}

func TestClickChoosesAnOption(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, w *workspace) {
		a := &modalApp{api: w.api}
		w.connect(a.handle)
		option := func(v string) *slack.OptionBlockObject { return slack.NewOptionBlockObject(v, plainText(v), nil) }
		ts := w.post(slack.MsgOptionText("which", false), slack.MsgOptionBlocks(slack.NewActionBlock("",
			slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plainText("revision"), "pick", option("00041"), option("00042")),
			slack.NewOverflowBlockElement("menu", option("logs")))))
		if _, err := w.Click(t.Context(), ClickRequest{User: "deployer", Channel: deploys, TS: ts, ActionID: "pick", Value: "00042"}); err != nil {
			t.Fatal(err)
		}
		if got := a.received.ActionCallback.BlockActions[0].SelectedOption.Value; got != "00042" {
			t.Errorf("selected %q", got)
		}
	})
}
