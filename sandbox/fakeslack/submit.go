package fakeslack

import (
	"context"
	"encoding/json"
	"fmt"
)

// SubmitRequest is a modal that a user submits. Values go by block_id and
// action_id; each is the element's state, such as {"type": "plain_text_input",
// "value": "…"}.
type SubmitRequest struct {
	User   string                    `json:"user"`
	ViewID string                    `json:"view_id"`
	Values map[string]map[string]any `json:"values"`
}

// Submit submits a modal and does what the app's ack says: show errors, update,
// push, clear, or close the view.
func (s *Server) Submit(ctx context.Context, r SubmitRequest) (Ack, error) {
	s.mu.Lock()
	user, v, err := s.openFor(r.User, r.ViewID)
	if err == nil {
		err = v.missing(r.Values)
	}
	if err != nil {
		s.mu.Unlock()
		return Ack{}, err
	}
	p := s.interaction("view_submission", user)
	p["view"] = s.wireView(v, r.Values)
	p["trigger_id"] = s.newTrigger(user.ID, v)
	p["response_urls"] = []any{}
	s.mu.Unlock()
	ack, err := s.deliver(ctx, &delivery{kind: envelopeInteractive, answers: true, payload: p})
	if err == nil {
		ack.Problem = s.answerView(v, ack.Payload)
	}
	return ack, err
}

func (s *Server) openFor(userName, viewID string) (*User, *View, error) {
	user, v := s.findUser(userName), s.views[viewID]
	if user == nil {
		return nil, nil, fmt.Errorf("no user %q in the workspace", userName)
	}
	if v == nil || !v.Open || v.User != user.ID {
		return nil, nil, fmt.Errorf("%s has no view %q open", user.Name, viewID)
	}
	return user, v, nil
}

// missing returns an error for a required input without a value: Slack does not
// let a user submit it.
func (v *View) missing(values map[string]map[string]any) error {
	var blocks []map[string]any
	if err := decode(string(v.Blocks), &blocks); err != nil {
		return fmt.Errorf("read blocks: %w", err)
	}
	for _, b := range blocks {
		id := str(b["block_id"])
		if str(b["type"]) == "input" && b["optional"] != true && len(values[id]) == 0 {
			return fmt.Errorf("please complete this required field: block_id %q", id)
		}
	}
	return nil
}

// answerView does what a view_submission's ack says, and returns what is wrong
// with it (https://docs.slack.dev/surfaces/modals#updating_views).
func (s *Server) answerView(v *View, payload json.RawMessage) string {
	var answer struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &answer); err != nil {
			return "the ack's payload is not a view response: " + err.Error()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.touch()
	var err error
	switch answer.Action {
	case "":
		v.Open = false
	case "clear":
		s.closeViews(v.User)
	case "errors":
		err = v.unknownBlocks(answer.Errors)
	default:
		err = s.replaceView(v, answer.Action, string(answer.View))
	}
	if err != nil {
		s.note(Call{Kind: CallAck, Method: "view_submission", Outcome: err.Error()})
		return err.Error()
	}
	return ""
}

func (s *Server) replaceView(v *View, action, raw string) error {
	fields, err := s.readView(raw, v.ID, "modal")
	if err != nil {
		return err
	}
	switch action {
	case "update":
		s.setView(v, fields)
		return nil
	case "push":
		_, err = s.push(v, fields)
		return err
	default:
		return fmt.Errorf("unknown response_action %q", action)
	}
}

// unknownBlocks returns an error for messages about blocks that are not there.
func (v *View) unknownBlocks(messages map[string]string) error {
	var blocks []map[string]any
	if err := decode(string(v.Blocks), &blocks); err != nil {
		return fmt.Errorf("read blocks: %w", err)
	}
	inputs := map[string]bool{}
	for _, b := range blocks {
		if str(b["type"]) == "input" {
			inputs[str(b["block_id"])] = true
		}
	}
	for id := range messages {
		if !inputs[id] {
			return fmt.Errorf("errors name %q, which is no input block of the view", id)
		}
	}
	return nil
}
