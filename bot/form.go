package bot

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"slipway/commands"
)

// formID is the callback_id of the form that starts a rollout. Its blocks and elements have the names
// of the order's fields.
const formID = "deploy"

// parseForm: docs.slack.dev/reference/interaction-payloads/view-interactions-payload. A form is
// submitted once, however often Slack sends it: its key is the view.
func parseForm(payload []byte, at time.Time) (Envelope, error) {
	var p struct {
		User person `json:"user"`
		View struct {
			ID       string `json:"id"`
			Callback string `json:"callback_id"`
			Origin   string `json:"private_metadata"`
			State    struct {
				Values map[string]map[string]input `json:"values"`
			} `json:"state"`
		} `json:"view"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return Envelope{}, fmt.Errorf("form: %w", err)
	}
	if p.View.Callback != formID || p.View.ID == "" {
		return Envelope{}, fmt.Errorf("%w: form %q", errIgnored, cut(p.View.Callback, 40))
	}
	var origin Channel
	if p.View.Origin != "" {
		if err := json.Unmarshal([]byte(p.View.Origin), &origin); err != nil {
			return Envelope{}, fmt.Errorf("where the form was opened: %w", err)
		}
	}
	value := func(field string) string { return p.View.State.Values[field][field].text() }
	return checked(Envelope{
		ID: "form/" + p.View.ID, Kind: KindForm, Actor: p.User.actor(), Channel: origin, Home: origin.ID == "", At: at,
		Order: &commands.Order{Target: value(commands.FieldTarget), What: value(commands.FieldWhat)},
	})
}

// input is what was typed or chosen.
type input struct {
	Value  string `json:"value"`
	Option struct {
		Value string `json:"value"`
	} `json:"selected_option"`
}

func (i input) text() string { return strings.TrimSpace(i.Value + i.Option.Value) }

// originOf is where a form was opened, in the form's private_metadata; "" is the Home tab.
func originOf(e Envelope) string {
	if e.Home {
		return ""
	}
	origin, err := json.Marshal(e.Channel)
	if err != nil {
		return ""
	}
	return string(origin)
}

// Slack's limits (docs.slack.dev/reference/block-kit/composition-objects/option-object).
const (
	maxOption      = 74
	maxOptionValue = 150
	maxPlaceholder = 140
	maxHint        = 1900
	maxTyping      = 200 // of a tag or a digest, which are shorter
)

// formView renders the form that starts a rollout.
func formView(f commands.Form, origin string) slack.ModalViewRequest {
	target := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plainObject("Choose a target", maxPlaceholder), commands.FieldTarget, options(f.Targets)...)
	if at := slices.IndexFunc(target.Options, func(o *slack.OptionBlockObject) bool { return o.Value == f.Target }); at >= 0 {
		target.InitialOption = target.Options[at]
	}
	what := slack.NewPlainTextInputBlockElement(nil, commands.FieldWhat)
	what.MaxLength = maxTyping
	if f.Example != "" {
		what.Placeholder = plainObject(f.Example, maxPlaceholder)
	}
	image := slack.NewInputBlock(commands.FieldWhat, plainObject("Tag or digest", maxOption), plainObject(f.Hint, maxHint), what)
	image.Optional = true
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: formID, PrivateMetadata: origin,
		Title: plainObject("Deploy", maxModalTitle), Submit: plainObject("Deploy", maxModalTitle), Close: plainObject("Cancel", maxModalTitle),
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewInputBlock(commands.FieldTarget, plainObject("Target", maxOption), nil, target),
			image,
		}},
	}
}

func options(targets []string) []*slack.OptionBlockObject {
	var list []*slack.OptionBlockObject
	for _, target := range targets[:min(len(targets), commands.MaxTargets)] {
		if len(target) <= maxOptionValue {
			list = append(list, slack.NewOptionBlockObject(target, plainObject(target, maxOption), nil))
		}
	}
	return list
}

// wrong says what is wrong with a form. If the check itself fails, the handler meets the mistake again
// and answers it.
func (s *socket) wrong(e Envelope) (fields map[string]string) {
	if e.Order == nil {
		return nil
	}
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("checking a form panicked", "envelope", e.ID, "actor", e.Actor.ID, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			fields = nil
		}
	}()
	return s.bot.cfg.Handler.Check(*e.Order, e.Channel.ID)
}
