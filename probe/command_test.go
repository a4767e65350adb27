//go:build unix

package probe

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"slipway/plan"
	"slipway/rollout"
)

// Programs are real here, so no test is in a bubble: time does not pass in one while a program runs.

func commandStep(args ...string) plan.Step {
	return plan.Step{Kind: plan.KindCommand, Command: &plan.Command{Args: args}, Timeout: plan.Duration(time.Hour)}
}

func shell(script string) plan.Step { return commandStep("sh", "-c", script) }

// shop runs programs.
type shop struct {
	t        *testing.T
	probes   *Probes
	action   rollout.Action
	attempts int
}

func newShop(t *testing.T) *shop {
	t.Helper()
	variables := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "LANG": "C.UTF-8", "E2E_TOKEN": secret, "MODE": "on",
		"SLACK_BOT_TOKEN": "xoxb-never", "PRIVATE": "never",
	}
	p := New(Config{Getenv: func(name string) string { return variables[name] }})
	t.Cleanup(func() { _ = p.Close() })
	return &shop{t: t, probes: p, action: p.Actions()[plan.KindCommand]}
}

func (s *shop) task(step plan.Step) rollout.Task {
	s.attempts++
	return rollout.Task{
		Key: rollout.Key{Rollout: "abc234", Step: "1.2", Attempt: s.attempts}, Step: step, Started: time.Now(),
		Services: map[string]rollout.Service{"app": {URL: "https://app.test"}},
	}
}

func (s *shop) start(task rollout.Task) {
	s.t.Helper()
	if _, err := s.action.Start(s.t.Context(), task); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) outcome(task rollout.Task) rollout.Outcome {
	s.t.Helper()
	for {
		o, err := s.action.Poll(s.t.Context(), task, "")
		if err != nil {
			s.t.Fatal(err)
		}
		if o.State != rollout.StillRunning {
			return o
		}
	}
}

func (s *shop) run(step plan.Step) rollout.Outcome {
	s.t.Helper()
	task := s.task(step)
	s.start(task)
	return s.outcome(task)
}

// pipe is a named pipe: programs that open it can be heard, and its end is seen once all of them are gone.
func (s *shop) pipe() (path string, open func() *os.File) {
	s.t.Helper()
	path = filepath.Join(s.t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path, func() *os.File {
		s.t.Helper()
		f, err := os.Open(path)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = f.Close() })
		return f
	}
}

