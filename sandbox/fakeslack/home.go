package fakeslack

import (
	"context"
	"fmt"
	"time"
)

// AppHomeRequest is a user who opens the app's Home tab. Tab is "home" if empty;
// "messages" is the other one that the event knows.
type AppHomeRequest struct {
	User string `json:"user"`
	Tab  string `json:"tab"`
}

// AppHome opens the app's Home tab: the app gets app_home_opened, with the view
// if it has published one (https://docs.slack.dev/reference/events/app_home_opened).
// The ack carries the event_id.
func (s *Server) AppHome(ctx context.Context, r AppHomeRequest) (Ack, error) {
	s.mu.Lock()
	user := s.findUser(r.User)
	if user == nil || user.ID == s.cfg.Bot.ID {
		s.mu.Unlock()
		return Ack{}, fmt.Errorf("no user %q in the workspace", r.User)
	}
	payload, eventID := s.homeEvent(user.ID, or(r.Tab, "home"))
	s.mu.Unlock()
	ack, err := s.deliver(ctx, &delivery{kind: envelopeEvent, payload: payload})
	ack.EventID = eventID
	return ack, err
}

func (s *Server) homeEvent(user, tab string) (payload map[string]any, eventID string) {
	now := time.Now()
	event := map[string]any{
		"type": "app_home_opened", "user": user, "channel": s.directWith(user).ID, "tab": tab,
		"event_ts": formatTS(now.UnixMicro()),
	}
	if v := s.views[homeID(user)]; v != nil && tab == "home" {
		event["view"] = s.wireView(v, nil)
	}
	eventID = s.newID("Ev")
	return map[string]any{
		"token": "local-verification", "team_id": s.cfg.Team.ID, "api_app_id": s.cfg.AppID, "event": event,
		"type": "event_callback", "event_id": eventID, "event_time": now.Unix(), "is_ext_shared_channel": false,
		"authorizations": []any{map[string]any{
			"enterprise_id": nil, "team_id": s.cfg.Team.ID, "user_id": s.cfg.Bot.ID, "is_bot": true, "is_enterprise_install": false,
		}},
	}, eventID
}

// homeID is the ID of a user's Home view, which there is one of.
func homeID(user string) string { return "VHOME" + user }

// Home returns the Home view that the app has published for a user, who is named
// by ID or name; false if it has published none. Its buttons are clicked with
// the view's ID as ClickRequest.ViewID.
func (s *Server) Home(user string) (View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.findUser(user)
	if u == nil {
		return View{}, false
	}
	v := s.views[homeID(u.ID)]
	if v == nil {
		return View{}, false
	}
	return *v, true
}

// Text is the plain text of a view's title, submit or close; "" if the app left
// it out.
func (v View) Text(field string) string { return str(object(v.fields[field])["text"]) }

// CloseRequest is a modal that a user closes without submitting it. Cleared
// closes the whole stack, as the × does.
type CloseRequest struct {
	User    string `json:"user"`
	ViewID  string `json:"view_id"`
	Cleared bool   `json:"cleared"`
}

// CloseView closes a modal. The app is told only if the view asked for it with
// notify_on_close (https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload#view_closed);
// the ack is empty otherwise.
func (s *Server) CloseView(ctx context.Context, r CloseRequest) (Ack, error) {
	s.mu.Lock()
	user, v, err := s.openFor(r.User, r.ViewID)
	if err == nil && v.Type != "modal" {
		err = fmt.Errorf("view %s is no modal: a Home tab cannot be closed", v.ID)
	}
	if err != nil {
		s.mu.Unlock()
		return Ack{}, err
	}
	v.Open = false
	if r.Cleared {
		s.closeViews(user.ID)
	}
	s.touch()
	if v.fields["notify_on_close"] != true {
		s.mu.Unlock()
		return Ack{}, nil
	}
	p := s.interaction("view_closed", user)
	p["view"], p["is_cleared"] = s.wireView(v, nil), r.Cleared
	s.mu.Unlock()
	return s.deliver(ctx, &delivery{kind: envelopeInteractive, payload: p})
}
