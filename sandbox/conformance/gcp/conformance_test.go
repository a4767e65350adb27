//go:build services

// Package gcp_test drives the local Cloud Run and Cloud Logging with Google's own JavaScript clients: what they
// cannot tell from the real services, others' code cannot either. sandbox/README.md says what is emulated.
package gcp_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/sandbox/fakegcp"
)

const (
	project   = "conformance"
	region    = "us-central1"
	images    = "us-docker.pkg.dev/conformance/apps/app"
	leastNode = 20
)

// cases is every case that there is; one that is not run fails the test, and so does one that is not here.
var cases = []string{
	"services: get",
	"services: get of what is not there",
	"services: list in pages",
	"services: update template and traffic for a candidate",
	"services: update of traffic leaves the template",
	"services: update with a part of the template in the mask",
	"services: a mask of what cannot be set is refused",
	"services: a stale etag is ABORTED",
	"services: validate_only changes nothing",
	"services: the name of a revision is used once",
	"services: traffic that cannot be is refused",
	"services: pinned traffic stays where it is",
	"services: a tag on LATEST moves with each deploy",
	"services: conditions while reconciling",
	"services: a start that fails",
	"services: an image that is missing",
	"services: a retired revision that failed shows Ready",
	"services: permissions that are granted",
	"operations: polled by name after a restart",
	"operations: one that never ends is overtaken by the next",
	"revisions: get and list, the newest first",
	"jobs: get, list and permissions",
	"jobs: update to another image",
	"jobs: run with overrides",
	"jobs: a task that fails",
	"executions: get, list and cancel",
	"unknown: what is not emulated is UNIMPLEMENTED",
	"logging: list with a filter",
	"logging: list in pages and in both orders",
	"logging: an empty page may have a token",
	"logging: what entries.list refuses",
	"logging: 60 lists a minute, and no more",
	"logging: an entry shows once it is received",
	"logging: late entries come after younger ones",
	"logging: duplicates have one insertId",
	"logging: a clock that is wrong",
	"tail: new entries alone, in order within a response",
	"tail: the buffer window holds entries back",
	"tail: no order between responses",
	"tail: Google's own stream of entries",
	"tail: what is over the rate is suppressed and counted",
	"tail: ten sessions, and no eleventh",
	"trouble: a dropped read is repeated by the client",
	"trouble: a dropped update is not repeated, and not applied",
	"trouble: applied, yet answered with an error",
	"trouble: errors by their code",
	"trouble: answers that are late",
	"trouble: a half-open connection",
	"trouble: pages that end early lose nothing",
	"trouble: a token that is no good any more",
	"trouble: a connection that is cut",
	"trouble: a tail that breaks off can be opened again",
	"trouble: ready, and then it crashes",
	"trouble: an unknown kind is refused with the list",
}

func TestConformance(t *testing.T) {
	node := findNode(t)
	var said warnings
	usual := serve(t, fakegcp.Config{LogQuota: -1, Log: slog.New(slog.NewTextHandler(&said, nil))})
	strict := serve(t, fakegcp.Config{TailRate: 100})
	results := runCases(t, node, append(usual.environment("GCP"), strict.environment("GCP_STRICT")...))
	for _, name := range cases {
		t.Run(name, func(t *testing.T) {
			result, ran := results[name]
			if !ran {
				t.Fatal("the case was not run")
			}
			if result != "" {
				t.Error(result)
			}
			delete(results, name)
		})
	}
	for name := range maps.Keys(results) {
		t.Errorf("case %q is not on the list of cases", name)
	}
	for _, method := range []string{"run.v2.Tasks/ListTasks", "run.v2.Services/DeleteService", "LoggingServiceV2/ListLogs", "LoggingServiceV2/WriteLogEntries"} {
		if !strings.Contains(said.String(), method) {
			t.Errorf("the log does not name %s as not emulated:\n%s", method, said.String())
		}
	}
}

