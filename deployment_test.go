package main

import (
	"bytes"
	goversion "go/version"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"slipway/app"
)

// slackApp is the part of a Slack app manifest that Slipway uses. It is decoded strictly, so that a
// key that Slack does not know, or that nobody looked at, is an error.
type slackApp struct {
	Display struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description"`
		Color       string `yaml:"background_color"`
	} `yaml:"display_information"`
	Features struct {
		Bot struct {
			Name   string `yaml:"display_name"`
			Online bool   `yaml:"always_online"`
		} `yaml:"bot_user"`
		Home struct {
			Home     bool `yaml:"home_tab_enabled"`
			Messages bool `yaml:"messages_tab_enabled"`
		} `yaml:"app_home"`
		Commands []struct {
			Command     string `yaml:"command"`
			Description string `yaml:"description"`
			Hint        string `yaml:"usage_hint"`
			Escape      bool   `yaml:"should_escape"`
		} `yaml:"slash_commands"`
	} `yaml:"features"`
	OAuth struct {
		Scopes struct {
			Bot []string `yaml:"bot"`
		} `yaml:"scopes"`
	} `yaml:"oauth_config"`
	Settings struct {
		Socket        bool `yaml:"socket_mode_enabled"`
		Interactivity struct {
			Enabled bool `yaml:"is_enabled"`
		} `yaml:"interactivity"`
		Events struct {
			Bot []string `yaml:"bot_events"`
		} `yaml:"event_subscriptions"`
		Org      bool `yaml:"org_deploy_enabled"`
		Rotation bool `yaml:"token_rotation_enabled"`
	} `yaml:"settings"`
}

func decode(t *testing.T, name string, into any) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return text
}

// The limits are those of https://docs.slack.dev/reference/app-manifest and of the JSON Schema at
// https://github.com/slackapi/manifest-schema.
func TestSlackManifest(t *testing.T) {
	var m slackApp
	text := decode(t, "slack-app-manifest.yaml", &m)
	if string(text) != manifest {
		t.Error("the binary prints another manifest")
	}
	for what, length := range map[string]struct{ got, most int }{
		"name": {utf8.RuneCountInString(m.Display.Name), 35}, "description": {utf8.RuneCountInString(m.Display.Description), 140},
		"bot's name": {utf8.RuneCountInString(m.Features.Bot.Name), 80},
	} {
		if length.got == 0 || length.got > length.most {
			t.Errorf("the %s has %d characters, at most %d are allowed", what, length.got, length.most)
		}
	}
	if !regexp.MustCompile(`^#[0-9a-f]{6}$`).MatchString(m.Display.Color) {
		t.Errorf("%q is no colour", m.Display.Color)
	}
	if !regexp.MustCompile(`^[a-z0-9._-]+$`).MatchString(m.Features.Bot.Name) {
		t.Errorf("%q can not be typed as a mention", m.Features.Bot.Name)
	}
	if len(m.Features.Commands) != 1 {
		t.Fatalf("commands: %+v", m.Features.Commands)
	}
	if c := m.Features.Commands[0]; c.Command != "/deploy" || c.Description == "" || len(c.Description) > 2000 || len(c.Hint) > 1000 {
		t.Errorf("command: %+v", c)
	}
	if !m.Settings.Socket || !m.Settings.Interactivity.Enabled || !m.Features.Home.Home || m.Settings.Rotation {
		t.Errorf("settings: %+v", m.Settings)
	}
	if want := []string{"app_mention", "app_home_opened"}; !slices.Equal(m.Settings.Events.Bot, want) {
		t.Errorf("events %v, want %v", m.Settings.Events.Bot, want)
	}
	for _, scope := range m.OAuth.Scopes.Bot {
		if !regexp.MustCompile(`(?m)^ +- ` + scope + ` +# \S+`).Match(text) {
			t.Errorf("nobody says what %s is for", scope)
		}
	}
}

// scopes are what each call of slack-go that bot may make needs, by the method's page at
// https://docs.slack.dev/reference/methods; "" is none.
var scopes = map[string]string{
	"AuthTestContext": "", "PublishViewContext": "", "OpenViewContext": "", "UpdateViewContext": "", "PushViewContext": "",
	"PostMessageContext": "chat:write", "UpdateMessageContext": "chat:write", "PostEphemeralContext": "chat:write", "DeleteMessageContext": "chat:write",
	"GetConversationsContext": "channels:read groups:read", "GetConversationInfoContext": "channels:read groups:read",
	"GetConversationHistoryContext": "channels:history groups:history", "GetConversationRepliesContext": "channels:history groups:history",
	"GetUsersContext": "users:read", "GetUserInfoContext": "users:read",
	"GetUserGroupsContext": "usergroups:read", "GetUserGroupMembersContext": "usergroups:read",
	"GetUploadURLExternalContext": "files:write", "CompleteUploadExternalContext": "files:write",
	"GetFileInfoContext": "files:read",
}

// received are the scopes for what Slack sends: slash commands and the event app_mention.
var received = []string{"commands", "app_mentions:read"}

