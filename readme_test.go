package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"slipway/app"
	"slipway/plan"
)

// standIns are the only commands that the README's blocks may use. The shell that runs the blocks
// finds no others, so a new one fails the test until it is listed here, and what cannot run here
// (without an account or a network, or because it is a test run itself) is checked as far as it goes.
var standIns = map[string]string{
	// Writes down its arguments and its input, and answers what is printed into other commands.
	"gcloud": `line="gcloud $*"
case "$*" in *--data-file=-*) line="$line"$'\n'"stdin: $(cat)" ;; esac
printf '%s\n' "$line" >>"$JOURNAL"; echo 10.0.0.3`,
	"docker": `printf '%s\n' "docker $*" >>"$JOURNAL"`,
	// The targets exist and make can say what it would do for them.
	"make": `PATH="$REAL_PATH"; cd "$ROOT" && make -n "$@" >/dev/null`,
	// The sandbox has tests of its own for what it does; here, that it builds and knows the flags.
	"go": `PATH="$REAL_PATH"; cd "$ROOT" && case "$1 $2" in
"run ./sandbox")
	shift 2; help="$(go run ./sandbox -help)"
	for flag; do case "$help" in *"-$flag"*) ;; *) echo "the sandbox has no flag $flag"; exit 1 ;; esac; done ;;
*) go "$@" ;;
esac`,
	"git": `[ "$*" = "describe --tags --always" ] && echo v1.2.3`, // the tree may be no clone
	"sed": `PATH="$REAL_PATH"; sed "$@"`,
	"cat": `PATH="$REAL_PATH"; cat "$@"`,
}

// gcloudCommands are those of gcloud that the README may use. Each was looked up in its reference.
var gcloudCommands = []string{
	"artifacts repositories add-iam-policy-binding", "artifacts repositories create", "builds submit", "iam service-accounts add-iam-policy-binding",
	"iam service-accounts create", "logging read", "projects add-iam-policy-binding", "redis instances create", "redis instances describe",
	"redis instances get-auth-string", "run jobs add-iam-policy-binding", "run services add-iam-policy-binding", "run worker-pools replace",
	"secrets add-iam-policy-binding", "secrets create", "services enable",
}

// Every command of the README that can run here is run, in order, in one shell, as a reader would.
func TestReadmeCommands(t *testing.T) {
	dir := t.TempDir()
	journal := runReadme(t, dir, readmeScript(t))
	for line := range strings.Lines(journal) {
		line = strings.TrimSpace(line)
		if strings.Contains(line+" ", "= ") || strings.Contains(line, "$") {
			t.Errorf("an argument is empty: %s", line)
		}
		rest, ok := strings.CutPrefix(line, "gcloud ")
		known := func(command string) bool { return strings.HasPrefix(rest, command+" ") }
		if ok && !slices.ContainsFunc(gcloudCommands, known) {
			t.Errorf("not a command of gcloud that was looked up: %s", line)
		}
	}
	stored := map[string]string{}
	for _, m := range regexp.MustCompile(`gcloud secrets create (\S+) .*\nstdin: (.*)\n`).FindAllStringSubmatch(journal, -1) {
		stored[m[1]] = m[2]
	}
	pool := poolOf(t, filepath.Join(dir, "my-worker-pool.yaml"))
	if pool.Metadata.Labels["cloud.googleapis.com/location"] != "us-central1" {
		t.Errorf("the pool is in %q", pool.Metadata.Labels["cloud.googleapis.com/location"])
	}
	settings := map[string]string{"SLIPWAY_FILE": "deploy.yaml"}
	for _, e := range pool.env() {
		settings[e.Name] = stored[e.ValueFrom.SecretKeyRef.Name]
	}
	if _, err := app.FromEnv(func(name string) string { return settings[name] }); err != nil {
		t.Errorf("what the README stores as secrets and hands to the pool does not start Slipway: %v", err)
	}
	if image := pool.Spec.Template.Spec.Containers[0].Image; !strings.Contains(journal, "--tag="+image+" ") {
		t.Errorf("the pool runs %s, which nobody built", image)
	}
}

// A README that was changed without this test in mind fails it.
func TestReadmeRunsNothingUnlisted(t *testing.T) {
	for name, script := range map[string]string{
		"a command that is not listed": "kubectl get pods\n",
		"a target that is not there":   "make frobnicate\n",
		"a verb that is not there":     "go run . frobnicate\n",
		"a flag that is not there":     "go run ./sandbox -frobnicate\n",
		"a variable that is not set":   "gcloud services enable \"$NOWHERE\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			if out, _, err := shell(t, t.TempDir(), script); err == nil {
				t.Errorf("it passed:\n%s", out)
			}
		})
	}
}

func readmeScript(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllSubmatch(text, -1) {
		script.Write(block[1])
	}
	return script.String()
}

func runReadme(t *testing.T, dir, script string) string {
	t.Helper()
	out, journal, err := shell(t, dir, script)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, journal)
	}
	return journal
}

// shell runs script in dir, where the files of the root are, with the stand-ins and nothing else. Two
// tokens wait at its input.
func shell(t *testing.T, dir, script string) (out, journal string, err error) {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for name, body := range standIns {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	copyRoot(t, dir)
	written := filepath.Join(bin, "journal.txt")
	command := exec.CommandContext(t.Context(), "/bin/bash", "-euo", "pipefail", "-c", script)
	command.Dir = dir
	command.Env = append(os.Environ(), "PATH="+bin, "REAL_PATH="+os.Getenv("PATH"), "ROOT="+root, "JOURNAL="+written)
	command.Stdin = strings.NewReader("xapp-1-of-a-test\nxoxb-of-a-test\n")
	output, runErr := command.CombinedOutput()
	text, err := os.ReadFile(written)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(output), string(text), runErr
}

// copyRoot puts the YAML files of the repository's root into dir.
func copyRoot(t *testing.T, dir string) {
	t.Helper()
	to, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := to.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Links to files of the repository lead somewhere; the pictures are made by the sandbox's own tests.
func TestDocumentsLink(t *testing.T) {
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllSubmatch(text, -1) {
			target := string(m[1])
			if strings.HasPrefix(target, "https://") || strings.HasPrefix(target, "docs/") {
				continue
			}
			if _, err := fs.Stat(os.DirFS("."), path.Clean(target)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if bytes.Contains(text, []byte("http://")) {
			t.Errorf("%s links in the clear", name)
		}
	}
}

// The alerts that the README shows are ones that deploy.yaml may have.
func TestReadmeAlerts(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?ms)^```yaml\n(alerts:.*?)^```$").FindSubmatch(text)
	if shown == nil {
		t.Fatal("the README shows no alerts")
	}
	shipped, err := os.ReadFile("deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^    alerts: .*\n`)
	if !line.Match(shipped) {
		t.Fatal("deploy.yaml has no alerts in one line")
	}
	indented := "    " + strings.TrimSpace(strings.ReplaceAll(string(shown[1]), "\n", "\n    ")) + "\n"
	file, err := plan.Load("README.md", line.ReplaceAll(shipped, []byte(strings.ReplaceAll(indented, "$", "$$"))))
	if err != nil {
		t.Fatal(err)
	}
	if a := file.Environments[0].AlertsOf("backend"); a == nil || a.Escalate == nil || len(a.Notify) != 2 || a.Pinned != plan.AWhile {
		t.Errorf("they were read as %+v", a)
	}
}