func (s *shop) hear(f *os.File, want string) {
	s.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(f, got); err != nil || string(got) != want {
		s.t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

func TestCommandOutcomes(t *testing.T) {
	script := filepath.Join(t.TempDir(), "not-executable")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arm := range []struct {
		name   string
		step   plan.Step
		label  string // "": it passes
		note   string
		detail string
	}{
		{"passes", shell("echo noise; exit 0"), "", "Exited with 0 after ", ""},
		{"fails", shell("echo out; echo err >&2; exit 3"), "command_exit", "Exited with 3 after ", "out\nerr"},
		{"is killed", shell("echo last; kill -9 $$"), "command_killed", "Ended by signal: killed after ", "last"},
		{"is not there", commandStep("no-such-program"), "command_missing", "no program no-such-program", ""},
		{"is not there, by its path", commandStep("/no/such/program"), "command_missing", "no program /no/such/program", ""},
		{"is not executable", commandStep(script), "command_denied", "not executable", ""},
		{"has no shell", commandStep("echo", "a; exit 1", "$HOME", "`id`", "*"), "", "Exited with 0", ""},
		{"gets what is known", commandStep("sh", "-c", `test "$0" = "https://app.test/x" || exit 9`, "${app.url}/x"), "", "Exited with 0", ""},
		{"asks for what is not known", commandStep("echo", "${app.candidate.url}"), "command_request", "nothing is known as ${app.candidate.url}", ""},
		{"gets no input", shell("read x && exit 1; exit 0"), "", "Exited with 0", ""},
		{"is in an empty directory", shell(`test -z "$(ls -A)" && touch file && case $PWD in */slipway-command-*) exit 0;; esac; pwd; exit 1`), "", "Exited with 0", ""},
	} {
		t.Run(arm.name, func(t *testing.T) {
			o := newShop(t).run(arm.step)
			if passed := o.State == rollout.Passed; passed != (arm.label == "") || o.Label != arm.label ||
				!strings.Contains(strings.ToLower(o.Note), strings.ToLower(arm.note)) || o.Detail != arm.detail {
				t.Errorf("%+v", o)
			}
		})
	}
}

// TestCommandEnvironment: what a program sees is the list and nothing else.
func TestCommandEnvironment(t *testing.T) {
	t.Setenv("PRIVATE", "never") // of the process itself
	step := shell("env; exit 1")
	step.Command.Env = []string{"MODE"}
	o := newShop(t).run(step)
	var names []string
	for line := range strings.Lines(o.Detail) {
		name, _, _ := strings.Cut(line, "=")
		if !slices.Contains([]string{"PWD", "OLDPWD", "SHLVL", "_"}, name) { // the shell's own
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if want := []string{"HOME", "LANG", "MODE", "PATH", "SLIPWAY_KEY"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	for _, line := range []string{"SLIPWAY_KEY=abc234/1.2/1", "MODE=on"} {
		if !strings.Contains(o.Detail, line) {
			t.Errorf("no %s in\n%s", line, o.Detail)
		}
	}
	step.Command.Env = []string{"UNSET"}
	if o := newShop(t).run(step); o.Label != "command_request" || !strings.Contains(o.Note, "UNSET is not set") {
		t.Errorf("%+v", o)
	}
}

func TestCommandHidesSecrets(t *testing.T) {
	step := shell(`echo "Bearer $E2E_TOKEN $E2E_TOKEN"; printf '{"password": "hunter2"}'; exit 1`)
	step.Command.Env = []string{"E2E_TOKEN"}
	o := newShop(t).run(step)
	if strings.Contains(o.Detail, secret) || strings.Contains(o.Detail, "hunter2") || !strings.HasPrefix(o.Detail, "Bearer ••• •••\n") {
		t.Errorf("%+v", o)
	}
}

func TestCommandLeavesNoDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	newShop(t).run(shell("mkdir a; touch a/b; exit 1"))
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	t.Setenv("TMPDIR", "/no/such/directory")
	if o := newShop(t).run(shell("exit 0")); o.Label != "command_directory" {
		t.Errorf("%+v", o)
	}
}

// TestStoppingEndsTheGroup: whatever stops a program, what it has started ends with it, be it deaf.
func TestStoppingEndsTheGroup(t *testing.T) {
	for _, how := range []string{"cancel", "close", "timeout"} {
		for _, arm := range []struct{ name, script, last string }{
			{"it ends when asked", `trap 'echo end >&3; exit 0' TERM; sleep 1000 & echo up >&3; wait`, "end\n"},
			{"it must be killed", `trap '' TERM; sleep 1000 & echo up >&3; while :; do sleep 1000; done`, ""},
		} {
			t.Run(how+", "+arm.name, func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				if arm.last == "" {
					s.probes.grace = 50 * time.Millisecond
				}
				path, open := s.pipe()
				task := s.task(shell("echo before; exec 3>" + path + "; " + arm.script))
				if how == "timeout" { // long after it has come up
					task.Step.Timeout = plan.Duration(3 * time.Second)
				}
				s.start(task)
				pipe := open()
				s.hear(pipe, "up\n")
				switch how {
				case "cancel":
					if err := s.action.Cancel(t.Context(), task, ""); err != nil {
						t.Error(err)
					}
				case "close":
					_ = s.probes.Close()
				case "timeout":
					if o := s.outcome(task); o.Label != "timeout" || o.Note != "Took longer than 3s and was stopped." || o.Detail != "before" {
						t.Errorf("%+v", o)
					}
				}
				rest, err := io.ReadAll(pipe) // until nobody has it open
				if err != nil || string(rest) != arm.last {
					t.Errorf("heard %q, %v; want %q", rest, err, arm.last)
				}
			})
		}
	}
}

// TestWhatAProgramLeavesBehindEnds: a program that ended well leaves nothing that goes on.
func TestWhatAProgramLeavesBehindEnds(t *testing.T) {
	s := newShop(t)
	s.probes.grace = 50 * time.Millisecond
	path, open := s.pipe()
	task := s.task(shell("exec 3>" + path + "; sleep 1000 & exit 0"))
	s.start(task)
	pipe := open()
	if o := s.outcome(task); o.State != rollout.Passed {
		t.Errorf("%+v", o)
	}
	if rest, err := io.ReadAll(pipe); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestStartDoesNotWait(t *testing.T) {
	s := newShop(t)
	path, open := s.pipe()
	task := s.task(shell("exec 3>" + path + "; echo up >&3; read x < " + path + ".go; exit 4"))
	if err := syscall.Mkfifo(path+".go", 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(task) // the program ends only after this has returned
	s.hear(open(), "up\n")
	if _, found, err := s.action.Find(t.Context(), task); !found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
	if err := os.WriteFile(path+".go", []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := s.outcome(task); o.Label != "command_exit" {
		t.Errorf("%+v", o)
	}
}

func TestCommandOutputOfAnySize(t *testing.T) {
	o := newShop(t).run(shell(`i=0; while [ $i -lt 3000 ]; do echo "line $i ääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää"; i=$((i+1)); done; exit 1`))
	if lines := strings.Count(o.Detail, "\n") + 1; lines > tailLines || len(o.Detail) > tailShown || !utf8.ValidString(o.Detail) ||
		!strings.Contains(o.Detail, "line 2999 ä") || !strings.HasPrefix(o.Detail, "…") {
		t.Errorf("%d lines, %d bytes:\n%s", lines, len(o.Detail), o.Detail)
	}
}
