package app_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/app"
	"slipway/plan"
)

// slipway runs the command line with args and returns what it printed to both outputs.
func slipway(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = app.Main(t.Context(), app.Process{
		Args: args, Getenv: env(nil), Stdout: &out, Stderr: &errs, Version: "v1.2.3", Manifest: "the manifest\n",
	})
	return code, out.String(), errs.String()
}

func TestMainExits(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("version: 1\nenvironmens: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args        string
		code        int
		out, errors string // somewhere in what is printed; "" is nothing printed
	}{
		{"--help", 0, "deploys to Cloud Run from Slack", ""},
		{"help", 0, "deploys to Cloud Run from Slack", ""},
		{"help validate", 0, "slipway validate deploy.yaml", ""},
		{"validate --help", 0, "slipway validate deploy.yaml", ""},
		{"help completion", 0, "fpath", ""},
		{"version", 0, "slipway v1.2.3 (go", ""},
		{"schema", 0, string(plan.Schema()), ""},
		{"manifest", 0, "the manifest\n", ""},
		{"validate ../deploy.yaml", 0, "../deploy.yaml is fine: 1 environment(s), 1 plan(s), 0 warning(s).", ""},
		{"validate " + broken, 1, "", "did you mean environments?"},
		{"validate absent.yaml", 1, "", "absent.yaml"},
		{"validat deploy.yaml", 2, "", "did you mean slipway validate?"},
		{"hepl", 2, "", "did you mean slipway help?"},
		{"frobnicate", 2, "", "there is no command \"frobnicate\"\nslipway --help says what it can do"},
		{"help frobnicate", 2, "", "there is no command"},
		{"validate a.yaml b.yaml", 2, "", "unexpected argument b.yaml"},
		{"completion ksh", 2, "", "must be one of"},
		{"--token xoxb-1", 2, "", "unknown flag --token"},
		{"ctl --help", 0, "identities in deploy.yaml maps", ""},
		{"help ctl", 0, "SLIPWAY_IDENTITY", ""},
		{"help ctl rollback", 0, "slipway ctl rollback staging/backend 00041 logins fail", ""},
		{"ctl lock --help", 0, "slipway ctl lock staging load test for 2h", ""},
		{"ctl", 2, "", "expected one of"},
		{"ctl deplyo staging", 2, "", "did you mean slipway ctl deploy?"},
		{"help ctl deplyo", 2, "", "there is no command \"deplyo\""},
		{"", 1, "", "SLACK_APP_TOKEN is not set"},
		{"run", 1, "", "SLACK_APP_TOKEN is not set"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, out, errs := slipway(t, strings.Fields(tt.args)...)
			if code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			for _, o := range []struct{ name, got, want string }{{"output", out, tt.out}, {"errors", errs, tt.errors}} {
				if !strings.Contains(o.got, o.want) || o.want == "" && o.got != "" {
					t.Errorf("%s should have %q:\n%s", o.name, o.want, o.got)
				}
			}
		})
	}
}

// What is printed for editors is the file that deploy.yaml's first line names.
func TestSchemaIsTheFile(t *testing.T) {
	want, err := os.ReadFile("../plan/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, out, _ := slipway(t, "schema"); out != string(want) {
		t.Errorf("printed:\n%s", out)
	}
}

// What validate warns about is printed, and is no failure.
func TestValidateWarns(t *testing.T) {
	text, err := os.ReadFile("../deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	half := strings.Replace(string(text), "percent: 100}", "percent: 50}", 1)
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := dir.WriteFile("half.yaml", []byte(half), 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir.Name(), "half.yaml")
	file, err := plan.LoadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Warnings) == 0 {
		t.Fatal("the file should have warnings")
	}
	code, out, _ := slipway(t, "validate", name)
	if code != 0 || strings.Count(out, "warning: half.yaml:") != len(file.Warnings) || !strings.Contains(out, "is fine") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

// The help teaches: every command with an example that works, and every setting.
func TestHelpTeaches(t *testing.T) {
	_, manual, _ := slipway(t, "--help")
	for _, name := range []string{"run", "ctl COMMAND", "validate [FILE]", "verdict [FILES]", "replay ENTRIES", "schema", "manifest", "completion bash|zsh|fish", "version"} {
		if !strings.Contains(manual, "\n  "+name+" ") {
			t.Errorf("no word of %s in:\n%s", name, manual)
		}
	}
	for _, s := range app.Settings() {
		if !strings.Contains(manual, s.Name) || !strings.Contains(manual, s.Hint) {
			t.Errorf("no word of %s", s.Name)
		}
	}
	var examples []string
	for line := range strings.Lines(manual) {
		if _, example, ok := strings.Cut(strings.TrimSpace(line), "for example: slipway"); ok {
			examples = append(examples, strings.TrimSpace(example))
		}
	}
	want := []string{"", "ctl deploy staging --wait", "validate deploy.yaml", "verdict --limit 5% --requests 334 --errors 3", "schema > schema.json", "manifest > slack-app-manifest.yaml", "version"}
	if !slices.Equal(examples, want) {
		t.Errorf("examples %q, want %q: each is tried below", examples, want)
	}
	t.Chdir("..")
	for _, example := range examples[2:] { // ctl has tests of its own
		args, _, _ := strings.Cut(example, ">")
		if code, _, errs := slipway(t, strings.Fields(args)...); code != 0 {
			t.Errorf("slipway %s: exit %d: %s", args, code, errs)
		}
	}
}

// The script of bash is run in bash; a machine without it fails here and has no use for it.
func TestCompletionInBash(t *testing.T) {
	_, script, _ := slipway(t, "completion", "bash")
	tests := []struct{ typed, want string }{
		{"v", "validate verdict version"},
		{"sch", "schema"},
		{"help ma", "manifest"},
		{"completion ", "bash zsh fish --help"},
		{"validate cli_t", "cli_test.go"},
		{"verdict cli_t", "cli_test.go"},
		{"version ", "--help"},
		{"validate a.yaml ", ""},
		{"frobnicate ", ""},
		{"c", "ctl completion"},
		{"ctl re", "reject resume retry resolve"},
	}
	for _, tt := range tests {
		t.Run(tt.typed, func(t *testing.T) {
			words := strings.Split("slipway "+tt.typed, " ")
			command := exec.CommandContext(t.Context(), "bash", append([]string{"-c", script + `
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _slipway; echo "${COMPREPLY[*]}"`, "bash"}, words...)...)
			out, err := command.CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
				t.Errorf("%q, want %q (%v)", got, tt.want, err)
			}
		})
	}
}

// The other shells need not be here: their scripts are looked at for every command.
func TestCompletionKnowsEveryCommand(t *testing.T) {
	for shell, line := range map[string]string{"zsh": "'%:", "fish": " -a % -d "} {
		_, script, _ := slipway(t, "completion", shell)
		for _, command := range []string{"run", "ctl", "validate", "verdict", "replay", "schema", "manifest", "completion", "version"} {
			if want := strings.Replace(line, "%", command, 1); !strings.Contains(script, want) {
				t.Errorf("%s: %q is missing in\n%s", shell, want, script)
			}
		}
	}
}