// The app asks for what bot calls, and for nothing else.
func TestSlackScopes(t *testing.T) {
	var m slackApp
	decode(t, "slack-app-manifest.yaml", &m)
	needed := slices.Clone(received)
	for _, call := range slackCalls(t) {
		scope, known := scopes[call]
		if !known {
			t.Errorf("bot calls %s: look up its scope, and list it here and in slack-app-manifest.yaml", call)
		}
		needed = append(needed, strings.Fields(scope)...)
	}
	slices.Sort(needed)
	asked := slices.Sorted(slices.Values(m.OAuth.Scopes.Bot))
	if needed = slices.Compact(needed); !slices.Equal(asked, needed) {
		t.Errorf("the manifest asks for\n%v, bot needs\n%v", asked, needed)
	}
}

// slackCalls are the methods of slack-go's client that bot calls: those that end in Context.
func slackCalls(t *testing.T) []string {
	t.Helper()
	names, err := os.ReadDir("bot")
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for _, entry := range names {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile("bot/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`\bapi\.(\w+Context)\(`).FindAllSubmatch(text, -1) {
			calls = append(calls, string(match[1]))
		}
	}
	if len(calls) < 8 {
		t.Fatalf("only %v was found in bot", calls)
	}
	return calls
}

// workerPool follows https://docs.cloud.google.com/run/docs/reference/yaml/v1.
type workerPool struct {
	API      string `yaml:"apiVersion"`
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name        string            `yaml:"name"`
		Labels      map[string]string `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	} `yaml:"metadata"`
	Spec struct {
		Template struct {
			Metadata struct {
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"metadata"`
			Spec struct {
				Account    string `yaml:"serviceAccountName"`
				Containers []struct {
					Image     string `yaml:"image"`
					Resources struct {
						Limits map[string]string `yaml:"limits"`
					} `yaml:"resources"`
					Env []variable `yaml:"env"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type variable struct {
	Name      string `yaml:"name"`
	ValueFrom struct {
		SecretKeyRef struct {
			Name string `yaml:"name"`
			Key  string `yaml:"key"`
		} `yaml:"secretKeyRef"`
	} `yaml:"valueFrom"`
}

func (w workerPool) env() []variable { return w.Spec.Template.Spec.Containers[0].Env }

func poolOf(t *testing.T, name string) workerPool {
	t.Helper()
	var w workerPool
	decode(t, name, &w)
	if len(w.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%s has %d containers", name, len(w.Spec.Template.Spec.Containers))
	}
	return w
}

// The pool sets what Slipway reads, all that is required, and no secret's value.
func TestWorkerPool(t *testing.T) {
	w := poolOf(t, "worker-pool.yaml")
	if w.API != "run.googleapis.com/v1" || w.Kind != "WorkerPool" {
		t.Errorf("not a worker pool: %s %s", w.API, w.Kind)
	}
	if a := w.Metadata.Annotations; a["run.googleapis.com/scalingMode"] != "manual" || a["run.googleapis.com/manualInstanceCount"] == "" {
		t.Errorf("the number of instances is not given: %v", a)
	}
	settings := map[string]app.Setting{}
	for _, s := range app.Settings() {
		settings[s.Name] = s
	}
	for _, e := range w.env() {
		if _, known := settings[e.Name]; !known {
			t.Errorf("%s is no setting of Slipway", e.Name)
		}
		delete(settings, e.Name)
		if ref := e.ValueFrom.SecretKeyRef; ref.Name == "" || ref.Key == "" {
			t.Errorf("%s comes from no secret", e.Name)
		}
	}
	for name, s := range settings {
		if s.Required {
			t.Errorf("%s is required and missing", name)
		}
	}
}

// The image is built from what the binary is made of, and by no older Go than go.mod asks for.
func TestDockerfile(t *testing.T) {
	ignored, err := os.ReadFile(".dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(ignored)) {
		if _, part := floors[strings.TrimSuffix(strings.TrimSpace(line), "/")]; part && strings.TrimSpace(line) != "" {
			t.Errorf(".dockerignore leaves out %s", line)
		}
	}
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	base := regexp.MustCompile(`(?m)^FROM golang:(\d+\.\d+\.\d+)-`).FindSubmatch(text)
	if base == nil {
		t.Fatal("the version of Go is not pinned")
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.GoVersion}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	if asked := strings.TrimSpace(string(out)); goversion.Compare("go"+string(base[1]), "go"+asked) < 0 {
		t.Errorf("the Dockerfile has Go %s, go.mod asks for %s", base[1], asked)
	}
	for _, want := range []string{"-X main.version=", "CGO_ENABLED=0", "USER nonroot", "COPY deploy.yaml "} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%q is missing", want)
		}
	}
}

// The plan that is shipped says where its schema is, for editors.
func TestDeployYAMLNamesItsSchema(t *testing.T) {
	text, err := os.ReadFile("deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile(`\A# yaml-language-server: \$schema=(\S+)\n`).FindSubmatch(text)
	if path == nil {
		t.Fatal("the first line names no schema")
	}
	if _, err := fs.Stat(os.DirFS("."), string(path[1])); err != nil {
		t.Error(err)
	}
}
