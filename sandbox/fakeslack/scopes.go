package fakeslack

import (
	"net/http"
	"slices"
	"strings"
)

// The scopes of https://docs.slack.dev/reference/scopes that the methods take.
// Where there are four, each is for one kind of conversation: public channels,
// private ones, messages of several people, and direct messages.
var (
	chatWrite            = []string{"chat:write"}
	conversationsRead    = []string{"channels:read", "groups:read", "mpim:read", "im:read"}
	conversationsHistory = []string{"channels:history", "groups:history", "mpim:history", "im:history"}
	conversationsOpen    = []string{"channels:manage", "groups:write", "mpim:write", "im:write"}
	usersRead            = []string{"users:read"}
	usergroupsRead       = []string{"usergroups:read"}
	filesWrite           = []string{"files:write"}
)

// The scopes that are not a method's: without them there is no slash command and
// no mention; with chat:write.public, posting needs no membership.
const (
	scopeCommands = "commands"
	scopeMentions = "app_mentions:read"
	scopePublic   = "chat:write.public"
)

// appScopes is what the app-level token was granted.
var appScopes = []string{"connections:write"}

// allScopes returns every scope that makes something possible here.
// chat:write.public is not one of them: most apps go without it.
func allScopes() []string {
	all := []string{scopeCommands, scopeMentions}
	for _, m := range methods {
		if !m.app {
			all = append(all, m.scopes...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (s *Server) granted(scope string) bool { return slices.Contains(s.cfg.Scopes, scope) }

// checkScopes refuses a call whose token has none of the scopes that the method
// takes for what it is asked. The caller holds s.mu.
func (s *Server) checkScopes(m method, a arguments) error {
	provided := s.scopesOf(m)
	needed := s.needed(m, a)
	has := func(scope string) bool { return slices.Contains(provided, scope) }
	if len(needed) == 0 || slices.ContainsFunc(needed, has) {
		return nil
	}
	return &apiError{Code: "missing_scope", Needed: strings.Join(needed, ","), Provided: strings.Join(provided, ",")}
}

func (s *Server) scopesOf(m method) []string {
	if m.app {
		return appScopes
	}
	return s.cfg.Scopes
}

// needed returns the scopes of which one is enough: those for the kind of the
// conversation that is meant, where there are several kinds.
func (s *Server) needed(m method, a arguments) []string {
	if len(m.scopes) < len(conversationTypes) {
		return m.scopes
	}
	if a["types"] != "" {
		return s.neededForTypes(m, a["types"])
	}
	prefix := "channels:"
	switch c := s.findChannel(a["channel"]); {
	case c != nil && c.direct != "" || a["users"] != "":
		prefix = "im:"
	case a["channel"] == "":
		return m.scopes
	}
	at := slices.IndexFunc(m.scopes, func(scope string) bool { return strings.HasPrefix(scope, prefix) })
	if at < 0 {
		return m.scopes
	}
	return m.scopes[at : at+1]
}

// conversationTypes are the types of conversations.list, in the order of a
// method's four scopes.
var conversationTypes = []string{"public_channel", "private_channel", "mpim", "im"}

// neededForTypes returns the first scope that is missing for the types, or else
// those that are there.
func (s *Server) neededForTypes(m method, types string) []string {
	var needed []string
	for kind := range strings.SplitSeq(types, ",") {
		at := slices.Index(conversationTypes, kind)
		if at < 0 {
			continue
		}
		if !s.granted(m.scopes[at]) {
			return m.scopes[at : at+1]
		}
		needed = append(needed, m.scopes[at])
	}
	return needed
}

// tellScopes says in the headers which scopes the token has and which of them
// the method takes, as Slack does
// (https://docs.slack.dev/authentication/installing-with-oauth).
func (s *Server) tellScopes(header http.Header, name, token string) {
	m, known := methods[name]
	if !known || s.checkToken(m, token) != nil {
		return
	}
	header.Set("X-OAuth-Scopes", strings.Join(s.scopesOf(m), ","))
	if len(m.scopes) > 0 {
		header.Set("X-Accepted-OAuth-Scopes", strings.Join(m.scopes, ","))
	}
}
