package commands

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"slipway/plan"
)

func TestParse(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0f", 32)
	tests := []struct {
		text string
		want Command
	}{
		{"", Command{Verb: Help}},
		{" \t\n ", Command{Verb: Help}},
		{"help", Command{Verb: Help}},
		{"HELP rollback", Command{Verb: Help}},
		{"staging", Command{Verb: Deploy, Target: "staging"}},
		{"  staging/backend   v1.2.3 ", Command{Verb: Deploy, Target: "staging/backend", What: "v1.2.3"}},
		{"staging " + digest, Command{Verb: Deploy, Target: "staging", What: digest}},
		{`"staging" “develop-long-lived”`, Command{Verb: Deploy, Target: "staging", What: "develop-long-lived"}},
		{"staging `3f9a1c2`", Command{Verb: Deploy, Target: "staging", What: "3f9a1c2"}},
		{`staging "abort"`, Command{Verb: Deploy, Target: "staging", What: "abort"}},
		{`"status"`, Command{Verb: Deploy, Target: "status"}},
		{"status", Command{Verb: Status}},
		{"Status staging", Command{Verb: Status, Target: "staging"}},
		{"abort staging", Command{Verb: Abort, Target: "staging"}},
		{"abort staging it doesn't start, \"auth\" is missing", Command{Verb: Abort, Target: "staging", Reason: `it doesn't start, "auth" is missing`}},
		{`abort staging "too many errors"`, Command{Verb: Abort, Target: "staging", Reason: "too many errors"}},
		{`abort staging "a" and "b"`, Command{Verb: Abort, Target: "staging", Reason: `"a" and "b"`}},
		{"abort staging a & b < c > d", Command{Verb: Abort, Target: "staging", Reason: "a & b < c > d"}},
		{"abort staging two\nlines\x00", Command{Verb: Abort, Target: "staging", Reason: "two lines"}},
		{"rollback staging", Command{Verb: "rollback"}},
		{"Freeze all", Command{Verb: "freeze"}},
		{"approve staging", Command{Verb: "approve"}},
		{"stagign", Command{Verb: Deploy, Target: "stagign"}},
	}
	for _, test := range tests {
		got, err := Parse(test.text)
		if err != nil || got != test.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", test.text, got, err, test.want)
		}
	}
}

func TestParseMistakes(t *testing.T) {
	tests := []struct{ text, want string }{
		{"staging abort", "The command comes first: `/deploy abort staging`"},
		{"staging Rollback", "The command comes first: `/deploy rollback staging`"},
		{"staging v1 v2", "'v2' is one word too many"},
		{"staging for 2h", "'2h' is one word too many"},
		{"staging --force", "'--force' is neither a tag nor a digest"},
		{"staging a&b", "'a&b' is neither a tag nor a digest"},
		{"staging sha256:1234", "neither a tag nor a digest"},
		{`staging "v1`, "A quote is opened and not closed"},
		{`""`, "An empty target is none"},
		{"status staging now", "'now' is one word too many"},
		{"abort", "Say what to stop"},
		{"staging {@U1}{t:5}", "'{ @U1}{ t:5}'"},
	}
	for _, test := range tests {
		got, err := Parse(test.text)
		var m Mistake
		if !errors.As(err, &m) || !strings.Contains(string(m), test.want) {
			t.Errorf("Parse(%q) = %+v, %v; want a mistake with %q", test.text, got, err, test.want)
		}
	}
}

// No word that begins a command may begin a deploy, whatever follows it.
func TestVerbsAreNeverTargets(t *testing.T) {
	for _, verb := range typed() {
		for _, text := range []string{verb, verb + " staging", strings.ToUpper(verb) + " staging v1"} {
			cmd, err := Parse(text)
			if err == nil && cmd.Verb == Deploy {
				t.Errorf("Parse(%q) = %+v", text, cmd)
			}
		}
	}
}

// An environment that is named like a command could not be deployed to, so deploy.yaml may not have one.
func TestPlanRefusesEnvironmentsNamedLikeCommands(t *testing.T) {
	for _, verb := range typed() {
		_, err := plan.Load("deploy.yaml", fmt.Appendf(nil, "version: 1\nenvironments:\n  %s: {}\n", verb))
		if err == nil || !strings.Contains(err.Error(), "is a command already") {
			t.Errorf("environment %s: %v", verb, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "staging v1", "abort staging it's late", `"a" “b” 'c`, "rollback staging", "a&b<c>", "\xff\x00{@U1}", strings.Repeat("x ", 5000)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cmd, err := Parse(text)
		if err != nil {
			var m Mistake
			if !errors.As(err, &m) || len(m) > 1000 || !utf8.ValidString(string(m)) || strings.Contains(string(m), "{@") || strings.Contains(string(m), "{t:") {
				t.Fatalf("Parse(%q): %q", text, err)
			}
			return
		}
		if cmd.What != "" && !isImage(cmd.What) || utf8.RuneCountInString(cmd.Reason) > maxReason || !utf8.ValidString(cmd.Target+cmd.Reason) {
			t.Fatalf("Parse(%q) = %+v", text, cmd)
		}
		first := strings.ToLower(strings.Join(strings.Fields(text)[:min(1, len(strings.Fields(text)))], ""))
		if first == "rollback" && cmd.Verb != "rollback" {
			t.Fatalf("Parse(%q) = %+v", text, cmd)
		}
	})
}
