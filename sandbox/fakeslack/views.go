package fakeslack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// View is a modal, or a user's Home tab.
type View struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	User     string          `json:"user"` // who has it open
	Open     bool            `json:"open"`
	Root     string          `json:"root_view_id"`
	Previous string          `json:"previous_view_id,omitempty"`
	Hash     string          `json:"hash"`
	External string          `json:"external_id,omitempty"`
	Blocks   json.RawMessage `json:"blocks"`

	fields map[string]any // the view as the app gave it
}

// A trigger opens one view within three seconds
// (https://docs.slack.dev/interactivity/handling-user-interaction#modal_responses).
const triggerLife = 3 * time.Second

// mostTriggers is how many are kept, so that a long run does not grow: one that
// expired before many others is not known any more.
const mostTriggers = 10_000

type trigger struct {
	user    string
	view    *View // the view it came from, onto which another may be pushed
	expires time.Time
	used    bool
}

// newTrigger hands out a trigger_id. The caller holds s.mu.
func (s *Server) newTrigger(user string, from *View) string {
	now := time.Now()
	if len(s.triggers) >= mostTriggers {
		maps.DeleteFunc(s.triggers, func(_ string, t *trigger) bool { return now.After(t.expires) })
	}
	id := fmt.Sprintf("%d.%d.%s", now.UnixMilli(), len(s.triggers)+1, s.newSecret())
	s.triggers[id] = &trigger{user: user, view: from, expires: now.Add(triggerLife)}
	return id
}

func (s *Server) useTrigger(id string, now time.Time) (*trigger, error) {
	t := s.triggers[id]
	switch {
	case t == nil:
		return nil, failed("invalid_trigger_id")
	case t.used:
		return nil, failed("exchanged_trigger_id")
	case now.After(t.expires):
		return nil, failed("expired_trigger_id")
	}
	t.used = true
	return t, nil
}

// openView is views.open. Opening a modal replaces the stack the user has open.
func (s *Server) openView(now time.Time, a arguments) (reply, error) {
	fields, err := s.readView(a["view"], "", "modal")
	if err != nil {
		return nil, err
	}
	t, err := s.useTrigger(a["trigger_id"], now)
	if err != nil {
		return nil, err
	}
	s.closeViews(t.user)
	v := s.newView(t.user, fields)
	v.Root = v.ID
	return reply{"view": s.wireView(v, nil)}, nil
}

// maxStack is how many views a modal may stack (views.push: push_limit_reached).
const maxStack = 3

func (s *Server) pushView(now time.Time, a arguments) (reply, error) {
	fields, err := s.readView(a["view"], "", "modal")
	if err != nil {
		return nil, err
	}
	t, err := s.useTrigger(a["trigger_id"], now)
	if err != nil {
		return nil, err
	}
	if t.view == nil || !t.view.Open {
		return nil, failed("not_found")
	}
	v, err := s.push(t.view, fields)
	if err != nil {
		return nil, err
	}
	return reply{"view": s.wireView(v, nil)}, nil
}

func (s *Server) push(onto *View, fields map[string]any) (*View, error) {
	if len(s.stack(onto.User)) >= maxStack {
		return nil, failed("push_limit_reached")
	}
	v := s.newView(onto.User, fields)
	v.Root, v.Previous = onto.Root, onto.ID
	return v, nil
}

// updateView is views.update, by view_id or external_id. A hash that is not the
// current one means that somebody else was first.
func (s *Server) updateView(_ time.Time, a arguments) (reply, error) {
	v := s.findView(a["view_id"], a["external_id"])
	if v == nil || !v.Open {
		return nil, failed("not_found")
	}
	if a["hash"] != "" && a["hash"] != v.Hash {
		return nil, failed("hash_conflict")
	}
	fields, err := s.readView(a["view"], v.ID, v.Type)
	if err != nil {
		return nil, err
	}
	s.setView(v, fields)
	return reply{"view": s.wireView(v, nil)}, nil
}

// publishView is views.publish: a user's Home tab.
func (s *Server) publishView(_ time.Time, a arguments) (reply, error) {
	user := s.findUser(a["user_id"])
	if user == nil {
		return nil, failed("user_not_found")
	}
	id := "VHOME" + user.ID
	fields, err := s.readView(a["view"], id, "home")
	if err != nil {
		return nil, err
	}
	v := s.views[id]
	if v == nil {
		v = &View{ID: id, User: user.ID, Root: id, Open: true}
		s.views[id] = v
	}
	if a["hash"] != "" && a["hash"] != v.Hash {
		return nil, failed("hash_conflict")
	}
	s.setView(v, fields)
	return reply{"view": s.wireView(v, nil)}, nil
}

