package fakeslack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// method is one method of the Web API: which token it takes, the scopes of which
// one must be granted, how often it may be called, and what it does. do runs with
// s.mu held.
type method struct {
	app    bool // takes the app-level token, not the bot's
	scopes []string
	limit  limit
	do     func(s *Server, now time.Time, a arguments) (reply, error)
}

// reply holds the fields that go beside "ok": true.
type reply map[string]any

// apiError is what Slack answers with "ok": false.
type apiError struct {
	Code     string
	Messages []string // response_metadata.messages: where the arguments are wrong

	Needed, Provided string // of missing_scope: lists of scopes
}

func (e *apiError) Error() string { return e.Code }

func failed(code string) error { return &apiError{Code: code} }

// The scopes and tiers are those of https://docs.slack.dev/reference/methods, one
// page a method.
var methods = map[string]method{
	"auth.test":                    {limit: perMinute(600), do: (*Server).authTest},
	"apps.connections.open":        {app: true, scopes: []string{"connections:write"}, limit: tier1, do: (*Server).openConnection},
	"chat.postMessage":             {scopes: chatWrite, limit: perChannel, do: (*Server).postMessage},
	"chat.update":                  {scopes: chatWrite, limit: tier3, do: (*Server).updateMessage},
	"chat.postEphemeral":           {scopes: chatWrite, limit: tier4, do: (*Server).postEphemeral},
	"chat.delete":                  {scopes: chatWrite, limit: tier3, do: (*Server).deleteMessage},
	"chat.getPermalink":            {limit: perMinute(600), do: (*Server).getPermalink},
	"conversations.list":           {scopes: conversationsRead, limit: tier2, do: (*Server).listConversations},
	"conversations.info":           {scopes: conversationsRead, limit: tier3, do: (*Server).conversationInfo},
	"conversations.history":        {scopes: conversationsHistory, limit: tier3, do: (*Server).history},
	"conversations.replies":        {scopes: conversationsHistory, limit: tier3, do: (*Server).replies},
	"conversations.open":           {scopes: conversationsOpen, limit: tier3, do: (*Server).openConversation},
	"conversations.members":        {scopes: conversationsRead, limit: tier4, do: (*Server).members},
	"users.info":                   {scopes: usersRead, limit: tier4, do: (*Server).userInfo},
	"users.list":                   {scopes: usersRead, limit: tier2, do: (*Server).listUsers},
	"usergroups.list":              {scopes: usergroupsRead, limit: tier2, do: (*Server).listGroups},
	"usergroups.users.list":        {scopes: usergroupsRead, limit: tier2, do: (*Server).listGroupUsers},
	"views.open":                   {limit: tier4, do: (*Server).openView},
	"views.push":                   {limit: tier4, do: (*Server).pushView},
	"views.update":                 {limit: tier4, do: (*Server).updateView},
	"views.publish":                {limit: tier4, do: (*Server).publishView},
	"files.getUploadURLExternal":   {scopes: filesWrite, limit: tier4, do: (*Server).getUploadURL},
	"files.completeUploadExternal": {scopes: filesWrite, limit: tier4, do: (*Server).completeUpload},
	"files.info":                   {scopes: []string{"files:read"}, limit: tier4, do: (*Server).fileInfo},
	"files.upload":                 {scopes: filesWrite, limit: tier2, do: (*Server).deprecated},
	"reactions.add":                {scopes: []string{"reactions:write"}, limit: tier3, do: (*Server).addReaction},
}

// bodyLimit bounds an API call's body. Slack's own limit is not published; no
// legal message comes near it.
const bodyLimit = 1 << 20

// serveAPI answers POST /api/METHOD.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()

	name := r.PathValue("method")
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	args, err := readArguments(r)
	call := Call{Kind: CallWeb, Method: name, Connection: r.RemoteAddr}
	if err != nil {
		s.answer(w, call, nil, failed("invalid_json"))
		return
	}
	token := args.takeToken(r)
	call.Arguments = maps.Clone(args)
	s.tellScopes(w.Header(), name, token)
	if fault := s.trouble(name); fault != nil {
		s.answerFault(w, r, fault, call, func() (reply, error) { return s.call(name, token, args) })
		return
	}
	out, err := s.call(name, token, args)
	s.answer(w, call, out, err)
}

// call runs one method under the lock.
func (s *Server) call(name, token string, args arguments) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := methods[name]
	if !known {
		s.log.Warn("unknown Slack method", "method", name)
		return nil, failed("unknown_method")
	}
	if err := s.checkToken(m, token); err != nil {
		return nil, err
	}
	if err := s.checkScopes(m, args); err != nil {
		return nil, err
	}
	now := time.Now()
	if err := s.checkRate(now, name, m.limit, args); err != nil {
		return nil, err
	}
	return m.do(s, now, args)
}

