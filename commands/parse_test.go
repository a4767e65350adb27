package commands

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
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
		{"rollback staging", Command{Verb: Rollback, Target: "staging"}},
		{"rollback staging 00041", Command{Verb: Rollback, Target: "staging", What: "00041"}},
		{"rollback staging `backend-staging-00041-abc` logins fail", Command{Verb: Rollback, Target: "staging", What: "backend-staging-00041-abc", Reason: "logins fail"}},
		{"rollback staging backend-staging-sift25d-1", Command{Verb: Rollback, Target: "staging", What: "backend-staging-sift25d-1"}},
		{"rollback staging logins fail since 10:00", Command{Verb: Rollback, Target: "staging", Reason: "logins fail since 10:00"}},
		{`rollback staging "500 errors"`, Command{Verb: Rollback, Target: "staging", Reason: "500 errors"}},
		{"rollback staging it's late", Command{Verb: Rollback, Target: "staging", Reason: "it's late"}},
		{"pause staging lunch", Command{Verb: Pause, Target: "staging", Reason: "lunch"}},
		{"Resume staging", Command{Verb: Resume, Target: "staging"}},
		{"retry staging/backend", Command{Verb: Retry, Target: "staging/backend"}},
		{"lock staging", Command{Verb: Lock, Target: "staging"}},
		{"lock staging for 2h", Command{Verb: Lock, Target: "staging", For: 2 * time.Hour}},
		{"lock staging load test for 1h30m", Command{Verb: Lock, Target: "staging", Reason: "load test", For: 90 * time.Minute}},
		{`lock staging "load test" for 2 Hours`, Command{Verb: Lock, Target: "staging", Reason: "load test", For: 2 * time.Hour}},
		{"lock staging for 2d the weekend", Command{Verb: Lock, Target: "staging", Reason: "the weekend", For: 48 * time.Hour}},
		{"lock staging waiting for legal", Command{Verb: Lock, Target: "staging", Reason: "waiting for legal"}},
		{"lock staging for", Command{Verb: Lock, Target: "staging", Reason: "for"}},
		{"unlock staging", Command{Verb: Unlock, Target: "staging"}},
		{"history staging", Command{Verb: History, Target: "staging"}},
		{"plan staging v1.2.3", Command{Verb: Plan, Target: "staging", What: "v1.2.3"}},
		{"graph staging", Command{Verb: Graph, Target: "staging", For: time.Hour}},
		{"graph staging 30 min", Command{Verb: Graph, Target: "staging", For: 30 * time.Minute}},
		{"incidents", Command{Verb: ListIncidents}},
		{"Incidents staging/backend", Command{Verb: ListIncidents, Target: "staging/backend"}},
		{"ack", Command{Verb: Acknowledge}},
		{"ACK ABC123", Command{Verb: Acknowledge, What: "abc123"}},
		{"resolve `1x2y3z`", Command{Verb: Resolve, What: "1x2y3z"}},
		{"silence", Command{Verb: Silence, For: time.Hour}},
		{"silence abc123", Command{Verb: Silence, What: "abc123", For: time.Hour}},
		{"silence abc123 2h", Command{Verb: Silence, What: "abc123", For: 2 * time.Hour}},
		{"silence abc123 for 2 days", Command{Verb: Silence, What: "abc123", For: 48 * time.Hour}},
		{"Silence 90 min", Command{Verb: Silence, For: 90 * time.Minute}},
		{"silence for 7d", Command{Verb: Silence, For: maxSilence}},
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
		{"abort", "Say which target, as in `/deploy abort staging`"},
		{"rollback", "Say which target, as in `/deploy rollback staging`"},
		{"lock \"\" now", "Say which target"},
		{"unlock staging please", "'please' is one word too many: `/deploy unlock` takes one target"},
		{"lock staging for 0m", "30 days at most"},
		{"lock staging test for 31d", "30 days at most"},
		{"lock staging for 9999d", "30 days at most"},
		{"plan staging v1 v2", "'v2' is one word too many"},
		{"graph staging yesterday", "'yesterday' is not how far back a graph can begin"},
		{"graph staging 2m", "from 5m to 24h"},
		{"graph staging 2d", "from 5m to 24h"},
		{"ack abc123 please", "'please' is one word too many: `/deploy ack` takes the ID"},
		{"ack staging/backend", "'staging/backend' is no incident's ID"},
		{"resolve {@U1}{t:5}", "'{ @u1}{ t:5}' is no incident's ID"},
		{"silence abc123 a while", "'a while' is not how long"},
		{"silence abc123 0m", "up to 7 days"},
		{"silence 8d", "up to 7 days"},
		{"silence abc123 for", "'for' is not how long"},
		{"deploy staging v1", "Say it once: `/deploy staging v1`"},
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
	for _, text := range []string{"", "staging v1", "abort staging it's late", `"a" “b” 'c`, "rollback staging", "a&b<c>", "\xff\x00{@U1}", "silence abc123 for 2h", "ack ABC", "incidents", strings.Repeat("x ", 5000)} {
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
		if cmd.What != "" && !isImage(cmd.What) && !isRevision(cmd.What) && !isIncident(cmd.What) || cmd.Verb == Silence && (cmd.For <= 0 || cmd.For > maxSilence) || cmd.For < 0 || cmd.For > maxLock || utf8.RuneCountInString(cmd.Reason) > maxReason || !utf8.ValidString(cmd.Target+cmd.Reason) {
			t.Fatalf("Parse(%q) = %+v", text, cmd)
		}
		first := strings.ToLower(strings.Join(strings.Fields(text)[:min(1, len(strings.Fields(text)))], ""))
		if first == "rollback" && cmd.Verb != "rollback" {
			t.Fatalf("Parse(%q) = %+v", text, cmd)
		}
	})
}