func (s *Server) newView(user string, fields map[string]any) *View {
	v := &View{ID: s.newID("V"), User: user, Open: true}
	s.views[v.ID] = v
	s.setView(v, fields)
	return v
}

func (s *Server) setView(v *View, fields map[string]any) {
	v.fields, v.Type, v.External = fields, str(fields["type"]), str(fields["external_id"])
	v.Blocks, _ = fields["blocks"].(json.RawMessage)
	v.Hash = s.newTS(time.Now()) + "." + s.newSecret()[:8]
	s.touch()
}

func (s *Server) findView(id, external string) *View {
	if v := s.views[id]; v != nil {
		return v
	}
	for _, v := range s.views {
		if external != "" && v.External == external && v.Open {
			return v
		}
	}
	return nil
}

// stack returns the modals a user has open, the root first.
func (s *Server) stack(user string) []*View {
	var out []*View
	for _, v := range s.views {
		if v.User == user && v.Open && v.Type == "modal" {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b *View) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func (s *Server) closeViews(user string) {
	for _, v := range s.stack(user) {
		v.Open = false
	}
	s.touch()
}

// Views returns the views a user has open, the root of the stack first. The
// user is named by ID or name.
func (s *Server) Views(user string) []View {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.findUser(user)
	if u == nil {
		return nil
	}
	var out []View
	for _, v := range s.stack(u.ID) {
		out = append(out, *v)
	}
	return out
}

// maxView is a view's largest size in bytes (views.open: view_too_large).
const maxView = 250_000

// readView checks a view of a kind (https://docs.slack.dev/reference/views).
// self is the ID of the view it replaces, whose external_id it may keep. What is
// wrong with its blocks is told as for the rest of the view: invalid_arguments.
func (s *Server) readView(raw, self, kind string) (map[string]any, error) {
	if len(raw) > maxView {
		return nil, failed("view_too_large")
	}
	var fields map[string]any
	if err := decode(raw, &fields); err != nil || fields == nil {
		return nil, failed("invalid_arguments")
	}
	c := &blockCheck{surface: surface(kind), files: s.files}
	c.view(fields, kind)
	blocks := make([]map[string]any, len(list(fields["blocks"])))
	for i, b := range list(fields["blocks"]) {
		blocks[i] = object(b)
	}
	c.list("/view/blocks", blocks)
	if len(c.problems) > 0 {
		return nil, &apiError{Code: "invalid_arguments", Messages: c.problems}
	}
	if other := s.findView("", str(fields["external_id"])); other != nil && other.ID != self {
		return nil, failed("duplicate_external_id")
	}
	fields["blocks"] = s.withIDs(blocks)
	return fields, nil
}

func (c *blockCheck) view(v map[string]any, kind string) {
	if str(v["type"]) != kind {
		c.bad("/view/type", "must be a valid enum value: %s", kind)
	}
	if kind == "modal" {
		c.only("/view", v, modalFields)
		c.text("/view/title", v["title"], 24, "plain_text")
	} else {
		c.only("/view", v, homeFields)
	}
	c.optionalText("/view/submit", v["submit"], 24, "plain_text")
	c.optionalText("/view/close", v["close"], 24, "plain_text")
	c.length("/view/callback_id", v["callback_id"], 255)
	c.length("/view/external_id", v["external_id"], 255)
	c.length("/view/private_metadata", v["private_metadata"], 3000)
	blocks := list(v["blocks"])
	if len(blocks) == 0 {
		c.bad("/view/blocks", "must have at least 1 items")
	}
	hasInput := slices.ContainsFunc(blocks, func(b any) bool { return str(object(b)["type"]) == "input" })
	if hasInput && str(v["type"]) == "modal" && v["submit"] == nil {
		c.bad("/view", "missing required field: submit, because an input block is present")
	}
}

// wireView is a view as the API and the payloads show it.
func (s *Server) wireView(v *View, values map[string]map[string]any) map[string]any {
	if values == nil {
		values = map[string]map[string]any{}
	}
	out := map[string]any{
		"id": v.ID, "team_id": s.cfg.Team.ID, "app_id": s.cfg.AppID, "bot_id": s.botID(),
		"hash": v.Hash, "root_view_id": v.Root, "previous_view_id": nil, "app_installed_team_id": s.cfg.Team.ID,
		"callback_id": "", "private_metadata": "", "external_id": "", "state": map[string]any{"values": values},
		"clear_on_close": false, "notify_on_close": false,
	}
	if v.Previous != "" {
		out["previous_view_id"] = v.Previous
	}
	for key, value := range v.fields {
		out[key] = value
	}
	return out
}