func (s *Server) checkToken(m method, token string) error {
	right, wrong := s.cfg.BotToken, s.cfg.AppToken
	if m.app {
		right, wrong = wrong, right
	}
	switch token {
	case "":
		return failed("not_authed")
	case right:
		return nil
	case wrong:
		return failed("not_allowed_token_type")
	default:
		return failed("invalid_auth")
	}
}

// answer writes a method's reply, and its line in the journal.
func (s *Server) answer(w http.ResponseWriter, call Call, out reply, err error) {
	s.tellTime(w.Header())
	body := map[string]any{"ok": err == nil}
	maps.Copy(body, out)
	status := http.StatusOK
	call.Outcome = "ok"
	if err != nil {
		call.Outcome = err.Error()
		status = describe(w.Header(), body, err)
	}
	s.record(call)
	writeJSON(w, status, body)
}

// describe puts an error into the reply and returns the HTTP status that Slack
// uses for it.
func describe(header http.Header, body map[string]any, err error) int {
	body["error"] = err.Error()
	if limited, ok := errors.AsType[*rateError](err); ok {
		header.Set("Retry-After", strconv.Itoa(limited.seconds()))
		return http.StatusTooManyRequests
	}
	api, _ := errors.AsType[*apiError](err)
	if api != nil && len(api.Messages) > 0 {
		body["response_metadata"] = map[string]any{"messages": api.Messages}
		body["errors"] = api.Messages
	}
	if api != nil && api.Needed != "" {
		body["needed"], body["provided"] = api.Needed, api.Provided
	}
	return http.StatusOK
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(encode(body))
}

// arguments are a call's arguments, whichever way they came: strings as they
// are, anything else as its JSON.
type arguments map[string]string

// readArguments takes query, form, multipart and JSON bodies, all of which
// Slack takes (https://docs.slack.dev/apis/web-api/#post-bodies).
func readArguments(r *http.Request) (arguments, error) {
	args := arguments{}
	args.addValues(r.URL.Query())
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		return args, args.addJSON(r.Body)
	case "multipart/form-data":
		if err := r.ParseMultipartForm(bodyLimit); err != nil { //nolint:gosec // G120: the caller bounds the body
			return args, fmt.Errorf("read multipart body: %w", err)
		}
		args.addValues(r.MultipartForm.Value)
		return args, nil
	default:
		if err := r.ParseForm(); err != nil {
			return args, fmt.Errorf("read form body: %w", err)
		}
		args.addValues(r.PostForm)
		return args, nil
	}
}

func (a arguments) addValues(values url.Values) {
	for key := range values {
		a[key] = values.Get(key)
	}
}

// addJSON takes an empty body and null for no arguments: slack-go opens its
// connections with one, the JavaScript client with the other.
func (a arguments) addJSON(body io.Reader) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read JSON body: %w", err)
	}
	if len(strings.TrimSpace(string(raw))) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("read JSON body: %w", err)
	}
	for key, value := range fields {
		a[key] = plain(value)
	}
	return nil
}

// plain returns a JSON string's text, null as nothing, and any other value's
// JSON.
func plain(value json.RawMessage) string {
	var text *string
	if err := json.Unmarshal(value, &text); err != nil {
		return string(value)
	}
	if text == nil {
		return ""
	}
	return *text
}

// takeToken returns the token, from the header or the arguments, and removes
// it from the arguments, so that it reaches no journal.
func (a arguments) takeToken(r *http.Request) string {
	token := a["token"]
	delete(a, "token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return strings.TrimSpace(bearer)
	}
	return token
}

func (a arguments) flag(key string) bool {
	value, _ := strconv.ParseBool(a[key])
	return value
}

// number returns an integer argument, bounded, or the default.
func (a arguments) number(key string, otherwise, most int) int {
	n, err := strconv.Atoi(a[key])
	if err != nil || n <= 0 {
		return otherwise
	}
	return min(n, most)
}

func (s *Server) authTest(time.Time, arguments) (reply, error) {
	return reply{
		"url": s.cfg.BaseURL + "/", "team": s.cfg.Team.Name, "team_id": s.cfg.Team.ID,
		"user": s.cfg.Bot.Name, "user_id": s.cfg.Bot.ID, "bot_id": s.botID(),
		"app_id": s.cfg.AppID, "is_enterprise_install": false,
	}, nil
}

// deprecated answers a method that Slack has retired.
func (s *Server) deprecated(time.Time, arguments) (reply, error) {
	return nil, failed("method_deprecated")
}