// findNode finds a node that is new enough, and the packages beside this file.
func findNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("install node %d or newer: %v", leastNode, err)
	}
	version, err := exec.CommandContext(t.Context(), node, "--version").Output()
	if err != nil {
		t.Fatalf("%s --version: %v", node, err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(version)), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < leastNode {
		t.Fatalf("%s is node %s; install %d or newer", node, strings.TrimSpace(string(version)), leastNode)
	}
	if _, err := os.Stat("node_modules/@google-cloud/run/package.json"); err != nil {
		t.Fatalf("run npm ci in sandbox/conformance/gcp, or make conformance: %v", err)
	}
	return node
}

// runCases runs the cases and returns what each ended with; "" is green.
func runCases(t *testing.T, node string, environment []string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, node, "run.mjs")
	command.Env = append(append(os.Environ(), "NODE_NO_WARNINGS=1", "METADATA_SERVER_DETECTION=none"), environment...) // no look for Google's own machines
	var output bytes.Buffer
	command.Stdout, command.Stderr = io.MultiWriter(&output, t.Output()), t.Output()
	ended := command.Run()
	results, red := map[string]string{}, false
	for scanner := bufio.NewScanner(&output); scanner.Scan(); {
		if name, ok := strings.CutPrefix(scanner.Text(), "ok  "); ok {
			results[name] = ""
		} else if rest, ok := strings.CutPrefix(scanner.Text(), "FAIL "); ok {
			name, why := splitFailure(rest)
			results[name], red = why, true
		}
	}
	if ended != nil && !red {
		t.Errorf("node: %v", ended)
	}
	return results
}

// splitFailure takes the name off "name: why"; names have colons of their own.
func splitFailure(text string) (name, why string) {
	for _, name := range cases {
		if why, ok := strings.CutPrefix(text, name+": "); ok {
			return name, why
		}
	}
	return text, "failed"
}

// place is one local server.
type place struct{ port, control string }

func (p place) environment(prefix string) []string {
	return []string{
		prefix + "_PORT=" + p.port, prefix + "_CONTROL=" + p.control,
		"GCP_PROJECT=" + project, "GCP_REGION=" + region, "GCP_IMAGES=" + images,
	}
}

// serve starts a cloud with a busy service and a job on loopback, until the test ends.
func serve(t *testing.T, cfg fakegcp.Config) place {
	t.Helper()
	cfg.Project, cfg.Region, cfg.Seed, cfg.Speed = project, region, 7, 20
	cfg.E2EToken = "e2e"
	cfg.Listen = func(string) (net.Listener, string, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, "", err
		}
		return l, "http://" + l.Addr().String(), nil
	}
	cloud := fakegcp.New(cfg)
	populate(t, cloud)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := cloud.Server()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(l); err != nil {
			fmt.Fprintln(t.Output(), "local cloud:", err)
		}
	})
	cloud.Start(t.Context())
	control := httptest.NewServer(cloud.ControlHandler())
	t.Cleanup(func() {
		control.Close()
		srv.Stop()
		serving.Wait()
		cloud.Close()
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return place{port: port, control: control.URL}
}

func populate(t *testing.T, cloud *fakegcp.Cloud) {
	t.Helper()
	behaviors := map[string]fakegcp.Behavior{
		"good": {Jobs: map[string]fakegcp.JobBehavior{
			"forever": {NeverEnds: true}, "fails": {ExitCode: 1}, "pytest": {Duration: 10 * time.Second},
		}},
		"bad": {ErrorRate: 0.3}, "slow": {ReadyAfter: 30 * time.Second},
		"crash": {CrashOnStart: true, Exception: "ModuleNotFoundError: No module named 'app'"},
	}
	for _, tag := range slices.Sorted(maps.Keys(behaviors)) {
		if _, err := cloud.AddImage(images+":"+tag, behaviors[tag]); err != nil {
			t.Fatal(err)
		}
	}
	if err := cloud.AddService(fakegcp.ServiceSpec{Name: "busy", Image: images + ":bad", RPS: 40}); err != nil {
		t.Fatal(err)
	}
	if err := cloud.AddJob(fakegcp.JobSpec{Name: "tests", Image: images + ":good", Args: []string{"pytest"}}); err != nil {
		t.Fatal(err)
	}
}

// warnings is a log that can be read while it is written.
type warnings struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *warnings) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}
