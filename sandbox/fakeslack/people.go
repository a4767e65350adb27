package fakeslack

import (
	"slices"
	"strings"
	"time"
)

// findUser looks a user up by ID or name; the bot is one. The caller holds
// s.mu.
func (s *Server) findUser(name string) *User {
	name = strings.TrimPrefix(name, "@")
	at := slices.IndexFunc(s.users, func(u User) bool { return name != "" && (u.ID == name || u.Name == name) })
	if at < 0 {
		return nil
	}
	return &s.users[at]
}

// wireUser is a user as https://docs.slack.dev/reference/objects/user-object has it.
func (s *Server) wireUser(u User) map[string]any {
	bot := u.ID == s.cfg.Bot.ID
	profile := map[string]any{
		"real_name": u.RealName, "display_name": u.Name, "title": u.Title, "team": s.cfg.Team.ID,
		"real_name_normalized": u.RealName, "display_name_normalized": u.Name,
	}
	if bot {
		profile["bot_id"] = s.botID()
		profile["api_app_id"] = s.cfg.AppID
	}
	return map[string]any{
		"id": u.ID, "team_id": s.cfg.Team.ID, "name": u.Name, "real_name": u.RealName, "deleted": false,
		"tz": "Etc/UTC", "tz_label": "UTC", "tz_offset": 0, "profile": profile,
		"is_bot": bot, "is_app_user": false, "is_admin": false, "is_owner": false,
		"is_restricted": u.Guest, "is_ultra_restricted": false,
	}
}

func (s *Server) userInfo(_ time.Time, a arguments) (reply, error) {
	at := slices.IndexFunc(s.users, func(u User) bool { return u.ID == a["user"] })
	if at < 0 {
		return nil, failed("user_not_found")
	}
	return reply{"user": s.wireUser(s.users[at])}, nil
}

func (s *Server) listUsers(now time.Time, a arguments) (reply, error) {
	page, next, err := paginate(s.users, a, 1000, 1000)
	if err != nil {
		return nil, err
	}
	members := make([]map[string]any, len(page))
	for i, u := range page {
		members[i] = s.wireUser(u)
	}
	return reply{"members": members, "cache_ts": now.Unix(), "response_metadata": cursor(next)}, nil
}

func (s *Server) listGroups(_ time.Time, a arguments) (reply, error) {
	groups := make([]map[string]any, len(s.cfg.Groups))
	for i, g := range s.cfg.Groups {
		groups[i] = s.wireGroup(g)
		if a.flag("include_users") {
			groups[i]["users"] = g.Members
		}
	}
	return reply{"usergroups": groups}, nil
}

func (s *Server) wireGroup(g Group) map[string]any {
	return map[string]any{
		"id": g.ID, "team_id": s.cfg.Team.ID, "is_usergroup": true, "is_external": false,
		"name": g.Handle, "handle": g.Handle, "description": "", "user_count": len(g.Members),
		"date_create": 0, "date_update": 0, "date_delete": 0, "created_by": s.cfg.Bot.ID,
	}
}

func (s *Server) listGroupUsers(_ time.Time, a arguments) (reply, error) {
	at := slices.IndexFunc(s.cfg.Groups, func(g Group) bool { return g.ID == a["usergroup"] })
	if at < 0 {
		return nil, failed("no_such_subteam")
	}
	return reply{"users": s.cfg.Groups[at].Members}, nil
}
